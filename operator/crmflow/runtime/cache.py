"""The latest known state of every resource, kept as compact bytes and decoded per pass.

10,000 objects of usual size take 45 MiB this way, against 289 MiB as dicts. What has to be known about all
objects at once (who refers to whom, who is being deleted) is kept beside the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from crmflow.api.kinds import GROUP
from crmflow.reconcile.conditions import READY, Conditions
from crmflow.reconcile.kind import Reconciler
from crmflow.runtime.keys import Key

Item = TypeVar("Item", str, tuple[str, str, str])

Reference = tuple[str, str]
"""Kind and name of something in the same namespace."""


@dataclass(frozen=True, slots=True)
class _Entry:
    data: bytes
    version: int
    uid: str
    created: str
    generation: int
    deleting: bool
    paused: bool
    requests: tuple[tuple[str, str], ...]
    ready: bool
    claims: tuple[tuple[str, str], ...]
    adopts: str | None
    references: tuple[Reference, ...]

    @property
    def recorded(self) -> set[str]:
        """The remote ids that status records."""
        return {remote_id for _, remote_id in self.claims}

    @property
    def wanted(self) -> set[str]:
        """Those; of a resource that has none yet, the one that its spec names."""
        return self.recorded or ({self.adopts} if self.adopts else set())


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

    def __init__(self, reconcilers: Mapping[str, Reconciler]) -> None:
        """``reconcilers`` tell for each kind what a spec refers to, and what of it stands remotely."""
        self._reconcilers = reconcilers
        self._entries: dict[Key, _Entry] = {}
        self._referrers: dict[tuple[str, str, str], set[Key]] = {}
        self._claimants: dict[str, set[Key]] = {}

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
        """The oldest resource whose status records that remote object."""
        keys = (key for key in self._claimants.get(remote_id, ()) if self._records(key, remote_id))
        return min(keys, key=self._age, default=None)

    def owner(self, remote_id: str) -> Key | None:
        """The same; where there is none, the oldest resource whose spec names the object."""
        return self.claimant(remote_id) or min(
            self._claimants.get(remote_id, ()), key=self._age, default=None
        )

    def rivals(self, key: Key) -> list[Key]:
        """The other resources that record or name one of the remote objects that ``key`` records or names."""
        entry = self._entries.get(key)
        wanted = entry.wanted if entry else set()
        return sorted({rival for remote_id in wanted for rival in self._claimants[remote_id]} - {key})

    def intents(self, kind: str, slot: str, name: str) -> dict[Key, str]:
        """When each resource wrote down that it is about to create that object. Only the few objects that
        have intents are decoded.
        """
        found = {}
        for key, entry in self._entries.items():
            if key.kind != kind or b'"intents"' not in entry.data:
                continue
            for intent in orjson.loads(entry.data).get("status", {}).get("intents", ()):
                if (intent["slot"], intent["name"]) == (slot, name):
                    found[key] = intent["time"]
        return found

    def adopts(self, key: Key) -> str | None:
        """The remote object that the resource's spec names."""
        entry = self._entries.get(key)
        return entry.adopts if entry else None

    def is_paused(self, key: Key) -> bool:
        """True if nothing is to be read or written for the resource."""
        entry = self._entries.get(key)
        return entry is not None and entry.paused

    def is_deleting(self, key: Key) -> bool:
        """True if somebody has asked for the resource's deletion."""
        entry = self._entries.get(key)
        return entry is not None and entry.deleting

    def keys(self) -> list[Key]:
        """All keys."""
        return list(self._entries)

    def count(self, kind: str) -> int:
        """How many there are of a kind."""
        return sum(1 for key in self._entries if key.kind == kind)

    def count_ready(self, kind: str) -> int:
        """How many of them are Ready."""
        return sum(1 for key, entry in self._entries.items() if key.kind == kind and entry.ready)

    def _entry(self, key: Key, obj: dict[str, Any]) -> _Entry:
        metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
        reconciler = self._reconcilers[key.kind]
        slim = {**obj, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
        return _Entry(
            data=orjson.dumps(slim),
            version=int(metadata["resourceVersion"]),
            uid=metadata["uid"],
            created=metadata.get("creationTimestamp", ""),
            generation=metadata.get("generation", 0),
            deleting="deletionTimestamp" in metadata,
            paused=spec.get("paused", False) and "deletionTimestamp" not in metadata,
            requests=tuple(
                sorted(
                    (k, v)
                    for k, v in (metadata.get("annotations") or {}).items()
                    if k.startswith(f"{GROUP}/")
                )
            ),
            ready=Conditions.from_status(status).is_true(READY),
            claims=tuple(sorted(reconciler.claimed(status).items())),
            adopts=reconciler.adopts(spec),
            references=tuple(reconciler.references(spec)),
        )

    def _reindex(self, key: Key, before: _Entry | None, after: _Entry | None) -> None:
        _move(self._claimants, key, before.wanted if before else set(), after.wanted if after else set())
        _move(self._referrers, key, _named(key, before), _named(key, after))

    def _records(self, key: Key, remote_id: str) -> bool:
        return remote_id in self._entries[key].recorded

    def _age(self, key: Key) -> tuple[str, Key]:
        """Orders resources by age, and those of the same second by name."""
        return self._entries[key].created, key


def _named(key: Key, entry: _Entry | None) -> set[tuple[str, str, str]]:
    return {(kind, key.namespace, name) for kind, name in entry.references} if entry else set()


def _move(index: dict[Item, set[Key]], key: Key, old: set[Item], new: set[Item]) -> None:
    """Have ``index`` list ``key`` under ``new`` instead of ``old``."""
    for item in old - new:
        index[item].discard(key)
        if not index[item]:
            del index[item]
    for item in new - old:
        index.setdefault(item, set()).add(key)


def _needs_attention(obj: dict[str, Any]) -> bool:
    metadata = obj["metadata"]
    observed = (obj.get("status") or {}).get("observedGeneration")
    return "deletionTimestamp" in metadata or observed != metadata.get("generation")
