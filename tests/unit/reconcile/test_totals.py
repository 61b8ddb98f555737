"""What metrics count stands in status: once for each run and window, whatever process is alive."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmflow.aep.models import Run, RunMetrics
from crmflow.api.crmdataflow import Extraction, IngestedStatus, PendingWindowStatus, RecentRun, Totals
from crmflow.observability import resource_metrics as metrics
from crmflow.reconcile.dataflow.readings import readings
from crmflow.reconcile.dataflow.recent_runs import merge, newest, recent_run
from crmflow.reconcile.dataflow.totals import after_runs, after_windows, with_runs
from crmflow.reconcile.extraction.rhythm import BEGINNING
from tests.unit.reconcile.fakes import NOW
from tests.unit.reconcile.harness import Harness, dataflow_spec

T = datetime(2026, 1, 31, 9, tzinfo=UTC)
COUNTS = RunMetrics(100, 95, 1, 4, 4096, 2048)


def run(name: str, state: str = "success", counts: RunMetrics | None = COUNTS, *, after: float = 0) -> Run:
    """One that began so many seconds after the first, and took a minute."""
    ended = NOW + after + 60 if state != "inProgress" else None
    return Run(name, "f1", state, NOW + after, ended, counts)


async def totals_of(*runs: Run) -> dict[str, Any]:
    """What status says after looks at each as the last run of a dataflow."""
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    [flow_id] = harness.platform.flows
    for last in runs:
        harness.inventory.runs[flow_id] = last
        harness.inventory.found[flow_id] = [last]
        await resource.visit(full=False)
        await resource.visit(full=True)
    totals: dict[str, Any] = resource.status.get("totals", {})
    return totals


async def test_a_run_counts_once_and_with_all_that_becomes_known_of_it() -> None:
    open_run, bare = run("r1", "inProgress", None), run("r1", counts=None)
    assert await totals_of(open_run) == {}
    assert await totals_of(open_run, bare) == {"runsSucceeded": 1}
    whole = {
        "runsSucceeded": 1,
        "records": {"read": 100, "written": 95, "skipped": 1, "failed": 4},
        "bytes": {"read": 4096, "written": 2048},
    }
    assert await totals_of(open_run, bare, run("r1")) == whole
    assert await totals_of(run("r1"), run("r1")) == whole


async def test_runs_add_up_by_their_results() -> None:
    only = RunMetrics(records_failed=3)
    found = await totals_of(
        run("r1"),
        run("r2", "partialSuccess", after=3600),
        run("r3", "failed", only, after=7200),
        run("r4", "cancelled", None, after=9000),
    )
    assert found == {
        "runsSucceeded": 1,
        "runsPartiallySucceeded": 1,
        "runsFailed": 2,
        "records": {"read": 200, "written": 190, "skipped": 2, "failed": 11},
        "bytes": {"read": 8192, "written": 4096},
    }


def short(*runs: Run) -> list[RecentRun]:
    return [recent_run(run, of_files=False) for run in runs]


def test_what_is_told_less_of_later_takes_nothing_away() -> None:
    known, poorer = short(run("r1")), short(run("r1", counts=RunMetrics(90, 95)))
    counted = with_runs(None, known, [])
    again = with_runs(counted, poorer, known)
    assert again is not None
    assert again.records is not None
    assert (again.runs_succeeded, again.records.read) == (1, 90)
    assert (again.records.written, again.records.failed) == (95, 4)


def test_runs_between_two_looks_count_all() -> None:
    first, *others = short(run("r1"), run("r2", after=60), run("r3", "failed", None, after=120))
    found = with_runs(with_runs(None, [first], []), [*others, first], [first])
    assert found is not None
    assert (found.runs_succeeded, found.runs_failed) == (2, 1)


def counted(totals: Totals | None) -> int:
    """How many runs that are."""
    results = (totals.runs_succeeded, totals.runs_partially_succeeded, totals.runs_failed) if totals else ()
    return sum(filter(None, results))


@pytest.mark.parametrize("seed", range(20))
def test_each_of_hundreds_counts_once_in_whatever_portions_it_is_found(seed: int) -> None:
    """Listings overlap, so they show runs again that have left the history; some end after later ones."""
    chosen = random.Random(seed)
    runs: list[Run] = []
    recorded: tuple[RecentRun, ...] = ()
    totals = None
    for _ in range(30):
        seen = len(runs)
        for number in range(seen, seen + chosen.choice((0, 1, 3, 40))):
            goes_on = chosen.random() < 0.3 and sum(one.completed_at is None for one in runs) < 3
            state = "inProgress" if goes_on else chosen.choice(("success", "failed", "partialSuccess"))
            runs.append(run(f"r{number}", state, after=60 * number))
        for place, one in enumerate(runs[:seen]):
            if one.completed_at is None and chosen.random() < 0.3:
                runs[place] = replace(one, state="success", completed_at=NOW + 60 * len(runs))
        listed = runs[max(0, seen - chosen.randint(0, 60)) :]
        asked_for_by_id = [one for one in runs if one.id in {known.id for known in recorded}]
        found = chosen.sample(listed, len(listed)) + asked_for_by_id
        together = merge(recorded, found, of_files=False)
        totals, recorded = with_runs(totals, together, recorded), newest(together)
        assert counted(totals) == sum(one.completed_at is not None for one in runs)
        again = merge(recorded, found, of_files=False)
        assert with_runs(totals, again, recorded) == totals, "what is counted is no news"


def test_what_had_left_the_history_of_an_older_version_counts_no_second_time() -> None:
    runs = short(*(run(f"r{number:03}", after=60 * number) for number in range(30)))
    recorded, totals = newest(runs[:20]), Totals(runs_succeeded=20)
    after = with_runs(totals, runs, recorded)
    assert counted(after) == 30


def test_a_run_of_which_no_time_is_told_counts_once() -> None:
    untold = short(Run("u", "f1", "failed", None, None, None))
    many = short(*(run(f"r{number:03}", after=60 * number) for number in range(20)))
    totals = with_runs(None, [*many, *untold], ())
    assert counted(totals) == 21
    assert counted(with_runs(totals, [*many, *untold], newest(many))) == 21


def test_a_run_of_platforms_source_brings_what_changed_before_it_began() -> None:
    def after(was: IngestedStatus | None, *runs: Run, takes_files: bool = False) -> IngestedStatus | None:
        return after_runs(was, short(*runs), takes_files=takes_files)

    first = after(None, run("r1"))
    assert first == IngestedStatus(
        until=datetime.fromtimestamp(NOW, UTC), last_success_time=datetime.fromtimestamp(NOW + 60, UTC)
    )
    assert after(first, run("r2", "failed", after=60)) == first
    assert after(first, run("r0", after=-60)) == first
    files = after(None, run("r1"), takes_files=True)
    assert files is not None
    assert files.until is None


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("starts", "until"),
    [([], T), ([T - HOUR], T - HOUR), ([T - HOUR, T - 3 * HOUR], T - 3 * HOUR), ([BEGINNING], None)],
)
def test_files_bring_what_lies_before_all_that_is_pending(
    starts: list[datetime], until: datetime | None
) -> None:
    pending = [PendingWindowStatus(start=start, end=T) for start in starts]
    found = after_windows(None, Extraction(cursor=T, cursor_set_time=T), pending)
    assert (found.until if found else None) == until
    assert after_windows(None, None, pending) is None


def told(status: dict[str, Any], **spec: Any) -> dict[tuple[str, ...], float]:
    """Name and labels of each reading."""
    found = readings(dataflow_spec(**spec), status)
    return {(reading.family.name, *reading.labels): reading.value for reading in found}


def test_a_dataflow_without_a_flow_tells_only_its_period() -> None:
    assert told({}) == {(metrics.PERIOD.name,): 3600}


@pytest.mark.parametrize(
    "spec",
    [
        {"paused": True},
        {"ingestion": {"enabled": False}},
        {"schedule": {"frequency": "Once"}},
        {"schedule": {"frequency": "Never"}},
    ],
    ids=str,
)
def test_where_nothing_new_is_to_be_expected_there_is_no_period(spec: dict[str, Any]) -> None:
    assert (metrics.PERIOD.name,) not in told({"flow": {"id": "f1"}}, **spec)


def test_what_an_older_version_recorded_tells_the_last_success() -> None:
    times = {"startTime": "2026-01-31T09:00:00Z", "completionTime": "2026-01-31T09:05:00Z"}
    found = told({"flow": {"id": "f1"}, "lastRun": {"id": "r1", "state": "success", **times}})
    assert found[(metrics.INGESTED_UNTIL.name,)] == T.timestamp()
    assert found[(metrics.LAST_SUCCESS.name,)] == T.timestamp() + 300
    assert found[(metrics.LAST_RUN_SECONDS.name,)] == 300
    assert found[(metrics.RUNS.name, "Failed")] == 0


def test_files_tell_of_windows() -> None:
    tick = {"start": "2026-01-31T08:00:00Z", "end": "2026-01-31T09:00:00Z", "tick": "2026-01-31T09:05:00Z"}
    written = {**tick, "file": {"completionTime": "2026-01-31T09:01:00Z", "rows": 3}}
    later = {**tick, "tick": "2026-01-31T10:05:00Z"}
    status: dict[str, Any] = {"transport": "LandingZone", "totals": {"windows": 2, "windowBytes": 70}}
    found = told(status | {"pendingWindows": [written, later, {**later, "tick": None}]})
    assert found[(metrics.PENDING_WINDOWS.name,)] == 3
    assert found[(metrics.EXTRACTION_DUE.name,)] == T.timestamp() + 3900
    assert (found[(metrics.WINDOWS.name,)], found[(metrics.WINDOW_BYTES.name,)]) == (2, 70)
    assert (metrics.EXTRACTION_DUE.name,) not in told(status | {"pendingWindows": [written]})


def test_what_can_not_be_read_is_left_out_alone() -> None:
    found = told({"flow": {"id": "f1"}, "totals": {"runsFailed": 1}, "lastRun": {"id": 7}})
    assert found[(metrics.RUNS.name, "Failed")] == 1
    assert (metrics.LAST_SUCCESS.name,) not in found
