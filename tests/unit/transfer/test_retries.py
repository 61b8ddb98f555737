"""Which failures are tried again, and for how long."""

from __future__ import annotations

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.transfer.retries import PAUSES, Retries
from tests.unit.transfer.clock import RunningClock


class Call:
    """Fails ``times``."""

    def __init__(
        self,
        times: int,
        reason: str = "Unavailable",
        error_class: ErrorClass = ErrorClass.TRANSIENT,
        retry_after: float | None = None,
    ) -> None:
        self.left = times
        self.tries = 0
        self.error = RemoteError("Service", "call", error_class, reason, "…", retry_after=retry_after)

    async def __call__(self) -> str:
        self.tries += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "done"


async def test_a_passing_failure_is_waited_out() -> None:
    clock, call = RunningClock(), Call(3)
    assert await Retries(clock).of(call) == "done"
    assert clock.passed == sum(PAUSES[:3])


async def test_one_that_stays_is_raised_after_some_minutes() -> None:
    clock, call = RunningClock(), Call(1000)
    with pytest.raises(RemoteError):
        await Retries(clock).of(call)
    assert (call.tries, clock.passed) == (len(PAUSES) + 1, sum(PAUSES))


async def test_a_service_that_names_its_time_is_taken_at_its_word() -> None:
    clock, call = RunningClock(), Call(1, "RateLimited", retry_after=45)
    assert await Retries(clock).of(call) == "done"
    assert clock.passed == 45


@pytest.mark.parametrize(
    "call",
    [
        Call(1, "RateLimited", retry_after=3600),
        Call(1, "PageTokenExpired"),
        Call(1, "ScopeMissing", ErrorClass.TERMINAL),
        Call(1, "NotFound", ErrorClass.NOT_FOUND),
    ],
)
async def test_what_no_try_cures_is_raised_at_once(call: Call) -> None:
    clock = RunningClock()
    with pytest.raises(RemoteError):
        await Retries(clock).of(call)
    assert (call.tries, clock.passed) == (1, 0)
