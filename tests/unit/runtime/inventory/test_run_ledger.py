"""The ledger of runs: what is asked of the sandbox, and what it knows afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import Run, RunMetrics
from crmflow.http.errors import RemoteError
from crmflow.runtime.inventory import run_ledger
from crmflow.runtime.inventory.run_ledger import (
    FIRST_LOOK_SECONDS,
    LONGEST_LOOK_SECONDS,
    OVERLAP_SECONDS,
    RunLedger,
)
from tests.fakes.failing import remote_error
from tests.unit.runtime.fakes import START, JumpingClock
from tests.unit.runtime.listings import FakeListings


class Harness:
    """A ledger over a sandbox."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.client = FakeListings()
        self.ledger = RunLedger(self.client, self.clock)

    def run(self, id: str, flow: str = "f1", state: str = "success", ago: float = 60.0) -> Run:
        """The sandbox lists a run; what there was of that id is replaced."""
        start = self.clock.now() - ago
        over = state != "inProgress"
        run = Run(id, flow, state, start, start + 30 if over else None, RunMetrics(9, 9) if over else None)
        self.client.runs = [*(known for known in self.client.runs if known.id != id), run]
        return run

    async def poll(
        self, *told: Run, shown: tuple[Run, ...] = (), flows: tuple[str, ...] = ("f1", "f2")
    ) -> list[tuple[str, Any]]:
        """What one poll asks; listings by instants as seconds before now."""
        self.client.asked.clear()
        await self.ledger.read(set(flows), told, shown)
        now = self.clock.now()
        return [
            (what, round(now - value)) if what == "runs" else (what, value)
            for what, value in self.client.asked
        ]


@pytest.fixture
def harness() -> Harness:
    return Harness()


async def test_a_listing_begins_where_the_one_before_did_less_the_overlap(harness: Harness) -> None:
    assert await harness.poll() == [("runs", FIRST_LOOK_SECONDS)]
    harness.clock.jump(300)
    assert await harness.poll() == [("runs", 300 + OVERLAP_SECONDS)]


async def test_after_a_restart_it_begins_with_what_status_knows(harness: Harness) -> None:
    """Nothing is lost, and nothing else is read again."""
    old = harness.run("r1", ago=90_000)
    newer = harness.run("r2", "f2", ago=4_000)
    assert await harness.poll(old, newer) == [("runs", 4_000 + OVERLAP_SECONDS)]
    assert harness.ledger.last_run("f1") == old
    assert harness.ledger.last_run("f2") == newer


async def test_what_flows_show_does_not_hide_the_runs_before_it(harness: Harness) -> None:
    """An operator that was away reads all since the last run that a status tells of."""
    told = harness.run("r1", ago=50_000)
    missed, last = harness.run("r2", ago=30_000), harness.run("r3", ago=100)
    assert await harness.poll(told, shown=(last,)) == [("runs", 50_000 + OVERLAP_SECONDS)]
    assert set(harness.ledger.found("f1")) == {told, missed, last}
    assert harness.ledger.last_run("f1") == last


async def test_an_earlier_run_whose_end_its_flow_shows_is_read_by_id(harness: Harness) -> None:
    """It ended last; what it did shows in no listing any more, and not in the flow."""
    earlier, last = harness.run("r1", state="inProgress", ago=90_000), harness.run("r2", ago=80_000)
    ended = replace(earlier, state="success", completed_at=START, metrics=RunMetrics(1))
    harness.client.runs = [ended, last]
    shown = replace(ended, metrics=None)
    assert (await harness.poll(earlier, last, shown=(shown,)))[1:] == [("runs by ids", ("r1",))]
    assert ended in harness.ledger.found("f1")
    assert (await harness.poll(ended, last, shown=(shown,)))[1:] == [], "it is not asked for again"


async def test_nothing_older_than_a_week_is_listed(harness: Harness) -> None:
    """The listing has the runs of others, too, and this one may be that of a flow that rests."""
    assert await harness.poll(harness.run("r1", ago=30 * 86400)) == [("runs", LONGEST_LOOK_SECONDS)]


async def test_a_start_that_lies_ahead_is_no_watermark(harness: Harness) -> None:
    assert await harness.poll(harness.run("r1", ago=-500)) == [("runs", FIRST_LOOK_SECONDS)]


async def test_a_watermark_of_a_clock_that_was_fast_hides_no_run(harness: Harness) -> None:
    await harness.poll()
    harness.clock.jump(-7200)  # set right
    assert await harness.poll() == [("runs", OVERLAP_SECONDS)]


async def test_the_last_run_of_each_flow_counts(harness: Harness) -> None:
    harness.run("r1", ago=600)
    second, other = harness.run("r2", ago=300), harness.run("r3", "f2", ago=500)
    harness.run("r9", "somebody-elses")
    await harness.poll()
    assert harness.ledger.last_run("f1") == second
    assert harness.ledger.last_run("f2") == other
    assert harness.ledger.last_run("somebody-elses") is None


async def test_a_flow_that_is_gone_is_forgotten(harness: Harness) -> None:
    harness.run("r1")
    await harness.poll()
    await harness.poll(flows=())
    assert harness.ledger.last_run("f1") is None


async def test_a_run_that_goes_on_is_read_by_id_once_listings_begin_later(harness: Harness) -> None:
    begun = harness.run("r1", state="inProgress")
    await harness.poll()
    harness.clock.jump(3600)
    await harness.poll()
    harness.clock.jump(3600)
    harness.client.runs = [replace(begun, state="failed", completed_at=START + 7000, metrics=RunMetrics())]
    assert await harness.poll() == [("runs", 3600 + OVERLAP_SECONDS), ("runs by ids", ("r1",))]
    found = harness.ledger.last_run("f1")
    assert found is not None
    assert found.state == "failed"
    assert await harness.poll() == [("runs", OVERLAP_SECONDS)]


async def test_a_run_that_only_its_flow_tells_of_is_read_by_id_once(harness: Harness) -> None:
    run = harness.run("r1", ago=200_000)
    told = replace(run, metrics=None)
    assert await harness.poll(told) == [("runs", 200_000 + OVERLAP_SECONDS)]
    await harness.poll(told)
    assert harness.ledger.last_run("f1") == run

    gone = replace(told, id="r2", started_at=harness.clock.now())
    assert (await harness.poll(gone))[1:] == [("runs by ids", ("r2",))]
    assert harness.ledger.last_run("f1") == gone
    assert len(await harness.poll(gone)) == 1, "what could not be read once is not asked for again"
    ended_otherwise = replace(gone, state="failed")
    assert len(await harness.poll(ended_otherwise)) == 2


async def test_a_listing_that_fails_loses_nothing(harness: Harness) -> None:
    await harness.poll()
    harness.clock.jump(300)
    harness.client.runs_error = remote_error()
    with pytest.raises(RemoteError):
        await harness.poll()
    harness.client.runs_error = None
    harness.clock.jump(300)
    assert await harness.poll() == [("runs", 600 + OVERLAP_SECONDS)]


async def test_what_was_found_is_kept_until_status_tells_of_it(harness: Harness) -> None:
    runs = [harness.run(f"r{number:03}", ago=10.0 + number) for number in range(300)]
    harness.run("s1", "f2")
    await harness.poll()
    assert {run.id for run in harness.ledger.found("f1")} == {run.id for run in runs}
    harness.client.runs = []
    await harness.poll()
    assert len(harness.ledger.found("f1")) == 300, "its resource may not have told of it yet"
    harness.ledger.forget("f1")
    assert harness.ledger.found("f1") == ()
    await harness.poll(flows=("f1",))
    assert harness.ledger.found("f2") == (), "the flow is gone"


async def test_what_nobody_tells_of_is_bounded(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_ledger, "MOST_KEPT", 40)
    runs = [harness.run(f"r{number:03}", ago=10.0 + number) for number in range(40)]
    await harness.poll()
    assert len(harness.ledger.found("f1")) == 40
    harness.run("s1", "f2")
    await harness.poll()
    assert {run.id for run in harness.ledger.found("f1")} == {run.id for run in runs[:10]}
    assert [run.id for run in harness.ledger.found("f2")] == ["s1"]


async def test_an_earlier_run_that_goes_on_is_read_by_id_beside_the_last_one(harness: Harness) -> None:
    """Its end shows in no listing that begins later, and status has it without one."""
    earlier = harness.run("r1", state="inProgress", ago=90_000)
    last = harness.run("r2", ago=80_000)
    harness.client.runs = [replace(earlier, state="success", completed_at=START, metrics=RunMetrics(1)), last]
    assert (await harness.poll(earlier, last))[1:] == [("runs by ids", ("r1",))]
    assert {run.id: run.state for run in harness.ledger.found("f1")} == {"r1": "success", "r2": "success"}
    assert harness.ledger.last_run("f1") == last
    assert (await harness.poll(last))[1:] == [], "it is not asked for again"
