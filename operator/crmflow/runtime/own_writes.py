"""The creates and deletes of this process that a listing may not show yet, to be laid over it."""

from __future__ import annotations

from collections.abc import Iterable

from crmflow.aep.listings import Collection, Listed
from crmflow.clock import Clock
from crmflow.runtime.snapshot import Snapshot


class OwnWrites:
    """What was made and removed here, each until the index must know of it."""

    def __init__(self, clock: Clock, grace: float) -> None:
        self._clock = clock
        self._grace = grace
        self._created: dict[str, tuple[Collection, Listed, float]] = {}
        self._deleted: dict[str, float] = {}

    def __contains__(self, remote_id: object) -> bool:
        return remote_id in self._created or remote_id in self._deleted

    def created(self, collection: Collection, item: Listed) -> None:
        """Note a create."""
        self._created[item.id] = (collection, item, self._clock.now())

    def deleted(self, remote_id: str) -> None:
        """Note a delete, or an object that was let go."""
        self._deleted[remote_id] = self._clock.now()
        self._created.pop(remote_id, None)

    def is_deleted(self, remote_id: str) -> bool:
        """True if it was deleted, whatever a listing says."""
        return remote_id in self._deleted

    def made(self, collection: Collection) -> dict[str, Listed]:
        """Creates that no listing shows yet, by id; there are never many."""
        return {
            remote_id: item for remote_id, (where, item, _) in self._created.items() if where is collection
        }

    def remaining(self, remote_ids: Iterable[str]) -> list[str]:
        """Those that were not deleted."""
        return [remote_id for remote_id in remote_ids if remote_id not in self._deleted]

    def settle(self, snapshot: Snapshot) -> None:
        """Forget what needs no overlay: a listing shows it, or began so late that the index must."""
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
