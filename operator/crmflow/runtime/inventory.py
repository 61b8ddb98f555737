"""What a sandbox holds of the Zoho source, from complete listings, and who has to look because of it.

One inventory per (organization, sandbox, Adobe credential), read page by page at a fixed cadence. It costs
pages, not objects: a resource is woken only when a listing shows another version, another run, or an object
too few or too many. It also answers whether an object with a given key exists, so that nothing is created
twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crmflow.aep.listings import Collection, Listed
from crmflow.aep.models import Run, Sandbox
from crmflow.clock import Clock
from crmflow.reconcile.brake import is_mass_vanish
from crmflow.reconcile.dataflow.runs import RunRecord
from crmflow.reconcile.offer import DATA_LAKE_CONNECTION_SPEC_ID, ZOHO_CONNECTION_SPEC_ID
from crmflow.reconcile.ownership import key_in
from crmflow.reconcile.ports import Absence
from crmflow.runtime.keys import Key
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


@dataclass(frozen=True)
class Claim:
    """A resource of the cluster records this remote object as its own."""

    key: Key
    collection: Collection
    id: str
    runs: RunRecord | None = None
    """What the resource says of the runs of this flow, if a visit would record a new one."""


@dataclass(frozen=True)
class Known:
    """What the cluster knows of a scope: claims, and the lookup keys of all its resources."""

    claims: tuple[Claim, ...] = ()
    owners: Mapping[str, Key] = field(default_factory=dict)
    """Lookup key → the resource that it belongs to."""
    adopting: frozenset[Key] = frozenset()
    """Those that have adopted what stands for them: an object with their key is not theirs."""
    accepts_loss: frozenset[str] = frozenset()
    """Values of the annotation ``crmflow.io/accept-loss`` on connections of the scope."""
    all_there_at: float | None = None
    """When a resource last became Ready, of those that are Ready: then everything that it records existed."""


@dataclass(frozen=True)
class Finding:
    """What a poll wants done about a resource."""

    key: Key
    recheck: bool
    """True: compare everything; False: only the last run is new."""


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
        self._created: dict[str, tuple[Collection, Listed, float]] = {}
        self._deleted: dict[str, float] = {}
        self._versions: dict[str, str] = {}
        self._used_acceptances: set[str] = set()
        self._mass_vanish = False
        self._lost_in_reset: set[str] = set()
        self.reported_orphans: set[str] = set()

    # What passes ask and tell

    def saw(self, remote_id: str, etag: str) -> None:
        """A pass has read or written this version itself: it is no news."""
        self._versions[remote_id] = etag

    def created(self, collection: Collection, item: Listed) -> None:
        """An own create, which listings may not show yet."""
        self._created[item.id] = (collection, item, self._clock.now())

    def deleted(self, remote_id: str) -> None:
        """An own delete, or an object that was let go, which listings may not show yet."""
        self._deleted[remote_id] = self._clock.now()
        self._created.pop(remote_id, None)
        self._versions.pop(remote_id, None)

    @property
    def covers_predecessors(self) -> bool:
        """True if a complete listing shows all that an earlier process can have created, whatever the index
        lag.
        """
        return self._snapshot is not None and self._snapshot.begun_at >= self._leader_since + self._grace

    def item(self, collection: Collection, remote_id: str) -> Listed | None:
        """The object in the latest listing, own writes laid over it."""
        if remote_id in self._deleted:
            return None
        listed = self._snapshot.items[collection].get(remote_id) if self._snapshot else None
        return listed or self._own(collection).get(remote_id)

    def with_key(self, collection: Collection, key: str) -> list[Listed]:
        """The objects whose name ends in ``key``, the oldest first."""
        listed = self._snapshot.with_key(collection, key) if self._snapshot else ()
        own = (item for item in self._own(collection).values() if key_in(item.name) == key)
        found = {item.id: item for item in (*own, *listed) if item.id not in self._deleted}
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
        return any(child not in self._deleted for child in listed)

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
        flows = {
            flow
            for source in snapshot.built_on(connection_id)
            for flow in snapshot.built_on(source)
            if flow not in self._deleted
        }
        return sorted(flows)

    async def absence(self, collection: Collection, remote_id: str) -> Absence:
        """Why a read of ``remote_id`` was answered with 404. Absence is never taken for deletion without
        proof: a recent complete listing, and one by id, have to lack it too.
        """
        snapshot = await self.list_since(self._clock.now() - RECENT_SECONDS)
        if remote_id in snapshot.items[collection]:
            return Absence.HIDDEN
        if await self.client.list_by_ids(collection, (remote_id,)):
            return Absence.HIDDEN
        if remote_id in self._lost_in_reset:
            return Absence.RESET
        return await self._brake(snapshot)

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
        self._forget_settled_writes(self._snapshot)
        return self._snapshot

    def _forget_settled_writes(self, snapshot: Snapshot) -> None:
        """An own write needs no overlay once a listing shows it, or began so late that the index must."""
        self._created = {
            remote_id: entry
            for remote_id, entry in self._created.items()
            if remote_id not in snapshot.items[entry[0]] and entry[2] + self._grace > snapshot.begun_at
        }
        self._deleted = {
            remote_id: when
            for remote_id, when in self._deleted.items()
            if when + self._grace > snapshot.begun_at
        }

    def _own(self, collection: Collection) -> dict[str, Listed]:
        """Own creates that no listing shows yet; there are never many."""
        return {
            remote_id: item for remote_id, (where, item, _) in self._created.items() if where is collection
        }

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
            self._mass_vanish = False
            self._used_acceptances = set(known.accepts_loss)  # a later loss wants a word of its own
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
            if claim.id not in snapshot.items[claim.collection]
            and claim.id not in self._created
            and claim.id not in self._deleted
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
                if key is None or item.id in claimed or item.id in self._created or item.id in self._deleted:
                    continue
                owner = known.owners.get(key)
                if owner is not None and owner not in known.adopting:
                    strays.add(owner)
                elif key.rsplit(":", 1)[0] in instances and item.created_at < oldest:
                    orphans.append(item)
        return strays, orphans

    # The brake

    async def _brake(self, snapshot: Snapshot) -> Absence:
        known = self._known()
        vanished = self._vanished(known, snapshot)
        flows = sum(1 for claim in known.claims if claim.collection is Collection.FLOWS)
        if await self._was_reset(known, snapshot):
            self._lost_in_reset = {claim.id for claim in known.claims}
            return Absence.RESET
        self._mass_vanish = self._mass_vanish or is_mass_vanish(len(vanished), flows)
        if self._mass_vanish and not self._accepted(known):
            return Absence.MASS_VANISH
        return Absence.GONE

    def _vanished(self, known: Known, snapshot: Snapshot) -> list[Claim]:
        return [claim for claim in self._missing(known, snapshot) if claim.collection is Collection.FLOWS]

    def _accepted(self, known: Known) -> bool:
        """A person has said since that the loss is real; each word counts once."""
        return bool(known.accepts_loss - self._used_acceptances)

    async def _was_reset(self, known: Known, snapshot: Snapshot) -> bool:
        """Nothing of ours is left, and the sandbox says that it is being reset, or was changed since all was
        there.
        """
        if any(claim.id in snapshot.items[claim.collection] for claim in known.claims):
            return False
        sandbox = next((s for s in await self.client.sandboxes() if s.name == self._sandbox), None)
        if sandbox is None:
            return False
        since = self._leader_since if known.all_there_at is None else known.all_there_at
        return sandbox.state == "resetting" or (sandbox.modified_at or 0.0) > since
