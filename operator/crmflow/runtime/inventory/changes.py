"""What a poll finds: resources whose remote objects have changed, are missing or are too many, and objects of
this installation that no resource of the scope owns.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from crmflow.aep.collection import WithIds
from crmflow.aep.flow_service import FLOWS, INVENTORIED
from crmflow.aep.models import Listed
from crmflow.clock import Clock
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.kind import ReportedRuns
from crmflow.reconcile.core.ownership import key_in
from crmflow.runtime.controller.keys import Key, ReconcileRequest
from crmflow.runtime.inventory.listing import Listing
from crmflow.runtime.inventory.own_writes import OwnWrites
from crmflow.runtime.inventory.ownership import OwnedObject, Ownership, ScopeMembers
from crmflow.runtime.inventory.run_ledger import ListingClient, RunLedger
from crmflow.runtime.inventory.snapshot import Snapshot

log = logging.getLogger("crmflow.inventory")


@dataclass(frozen=True)
class Changes:
    """The result of one comparison."""

    requests: tuple[ReconcileRequest, ...] = ()
    unowned: tuple[Listed, ...] = ()
    """Objects with a key of this installation whose resource is not in the scope."""
    is_complete: bool = True
    """False if something that is recorded is missing."""


@dataclass(eq=False)
class ChangeDetector:
    """Compares each listing of a sandbox with what is known of it: the versions that were read or written
    here, the last runs that statuses speak of, and what the cluster's resources own.
    """

    _sandbox: str
    _client: ListingClient
    _clock: Clock
    _listing: Listing
    _own_writes: OwnWrites
    _members: ScopeMembers
    _runs: RunLedger
    _grace: float
    _versions: dict[str, str] = field(default_factory=dict)

    def saw(self, remote_id: str, etag: str) -> None:
        """A pass has read or written this version itself: it is no news."""
        self._versions[remote_id] = etag

    def deleted(self, remote_id: str) -> None:
        """A pass has deleted the object."""
        self._versions.pop(remote_id, None)

    async def find(self) -> Changes | None:
        """What a new listing shows; None if the listing is not reliable, and is discarded. Raises
        RemoteError.
        """
        snapshot = await self._listing.since(self._clock.now())
        ownership = self._members.ownership()
        await self._read_runs(ownership, snapshot)
        missing = self._own_writes.missing(ownership.objects, snapshot)
        if missing and not await self._are_gone(missing):
            self._listing.discard()
            return None
        # Only now: a version that is noted wakes nobody any more.
        requests = {request.key: request for request in self._changed(ownership, snapshot)}
        surplus, unowned = self._not_recorded(ownership, snapshot)
        for key in (*(owned.owner for owned in missing), *surplus):
            requests[key] = ReconcileRequest(key, recheck=True)
        return Changes(tuple(requests.values()), tuple(unowned), not missing)

    def _changed(self, ownership: Ownership, snapshot: Snapshot) -> Iterable[ReconcileRequest]:
        for owned in ownership.objects:
            item = snapshot.item(owned.collection, owned.id)
            if item is None:
                continue
            version = self._versions.get(item.id)
            self._versions[item.id] = item.etag
            if version is not None and version != item.etag:
                yield ReconcileRequest(owned.owner, recheck=True)
            elif owned.runs and self._has_news(owned.runs, item.id):
                yield ReconcileRequest(owned.owner, recheck=False)

    def _has_news(self, told: ReportedRuns, flow_id: str) -> bool:
        """Whether a pass would tell something else of the flow's runs. What status has need not be kept."""
        last, found = self._runs.last_run(flow_id), self._runs.found(flow_id)
        if told.is_news(last, self._clock.utcnow(), self._runs.unread, found):
            return True
        self._runs.forget(flow_id)
        return False

    async def _read_runs(self, ownership: Ownership, snapshot: Snapshot) -> None:
        """Runs are listed beside everything else: that they can't be discards nothing, and is told by
        ``RunsHealthy``.
        """
        flows = {owned.id: owned for owned in ownership.objects if owned.collection is FLOWS}
        told = [run for owned in flows.values() if owned.runs for run in owned.runs.known(owned.id)]
        shown = [item.last_run for item in snapshot.items[FLOWS].values() if item.last_run]
        try:
            await self._runs.read(set(flows), told, shown)
        except RemoteError as error:
            log.warning("the runs of sandbox %s can't be listed: %s", self._sandbox, error)

    async def _are_gone(self, missing: Sequence[OwnedObject]) -> bool:
        """One listing by ids tells a listing that came out empty or short from objects that are gone."""
        for collection in INVENTORIED:
            ids = tuple(owned.id for owned in missing if owned.collection is collection)
            if ids and await self._client.list(collection, WithIds(ids)):
                log.warning("a listing of %s lacked objects that exist; it is discarded", collection.name)
                return False
        return True

    def _not_recorded(self, ownership: Ownership, snapshot: Snapshot) -> tuple[set[Key], list[Listed]]:
        """Resources with an object too many, and this installation's objects whose resource is not in the
        scope.
        """
        recorded = {owned.id for owned in ownership.objects}
        instances = {key.rsplit(":", 1)[0] for key in ownership.lookup_keys}
        oldest = self._clock.now() - self._grace
        surplus: set[Key] = set()
        unowned: list[Listed] = []
        for items in snapshot.items.values():
            for item in items.values():
                key = key_in(item.name)
                if key is None or item.id in recorded or item.id in self._own_writes:
                    continue
                owner = ownership.lookup_keys.get(key)
                if owner is not None and owner not in ownership.adopting:
                    surplus.add(owner)
                elif key.rsplit(":", 1)[0] in instances and item.created_at < oldest:
                    unowned.append(item)
        return surplus, unowned
