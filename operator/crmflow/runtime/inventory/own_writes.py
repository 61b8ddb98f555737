"""The writes of this process that a listing may not show yet, to be laid over it.

They say what an older listing can't know, and nothing else: that an object was let go takes our key from it,
and does not make it go away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crmflow.aep.collection import AnyCollection
from crmflow.aep.models import Listed
from crmflow.clock import Clock
from crmflow.reconcile.core.ownership import key_in
from crmflow.runtime.inventory.ownership import OwnedObject
from crmflow.runtime.inventory.snapshot import Snapshot


class OwnWrites:
    """What was made and removed here, each until the index must know of it."""

    def __init__(self, clock: Clock, grace: float) -> None:
        self._clock = clock
        self._grace = grace
        self._created: dict[str, tuple[AnyCollection, Listed, float]] = {}
        self._created_by_key: dict[tuple[AnyCollection, str], set[str]] = {}
        self._deleted: dict[str, float] = {}
        self._let_go: dict[str, float] = {}

    def __contains__(self, remote_id: object) -> bool:
        return remote_id in self._created or remote_id in self._deleted or remote_id in self._let_go

    def created(self, collection: AnyCollection, item: Listed) -> None:
        """Note a create."""
        self._created[item.id] = (collection, item, self._clock.now())
        self._index(collection, item)

    def deleted(self, remote_id: str) -> None:
        """Note a delete."""
        self._deleted[remote_id] = self._clock.now()
        self._created.pop(remote_id, None)

    def let_go(self, remote_id: str) -> None:
        """Note that an object has lost our key."""
        self._let_go[remote_id] = self._clock.now()

    def is_ours(self, remote_id: str) -> bool:
        """False if our key in a listing says nothing any more."""
        return remote_id not in self._deleted and remote_id not in self._let_go

    def is_deleted(self, remote_id: str) -> bool:
        """True if it was deleted, whatever a listing says."""
        return remote_id in self._deleted

    def item(self, collection: AnyCollection, remote_id: str) -> Listed | None:
        """A create that no listing shows yet."""
        where, item, _ = self._created.get(remote_id, (None, None, 0.0))
        return item if where is collection else None

    def with_key(self, collection: AnyCollection, key: str) -> list[Listed]:
        """The creates in a collection that no listing shows yet, by the key that their names end in."""
        ids = self._created_by_key.get((collection, key), ())
        return [self._created[remote_id][1] for remote_id in ids if remote_id in self._created]

    def remaining(self, remote_ids: Iterable[str]) -> list[str]:
        """Those that were not deleted."""
        return [remote_id for remote_id in remote_ids if remote_id not in self._deleted]

    def missing(self, objects: Iterable[OwnedObject], snapshot: Snapshot) -> list[OwnedObject]:
        """Those of the recorded objects that a listing lacks, and should not."""
        return [
            owned
            for owned in objects
            if owned.id not in snapshot.items[owned.collection] and owned.id not in self
        ]

    def settle(self, snapshot: Snapshot) -> None:
        """Forget what needs no overlay: a listing shows it, or began so late that the index must."""
        self._created = {
            remote_id: entry
            for remote_id, entry in self._created.items()
            if remote_id not in snapshot.items[entry[0]] and entry[2] + self._grace > snapshot.begun_at
        }
        self._created_by_key = {}
        for collection, item, _ in self._created.values():
            self._index(collection, item)
        self._deleted = self._recent(self._deleted, snapshot)
        self._let_go = self._recent(self._let_go, snapshot)

    def _index(self, collection: AnyCollection, item: Listed) -> None:
        key = key_in(item.name)
        if key is not None:
            self._created_by_key.setdefault((collection, key), set()).add(item.id)

    def _recent(self, noted: Mapping[str, float], snapshot: Snapshot) -> dict[str, float]:
        return {
            remote_id: when for remote_id, when in noted.items() if when + self._grace > snapshot.begun_at
        }
