"""How steps become a pass."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from crmflow.observability.events import EventType
from crmflow.reconcile.conditions import ConditionType, Finding
from crmflow.reconcile.engine import Pass, Step, run_steps, together
from crmflow.reconcile.outcome import DONE, Outcome, OutcomeClass, stalled, transient, waiting
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.transport.errors import ErrorClass
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import World

A, B = ConditionType("A", "A is fine."), ConditionType("B", "B is fine.")
FINE_A, FINE_B = Finding("True", "Succeeded", "A is fine."), Finding("True", "Succeeded", "B is fine.")

AnyPass = Pass[Any, Any]


def begin(*, full: bool = True) -> AnyPass:
    return World().connection().begin(full=full)


def step(
    outcome: Outcome | Exception, condition: ConditionType | None, *, only_full: bool = False
) -> Step[Any]:
    async def run(_: AnyPass) -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Step(run, condition, only_full)


async def test_a_condition_is_true_when_its_last_step_is_done() -> None:
    pass_ = begin()
    outcome, name = await run_steps(pass_, [step(DONE, A), step(DONE, B), step(DONE, A)])
    assert (outcome, name) == (DONE, "run")
    assert pass_.findings == {"A": FINE_A, "B": FINE_B}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(waiting("R", "m"), "False"), (stalled("R", "m"), "False"), (transient("R", "m"), "Unknown")],
)
async def test_the_first_step_that_is_not_done_ends_the_pass(outcome: Outcome, status: str) -> None:
    pass_ = begin()
    never = step(AssertionError("must not run"), B)
    assert (await run_steps(pass_, [step(DONE, A), step(outcome, A), never]))[0] is outcome
    assert pass_.findings == {"A": Finding(status, "R", "m")}


async def test_a_condition_whose_later_steps_did_not_run_says_nothing() -> None:
    pass_ = begin()
    await run_steps(pass_, [step(DONE, A), step(stalled("R", "m"), B), step(DONE, A)])
    assert set(pass_.findings) == {"B"}


async def test_polls_leave_out_what_only_full_passes_do() -> None:
    pass_ = begin(full=False)
    never = step(AssertionError("must not run"), B, only_full=True)
    outcome, _ = await run_steps(pass_, [step(DONE, A), never, step(DONE, A)])
    assert outcome is DONE
    assert pass_.findings == {"A": FINE_A}


async def test_a_step_may_say_something_else_of_its_condition() -> None:
    pass_ = begin()

    async def run(running: AnyPass) -> Outcome:
        running.find(A, "False", "Withdrawn", "text")
        return DONE

    await run_steps(pass_, [Step(run, A)])
    assert pass_.findings == {"A": Finding("False", "Withdrawn", "text")}


async def test_deletion_steps_touch_no_condition() -> None:
    pass_ = begin()
    await run_steps(pass_, [step(DONE, None), step(stalled("R", "m"), None)])
    assert pass_.findings == {}


async def test_a_remote_error_is_the_outcome_of_its_step() -> None:
    pass_ = begin()
    outcome, _ = await run_steps(pass_, [step(remote_error(ErrorClass.TERMINAL, "Refused"), A)])
    assert (outcome.outcome_class, outcome.reason) == (OutcomeClass.STALLED, "Refused")
    assert pass_.findings["A"].status == "False"


async def test_an_exception_is_a_bug_whose_trace_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pass_ = begin()
    with caplog.at_level(logging.ERROR, "crmflow.reconcile"):
        outcome, _ = await run_steps(pass_, [step(ValueError("internal detail"), A)])
    assert (outcome.outcome_class, outcome.reason) == (OutcomeClass.BUG, "InternalError")
    assert "ValueError in step run" in outcome.message
    assert "internal detail" not in outcome.message
    assert "internal detail" in caplog.text
    assert caplog.records[0].__dict__["step"] == "run"


@pytest.mark.parametrize("error", [PassInterruptedError(), asyncio.CancelledError()])
async def test_an_interrupted_pass_has_no_outcome(error: BaseException) -> None:
    async def run(_: AnyPass) -> Outcome:
        raise error

    with pytest.raises(type(error)):
        await run_steps(begin(), [Step(run, A)])


async def test_calls_side_by_side_all_end_before_the_first_failure_is_raised() -> None:
    ended: list[str] = []
    released = asyncio.Event()

    async def fails() -> None:
        released.set()
        raise remote_error(reason="First")

    async def slow() -> None:
        await released.wait()
        await asyncio.sleep(0)
        ended.append("slow")
        raise remote_error(reason="Second")

    with pytest.raises(Exception, match="not available") as error:
        await together(fails(), slow())
    assert error.value.reason == "First"  # type: ignore[attr-defined]
    assert ended == ["slow"]


async def test_events_keep_their_order_and_type() -> None:
    pass_ = begin()
    pass_.tell("Created", "Create", "note")
    pass_.tell("Lost", "Check", "note", EventType.WARNING)
    assert [(event.reason, event.type) for event in pass_.events] == [
        ("Created", EventType.NORMAL),
        ("Lost", EventType.WARNING),
    ]


def test_facts_are_recorded_without_touching_what_was_read() -> None:
    pass_ = begin()
    before = pass_.status
    pass_.record(tables=7)
    assert (before.tables, pass_.status.tables) == (None, 7)
