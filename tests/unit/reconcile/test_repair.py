"""What is done about objects that somebody deleted, renamed or made before: for both kinds."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.listings import Collection
from crmflow.aep.models import Run
from crmflow.api.zohosourceconnection import BaseConnection
from crmflow.observability.events import EventType
from crmflow.reconcile.outcome import OutcomeClass
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.shared import CreatedNames
from tests.unit.reconcile.fakes import new_column, remote_error
from tests.unit.reconcile.world import (
    CONNECTION_NAME,
    CREATE_GRACE,
    NAMESPACE,
    Resource,
    World,
    dataflow_spec,
)

STALLED, WAITING = OutcomeClass.STALLED, OutcomeClass.WAITING
COLLECTIONS = {
    "flow": Collection.FLOWS,
    "source": Collection.SOURCE_CONNECTIONS,
    "target": Collection.TARGET_CONNECTIONS,
}
RUN = Run("r1", "flow-3", "success", 1_759_999_000.0, 1_759_999_060.0)
RUN_START = "2025-10-09T08:36:40Z"
NOTICED = "2025-10-09T08:53:20Z"


def once() -> dict[str, Any]:
    return {"schedule": {"frequency": "Once"}, "ingestion": {}, "deltaColumn": None}


async def ready_dataflow(world: World, *, is_once: bool = False, has_run: bool = False) -> Resource:
    """A dataflow that is Ready, with or without a run."""
    resource = world.dataflow(**(once() if is_once else {}))
    if is_once:
        del resource.spec["deltaColumn"]
    await resource.until_done()
    if has_run:
        [flow] = world.platform.flows.values()
        world.platform.flows[flow.id] = replace(flow, last_run=RUN)
        assert (await resource.visit(full=False)).step == "quiet"
        assert resource.status["lastRun"]["startTime"] == RUN_START
    world.timeline.clear()
    return resource


def ids_of(resource: Resource) -> dict[str, str]:
    status = resource.status
    return {
        "flow": status["flow"]["id"],
        "source": status["sourceConnectionId"],
        "target": status["targetConnectionId"],
    }


def lose(world: World, resource: Resource, slots: Sequence[str], absence: Absence) -> dict[str, str]:
    """Somebody deletes what is in ``slots``; the ids of all."""
    ids = ids_of(resource)
    for slot in slots:
        del world.platform.held(COLLECTIONS[slot])[ids[slot]]
        world.inventory.absences[ids[slot]] = absence
    return ids


def backfills(world: World) -> list[Any]:
    """``backfill`` of each flow that was created."""
    return [arguments[8].get("backfill") for arguments in world.platform.arguments["create_flow"]]


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
    world = World()
    resource = await ready_dataflow(world, is_once=is_once, has_run=has_run)
    before = lose(world, resource, lost, absence)
    counts = world.platform.counts
    kept = {
        Absence.HIDDEN: "HiddenByLabel",
        Absence.MASS_VANISH: "MassVanish",
    }.get(absence)
    if kept is None and is_once and has_run and absence is Absence.GONE:
        kept = "ReplacementRequired"

    result = await resource.visit()

    if kept is not None:
        assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, kept)
        assert world.platform.counts == counts, "what is left is left alone"
        assert ids_of(resource) == before
        assert "gap" not in resource.status
        assert "lastDrift" not in resource.status
        return
    assert result.outcome.is_done
    assert resource.condition("Ready")[0] == "True"
    assert world.platform.counts == (0, 1, 1, 1)
    assert set(ids_of(resource).values()).isdisjoint(before.values())
    left = [f"delete_{call}" for slot, call in CALLS.items() if slot not in lost]
    assert [call for call in result.calls if call.startswith("delete_")] == left
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
    assert backfills(world) == [None if is_once else True, again]


CALLS = {"flow": "flow", "source": "source_connection", "target": "target_connection"}


async def test_a_base_connection_that_is_gone_takes_the_dataflow_along() -> None:
    """The source connection of the flow hangs on an id that will never come back."""
    world = World()
    world.hold_base_connection()
    resource = await ready_dataflow(world, has_run=True)
    before = ids_of(resource)
    view = world.peers.connections[NAMESPACE, CONNECTION_NAME]
    view.status = view.status.model_copy(update={"base_connection": BaseConnection(id="bc-9")})
    del world.platform.connections["bc-0"]
    assert (await resource.visit(full=False)).step != "quiet"
    assert set(ids_of(resource).values()).isdisjoint(before.values())
    assert world.platform.counts == (0, 1, 1, 1)
    [source] = world.platform.source_connections.values()
    assert source.base_connection_id == "bc-9"
    assert resource.status["lastDrift"]["fields"] == ["source"]
    assert resource.status["gap"]["since"] == RUN_START
    assert backfills(world) == [True, False]
    assert "absence" not in world.timeline


async def test_a_cut_off_one_time_flow_that_had_run_waits_for_a_person() -> None:
    world = World()
    resource = await ready_dataflow(world, is_once=True, has_run=True)
    view = world.peers.connections[NAMESPACE, CONNECTION_NAME]
    view.status = view.status.model_copy(update={"base_connection": BaseConnection(id="bc-9")})
    assert (await resource.visit()).outcome.reason == "ReplacementRequired"
    assert world.platform.counts == (0, 1, 1, 1)


async def test_backfill_is_left_out_once_and_each_loss_has_its_own_gap() -> None:
    world = World()
    resource = await ready_dataflow(world, has_run=True)
    gaps = []
    for _ in range(2):
        lose(world, resource, ["flow"], Absence.GONE)
        await resource.visit()
        gaps.append(resource.status["gap"])
        world.clock.time += 7200
        [flow] = world.platform.flows.values()
        world.platform.flows[flow.id] = replace(flow, last_run=replace(RUN, started_at=world.clock.time))
        await resource.visit(full=False)
    assert gaps[0]["since"] < gaps[1]["since"]
    lose(world, resource, ["flow"], Absence.RESET)
    await resource.visit()
    assert backfills(world) == [True, False, False, True]
    assert "gap" not in resource.status


async def test_a_flow_that_never_ran_keeps_its_gap_through_a_checkpoint() -> None:
    """A gap without a beginning is still one: what the new flow reads hangs on it."""
    world = World()
    resource = await ready_dataflow(world, has_run=False)
    lose(world, resource, ["flow"], Absence.GONE)
    world.platform.fail("create_source_connection", remote_error(), times=1)
    await resource.visit()
    assert resource.status["gap"] == {"noticedTime": NOTICED}
    assert (await resource.visit()).outcome.is_done
    assert backfills(world) == [True, False]


async def test_a_repair_whose_answer_was_lost_keeps_its_gap_and_closes_it() -> None:
    world = World()
    resource = await ready_dataflow(world, has_run=True)
    lose(world, resource, ["flow"], Absence.GONE)
    lost = remote_error(reason="Timeout", maybe_applied=True)
    world.platform.fail("create_flow", lost, after=True, times=1)
    await resource.visit()
    assert resource.status["gap"] == {"noticedTime": NOTICED, "since": RUN_START}
    assert (await resource.visit()).outcome.is_done
    start = resource.status["schedule"]["effectiveStartTime"]
    assert resource.status["gap"] == {"noticedTime": NOTICED, "since": RUN_START, "until": start}
    assert backfills(world) == [True, False]


async def test_a_repair_that_failed_is_gone_on_with_and_reads_nothing_again() -> None:
    world = World()
    resource = await ready_dataflow(world, has_run=True)
    lose(world, resource, ["source"], Absence.GONE)
    world.platform.fail("create_source_connection", remote_error(), times=1)
    await resource.visit()
    assert "flow" not in resource.status
    assert (await resource.visit()).outcome.is_done
    assert backfills(world) == [True, False]
    assert world.platform.counts == (0, 1, 1, 1)
    assert resource.status["gap"]["until"]


async def test_a_loss_is_not_repaired_while_nothing_new_may_be_created() -> None:
    world = World()
    resource = await ready_dataflow(world)
    lose(world, resource, ["flow"], Absence.GONE)
    world.platform.flow_specs.clear()
    world.clock.time += 700
    assert (await resource.visit()).outcome.reason == "FlowSpecMissing"


# Names and descriptions


def edited(remote: Any, field: str) -> Any:
    """As somebody left it who renamed it in Platform."""
    return replace(remote, **{field: "edited by hand"})


@pytest.mark.parametrize("slot", ["flow", "source", "target"])
@pytest.mark.parametrize("field", ["name", "description"])
async def test_a_remote_rename_is_undone_and_named(slot: str, field: str) -> None:
    world = World()
    resource = await ready_dataflow(world)
    held = world.platform.held(COLLECTIONS[slot])
    [(remote_id, remote)] = held.items()
    held[remote_id] = edited(remote, field)
    result = await resource.visit(full=False)
    assert result.outcome.is_done
    assert held[remote_id] == remote
    assert [call for call in result.calls if call.startswith("patch_")] == [f"patch_{CALLS[slot]}"]
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
    world = World()
    resource = await ready_dataflow(world)
    world.hold_base_connection()
    world.platform.connections["bc-77"] = replace(world.platform.connections["bc-0"], id="bc-77")
    held = world.platform.held(COLLECTIONS[slot])
    [(remote_id, remote)] = held.items()
    held[remote_id] = edit(remote)
    result = await resource.visit()
    assert result.outcome.is_done
    assert held[remote_id] == remote
    assert [call for call in result.calls if call.startswith("patch_")] == [f"patch_{CALLS[slot]}"]
    assert resource.status["lastDrift"]["fields"] == [f"{slot}.{field}"]
    assert [event.reason for event in result.events] == ["DriftRepaired"]
    again = await resource.visit()
    assert again.checked
    assert not any(call.startswith("patch_") for call in again.calls)


SAME = [
    ("target", lambda target: replace(target, schema_version="application/vnd.adobe.xed+json; version=1.3")),
    ("source", lambda source: replace(source, column_names=tuple(reversed(source.column_names)))),
    ("flow", lambda flow: replace(flow, last_run=RUN)),
]


@pytest.mark.parametrize(("slot", "edit"), SAME, ids=["content type", "order of columns", "run"])
async def test_what_means_the_same_is_no_drift(slot: str, edit: Any) -> None:
    world = World()
    resource = await ready_dataflow(world)
    held = world.platform.held(COLLECTIONS[slot])
    [(remote_id, remote)] = held.items()
    held[remote_id] = edit(remote)
    result = await resource.visit()
    assert result.outcome.is_done
    assert not any(call.startswith("patch_") for call in result.calls)
    assert "lastDrift" not in resource.status


async def test_the_start_that_a_flow_really_had_is_taken_over_once_it_has_begun() -> None:
    """It can't be changed back any more."""
    world = World()
    resource = await ready_dataflow(world)
    [(flow_id, flow)] = world.platform.flows.items()
    world.platform.flows[flow_id] = flow_schedule(start_time=1_800_000_000)(flow)
    world.clock.time = 1_800_000_000.0
    result = await resource.visit()
    assert result.outcome.is_done
    assert not any(call.startswith("patch_") for call in result.calls)
    assert resource.status["schedule"]["effectiveStartTime"] == "2027-01-15T08:00:00Z"


async def test_a_successor_reads_nothing_again_though_the_spec_says_backfill() -> None:
    """Until somebody asks for it, which is possible before it begins."""
    world = World()
    resource = await ready_dataflow(world, has_run=True)
    lose(world, resource, ["flow"], Absence.GONE)
    await resource.visit()
    for _ in range(2):
        assert not any(call.startswith("patch_") for call in (await resource.visit()).calls)
    resource.edit(lambda spec: spec["schedule"].update(startTime="2031-01-01T00:00:00Z"))
    await resource.until_done()
    [flow] = world.platform.flows.values()
    assert (flow.schedule.start_time, flow.schedule.backfill) == (1_924_992_000, False)
    assert resource.status["gap"]["until"] == "2031-01-01T00:00:00Z"
    assert not any(call.startswith("patch_") for call in (await resource.visit()).calls)


async def test_the_successor_of_a_lost_flow_reads_the_columns_that_were_pinned() -> None:
    world = World()
    resource = world.dataflow(source={"table": "Contacts"})
    await resource.visit()
    pinned = resource.status["columns"]
    world.platform.column_list = [*world.platform.column_list, new_column("Fax", "string")]
    lose(world, resource, ["source"], Absence.GONE)
    world.clock.time += 700
    assert (await resource.visit()).outcome.is_done
    [source] = world.platform.source_connections.values()
    assert list(source.column_names) == resource.status["columns"] == pinned


@pytest.mark.parametrize("field", ["name", "description"])
async def test_a_remote_rename_of_the_base_connection_is_undone_and_named(field: str) -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    [(remote_id, remote)] = world.platform.connections.items()
    world.platform.connections[remote_id] = edited(remote, field)
    result = await resource.visit(full=False)
    assert result.outcome.is_done
    assert world.platform.connections[remote_id] == remote
    assert resource.status["lastDrift"]["fields"] == [f"baseConnection.{field}"]
    assert [event.reason for event in result.events] == ["DriftRepaired"]


async def test_rotated_credentials_are_no_drift() -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    world.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated"
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
        (Absence.MASS_VANISH, "MassVanish"),
    ],
)
async def test_a_base_connection_is_gone(absence: Absence, reason: str) -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    world.platform.connections.clear()
    world.inventory.absences["bc-1"] = absence
    result = await resource.visit()
    if reason:
        assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, reason)
        assert "base connection bc-1" in result.outcome.message
        assert world.platform.connections == {}
        assert resource.status["baseConnection"]["id"] == "bc-1"
        return
    assert result.outcome.is_done
    assert list(world.platform.connections) == ["bc-2"]
    assert resource.status["baseConnection"] == {"id": "bc-2", "state": "enabled"}
    assert resource.status["lastDrift"]["fields"] == ["baseConnection"]
    assert "test_connection" in result.calls, "the new one has not been tested yet"
    assert [event.reason for event in result.events] == ["Vanished", "Created"]


# Taking over


def successor(resource: Resource, **changes: Any) -> Resource:
    """The same manifest applied again, after the resource was lost without being deleted."""
    return Resource(
        resource.world, resource.reconciler, resource.name, {**resource.spec, **changes}, uid="9f8e"
    )


def creates(calls: Sequence[str]) -> list[str]:
    return [call for call in calls if call.startswith("create_")]


@pytest.mark.parametrize("covers", [True, False], ids=["by the inventory", "by a look-up"])
async def test_a_dataflow_is_taken_over_whole(covers: bool) -> None:
    world = World()
    before = await ready_dataflow(world)
    after = successor(before)
    world.inventory.covers_predecessors = covers
    world.clock.time += 100_000
    result = await after.visit()
    assert result.outcome.is_done
    assert creates(result.calls) == []
    assert world.platform.counts == (0, 1, 1, 1)
    assert len(world.platform.mapping_sets) == 1
    assert after.status["flow"]["id"] == before.status["flow"]["id"]
    for field in ("sourceConnectionId", "targetConnectionId", "mappingSet", "schema", "dataset", "source"):
        assert after.status[field] == before.status[field], field
    assert after.status["columns"] == before.status["columns"]
    assert after.status["schedule"] == before.status["schedule"]
    assert "intents" not in after.status
    assert [event.reason for event in result.events] == [*["TakenOver"] * 3, "Updated"]
    for collection in COLLECTIONS.values():
        for remote in world.platform.held(collection).values():
            assert remote.description == after.identity.description(None)
    assert (await after.visit(full=False)).step == "quiet"


async def test_a_base_connection_is_taken_over_with_todays_credentials() -> None:
    world = World()
    before = world.connection()
    await before.visit()
    after = successor(before)
    result = await after.visit()
    assert result.outcome.is_done
    assert creates(result.calls) == []
    [(_, _, operations)] = world.platform.arguments["patch_connection"]
    assert [operation.path for operation in operations] == ["/description", "/auth/params"]
    assert "test_connection" in result.calls
    assert [event.reason for event in result.events] == ["TakenOver", "Updated"]


async def test_after_a_takeover_the_effective_start_is_the_remote_one() -> None:
    world = World()
    schedule = {"frequency": "Hour", "interval": 1, "backfill": True}
    before = world.dataflow(schedule=schedule)
    await before.visit()
    world.clock.time += 100_000
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
    world = World()
    before = await ready_dataflow(world)
    if "source" in changes and "columns" not in changes["source"]:
        before.spec["source"].pop("columns")
    if named == "spec.source.columns":
        world.platform.column_list = world.platform.column_list[:4]
    after = successor(before, **changes)
    counts = world.platform.counts
    for _ in range(2):
        result = await after.visit()
        assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ReplacementRequired")
        assert named in result.outcome.message
        assert world.platform.counts == counts
        assert creates(result.calls) in ([], ["create_mapping_set"])
    after.edit(lambda spec: spec.update(copy_of(before)))
    world.clock.time += CREATE_GRACE
    assert (await after.visit()).outcome.is_done
    assert world.platform.counts == counts
    assert ids_of(after) == ids_of(before)


def copy_of(resource: Resource) -> dict[str, Any]:
    return {name: value for name, value in resource.spec.items() if name != "displayName"}


async def test_what_a_predecessor_left_half_done_and_fits_is_gone_on_with() -> None:
    world = World()
    before = world.dataflow(source={"table": "Contacts"})
    world.platform.fail("create_flow", remote_error(), times=1)
    await before.visit()
    columns = before.status["columns"]
    after = successor(before)
    result = await after.visit()
    assert result.outcome.is_done
    assert creates(result.calls) == ["create_flow"]
    assert after.status["columns"] == columns
    assert after.status["sourceConnectionId"] == before.status["sourceConnectionId"]
    world.platform.column_list = world.platform.column_list[:3]
    assert (await after.visit()).outcome.is_done, "later columns are not taken"


async def test_what_a_predecessor_left_half_done_and_does_not_fit_is_made_anew() -> None:
    world = World()
    before = world.dataflow()
    world.platform.fail("create_flow", remote_error(), times=1)
    await before.visit()
    after = successor(
        before, source={"table": "Contacts", "columns": ["Email", "First_Name", "Created_Time"]}
    )
    after.spec["deltaColumn"] = {"name": "Created_Time"}
    world.inventory.covers_predecessors = False
    result = await after.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "CreatePending")
    world.clock.time += CREATE_GRACE
    assert (await after.until_done()).outcome.is_done
    assert world.platform.counts == (0, 1, 1, 1)
    [source] = world.platform.source_connections.values()
    assert source.column_names == ("Email", "First_Name", "Created_Time")
    assert after.status["columns"] == ["Email", "First_Name", "Created_Time"]


async def test_what_was_let_go_is_not_gone_on_with() -> None:
    """A stale listing named source and target connection of a flow that an earlier resource has let go."""
    world = World()
    before = world.dataflow()
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
    assert world.platform.counts == (0, 2, 2, 2)


async def test_of_two_source_connections_the_one_in_use_is_taken_over_and_the_other_goes() -> None:
    world = World()
    before = await ready_dataflow(world)
    [(source_id, source)] = world.platform.source_connections.items()
    spare = replace(source, id="sc-0")
    world.platform.source_connections = {"sc-0": spare, source_id: source}
    after = successor(before)
    result = await after.visit()
    assert result.outcome.is_done
    assert ids_of(after) == ids_of(before)
    assert list(world.platform.source_connections) == [source_id]
    assert "DuplicateRemoved" in [event.reason for event in result.events]


def equal_to(first: Resource, name: str, **changes: Any) -> Resource:
    """Another dataflow with the same spec, but for ``changes``."""
    return Resource(first.world, first.reconciler, name, {**first.spec, **changes})


async def test_a_mapping_set_of_the_same_content_is_shared() -> None:
    world = World()
    first = await ready_dataflow(world)
    second = equal_to(first, "contacts-2")
    result = await second.visit()
    assert result.outcome.is_done
    assert not {"find_mapping_set", "create_mapping_set"} & set(result.calls)
    assert second.status["mappingSet"] == first.status["mappingSet"]
    other = equal_to(first, "contacts-3", mapping=first.spec["mapping"][:1])
    assert "create_mapping_set" in (await other.visit()).calls
    assert other.status["mappingSet"]["id"] != first.status["mappingSet"]["id"]


async def test_two_new_dataflows_that_map_alike_create_one_mapping_set() -> None:
    world = World()
    first = world.dataflow()
    await asyncio.gather(first.visit(), equal_to(first, "contacts-2").visit())
    assert world.platform.counts == (0, 2, 2, 2)
    assert len(world.platform.mapping_sets) == 1


async def test_after_a_restart_the_mapping_sets_of_living_dataflows_are_known() -> None:
    world = World()
    first = await ready_dataflow(world)
    world.services = replace(world.services, mapping_sets=CreatedNames())
    assert (await first.visit(full=False)).step == "quiet"
    assert "create_mapping_set" not in (await equal_to(first, "contacts-2").visit()).calls


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_mapping_set_whose_creation_was_lost_is_looked_for(arrived: bool) -> None:
    world = World()
    resource = world.dataflow()
    world.platform.fail("create_mapping_set", remote_error(maybe_applied=True), after=arrived, times=1)
    await resource.visit()
    result = await resource.until_done()
    assert "find_mapping_set" in result.calls
    assert len(world.platform.mapping_sets) == 1


async def test_after_a_reset_no_mapping_set_of_before_is_used() -> None:
    world = World()
    first = await ready_dataflow(world)
    second = equal_to(first, "contacts-2")
    await second.visit()
    before = lose(world, first, list(COLLECTIONS), Absence.RESET)
    lose(world, second, list(COLLECTIONS), Absence.RESET)
    world.platform.mapping_sets.clear()
    world.platform.mapping_set_names.clear()
    assert (await first.visit()).outcome.is_done
    assert (await second.visit()).outcome.is_done
    assert len(world.platform.mapping_sets) == 1
    used = {flow.mapping_set_id for flow in world.platform.flows.values()}
    assert used == set(world.platform.mapping_sets)
    assert before["flow"] not in world.platform.flows
