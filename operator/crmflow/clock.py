"""The one clock of the process.

Everything that asks what time it is, or waits for a time to come, does it through a :class:`Clock`. In
production that is the system's clock. With ``CRMFLOW_CLOCK`` set, an offset in seconds is read from the named
file and added, so that a test can let an hour pass without waiting: time jumps, it does not run faster. Only
the emulators' control API writes that file.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path

ENVIRONMENT_VARIABLE = "CRMFLOW_CLOCK"

# How soon a sleeper notices that the offset file has jumped. Only paid when there is such a file.
_OFFSET_POLL_SECONDS = 0.05

# Of a machine that was suspended, CLOCK_MONOTONIC does not count the time that it slept.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock:
    """Wall-clock time in seconds since the epoch, possibly shifted by an offset that a file holds."""

    def __init__(self, offset_file: Path | None = None) -> None:
        self._offset_file = offset_file

    @classmethod
    def from_environment(cls) -> Clock:
        """The clock that ``CRMFLOW_CLOCK`` asks for; the plain system clock without it."""
        path = os.environ.get(ENVIRONMENT_VARIABLE)
        return cls(Path(path) if path else None)

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._offset()

    def utcnow(self) -> datetime:
        """The same instant as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.now(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Return once ``seconds`` have passed on this clock."""
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, when: float) -> None:
        """Return once :meth:`now` has reached ``when``; a jump of the clock ends the sleep early."""
        while (left := when - self.now()) > 0:  # noqa: ASYNC110 - nobody tells when the clock jumps
            await asyncio.sleep(left if self._offset_file is None else min(left, _OFFSET_POLL_SECONDS))

    async def wait(self, event: asyncio.Event, until: float | None) -> bool:
        """Wait for ``event``, at the most until ``until`` on this clock; True if the event was set."""
        while not event.is_set():
            left = None if until is None else until - self.now()
            if left is not None and left <= 0:
                return False
            if self._offset_file is not None and left is not None:
                left = min(left, _OFFSET_POLL_SECONDS)
            try:
                await asyncio.wait_for(event.wait(), left)
            except TimeoutError:
                continue
        return True

    def _offset(self) -> float:
        if self._offset_file is None:
            return 0.0
        try:
            return float(self._offset_file.read_text() or 0)
        except (OSError, ValueError):  # not written yet, or caught in the middle of being replaced
            return 0.0


class SteadyClock(Clock):
    """Seconds since some instant, for how long a thing has lasted here, such as a Lease or a connection: no
    correction of the system's clock moves it, nor does ``CRMFLOW_CLOCK``.
    """

    def __init__(self) -> None:
        super().__init__()

    def now(self) -> float:
        """Seconds since an instant that means nothing."""
        return time.clock_gettime(_STEADY)
