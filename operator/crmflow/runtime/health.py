"""What liveness is asked about: things that only a new process can cure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crmflow.clock import Clock
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.controller.secrets import WATCH_SECONDS, SecretWatch

Check = Callable[[], str | None]
"""None while all is well, else what is wrong, for the person who reads why a Pod was restarted."""

WATCH_LIMIT_SECONDS = 2.5 * WATCH_SECONDS
"""A watch connects anew after 240 s at the latest; two of these may go wrong."""
QUEUE_LIMIT_SECONDS = 600.0
"""Longer than any pass takes whose every call ends by its time-out."""
LAG_LIMIT_SECONDS = 5.0
"""A loop that is this late can't renew the Lease, nor answer a probe in time."""

TICK_SECONDS = 1.0


class LoopLag:
    """How late the event loop is: what blocks it holds up everything, the watches and the Lease included."""

    def __init__(self, steady: Clock) -> None:
        self._steady = steady
        self._due = steady.now() + TICK_SECONDS
        self._last = 0.0

    async def run(self) -> None:
        """Measure for ever."""
        while True:
            self._due = self._steady.now() + TICK_SECONDS
            await self._steady.sleep_until(self._due)
            self._last = self._late()

    @property
    def seconds(self) -> float:
        """By how much the last tick was late, or the next one is by now."""
        return max(self._last, self._late())

    def _late(self) -> float:
        return max(0.0, self._steady.now() - self._due)


def loop_is_prompt(lag: LoopLag) -> Check:
    """The event loop runs what is due."""
    return lambda: _beyond(lag.seconds, LAG_LIMIT_SECONDS, "the event loop is late by")


def watches_connect(watches: Sequence[SecretWatch]) -> Check:
    """The watches of Secrets connect again and again. (Those of our kinds end the process themselves.)"""
    return lambda: _beyond(
        max(watch.age for watch in watches),
        WATCH_LIMIT_SECONDS,
        "the watch of Secrets has not connected for",
    )


def queue_moves(queue: WorkQueue) -> Check:
    """What is due finds a worker."""
    return lambda: _beyond(queue.stuck_for, QUEUE_LIMIT_SECONDS, "no worker has taken what has been due for")


def _beyond(seconds: float, limit: float, what: str) -> str | None:
    return f"{what} {seconds:.0f} s, more than {limit:.0f} s" if seconds > limit else None
