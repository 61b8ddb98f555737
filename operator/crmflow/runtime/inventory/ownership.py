"""Which remote objects the resources of a scope own, and how a listing is searched for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crmflow.aep.collection import AnyCollection
from crmflow.aep.flow_service import FLOWS
from crmflow.api.base import WAYS, Transport
from crmflow.api.kinds import GROUP
from crmflow.reconcile.core.kind import ManagedKind, ReportedRuns
from crmflow.reconcile.core.reading import instant
from crmflow.reconcile.external.flow import FLOW
from crmflow.reconcile.external.identity import Identity
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key

ACCEPT_LOSS = f"{GROUP}/accept-loss"


@dataclass(frozen=True)
class OwnedObject:
    """A remote object that a resource records as its own."""

    owner: Key
    collection: AnyCollection
    id: str
    runs: ReportedRuns | None = None
    """What the owner says of the runs of this flow, if a pass would record a new one."""


@dataclass(frozen=True)
class Recorded:
    """The remote objects that the resources of a scope record; no object is decoded for that."""

    objects: tuple[OwnedObject, ...] = ()
    all_there_at: float | None = None
    """When a resource last became Ready, of those that are Ready: then everything that it records existed."""


@dataclass(frozen=True)
class Ownership:
    """What a poll compares a listing with."""

    objects: tuple[OwnedObject, ...] = ()
    lookup_keys: Mapping[str, Key] = field(default_factory=dict)
    """Lookup key → the resource that it belongs to."""
    adopting: frozenset[Key] = frozenset()
    """Resources that have adopted what stands for them: an object with their key is not theirs."""


@dataclass(frozen=True)
class ScopeMembers:
    """The connections that use a scope, and what refers to them, as the cache has it now."""

    _instance: str
    _cache: ObjectCache
    _kinds: Mapping[str, ManagedKind]
    connections: Callable[[], Sequence[Key]]
    """Those that use the scope."""

    def __iter__(self) -> Iterator[Key]:
        for connection in self.connections():
            yield connection
            for user in self._cache.referrers(*connection):
                yield user
                yield from (run for run in self._cache.referrers(*user) if not self._has_ended(run))

    def _has_ended(self, key: Key) -> bool:
        """What came to its end has nothing any more."""
        return self._cache.life(key)[1] is not None and not self._cache.recorded_ids(key)

    def transports(self) -> frozenset[Transport]:
        """The ways that the records of the resources take, or may take."""
        decided = [self._cache.transports(key) for key in self]
        return frozenset().union(*(WAYS if ways is None else ways for ways in decided))

    def ownership(self) -> Ownership:
        """What the resources own, and what they would find their own by."""
        objects: list[OwnedObject] = []
        lookup_keys: dict[str, Key] = {}
        adopting: set[Key] = set()
        for key in self:
            if key not in self._cache:
                continue
            objects += self._owned(key, self._runs(key))
            identity = Identity(self._instance, *key, uid="")
            lookup_keys.update({identity.key(slot): key for slot in self._kinds[key.kind].collections})
            if self._cache.adopts(key):
                adopting.add(key)
        return Ownership(tuple(objects), lookup_keys, frozenset(adopting))

    def recorded(self) -> Recorded:
        """What the resources record, and when it was all there."""
        keys = list(self)
        objects = tuple(owned for key in keys for owned in self._owned(key))
        ready = (instant(self._cache.ready_since(key)) for key in keys)
        return Recorded(objects, max((since.timestamp() for since in ready if since), default=None))

    def accepted_losses(self) -> frozenset[str]:
        """What people have written on resources of the scope to accept a loss."""
        annotated = self._cache.annotated(ACCEPT_LOSS)
        connections = set(self.connections()) if annotated else set()  # asked for each absence
        return frozenset(
            word
            for key, word in annotated.items()
            if word and not connections.isdisjoint((key, *self._cache.uses(key)))
        )

    def owner_of(self, remote_id: str) -> Key | None:
        """The resource of the cluster, of whatever scope, that records a remote object."""
        return self._cache.recorded_by(remote_id)

    def _owned(self, key: Key, runs: ReportedRuns | None = None) -> Iterable[OwnedObject]:
        for slot, remote_id in self._cache.recorded_ids(key).items():
            collection = self._kinds[key.kind].collections[slot]
            told = runs if slot == FLOW.slot else None  # of what is being replaced nothing is told
            yield OwnedObject(key, collection, remote_id, told)

    def _runs(self, key: Key) -> ReportedRuns | None:
        """What a resource says of the runs of its flow, if it has one and a poll may wake it for a new run: a
        resource that is not Ready looks at its runs whenever it is reconciled; a paused one is not.
        """
        collections = self._kinds[key.kind].collections
        has_flow = any(collections[slot] is FLOWS for slot in self._cache.recorded_ids(key))
        if not has_flow or self._cache.ready_since(key) is None or self._cache.is_paused(key):
            return None
        resource = self._cache.get(key)
        return resource.kind.run_record(resource.spec, resource.status) if resource else None
