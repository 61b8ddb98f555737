"""A dataflow that was there before its resource: adopted as it is, put right or only observed, and left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import FieldMapping, ScheduleParams, SourceType
from crmflow.reconcile.ports import Absence
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import Harness, Resource
from tests.unit.reconcile.test_adoption import assert_refused, writes

COLLECTIONS = ("flows", "source_connections", "target_connections")
HELD_AFTER = {"flows.create": "flows", "sourceConnections.create": "source_connections"}
SLOTS = {"flows": "flow", "source_connections": "source", "target_connections": "target"}


async def by_hand(harness: Harness) -> str:
    """A flow that says what a resource would, made by somebody else; its id."""
    made = harness.dataflow()
    await made.until_done()
    for collection in COLLECTIONS:
        objects = getattr(harness.platform, collection)
        for remote_id, remote in objects.items():
            objects[remote_id] = replace(remote, name=f"{collection} by hand", description="mine")
    for mapping_set in harness.platform.mapping_set_names:
        harness.platform.mapping_set_names[mapping_set] = "by hand"
    (flow_id,) = harness.platform.flows
    return flow_id


async def adopting(harness: Harness, **spec: Any) -> Resource:
    """A dataflow that names what exists."""
    flow_id = await by_hand(harness)
    resource = harness.dataflow(flowId=flow_id, **spec)
    resource.uid = "another"
    return resource


def change_flow(harness: Harness, **changes: Any) -> None:
    ((flow_id, flow),) = harness.platform.flows.items()
    harness.platform.flows[flow_id] = replace(flow, **changes)


async def test_what_the_resource_says_already_is_adopted_without_a_write() -> None:
    harness = Harness()
    resource = await adopting(harness)
    result = await resource.until_done()
    assert writes(result.calls) == []
    assert [event.reason for event in result.events] == ["Adopted"]
    status = resource.status
    assert status["adopted"] is True
    assert status["flow"]["id"] in harness.platform.flows
    assert status["sourceConnectionId"] in harness.platform.source_connections
    assert status["targetConnectionId"] in harness.platform.target_connections
    assert status["mappingSet"]["id"] in harness.platform.mapping_sets
    assert status["columns"] == ["Email", "First_Name", "Modified_Time"]
    assert status["schedule"]["effectiveStartTime"]
    assert (await resource.visit()).outcome.is_done
    assert (await resource.visit(full=False)).step == "quiet"
    assert harness.platform.counts == (0, 1, 1, 1)


@pytest.mark.parametrize("call", ["flows.create", "sourceConnections.create"])
async def test_what_it_had_begun_to_make_goes_when_it_adopts_instead(call: str) -> None:
    harness = Harness()
    flow_id = await by_hand(harness)
    resource = harness.dataflow()
    resource.uid = "another"
    harness.platform.fail(call, remote_error(maybe_applied=True), after=True, times=1)
    await resource.visit()
    assert harness.platform.counts != (1, 1, 1, 1)
    names = {held.name for held in getattr(harness.platform, HELD_AFTER[call]).values()}
    harness.platform.hidden_names |= {name for name in names if "crmflow:" in name}
    resource.edit(lambda spec: spec.update(flowId=flow_id))
    outcome = (await resource.visit()).outcome
    assert outcome.reason == "CreatePending"

    harness.platform.hidden_names.clear()
    await resource.until_done()
    assert harness.platform.counts == (0, 1, 1, 1)
    assert resource.status["flow"]["id"] == flow_id
    assert "intents" not in resource.status


async def test_the_flow_whose_creation_was_not_answered_can_be_named() -> None:
    harness = Harness()
    resource = harness.dataflow()
    harness.platform.fail("flows.create", remote_error(maybe_applied=True), after=True, times=1)
    await resource.visit()
    (flow_id,) = harness.platform.flows
    resource.edit(lambda spec: spec.update(flowId=flow_id))
    await resource.until_done()
    assert harness.platform.counts == (0, 1, 1, 1)
    assert resource.status["flow"]["id"] == flow_id


async def test_the_remote_start_is_taken_over_and_the_specs_wish_kept() -> None:
    harness = Harness()
    resource = await adopting(harness, schedule={"frequency": "Hour", "interval": 1})
    start = int(harness.clock.now()) - 86400
    change_flow(harness, schedule=ScheduleParams(start, "hour", 1, True))
    result = await resource.until_done()
    assert writes(result.calls) == []
    assert "startTime" not in resource.status["schedule"]
    assert resource.status["schedule"]["effectiveStartTime"].startswith("2025-10-08")


async def test_what_differs_and_can_be_patched_is_put_right_and_no_name_with_it() -> None:
    harness = Harness()
    resource = await adopting(harness, schedule={"frequency": "Hour", "interval": 6}, displayName="Mine")
    result = await resource.until_done()
    assert set(writes(result.calls)) <= {"flows.patch"}
    (flow,) = harness.platform.flows.values()
    assert (flow.schedule.interval, flow.name, flow.description) == (6, "flows by hand", "mine")


async def test_a_mapping_that_differs_is_replaced_by_a_set_of_ours() -> None:
    harness = Harness()
    resource = await adopting(harness, mapping=[{"target": "personalEmail.address", "source": "Email"}])
    await resource.until_done()
    (flow,) = harness.platform.flows.values()
    assert flow.mapping_set_id == resource.status["mappingSet"]["id"]
    assert len(harness.platform.mapping_sets) == 2


async def test_a_mapping_that_says_the_same_otherwise_is_the_same() -> None:
    harness = Harness()
    resource = await adopting(harness)
    [(set_id, known)] = harness.platform.mapping_sets.items()
    said = [
        FieldMapping(SourceType.EXPRESSION, f'"{entry.source}"', entry.destination)
        if entry.source_type is SourceType.STATIC
        else FieldMapping(SourceType.EXPRESSION, f" {entry.source} ", entry.destination)
        for entry in reversed(known.mappings)
    ]
    harness.platform.mapping_sets[set_id] = replace(known, mappings=tuple(said))
    assert writes((await resource.until_done()).calls) == []


async def test_a_mapping_set_that_is_gone_is_replaced() -> None:
    harness = Harness()
    resource = await adopting(harness)
    harness.platform.mapping_sets.clear()
    await resource.until_done()
    (flow,) = harness.platform.flows.values()
    assert flow.mapping_set_id in harness.platform.mapping_sets


async def test_what_only_another_flow_can_have_is_said() -> None:
    harness = Harness()
    resource = await adopting(
        harness, source={"table": "Leads", "columns": ["Email", "First_Name", "Modified_Time"]}
    )
    assert_refused(await resource.visit(), "ReplacementRequired", "spec.source.table")
    assert resource.status["adopted"] is True
    resource.edit(lambda spec: spec["source"].update(table="Contacts"))
    assert (await resource.until_done()).outcome.is_done


async def test_a_flow_through_another_base_connection_is_said() -> None:
    harness = Harness()
    resource = await adopting(harness)
    ((source_id, source),) = harness.platform.source_connections.items()
    harness.platform.source_connections[source_id] = replace(source, base_connection_id="bc-8")
    assert_refused(await resource.visit(), "ReplacementRequired", "spec.connectionRef")
    assert harness.platform.counts == (0, 1, 1, 1)


async def test_what_is_no_flow_of_zoho_is_refused() -> None:
    harness = Harness()
    resource = await adopting(harness)
    ((source_id, source),) = harness.platform.source_connections.items()
    harness.platform.source_connections[source_id] = replace(source, connection_spec_id="dynamics")
    assert_refused(
        await resource.visit(), "NotAdoptable", "another source, connection specification dynamics"
    )
    harness.platform.source_connections.clear()
    assert_refused(await resource.visit(), "NotAdoptable", f"{source_id} is gone")
    change_flow(harness, target_connection_ids=("t1", "t2"))
    assert_refused(await resource.visit(), "NotAdoptable", "exactly one source and one target")
    change_flow(harness, flow_spec_id="files")
    assert_refused(await resource.visit(), "NotAdoptable", "flow specification files is not CRMToAEP")
    assert "flow" not in resource.status


async def test_a_flow_that_another_resource_has_is_refused() -> None:
    harness = Harness()
    resource = await adopting(harness)
    harness.lister.owners[resource.spec["flowId"]] = "CRMDataflow/crm/other"
    assert_refused(await resource.visit(), "AdoptionConflict", "The flow flow-")
    assert resource.condition("Ready")[2].count("CRMDataflow/crm/other") == 1


async def test_another_flow_than_the_one_it_made_is_refused() -> None:
    harness = Harness()
    flow_id = await by_hand(harness)
    resource = harness.dataflow()
    resource.uid = "another"
    await resource.until_done()
    resource.edit(lambda spec: spec.update(flowId=flow_id))
    assert_refused(await resource.visit(), "AdoptionConflict", "has the flow")


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("absence", [Absence.GONE, Absence.RESET, Absence.MASS_DELETION])
async def test_what_was_adopted_is_not_made_anew(collection: str, absence: Absence) -> None:
    harness = Harness()
    resource = await adopting(harness)
    await resource.until_done()
    ((remote_id, _),) = getattr(harness.platform, collection).items()
    harness.inventory.absences[remote_id] = absence
    getattr(harness.platform, collection).clear()
    outcome = (result := await resource.visit()).outcome
    if absence is Absence.MASS_DELETION:
        assert outcome.reason == "MassDeletion"
    else:
        assert_refused(result, "AdoptedObjectMissing", f"{SLOTS[collection]} ")
        assert remote_id in outcome.message
    assert writes(result.calls) == []


async def test_an_adopted_dataflow_is_left_untouched_unless_the_spec_says_otherwise() -> None:
    harness = Harness()
    resource = await adopting(harness)
    await resource.until_done()
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert writes(result.calls) == []
    assert harness.platform.counts == (0, 1, 1, 1)
    resource.edit(lambda spec: spec.update(deletionPolicy="Delete"))
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert harness.platform.counts == (0, 0, 0, 0)


async def test_an_adopted_dataflow_that_bears_our_key_loses_it() -> None:
    """It had made the flow itself; whoever comes after it under its name is not to find it."""
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    resource.edit(lambda spec: spec.update(flowId=resource.status["flow"]["id"]))
    await resource.until_done()
    await resource.visit(deleting=True)
    (flow,) = harness.platform.flows.values()
    assert (flow.name, flow.description) == (resource.spec["displayName"], "")
    assert len(harness.inventory.let_gone) == 3, "an older listing still shows our key"


async def test_an_observed_dataflow_is_read_and_never_written() -> None:
    harness = Harness()
    resource = await adopting(harness, managementPolicy="Observe")
    result = await resource.until_done()
    assert writes(result.calls) == []
    assert {"flows.get", "sourceConnections.get", "targetConnections.get", "mappingSets.get"} <= set(
        result.calls
    )
    assert resource.condition("Ready")[0] == resource.condition("Synced")[0] == "True"
    assert "only observed" in resource.condition("Ready")[2]
    assert resource.condition("MappingValid") == ("True", "Succeeded", "The flow uses this mapping.")
    assert "mappingSets.validate" not in result.calls
    assert (await resource.visit(full=False)).step == "quiet"


OTHER_MAPPING = [{"target": "personalEmail.address", "source": "Email"}]


@pytest.mark.parametrize(
    ("change", "verdict", "asked"),
    [
        ({"mapping": OTHER_MAPPING}, ("True", "Succeeded", "Platform accepts the mapping."), True),
        (
            {"mapping": [{"target": "person.nme", "source": "Email"}]},
            ("False", "MappingInvalid", "person.nme: no such field"),
            True,
        ),
        (
            {"mapping": [{"target": "personalEmail.address", "source": "Phone"}]},
            ("False", "MappingInvalid", "takes Phone, which the source does not read"),
            False,
        ),
        (
            {"mapping": OTHER_MAPPING, "source": {"table": "Leads", "columns": ["Email"]}},
            (
                "Unknown",
                "NotValidated",
                "differs from the resource in spec.source.table, spec.source.col",
            ),
            False,
        ),
        (
            {"source": {"table": "Contacts", "columns": ["Email"]}},
            ("Unknown", "NotValidated", "spec.source.columns"),
            False,
        ),
    ],
)
async def test_of_an_observed_mapping_no_more_is_said_than_was_asked(
    change: dict[str, Any], verdict: tuple[str, str, str], asked: bool
) -> None:
    harness = Harness()
    harness.platform.mapping_verdicts["person.nme"] = "no such field"
    resource = await adopting(harness, managementPolicy="Observe", **change)
    result = await resource.until_done()
    assert writes(result.calls) == []
    assert ("mappingSets.validate" in result.calls) is asked
    status, reason, message = resource.condition("MappingValid")
    assert (status, reason) == verdict[:2]
    assert verdict[2] in message
    assert resource.condition("Ready")[0] == "True"
    assert resource.condition("Synced")[:2] == ("False", "Drifted")


DRIFT: list[tuple[dict[str, Any], list[str]]] = [
    ({"schedule": {"frequency": "Hour", "interval": 6}}, ["flow.scheduleParams.interval"]),
    ({"mapping": [{"target": "personalEmail.address", "source": "Email"}]}, ["spec.mapping"]),
    ({"source": {"table": "Leads", "columns": ["Email"]}}, ["spec.source.table", "spec.source.columns"]),
    ({"ingestion": {"enabled": False}}, ["spec.ingestion.enabled"]),
    ({"ingestion": {"partialIngestionPercent": 50}}, ["flow.options.partialIngestionPercent"]),
    ({"displayName": "Other", "description": "Other"}, []),
]


@pytest.mark.parametrize(("change", "fields"), DRIFT)
async def test_what_differs_of_an_observed_dataflow_is_told_and_left(
    change: dict[str, Any], fields: list[str]
) -> None:
    harness = Harness()
    resource = await adopting(harness, managementPolicy="Observe", **change)
    result = await resource.until_done()
    assert writes(result.calls) == []
    assert resource.condition("Ready")[0] == "True"
    assert resource.condition("Synced")[:2] == (("False", "Drifted") if fields else ("True", "Succeeded"))
    assert resource.status.get("lastDrift", {}).get("fields", []) == fields
    assert all(field in resource.condition("Synced")[2] for field in fields)


async def test_an_observed_dataflow_that_vanishes_is_told_and_nothing_else_is_deleted() -> None:
    harness = Harness()
    resource = await adopting(harness, managementPolicy="Observe")
    await resource.until_done()
    harness.platform.source_connections.clear()
    assert_refused(await resource.visit(), "AdoptedObjectMissing", "source connection")
    assert harness.platform.counts == (0, 0, 1, 1)


async def test_deleting_an_observed_dataflow_touches_nothing() -> None:
    harness = Harness()
    resource = await adopting(harness, managementPolicy="Observe", deletionPolicy="Delete")
    await resource.until_done()
    harness.lister.connections.clear()
    harness.access.held.clear()
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == []
    assert harness.platform.counts == (0, 1, 1, 1)
