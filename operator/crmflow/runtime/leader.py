"""Leader election: of several replicas one works, the others keep their caches warm and write nothing.

The holder of a Lease works for as long as it renews it, and stops three seconds before another may take it.
When it stopped by itself is decided by a clock that nobody sets, from the moment at which the last renewal
that succeeded was sent; so neither a frozen process nor a dead connection makes two leaders. What remains is
the one request that is under way when a leader freezes: the create rule, etags and resource versions take
care of that.

The client library brings an elector too; it goes on leading after a lost connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from crmflow.clock import Clock
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.kube import KubernetesError, StaleError
from crmflow.runtime.leases import Lease

log = logging.getLogger("crmflow.leader")

LEASE_SECONDS = 10
"""How long after the last renewal another replica takes over."""
RENEW_SECONDS = 7.0
"""How long after the last renewal was sent the leader may act."""
RETRY_SECONDS = 2.0
"""The pause between two renewals, or two looks at the Lease of another."""


class NotLeadingError(PassInterruptedError):
    """Nothing may be sent or written any more: another replica may be at work."""


class LeadershipLostError(Exception):
    """The Lease could not be renewed in time, or somebody else has taken it. The process has to end."""


class LeaseStore(Protocol):
    """The Lease on the API server; methods may raise KubernetesError."""

    async def read(self) -> Lease | None: ...
    async def write(self, lease: Lease) -> str: ...


class Elector:
    """Takes part in the election under ``identity``, which no other process may have.

    ``clock`` tells the time that people read in the Lease, ``steady`` decides.
    """

    def __init__(self, leases: LeaseStore, identity: str, clock: Clock, steady: Clock) -> None:
        self._leases = leases
        self._identity = identity
        self._clock = clock
        self._steady = steady
        self._lease: Lease | None = None
        self._seen: str | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None
        self._trouble = ""
        self.elected = asyncio.Event()
        """Set once this process has become the leader."""

    @property
    def is_leading(self) -> bool:
        """True while this process may act."""
        return self._renewed_at is not None and self._steady.now() < self._renewed_at + RENEW_SECONDS

    def check(self) -> None:
        """Called before anything is sent or written. Raises NotLeadingError."""
        if not self.is_leading:
            raise NotLeadingError("this replica is not the leader any more")

    async def run(self) -> None:
        """Wait for the Lease, then renew it for as long as possible. Raises LeadershipLostError."""
        while not self.is_leading:
            await self._try(self._take)
            if not self.is_leading:
                await self._steady.sleep(RETRY_SECONDS)
        log.info("leading", extra={"identity": self._identity})
        self.elected.set()
        while self.is_leading:
            await self._steady.sleep(RETRY_SECONDS)
            await self._try(self._renew)
        raise LeadershipLostError("the Lease could not be renewed in time")

    async def look(self) -> None:
        """Read the Lease. Raises KubernetesError where that is not possible or not allowed."""
        self._lease = await self._leases.read()
        version = self._lease.version if self._lease else None
        if version != self._seen:  # the holder has renewed it: how long it is valid counts from now
            self._seen, self._seen_at = version, self._steady.now()

    async def release(self) -> None:
        """Let another replica take over at once."""
        if not self.is_leading or self._lease is None:
            return
        try:
            await self._leases.write(replace(self._lease, holder="", duration=1))
        except KubernetesError as error:
            log.warning("the Lease was not released, it runs out: %s", error)
        self._renewed_at = None

    async def _try(self, attempt: Callable[[], Awaitable[None]]) -> None:
        try:
            await attempt()
        except KubernetesError as error:
            self._lease = None  # it may have been written all the same: read it before the next try
            if str(error) != self._trouble:
                log.warning("the Lease: %s", error)
            self._trouble = str(error)
        else:
            self._trouble = ""

    async def _take(self) -> None:
        await self.look()
        found, now = self._lease, self._clock.utcnow()
        if found is None:
            await self._write(Lease(self._identity, LEASE_SECONDS, now, now))
        elif not found.holder or self._steady.now() >= self._seen_at + found.duration:
            transitions = found.transitions + 1
            await self._write(Lease(self._identity, LEASE_SECONDS, now, now, transitions, found.version))

    async def _renew(self) -> None:
        if self._lease is None:
            await self._confirm()
        try:
            await self._write(self._renewed())
        except StaleError:
            await self._confirm()
            await self._write(self._renewed())

    async def _confirm(self) -> None:
        """The Lease is still ours. Raises LeadershipLostError, KubernetesError."""
        await self.look()
        if self._lease is None or self._lease.holder != self._identity:
            self._renewed_at = None
            raise LeadershipLostError("somebody else has taken the Lease")

    def _renewed(self) -> Lease:
        assert self._lease is not None
        return replace(self._lease, renewed_at=self._clock.utcnow())

    async def _write(self, lease: Lease) -> None:
        sent_at = self._steady.now()
        self._lease = replace(lease, version=await self._leases.write(lease))
        self._renewed_at = sent_at
