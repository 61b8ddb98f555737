"""How fast one credential may ask: as fast as it likes, until a service says that this was too fast.

Neither Adobe nor Zoho publishes a rate that could be kept from the start (platform.md 2.5, zoho.md 5), so it
is learned: a 429 halves it, time without one raises it again. ``Retry-After`` holds every request of the
credential, since what the service counts are credentials and not resources.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError

Turn = Callable[[str, str], AbstractAsyncContextManager[None]]
"""Given service and operation: entered before a request is sent, left with what came of it."""

FIRST_RATE = 10.0
"""Requests per second after the first 429; before it there is no limit."""
LEAST_RATE = 0.1
UNLIMITED_RATE = 100.0
"""From here on the limit is lifted."""
GROWTH = 0.1
"""Requests per second by which the rate grows, each second in which requests succeed."""
HOLD_SECONDS = (1.0, 60.0)
"""First and longest pause after a 429 that names none."""
LONGEST_HOLD_SECONDS = 3600.0
"""A longer ``Retry-After`` is asked about again after an hour."""
PATIENCE_SECONDS = 5.0
"""A longer wait is not waited for here: the worker is of use to other credentials meanwhile."""

_IDLE_SECONDS = 10.0


class Limiter:
    """The pace of one credential."""

    def __init__(self, clock: Clock, on_wait: Callable[[float], None] = lambda _: None) -> None:
        """``on_wait`` is told how many seconds each request was held back."""
        self._clock = clock
        self._on_wait = on_wait
        self._rate: float | None = None
        self._next_at = 0.0
        self._not_before = 0.0
        self._slowed_at = 0.0
        self._grown_at = 0.0
        self._refusals = 0

    @property
    def rate(self) -> float | None:
        """Requests per second that it allows; None: as many as there are."""
        return self._rate

    @asynccontextmanager
    async def turn(self, service: str, operation: str) -> AsyncIterator[None]:
        """Wait for one's turn. Raises RemoteError (Transient, RateLimited, with ``retry_after``) when that
        would take long, and then nothing was sent.
        """
        sent_at = await self._wait(service, operation)
        try:
            yield
        except RemoteError as error:
            if error.error_class is ErrorClass.TRANSIENT and (_is_refusal(error) or error.retry_after):
                self._slow_down(error, sent_at)
            raise
        self._speed_up()

    async def _wait(self, service: str, operation: str) -> float:
        came_at = self._clock.now()
        while True:
            now = self._clock.now()
            at = max(now, self._not_before, self._next_at)
            if at - came_at > PATIENCE_SECONDS:
                raise _held_back(service, operation, at - now)
            if self._rate is not None:
                self._next_at = at + 1 / self._rate
            if at > now:
                await self._clock.sleep_until(at)
            if self._not_before <= self._clock.now():  # nobody was refused meanwhile
                self._on_wait(self._clock.now() - came_at)
                return self._clock.now()

    def _slow_down(self, error: RemoteError, sent_at: float) -> None:
        now = self._clock.now()
        if _is_refusal(error) and sent_at >= self._slowed_at:  # else it was sent at the pace of before
            self._rate = FIRST_RATE if self._rate is None else max(LEAST_RATE, self._rate / 2)
            self._slowed_at = self._grown_at = now
            self._refusals += 1
        first, longest = HOLD_SECONDS
        pause = min(longest, first * 2.0 ** min(self._refusals - 1, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
        hold = min(error.retry_after or pause, LONGEST_HOLD_SECONDS)
        self._not_before = max(self._not_before, now + hold)

    def _speed_up(self) -> None:
        now = self._clock.now()
        self._refusals = 0
        if self._rate is not None:
            rate = self._rate + GROWTH * min(now - self._grown_at, _IDLE_SECONDS)
            self._rate = None if rate >= UNLIMITED_RATE else rate
            self._grown_at = now


@asynccontextmanager
async def unlimited(_service: str, _operation: str) -> AsyncIterator[None]:
    """A turn that waits for nothing."""
    yield


def _is_refusal(error: RemoteError) -> bool:
    return error.reason == "RateLimited"


def _held_back(service: str, operation: str, seconds: float) -> RemoteError:
    return RemoteError(
        service,
        operation,
        ErrorClass.TRANSIENT,
        "RateLimited",
        "the service has asked for fewer requests with this credential, so this one waits",
        retry_after=seconds,
        maybe_applied=False,
    )
