"""Removes, now and then, the transfers whose dataflow is gone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from crmflow.clock import Clock
from crmflow.http.errors import RemoteError
from crmflow.runtime.transfers.jobs import TransferJobs

log = logging.getLogger("crmflow.transfers")


@dataclass
class Sweeper:
    """Sweeps at once, and after each interval. A dataflow that lost its finalizer by force has deleted
    nothing.
    """

    transfers: TransferJobs
    clock: Clock
    interval: float
    """Seconds."""
    exists: Callable[[str], bool]
    """Whether there is a dataflow of that uid."""
    sees_all: Callable[[], bool]
    """Whether each dataflow that this installation may have made a Job for would be seen: nothing is removed
    while that isn't so."""

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            if self.sees_all():
                try:
                    await self.transfers.sweep(self.exists)
                except RemoteError as error:
                    log.warning("transfers whose dataflow is gone were not removed: %s", error)
            await self.clock.sleep(self.interval)
