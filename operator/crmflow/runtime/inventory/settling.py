"""Flows that were just created, read many at a time until Platform has them as they are to be.

Each by itself would be a pass and a call every other second. A listing of so many ids shows a hundred at
once, and only the resource whose flow has left its transition is woken. It may be relied on here, where it
can't lag behind a write: of a flow that was just created, whatever is shown is younger than its creation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from crmflow.aep.collection import WithIds
from crmflow.aep.flow_service import FLOWS
from crmflow.aep.models import Listed
from crmflow.clock import Clock
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.decide import TRANSITION_SECONDS
from crmflow.reconcile.external.flow import DISABLED, ENABLED
from crmflow.runtime.inventory.run_ledger import ListingClient

log = logging.getLogger("crmflow.inventory")

BATCH_SECONDS = 0.5
"""Listings are no closer together than this, and a flow that is due a little later is read along."""


@dataclass
class _Settling:
    due_at: float
    wake: Callable[[], None]
    reads: int = 0


class SettlingFlows:
    """Those of one sandbox that somebody waits for. Nothing runs as long as there are none."""

    def __init__(self, client: ListingClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._awaited: dict[str, _Settling] = {}
        self._settled: dict[str, Listed] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, flow_id: str, wake: Callable[[], None]) -> None:
        """Read the flow until it has settled, and ``wake`` who waits for it."""
        if flow_id not in self._awaited:
            self._settled.pop(flow_id, None)
            self._awaited[flow_id] = _Settling(self._clock.now() + TRANSITION_SECONDS[0], wake)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def forget(self, flow_id: str) -> None:
        """The flow was read or written by itself: what a listing has shown before is of no use."""
        self._awaited.pop(flow_id, None)
        self._settled.pop(flow_id, None)

    def take(self, flow_id: str) -> Listed | None:
        """The flow as a listing has shown it settled, for the one who waits for it."""
        return self._settled.pop(flow_id, None)

    async def _run(self) -> None:
        while self._awaited:
            first = min(flow.due_at for flow in self._awaited.values())
            await self._clock.sleep_until(max(first, self._clock.now() + BATCH_SECONDS / 2))
            try:
                await self._look()
            except RemoteError as error:
                log.info("flows that were created can't be listed: %s", error)
            except Exception:  # passes still look by themselves, though rarely
                log.exception("reading new flows failed")

    async def _look(self) -> None:
        now = self._clock.now()
        due = {
            flow_id: flow for flow_id, flow in self._awaited.items() if flow.due_at <= now + BATCH_SECONDS / 2
        }
        first, longest = TRANSITION_SECONDS
        for flow in due.values():
            flow.reads += 1
            flow.due_at = now + min(longest, first * 2.0 ** min(flow.reads - 1, 16))
        if not due:
            return
        for item in await self._client.list(FLOWS, WithIds(tuple(sorted(due)))):
            # It may have been read or written by itself while the listing was under way.
            is_awaited = item.id in due and self._awaited.get(item.id) is due[item.id]
            if is_awaited and item.state.lower() in (ENABLED, DISABLED):
                del self._awaited[item.id]
                self._settled[item.id] = item
                due[item.id].wake()
