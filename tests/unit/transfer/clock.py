"""A clock that passes as fast as it is slept on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from crmflow.clock import Clock


class RunningClock(Clock):
    """Whoever sleeps wakes at once, that much later; ``slept`` is told then."""

    def __init__(self, slept: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.begun = self._now = 1_780_000_000.0
        self._slept = slept

    def now(self) -> float:
        return self._now

    @property
    def passed(self) -> float:
        return self._now - self.begun

    async def sleep_until(self, when: float) -> None:
        self._now = max(self._now, when)
        self._slept()
        await asyncio.sleep(0)
