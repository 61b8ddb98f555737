"""Other resources of the cluster as the steps see them, straight from the cache."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crmflow.api.kinds import Kind
from crmflow.reconcile.core.conditions import READY
from crmflow.reconcile.core.reading import instant
from crmflow.reconcile.ports import Referrer
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.resource import Resource


@dataclass(frozen=True)
class ListedResource:
    """A resource as last seen. Implements the port of a view."""

    uid: str
    generation: int
    deleting: bool
    ready: bool
    spec: Any
    status: Any

    @classmethod
    def of(cls, resource: Resource) -> ListedResource:
        """Read the resource. One that this version can't read in full is not Ready, whatever a newer one
        wrote; what can be read of its spec still gives access for deletions.
        """
        understood = resource.understood
        is_understood = understood.obstacle() is None
        return cls(
            uid=resource.uid,
            generation=resource.generation,
            deleting=resource.deleting,
            ready=is_understood and resource.conditions.is_true(READY),
            spec=understood.spec.value,
            status=understood.status.value if is_understood else resource.kind.api.status(),
        )


class CacheLister:
    """Implements the port Lister."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache

    def get(self, kind: Kind, namespace: str, name: str) -> ListedResource | None:
        """The resource of that kind and name."""
        resource = self._cache.get(Key(kind.kind, namespace, name))
        return ListedResource.of(resource) if resource else None

    def referrers(self, kind: Kind, namespace: str, name: str) -> list[Referrer]:
        """The resources of our kinds whose spec names that one."""
        keys = self._cache.referrers(kind.kind, namespace, name)
        return [
            Referrer(
                key.kind,
                key.name,
                self._cache.is_deleting(key),
                self._cache.transports(key),
                *self._cache.life(key),
            )
            for key in keys
        ]

    def intents_of_others(self, own: str, slot: str, name: str) -> list[datetime]:
        """When others of the kind of ``own`` wrote down that they are about to create this very object."""
        found = self._cache.intents(own.partition("/")[0], slot, name)
        times = (instant(time) for key, time in found.items() if str(key) != own)
        return [time for time in times if time is not None]

    def owner_of(self, remote_id: str) -> str | None:
        """The resource that a remote object belongs to."""
        key = self._cache.owner(remote_id)
        return str(key) if key else None
