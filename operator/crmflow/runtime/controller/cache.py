"""The latest known state of every resource, kept as compressed bytes and decoded per pass.

10,000 objects of usual size take 8 MiB this way, 45 MiB as they come and 289 MiB as dicts; packing and
unpacking one takes 20 µs. What has to be known about all objects at once (who refers to whom, who is being
deleted) is kept beside the bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from crmflow.api.base import Transport
from crmflow.api.kinds import GROUP
from crmflow.reconcile.core.conditions import READY, TRUE
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.reading import text_at
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.resource import Object, Resource
from crmflow.runtime.kubernetes.client import FINALIZER

Term = tuple[str, ...]
"""What resources are found by: a word for the relation, and what is related."""

_FASTEST = 1
_IS, _REFERS, _WANTS, _CREATES, _ANNOTATED = "is", "refers", "wants", "creates", "annotated"


@dataclass(frozen=True, slots=True)
class _Entry:
    data: bytes
    version: int
    uid: str
    created: str
    generation: int
    deleting: bool
    marks: frozenset[str]
    """What only somebody else takes away: our finalizer, and a status that speaks."""
    paused: bool
    requests: tuple[tuple[str, str], ...]
    """Our annotations."""
    ready_since: str | None
    """When it last became Ready, empty if nobody wrote that down; None if it is not Ready."""
    recorded_ids: tuple[tuple[str, str], ...]
    adopts: str | None
    references: tuple[Key, ...]
    """What the spec names, of any kind, in the same namespace."""
    intents: tuple[tuple[str, str, str], ...]
    """Slot, name and time of what it is about to create."""
    transports: frozenset[Transport] | None
    """The ways that its records take."""
    ended: str | None
    """When it came to its end."""

    @property
    def ready(self) -> bool:
        """True if its Ready condition is."""
        return self.ready_since is not None

    def records(self, remote_id: str) -> bool:
        """True if status records that remote object."""
        return any(recorded == remote_id for _, recorded in self.recorded_ids)


@dataclass(frozen=True)
class Change:
    """What is new about an object, as far as it matters to anybody."""

    is_new: bool = False
    is_unserved: bool = False
    """New, and nobody has ever finished a pass over it."""
    asks_for_attention: bool = False
    """Spec edited, deletion begun, one of our annotations changed, or our finalizer or our whole status lost:
    a replace with a manifest takes away what the manifest does not have, and changes no generation.
    """
    concerns_dependents: bool = False
    """It became, or ceased to be, Ready; its remote object is another one; it is open for other ways; or it
    appeared.
    """
    concerns_what_it_uses: bool = False
    """What it uses may be waiting for it to go, and can now say that it does; or its records take a way, of a
    new one or another one, for which something else is needed; or it has come to its end, which that is to
    note.
    """


NOTHING = Change()


class ObjectCache:
    """Every resource of the served namespaces."""

    def __init__(self, kinds: Mapping[str, ManagedKind]) -> None:
        """``kinds`` tell for each kind what a spec refers to, and what of it stands remotely."""
        self._kinds = kinds
        self._entries: dict[Key, _Entry] = {}
        self._index: dict[Term, set[Key]] = {}
        self._in_namespace: dict[str, dict[Key, None]] = {}

    def put(self, obj: Object) -> Change:
        """Take over an object from a listing, a watch or the answer to an own write, unless a newer one is
        known.
        """
        if not self.lacks(obj):
            return NOTHING
        key = Key.of(obj)
        resource = Resource(self._kinds[key.kind], obj)
        entry = _entry(key, resource)
        before = self._entries.get(key)
        self._entries[key] = entry
        self._in_namespace.setdefault(key.namespace, {})[key] = None
        self._reindex(key, before, entry)
        if before is None or before.uid != entry.uid:
            unseen = resource.deleting or resource.observed_generation != resource.generation
            decided = unseen and bool(entry.transports)
            return Change(
                is_new=True,
                is_unserved=resource.observed_generation is None and not resource.deleting,
                asks_for_attention=unseen,
                concerns_dependents=True,
                concerns_what_it_uses=decided,
            )
        return Change(
            asks_for_attention=(before.generation, before.deleting, before.requests)
            != (entry.generation, entry.deleting, entry.requests)
            or bool(before.marks - entry.marks and not entry.deleting),
            concerns_dependents=(before.ready, before.deleting, before.recorded_ids, before.transports)
            != (entry.ready, entry.deleting, entry.recorded_ids, entry.transports),
            concerns_what_it_uses=(before.deleting, before.transports, before.ended)
            != (entry.deleting, entry.transports, entry.ended),
        )

    def lacks(self, obj: Object) -> bool:
        """True if no version as new is known. Of each own write the watch tells once more."""
        before = self._entries.get(Key.of(obj))
        return before is None or before.version < int(obj["metadata"]["resourceVersion"])

    def get(self, key: Key) -> Resource | None:
        """The resource, decoded anew."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        return Resource(self._kinds[key.kind], orjson.loads(zlib.decompress(entry.data)))

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def remove(self, key: Key, uid: str | None = None) -> None:
        """Drop the object (only if it still has that uid)."""
        entry = self._entries.get(key)
        if entry is None or (uid is not None and entry.uid != uid):
            return
        del self._entries[key]
        del self._in_namespace[key.namespace][key]
        if not self._in_namespace[key.namespace]:
            del self._in_namespace[key.namespace]
        self._reindex(key, entry, None)

    def with_uid(self, uid: str) -> Key | None:
        """The resource of that uid."""
        return next(iter(self._found(_IS, uid)), None)

    def uses(self, key: Key) -> list[Key]:
        """The resources that the object's spec names, as far as they are known."""
        entry = self._entries.get(key)
        return [used for used in entry.references if used in self._entries] if entry else []

    def referrers(self, kind: str, namespace: str, name: str) -> list[Key]:
        """The resources whose spec names that object."""
        return sorted(self._found(_REFERS, kind, namespace, name))

    def recorded_by(self, remote_id: str) -> Key | None:
        """The oldest resource whose status records that remote object."""
        wanting = self._found(_WANTS, remote_id)
        return self._oldest(key for key in wanting if self._entries[key].records(remote_id))

    def owner(self, remote_id: str) -> Key | None:
        """The same; where there is none, the oldest resource whose spec names the object."""
        return self.recorded_by(remote_id) or self._oldest(self._found(_WANTS, remote_id))

    def rivals(self, key: Key) -> list[Key]:
        """The other resources that record or name one of the remote objects that ``key`` records or names."""
        entry = self._entries.get(key)
        wanted = [term for term in _terms(key, entry) if term[0] == _WANTS]
        return sorted({rival for term in wanted for rival in self._found(*term)} - {key})

    def intents(self, kind: str, slot: str, name: str) -> dict[Key, str]:
        """When each resource wrote down that it is about to create that object."""
        return {
            key: time
            for key in self._found(_CREATES, kind, slot, name)
            for its_slot, its_name, time in self._entries[key].intents
            if (its_slot, its_name) == (slot, name)
        }

    def annotated(self, annotation: str) -> dict[Key, str]:
        """The resources that have one of our annotations, with its value."""
        return {
            key: dict(self._entries[key].requests)[annotation] for key in self._found(_ANNOTATED, annotation)
        }

    def recorded_ids(self, key: Key) -> Mapping[str, str]:
        """Slot → id of the remote objects that the resource's status records."""
        entry = self._entries.get(key)
        return dict(entry.recorded_ids) if entry else {}

    def ready_since(self, key: Key) -> str | None:
        """When the resource last became Ready, if it is."""
        entry = self._entries.get(key)
        return entry.ready_since if entry else None

    def version(self, key: Key) -> tuple[str, int] | None:
        """What changes whenever the object does."""
        entry = self._entries.get(key)
        return (entry.uid, entry.version) if entry else None

    def adopts(self, key: Key) -> str | None:
        """The remote object that the resource's spec names."""
        entry = self._entries.get(key)
        return entry.adopts if entry else None

    def transports(self, key: Key) -> frozenset[Transport] | None:
        """The ways that the resource's records take; None until that is decided."""
        entry = self._entries.get(key)
        return entry.transports if entry else frozenset()

    def life(self, key: Key) -> tuple[str, str | None]:
        """When the resource was created, and when it came to its end, if it has."""
        entry = self._entries.get(key)
        return (entry.created, entry.ended) if entry else ("", None)

    def is_paused(self, key: Key) -> bool:
        """True if nothing is to be read or written for the resource."""
        entry = self._entries.get(key)
        return entry is not None and entry.paused

    def is_deleting(self, key: Key) -> bool:
        """True if somebody has asked for the resource's deletion."""
        entry = self._entries.get(key)
        return entry is not None and entry.deleting

    def keys(self, namespace: str | None = None) -> list[Key]:
        """The keys of a namespace, or all."""
        return list(self._entries if namespace is None else self._in_namespace.get(namespace, ()))

    def count(self, kind: str) -> int:
        """How many there are of a kind."""
        return sum(1 for key in self._entries if key.kind == kind)

    def count_ready(self, kind: str) -> int:
        """How many of them are Ready."""
        return sum(1 for key, entry in self._entries.items() if key.kind == kind and entry.ready)

    def _reindex(self, key: Key, before: _Entry | None, after: _Entry | None) -> None:
        old, new = _terms(key, before), _terms(key, after)
        for term in old - new:
            self._index[term].discard(key)
            if not self._index[term]:
                del self._index[term]
        for term in new - old:
            self._index.setdefault(term, set()).add(key)

    def _found(self, *term: str) -> Collection[Key]:
        return self._index.get(term, ())

    def _oldest(self, keys: Iterable[Key]) -> Key | None:
        """Of those of the same second, the first by name."""
        return min(keys, key=lambda key: (self._entries[key].created, key), default=None)


def _entry(key: Key, resource: Resource) -> _Entry:
    """What is known of an object beside its bytes. Nobody has validated it: any part may be anything."""
    metadata, ready = resource.metadata, resource.conditions.get(READY)
    slim = {**resource.raw, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
    marks = {FINALIZER: resource.held, READY: ready is not None}
    references = resource.kind.references(resource.spec)
    return _Entry(
        data=zlib.compress(orjson.dumps(slim), _FASTEST),
        version=int(metadata["resourceVersion"]),
        uid=resource.uid,
        created=metadata.get("creationTimestamp", ""),
        generation=resource.generation,
        deleting=resource.deleting,
        marks=frozenset(mark for mark, there in marks.items() if there),
        paused=resource.paused,
        requests=tuple(sorted((k, v) for k, v in resource.annotations.items() if k.startswith(f"{GROUP}/"))),
        ready_since=ready.last_transition_time if ready is not None and ready.status == TRUE else None,
        recorded_ids=tuple(sorted(resource.recorded_ids.items())),
        adopts=resource.kind.adopted_id(resource.spec),
        references=tuple(Key(kind, key.namespace, name) for kind, name in references),
        intents=_intents(resource.status),
        transports=resource.kind.transports(resource.spec, resource.status),
        ended=resource.kind.ended_at(resource.status),
    )


def _terms(key: Key, entry: _Entry | None) -> set[Term]:
    """What the object is to be found by."""
    if entry is None:
        return set()
    recorded = {remote_id for _, remote_id in entry.recorded_ids}
    return {
        (_IS, entry.uid),
        *((_REFERS, *reference) for reference in entry.references),
        *((_WANTS, remote_id) for remote_id in recorded or filter(None, [entry.adopts])),
        *((_CREATES, key.kind, slot, name) for slot, name, _ in entry.intents),
        *((_ANNOTATED, annotation) for annotation, _ in entry.requests),
    }


def _intents(status: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """One that can't be read is no intent: its resource creates nothing until it can be."""
    entries = status.get("intents")
    listed = entries if isinstance(entries, list) else []
    parts = [[text_at(entry, part) for part in ("slot", "name", "time")] for entry in listed]
    return tuple((slot, name, time) for slot, name, time in parts if slot and name and time)
