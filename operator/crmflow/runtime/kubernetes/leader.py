"""Leader election: of several replicas one works, the others keep their caches warm and write nothing.

The holder of a Lease works for as long as it renews it, and stops some seconds before another may take it.
When it stopped by itself is decided by a clock that nobody sets, from the moment at which the last renewal
that succeeded was sent; so neither a frozen process nor a dead connection makes two leaders. What remains is
the one request that is under way when a leader freezes: the create rule, etags and resource versions take
care of that.

The client library brings an elector too; it goes on leading after a lost connection.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from crmflow.clock import Clock
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.kubernetes.errors import KubernetesError, StaleError
from crmflow.runtime.kubernetes.leases import Lease, Leases

log = logging.getLogger("crmflow.leader")


@dataclass(frozen=True)
class LeaseTimes:
    """Seconds; the defaults are those of Kubernetes' own components."""

    duration: float = 15.0
    """How long after the last renewal another replica takes over."""
    renew_deadline: float = 10.0
    """How long after the last renewal was sent the leader may act."""
    retry_period: float = 2.0
    """The time from one renewal to the next, or between two looks at the Lease of another."""

    @property
    def request(self) -> float:
        """How long one request may take. A renewal counts from when it was sent and the next one follows its
        answer, so the Lease can't be kept with requests that take longer than half the deadline.
        """
        return self.renew_deadline / 2


class NotLeadingError(PassInterruptedError):
    """Nothing may be sent or written any more: another replica may be at work."""


class LeadershipLostError(Exception):
    """The Lease could not be renewed in time, or somebody else has taken it. The process has to end."""


class Elector:
    """Takes part in the election under ``identity``, which no other process may have.

    ``clock`` tells the time that people read in the Lease, ``steady`` decides.
    """

    def __init__(
        self,
        leases: Leases,
        identity: str,
        clock: Clock,
        steady: Clock,
        times: LeaseTimes = LeaseTimes(),
    ) -> None:
        self._times = times
        self._leases = leases
        self._identity = identity
        self._clock = clock
        self._steady = steady
        self._lease: Lease | None = None
        self._seen: str | None = None
        self._seen_at = 0.0
        self._renewed_at = -math.inf
        self._trouble = ""
        self._lacks_right = False
        self.elected = asyncio.Event()
        """Set once this process has become the leader."""

    @property
    def is_leading(self) -> bool:
        """True while this process may act."""
        return self._steady.now() < self._may_act_until

    def check(self) -> None:
        """Called before anything is sent or written. Raises NotLeadingError."""
        if not self.is_leading:
            raise NotLeadingError("this replica is not the leader any more")

    async def run(self) -> None:
        """Wait for the Lease, then renew it for as long as possible. Raises LeadershipLostError."""
        while not self.is_leading:
            again_at = self._steady.now() + self._times.retry_period
            await self._try(self._take)
            if not self.is_leading:
                await self._steady.sleep_until(again_at)
        log.info("leading", extra={"identity": self._identity})
        self.elected.set()
        again_at = self._renewed_at + self._times.retry_period
        while self.is_leading:
            # Never beyond the deadline, and at once after a request that took its time: what a slow server
            # has used up can't be waited for once more.
            await self._steady.sleep_until(min(again_at, self._may_act_until))
            again_at = self._steady.now() + self._times.retry_period
            await self._try(self._renew)
        raise LeadershipLostError(
            f"the Lease could not be renewed in time ({self._times.renew_deadline:g} s by "
            f"CRMFLOW_LEASE_RENEW_DEADLINE): {self._trouble or 'the API server answers too slowly'}"
        )

    @property
    def _may_act_until(self) -> float:
        return self._renewed_at + self._times.renew_deadline

    @property
    def fault(self) -> str | None:
        """The right whose lack keeps this process from ever leading; None if it lacks none."""
        return f"the Lease: {self._trouble}" if self._lacks_right and not self.is_leading else None

    async def look(self) -> None:
        """Read the Lease. Raises KubernetesError where that is not possible or not allowed."""
        self._lease = await self._leases.read()
        version = self._lease.version if self._lease else None
        if version != self._seen:  # the holder has renewed it: how long it is valid counts from now
            self._seen, self._seen_at = version, self._steady.now()

    async def release(self) -> None:
        """Let another replica take over at once."""
        if not self.is_leading:
            return
        try:
            await self._rewrite(holder="", duration=1)
        except (KubernetesError, LeadershipLostError) as error:
            log.warning("the Lease was not released, it runs out: %s", error)
        self._lease, self._renewed_at = None, -math.inf

    async def _try(self, attempt: Callable[[], Awaitable[None]]) -> None:
        try:
            await attempt()
        except KubernetesError as error:
            self._lease = None  # it may have been written all the same: read it before the next try
            if str(error) != self._trouble:
                log.warning("the Lease: %s", error)
            self._trouble, self._lacks_right = str(error), error.status == 403
        else:
            self._trouble, self._lacks_right = "", False

    async def _take(self) -> None:
        await self.look()
        found, now, duration = self._lease, self._clock.utcnow(), math.ceil(self._times.duration)
        if found is None:
            await self._write(Lease(self._identity, duration, now, now))
        elif not found.holder or self._steady.now() >= self._seen_at + found.duration:
            transitions = found.transitions + 1
            await self._write(Lease(self._identity, duration, now, now, transitions, found.version))

    async def _renew(self) -> None:
        await self._rewrite(renewed_at=self._clock.utcnow())

    async def _rewrite(self, **changes: Any) -> None:
        """Change the Lease that is ours. What is known of it may be older than a write whose answer was not
        waited for, such as a renewal that the end of the process canceled.
        """
        lease = self._lease or await self._confirmed()
        try:
            await self._write(replace(lease, **changes))
        except StaleError:
            await self._write(replace(await self._confirmed(), **changes))

    async def _confirmed(self) -> Lease:
        """The Lease, which is still ours. Raises LeadershipLostError, KubernetesError."""
        await self.look()
        if self._lease is None or self._lease.holder != self._identity:
            self._renewed_at = -math.inf
            raise LeadershipLostError("somebody else has taken the Lease")
        return self._lease

    async def _write(self, lease: Lease) -> None:
        sent_at = self._steady.now()
        self._lease = replace(lease, version=await self._leases.write(lease))
        self._renewed_at = sent_at
