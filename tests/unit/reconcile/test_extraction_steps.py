"""A dataflow through the landing zone, from its first pass on."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmflow.aep.models import Run, RunMetrics
from crmflow.api.zohosourceconnection import BaseConnectionStatus
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.core.decide import WAITING_NET_SECONDS
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.transfer.report import ExitCode, Report, TransferResult
from tests.fakes.failing import remote_error
from tests.fakes.platform import DATASET_ID, SCHEMA_ID
from tests.unit.reconcile.harness import CONNECTION_NAME, NAMESPACE, Harness, Resource

WITH_ID = {"table": "Contacts", "columns": ["id", "Email", "First_Name", "Modified_Time"]}
WAITING, STALLED = OutcomeClass.WAITING, OutcomeClass.STALLED


def landing_zone(**changes: Any) -> tuple[Harness, Resource]:
    """A dataflow through the landing zone, whose connection is Ready."""
    harness = Harness()
    resource = harness.dataflow(transport="LandingZone", **changes)
    harness.open_landing_zone()
    return harness, resource


def finish(harness: Harness, rows: int = 3) -> None:
    """The Job that runs writes its file."""
    order = harness.transfers.orders[-1]
    declared = order.declaration
    harness.access.zone.put(
        declared.file,
        harness.clock.now(),
        rows=str(rows),
        deleted="0",
        bytes="100",
        countbefore=str(rows),
        countafter=str(rows),
    )
    harness.transfers.end(
        Report(exit_code=ExitCode.DONE, reason=TransferResult.WRITTEN, rows=rows, credits=9)
    )


async def test_the_first_window_is_extracted_before_there_is_a_flow() -> None:
    harness, resource = landing_zone()
    harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), 3)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "Extracting")
    assert resource.condition("Extracted")[:2] == ("Unknown", "Running")
    assert not harness.platform.flows
    [order] = harness.transfers.orders
    assert order.declaration.module == "Contacts"
    assert order.declaration.columns == ("Modified_Time", "Email", "First_Name")
    finish(harness)
    result = await resource.until_done()
    [flow] = harness.platform.flows.values()
    assert [entry["name"] for entry in flow.transformations] == ["Mapping"]
    assert resource.condition("Extracted")[:2] == ("True", "Succeeded")
    assert resource.condition("IngestionComplete")[:2] == ("Unknown", "Waiting")
    assert resource.status["transport"] == "LandingZone"


async def test_files_go_with_a_dataflow_that_has_no_flow_yet() -> None:
    harness, resource = landing_zone()
    harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), 3)
    await resource.visit()
    finish(harness)
    assert harness.access.zone.files
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert not harness.access.zone.files


async def ready(**changes: Any) -> tuple[Harness, Resource]:
    """The same, whose flow begins with an empty table and takes files."""
    harness, resource = landing_zone(**changes)
    await resource.until_done()
    return harness, resource


def at(harness: Harness, time: datetime) -> None:
    harness.clock.time = time.timestamp()


def start_of(resource: Resource) -> datetime:
    return datetime.fromisoformat(resource.status["schedule"]["effectiveStartTime"])


async def test_an_empty_table_needs_no_job_before_its_flow_is_made() -> None:
    harness, resource = await ready()
    assert not harness.transfers.orders
    assert len(harness.platform.flows) == 1
    assert resource.condition("Extracted")[:2] == ("True", "NothingNew")


async def test_without_backfill_nothing_is_counted() -> None:
    harness, resource = await ready(
        schedule={"frequency": "Hour", "interval": 1, "startTime": "2030-01-01T00:00:00Z", "backfill": False}
    )
    assert "coqlCount" not in harness.timeline
    assert resource.status["extraction"]["cursor"] == "2025-10-09T08:53:20Z"
    assert resource.condition("Extracted")[:2] == ("Unknown", "NotDueYet")


async def test_a_window_is_read_before_its_tick_and_not_earlier() -> None:
    harness, resource = await ready()
    tick = start_of(resource)
    end = tick - timedelta(minutes=15)  # a third of an hour is more than the longest lead
    harness.zoho.crm.modify("Contacts", end - timedelta(minutes=1), 2)

    at(harness, end)
    result = await resource.visit(full=False)
    assert result.outcome.is_done
    assert not harness.transfers.orders
    assert result.decision.at == (end + timedelta(minutes=2)).timestamp()

    at(harness, end + timedelta(minutes=2))
    await resource.visit(full=False)
    [order] = harness.transfers.orders
    assert order.declaration.window.end == end
    assert resource.condition("Ready")[0] == "True"
    assert resource.condition("Extracted")[:2] == ("Unknown", "Running")
    [pending] = resource.status["pendingWindows"]
    assert (pending["tick"], pending["expectedRows"]) == (f"{tick:%Y-%m-%dT%H:%M:%SZ}", 2)

    finish(harness, 2)
    await resource.visit(full=False)
    assert resource.condition("Extracted")[1] == "Succeeded"
    assert not await harness.transfers.jobs(resource.uid)


async def test_what_is_only_recorded_is_written_once() -> None:
    harness, resource = await ready()
    at(harness, start_of(resource) - timedelta(minutes=13))
    result = await resource.visit(full=False)
    assert resource.condition("Extracted")[:2] == ("True", "NothingNew")
    assert "coqlCount" in result.calls
    assert "checkpoint" not in result.calls


def fail(harness: Harness, code: ExitCode, reason: str = "Unavailable", **told: Any) -> None:
    """The Job that runs fails."""
    report = Report(exit_code=code, reason=reason, message="Zoho has said no", advice="Do this", **told)
    harness.transfers.end(report)


async def running(**changes: Any) -> tuple[Harness, Resource]:
    """A dataflow whose first Job runs."""
    harness, resource = landing_zone(**changes)
    harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), 3)
    await resource.visit()
    return harness, resource


async def test_a_job_that_may_work_later_is_tried_again_after_a_pause() -> None:
    harness, resource = await running()
    fail(harness, ExitCode.RETRY)
    await resource.visit()
    assert resource.condition("Extracted")[:2] == ("False", "Retrying")
    assert "Zoho has said no. Do this. It is tried again." in resource.condition("Extracted")[2]
    assert not harness.transfers.running
    harness.clock.time += 31
    await resource.visit()
    assert [order.job.attempt for order in harness.transfers.orders] == [0, 1]
    finish(harness)
    await resource.until_done()


@pytest.mark.parametrize(
    ("code", "renewed"), [(ExitCode.ZOHO_TOKEN, "token"), (ExitCode.SAS, "sas")], ids=["token", "sas"]
)
async def test_a_credential_that_is_refused_is_renewed_once(code: ExitCode, renewed: str) -> None:
    harness, resource = await running()
    fail(harness, code, "TokenRejected")
    await resource.visit()
    await resource.visit()
    assert (harness.zoho.renewals, len(harness.access.zone.rejected)) == (
        (1, 0) if renewed == "token" else (0, 1)
    )
    assert len(harness.transfers.orders) == 2
    fail(harness, code, "TokenRejected")
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "TokenRejected")
    assert resource.condition("Extracted")[:2] == ("False", "TokenRejected")
    assert harness.zoho.renewals + len(harness.access.zone.rejected) == 1


async def test_what_only_a_person_can_cure_stalls_and_heals() -> None:
    harness, resource = await running()
    fail(harness, ExitCode.DECLARATION, "ColumnNotReadable")
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ColumnNotReadable")
    before = resource.condition("Extracted")
    await resource.visit()
    assert resource.condition("Extracted") == before
    assert resource.condition("Stalled")[0] == "True"
    harness.clock.time += 3601
    await resource.visit()
    finish(harness)
    await resource.until_done()


async def test_who_has_cured_it_need_not_wait() -> None:
    harness, resource = await running()
    fail(harness, ExitCode.ZOHO_ACCESS, "PermissionDenied")
    assert (await resource.visit()).outcome.reason == "PermissionDenied"
    assert (await resource.visit()).outcome.reason == "PermissionDenied"
    assert (await resource.visit(requested=True)).outcome.reason == "Extracting"
    finish(harness)
    await resource.until_done()


async def test_a_job_whose_pod_is_gone_is_made_again_unless_its_file_is_there() -> None:
    harness, resource = await running()
    harness.transfers.end_silently()
    await resource.visit()
    assert resource.condition("Extracted")[:2] == ("False", "Retrying")
    harness.clock.time += 31
    await resource.visit()
    order = harness.transfers.orders[-1]
    assert order.job.attempt == 1
    numbers = dict.fromkeys(("rows", "deleted", "bytes", "countbefore", "countafter"), "3")
    harness.access.zone.put(order.declaration.file, harness.clock.now(), **numbers)
    harness.transfers.end_silently()
    assert (await resource.until_done()).outcome.is_done


async def test_a_dataflow_waits_for_a_slot() -> None:
    harness, resource = landing_zone()
    harness.transfers.fill("org-1.production")
    harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), 3)
    await resource.visit()
    assert resource.condition("Extracted")[:2] == ("False", "WaitingForSlot")
    assert resource.condition("Ready")[1] == "Extracting"


async def test_waiting_for_a_slot_costs_no_credits_and_is_ended_by_its_event() -> None:
    harness, resource = landing_zone()
    harness.transfers.fill("org-1.production")
    harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), 3)
    await resource.visit()
    harness.clock.time += 60
    result = await resource.visit()
    assert resource.condition("Extracted")[1] == "WaitingForSlot"
    assert not [call for call in result.calls if call in ("modules", "fields", "coqlCount")]
    assert result.pause == WAITING_NET_SECONDS


async def test_a_dataflow_waits_for_credits() -> None:
    harness, resource = landing_zone()
    await harness.credit_ledgers.spend("org-1.production", 40_000)
    harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), 3)
    result = await resource.visit()
    assert resource.condition("Extracted")[:2] == ("False", "CreditsSpent")
    assert "are left until 2025-10-10T09:00:00Z" in resource.condition("Extracted")[2]
    assert not harness.transfers.orders
    assert result.outcome.reason == "Extracting"
    harness.clock.time += 86_400 + 900
    await resource.visit()
    assert len(harness.transfers.orders) == 1


async def test_nothing_is_counted_before_the_first_window_while_credits_are_spent() -> None:
    harness, resource = landing_zone()
    await harness.credit_ledgers.spend("org-1.production", 40_000)
    result = await resource.visit()
    assert "coqlCount" not in harness.timeline
    assert not harness.platform.flows
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "Extracting")
    assert resource.condition("Extracted")[:2] == ("False", "CreditsSpent")
    assert "are left until 2025-10-10T09:00:00Z" in resource.condition("Extracted")[2]
    harness.clock.time += 86_400 + 900
    await resource.until_done()
    assert harness.timeline.count("coqlCount") == 1


async def test_nothing_is_counted_at_a_tick_while_credits_are_spent() -> None:
    harness, resource = await ready()
    at(harness, start_of(resource) + timedelta(minutes=50))
    await harness.credit_ledgers.spend("org-1.production", 40_000)
    harness.timeline.clear()
    cursor = resource.status["extraction"]["cursor"]
    result = await resource.visit()
    assert "coqlCount" not in harness.timeline
    assert result.outcome.is_done
    assert resource.condition("Extracted")[:2] == ("False", "CreditsSpent")
    assert resource.status["extraction"]["cursor"] == cursor
    harness.clock.time += 86_400 + 3600
    await resource.visit()
    assert resource.condition("Extracted")[:2] == ("True", "NothingNew")
    assert resource.status["extraction"]["cursor"] > cursor


async def test_what_was_spent_is_in_the_ledger() -> None:
    harness, resource = await running()
    finish(harness)
    await resource.until_done()
    ledger = await harness.credit_ledgers.ledger("org-1.production")
    assert ledger.spent(datetime.fromtimestamp(harness.clock.now(), UTC)) == 1 + 9  # a count, and the Job's


async def test_a_running_job_is_given_the_token_that_is_good_by_then() -> None:
    harness, resource = await running()
    harness.zoho.token = "1000.cccc.dddd"
    await resource.visit()
    [held] = harness.transfers.supplied.values()
    assert held.access_token.get_secret_value() == "1000.cccc.dddd"


async def test_why_the_pod_of_a_job_does_not_run_is_told() -> None:
    harness, resource = await running()
    harness.transfers.show(has_pod=False)
    await resource.visit()
    assert resource.condition("Extracted")[:2] == ("Unknown", "Running")
    assert "Its Job has no Pod yet" in resource.condition("Extracted")[2]
    harness.transfers.show(trouble="Unschedulable: 0/1 nodes are available")
    result = await resource.visit()
    assert resource.condition("Extracted")[:2] == ("False", "PodNotRunning")
    assert "Unschedulable: 0/1 nodes are available." in resource.condition("Extracted")[2]
    assert result.outcome.outcome_class is WAITING
    harness.transfers.show()
    await resource.visit()
    assert resource.condition("Extracted")[:2] == ("Unknown", "Running")


async def test_a_file_that_no_transfer_wrote_is_told_by_each_complete_comparison() -> None:
    harness, resource = await running()
    order = harness.transfers.orders[0]
    harness.access.zone.put(f"{order.declaration.folder}/mine.csv", harness.clock.now())
    result = await resource.visit()
    assert [event.reason for event in result.events] == ["ForeignFiles"]
    assert "mine.csv" in result.events[0].note
    result = await resource.visit(full=False)
    assert not result.events


async def test_observe_extracts_nothing_and_says_so() -> None:
    _, resource = await ready()
    flow = resource.status["flow"]["id"]
    resource.edit(lambda spec: spec.update(managementPolicy="Observe", flowId=flow))
    result = await resource.visit()
    assert "ExtractionStopped" in [event.reason for event in result.events]
    assert resource.condition("Extracted")[:2] == ("Unknown", "Observed")
    assert "ExtractionStopped" not in [event.reason for event in (await resource.visit()).events]


async def test_a_flow_that_was_only_ever_observed_says_so_of_each_generation() -> None:
    _, resource = await ready()
    flow = resource.status["flow"]["id"]
    del resource.status["extraction"]
    resource.edit(lambda spec: spec.update(managementPolicy="Observe", flowId=flow))
    result = await resource.visit()
    assert resource.condition("Extracted")[:2] == ("Unknown", "Observed")
    assert "ExtractionStopped" not in [event.reason for event in result.events]
    resource.edit(lambda spec: spec.update(description="Edited"))
    await resource.visit()


async def test_a_disabled_flow_extracts_nothing() -> None:
    harness, resource = await ready()
    resource.edit(lambda spec: spec["ingestion"].update(enabled=False))
    await resource.until_done()
    tick = start_of(resource)
    harness.zoho.crm.modify("Contacts", tick - timedelta(hours=1), 2)
    at(harness, tick - timedelta(minutes=5))
    await resource.visit(full=False)
    assert not harness.transfers.orders
    assert resource.condition("Extracted")[:2] == ("Unknown", "Disabled")


async def test_deletion_ends_jobs_first_and_takes_our_files() -> None:
    harness, resource = await running()
    order = harness.transfers.orders[0]
    finish(harness)
    await resource.until_done()
    harness.access.zone.put(f"{order.declaration.folder}/mine.csv", harness.clock.now())
    harness.transfers.lingers = True
    result = await resource.visit(deleting=True)
    assert (result.outcome.reason, len(harness.platform.flows)) == ("InUse", 1)
    harness.transfers.lingers = False
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert list(harness.access.zone.files) == [f"{order.declaration.folder}/mine.csv"]
    assert not harness.platform.flows


async def test_orphan_leaves_the_files_for_the_flow() -> None:
    harness, resource = await running(deletionPolicy="Orphan")
    finish(harness)
    await resource.until_done()
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert len(harness.access.zone.files) == 1


async def test_the_cursor_is_set_by_an_annotation_once() -> None:
    _, resource = await ready()
    resource.requests["cursor"] = "2025-01-01T00:00:00Z"
    await resource.visit()
    assert resource.status["extraction"]["cursor"] == "2025-01-01T00:00:00Z"
    assert resource.status["extraction"]["appliedCursor"] == "2025-01-01T00:00:00Z"
    resource.requests["cursor"] = "yesterday"
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "CursorInvalid")
    resource.requests["cursor"] = "backfill"
    assert (await resource.visit()).outcome.is_done
    assert resource.status["extraction"]["cursor"] == "1970-01-01T00:00:00Z"


async def test_a_rebuilt_cluster_goes_on_from_the_newest_file() -> None:
    harness, resource = await running()
    finish(harness)
    await resource.until_done()
    end = resource.status["extraction"]["cursor"]
    resource.status, resource.uid = {}, "another"
    harness.clock.time += 5
    result = await resource.until_done()
    assert resource.status["extraction"]["cursor"] == end
    assert len(harness.platform.flows) == 1
    assert len(harness.transfers.orders) == 1
    assert "CursorFound" in [event.reason for event in result.events]


async def test_a_cursor_that_nothing_tells_is_for_a_person_to_set() -> None:
    _, resource = await ready()
    resource.status = {}
    result = await resource.visit()
    while result.outcome.reason in ("FlowSettling", "CreatePending"):
        result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "CursorUnknown")
    resource.requests["cursor"] = "2025-10-09T00:00:00Z"
    assert (await resource.visit()).outcome.is_done


async def test_the_successor_of_a_lost_flow_takes_what_was_pending_from_a_folder_of_its_own() -> None:
    harness, resource = await running()
    finish(harness)
    await resource.until_done()
    first = resource.status["landingZone"]["path"]
    harness.platform.flows.clear()
    result = await resource.visit()
    assert result.outcome.reason == "Extracting"
    assert resource.status["landingZone"]["path"] == first.replace("/0-", "/1-")
    assert "gap" not in resource.status
    order = harness.transfers.orders[-1]
    assert order.declaration.folder.partition("/")[2] in resource.status["landingZone"]["path"]
    finish(harness)
    await resource.until_done()
    [flow] = harness.platform.flows.values()
    assert flow.schedule.backfill


@pytest.mark.parametrize("hours", [0, 1])
async def test_a_lost_flow_that_may_have_taken_what_is_pending_is_told(hours: int) -> None:
    soon = {"frequency": "Hour", "interval": 1, "startTime": "2025-10-09T09:30:00Z"}
    harness, resource = await running(schedule=soon)
    finish(harness)
    await resource.until_done()
    at(harness, start_of(resource) + timedelta(hours=hours, minutes=-30))
    harness.platform.flows.clear()
    [vanished] = [event for event in (await resource.visit()).events if event.reason == "Vanished"]
    assert ("Records may be ingested twice by that." in vanished.note) == bool(hours)


async def test_deletion_takes_files_of_earlier_folders_as_well() -> None:
    harness, resource = await running()
    finish(harness)
    await resource.until_done()
    harness.platform.flows.clear()
    await resource.visit()
    finish(harness)
    await resource.until_done()
    assert len({path.rpartition("/")[0] for path in harness.access.zone.files}) == 2
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert not harness.access.zone.files


async def test_marks_of_deleted_records_need_another_flow_once_it_has_files() -> None:
    """All files of a folder have the same columns (landing-zone.md E.4)."""
    _, resource = await ready(source=WITH_ID)
    before = copy.deepcopy(resource.spec)

    def mark(spec: dict[str, Any]) -> None:
        marks = [("id", "_acme.zohoId"), ("crmflow_deleted", "_acme.deleted")]
        spec["mapping"] = [{"source": source, "target": target} for source, target in marks]
        spec["extract"] = {"deletedRecords": "Mark"}

    resource.edit(mark)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ReplacementRequired")
    assert result.outcome.message.startswith("spec.extract.deletedRecords can't be changed")
    resource.edit(lambda spec: (spec.clear(), spec.update(before)))
    assert (await resource.visit()).outcome.is_done


async def test_marks_of_deleted_records_begin_another_folder_before_there_is_a_flow() -> None:
    harness, resource = await running(source=WITH_ID)
    first = resource.status["landingZone"]["path"]
    finish(harness)
    marks = [("id", "_acme.zohoId"), ("crmflow_deleted", "_acme.deleted")]
    mapping = [{"source": source, "target": target} for source, target in marks]
    resource.edit(lambda spec: spec.update(extract={"deletedRecords": "Mark"}, mapping=mapping))
    await resource.visit()
    assert resource.status["landingZone"]["path"] == first.replace("/0-", "/1-")
    assert harness.transfers.orders[-1].declaration.marks_deletions


async def test_a_change_of_transport_needs_another_flow() -> None:
    harness, resource = await ready()
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    status = view.status.model_copy(update={"base_connection": BaseConnectionStatus(id="bc-0")})
    harness.lister.connections[NAMESPACE, CONNECTION_NAME] = replace(view, status=status)
    resource.edit(lambda spec: spec.update(transport="PlatformSource"))
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ReplacementRequired")
    assert "spec.transport" in result.outcome.message


async def test_where_a_flow_needs_a_file_the_first_change_is_waited_for() -> None:
    """Whether a source connection may name an empty folder is unknown (landing-zone.md K.3)."""
    harness, resource = landing_zone()
    harness.platform.fail("sourceConnections.create", remote_error(ErrorClass.TERMINAL, "NotFound"), times=1)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "FolderEmpty")
    creates = harness.timeline.count("sourceConnections.create")
    assert (await resource.visit()).outcome.reason == "FolderEmpty"
    assert harness.timeline.count("sourceConnections.create") == creates
    harness.zoho.crm.modify("Contacts", datetime.fromtimestamp(harness.clock.now(), UTC), 2)
    harness.clock.time += 600
    assert (await resource.visit()).outcome.reason == "Extracting"
    finish(harness, 2)
    await resource.until_done()
    assert len(harness.platform.flows) == 1


@pytest.mark.parametrize("runs", [{}, {"retryLimit": 1}, {"retryLimit": 0}], ids=str)
async def test_a_failed_run_is_done_again(runs: dict[str, int]) -> None:
    """Unless the limit is 0: then its file is written anew."""
    soon = {"frequency": "Hour", "interval": 1, "startTime": "2025-10-09T10:00:00Z"}
    harness, resource = await running(schedule=soon, runs=runs)
    finish(harness)
    await resource.until_done()
    tick = start_of(resource)
    committed = next(iter(harness.access.zone.files.values())).committed
    bounds = (committed.timestamp() - 60, tick.timestamp())

    def run(number: int, state: str) -> None:
        flow_id = resource.status["flow"]["id"]
        begun = tick.timestamp() + number
        harness.platform.runs[f"run-{number}"] = Run(
            f"run-{number}", flow_id, state, begun, begun + 60, RunMetrics(3, 3, 0, 0), (), bounds
        )
        harness.inventory.runs[flow_id] = harness.platform.runs[f"run-{number}"]

    at(harness, tick + timedelta(minutes=1))
    run(0, "failed")
    result = await resource.visit(full=False)
    is_asked = "retryLimit" not in runs or runs["retryLimit"] > 0
    assert ("runs.retry" in result.calls) == is_asked
    assert "runRetries" not in resource.status, "windows have retries of their own"
    if not is_asked:
        assert [event.reason for event in result.events if event.reason == "ExtractedAnew"] != []
        return
    run(1, "success")
    at(harness, tick + timedelta(minutes=5))
    await resource.visit(full=False)
    assert "pendingWindows" not in resource.status
    assert resource.condition("IngestionComplete")[:2] == ("True", "RowsMatch")


async def taken() -> tuple[Harness, Resource]:
    """A dataflow with a file that was committed 3 s before the tick of the run that has just taken it."""
    harness, resource = await ready()
    tick = start_of(resource)
    end = tick - timedelta(minutes=15)
    harness.zoho.crm.modify("Contacts", end - timedelta(minutes=1), 3)
    at(harness, end + timedelta(minutes=2))
    await resource.visit(full=False)
    at(harness, tick - timedelta(seconds=3))
    finish(harness)
    await resource.visit(full=False)
    add_run(harness, resource, "run-1", tick)
    [path] = harness.access.zone.files
    harness.platform.batches["batch of run-1"] = [f"dlz-user-container/{path}"]
    at(harness, tick + timedelta(minutes=11))
    return harness, resource


def add_run(harness: Harness, resource: Resource, name: str, tick: datetime, records: int = 3) -> None:
    """A run of the flow has ended with success."""
    flow_id, begun = resource.status["flow"]["id"], tick.timestamp()
    bounds = (begun - 3600, begun)
    metrics = RunMetrics(records, records, 0, 0)
    found = Run(name, flow_id, "success", begun, begun + 60, metrics, (), bounds, (f"batch of {name}",))
    harness.platform.runs[name] = harness.inventory.runs[flow_id] = found


async def test_the_manifest_of_a_run_tells_that_it_has_ingested_a_window() -> None:
    _, resource = await taken()
    result = await resource.visit(full=False)
    assert result.calls.count("batches.files") == 1
    assert "pendingWindows" not in resource.status
    assert resource.condition("IngestionComplete")[:2] == ("True", "RowsMatch")
    result = await resource.visit(full=False)
    assert "batches.files" not in result.calls


@pytest.mark.parametrize(("records", "differences"), [(3, None), (2, 1)])
async def test_status_counts_windows_and_tells_how_far_they_were_ingested(
    records: int, differences: int | None
) -> None:
    harness, resource = await taken()
    [pending] = resource.status["pendingWindows"]
    written = {"windows": 1, "windowRows": 3, "windowBytes": 100}
    assert resource.status["totals"] == written
    assert resource.status["ingested"] == {"until": pending["start"]}
    add_run(harness, resource, "run-1", start_of(resource), records)
    await resource.visit(full=False)
    assert resource.status["ingested"]["until"] == pending["end"]
    totals = resource.status["totals"]
    assert (totals["windows"], totals["runsSucceeded"], totals.get("differences")) == (1, 1, differences)
    await resource.visit(full=True)
    assert resource.status["totals"] == totals


async def test_a_window_that_nobody_saw_before_its_run_counts_all_the_same() -> None:
    """As when the operator was not there from the Job's start to the end of the run."""
    harness, resource = await ready()
    tick = start_of(resource)
    harness.zoho.crm.modify("Contacts", tick - timedelta(minutes=20), 3)
    at(harness, tick - timedelta(minutes=13))
    await resource.visit(full=False)
    finish(harness)
    add_run(harness, resource, "run-1", tick, 3)
    at(harness, tick + timedelta(minutes=11))
    result = await resource.visit(full=False)
    assert "pendingWindows" not in resource.status
    assert resource.condition("IngestionComplete")[:2] == ("True", "RowsMatch")
    totals, extraction = resource.status["totals"], resource.status["extraction"]
    assert (totals["windows"], totals["windowRows"], extraction["lastWindow"]["rows"]) == (1, 3, 3)
    assert resource.condition("Extracted")[:2] == ("True", "Succeeded")
    assert not await harness.transfers.jobs(resource.uid), result.calls


@pytest.mark.parametrize("error_class", [ErrorClass.NOT_FOUND, ErrorClass.TERMINAL])
@pytest.mark.parametrize(("records", "is_ingested"), [(3, True), (8, False)])
async def test_without_its_manifest_a_run_is_judged_by_what_it_read(
    error_class: ErrorClass, records: int, is_ingested: bool
) -> None:
    harness, resource = await taken()
    add_run(harness, resource, "run-1", start_of(resource), records)
    harness.platform.fail("batches.files", remote_error(error_class))
    await resource.visit(full=False)
    assert ("pendingWindows" not in resource.status) is is_ingested
    at(harness, start_of(resource) + timedelta(hours=1, minutes=11))
    result = await resource.visit(full=False)
    assert ("ExtractedAnew" in {event.reason for event in result.events}) is not is_ingested


async def test_a_manifest_that_can_not_be_read_at_the_moment_is_waited_for() -> None:
    harness, resource = await taken()
    at(harness, start_of(resource) + timedelta(hours=3))
    harness.platform.fail("batches.files", remote_error(ErrorClass.TRANSIENT), times=1)
    result = await resource.visit(full=False)
    assert result.outcome.outcome_class is OutcomeClass.TRANSIENT
    assert len(resource.status["pendingWindows"]) == 1
    await resource.visit(full=False)
    assert "pendingWindows" not in resource.status


async def test_a_restored_backup_reads_nothing_anew_that_a_run_has_taken() -> None:
    """Its cursor is behind the folder, and nothing of what it holds is pending."""
    harness, resource = await taken()
    at(harness, start_of(resource) + timedelta(hours=3, minutes=20))
    cursor = resource.status["extraction"] | {"cursor": "2025-10-09T08:00:00Z"}
    cursor["cursorSetTime"] = "2025-10-09T08:00:00Z"
    resource.status = {**resource.status, "extraction": cursor}
    del resource.status["pendingWindows"]
    result = await resource.visit()
    assert [event.reason for event in result.events] == ["CursorFound"]
    assert "pendingWindows" not in resource.status
    assert len(harness.transfers.orders) == 1


async def test_a_count_that_fails_loses_no_window() -> None:
    harness, resource = landing_zone()
    harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), 3)
    harness.zoho.crm.fail("coqlCount", remote_error(ErrorClass.TRANSIENT, "Unavailable"), times=1)
    await resource.visit()
    assert "extraction" not in resource.status
    await resource.visit()
    assert len(harness.transfers.orders) == 1


async def test_what_is_edited_before_its_flow_is_made_begins_anew_in_another_folder() -> None:
    harness, resource = await running()
    first = resource.status["landingZone"]["path"]
    finish(harness)
    resource.edit(
        lambda spec: spec["source"].update(columns=["Email", "First_Name", "Owner", "Modified_Time"])
    )
    result = await resource.visit()
    assert result.outcome.reason == "Extracting"
    assert resource.status["landingZone"]["path"] == first.replace("/0-", "/1-")
    assert "Owner" in harness.transfers.orders[-1].declaration.columns
    finish(harness)
    await resource.until_done()
    [source] = harness.platform.source_connections.values()
    assert source.files is not None
    assert source.files.path == resource.status["landingZone"]["path"]


async def test_without_a_new_file_no_run_is_overdue_and_with_one_it_is() -> None:
    soon = {"frequency": "Hour", "interval": 1, "startTime": "2025-10-09T10:00:00Z"}
    harness, resource = await ready(schedule=soon)
    tick = start_of(resource)
    at(harness, tick + timedelta(hours=5))
    await resource.visit()
    assert resource.condition("RunsHealthy")[1] == "NoRunYet"
    harness.zoho.crm.modify("Contacts", tick + timedelta(hours=5), 2)
    at(harness, tick + timedelta(hours=5, minutes=50))
    await resource.visit()
    finish(harness, 2)
    await resource.visit()
    assert resource.condition("RunsHealthy")[1] == "NoRunYet"
    at(harness, tick + timedelta(hours=6, minutes=16))
    await resource.visit(full=False)
    assert resource.condition("RunsHealthy")[:2] == ("False", "Overdue")


async def shown_late(rows: int) -> tuple[Harness, Resource, datetime]:
    """One window has ``rows`` rows; two more of it show only once it was read, before the next one."""
    soon = {"frequency": "Hour", "interval": 1, "startTime": "2025-10-09T10:00:00Z"}
    harness, resource = await ready(schedule=soon)
    tick = start_of(resource)
    end = tick - timedelta(minutes=15)
    if rows:
        harness.zoho.crm.modify("Contacts", end - timedelta(minutes=30), rows)
    at(harness, end + timedelta(minutes=2))
    await resource.visit(full=False)
    if rows:
        finish(harness, rows)
        add_run(harness, resource, "run-1", tick, rows)
        at(harness, tick + timedelta(minutes=11))
        await resource.visit(full=False)
        assert resource.condition("IngestionComplete")[1] == "RowsMatch"
    harness.zoho.crm.modify("Contacts", end - timedelta(seconds=10), 2)
    at(harness, end + timedelta(hours=1, minutes=2))
    return harness, resource, end


async def test_what_shows_late_of_an_empty_window_is_read_with_the_next_one() -> None:
    harness, resource, end = await shown_late(0)
    await resource.visit(full=False)
    [order] = harness.transfers.orders
    assert (order.declaration.window.begin, order.declaration.window.end) == (
        end - timedelta(hours=1),
        end + timedelta(hours=1),
    )
    assert resource.status["pendingWindows"][0]["expectedRows"] == 2


async def test_what_shows_late_of_a_window_that_was_read_is_told_once() -> None:
    harness, resource, end = await shown_late(3)
    harness.zoho.crm.fail("coqlCount", remote_error(ErrorClass.TRANSIENT, "Unavailable"), times=1)
    await resource.visit(full=False)
    assert "differences" not in resource.status["totals"]
    result = await resource.visit(full=False)
    assert [event.reason for event in result.events] == ["RowsDiffer"]
    assert "counts 5 by now" in result.events[0].note
    assert resource.condition("IngestionComplete")[:2] == ("False", "RowsDiffer")
    assert resource.status["totals"]["differences"] == 1
    assert len(harness.transfers.orders) == 1, "it is read by whoever sets the cursor"
    at(harness, end + timedelta(hours=2, minutes=2))
    result = await resource.visit(full=False)
    assert not result.events
    assert resource.condition("IngestionComplete")[:2] == ("False", "RowsDiffer")


async def test_a_window_that_was_empty_is_not_followed_back_for_ever() -> None:
    harness, resource = await ready(
        schedule={"frequency": "Minute", "interval": 15, "startTime": "2025-10-09T10:00:00Z"}
    )
    end = start_of(resource) - timedelta(minutes=5)
    for quarter in range(8):
        at(harness, end + quarter * timedelta(minutes=15) + timedelta(minutes=2))
        await resource.visit(full=False)
        last = resource.status["extraction"]["lastWindow"]
    begin = datetime.fromisoformat(last["end"]) - 2 * timedelta(minutes=15)
    assert datetime.fromisoformat(last["start"]) == begin


async def test_events_are_not_read_in_full_again() -> None:
    harness, resource = landing_zone(extract={"fullReadEvery": "24h"})
    schema = harness.platform.schemas[SCHEMA_ID]
    harness.platform.schemas[SCHEMA_ID] = replace(schema, is_time_series=True)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "FullReadNotAllowed")


async def test_the_whole_table_is_read_again_now_and_then() -> None:
    soon = {"frequency": "Day", "interval": 1, "startTime": "2025-10-10T10:00:00Z"}
    harness, resource = await ready(schedule=soon, extract={"fullReadEvery": "48h"})
    harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), 3)
    tick = start_of(resource)
    for day in range(3):
        at(harness, tick + timedelta(days=day, minutes=-5))
        await resource.visit()
    [order] = harness.transfers.orders
    assert order.declaration.window.begin == datetime(1970, 1, 1, tzinfo=UTC)
    assert order.declaration.window.end == tick + timedelta(days=1, minutes=-15)


MARKED = [
    {"target": "personalEmail.address", "source": "Email"},
    {"target": "_acme.key", "source": "id"},
    {"target": "_acme.gone", "expression": 'iif(crmflow_deleted == "true", true, false)'},
]


async def test_deleted_records_are_marked_if_the_mapping_can_tell_them() -> None:
    mark = {"deletedRecords": "Mark"}
    source = {"table": "Contacts", "columns": ["id", "Email", "First_Name", "Modified_Time"]}
    harness, resource = landing_zone(extract=mark, source=source)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "MappingInvalid")
    assert "id and crmflow_deleted" in result.outcome.message
    harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), 3)
    resource.edit(lambda spec: spec.update(mapping=MARKED))
    await resource.visit()
    [order] = harness.transfers.orders
    assert order.declaration.marks_deletions


async def test_marks_that_replace_what_profile_knows_are_told_once() -> None:
    source = {"table": "Contacts", "columns": ["id", "Email", "First_Name", "Modified_Time"]}
    harness, resource = landing_zone(extract={"deletedRecords": "Mark"}, source=source, mapping=MARKED)
    dataset = harness.platform.datasets[DATASET_ID]
    harness.platform.datasets[DATASET_ID] = replace(dataset, profile_enabled=True)
    result = await resource.visit()
    assert resource.condition("TargetReady")[:2] == ("True", "DeletionsReplaceProfile")
    assert [event.reason for event in result.events].count("DeletionsReplaceProfile") == 1
    result = await resource.until_done()
    assert resource.condition("TargetReady")[:2] == ("True", "DeletionsReplaceProfile")
    assert "DeletionsReplaceProfile" not in [event.reason for event in result.events]

    harness.platform.datasets[DATASET_ID] = replace(dataset, profile_enabled=True, upserts=True)
    await resource.visit()
    assert resource.condition("TargetReady")[:2] == ("True", "Succeeded")


async def test_a_formula_that_no_full_read_refreshes_is_told() -> None:
    source = {"table": "Contacts", "columns": ["Email", "First_Name", "Due", "Modified_Time"]}
    harness, resource = await ready(source=source)
    assert resource.condition("SourceReady")[:2] == ("True", "FormulasNotTracked")
    assert resource.status["undeliveredColumns"] == ["Lines"]
    resource.edit(lambda spec: spec.update(extract={"fullReadEvery": "24h"}))
    await resource.visit()
    assert resource.condition("SourceReady")[:2] == ("True", "Succeeded")
    assert harness.platform.flows
