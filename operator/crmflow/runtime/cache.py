"""The latest known state of every resource, kept as compact bytes and decoded per pass.

10,000 objects of usual size take 45 MiB this way, against 289 MiB as dicts. What has to be known about all
objects at once (who refers to whom, who is being deleted) is kept beside the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from crmflow.api.kinds import GROUP
from crmflow.reconcile.conditions import READY, Conditions
from crmflow.runtime.keys import Key

Reference = tuple[str, str]
"""Kind and name of something in the same namespace."""


@dataclass(frozen=True, slots=True)
class _Entry:
    data: bytes
    version: int
    uid: str
    generation: int
    deleting: bool
    requests: tuple[tuple[str, str], ...]
    ready: bool
    claims: tuple[tuple[str, str], ...]
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Change:
    """What is new about an object, as far as it matters to anybody."""

    is_new: bool = False
    asks_for_attention: bool = False
    """Spec edited, deletion begun, or one of our annotations changed."""
    concerns_dependents: bool = False
    """It became, or ceased to be, Ready; its remote object is another one; or it appeared."""

    @property
    def any(self) -> bool:
        """True if somebody has to be woken."""
        return self.is_new or self.asks_for_attention or self.concerns_dependents


NOTHING = Change()


class ObjectCache:
    """Every resource of the served namespaces."""

    def __init__(
        self,
        references: Mapping[str, Callable[[dict[str, Any]], Sequence[Reference]]],
        claimed: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, str]]],
    ) -> None:
        """``references`` tells for each kind what a spec refers to, ``claimed`` what a status records."""
        self._references = references
        self._claimed = claimed
        self._entries: dict[Key, _Entry] = {}
        self._referrers: dict[tuple[str, str, str], set[Key]] = {}
        self._claimants: dict[str, Key] = {}

    def put(self, obj: dict[str, Any]) -> Change:
        """Take over an object from a listing, a watch or the answer to an own write, unless a newer one is
        known.
        """
        key = Key.of(obj)
        entry = self._entry(key, obj)
        before = self._entries.get(key)
        if before is not None and before.version >= entry.version:
            return NOTHING
        self._entries[key] = entry
        self._reindex(key, before, entry)
        if before is None or before.uid != entry.uid:
            return Change(is_new=True, asks_for_attention=_needs_attention(obj), concerns_dependents=True)
        return Change(
            asks_for_attention=(before.generation, before.deleting, before.requests)
            != (entry.generation, entry.deleting, entry.requests),
            concerns_dependents=(before.ready, before.deleting, before.claims)
            != (entry.ready, entry.deleting, entry.claims),
        )

    def get(self, key: Key) -> dict[str, Any] | None:
        """A fresh copy of the object."""
        entry = self._entries.get(key)
        return orjson.loads(entry.data) if entry else None

    def remove(self, key: Key, uid: str | None = None) -> tuple[Reference, ...]:
        """Drop the object (only if it still has that uid); what it referred to."""
        entry = self._entries.get(key)
        if entry is None or (uid is not None and entry.uid != uid):
            return ()
        del self._entries[key]
        self._reindex(key, entry, None)
        return entry.references

    def referrers(self, kind: str, namespace: str, name: str) -> list[Key]:
        """The resources whose spec names that object."""
        return sorted(self._referrers.get((kind, namespace, name), ()))

    def claimant(self, remote_id: str) -> Key | None:
        """The resource whose status records that remote object."""
        return self._claimants.get(remote_id)

    def keys(self) -> list[Key]:
        """All keys."""
        return list(self._entries)

    def count(self, kind: str) -> int:
        """How many there are of a kind."""
        return sum(1 for key in self._entries if key.kind == kind)

    def _entry(self, key: Key, obj: dict[str, Any]) -> _Entry:
        metadata, status = obj["metadata"], obj.get("status") or {}
        slim = {**obj, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
        return _Entry(
            data=orjson.dumps(slim),
            version=int(metadata["resourceVersion"]),
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            deleting="deletionTimestamp" in metadata,
            requests=tuple(
                sorted(
                    (k, v)
                    for k, v in (metadata.get("annotations") or {}).items()
                    if k.startswith(f"{GROUP}/")
                )
            ),
            ready=Conditions.from_status(status).is_true(READY),
            claims=tuple(sorted(self._claimed[key.kind](status).items())),
            references=tuple(self._references[key.kind](obj.get("spec") or {})),
        )

    def _reindex(self, key: Key, before: _Entry | None, after: _Entry | None) -> None:
        for _, remote_id in before.claims if before else ():
            if self._claimants.get(remote_id) == key:
                del self._claimants[remote_id]
        for _, remote_id in after.claims if after else ():
            self._claimants.setdefault(remote_id, key)
        old = set(before.references) if before else set()
        new = set(after.references) if after else set()
        for kind, name in old - new:
            referrers = self._referrers[kind, key.namespace, name]
            referrers.discard(key)
            if not referrers:
                del self._referrers[kind, key.namespace, name]
        for kind, name in new - old:
            self._referrers.setdefault((kind, key.namespace, name), set()).add(key)


def _needs_attention(obj: dict[str, Any]) -> bool:
    metadata = obj["metadata"]
    observed = (obj.get("status") or {}).get("observedGeneration")
    return "deletionTimestamp" in metadata or observed != metadata.get("generation")
