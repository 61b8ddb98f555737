"""The ledger of runs: what is asked of the sandbox, and what it knows afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import Run, RunMetrics
from crmflow.runtime.runs import FIRST_LOOK_SECONDS, OVERLAP_SECONDS, RunLedger
from crmflow.transport.errors import RemoteError
from tests.unit.reconcile.fakes import remote_error
from tests.unit.runtime.fakes import START, JumpingClock
from tests.unit.runtime.listings import FakeListings


class Stage:
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

    async def poll(self, *told: Run, flows: tuple[str, ...] = ("f1", "f2")) -> list[tuple[str, Any]]:
        """What one poll asks; listings by instants as seconds before now."""
        self.client.asked.clear()
        await self.ledger.read(set(flows), told)
        now = self.clock.now()
        return [
            (what, round(now - value)) if what == "runs" else (what, value)
            for what, value in self.client.asked
        ]


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_listing_begins_where_the_one_before_did_less_the_overlap(stage: Stage) -> None:
    assert await stage.poll() == [("runs", FIRST_LOOK_SECONDS)]
    stage.clock.jump(300)
    assert await stage.poll() == [("runs", 300 + OVERLAP_SECONDS)]


async def test_after_a_restart_it_begins_with_what_status_knows(stage: Stage) -> None:
    """Nothing is lost, and nothing else is read again."""
    old = stage.run("r1", ago=90_000)
    newer = stage.run("r2", "f2", ago=4_000)
    assert await stage.poll(old, newer) == [("runs", 4_000 + OVERLAP_SECONDS)]
    assert stage.ledger.last_run("f1") == old
    assert stage.ledger.last_run("f2") == newer


async def test_a_start_that_lies_ahead_is_no_watermark(stage: Stage) -> None:
    assert await stage.poll(stage.run("r1", ago=-500)) == [("runs", FIRST_LOOK_SECONDS)]


async def test_the_last_run_of_each_flow_counts(stage: Stage) -> None:
    stage.run("r1", ago=600)
    second, other = stage.run("r2", ago=300), stage.run("r3", "f2", ago=500)
    stage.run("r9", "somebody-elses")
    await stage.poll()
    assert stage.ledger.last_run("f1") == second
    assert stage.ledger.last_run("f2") == other
    assert stage.ledger.last_run("somebody-elses") is None


async def test_a_flow_that_is_gone_is_forgotten(stage: Stage) -> None:
    stage.run("r1")
    await stage.poll()
    await stage.poll(flows=())
    assert stage.ledger.last_run("f1") is None


async def test_a_run_that_goes_on_is_read_by_id_once_listings_begin_later(stage: Stage) -> None:
    begun = stage.run("r1", state="inProgress")
    await stage.poll()
    stage.clock.jump(3600)
    await stage.poll()
    stage.clock.jump(3600)
    stage.client.runs = [replace(begun, state="failed", completed_at=START + 7000, metrics=RunMetrics())]
    assert await stage.poll() == [("runs", 3600 + OVERLAP_SECONDS), ("runs by ids", ("r1",))]
    found = stage.ledger.last_run("f1")
    assert found is not None
    assert found.state == "failed"
    assert await stage.poll() == [("runs", OVERLAP_SECONDS)]


async def test_a_run_that_only_its_flow_tells_of_is_read_by_id_once(stage: Stage) -> None:
    run = stage.run("r1", ago=200_000)
    told = replace(run, metrics=None)
    assert await stage.poll(told) == [("runs", 200_000 + OVERLAP_SECONDS)]
    await stage.poll(told)
    assert stage.ledger.last_run("f1") == run

    gone = replace(told, id="r2", started_at=stage.clock.now())
    assert (await stage.poll(gone))[1:] == [("runs by ids", ("r2",))]
    assert stage.ledger.last_run("f1") == gone
    assert len(await stage.poll(gone)) == 1, "what could not be read once is not asked for again"
    ended_otherwise = replace(gone, state="failed")
    assert len(await stage.poll(ended_otherwise)) == 2


async def test_a_listing_that_fails_loses_nothing(stage: Stage) -> None:
    await stage.poll()
    stage.clock.jump(300)
    stage.client.runs_error = remote_error()
    with pytest.raises(RemoteError):
        await stage.poll()
    stage.client.runs_error = None
    stage.clock.jump(300)
    assert await stage.poll() == [("runs", 600 + OVERLAP_SECONDS)]
