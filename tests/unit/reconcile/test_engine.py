"""How steps become a pass."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from crmflow.http.errors import ErrorClass
from crmflow.observability.events import EventType
from crmflow.reconcile.core.conditions import ConditionType, Finding
from crmflow.reconcile.core.engine import Pass, run_steps, step, together
from crmflow.reconcile.core.outcome import (
    DONE,
    Outcome,
    OutcomeClass,
    PassEndedError,
    stalled,
    transient,
    waiting,
)
from crmflow.reconcile.ports import PassInterruptedError
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import Harness

A, B = ConditionType("A", "A is fine."), ConditionType("B", "B is fine.")
FINE_A, FINE_B = Finding("True", "Succeeded", "A is fine."), Finding("True", "Succeeded", "B is fine.")

AnyPass = Pass[Any, Any]


def begin() -> AnyPass:
    return Harness().connection().begin()


@step(A)
async def ask(_: AnyPass, result: object) -> object:
    """A step that speaks for A: it finds ``result`` out, or fails with it."""
    if isinstance(result, BaseException):
        raise result
    return result


@step()
async def delete(_: AnyPass, result: BaseException) -> None:
    raise result


async def test_a_step_gives_what_it_found_out_and_the_kind_says_what_is_fulfilled() -> None:
    pass_ = begin()

    async def steps(running: AnyPass) -> None:
        assert await ask(running, 7) == 7
        running.fulfill(A)
        running.fulfill(B)

    assert await run_steps(pass_, steps) == (DONE, "ask")
    assert pass_.findings == {"A": FINE_A, "B": FINE_B}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(waiting("R", "m"), "False"), (stalled("R", "m"), "False"), (transient("R", "m"), "Unknown")],
)
async def test_the_first_step_that_is_not_done_ends_the_pass(outcome: Outcome, status: str) -> None:
    pass_ = begin()

    async def steps(running: AnyPass) -> None:
        await ask(running, PassEndedError(outcome))
        running.fulfill(A)
        raise AssertionError("must not run")

    assert await run_steps(pass_, steps) == (outcome, "ask")
    assert pass_.findings == {"A": Finding(status, "R", "m")}


async def test_a_step_may_say_something_else_of_its_condition() -> None:
    pass_ = begin()

    async def steps(running: AnyPass) -> None:
        running.set_condition(A, "False", "Withdrawn", "text")
        running.fulfill(A)
        await ask(running, PassEndedError(stalled("R", "m")))

    await run_steps(pass_, steps)
    assert pass_.findings == {"A": Finding("False", "Withdrawn", "text")}


async def test_deletion_steps_touch_no_condition() -> None:
    pass_ = begin()
    error = PassEndedError(stalled("R", "m"))
    outcome, _ = await run_steps(pass_, lambda running: delete(running, error))
    assert outcome is error.outcome
    assert pass_.findings == {}


async def test_a_remote_error_is_the_outcome_of_its_step() -> None:
    pass_ = begin()
    error = remote_error(ErrorClass.TERMINAL, "Refused")
    outcome, _ = await run_steps(pass_, lambda running: delete(running, error))
    assert (outcome.outcome_class, outcome.reason) == (OutcomeClass.STALLED, "Refused")

    async def steps(running: AnyPass) -> None:
        await ask(running, error)

    await run_steps(pass_, steps)
    assert pass_.findings["A"].status == "False"


async def test_an_exception_is_a_bug_whose_trace_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pass_ = begin()
    with caplog.at_level(logging.ERROR, "crmflow.reconcile"):
        outcome, _ = await run_steps(pass_, lambda running: delete(running, ValueError("internal detail")))
    assert (outcome.outcome_class, outcome.reason) == (OutcomeClass.BUG, "InternalError")
    assert "ValueError in step delete" in outcome.message
    assert "internal detail" not in outcome.message
    assert "internal detail" in caplog.text
    assert caplog.records[0].__dict__["step"] == "delete"


@pytest.mark.parametrize("error", [PassInterruptedError(), asyncio.CancelledError()])
async def test_an_interrupted_pass_has_no_outcome(error: BaseException) -> None:
    with pytest.raises(type(error)):
        await run_steps(begin(), lambda running: delete(running, error))


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
    pass_.record_event("Created", "Create", "note")
    pass_.record_event("Lost", "Check", "note", EventType.WARNING)
    assert [(event.reason, event.type) for event in pass_.events] == [
        ("Created", EventType.NORMAL),
        ("Lost", EventType.WARNING),
    ]


def test_facts_are_recorded_without_touching_what_was_read() -> None:
    pass_ = begin()
    before = pass_.status
    pass_.record(tables=7)
    assert (before.tables, pass_.status.tables) == (None, 7)
