"""What status says of the last run, and each reason of RunsHealthy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmflow.aep.models import Run, RunError, RunMetrics
from crmflow.api.crmdataflow import Frequency, Schedule
from crmflow.reconcile.dataflow.runs import RunRecord, last_run
from tests.unit.reconcile.fakes import NOW
from tests.unit.reconcile.harness import Harness, Resource

START = "1970-01-01T00:16:40Z"
EPOCH = datetime.fromtimestamp(NOW, UTC)
HOURLY = Schedule(frequency=Frequency.HOUR, interval=1)
SUCCESS = Run("r1", "f1", "success", NOW, NOW + 60, RunMetrics(100, 100, 0, 0, 4096, 2048))


def run(
    state: str = "success", *, ended: bool = True, errors: tuple[RunError, ...] = (), **metrics: Any
) -> Run:
    """A run that began just now."""
    measured = RunMetrics(**metrics) if ended else None
    return Run("r1", "f1", state, NOW, NOW + 60 if ended else None, measured, errors)


async def told(*runs: Run) -> tuple[Harness, Resource, list[str]]:
    """A dataflow that is Ready, visited once for each run; the reasons of its events."""
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    [flow_id] = harness.platform.flows
    events = []
    for last in runs:
        harness.inventory.runs[flow_id] = last
        result = await resource.visit(full=False)
        assert (result.step, result.calls) == ("quiet", [])
        assert resource.condition("Ready")[0] == "True"
        events += [event.reason for event in result.events]
    return harness, resource, events


ENDS = [
    (run("queued", ended=False), "Unknown", "Running", []),
    (run("scheduled", ended=False), "Unknown", "Running", []),
    (run("inProgress", ended=False), "Unknown", "Running", []),
    (run("", ended=False), "Unknown", "Running", []),
    (run("success", records_read=9, records_written=9), "True", "Succeeded", []),
    (run("success"), "True", "Succeeded", []),
    (run("success", records_read=0, records_written=0), "True", "NothingIngested", []),
    (run("success", records_read=9, records_written=0), "False", "NothingIngested", ["RunNothingIngested"]),
    (run("partialSuccess", records_failed=2), "False", "PartiallySucceeded", ["RunPartiallySucceeded"]),
    (run("failed"), "False", "Failed", ["RunFailed"]),
    (run("cancelled"), "False", "Failed", ["RunFailed"]),
]


@pytest.mark.parametrize(("last", "status", "reason", "events"), ENDS, ids=lambda value: str(value)[:60])
async def test_each_end_has_its_reason_and_ready_stays(
    last: Run, status: str, reason: str, events: list[str]
) -> None:
    _, resource, happened = await told(last)
    assert resource.condition("RunsHealthy")[:2] == (status, reason)
    assert happened == events


async def test_status_shows_counts_and_errors() -> None:
    errors = (RunError("INGEST-1212-400", "Not a date.", 4), RunError("MAPPER-3700-400", "No."))
    metrics = RunMetrics(100, 96, 0, 4, 4096, None)
    _, resource, _ = await told(Run("r1", "f1", "partialSuccess", 1000.7, 1060.2, metrics, errors))
    assert resource.status["lastRun"] == {
        "id": "r1",
        "state": "partialSuccess",
        "startTime": START,
        "completionTime": "1970-01-01T00:17:40Z",
        "records": {"read": 100, "written": 96, "skipped": 0, "failed": 4},
        "bytes": {"read": 4096},
        "errors": [
            {"code": "INGEST-1212-400", "message": "Not a date.", "records": 4},
            {"code": "MAPPER-3700-400", "message": "No."},
        ],
    }
    assert resource.condition("RunsHealthy")[2] == (
        "Run r1 ingested 96 records and refused 4. INGEST-1212-400: Not a date. status.lastRun shows the "
        "rest."
    )


DATE = RunError("MAPPER-3700-400", "Not a date", 3)
INGEST = RunError("INGEST-1212-400", "Odd")
LOOK = "Look at the run in Platform under Sources, Dataflows."


@pytest.mark.parametrize(
    ("state", "counts", "errors", "reason", "message"),
    [
        (
            "success",
            (150, 150, 0, 0),
            (DATE,),
            "SucceededWithWarnings",
            "Run r1 ingested all 150 records, but some values could not be transformed and are null: correct "
            "them in Zoho CRM, or the mapping. MAPPER-3700-400: Not a date.",
        ),
        (
            "partialSuccess",
            (1, 1, 0, 0),
            (INGEST,),
            "SucceededWithWarnings",
            "Run r1 ingested the only record, but reports errors. INGEST-1212-400: Odd.",
        ),
        (
            "partialSuccess",
            (150, 150, 0, 0),
            (),
            "SucceededWithWarnings",
            f"Run r1 ingested all 150 records, but Platform calls it a partial success. {LOOK}",
        ),
        (
            "success",
            (0, 0, 0, 0),
            (INGEST,),
            "SucceededWithWarnings",
            "Run r1 had no record to ingest, but reports errors. INGEST-1212-400: Odd.",
        ),
        (
            "partialSuccess",
            (100, 98, 2, 0),
            (INGEST,),
            "PartiallySucceeded",
            "Run r1 ingested 98 records and skipped 2. INGEST-1212-400: Odd.",
        ),
        (
            "partialSuccess",
            (None, None, None, 1),
            (INGEST, DATE),
            "PartiallySucceeded",
            "Run r1 ingested some records and refused 1. INGEST-1212-400: Odd. status.lastRun shows the "
            "rest.",
        ),
        (
            "partialSuccess",
            (5, 0, 0, 5),
            (INGEST,),
            "NothingIngested",
            "Run r1 read 5 records and refused 5, and ingested none. INGEST-1212-400: Odd.",
        ),
        (
            "partialSuccess",
            (None, 1, None, None),
            (),
            "PartiallySucceeded",
            f"Run r1 ingested 1 record. {LOOK}",
        ),
        (
            "success",
            (1, 0, 1, 0),
            (),
            "NothingIngested",
            f"Run r1 read 1 record and skipped 1, and ingested none. {LOOK}",
        ),
        (
            "success",
            (9, 0, 9, 0),
            (INGEST,),
            "NothingIngested",
            "Run r1 read 9 records and skipped 9, and ingested none. INGEST-1212-400: Odd.",
        ),
        (
            "success",
            (9, 0, None, None),
            (),
            "NothingIngested",
            f"Run r1 read 9 records and ingested none. {LOOK}",
        ),
        (
            "success",
            (0, 0, 0, 0),
            (DATE,),
            "SucceededWithWarnings",
            "Run r1 had no record to ingest, but reports errors. MAPPER-3700-400: Not a date.",
        ),
        (
            "success",
            (2, 2, 0, 0),
            (RunError("mapper-3700-400", "Not a date"),),
            "SucceededWithWarnings",
            "Run r1 ingested all 2 records, but some values could not be transformed and are null: correct "
            "them in Zoho CRM, or the mapping. mapper-3700-400: Not a date.",
        ),
        ("failed", (9, 0, 0, 9), (INGEST,), "Failed", "Run r1 ended as failed. INGEST-1212-400: Odd."),
        ("failed", (9, 0, 0, 9), (), "Failed", f"Run r1 ended as failed. {LOOK}"),
        ("failed", (9, 0, 0, 9), (RunError("", "Odd."),), "Failed", "Run r1 ended as failed. Odd."),
        ("failed", (9, 0, 0, 9), (RunError("X-1", ""),), "Failed", "Run r1 ended as failed. X-1."),
    ],
)
async def test_no_sentence_contradicts_its_numbers_or_promises_what_is_not_there(
    state: str, counts: Any, errors: tuple[RunError, ...], reason: str, message: str
) -> None:
    _, resource, _ = await told(Run("r1", "f1", state, NOW, NOW + 60, RunMetrics(*counts), errors))
    assert resource.condition("RunsHealthy") == ("False", reason, message)


async def test_a_long_cause_is_kept_and_the_rest_promised_where_it_is() -> None:
    cause = "HybridDeliveryException GET https://www.zohoapis.eu/crm?$filter=" + "a" * 520 + " Unauthorized"
    _, resource, _ = await told(run("failed", errors=(RunError("CONNECTOR-1001-500", cause),)))
    text = resource.condition("RunsHealthy")[2]
    assert "CONNECTOR-1001-500: HybridDeliveryException" in text
    assert text.endswith("Unauthorized. status.lastRun shows the rest.")
    assert len(text) < 400
    assert resource.status["lastRun"]["errors"][0]["message"] == cause


async def test_what_is_not_known_leaves_no_empty_object() -> None:
    """The API server would refuse it."""
    _, resource, _ = await told(run("failed"))
    assert set(resource.status["lastRun"]) == {"id", "state", "startTime", "completionTime"}


async def test_a_run_that_did_not_go_well_is_told_once() -> None:
    failed, again = run("failed"), replace(run("failed"), id="r2", started_at=NOW + 3600)
    _, _, events = await told(failed, failed, run("success"), again)
    assert events == ["RunFailed", "RunFailed"]


async def test_before_the_first_listing_a_flow_that_was_found_tells_of_its_run() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    assert resource.condition("RunsHealthy")[:2] == ("Unknown", "NoRunYet")
    [flow] = harness.platform.flows.values()
    harness.platform.flows[flow.id] = replace(flow, last_run=replace(SUCCESS, metrics=None))
    await resource.visit()
    assert resource.status["lastRun"]["id"] == "r1"
    assert "records" not in resource.status["lastRun"]


async def test_a_run_is_told_where_a_later_step_stops_the_visit() -> None:
    """The flow goes on as it was, whatever the spec asks for now."""
    harness, resource, _ = await told(SUCCESS)
    resource.edit(lambda spec: spec["source"].update(table="Leads"))
    [flow_id] = harness.platform.flows
    harness.inventory.runs[flow_id] = replace(run("failed"), id="r2")
    await resource.visit()
    assert resource.condition("Stalled")[0] == "True"
    assert resource.condition("RunsHealthy")[:2] == ("False", "Failed")
    assert resource.status["lastRun"]["id"] == "r2"


async def test_the_runs_of_a_flow_that_is_lost_are_not_its_successors() -> None:
    harness, resource, _ = await told(SUCCESS)
    harness.platform.flows.clear()
    harness.inventory.runs.clear()
    await resource.visit()
    assert "lastRun" not in resource.status
    assert resource.condition("RunsHealthy")[:2] == ("Unknown", "NoRunYet")


# When a run is overdue, and who has to look


def record(last: Run | None = SUCCESS, **fields: Any) -> RunRecord:
    """A resource that has been Ready since long before its last run, and has told of it."""
    known = last_run(last) if last else None
    base = RunRecord(HOURLY, True, EPOCH - timedelta(hours=9), EPOCH - timedelta(hours=9), known, None)
    base = replace(base, **fields)
    return replace(base, said=base.judge(known, EPOCH))


def at(**after: float) -> datetime:
    return EPOCH + timedelta(**after)


WEEKLY = Schedule(frequency=Frequency.WEEK, interval=1)
ONCE = Schedule(frequency=Frequency.ONCE)
FAILED = replace(SUCCESS, state="failed")


@pytest.mark.parametrize(
    ("case", "overdue_after"),
    [
        (record(), timedelta(minutes=75)),
        (record(FAILED), timedelta(minutes=75)),
        (record(schedule=WEEKLY), timedelta(days=7.7)),
        (record(ready_since=at(hours=5)), timedelta(minutes=60 * 6 + 15)),
        (record(None, first_start=at(hours=2)), timedelta(minutes=135)),
        (record(None, schedule=ONCE, first_start=at(hours=2)), timedelta(minutes=135)),
        (record(None, first_start=at(hours=1), ready_since=at(hours=2)), timedelta(minutes=195)),
        (record(schedule=ONCE), None),
        (record(enabled=False), None),
        (record(ready_since=None), None),
        (record(run("inProgress", ended=False)), None),
        (record(None, first_start=None), None),
    ],
)
def test_a_run_is_overdue_a_while_after_it_was_due(case: RunRecord, overdue_after: timedelta | None) -> None:
    if overdue_after is None:
        assert case.judge(case.last, at(days=365)).reason != "Overdue"
        return
    assert case.judge(case.last, EPOCH + overdue_after).reason != "Overdue"
    late = case.judge(case.last, EPOCH + overdue_after + timedelta(seconds=1))
    assert (late.status, late.reason) == ("False", "Overdue")
    assert late == case.judge(case.last, EPOCH + overdue_after * 2), "the message does not change"


async def test_an_overdue_run_is_told_once_and_heals_with_the_next_run() -> None:
    harness, resource, _ = await told(SUCCESS)
    reasons = []
    for _ in range(2):
        harness.clock.time += 9000
        reasons += [event.reason for event in (await resource.visit(full=False)).events]
    assert reasons == ["RunOverdue"]
    assert resource.condition("RunsHealthy")[:2] == ("False", "Overdue")
    [flow_id] = harness.platform.flows
    harness.inventory.runs[flow_id] = replace(SUCCESS, id="r2", started_at=harness.clock.time)
    await resource.visit(full=False)
    assert resource.condition("RunsHealthy")[:2] == ("True", "Succeeded")


async def test_a_visit_is_worth_while_only_when_it_tells_something_new() -> None:
    harness, resource, _ = await told(SUCCESS)
    mine = RunRecord.of_object(resource.spec, resource.status)
    now = datetime.fromtimestamp(harness.clock.time, UTC)
    assert not mine.is_news(SUCCESS, now)
    assert not mine.is_news(None, now), "an earlier process has told of it"
    assert mine.is_news(replace(SUCCESS, id="r2"), now)
    assert mine.is_news(replace(SUCCESS, state="failed"), now)
    assert mine.is_news(replace(SUCCESS, metrics=RunMetrics(101)), now)
    assert mine.is_news(SUCCESS, now + timedelta(hours=3)), "the next one is overdue"
    known = mine.known("f1")
    assert known == [SUCCESS], "nothing of it is lost in status"
