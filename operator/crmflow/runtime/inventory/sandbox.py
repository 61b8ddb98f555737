"""What a sandbox holds of the Zoho source, from complete listings with own writes laid over them.

One inventory per scope, read page by page at a fixed cadence. It costs pages, not objects: a resource is
reconciled only when a listing shows another version, another run, or an object too few or too many. It also
answers whether an object with a given key exists, so that nothing is created twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Any, TypeVar

from crmflow.aep.collection import AnyCollection
from crmflow.aep.models import Listed, Run
from crmflow.api.base import Transport
from crmflow.clock import Clock
from crmflow.http.errors import RemoteError
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.sources.shared_reads import Shared
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.inventory.changes import ChangeDetector, Changes
from crmflow.runtime.inventory.listing import JUST_NOW_SECONDS, Listing, Selections
from crmflow.runtime.inventory.mass_deletion import Absences
from crmflow.runtime.inventory.own_writes import OwnWrites
from crmflow.runtime.inventory.ownership import ScopeMembers
from crmflow.runtime.inventory.run_ledger import ListingClient, RunLedger
from crmflow.runtime.inventory.settling import SettlingFlows

T = TypeVar("T")


class SandboxInventory:
    """The inventory of one scope; implements the port ``Inventory``, which says what its methods mean."""

    def __init__(
        self,
        sandbox: str,
        client: ListingClient,
        clock: Clock,
        members: ScopeMembers,
        leader_since: float,
        grace: float,
        selections: Callable[[frozenset[Transport]], Selections],
        wake: Callable[[Key], None] | None = None,
    ) -> None:
        """``grace``: seconds after which a listing shows a create; ``selections`` gives what is listed of the
        ways in use; ``wake`` has a resource reconciled whose new flow has settled.
        """
        self._clock = clock
        self._members = members
        self._leader_since = leader_since
        self._grace = grace
        self._recent: Shared[Any] = Shared(clock)
        self._wake = wake
        self._settling = SettlingFlows(client, clock)
        self._own_writes = writes = OwnWrites(clock, grace)
        self._listing = listing = Listing(client, clock, writes, members.transports, selections)
        self._runs = RunLedger(client, clock)
        self._changes = ChangeDetector(sandbox, client, clock, listing, writes, members, self._runs, grace)
        self._absences = Absences(sandbox, client, clock, listing, writes, members, leader_since)

    async def poll(self) -> Changes:
        """List the sandbox anew, and compare. Raises RemoteError."""
        changes = await self._changes.find()
        if changes is not None and changes.is_complete:
            self._absences.nothing_is_missing()
        return changes or Changes()

    # What passes have done

    def saw(self, remote_id: str, etag: str) -> None:
        """A pass has read or written this version itself: it is no news."""
        self._changes.saw(remote_id, etag)
        self._settling.forget(remote_id)

    def created(self, collection: AnyCollection, item: Listed) -> None:
        self._own_writes.created(collection, item)

    def deleted(self, remote_id: str) -> None:
        self._own_writes.deleted(remote_id)
        self._changes.deleted(remote_id)
        self._settling.forget(remote_id)

    def let_go(self, remote_id: str) -> None:
        self._own_writes.let_go(remote_id)

    # What passes ask

    @property
    def covers_predecessors(self) -> bool:
        listing = self._listing
        return listing.is_complete and listing.latest.begun_at >= self._leader_since + self._grace

    def watch(self, flow_id: str, owner: str) -> bool:
        if self._wake is None:
            return False
        # The owner's status may record the flow only after a listing has shown it.
        self._settling.watch(flow_id, partial(self._wake, Key(*owner.split("/"))))
        return True

    def settled(self, flow_id: str) -> Listed | None:
        item = self._settling.take(flow_id)
        if item is not None:
            self._changes.saw(item.id, item.etag)
        return item

    async def recent(
        self, key: Hashable, ask: Callable[[], Awaitable[T]], suffices: Callable[[T], bool]
    ) -> T:
        answer: T = await self._recent.get(key, ask, suffices=suffices)
        return answer

    def item(self, collection: AnyCollection, remote_id: str) -> Listed | None:
        if self._own_writes.is_deleted(remote_id):
            return None
        listed = self._listing.latest.item(collection, remote_id)
        return listed or self._own_writes.item(collection, remote_id)

    def with_key(self, collection: AnyCollection, key: str) -> list[Listed]:
        listed = self._listing.latest.with_key(collection, key)
        own = self._own_writes.with_key(collection, key)
        found = {item.id: item for item in (*own, *listed) if self._own_writes.is_ours(item.id)}
        return sorted(found.values(), key=lambda item: (item.created_at, item.id))

    async def look_up(self, collection: AnyCollection, key: str, *, lost: bool) -> list[Listed]:
        now = self._clock.now()
        await self._listing.since(now if lost else max(self._leader_since, now - JUST_NOW_SECONDS))
        return self.with_key(collection, key)

    def include(self, transport: Transport) -> None:
        self._listing.include(transport)

    async def ensure(self) -> None:
        await self._listing.ensure()

    async def confirm(self) -> None:
        await self._listing.confirm()

    def is_built_on(self, remote_id: str) -> bool:
        return bool(self._own_writes.remaining(self._listing.latest.built_on(remote_id)))

    def last_run(self, flow_id: str) -> Run | None:
        return self._runs.last_run(flow_id)

    def found_runs(self, flow_id: str) -> Sequence[Run]:
        return self._runs.found(flow_id)

    @property
    def unread_runs(self) -> RemoteError | None:
        return self._runs.unread

    def recorded_by(self, remote_id: str) -> str | None:
        key = self._members.owner_of(remote_id)
        return str(key) if key else None

    async def readers_of(self, connection_id: str) -> list[str]:
        snapshot = await self._listing.since(self._clock.now() - JUST_NOW_SECONDS)
        flows = {flow for source in snapshot.built_on(connection_id) for flow in snapshot.built_on(source)}
        return sorted(self._own_writes.remaining(flows))

    async def absence(self, collection: AnyCollection, remote_id: str) -> Absence:
        return await self._absences.judge(collection, remote_id)
