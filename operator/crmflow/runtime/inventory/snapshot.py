"""A complete listing of a sandbox, indexed for what is asked of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

from crmflow.aep.collection import AnyCollection
from crmflow.aep.models import Listed
from crmflow.api.base import Transport
from crmflow.reconcile.core.ownership import key_in


class Snapshot:
    """What a sandbox held when it was listed, of the objects that are made in the ways in use."""

    def __init__(
        self,
        begun_at: float,
        items: Mapping[AnyCollection, Mapping[str, Listed]],
        transports: frozenset[Transport] = frozenset(),
    ) -> None:
        """``transports``: the ways whose objects were listed."""
        self.begun_at = begun_at
        self.items = items
        self.transports = transports
        self._by_key: dict[tuple[AnyCollection, str], list[Listed]] = {}
        self._built_on: dict[str, list[str]] = {}
        for collection, listed in items.items():
            for item in listed.values():
                key = key_in(item.name)
                if key is not None:
                    self._by_key.setdefault((collection, key), []).append(item)
                for parent in item.parents:
                    self._built_on.setdefault(parent, []).append(item.id)

    def shows(self, transports: Set[Transport]) -> bool:
        """Whether the objects of these ways were listed."""
        return transports <= self.transports

    def item(self, collection: AnyCollection, remote_id: str) -> Listed | None:
        """The object with that id."""
        return self.items.get(collection, {}).get(remote_id)

    def with_key(self, collection: AnyCollection, key: str) -> Sequence[Listed]:
        """The objects of a collection whose name ends in ``key``."""
        return self._by_key.get((collection, key), ())

    def built_on(self, remote_id: str) -> Sequence[str]:
        """Ids of the objects that name ``remote_id`` as what they are built on."""
        return self._built_on.get(remote_id, ())


NO_LISTING = Snapshot(-math.inf, {})
"""Older than any, and empty."""
