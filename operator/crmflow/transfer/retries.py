"""Tries of one call again, for as long as a passing failure is likely to pass."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0)
"""Seconds between tries. A longer trouble ends the transfer, which the operator begins anew."""
_LONGEST_PAUSE = 120.0
"""A service that asks for more patience is not waited for."""
_NEVER = frozenset({"PageTokenExpired", "BulkReadFailed"})
"""What passes only when everything is begun anew."""

log = logging.getLogger("crmflow.transfer")
T = TypeVar("T")


class Retries:
    """Repeats what may be repeated: reads, blocks, and a commit that is judged by what is there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def of(self, call: Callable[[], Awaitable[T]]) -> T:
        """What comes of ``call``, tried again after each transient error. Raises the last RemoteError."""
        pauses = iter(PAUSES)
        while True:
            try:
                return await call()
            except RemoteError as error:
                passes = error.error_class in (ErrorClass.TRANSIENT, ErrorClass.WAIT)
                wait = max(next(pauses, _LONGEST_PAUSE + 1), error.retry_after or 0.0)
                if not passes or wait > _LONGEST_PAUSE or error.reason in _NEVER:
                    raise
                log.warning("%s; again in %.0f s", error, wait)
            await self._clock.sleep(wait)
