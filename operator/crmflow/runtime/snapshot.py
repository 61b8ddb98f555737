"""A complete listing of a sandbox, indexed for what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crmflow.aep.listings import Collection, Listed
from crmflow.reconcile.ownership import key_in


class Snapshot:
    """What a sandbox held of the Zoho source when it was listed."""

    def __init__(self, begun_at: float, items: Mapping[Collection, Mapping[str, Listed]]) -> None:
        self.begun_at = begun_at
        self.items = items
        self._by_key: dict[tuple[Collection, str], list[Listed]] = {}
        self._built_on: dict[str, list[str]] = {}
        for collection, listed in items.items():
            for item in listed.values():
                key = key_in(item.name)
                if key is not None:
                    self._by_key.setdefault((collection, key), []).append(item)
                for parent in item.parents:
                    self._built_on.setdefault(parent, []).append(item.id)

    def with_key(self, collection: Collection, key: str) -> Sequence[Listed]:
        """The objects of a collection whose name ends in ``key``."""
        return self._by_key.get((collection, key), ())

    def built_on(self, remote_id: str) -> Sequence[str]:
        """Ids of the objects that name ``remote_id`` as what they are built on."""
        return self._built_on.get(remote_id, ())

    def count(self) -> int:
        """How many objects it holds."""
        return sum(len(items) for items in self.items.values())
