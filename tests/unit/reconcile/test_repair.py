"""What is done about objects that somebody deleted, renamed or made before: for both kinds."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.flow_service import FLOWS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.models import Run
from crmflow.api.zohosourceconnection import BaseConnectionStatus
from crmflow.http.errors import ErrorClass
from crmflow.observability.events import EventType
from crmflow.reconcile.core.created_names import CreatedNames
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.ports import Absence
from tests.fakes.failing import remote_error
from tests.fakes.platform import new_column
from tests.unit.reconcile.harness import (
    CONNECTION_NAME,
    CREATE_GRACE,
    NAMESPACE,
    Harness,
    Resource,
    dataflow_spec,
)

STALLED, WAITING = OutcomeClass.STALLED, OutcomeClass.WAITING
COLLECTIONS = {
    "flow": FLOWS,
    "source": SOURCE_CONNECTIONS,
    "target": TARGET_CONNECTIONS,
}
RUN = Run("r1", "flow-3", "success", 1_759_999_000.0, 1_759_999_060.0)
RUN_START = "2025-10-09T08:36:40Z"
NOTICED = "2025-10-09T08:53:20Z"


def once() -> dict[str, Any]:
    return {"schedule": {"frequency": "Once"}, "ingestion": {}, "deltaColumn": None}


async def ready_dataflow(harness: Harness, *, is_once: bool = False, has_run: bool = False) -> Resource:
    """A dataflow that is Ready, with or without a run."""
    resource = harness.dataflow(**(once() if is_once else {}))
    if is_once:
        del resource.spec["deltaColumn"]
    await resource.until_done()
    if has_run:
        [flow] = harness.platform.flows.values()
        harness.platform.flows[flow.id] = replace(flow, last_run=RUN)
        assert (await resource.visit(full=False)).step == "quiet"
        assert resource.status["lastRun"]["startTime"] == RUN_START
    harness.timeline.clear()
    return resource


def ids_of(resource: Resource) -> dict[str, str]:
    status = resource.status
    return {
        "flow": status["flow"]["id"],
        "source": status["sourceConnectionId"],
        "target": status["targetConnectionId"],
    }


def lose(harness: Harness, resource: Resource, slots: Sequence[str], absence: Absence) -> dict[str, str]:
    """Somebody deletes what is in ``slots``; the ids of all."""
    ids = ids_of(resource)
    for slot in slots:
        del harness.platform.objects(COLLECTIONS[slot])[ids[slot]]
        harness.inventory.absences[ids[slot]] = absence
    return ids


def backfills(harness: Harness) -> list[Any]:
    """``backfill`` of each flow that was created."""
    return [body["scheduleParams"].get("backfill") for (body,) in harness.platform.arguments["flows.create"]]


LOST = [
    ("flow",),
    ("source",),
    ("target",),
    ("flow", "source"),
    ("source", "target"),
    ("flow", "source", "target"),
]


@pytest.mark.parametrize(
    ("lost", "absence", "is_once", "has_run"),
    list(itertools.product(LOST, Absence, (False, True), (False, True))),
)
async def test_part_of_a_dataflow_is_gone(
    lost: tuple[str, ...], absence: Absence, is_once: bool, has_run: bool
) -> None:
    harness = Harness()
    resource = await ready_dataflow(harness, is_once=is_once, has_run=has_run)
    before = lose(harness, resource, lost, absence)
    counts = harness.platform.counts
    kept = {
        Absence.HIDDEN: "HiddenByLabel",
        Absence.MASS_DELETION: "MassDeletion",
    }.get(absence)
    if kept is None and is_once and has_run and absence is Absence.GONE:
        kept = "ReplacementRequired"

    result = await resource.visit()

    if kept is not None:
        assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, kept)
        assert harness.platform.counts == counts, "what is left is left alone"
        assert ids_of(resource) == before
        assert "gap" not in resource.status
        assert "lastDrift" not in resource.status
        return
    assert result.outcome.is_done
    assert resource.condition("Ready")[0] == "True"
    assert harness.platform.counts == (0, 1, 1, 1)
    assert set(ids_of(resource).values()).isdisjoint(before.values())
    left = [f"{collection}.delete" for slot, collection in COLLECTIONS.items() if slot not in lost]
    assert [call for call in result.calls if call.endswith(".delete")] == left
    assert resource.status["lastDrift"] == {"time": NOTICED, "fields": list(lost)}
    first, *_ = result.events
    assert (first.reason, first.type) == ("Vanished", EventType.WARNING)
    assert ("reset" in first.note) is (absence is Absence.RESET)
    if absence is Absence.RESET:
        assert "gap" not in resource.status
    else:
        gap = {"noticedTime": NOTICED, "until": resource.status["schedule"]["effectiveStartTime"]}
        assert resource.status["gap"] == ({"since": RUN_START, **gap} if has_run else gap)
    again = None if is_once else absence is Absence.RESET
    assert backfills(harness) == [None if is_once else True, again]


async def test_a_base_connection_that_is_gone_takes_the_dataflow_along() -> None:
    """The source connection of the flow hangs on an id that will never come back."""
    harness = Harness()
    resource = await ready_dataflow(harness, has_run=True)
    before = ids_of(resource)
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    view.status = view.status.model_copy(update={"base_connection": BaseConnectionStatus(id="bc-9")})
    del harness.platform.connections["bc-0"]
    harness.hold_base_connection("bc-9")
    assert (await resource.visit(full=False)).step != "quiet"
    assert set(ids_of(resource).values()).isdisjoint(before.values())
    assert harness.platform.counts == (0, 1, 1, 1)
    [source] = harness.platform.source_connections.values()
    assert source.base_connection_id == "bc-9"
    assert resource.status["lastDrift"]["fields"] == ["source"]
    assert resource.status["gap"]["since"] == RUN_START
    assert backfills(harness) == [True, False]
    assert "absence" in harness.timeline, "no listing alone is proof enough"


async def test_a_cut_off_one_time_flow_that_had_run_waits_for_a_person() -> None:
    harness = Harness()
    resource = await ready_dataflow(harness, is_once=True, has_run=True)
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    view.status = view.status.model_copy(update={"base_connection": BaseConnectionStatus(id="bc-9")})
    del harness.platform.connections["bc-0"]
    harness.hold_base_connection("bc-9")
    assert (await resource.visit()).outcome.reason == "ReplacementRequired"
    assert harness.platform.counts == (0, 1, 1, 1)


async def test_backfill_is_left_out_once_and_each_loss_has_its_own_gap() -> None:
    harness = Harness()
    resource = await ready_dataflow(harness, has_run=True)
    gaps = []
    for _ in range(2):
        lose(harness, resource, ["flow"], Absence.GONE)
        await resource.visit()
        gaps.append(resource.status["gap"])
        harness.clock.time += 7200
        [flow] = harness.platform.flows.values()
        harness.platform.flows[flow.id] = replace(flow, last_run=replace(RUN, started_at=harness.clock.time))
        await resource.visit(full=False)
    assert gaps[0]["since"] < gaps[1]["since"]
    lose(harness, resource, ["flow"], Absence.RESET)
    await resource.visit()
    assert backfills(harness) == [True, False, False, True]
    assert "gap" not in resource.status


async def test_a_flow_that_never_ran_keeps_its_gap_through_a_checkpoint() -> None:
    """A gap without a beginning is still one: what the new flow reads hangs on it."""
    harness = Harness()
    resource = await ready_dataflow(harness, has_run=False)
    lose(harness, resource, ["flow"], Absence.GONE)
    harness.platform.fail("sourceConnections.create", remote_error(), times=1)
    await resource.visit()
    assert resource.status["gap"] == {"noticedTime": NOTICED}
    assert (await resource.visit()).outcome.is_done
    assert backfills(harness) == [True, False]


async def test_a_repair_whose_answer_was_lost_keeps_its_gap_and_closes_it() -> None:
    harness = Harness()
    resource = await ready_dataflow(harness, has_run=True)
    lose(harness, resource, ["flow"], Absence.GONE)
    lost = remote_error(reason="Timeout", maybe_applied=True)
    harness.platform.fail("flows.create", lost, after=True, times=1)
    await resource.visit()
    assert resource.status["gap"] == {"noticedTime": NOTICED, "since": RUN_START}
    assert (await resource.visit()).outcome.is_done
    start = resource.status["schedule"]["effectiveStartTime"]
    assert resource.status["gap"] == {"noticedTime": NOTICED, "since": RUN_START, "until": start}
    assert backfills(harness) == [True, False]


async def test_a_repair_that_failed_is_gone_on_with_and_reads_nothing_again() -> None:
    harness = Harness()
    resource = await ready_dataflow(harness, has_run=True)
    lose(harness, resource, ["source"], Absence.GONE)
    harness.platform.fail("sourceConnections.create", remote_error(), times=1)
    await resource.visit()
    assert "flow" not in resource.status
    assert (await resource.visit()).outcome.is_done
    assert backfills(harness) == [True, False]
    assert harness.platform.counts == (0, 1, 1, 1)
    assert resource.status["gap"]["until"]


async def test_a_loss_is_not_repaired_while_nothing_new_may_be_created() -> None:
    harness = Harness()
    resource = await ready_dataflow(harness)
    lose(harness, resource, ["flow"], Absence.GONE)
    harness.platform.flow_specs.clear()
    harness.clock.time += 700
    assert (await resource.visit()).outcome.reason == "FlowSpecMissing"


# Names and descriptions


def edited(remote: Any, field: str) -> Any:
    """As somebody left it who renamed it in Platform."""
    return replace(remote, **{field: "edited by hand"})


@pytest.mark.parametrize("slot", ["flow", "source", "target"])
@pytest.mark.parametrize("field", ["name", "description"])
async def test_a_remote_rename_is_undone_and_named(slot: str, field: str) -> None:
    harness = Harness()
    resource = await ready_dataflow(harness)
    held = harness.platform.objects(COLLECTIONS[slot])
    [(remote_id, remote)] = held.items()
    held[remote_id] = edited(remote, field)
    result = await resource.visit(full=False)
    assert result.outcome.is_done
    assert replace(held[remote_id], etag=remote.etag) == remote
    assert [call for call in result.calls if call.endswith(".patch")] == [f"{COLLECTIONS[slot]}.patch"]
    assert resource.status["lastDrift"]["fields"] == [f"{slot}.{field}"]
    assert [(event.reason, event.note) for event in result.events] == [
        ("DriftRepaired", f"Restored {slot}.{field}.")
    ]
    assert (await resource.visit(full=False)).step == "quiet"


def flow_option(**changes: Any) -> Any:
    return lambda flow: replace(flow, options=replace(flow.options, **changes))


def flow_schedule(**changes: Any) -> Any:
    return lambda flow: replace(flow, schedule=replace(flow.schedule, **changes))


DRIFT = [
    ("flow", "scheduleParams.frequency", flow_schedule(frequency="day")),
    ("flow", "scheduleParams.interval", flow_schedule(interval=7)),
    ("flow", "scheduleParams.startTime", flow_schedule(start_time=1_900_000_000)),
    ("flow", "scheduleParams.backfill", flow_schedule(backfill=False)),
    ("flow", "options.errorDiagnosticsEnabled", flow_option(error_diagnostics_enabled=False)),
    ("flow", "options.partialIngestionPercent", flow_option(partial_ingestion_percent=50)),
    ("flow", "transformations.Mapping", lambda flow: replace(flow, mapping_set_id="another")),
    ("flow", "transformations.Mapping", lambda flow: replace(flow, mapping_version=3)),
    ("source", "baseConnectionId", lambda source: replace(source, base_connection_id="bc-77")),
    ("source", "params.tableName", lambda source: replace(source, table_name="Leads")),
    ("source", "params.columns", lambda source: replace(source, column_names=("Email",))),
    ("target", "data.schema", lambda target: replace(target, schema_id="https://ns.adobe.com/acme/other")),
    ("target", "data.schema", lambda target: replace(target, schema_version="application/json;version=2")),
    ("target", "params.dataSetId", lambda target: replace(target, dataset_id="other")),
]


@pytest.mark.parametrize(("slot", "field", "edit"), DRIFT, ids=[f"{row[0]} {row[1]}" for row in DRIFT])
async def test_a_remote_edit_of_anything_that_is_owned_is_undone_and_named(
    slot: str, field: str, edit: Any
) -> None:
    harness = Harness()
    resource = await ready_dataflow(harness)
    harness.platform.connections["bc-77"] = replace(harness.platform.connections["bc-0"], id="bc-77")
    held = harness.platform.objects(COLLECTIONS[slot])
    [(remote_id, remote)] = held.items()
    held[remote_id] = edit(remote)
    result = await resource.visit()
    assert result.outcome.is_done
    assert replace(held[remote_id], etag=remote.etag) == remote
    assert [call for call in result.calls if call.endswith(".patch")] == [f"{COLLECTIONS[slot]}.patch"]
    assert resource.status["lastDrift"]["fields"] == [f"{slot}.{field}"]
    assert [event.reason for event in result.events] == ["DriftRepaired"]
    again = await resource.visit()
    assert again.checked
    assert not any(call.endswith(".patch") for call in again.calls)


SAME = [
    ("target", lambda target: replace(target, schema_version="application/vnd.adobe.xed+json; version=1.3")),
    ("source", lambda source: replace(source, column_names=tuple(reversed(source.column_names)))),
    ("flow", lambda flow: replace(flow, last_run=RUN)),
]


@pytest.mark.parametrize(("slot", "edit"), SAME, ids=["content type", "order of columns", "run"])
async def test_what_means_the_same_is_no_drift(slot: str, edit: Any) -> None:
    harness = Harness()
    resource = await ready_dataflow(harness)
    held = harness.platform.objects(COLLECTIONS[slot])
    [(remote_id, remote)] = held.items()
    held[remote_id] = edit(remote)
    result = await resource.visit()
    assert result.outcome.is_done
    assert not any(call.endswith(".patch") for call in result.calls)
    assert "lastDrift" not in resource.status


async def test_the_start_that_a_flow_really_had_is_taken_over_once_it_has_begun() -> None:
    """It can't be changed back any more."""
    harness = Harness()
    resource = await ready_dataflow(harness)
    [(flow_id, flow)] = harness.platform.flows.items()
    harness.platform.flows[flow_id] = flow_schedule(start_time=1_800_000_000)(flow)
    harness.clock.time = 1_800_000_000.0
    result = await resource.visit()
    assert result.outcome.is_done
    assert not any(call.endswith(".patch") for call in result.calls)
    assert resource.status["schedule"]["effectiveStartTime"] == "2027-01-15T08:00:00Z"


async def test_a_successor_reads_nothing_again_though_the_spec_says_backfill() -> None:
    """Until somebody asks for it, which is possible before it begins."""
    harness = Harness()
    resource = await ready_dataflow(harness, has_run=True)
    lose(harness, resource, ["flow"], Absence.GONE)
    await resource.visit()
    for _ in range(2):
        assert not any(call.endswith(".patch") for call in (await resource.visit()).calls)
    resource.edit(lambda spec: spec["schedule"].update(startTime="2031-01-01T00:00:00Z"))
    await resource.until_done()
    [flow] = harness.platform.flows.values()
    assert (flow.schedule.start_time, flow.schedule.backfill) == (1_924_992_000, False)
    assert resource.status["gap"]["until"] == "2031-01-01T00:00:00Z"
    assert not any(call.endswith(".patch") for call in (await resource.visit()).calls)


async def test_the_successor_of_a_lost_flow_reads_the_columns_that_were_pinned() -> None:
    harness = Harness()
    resource = harness.dataflow(source={"table": "Contacts"})
    await resource.visit()
    pinned = resource.status["columns"]
    harness.platform.column_list = [*harness.platform.column_list, new_column("Fax", "string")]
    lose(harness, resource, ["source"], Absence.GONE)
    harness.clock.time += 700
    assert (await resource.visit()).outcome.is_done
    [source] = harness.platform.source_connections.values()
    assert list(source.column_names) == resource.status["columns"] == pinned


@pytest.mark.parametrize("field", ["name", "description"])
async def test_a_remote_rename_of_the_base_connection_is_undone_and_named(field: str) -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    [(remote_id, remote)] = harness.platform.connections.items()
    harness.platform.connections[remote_id] = edited(remote, field)
    result = await resource.visit(full=False)
    assert result.outcome.is_done
    assert replace(harness.platform.connections[remote_id], etag=remote.etag) == remote
    assert resource.status["lastDrift"]["fields"] == [f"baseConnection.{field}"]
    assert [event.reason for event in result.events] == ["DriftRepaired"]


async def test_rotated_credentials_are_no_drift() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated"
    result = await resource.visit()
    assert [event.reason for event in result.events] == ["Updated"]
    assert "lastDrift" not in resource.status


# The base connection


@pytest.mark.parametrize(
    ("absence", "reason"),
    [
        (Absence.GONE, ""),
        (Absence.RESET, ""),
        (Absence.HIDDEN, "HiddenByLabel"),
        (Absence.MASS_DELETION, "MassDeletion"),
    ],
)
async def test_a_base_connection_is_gone(absence: Absence, reason: str) -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.platform.connections.clear()
    harness.inventory.absences["bc-1"] = absence
    result = await resource.visit()
    if reason:
        assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, reason)
        assert "base connection bc-1" in result.outcome.message
        assert harness.platform.connections == {}
        assert resource.status["baseConnection"]["id"] == "bc-1"
        return
    assert result.outcome.is_done
    assert list(harness.platform.connections) == ["bc-2"]
    assert resource.status["baseConnection"] == {"id": "bc-2", "state": "enabled"}
    assert resource.status["lastDrift"]["fields"] == ["baseConnection"]
    assert "connections.test" in result.calls, "the new one has not been tested yet"
    assert [event.reason for event in result.events] == ["Vanished", "Created"]


# Taking over


def successor(resource: Resource, **changes: Any) -> Resource:
    """The same manifest applied again, after the resource was lost without being deleted."""
    return Resource(resource.harness, resource.kind, resource.name, {**resource.spec, **changes}, uid="9f8e")


def creates(calls: Sequence[str]) -> list[str]:
    return [call for call in calls if call.endswith(".create")]


@pytest.mark.parametrize("covers", [True, False], ids=["by the inventory", "by a look-up"])
async def test_a_dataflow_is_taken_over_whole(covers: bool) -> None:
    harness = Harness()
    before = await ready_dataflow(harness)
    after = successor(before)
    harness.inventory.covers_predecessors = covers
    harness.clock.time += 100_000
    result = await after.visit()
    assert result.outcome.is_done
    assert creates(result.calls) == []
    assert harness.platform.counts == (0, 1, 1, 1)
    assert len(harness.platform.mapping_sets) == 1
    assert after.status["flow"]["id"] == before.status["flow"]["id"]
    for field in ("sourceConnectionId", "targetConnectionId", "mappingSet", "schema", "dataset", "source"):
        assert after.status[field] == before.status[field], field
    assert after.status["columns"] == before.status["columns"]
    assert after.status["schedule"] == before.status["schedule"]
    assert "intents" not in after.status
    assert [event.reason for event in result.events] == [*["TakenOver"] * 3, "Updated"]
    for collection in COLLECTIONS.values():
        for remote in harness.platform.objects(collection).values():
            assert remote.description == after.identity.description(None)
    assert (await after.visit(full=False)).step == "quiet"


async def test_a_base_connection_is_taken_over_with_todays_credentials() -> None:
    harness = Harness()
    before = harness.connection()
    await before.visit()
    after = successor(before)
    result = await after.visit()
    assert result.outcome.is_done
    assert creates(result.calls) == []
    [(_, _, operations)] = harness.platform.arguments["connections.patch"]
    assert [operation.path for operation in operations] == ["/description", "/auth/params"]
    assert "connections.test" in result.calls
    assert [event.reason for event in result.events] == ["TakenOver", "Updated"]


async def test_after_a_takeover_the_effective_start_is_the_remote_one() -> None:
    harness = Harness()
    schedule = {"frequency": "Hour", "interval": 1, "backfill": True}
    before = harness.dataflow(schedule=schedule)
    await before.visit()
    harness.clock.time += 100_000
    after = successor(before)
    assert (await after.visit()).outcome.is_done
    assert after.status["schedule"] == before.status["schedule"]
    assert "startTime" not in after.status["schedule"]


SCHEDULE = dataflow_spec()["schedule"]
EDITED = [
    pytest.param({"source": {"table": "Leads"}}, "spec.source.table", id="table"),
    pytest.param(
        {
            "source": {
                "table": "Contacts",
                "columns": ["Email", "First_Name", "Modified_Time", "Created_Time"],
            }
        },
        "spec.source.columns",
        id="columns",
    ),
    pytest.param({"deltaColumn": {"name": "Created_Time"}}, "spec.deltaColumn", id="deltaColumn"),
]


@pytest.mark.parametrize(("changes", "named"), EDITED)
async def test_a_flow_that_does_not_fit_any_more_is_kept_and_said(
    changes: dict[str, Any], named: str
) -> None:
    """Deleting what a flow is built on would only end it."""
    harness = Harness()
    before = await ready_dataflow(harness)
    if "source" in changes and "columns" not in changes["source"]:
        before.spec["source"].pop("columns")
    if named == "spec.source.columns":
        harness.platform.column_list = harness.platform.column_list[:4]
    after = successor(before, **changes)
    counts = harness.platform.counts
    for _ in range(2):
        result = await after.visit()
        assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ReplacementRequired")
        assert named in result.outcome.message
        assert harness.platform.counts == counts
        assert creates(result.calls) in ([], ["mappingSets.create"])
    after.edit(lambda spec: spec.update(copy_of(before)))
    harness.clock.time += CREATE_GRACE
    assert (await after.visit()).outcome.is_done
    assert harness.platform.counts == counts
    assert ids_of(after) == ids_of(before)


def copy_of(resource: Resource) -> dict[str, Any]:
    return {name: value for name, value in resource.spec.items() if name != "displayName"}


async def test_what_a_predecessor_left_half_done_and_fits_is_gone_on_with() -> None:
    harness = Harness()
    before = harness.dataflow(source={"table": "Contacts"})
    harness.platform.fail("flows.create", remote_error(), times=1)
    await before.visit()
    columns = before.status["columns"]
    after = successor(before)
    result = await after.visit()
    assert result.outcome.is_done
    assert creates(result.calls) == ["flows.create"]
    assert after.status["columns"] == columns
    assert after.status["sourceConnectionId"] == before.status["sourceConnectionId"]
    harness.platform.column_list = harness.platform.column_list[:3]
    assert (await after.visit()).outcome.is_done, "later columns are not taken"


async def test_what_a_predecessor_left_half_done_and_does_not_fit_is_made_anew() -> None:
    harness = Harness()
    before = harness.dataflow()
    harness.platform.fail("flows.create", remote_error(), times=1)
    await before.visit()
    after = successor(
        before, source={"table": "Contacts", "columns": ["Email", "First_Name", "Created_Time"]}
    )
    after.spec["deltaColumn"] = {"name": "Created_Time"}
    harness.inventory.covers_predecessors = False
    result = await after.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "CreatePending")
    harness.clock.time += CREATE_GRACE
    assert (await after.until_done()).outcome.is_done
    assert harness.platform.counts == (0, 1, 1, 1)
    [source] = harness.platform.source_connections.values()
    assert source.column_names == ("Email", "First_Name", "Created_Time")
    assert after.status["columns"] == ["Email", "First_Name", "Created_Time"]


async def test_what_was_let_go_is_not_gone_on_with() -> None:
    """A stale listing named source and target connection of a flow that an earlier resource has let go."""
    harness = Harness()
    before = harness.dataflow()
    await before.until_done()
    before.edit(lambda spec: spec.update(deletionPolicy="Orphan"))
    ids = {key: before.status[key] for key in ("sourceConnectionId", "targetConnectionId")}
    await before.visit(deleting=True)
    after = successor(
        before, source={"table": "Contacts", "columns": ["Email", "First_Name", "Created_Time"]}
    )
    after.spec["deltaColumn"] = {"name": "Created_Time"}
    after.status.update(ids)
    assert (await after.until_done()).outcome.is_done
    assert harness.platform.counts == (0, 2, 2, 2)


async def test_of_two_source_connections_the_one_in_use_is_taken_over_and_the_other_goes() -> None:
    harness = Harness()
    before = await ready_dataflow(harness)
    [(source_id, source)] = harness.platform.source_connections.items()
    spare = replace(source, id="sc-0")
    harness.platform.source_connections = {"sc-0": spare, source_id: source}
    after = successor(before)
    result = await after.visit()
    assert result.outcome.is_done
    assert ids_of(after) == ids_of(before)
    assert list(harness.platform.source_connections) == [source_id]
    assert "DuplicateRemoved" in [event.reason for event in result.events]


def equal_to(first: Resource, name: str, **changes: Any) -> Resource:
    """Another dataflow with the same spec, but for ``changes``."""
    return Resource(first.harness, first.kind, name, {**first.spec, **changes})


async def test_a_mapping_set_of_the_same_content_is_shared() -> None:
    harness = Harness()
    first = await ready_dataflow(harness)
    second = equal_to(first, "contacts-2")
    result = await second.visit()
    assert result.outcome.is_done
    assert not {"mappingSets.list", "mappingSets.create"} & set(result.calls)
    assert second.status["mappingSet"] == first.status["mappingSet"]
    other = equal_to(first, "contacts-3", mapping=first.spec["mapping"][:1])
    assert "mappingSets.create" in (await other.visit()).calls
    assert other.status["mappingSet"]["id"] != first.status["mappingSet"]["id"]


async def test_two_new_dataflows_that_map_alike_create_one_mapping_set() -> None:
    harness = Harness()
    first = harness.dataflow()
    await asyncio.gather(first.visit(), equal_to(first, "contacts-2").visit())
    assert harness.platform.counts == (0, 2, 2, 2)
    assert len(harness.platform.mapping_sets) == 1


async def test_after_a_restart_the_mapping_sets_of_living_dataflows_are_known() -> None:
    harness = Harness()
    first = await ready_dataflow(harness)
    harness.services = replace(harness.services, mapping_sets=CreatedNames())
    assert (await first.visit(full=False)).step == "quiet"
    assert "mappingSets.create" not in (await equal_to(first, "contacts-2").visit()).calls


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_mapping_set_whose_creation_was_lost_is_looked_for(arrived: bool) -> None:
    harness = Harness()
    resource = harness.dataflow()
    harness.platform.fail("mappingSets.create", remote_error(maybe_applied=True), after=arrived, times=1)
    await resource.visit()
    result = await resource.until_done()
    assert "mappingSets.list" in result.calls
    assert len(harness.platform.mapping_sets) == 1


async def test_after_a_reset_no_mapping_set_of_before_is_used() -> None:
    harness = Harness()
    first = await ready_dataflow(harness)
    second = equal_to(first, "contacts-2")
    await second.visit()
    before = lose(harness, first, list(COLLECTIONS), Absence.RESET)
    lose(harness, second, list(COLLECTIONS), Absence.RESET)
    harness.platform.mapping_sets.clear()
    harness.platform.mapping_set_names.clear()
    assert (await first.visit()).outcome.is_done
    assert (await second.visit()).outcome.is_done
    assert len(harness.platform.mapping_sets) == 1
    used = {flow.mapping_set_id for flow in harness.platform.flows.values()}
    assert used == set(harness.platform.mapping_sets)
    assert before["flow"] not in harness.platform.flows


@pytest.mark.parametrize("absence", [Absence.HIDDEN, Absence.MASS_DELETION])
async def test_a_base_connection_that_may_be_there_cuts_nothing_off(absence: Absence) -> None:
    """No listing shows it: that is no proof, and what is deleted on a guess is gone for good."""
    harness = Harness()
    resource = await ready_dataflow(harness)
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    view.status = view.status.model_copy(update={"base_connection": BaseConnectionStatus(id="bc-9")})
    harness.hold_base_connection("bc-9")
    harness.inventory.absences["bc-0"] = absence
    result = await resource.visit()
    assert result.outcome.reason == "ReplacementRequired"
    assert harness.platform.counts[1:] == (1, 1, 1)


async def test_a_base_connection_that_is_there_cuts_nothing_off_though_no_listing_shows_it() -> None:
    harness = Harness()
    resource = await ready_dataflow(harness)
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    view.status = view.status.model_copy(update={"base_connection": BaseConnectionStatus(id="bc-9")})
    harness.hold_base_connection("bc-9")
    harness.platform.hidden_names.add("Zoho EU")
    result = await resource.visit()
    assert result.outcome.reason == "ReplacementRequired"
    assert not [call for call in result.calls if call.startswith(("delete", "create", "patch"))]


@pytest.mark.parametrize("refused", ["flows.delete", "targetConnections.delete"])
async def test_what_was_lost_is_known_though_the_rest_can_not_be_deleted_yet(refused: str) -> None:
    harness = Harness()
    resource = await ready_dataflow(harness, has_run=True)
    lose(harness, resource, ["source"], Absence.GONE)
    harness.platform.fail(refused, remote_error(ErrorClass.IN_USE, "InUse"), times=2)
    for _ in range(4):
        await resource.visit()
    result = await resource.until_done()
    assert result.outcome.is_done
    assert backfills(harness)[-1] is False
    assert resource.status["gap"]["since"] == RUN_START
    assert len(harness.platform.flows) == 1
