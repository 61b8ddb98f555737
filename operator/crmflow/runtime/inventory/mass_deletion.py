"""Why an object is absent: deleted by itself, gone with a reset of its sandbox, or missing together with so
many others that a person has to say that it is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from crmflow.aep.collection import AnyCollection, WithIds
from crmflow.aep.flow_service import FLOWS
from crmflow.aep.sandboxes import SANDBOXES
from crmflow.clock import Clock
from crmflow.reconcile.ports import Absence
from crmflow.runtime.inventory.listing import Listing
from crmflow.runtime.inventory.own_writes import OwnWrites
from crmflow.runtime.inventory.ownership import OwnedObject, Recorded, ScopeMembers
from crmflow.runtime.inventory.run_ledger import ListingClient
from crmflow.runtime.inventory.snapshot import Snapshot

RECENT_SECONDS = 60.0
"""A listing no older than this is proof enough that an object is gone, beside the 404: ids don't come back.
"""
FEW = 5
SHARE = 0.10


@dataclass(frozen=True)
class Missing:
    """What a listing lacks of what the cluster's resources record."""

    recorded: Recorded
    objects: tuple[OwnedObject, ...]
    snapshot: Snapshot
    asked: frozenset[str]
    """Ids that are accounted for: those that are missing, and those that somebody asked for."""

    @cached_property
    def is_mass(self) -> bool:
        """True if it is more than may go without a word."""
        return is_mass_deletion(_flows(self.objects), _flows(self.recorded.objects))

    @cached_property
    def is_all(self) -> bool:
        """True if the listing has nothing of what is recorded."""
        return not any(owned.id in self.snapshot.items[owned.collection] for owned in self.recorded.objects)


@dataclass(eq=False)
class Absences:
    """Judges absences in one sandbox, and knows what people have said of them."""

    _sandbox: str
    _client: ListingClient
    _clock: Clock
    _listing: Listing
    _own_writes: OwnWrites
    _members: ScopeMembers
    _leader_since: float
    _missing: Missing | None = None
    _used_acceptances: frozenset[str] = frozenset()
    _is_mass_deletion: bool = False
    _lost_in_reset: set[str] = field(default_factory=set)

    async def judge(self, collection: AnyCollection, remote_id: str) -> Absence:
        """Why a read of ``remote_id`` was answered with 404. Absence is never taken for deletion without
        proof: a recent complete listing, and one by id, have to lack it too. Raises RemoteError.
        """
        snapshot = await self._listing.since(self._clock.now() - RECENT_SECONDS)
        if remote_id in snapshot.items[collection]:
            return Absence.HIDDEN
        if await self._client.list(collection, WithIds((remote_id,))):
            return Absence.HIDDEN
        if remote_id in self._lost_in_reset:
            return Absence.RESET
        missing, accepted = self._missing_in(snapshot, remote_id), self._members.accepted_losses()
        if missing.is_all and await self._was_reset(missing.recorded):
            self._lost_in_reset = {owned.id for owned in missing.recorded.objects}
            return Absence.RESET
        self._is_mass_deletion = self._is_mass_deletion or missing.is_mass
        if self._is_mass_deletion and not accepted - self._used_acceptances:
            return Absence.MASS_DELETION
        return Absence.GONE

    def nothing_is_missing(self) -> None:
        """A loss is over: a later one needs an acceptance of its own."""
        self._is_mass_deletion = False
        self._used_acceptances = self._members.accepted_losses()

    def _missing_in(self, snapshot: Snapshot, remote_id: str) -> Missing:
        """What ``snapshot`` lacks, found out once for all whose objects are missing in it. It is found out
        anew for an object that somebody records who did not then, such as a resource of a backup.
        """
        before = self._missing
        if before is not None and before.snapshot is snapshot:
            if remote_id in before.asked or self._members.owner_of(remote_id) is None:
                return before
        else:
            before = None
        recorded = self._members.recorded()
        objects = self._own_writes.missing(recorded.objects, snapshot)
        asked = {remote_id, *(owned.id for owned in objects), *(before.asked if before else ())}
        self._missing = Missing(recorded, tuple(objects), snapshot, frozenset(asked))
        return self._missing

    async def _was_reset(self, recorded: Recorded) -> bool:
        """The sandbox says that it is being reset, or was changed since all was there."""
        sandbox = next((s for s in await self._client.list(SANDBOXES) if s.name == self._sandbox), None)
        if sandbox is None:
            return False
        since = self._leader_since if recorded.all_there_at is None else recorded.all_there_at
        return sandbox.state == "resetting" or (sandbox.modified_at or 0.0) > since


def _flows(objects: Sequence[OwnedObject]) -> int:
    return sum(1 for owned in objects if owned.collection is FLOWS)


def is_mass_deletion(vanished: int, known: int) -> bool:
    """True if more than max(5, 10 %) of the ``known`` flows are gone at once: then something larger has
    happened than somebody deleting one.
    """
    return vanished > max(FEW, known * SHARE)
