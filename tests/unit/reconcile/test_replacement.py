"""A flow that is replaced by another one: planned, approved, made, handed over, and taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmflow.aep.models import FlowSpec, Run, RunMetrics, RunState
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import CRMDataflowStatus
from crmflow.api.zohosourceconnection import LandingZoneStatus, ZohoOrganization
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.dataflow.replacement import RETRY_AFTER
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.sources.offer import FLOW_SPEC_NAME
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import CONNECTION_NAME, NAMESPACE, Harness, Resource

STARTED = 1_893_456_000.0 + 5 * 3600 + 600
"""Ten minutes after the sixth run of a flow that began with 2030 and runs each hour."""
HOUR = timedelta(hours=1)
STALLED, WAITING = OutcomeClass.STALLED, OutcomeClass.WAITING


async def running(**changes: Any) -> tuple[Harness, Resource]:
    """A dataflow through Platform's source, whose flow runs each hour and has run."""
    harness = Harness()
    resource = harness.dataflow(**changes)
    await resource.until_done()
    harness.clock.time = STARTED
    ran(harness, flow_id(resource), STARTED - 600)
    await resource.visit()
    return harness, resource


def flow_id(resource: Resource) -> str:
    return str(resource.status["flow"]["id"])


def ran(
    harness: Harness, flow: str, started: float, state: str = RunState.SUCCESS, *, window: bool = True
) -> None:
    """A run of a flow that began then, and has ended unless it goes on."""
    is_final = state in (RunState.SUCCESS, RunState.FAILED)
    number = len(harness.platform.runs)
    run = Run(
        f"run-{number}",
        flow,
        state,
        started,
        started + 60 if is_final else None,
        RunMetrics(records_read=1, records_written=1) if is_final else None,
        window=(started - 3600, started) if window else None,
    )
    harness.platform.runs[run.id] = harness.inventory.runs[flow] = run


def forget_runs(harness: Harness) -> None:
    harness.platform.runs.clear()
    harness.inventory.runs.clear()


def open_landing_zone(harness: Harness) -> None:
    """The connection keeps its base connection, and its landing zone is open as well."""
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    update = {
        "landing_zone": LandingZoneStatus(container="dlz-user-container"),
        "zoho_organization": ZohoOrganization(id="org-1", edition="enterprise"),
    }
    status = view.status.model_copy(update=update)
    harness.lister.connections[NAMESPACE, CONNECTION_NAME] = replace(view, status=status)


def approve(resource: Resource) -> None:
    resource.requests["approve-plan"] = resource.status["plan"]["hash"]


async def approved(resource: Resource) -> None:
    """The plan is shown, and a person approves it."""
    result = await resource.visit()
    assert result.outcome.reason == "ReplacementRequired"
    approve(resource)


async def passes(resource: Resource, count: int = 6) -> None:
    for _ in range(count):
        await resource.visit()


def other_delta(spec: dict[str, Any]) -> None:
    spec["deltaColumn"] = {"name": "Created_Time"}


def other_table(spec: dict[str, Any]) -> None:
    spec["source"]["table"] = "Leads"


def to_the_landing_zone(spec: dict[str, Any]) -> None:
    spec["transport"] = "LandingZone"


def names(harness: Harness) -> list[str]:
    platform = harness.platform
    objects = (platform.flows, platform.source_connections, platform.target_connections)
    return [remote.name for held in objects for remote in held.values()]


def has_its_names(harness: Harness, resource: Resource) -> bool:
    """One flow, source and target connection, and each bears the key of revision 0."""
    keys = sorted(resource.identity.key(kind.slot) for kind in resource.kind.remote_objects[:3])
    return sorted(name[name.index("[") :] for name in names(harness)) == keys


# The plan


async def test_a_plan_is_shown_and_nothing_is_done() -> None:
    harness, resource = await running()
    before = dict(harness.platform.flows)
    resource.edit(other_table)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ReplacementRequired")
    assert result.outcome.message.startswith("spec.source.table can't be changed on a flow that exists")
    assert "reads all records" in result.outcome.message
    assert "twice every record that it has already" in result.outcome.message
    plan = resource.status["plan"]
    assert plan["state"] == "WaitingForApproval"
    assert plan["reads"]["begin"] == "Beginning"
    old = flow_id(resource)
    assert [(one["action"], one["object"], one.get("id")) for one in plan["actions"]] == [
        ("Share", "mapping set", None),
        ("Create", "source connection", None),
        ("Create", "target connection", None),
        ("Create", "flow", None),
        ("Disable", "flow", old),
        ("Delete", "flow", old),
        ("Delete", "source connection", resource.status["sourceConnectionId"]),
        ("Delete", "target connection", resource.status["targetConnectionId"]),
    ]
    assert plan["hash"] in result.outcome.message
    assert harness.platform.flows == before


async def test_an_unrelated_edit_and_the_time_change_no_plan() -> None:
    harness, resource = await running()
    resource.edit(other_table)
    await resource.visit()
    own_hash = resource.status["plan"]["hash"]
    resource.edit(lambda spec: spec.update(displayName="Another", resyncInterval="30m"))
    harness.clock.time += 86400
    await resource.visit()
    assert resource.status["plan"]["hash"] == own_hash


@pytest.mark.parametrize(
    "change",
    [
        other_delta,
        lambda spec: spec["source"].update(columns=["Email", "First_Name"]),
        lambda spec: spec["mapping"].pop(),
    ],
)
async def test_what_the_new_flow_is_changes_the_plan(change: Any) -> None:
    _, resource = await running()
    resource.edit(other_table)
    await resource.visit()
    own_hash = resource.status["plan"]["hash"]
    resource.edit(change)
    await resource.visit()
    assert resource.status["plan"]["hash"] != own_hash


async def test_the_approval_of_another_plan_means_nothing() -> None:
    harness, resource = await running()
    resource.edit(other_table)
    await approved(resource)
    resource.edit(other_delta)
    result = await resource.visit()
    assert result.outcome.reason == "ReplacementRequired"
    assert "approved" not in resource.status["plan"]
    assert len(harness.platform.flows) == 1


async def test_a_plan_that_is_moot_disappears() -> None:
    _, resource = await running()
    table = resource.spec["source"]["table"]
    resource.edit(other_table)
    await resource.visit()
    resource.edit(lambda spec: spec["source"].update(table=table))
    assert (await resource.visit()).outcome.is_done
    assert "plan" not in resource.status


async def test_what_can_not_be_made_is_said_before_anything_is_done() -> None:
    harness, resource = await running(replacementPolicy="Automatic")
    before = dict(harness.platform.flows)
    resource.edit(lambda spec: spec["source"].update(table="Nowhere"))
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "TableNotFound")
    assert "goes on as it is" in result.outcome.message
    assert harness.platform.flows == before


# From Platform's source to itself


async def test_the_successor_begins_with_a_run_of_the_predecessor() -> None:
    harness, resource = await running()
    old = flow_id(resource)
    resource.edit(other_delta)
    await approved(resource)
    await passes(resource)

    handover = datetime.fromtimestamp(STARTED - 600, UTC) + HOUR
    new = flow_id(resource)
    assert new != old
    made = harness.platform.flows[new]
    assert made.schedule.start_time == int(handover.timestamp())
    assert made.schedule.backfill is False
    assert harness.platform.flows[old].state == "enabled", "it goes on until its run has ended"
    assert resource.condition("Ready")[0] == "True"
    assert resource.condition("Synced")[:2] == ("True", "Replacing")
    assert resource.status["plan"]["state"] == "InProgress"
    assert resource.status["plan"]["approved"] == "Annotation"

    harness.clock.time = handover.timestamp() + 30
    ran(harness, old, handover.timestamp(), RunState.IN_PROGRESS)
    await passes(resource, 2)
    assert harness.platform.flows[old].state == "enabled"

    forget_runs(harness)
    ran(harness, old, handover.timestamp())
    await passes(resource, 2)
    assert harness.platform.flows[old].state == "disabled"

    ran(harness, new, handover.timestamp())
    await passes(resource, 3)
    assert list(harness.platform.flows) == [new]
    assert has_its_names(harness, resource)
    assert "predecessor" not in resource.status
    assert "plan" not in resource.status
    assert "slotRevision" not in resource.status
    assert (await resource.visit()).outcome.is_done
    assert (await resource.visit(full=False)).step == "quiet"


async def test_a_run_that_never_comes_is_waited_for_one_period() -> None:
    harness, resource = await running()
    old = flow_id(resource)
    resource.edit(other_delta)
    await approved(resource)
    await passes(resource)
    start = datetime.fromisoformat(resource.status["schedule"]["effectiveStartTime"])
    harness.clock.time = (start + HOUR).timestamp()
    await passes(resource)
    assert old not in harness.platform.flows
    assert has_its_names(harness, resource)


async def test_another_table_is_read_from_its_beginning() -> None:
    harness, resource = await running(replacementPolicy="Automatic")
    old = flow_id(resource)
    resource.edit(other_table)
    await passes(resource)
    made = harness.platform.flows[flow_id(resource)]
    assert made.schedule.backfill is True
    assert harness.platform.flows[old].state == "disabled"
    ran(harness, made.id, float(made.schedule.start_time or 0))
    await passes(resource, 3)
    assert list(harness.platform.flows) == [made.id]
    assert has_its_names(harness, resource)


# Ways back


async def test_a_revert_before_the_run_that_hands_over_takes_it_all_back() -> None:
    harness, resource = await running()
    old = flow_id(resource)
    before = dict(harness.platform.flows), dict(harness.platform.source_connections)
    resource.edit(other_delta)
    await approved(resource)
    await passes(resource)
    assert len(harness.platform.flows) == 2
    resource.edit(lambda spec: spec.update(deltaColumn={"name": "Modified_Time"}))
    await passes(resource)
    assert (harness.platform.flows, harness.platform.source_connections) == before
    assert flow_id(resource) == old
    assert resource.condition("Ready")[0] == "True"
    assert "plan" not in resource.status
    assert "predecessor" not in resource.status


async def test_another_edit_is_planned_anew() -> None:
    harness, resource = await running()
    old = flow_id(resource)
    resource.edit(other_delta)
    await approved(resource)
    await passes(resource)
    resource.edit(other_table)
    await passes(resource, 3)
    assert list(harness.platform.flows) == [old]
    assert resource.condition("Ready")[1] == "ReplacementRequired"


async def test_what_is_refused_is_rolled_back_and_tried_again() -> None:
    harness, resource = await running(replacementPolicy="Automatic")
    old, before = flow_id(resource), dict(harness.platform.source_connections)
    harness.platform.fail(
        "flows.create", remote_error(ErrorClass.TERMINAL, "RequestRefused", maybe_applied=False)
    )
    resource.edit(other_delta)
    await passes(resource, 4)
    assert list(harness.platform.flows) == [old]
    assert harness.platform.source_connections == before
    assert resource.status["plan"]["state"] == "RolledBack"
    assert resource.condition("Ready")[:2] == ("False", "RolledBack")
    harness.platform.heal()
    harness.clock.time += 600
    await passes(resource, 4)
    assert len(harness.platform.flows) == 2
    assert resource.status["plan"]["state"] == "InProgress"


async def test_both_flows_go_with_the_resource() -> None:
    harness, resource = await running()
    resource.edit(other_delta)
    await approved(resource)
    await passes(resource)
    assert len(harness.platform.flows) == 2
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert not names(harness)


async def test_a_predecessor_that_somebody_deletes_is_not_missed() -> None:
    harness, resource = await running()
    old = flow_id(resource)
    resource.edit(other_delta)
    await approved(resource)
    await passes(resource)
    await harness.platform.delete(resource.kind.remote_objects[0].collection, old)
    await passes(resource, 3)
    assert has_its_names(harness, resource)
    (made,) = harness.platform.flows.values()
    assert (made.id, made.schedule.backfill) == (flow_id(resource), False), "nothing is read again"
    for backfill in (False, True):
        resource.edit(lambda spec, wanted=backfill: spec["schedule"].update(backfill=wanted))
        await passes(resource, 3)
    (made,) = harness.platform.flows.values()
    assert made.schedule.backfill is True, "unless somebody asks for it"


async def test_without_its_status_a_replacement_is_taken_back() -> None:
    harness, resource = await running()
    old = flow_id(resource)
    resource.edit(other_delta)
    await approved(resource)
    await passes(resource)
    assert len(harness.platform.flows) == 2
    resource.status.clear()
    resource.requests.clear()
    resource.edit(lambda spec: spec.update(deltaColumn={"name": "Modified_Time"}))
    await passes(resource)
    assert list(harness.platform.flows) == [old]
    assert has_its_names(harness, resource)
    assert resource.condition("Ready")[0] == "True"


async def test_without_its_status_a_successor_that_is_alone_is_taken() -> None:
    harness, resource = await running()
    resource.edit(other_delta)
    await approved(resource)
    await passes(resource)
    predecessor, new = CRMDataflowStatus.model_validate(resource.status).predecessor, flow_id(resource)
    assert predecessor is not None
    for kind in resource.kind.remote_objects[:3]:
        await harness.platform.delete(kind.collection, kind.id_in(predecessor) or "")
    resource.status = {}
    await passes(resource)
    assert list(harness.platform.flows) == [new]
    assert has_its_names(harness, resource)
    assert "slotRevision" not in resource.status


async def test_a_listing_from_before_the_names_were_given_back_takes_nothing_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness, resource = await running(replacementPolicy="Automatic")
    resource.edit(other_table)
    await passes(resource)
    ran(harness, flow_id(resource), harness.clock.now())
    shown = harness.inventory.with_key
    stale = {
        (kind.collection, resource.identity.key(kind.slot)): shown(
            kind.collection, resource.identity.key(kind.slot)
        )
        for kind in resource.kind.remote_objects[3:]
    }
    assert all(stale.values())
    await passes(resource, 1)
    assert "predecessor" not in resource.status
    flows = dict(harness.platform.flows)
    monkeypatch.setattr(
        harness.inventory,
        "with_key",
        lambda collection, key: stale.get((collection, key)) or shown(collection, key),
    )
    await passes(resource, 2)
    assert harness.platform.flows == flows
    assert has_its_names(harness, resource)


async def test_a_flow_that_is_disabled_hands_over_no_run() -> None:
    harness, resource = await running()
    resource.edit(lambda spec: spec["ingestion"].update(enabled=False))
    await passes(resource, 3)
    resource.edit(other_delta)
    await approved(resource)
    assert "lost" in resource.status["plan"]["reads"]
    await passes(resource, 8)
    assert harness.platform.flows[flow_id(resource)].schedule.backfill is False
    assert list(harness.platform.flows) == [flow_id(resource)]
    assert has_its_names(harness, resource)


# To the landing zone


async def moved(harness: Harness, resource: Resource) -> None:
    open_landing_zone(harness)
    resource.edit(to_the_landing_zone)
    await approved(resource)
    await resource.visit()


async def test_a_move_to_the_landing_zone_reads_on_where_the_last_run_ended() -> None:
    harness, resource = await running()
    old = flow_id(resource)
    await moved(harness, resource)
    plan = resource.status["plan"]
    end = f"{datetime.fromtimestamp(STARTED - 600, UTC):%Y-%m-%dT%H:%M:%SZ}"
    assert (plan["reads"]["begin"], plan["reads"]["since"]) == ("Predecessor", end)
    assert "twice" not in plan["reads"]

    await passes(resource)
    assert resource.status["transport"] == "LandingZone"
    assert resource.status["extraction"]["cursor"] == end
    new = flow_id(resource)
    assert new != old
    assert list(harness.platform.flows) == [new]
    assert has_its_names(harness, resource)
    assert resource.condition("Ready")[0] == "True"
    assert resource.kind.transports(resource.spec, resource.status) == {Transport.LANDING_ZONE}


async def test_while_it_moves_both_ways_are_open() -> None:
    harness, resource = await running()
    open_landing_zone(harness)
    resource.edit(to_the_landing_zone)
    await resource.visit()
    assert resource.kind.transports(resource.spec, resource.status) == {
        Transport.LANDING_ZONE,
        Transport.PLATFORM_SOURCE,
    }


async def test_the_predecessor_ends_its_run_before_its_successor_reads() -> None:
    harness, resource = await running()
    old = flow_id(resource)
    ran(harness, old, STARTED - 5, RunState.IN_PROGRESS)
    await moved(harness, resource)
    await passes(resource, 3)
    assert harness.platform.flows[old].state == "disabled"
    assert "extraction" not in resource.status
    forget_runs(harness)
    ran(harness, old, STARTED - 5)
    await passes(resource, 3)
    cursor = datetime.fromtimestamp(STARTED - 5, UTC)
    assert resource.status["extraction"]["cursor"] == f"{cursor:%Y-%m-%dT%H:%M:%SZ}"


async def test_a_run_that_tells_no_window_is_read_again_from_a_period_before() -> None:
    harness, resource = await running()
    forget_runs(harness)
    ran(harness, flow_id(resource), STARTED - 600, window=False)
    open_landing_zone(harness)
    resource.edit(to_the_landing_zone)
    await resource.visit()
    reads = resource.status["plan"]["reads"]
    since = datetime.fromtimestamp(STARTED - 600, UTC) - HOUR
    assert reads["since"] == f"{since:%Y-%m-%dT%H:%M:%SZ}"
    assert reads["twice"] == "what changed in the period before that time"


async def test_a_flow_that_never_read_anything_is_moved_with_the_backfill_of_its_spec() -> None:
    harness, resource = await running()
    forget_runs(harness)
    open_landing_zone(harness)
    resource.edit(to_the_landing_zone)
    await resource.visit()
    assert resource.status["plan"]["reads"] == {"begin": "Beginning"}


async def test_a_landing_zone_that_is_not_open_is_waited_for() -> None:
    harness, resource = await running()
    resource.edit(to_the_landing_zone)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "ConnectionNotReady")
    assert harness.platform.flows[flow_id(resource)].state == "enabled"


async def test_a_connection_moves_those_that_leave_it_the_way() -> None:
    harness, resource = await running()
    open_landing_zone(harness)
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    spec = view.spec.model_copy(update={"transport": Transport.LANDING_ZONE})
    harness.lister.connections[NAMESPACE, CONNECTION_NAME] = replace(view, spec=spec)
    await approved(resource)
    await passes(resource)
    assert resource.status["transport"] == "LandingZone"
    assert has_its_names(harness, resource)


async def test_columns_of_a_landing_zone_flow_are_changed_by_another_folder() -> None:
    harness = Harness()
    resource = harness.dataflow(transport="LandingZone")
    harness.open_landing_zone()
    await resource.until_done()
    harness.clock.time = STARTED
    await resource.visit()
    before, cursor = resource.status["landingZone"]["path"], resource.status["extraction"]["cursor"]
    resource.edit(
        lambda spec: (
            spec["source"].update(columns=["Email", "First_Name", "Modified_Time", "Created_Time"]),
            spec["schedule"].update(backfill=False),
        )
    )
    await approved(resource)
    await passes(resource)
    assert resource.status["landingZone"]["path"] != before
    assert resource.status["extraction"]["cursor"] == cursor
    assert len(harness.platform.flows) == 1
    assert has_its_names(harness, resource)


async def test_marks_for_deleted_records_are_begun_by_another_flow_in_another_folder() -> None:
    harness = Harness()
    mapping = [
        {"target": "personalEmail.address", "source": "Email"},
        {"target": "_acme.origin", "source": "id"},
        {"target": "person.name.fullName", "expression": "crmflow_deleted"},
    ]
    columns = ["id", "Email", "Modified_Time"]
    resource = harness.dataflow(
        transport="LandingZone", mapping=mapping, source={"table": "Contacts", "columns": columns}
    )
    harness.open_landing_zone()
    await resource.until_done()
    harness.clock.time = STARTED
    await resource.visit()
    cursor = resource.status["extraction"]["cursor"]
    resource.edit(lambda spec: spec.update(extract={"deletedRecords": "Mark"}))
    await approved(resource)
    own_hash = resource.status["plan"]["hash"]
    await passes(resource)
    assert resource.status["source"]["deletedRecords"] == "Mark"
    assert resource.status["extraction"]["cursor"] == cursor
    assert has_its_names(harness, resource)
    resource.edit(lambda spec: spec.update(extract={"deletedRecords": "Ignore"}))
    await resource.visit()
    assert resource.status["plan"]["hash"] != own_hash


# What it leaves alone, and what it must not


FILE = "20300101T000000Z-20300101T050000Z-0.csv"


async def extracted_columns(**changes: Any) -> tuple[Harness, Resource]:
    """A dataflow through the landing zone, of which other columns are wanted."""
    harness = Harness()
    resource = harness.dataflow(transport="LandingZone", **changes)
    harness.open_landing_zone()
    await resource.until_done()
    harness.clock.time = STARTED
    await resource.visit()
    resource.edit(
        lambda spec: (
            spec["source"].update(columns=["Email", "First_Name", "Modified_Time", "Created_Time"]),
            spec["schedule"].update(backfill=False),
        )
    )
    return harness, resource


def below_container(resource: Resource) -> str:
    return str(resource.status["landingZone"]["path"]).partition("/")[2]


@pytest.mark.parametrize("policy", ["Delete", "Orphan"])
async def test_a_way_back_takes_the_successors_files_and_no_others(policy: str) -> None:
    harness, resource = await extracted_columns(deletionPolicy=policy)
    old = f"{below_container(resource)}/{FILE}"
    harness.access.zone.put(old, STARTED)
    await approved(resource)
    harness.platform.fail(
        "flows.create", remote_error(ErrorClass.TERMINAL, "RequestRefused", maybe_applied=False)
    )
    await resource.visit()
    new = f"{below_container(resource)}/{FILE}"
    assert new != old
    harness.access.zone.put(new, STARTED)
    await passes(resource)
    assert resource.condition("Ready")[1] == "RolledBack"
    assert list(harness.access.zone.files) == [old]


async def test_a_job_of_the_predecessor_is_over_before_the_successor_begins() -> None:
    harness = Harness()
    resource = harness.dataflow(transport="LandingZone")
    harness.open_landing_zone()
    await resource.until_done()
    tick = datetime.fromisoformat(resource.status["schedule"]["effectiveStartTime"])
    harness.zoho.crm.modify("Contacts", tick - timedelta(minutes=20), 2)
    harness.clock.time = (tick - timedelta(minutes=10)).timestamp()
    await resource.visit()
    assert harness.transfers.running
    harness.zoho.crm.modify("Leads", tick - timedelta(minutes=30), 2)
    resource.edit(other_table)
    await approved(resource)
    harness.transfers.lingers = True
    await passes(resource, 3)
    assert resource.condition("Ready")[:2] == ("False", "Replacing")
    assert "extraction" not in resource.status
    harness.transfers.lingers = False
    await passes(resource, 3)
    assert len(harness.transfers.running) == 1
    assert harness.transfers.orders[-1].declaration.module == "Leads"


async def test_an_edit_after_the_way_back_has_ended_is_said_and_planned_later() -> None:
    harness, resource = await running(replacementPolicy="Automatic")
    resource.edit(lambda spec: spec["source"].update(table="Leads"))
    await passes(resource)
    made = flow_id(resource)
    start = float(harness.platform.flows[made].schedule.start_time or 0)
    harness.clock.time = start + 30
    await passes(resource, 2)
    resource.edit(lambda spec: spec["source"].update(table="Contacts"))
    await passes(resource, 2)
    assert resource.condition("Ready")[:2] == ("False", "Replacing")
    assert resource.condition("Synced")[:2] == ("False", "Replacing")
    assert "spec.source.table" in resource.condition("Ready")[2]
    assert resource.status["flow"]["id"] == made
    ran(harness, made, start)
    await passes(resource, 3)
    assert len(harness.platform.flows) == 2, "the next replacement is carried out"


async def test_what_was_irreversible_stays_so() -> None:
    harness, resource = await running(replacementPolicy="Automatic")
    old = flow_id(resource)
    resource.edit(other_table)
    await passes(resource)
    start = float(harness.platform.flows[flow_id(resource)].schedule.start_time or 0)
    harness.clock.time = start - 5
    await passes(resource, 1)
    assert resource.status["predecessor"]["irreversible"] is True
    harness.clock.time = start - 600
    resource.edit(lambda spec: spec["source"].update(table="Contacts"))
    await passes(resource, 2)
    assert flow_id(resource) != old


async def test_a_withdrawn_source_is_no_way_to_replace_a_flow() -> None:
    harness, resource = await running(transport="PlatformSource", replacementPolicy="Automatic")
    before = dict(harness.platform.flows)
    harness.platform.flow_specs[FLOW_SPEC_NAME] = FlowSpec(
        "id", FLOW_SPEC_NAME, "1.0", ("another",), ("lake",)
    )
    harness.clock.time += 3600
    resource.edit(other_table)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "SourceWithdrawn")
    assert "goes on as it is" in result.outcome.message
    assert harness.platform.flows == before
    assert "predecessor" not in resource.status


@pytest.mark.parametrize(
    ("absence", "reason"), [(Absence.HIDDEN, "HiddenByLabel"), (Absence.MASS_DELETION, "MassDeletion")]
)
async def test_a_predecessor_that_can_not_be_seen_is_not_gone(absence: Absence, reason: str) -> None:
    harness, resource = await running(replacementPolicy="Automatic")
    old = flow_id(resource)
    open_landing_zone(harness)
    resource.edit(to_the_landing_zone)
    await resource.visit()
    flow = harness.platform.flows.pop(old)
    harness.inventory.absences[old] = absence
    await passes(resource, 3)
    assert resource.condition("Ready")[:2] == ("False", reason)
    assert flow_id(resource) == old, "it was gone back to"
    harness.platform.flows[old] = flow
    harness.clock.time += RETRY_AFTER.total_seconds()
    await passes(resource, 8)
    assert list(harness.platform.flows) == [flow_id(resource)]
    assert flow_id(resource) != old


async def test_names_that_were_not_all_given_are_no_drift() -> None:
    harness, resource = await running(replacementPolicy="Automatic")
    resource.edit(other_table)
    await passes(resource)
    ran(harness, flow_id(resource), harness.clock.now())
    harness.platform.fail("flows.patch", remote_error(ErrorClass.TRANSIENT, "Unavailable"), times=1)
    await passes(resource, 3)
    assert has_its_names(harness, resource)
    assert "lastDrift" not in resource.status
