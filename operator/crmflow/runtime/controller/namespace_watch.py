"""Following one namespace: listed, watched, and listed and watched again whatever happens to it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from crmflow.clock import Clock
from crmflow.observability.redaction import sanitize
from crmflow.runtime.controller.initial_sync import InitialSync
from crmflow.runtime.controller.served_namespaces import Operation, ServedNamespaces, is_refusal
from crmflow.runtime.controller.watch import Watch
from crmflow.runtime.kubernetes.errors import KubernetesError

log = logging.getLogger("crmflow.namespace_watch")

CHECK_SECONDS = 15.0
"""How often it is asked whether the namespace may still be listed: a watch that is open goes on after the
right to it was taken, and says nothing of a namespace that it no longer hears from.
"""
PAUSE_SECONDS = (2.0, 15.0)
"""After a try that failed, and at most."""


@dataclass
class NamespaceWatch:
    """Keeps one namespace, or all of them served as one, listed and watched. What goes wrong stays in it."""

    namespace: str | None
    served: ServedNamespaces
    initial_sync: InitialSync
    watch: Watch
    clock: Clock

    async def run(self) -> None:
        """Follow for ever."""
        first, longest = PAUSE_SECONDS
        pause = first
        while True:
            with suppress(KubernetesError):  # the watches and the next try meet it, too
                if await self.initial_sync.may_list(self.namespace) and await self._follow():
                    pause = first
            await self.clock.sleep(pause)
            pause = min(longest, pause * 2)

    async def _follow(self) -> bool:
        """Watch for as long as that works; True if it worked for a while.

        The watch begins before the listing: what is deleted between the two is in the one or in the other.
        """
        watching = asyncio.create_task(self.watch.run(self.namespace))
        worked = False
        try:
            may_go_on = await self.initial_sync.sync_namespace(self.namespace)
            while may_go_on and not await self._ends(watching):
                worked = True
                self.served.note_allowed(self.namespace, Operation.WATCH)
                may_go_on = await self._may_go_on()
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await watching
        return worked

    async def _may_go_on(self) -> bool:
        """Whether the namespace may still be listed. An API server that does not answer changes nothing."""
        try:
            return await self.initial_sync.may_list(self.namespace)
        except KubernetesError:
            return True

    async def _ends(self, watching: asyncio.Task[None]) -> bool:
        """Wait until the next check, or until the watch ends, which is then told."""
        checking = asyncio.create_task(self.clock.sleep(CHECK_SECONDS))
        try:
            await asyncio.wait([watching, checking], return_when=asyncio.FIRST_COMPLETED)
        finally:
            checking.cancel()
        if not watching.done():
            return False
        error = watching.exception()
        if error is not None and is_refusal(error):
            self.served.note_refused(self.namespace, Operation.WATCH, error)
        else:
            log.warning(
                "The watch of our kinds was interrupted: %s",
                sanitize(str(error)) or type(error).__name__,
                extra={"namespace": self.namespace},
            )
        return True
