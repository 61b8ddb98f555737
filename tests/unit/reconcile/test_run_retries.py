"""Failed runs are run again: when, how often, and what is made of answers that are lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmflow.aep.models import Run, RunMetrics, RunState
from crmflow.api.crmdataflow import RecentRun, RunRetry, RunRetryState
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.dataflow.recent_runs import merge
from crmflow.reconcile.dataflow.run_retries import (
    FRESH,
    PAUSE,
    SHOWS_WITHIN,
    due,
    failed,
    follow,
    in_words,
    next_look,
    requested,
)
from tests.fakes.failing import remote_error
from tests.unit.reconcile.fakes import NOW
from tests.unit.reconcile.harness import Harness, Resource

BEGAN = datetime.fromtimestamp(NOW, UTC)
MINUTE = timedelta(minutes=1)
WINDOW = (NOW - 3600, NOW)
FAILED = Run("r1", "f1", "failed", NOW, NOW + 60, RunMetrics(9, 0, 0, 9), (), WINDOW)
AGAIN = replace(FAILED, id="r2", started_at=NOW + 600, completed_at=NOW + 660)
WELL = replace(AGAIN, state="success", metrics=RunMetrics(9, 9, 0, 0))
OPEN = replace(AGAIN, state="inProgress", completed_at=None, metrics=None)
LOST = remote_error(ErrorClass.TRANSIENT, maybe_applied=True)
NEXT = replace(WELL, id="r9", started_at=NOW + 3600, completed_at=NOW + 3660, window=(NOW, NOW + 3600))


def recent(*runs: Run) -> tuple[RecentRun, ...]:
    return merge((), runs, of_files=False)


def after(minutes: float) -> datetime:
    return BEGAN + minutes * MINUTE


def followed(
    *runs: Run, before: tuple[RunRetry, ...] = (), limit: int = 2, minutes: float = 2
) -> tuple[RunRetry, ...]:
    return follow(before, recent(*runs), limit, after(minutes))


[DUE] = followed(FAILED)
ASKED = requested(DUE, after(7))


def state_of(retries: tuple[RunRetry, ...]) -> list[tuple[str, str, int, tuple[str, ...]]]:
    return [(one.run, one.state, one.retries or 0, one.runs) for one in retries]


@pytest.mark.parametrize(
    ("run", "is_failed"),
    [
        (FAILED, True),
        (replace(FAILED, state="success"), True),
        (replace(FAILED, state="success", metrics=RunMetrics(0, 0)), False),
        (replace(FAILED, state="success", metrics=None), False),
        (replace(FAILED, state="cancelled"), False),
        (WELL, False),
        (OPEN, False),
    ],
    ids=["failed", "ingested none", "nothing new", "not told", "by somebody", "well", "goes on"],
)
def test_what_is_run_again(run: Run, is_failed: bool) -> None:
    assert failed(recent(run)[0]) == is_failed
    assert bool(followed(run)) == is_failed


def test_a_failure_is_due_after_a_pause_that_grows() -> None:
    assert (DUE.state, DUE.retry_time) == (RunRetryState.DUE, after(1) + PAUSE[0])
    assert due([DUE], after(5.9)) is None
    assert due([DUE], after(6)) == DUE
    assert next_look([DUE]) == after(6)
    running = DUE.model_copy(update={"state": RunRetryState.RUNNING, "retries": 1, "runs": ("r2",)})
    [again] = followed(FAILED, AGAIN, before=(running,), minutes=12)
    assert (again.state, again.retry_time) == (RunRetryState.DUE, after(11) + 2 * PAUSE[0])


def test_no_limit_and_what_failed_long_ago() -> None:
    assert followed(FAILED, limit=0) == followed(FAILED, before=(ASKED,), limit=0) == ()
    assert follow((), recent(FAILED), 2, after(1) + FRESH) == ()
    assert state_of(followed(FAILED, AGAIN, replace(NEXT, state="failed"))) != []


TABLE = [
    ("no run shows yet", (FAILED,), 20, ("Requested", 1, ())),
    ("the next tick is another window", (FAILED, NEXT), 20, ("Requested", 1, ())),
    ("the run shows", (FAILED, OPEN), 20, ("Running", 1, ("r2",))),
    ("it has ended already", (FAILED, WELL, NEXT), 20, ("Succeeded", 1, ("r2",))),
    ("it has failed already", (FAILED, AGAIN), 20, ("Due", 1, ("r2",))),
    ("none has shown for long", (FAILED, NEXT), 7 + 30, ("Due", 1, ())),
]


@pytest.mark.parametrize(
    ("runs", "minutes", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_request_whose_answer_was_lost(
    runs: tuple[Run, ...], minutes: float, expected: tuple[str, int, tuple[str, ...]]
) -> None:
    [one] = followed(*runs, before=(ASKED,), minutes=minutes)
    assert (one.state, one.retries, one.runs) == expected
    assert next_look([ASKED]) == after(7) + SHOWS_WITHIN


def test_where_runs_tell_no_windows_the_first_after_the_request_is_taken_for_it() -> None:
    """It is never asked for twice; that another run is taken for the retry is the lesser evil."""
    blind = replace(FAILED, window=None)
    [one] = followed(
        blind, replace(WELL, window=None), replace(NEXT, window=None), before=(ASKED,), minutes=70
    )
    assert (one.state, one.runs) == (RunRetryState.SUCCEEDED, ("r2",))
    [other] = followed(blind, replace(WELL, window=None), minutes=20)
    assert other.state is RunRetryState.DUE, "nobody has asked for that run"


def test_the_limit_is_reached_and_may_be_raised() -> None:
    twice = ASKED.model_copy(update={"state": RunRetryState.RUNNING, "retries": 2, "runs": ("r2",)})
    [one] = followed(FAILED, AGAIN, before=(twice,), minutes=12)
    assert one.state is RunRetryState.EXHAUSTED
    assert "spec.runs.retryLimit, 2, is used up" in in_words([one], 2)
    [raised] = followed(FAILED, AGAIN, before=(one,), limit=3, minutes=12)
    assert raised.state is RunRetryState.DUE
    by_hand = replace(WELL, id="r3", started_at=NOW + 7200, completed_at=NOW + 7260)
    [healed] = followed(FAILED, AGAIN, by_hand, before=(one,), minutes=130)
    assert (healed.state, in_words([healed], 2)) == (RunRetryState.SUCCEEDED, "")


def test_what_somebody_has_run_again_by_hand_is_not_asked_for() -> None:
    assert state_of(followed(FAILED, WELL, minutes=20)) == [("r1", "Succeeded", 0, ("r2",))]


def test_a_retry_that_failed_is_no_run_of_its_own() -> None:
    running = ASKED.model_copy(update={"state": RunRetryState.RUNNING, "runs": ("r2",)})
    assert [one.run for one in followed(FAILED, AGAIN, before=(running,), minutes=12)] == ["r1"]


def test_it_is_the_same_however_often_it_is_worked_out() -> None:
    for runs in ((FAILED,), (FAILED, AGAIN), (FAILED, WELL), (FAILED, OPEN, NEXT)):
        once = followed(*runs, before=(ASKED,), minutes=40)
        assert followed(*runs, before=once, minutes=40) == once


def test_what_is_out_of_the_history_is_forgotten() -> None:
    assert followed(NEXT, before=(DUE,), minutes=120) == ()


# The step


class Flowing:
    """A dataflow that is Ready, with a limit, and what Platform lists of its runs."""

    def __init__(self, harness: Harness, resource: Resource, flow_id: str) -> None:
        self.harness, self.resource, self.flow_id = harness, resource, flow_id

    @classmethod
    async def make(cls, **spec: Any) -> Flowing:
        harness = Harness()
        resource = harness.dataflow(**{"runs": {"retryLimit": 2}, **spec})
        await resource.until_done()
        [flow_id] = harness.platform.flows
        return cls(harness, resource, flow_id)

    def run(self, id: str, state: str = "failed", window: tuple[float, float] = WINDOW, **more: Any) -> Run:
        """Platform lists a run that has just ended."""
        now = self.harness.clock.time
        metrics = RunMetrics(9, 0 if state == "failed" else 9, 0, 9 if state == "failed" else 0)
        run = replace(
            Run(id, self.flow_id, state, now - 60, now, metrics, (), window),
            **more,
        )
        self.harness.platform.runs[id] = run
        self.harness.inventory.runs[self.flow_id] = run
        self.harness.inventory.found[self.flow_id] = [
            *(one for one in self.harness.inventory.found.get(self.flow_id, ()) if one.id != id),
            run,
        ]
        return run

    async def visit(self, minutes: float = 0) -> Any:
        self.harness.clock.time += minutes * 60
        return await self.resource.visit(full=False)

    @property
    def retries(self) -> list[tuple[str, int, list[str]]]:
        told = self.resource.status.get("runRetries", [])
        return [(one["state"], one.get("retries", 0), one.get("runs", [])) for one in told]

    @property
    def message(self) -> str:
        return str(self.resource.condition("RunsHealthy")[2])


def asked(result: Any) -> list[str]:
    return [call for call in result.calls if "retry" in str(call)]


async def test_a_failed_run_is_run_again_until_it_succeeds() -> None:
    flow = await Flowing.make()
    flow.run("r1")
    told = await flow.visit()
    assert [event.reason for event in told.events] == ["RunFailed"]
    assert (told.calls, flow.retries) == ([], [("Due", 0, [])])
    assert "(1 of 2)" in flow.message
    assert (await flow.visit(4)).calls == []
    again = await flow.visit(1)
    assert again.calls == ["checkpoint", "runs.retry"]
    assert [event.reason for event in again.events] == ["RunRetried"], "the failure is told once"
    [(state, count, [made])] = flow.retries
    assert (state, count) == ("Running", 1)
    assert flow.resource.condition("Ready")[0] == "True"

    flow.harness.clock.time += 120
    flow.run(made, "success")
    assert (await flow.visit()).calls == []
    assert flow.retries == [("Succeeded", 1, [made])]
    assert flow.resource.condition("RunsHealthy")[:2] == ("True", "Succeeded")


async def test_without_a_limit_nothing_is_run_again() -> None:
    flow = await Flowing.make(runs={})
    flow.run("r1")
    await flow.visit()
    assert (await flow.visit(120)).calls == []
    assert flow.retries == []


async def test_the_request_is_in_status_before_it_is_sent_and_never_repeated_blindly() -> None:
    flow = await Flowing.make()
    flow.run("r1")
    await flow.visit()
    flow.harness.platform.fail("runs.retry", LOST, after=True, times=1)
    lost = await flow.visit(5)
    assert len(asked(lost)) == 1
    assert flow.retries == [("Requested", 1, [])]
    assert (await flow.visit(10)).calls == []
    made = next(run for run in flow.harness.platform.runs if run != "r1")
    flow.run(made, "success")
    await flow.visit()
    assert flow.retries == [("Succeeded", 1, [made])]


async def test_a_refusal_is_told_and_not_asked_for_again() -> None:
    flow = await Flowing.make()
    flow.run("r1")
    await flow.visit()
    flow.harness.platform.runs["r1"] = replace(
        flow.harness.platform.runs["r1"], state=RunState.SUCCESS, metrics=RunMetrics(9, 9)
    )
    refused = await flow.visit(5)
    assert [event.reason for event in refused.events] == ["RetryRefused"]
    assert flow.retries[0][0] == "Refused"
    assert "Platform does not run r1 again: " in flow.message
    assert (await flow.visit(120)).calls == []
    assert flow.resource.condition("Ready")[0] == "True"


async def test_a_run_that_stays_undone_is_told_after_others_succeed() -> None:
    flow = await Flowing.make(runs={"retryLimit": 1})
    flow.run("r1")
    await flow.visit()
    await flow.visit(5)
    [(_, _, [made])] = flow.retries
    flow.harness.clock.time += 120
    flow.run(made)
    await flow.visit()
    events = []
    for number in range(3):
        flow.harness.clock.time += 3600
        flow.run(f"r{number + 5}", "success", (NOW + number, NOW + number + 1))
        events += [event.reason for event in (await flow.visit()).events]
    assert flow.resource.condition("RunsHealthy")[:2] == ("False", "RetriesExhausted")
    assert events == ["RunRetriesExhausted"]
    assert flow.message.startswith("Run r7 succeeded. What run r1 should have read is missing")


async def test_what_was_not_carried_out_is_asked_for_later() -> None:
    flow = await Flowing.make()
    flow.run("r1")
    await flow.visit()
    flow.harness.platform.fail("runs.retry", remote_error(ErrorClass.TRANSIENT), times=1)
    await flow.visit(5)
    assert flow.retries == [("Due", 0, [])]
    assert "since the last request did not work" in flow.message
    assert len(asked(await flow.visit(5))) == 1
    assert flow.retries[0][:2] == ("Running", 1)
