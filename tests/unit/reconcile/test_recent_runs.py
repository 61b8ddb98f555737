"""The history of runs in status: bounded, the newest first, whatever is found in whatever order."""

from __future__ import annotations

import random
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from crmflow.aep.models import Run, RunError, RunMetrics
from crmflow.api.crmdataflow import RecentRun
from crmflow.reconcile.dataflow.recent_runs import merge, newest, recorded_runs
from crmflow.reconcile.dataflow.runs import RunRecord
from tests.unit.reconcile.fakes import NOW
from tests.unit.reconcile.harness import Harness

DONE = Run("r1", "f1", "success", NOW, NOW + 60, RunMetrics(100, 99, 1, 0, 4096, 2048, 3), (), (NOW - 9, NOW))
OPEN = replace(DONE, state="inProgress", completed_at=None, metrics=None)
BARE = replace(DONE, metrics=None, window=None)
"""As a flow shows its last run."""


def hourly(count: int) -> list[Run]:
    """Runs that began one after the other, the oldest first."""
    return [
        replace(
            DONE, id=f"r{number:03}", started_at=NOW + number * 3600, completed_at=NOW + number * 3600 + 60
        )
        for number in range(count)
    ]


def history(recorded: tuple[RecentRun, ...], found: Iterable[Run]) -> tuple[RecentRun, ...]:
    return newest(merge(recorded, found, of_files=False))


def ids(runs: tuple[RecentRun, ...]) -> list[str]:
    return [run.id for run in runs]


def test_hundreds_of_runs_in_any_order_leave_the_last_ten() -> None:
    runs = hourly(300)
    expected = history((), runs)
    assert ids(expected) == [f"r{number:03}" for number in range(299, 289, -1)]
    shuffled = random.Random(7)
    for _ in range(20):
        shuffled.shuffle(runs)
        recorded: tuple[RecentRun, ...] = ()
        while_found = list(runs)
        while while_found:
            portion = [while_found.pop() for _ in range(min(len(while_found), shuffled.randint(1, 60)))]
            recorded = history(recorded, portion)
        assert recorded == expected
        assert history(recorded, runs[:50]) == expected, "what is known is no news"


def test_runs_that_began_in_the_same_second_keep_their_order() -> None:
    runs = [replace(DONE, id=f"r{number}", started_at=NOW + number / 100) for number in range(20)]
    assert history((), runs) == history((), reversed(runs))


def test_a_run_that_waits_is_the_newest() -> None:
    waits = replace(OPEN, id="w", state="queued", started_at=None)
    assert ids(history((), [waits, *hourly(12)]))[0] == "w"


def test_a_run_that_goes_on_keeps_its_place_until_it_has_ended() -> None:
    goes_on = replace(OPEN, id="o", started_at=NOW - 60)
    found = history((), [goes_on, *hourly(30)])
    assert ids(found) == [*(f"r{number:03}" for number in range(29, 20, -1)), "o"]
    found = history(found, [replace(DONE, id="o", started_at=NOW - 60)])
    assert found[-1].state == "success"
    assert "o" not in ids(history(found, [replace(DONE, id="later", started_at=NOW + 90 * 3600)]))


def test_runs_that_never_end_leave_room_for_others() -> None:
    going_on = [replace(OPEN, id=f"o{number:02}", started_at=NOW - 3600 + number) for number in range(20)]
    found = ids(history((), [*going_on, *hourly(30)]))
    assert found == [
        *(f"r{number:03}" for number in range(29, 24, -1)),
        *(f"o{number}" for number in range(19, 14, -1)),
    ]


def test_a_run_of_which_no_start_is_told_has_the_place_of_its_end() -> None:
    failed = replace(DONE, id="f", state="failed", started_at=None, completed_at=NOW + 3 * 3600 + 9)
    untold = replace(failed, id="u", completed_at=None)
    found = ids(history((), [failed, untold, *hourly(5)]))
    assert found == ["r004", "f", "r003", "r002", "r001", "r000", "u"]


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (OPEN, DONE, DONE),
        (DONE, OPEN, DONE),
        (DONE, BARE, DONE),
        (BARE, DONE, DONE),
        (OPEN, BARE, BARE),
        (DONE, replace(DONE, metrics=RunMetrics(7)), replace(DONE, metrics=RunMetrics(7))),
    ],
    ids=["it ends", "an old listing", "its flow knows less", "its counts", "its end", "recounted"],
)
def test_the_better_known_of_two_is_kept(first: Run, second: Run, shown: Run) -> None:
    recorded = merge((), [first], of_files=False)
    assert merge(recorded, [second], of_files=False) == merge((), [shown], of_files=False)


async def test_status_shows_a_run_in_short() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    [flow_id] = harness.platform.flows
    error = RunError("CONNECTOR-1001-500", "The copy\n failed. " + "x" * 900, None)
    failed = Run("r2", flow_id, "failed", 2000.0, 2060.0, RunMetrics(), (error,), (0.0, 1990.0))
    harness.inventory.runs[flow_id] = failed
    harness.inventory.found[flow_id] = [failed, replace(DONE, flow_id=flow_id, started_at=1000.0)]
    result = await resource.visit(full=False)
    assert result.calls == [], "what a listing shows costs no call"
    before = deepcopy(resource.status)
    [newest, oldest] = deepcopy(resource.status["recentRuns"])
    cause = newest.pop("cause")
    assert cause.startswith("CONNECTOR-1001-500: The copy failed. xxx")
    assert len(cause) <= 256, "ten of them are in a status"
    assert newest == {
        "id": "r2",
        "state": "failed",
        "window": {"end": "1970-01-01T00:33:10Z"},
        "startTime": "1970-01-01T00:33:20Z",
        "completionTime": "1970-01-01T00:34:20Z",
    }
    assert oldest["records"] == {"read": 100, "written": 99, "skipped": 1, "failed": 0}
    assert oldest["bytes"] == {"read": 4096, "written": 2048}
    assert "files" not in oldest, "Platform's own source has none"
    await resource.visit(full=False)
    assert resource.status == before


def test_files_are_told_of_the_landing_zone() -> None:
    [run] = merge((), [DONE], of_files=True)
    assert run.files == 3


async def test_a_status_of_an_older_version_gets_its_history_by_and_by() -> None:
    harness = Harness()
    resource = harness.dataflow()
    await resource.until_done()
    [flow_id] = harness.platform.flows
    last = replace(DONE, flow_id=flow_id)
    harness.inventory.runs[flow_id] = last
    await resource.visit(full=False)
    del resource.status["recentRuns"]
    mine = RunRecord.of_object(resource.spec, resource.status)
    assert mine is not None
    now = datetime.fromtimestamp(harness.clock.time, UTC)
    assert not mine.is_news(last, now), "it alone is worth no visit"
    assert mine.is_news(last, now, found=[last])
    await resource.visit(full=False)
    assert ids(recorded_runs(resource.status["recentRuns"])) == ["r1"]


@pytest.mark.parametrize("value", [0, "all", [7], [{"state": "success"}], [{"id": "r1", "records": 1}]])
def test_a_history_that_this_version_cannot_read_is_told_anew(value: Any) -> None:
    spec = {"schedule": {"frequency": "Hour", "interval": 1}}
    mine = RunRecord.of_object(spec, {"recentRuns": value})
    assert mine is not None
    assert recorded_runs(value) == ()
    assert mine.is_news(None, datetime.fromtimestamp(NOW, UTC), found=[DONE])
    assert all(run.id == "r1" for run in mine.known("f1"))


def test_runs_without_an_end_are_asked_for() -> None:
    recorded = [
        run.model_dump(mode="json", by_alias=True, exclude_none=True)
        for run in merge((), [OPEN, *hourly(3)], of_files=False)
    ]
    mine = RunRecord.of_object({"schedule": {"frequency": "Once"}}, {"recentRuns": recorded})
    assert mine is not None
    assert [(run.id, run.started_at, run.is_final) for run in mine.known("f1")] == [("r1", NOW, False)]
