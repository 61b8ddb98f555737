"""The one clock of the process.

Everything that asks what time it is, or waits for a time to come, does it through a :class:`Clock`. In
production that is the system's clock. With ``CRMFLOW_CLOCK`` set, an offset in seconds is read from the named
file and added, so that a test can let an hour pass without waiting: time jumps, it does not run faster. Only
the emulators' control API writes that file.

The system's clock may be wrong and be set right. What this process counts by (when to look again, how old a
listing or a token is) must not stand still for an hour because the clock was set back by one, so
:meth:`Clock.now` never goes back; what others read or compare, such as a time in a status, is
:meth:`Clock.utcnow`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from crmflow.environment import SettingError, reason

ENVIRONMENT_VARIABLE = "CRMFLOW_CLOCK"

# How soon a sleeper notices that the offset file has jumped. Only paid when there is such a file.
_OFFSET_POLL_SECONDS = 0.05

# What NTP corrects without a step, and a look that is held up between the two clocks.
_STEP_SECONDS = 1.0

log = logging.getLogger("crmflow.clock")

# Of a machine that was suspended, CLOCK_MONOTONIC does not count the time that it slept.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock:
    """Time in seconds since the epoch, possibly shifted by an offset that a file holds."""

    _ahead = 0.0

    def __init__(self, offset_file: Path | None = None) -> None:
        self._offset_file = offset_file
        self._read_at: tuple[float, float] | None = None
        self._latest = -math.inf

    @classmethod
    def from_environment(cls) -> Clock:
        """The clock that ``CRMFLOW_CLOCK`` asks for, the system's without it. Raises SettingError."""
        path = os.environ.get(ENVIRONMENT_VARIABLE)
        if not path:
            return cls()
        try:
            Path(path).read_bytes()
        except FileNotFoundError:
            pass  # not written yet
        except OSError as error:
            raise SettingError(
                ENVIRONMENT_VARIABLE, path, reason(error), "Leave it out: it is for tests"
            ) from None
        return cls(Path(path))

    def now(self) -> float:
        """Seconds since the epoch as this process counts them: never fewer than before."""
        return self._unbroken() + self._offset()

    def utcnow(self) -> datetime:
        """The instant that the system's clock shows, as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.now() - self._ahead, UTC)

    @property
    def ahead(self) -> float:
        """By how many seconds :meth:`now` is ahead of the system's clock, because that was set back."""
        return self._ahead

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

    def _unbroken(self) -> float:
        system, steady = time.time(), time.clock_gettime(_STEADY)
        if self._read_at is not None:
            step = system - self._read_at[0] - (steady - self._read_at[1])
            if abs(step) > _STEP_SECONDS:
                self._ahead = max(0.0, self._ahead - step)
                log.warning(
                    "the system's clock was set %s by %.0f s; what is scheduled comes %s",
                    "back" if step < 0 else "forward",
                    abs(step),
                    "when it would have come" if step < 0 else "no later",
                )
        self._read_at = system, steady
        self._latest = max(self._latest, system + self._ahead)
        return self._latest

    def _offset(self) -> float:
        if self._offset_file is None:
            return 0.0
        try:
            return float(self._offset_file.read_text() or 0)
        except (OSError, ValueError):  # not written yet, or caught in the middle of being replaced
            return 0.0


class SystemTime:
    """The system's clock as seconds, for instants that leave the process: schedules, intents in status."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.utcnow().timestamp()


class SteadyClock(Clock):
    """Seconds since some instant, for how long a thing has lasted here, such as a Lease or a connection: no
    correction of the system's clock moves it, nor does ``CRMFLOW_CLOCK``.
    """

    def __init__(self) -> None:
        super().__init__()

    def now(self) -> float:
        """Seconds since an arbitrary instant."""
        return time.clock_gettime(_STEADY)
