"""A sandbox in use: its inventory, its members, and how its polls went."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from crmflow.clock import Clock
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.sources.ways import Sources
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.inventory.ownership import ScopeMembers
from crmflow.runtime.inventory.run_ledger import ListingClient
from crmflow.runtime.inventory.sandbox import SandboxInventory

JITTER = 0.1
"""The part of the poll interval by which a poll may come early: sandboxes whose connections began at the same
time are not listed at the same time for ever.
"""


class Scope(NamedTuple):
    """What one inventory covers: a sandbox as seen with one Adobe credential. Another one may be shown other
    objects of it.
    """

    organization: str
    sandbox: str
    credential: str
    """The fingerprint of the credential."""


@dataclass(eq=False)
class PolledSandbox:
    """One scope and all that is known of it, for as long as a connection uses it."""

    scope: Scope
    inventory: SandboxInventory
    members: ScopeMembers
    refused_tokens: Callable[[], int]
    """How many requests for a token of the scope's credential were refused for good, whoever asked."""
    poll_at: float
    known_refused_tokens: int = 0
    """How many of them the members know to be over."""
    refusal: str | None = None
    """The reason for which the latest poll was refused; an outage changes nothing of it."""
    reported_orphans: frozenset[str] = frozenset()
    is_being_polled: bool = False


@dataclass(frozen=True)
class Installation:
    """What inventories have to know of the process that they serve."""

    instance: str
    create_grace: float
    poll_interval: float

    def next_poll(self, now: float) -> float:
        """When a sandbox is polled again."""
        return now + self.poll_interval * random.uniform(1 - JITTER, 1)  # noqa: S311 - spreads load


@dataclass(eq=False)
class Sandboxes:
    """Makes what is kept of a sandbox, when a connection begins to use it."""

    _installation: Installation
    _clock: Clock
    _cache: ObjectCache
    _kinds: Mapping[str, ManagedKind]
    _sources: Sources
    is_served_elsewhere: Callable[[Key], bool]
    """True of the connections that another installation serves."""
    wake: Callable[[Key], None] | None = None
    """Has a resource reconciled whose new flow has settled."""

    def __post_init__(self) -> None:
        self.leader_since = self._clock.now()
        """When this process became the leader; to be set before the first sandbox is used."""

    def open(
        self,
        scope: Scope,
        client: ListingClient,
        connections: Callable[[], Iterable[Key]],
        refused_tokens: Callable[[], int] = lambda: 0,
    ) -> PolledSandbox:
        """The sandbox of ``scope``, read with ``client`` and used by ``connections``. ``refused_tokens``
        counts the requests for a token that were refused for good.
        """
        installation = self._installation
        members = ScopeMembers(
            installation.instance,
            self._cache,
            self._kinds,
            lambda: [key for key in connections() if not self.is_served_elsewhere(key)],
        )
        inventory = SandboxInventory(
            scope.sandbox,
            client,
            self._clock,
            members,
            self.leader_since,
            installation.create_grace,
            partial(self._sources.listed, scope.organization, scope.sandbox),
            self.wake,
        )
        poll_at = installation.next_poll(self._clock.now())
        return PolledSandbox(scope, inventory, members, refused_tokens, poll_at)
