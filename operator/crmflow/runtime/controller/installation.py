"""Which installation of the operator serves a resource, where there are several in a cluster.

The installation is written into the resource's status (``servedBy``), as the name of the Lease by which its
replicas agree on the one that works: ``namespace/name``. So a claim costs no write of its own, the API server
decides a race, and whoever meets a claim can see whether it is still meant: a Lease that is neither there nor
renewed for a while belongs to an installation that is gone. A process that takes part in no election has no
Lease. It claims by the name of its instance, and gives way to every installation that has one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from crmflow.api.kinds import GROUP
from crmflow.clock import Clock
from crmflow.observability.redaction import sanitize
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.resource import Resource
from crmflow.runtime.kubernetes.client import Kubernetes, LeaseSnapshot
from crmflow.runtime.kubernetes.errors import KubernetesError

SERVED_BY = f"{GROUP}/served-by"
"""Annotation: the installation that is to serve the resource, whoever serves it now."""
_LEASE = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*")

LOOK_SECONDS = 10.0
"""How long what was read of another installation's Lease is good for."""
UNWATCHED_SECONDS = 30.0
"""Looks further apart than this, and than a takeover takes, are no watch: a Lease may have been there between
them. Resources that are left to others are looked at more often."""


@dataclass(frozen=True)
class _LeaseObservation:
    """What was last seen of a Lease, and since when it has not changed."""

    snapshot: LeaseSnapshot | None
    """None if there is no such Lease."""
    since: float
    looked_at: float
    refused: str | None = None


class ServingInstallation:
    """This installation, what it leaves to others, and what it knows of those."""

    def __init__(
        self,
        lease: str,
        instance: str,
        *,
        elects: bool,
        kubernetes: Kubernetes,
        steady: Clock,
        takeover_after: float,
    ) -> None:
        """``lease`` is the Lease of this installation, as ``namespace/name``, whether it ``elects`` a leader
        by it or not.
        """
        self.name = lease if elects else instance
        self._own = {lease, self.name}
        self._elects = elects
        self._kubernetes = kubernetes
        self._steady = steady
        self._takeover_after = takeover_after
        self._longest_gap = max(takeover_after, UNWATCHED_SECONDS)
        self._observations: dict[str, _LeaseObservation] = {}
        self._left: dict[Key, str] = {}

    async def obstacle(self, resource: Resource) -> str | None:
        """Why this installation leaves the resource alone, and what to do if that is not meant; None if it
        serves the resource. Raises KubernetesError if that can't be known yet.
        """
        other, wanted = resource.served_by, resource.annotations.get(SERVED_BY)
        if wanted == self.name:
            return None
        if other is None or other in self._own:
            return await self._handed_over(resource.key, wanted)
        if _is_lease(other):
            state = await self._state_of(other)
        else:
            state = None if self._elects else "has no Lease, so whether it still runs can't be seen"
        return None if state is None else self._explained(resource.key, other, state)

    def leave(self, key: Key, why: str) -> bool:
        """Note that a resource is left to another installation; True if that is news."""
        is_news = self._left.get(key) != why
        self._left[key] = why
        return is_news

    def take(self, key: Key) -> None:
        """Note that a resource is served here, or gone."""
        self._left.pop(key, None)

    def leaves(self, key: Key) -> bool:
        """True if a resource was left to another installation in its last pass."""
        return key in self._left

    def count_left(self, kind: str) -> int:
        """How many resources of a kind are left to others."""
        return sum(1 for key in self._left if key.kind == kind)

    async def _handed_over(self, key: Key, wanted: str | None) -> str | None:
        """A person has named another installation, which is there: this one does not wait for its claim, of
        which nothing would tell it. One that is not there takes nothing away.
        """
        if wanted is None or wanted in self._own or not _is_lease(wanted):
            return None
        state, observation = await self._state_of(wanted), self._observations[wanted]
        is_held = observation.snapshot is not None and bool(observation.snapshot.holder)
        return self._explained(key, wanted, state) if is_held and state is not None else None

    async def _state_of(self, other: str) -> str | None:
        """What is known of another installation, for people; None if it is gone."""
        observation = await self._look(other)
        if observation.refused is not None:
            return f"may still run: its Lease can't be read ({observation.refused})"
        held = observation.snapshot is not None and bool(observation.snapshot.holder)
        # With a long Lease it is renewed rarely; whoever holds it is there until it runs out.
        promised = observation.snapshot.seconds if observation.snapshot is not None and held else 0.0
        if self._steady.now() >= observation.since + max(self._takeover_after, promised):
            return None
        if held:
            return f'holds the Lease "{other}"'
        return (
            f'does not hold the Lease "{other}" at present. If it stays so for {self._takeover_after:g} s, '
            "this one goes on in its place"
        )

    async def _look(self, other: str) -> _LeaseObservation:
        now = self._steady.now()
        observation = self._observations.get(other)
        if observation is not None and now < observation.looked_at + LOOK_SECONDS:
            return observation
        snapshot, refused = None, None
        try:
            snapshot = await self._kubernetes.read_lease(*other.split("/", 1))
        except KubernetesError as error:
            if error.status != 403:
                raise
            refused = str(error)
        since = now
        # That a version is the same tells that nobody renewed the Lease, however long ago it was seen. That
        # there is none tells nothing of the time in which nobody looked.
        if (
            observation is not None
            and (observation.snapshot, observation.refused) == (snapshot, refused)
            and (snapshot is not None or now < observation.looked_at + self._longest_gap)
        ):
            since = observation.since
        self._observations[other] = seen = _LeaseObservation(snapshot, since, now, refused)
        return seen

    def _explained(self, key: Key, other: str, state: str) -> str:
        command = f"kubectl -n {key.namespace} annotate {key.kind.lower()} {key.name}"
        return (
            f'The installation "{sanitize(other)}" serves this resource and {state}. This one, '
            f'"{self.name}", leaves it alone. Have only one of them serve namespace "{key.namespace}", or '
            f"hand the resource over: {command} {SERVED_BY}={self.name} --overwrite"
        )


def _is_lease(name: str) -> bool:
    return _LEASE.fullmatch(name) is not None
