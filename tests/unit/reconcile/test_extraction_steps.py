"""A dataflow through the landing zone, from its first pass on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.transfer.report import ExitCode, Report, Result
from tests.unit.reconcile.harness import Harness, Resource

WAITING = OutcomeClass.WAITING


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
    harness.transfers.end(Report(exit_code=ExitCode.DONE, reason=Result.WRITTEN, rows=rows, credits=9))


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
