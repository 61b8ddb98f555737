"""All inventories of the process: which scopes are in use, what the cluster knows of each, and the poll."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crmflow.aep.listings import Collection, Listed
from crmflow.api.kinds import CRM_DATAFLOW, GROUP, ZOHO_SOURCE_CONNECTION
from crmflow.clock import Clock
from crmflow.observability import tally
from crmflow.observability.events import Event, EventType
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.conditions import READY, TRUE, Conditions
from crmflow.reconcile.dataflow.runs import RunRecord
from crmflow.reconcile.identity import Identity
from crmflow.reconcile.kind import Reconciler
from crmflow.reconcile.offer import Offers
from crmflow.reconcile.ownership import key_in
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.claims import Claim, Finding, Known
from crmflow.runtime.events import EventWriter
from crmflow.runtime.inventory import ListingClient, SandboxInventory, Scope
from crmflow.runtime.keys import Key
from crmflow.transport.errors import RemoteError

log = logging.getLogger("crmflow.inventory")

ACCEPT_LOSS = f"{GROUP}/accept-loss"


@dataclass(frozen=True)
class Installation:
    """What inventories have to know of the process that they serve."""

    instance: str
    create_grace: float
    poll_interval: float


class Inventories:
    """One inventory per scope, for as long as a connection of the cluster uses the scope."""

    def __init__(
        self,
        installation: Installation,
        clock: Clock,
        cache: ObjectCache,
        reconcilers: Mapping[str, Reconciler],
        offers: Offers,
        events: EventWriter,
        metrics: Metrics,
        wake: Callable[[Finding], None],
    ) -> None:
        self._installation = installation
        self._clock = clock
        self._cache = cache
        self._reconcilers = reconcilers
        self._offers = offers
        self._events = events
        self._metrics = metrics
        self._wake = wake
        self.leader_since = clock.now()
        """When this process became the leader; to be set before the first inventory is used."""
        self._by_scope: dict[Scope, SandboxInventory] = {}
        self._scope_of: dict[Key, Scope] = {}

    def use(self, scope: Scope, connection: Key, client: ListingClient) -> SandboxInventory:
        """The inventory of ``scope``, which ``connection`` uses from now on, read with ``client``."""
        self._scope_of[connection] = scope
        inventory = self._by_scope.get(scope)
        if inventory is None:
            organization, sandbox, _ = scope
            inventory = self._by_scope[scope] = SandboxInventory(
                sandbox,
                client,
                self._clock,
                self.leader_since,
                self._installation.create_grace,
                lambda: self._known(scope),
                self._cache.claimant,
                lambda: self._offers.flow_spec_id(organization, sandbox),
            )
        return inventory

    def saw(self, scope: Scope, remote_id: str, etag: str) -> None:
        """Somebody here has read or written that version of an object of ``scope``."""
        if scope in self._by_scope:
            self._by_scope[scope].saw(remote_id, etag)

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await self._clock.sleep(self._installation.poll_interval)
            for connection in [key for key in self._scope_of if self._cache.get(key) is None]:
                del self._scope_of[connection]
            in_use = set(self._scope_of.values())
            for scope in [scope for scope in self._by_scope if scope not in in_use]:
                self._drop(scope)
            for scope, inventory in list(self._by_scope.items()):
                if self._is_wanted(scope):
                    await self._poll(scope, inventory)

    def _is_wanted(self, scope: Scope) -> bool:
        """False while everything that a listing could wake is paused, and so nothing may be read."""
        return not all(self._cache.is_paused(key) for key in self._members(scope))

    def _drop(self, scope: Scope) -> None:
        """No connection uses the scope any more; with it goes what the metrics say of it."""
        del self._by_scope[scope]
        for gauge in self._metrics.per_scope:
            with suppress(KeyError):  # it was never polled
                gauge.remove(*scope)

    async def _poll(self, scope: Scope, inventory: SandboxInventory) -> None:
        try:
            with tally.counting() as calls:
                findings, unknown = await inventory.poll()
        except RemoteError as error:
            log.warning("the listing of sandbox %s failed and is discarded: %s", scope[1], error)
            self._metrics.poll_failures.inc()
            return
        except Exception:
            log.exception("polling sandbox %s failed", scope[1])
            return
        orphans = self._orphans(unknown)
        for finding in findings:
            self._wake(finding)
        self._metrics.poll_calls.labels(*scope).set(calls.total())
        self._metrics.poll_pages.labels(*scope).set(
            sum(count for operation, count in calls.items() if operation.endswith(".list"))
        )
        self._metrics.poll_wakes.labels(*scope).set(len(findings))
        self._metrics.orphans.labels(*scope).set(len(orphans))
        await self._report(scope, inventory, orphans)

    def _orphans(self, unknown: Sequence[Listed]) -> list[Listed]:
        """Those that no resource of the cluster stands for. A resource may reach the sandbox with another
        credential, or may not have reached it since the start, as while it is paused.
        """
        resources = self._cache.keys() if unknown else []
        known = {
            Identity(self._installation.instance, *key, uid="").key(slot)
            for key in resources
            if not self._cache.adopts(key)
            for slot in self._reconcilers[key.kind].slots
        }
        return [
            item for item in unknown if key_in(item.name) not in known and self._cache.owner(item.id) is None
        ]

    async def _report(self, scope: Scope, inventory: SandboxInventory, orphans: Iterable[Listed]) -> None:
        """Tell each orphan once, on a connection of its sandbox; only a person collects them."""
        news = [item for item in orphans if item.id not in inventory.reported_orphans]
        inventory.reported_orphans = {item.id for item in orphans}
        connection = next((key for key, used in sorted(self._scope_of.items()) if used == scope), None)
        obj = self._cache.get(connection) if connection else None
        for item in news:
            note = (
                f"{item.id} in sandbox {scope[1]} carries this installation's key ({item.name}), and no "
                "resource "
                "of the cluster stands for it. Delete it in Platform, or create the resource again."
            )
            log.warning("orphan: %s", note)
            if obj is not None:
                await self._events.write(obj, Event(EventType.WARNING, "OrphanFound", "Poll", note))

    def _known(self, scope: Scope) -> Known:
        claims: list[Claim] = []
        owners: dict[str, Key] = {}
        adopting: set[Key] = set()
        accepts_loss: set[str] = set()
        ready_since: list[float] = []
        for key in self._members(scope):
            obj = self._cache.get(key)
            if obj is None:
                continue
            metadata, status = obj["metadata"], obj.get("status") or {}
            reconciler = self._reconcilers[key.kind]
            claims += _claims(key, reconciler, obj["spec"], status)
            identity = Identity(
                self._installation.instance, key.kind, key.namespace, key.name, metadata["uid"]
            )
            owners.update({identity.key(slot): key for slot in reconciler.slots})
            if self._cache.adopts(key):
                adopting.add(key)
            accepted = (metadata.get("annotations") or {}).get(ACCEPT_LOSS)
            if accepted:
                accepts_loss.add(accepted)
            ready = Conditions.from_status(status).get(READY)
            if ready is not None and ready.status == TRUE:
                ready_since.append(datetime.fromisoformat(ready.last_transition_time).timestamp())
        return Known(
            tuple(claims),
            owners,
            frozenset(adopting),
            frozenset(accepts_loss),
            max(ready_since, default=None),
        )

    def _members(self, scope: Scope) -> Iterable[Key]:
        """The connections that use the scope, and their dataflows."""
        for connection, used in list(self._scope_of.items()):
            if used == scope:
                yield connection
                referrers = self._cache.referrers(
                    ZOHO_SOURCE_CONNECTION.kind, connection.namespace, connection.name
                )
                yield from (key for key in referrers if key.kind == CRM_DATAFLOW.kind)


def _claims(
    key: Key, reconciler: Reconciler, spec: Mapping[str, Any], status: Mapping[str, Any]
) -> Iterable[Claim]:
    # A resource that is not Ready looks at its runs whenever it is visited; a paused one is not visited.
    takes_runs = Conditions.from_status(status).is_true(READY) and not spec.get("paused")
    for slot, remote_id in reconciler.claimed(status).items():
        collection = reconciler.slots[slot]
        is_flow = collection is Collection.FLOWS
        runs = RunRecord.of_object(spec, status) if is_flow and takes_runs else None
        yield Claim(key, collection, remote_id, runs)
