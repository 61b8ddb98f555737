"""What a sandbox holds of the Zoho source, from complete listings, and who has to look because of it.

One inventory per (organization, sandbox, Adobe credential), read page by page at a fixed cadence. It costs
pages, not objects: a resource is woken only when a listing shows another version, another run, or an object
too few or too many. It also answers whether an object with a given key exists, so that nothing is created
twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from crmflow.aep.listings import Collection, Listed
from crmflow.aep.models import Run, Sandbox
from crmflow.clock import Clock
from crmflow.reconcile.offer import DATA_LAKE_CONNECTION_SPEC_ID, ZOHO_CONNECTION_SPEC_ID
from crmflow.reconcile.ownership import key_in
from crmflow.reconcile.ports import Absence
from crmflow.runtime.claims import Claim, Finding, Known
from crmflow.runtime.keys import Key
from crmflow.runtime.losses import Losses
from crmflow.runtime.own_writes import OwnWrites
from crmflow.runtime.runs import RunLedger, RunsClient
from crmflow.runtime.snapshot import Snapshot
from crmflow.transport.errors import RemoteError

RECENT_SECONDS = 60.0
"""A listing no older than this is proof enough that an object is gone, beside the 404: ids don't come back.
"""

JUST_NOW_SECONDS = 5.0
"""So many creates may share a listing, as long as none of them is about a lost answer."""

log = logging.getLogger("crmflow.inventory")

Scope = tuple[str, str, str]
"""Organization, sandbox, and fingerprint of the Adobe credential."""


class ListingClient(RunsClient, Protocol):
    """What the inventory asks of a sandbox. Every method may raise RemoteError."""

    async def list_by_spec(self, collection: Collection, spec_id: str) -> Sequence[Listed]: ...
    async def list_by_ids(self, collection: Collection, ids: tuple[str, ...]) -> Sequence[Listed]: ...
    async def sandboxes(self) -> Sequence[Sandbox]: ...


class SandboxInventory:
    """The inventory of one scope."""

    def __init__(
        self,
        sandbox: str,
        client: ListingClient,
        clock: Clock,
        leader_since: float,
        grace: float,
        known: Callable[[], Known],
        claimant: Callable[[str], Key | None],
        flow_spec_id: Callable[[], str],
    ) -> None:
        self.client = client
        self._sandbox = sandbox
        self._clock = clock
        self._leader_since = leader_since
        self._grace = grace
        self._known = known
        self._claimant = claimant
        self._flow_spec_id = flow_spec_id
        self._ledger = RunLedger(client, clock)
        self._snapshot: Snapshot | None = None
        self._listing: tuple[float, asyncio.Task[Snapshot]] | None = None
        self._own = OwnWrites(clock, grace)
        self._losses = Losses(sandbox, client.sandboxes, leader_since)
        self._versions: dict[str, str] = {}
        self.reported_orphans: set[str] = set()

    # What passes ask and tell

    def saw(self, remote_id: str, etag: str) -> None:
        """A pass has read or written this version itself: it is no news."""
        self._versions[remote_id] = etag

    def created(self, collection: Collection, item: Listed) -> None:
        """An own create, which listings may not show yet."""
        self._own.created(collection, item)

    def deleted(self, remote_id: str) -> None:
        """An own delete, or an object that was let go, which listings may not show yet."""
        self._own.deleted(remote_id)
        self._versions.pop(remote_id, None)

    @property
    def covers_predecessors(self) -> bool:
        """True if a complete listing shows all that an earlier process can have created, whatever the index
        lag.
        """
        return self._snapshot is not None and self._snapshot.begun_at >= self._leader_since + self._grace

    def item(self, collection: Collection, remote_id: str) -> Listed | None:
        """The object in the latest listing, own writes laid over it."""
        if self._own.is_deleted(remote_id):
            return None
        listed = self._snapshot.items[collection].get(remote_id) if self._snapshot else None
        return listed or self._own.made(collection).get(remote_id)

    def with_key(self, collection: Collection, key: str) -> list[Listed]:
        """The objects whose name ends in ``key``, the oldest first."""
        listed = self._snapshot.with_key(collection, key) if self._snapshot else ()
        own = (item for item in self._own.made(collection).values() if key_in(item.name) == key)
        found = {item.id: item for item in (*own, *listed) if not self._own.is_deleted(item.id)}
        return sorted(found.values(), key=lambda item: (item.created_at, item.id))

    async def look_up(self, collection: Collection, key: str, *, lost: bool) -> list[Listed]:
        """As :meth:`with_key`, by a listing that begins now if a create of ours was ``lost``; for what an
        earlier process may have made, one that this process began a moment ago does as well. Raises
        RemoteError.
        """
        now = self._clock.now()
        await self.list_since(now if lost else max(self._leader_since, now - JUST_NOW_SECONDS))
        return self.with_key(collection, key)

    async def ensure(self) -> None:
        """There is a listing. Raises RemoteError."""
        if self._snapshot is None:
            await self.list_since(0.0)

    def is_built_on(self, remote_id: str) -> bool:
        """True if a listed object names this one as what it is built on."""
        listed = self._snapshot.built_on(remote_id) if self._snapshot else ()
        return bool(self._own.remaining(listed))

    def last_run(self, flow_id: str) -> Run | None:
        """The flow's last run, once runs have been listed."""
        return self._ledger.last_run(flow_id)

    def holder_of(self, remote_id: str) -> str | None:
        """The resource of the cluster that records this object as its own."""
        key = self._claimant(remote_id)
        return str(key) if key else None

    async def readers_of(self, connection_id: str) -> list[str]:
        """The flows that are built on a base connection's source connections, by a recent listing. Raises
        RemoteError.
        """
        snapshot = await self.list_since(self._clock.now() - JUST_NOW_SECONDS)
        flows = {flow for source in snapshot.built_on(connection_id) for flow in snapshot.built_on(source)}
        return sorted(self._own.remaining(flows))

    async def absence(self, collection: Collection, remote_id: str) -> Absence:
        """Why a read of ``remote_id`` was answered with 404. Absence is never taken for deletion without
        proof: a recent complete listing, and one by id, have to lack it too.
        """
        snapshot = await self.list_since(self._clock.now() - RECENT_SECONDS)
        if remote_id in snapshot.items[collection]:
            return Absence.HIDDEN
        if await self.client.list_by_ids(collection, (remote_id,)):
            return Absence.HIDDEN
        if self._losses.went_in_reset(remote_id):
            return Absence.RESET
        known = self._known()
        return await self._losses.judge(known, self._missing(known, snapshot), snapshot)

    # Listing

    async def list_since(self, begun_after: float) -> Snapshot:
        """A complete listing that began no earlier than ``begun_after``, shared by all who wait for one."""
        while self._snapshot is None or self._snapshot.begun_at < begun_after:
            if self._listing is None or self._listing[1].done():
                self._listing = (self._clock.now(), asyncio.create_task(self._list()))
            await asyncio.shield(self._listing[1])
        return self._snapshot

    async def _list(self) -> Snapshot:
        begun_at = self._clock.now()
        specs = {
            Collection.CONNECTIONS: ZOHO_CONNECTION_SPEC_ID,
            Collection.SOURCE_CONNECTIONS: ZOHO_CONNECTION_SPEC_ID,
            Collection.TARGET_CONNECTIONS: DATA_LAKE_CONNECTION_SPEC_ID,
            Collection.FLOWS: self._flow_spec_id(),
        }
        listings = await asyncio.gather(
            *(self.client.list_by_spec(collection, spec) for collection, spec in specs.items())
        )
        items = {
            collection: {item.id: item for item in listing}
            for collection, listing in zip(specs, listings, strict=True)
        }
        self._snapshot = Snapshot(begun_at, items)
        self._own.settle(self._snapshot)
        return self._snapshot

    # Polling

    async def poll(self) -> tuple[list[Finding], list[Listed]]:
        """List, compare, and say who has to look; and which objects of this installation nobody knows."""
        snapshot = await self.list_since(self._clock.now())
        known = self._known()
        await self._read_runs(known, snapshot)
        findings = {finding.key: finding for finding in self._changes(known, snapshot)}
        missing = self._missing(known, snapshot)
        if missing and not await self._is_reliable(missing):
            self._snapshot = None  # nor may it answer whether something exists
            return [], []
        for claim in missing:
            findings[claim.key] = Finding(claim.key, recheck=True)
        strays, orphans = self._unclaimed(known, snapshot)
        for key in strays:
            findings[key] = Finding(key, recheck=True)
        if not missing:
            self._losses.nothing_is_missing(known)
        return list(findings.values()), orphans

    def _changes(self, known: Known, snapshot: Snapshot) -> Iterable[Finding]:
        for claim in known.claims:
            item = snapshot.items[claim.collection].get(claim.id)
            if item is None:
                continue
            version = self._versions.get(item.id)
            self._versions[item.id] = item.etag
            if version is not None and version != item.etag:
                yield Finding(claim.key, recheck=True)
            elif claim.runs and claim.runs.is_news(self.last_run(item.id), self._clock.utcnow()):
                yield Finding(claim.key, recheck=False)

    async def _read_runs(self, known: Known, snapshot: Snapshot) -> None:
        """Runs are told beside everything else: that they can't be listed discards nothing."""
        flows = {claim.id: claim for claim in known.claims if claim.collection is Collection.FLOWS}
        told = [claim.runs.known(claim.id) for claim in flows.values() if claim.runs]
        told += [item.last_run for item in snapshot.items[Collection.FLOWS].values()]
        try:
            await self._ledger.read(set(flows), [run for run in told if run])
        except RemoteError as error:
            log.warning("the runs of sandbox %s can't be listed: %s", self._sandbox, error)

    def _missing(self, known: Known, snapshot: Snapshot) -> list[Claim]:
        return [
            claim
            for claim in known.claims
            if claim.id not in snapshot.items[claim.collection] and claim.id not in self._own
        ]

    async def _is_reliable(self, missing: Sequence[Claim]) -> bool:
        """One listing by ids tells a listing that came out empty or short from objects that are gone."""
        for collection in Collection:
            ids = tuple(claim.id for claim in missing if claim.collection is collection)
            if ids and await self.client.list_by_ids(collection, ids):
                log.warning("a listing of %s lacked objects that exist; it is discarded", collection.value)
                return False
        return True

    def _unclaimed(self, known: Known, snapshot: Snapshot) -> tuple[set[Key], list[Listed]]:
        """Resources with an object too many, and this installation's objects whose resource is not known."""
        claimed = {claim.id for claim in known.claims}
        instances = {key.rsplit(":", 1)[0] for key in known.owners}
        oldest = self._clock.now() - self._grace
        strays: set[Key] = set()
        orphans: list[Listed] = []
        for items in snapshot.items.values():
            for item in items.values():
                key = key_in(item.name)
                if key is None or item.id in claimed or item.id in self._own:
                    continue
                owner = known.owners.get(key)
                if owner is not None and owner not in known.adopting:
                    strays.add(owner)
                elif key.rsplit(":", 1)[0] in instances and item.created_at < oldest:
                    orphans.append(item)
        return strays, orphans
