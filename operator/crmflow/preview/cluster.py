"""The resources of a namespace as they are, and as a manifest would make them. A copy: nothing is written."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from crmflow.observability.events import Event
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.resource import Object, Resource


class ClusterCopy:
    """What the API server has, to be changed here."""

    def __init__(self, kinds: Mapping[str, ManagedKind], objects: Iterable[Object], now: datetime) -> None:
        self.cache = ObjectCache(kinds)
        self._now = now
        self._versions = itertools.count(10**18)
        for obj in objects:
            self.cache.put(obj)

    def apply(self, manifest: Mapping[str, Any], namespace: str) -> Key:
        """``kubectl apply``: what the manifest says takes the place of spec and annotations of before."""
        given = manifest.get("metadata") or {}
        key = Key(manifest["kind"], given.get("namespace") or namespace, given["name"])
        existing = self.cache.get(key)
        obj = self._new(key) if existing is None else copy.deepcopy(existing.raw)
        spec = copy.deepcopy(dict(manifest.get("spec") or {}))
        annotations = {**(obj["metadata"].get("annotations") or {}), **(given.get("annotations") or {})}
        if existing is not None and obj.get("spec") != spec:
            obj["metadata"]["generation"] = existing.generation + 1
        obj["spec"] = spec
        obj["metadata"]["annotations"] = annotations
        self._put(obj)
        return key

    def delete(self, key: Key) -> None:
        """``kubectl delete``: the resource is on its way out."""
        existing = self.cache.get(key)
        if existing is None or existing.deleting:
            return
        obj = copy.deepcopy(existing.raw)
        obj["metadata"]["deletionTimestamp"] = self._instant()
        obj["metadata"]["generation"] = existing.generation + 1
        self._put(obj)

    def annotate(self, key: Key, name: str, value: str) -> None:
        """``kubectl annotate``."""
        existing = self.cache.get(key)
        if existing is not None:
            obj = copy.deepcopy(existing.raw)
            obj["metadata"]["annotations"] = {**existing.annotations, name: value}
            self._put(obj)

    def connections(self, kind: str) -> Iterator[Key]:
        """The keys of all resources of a kind."""
        return (key for key in self.cache.keys() if key.kind == kind)  # noqa: SIM118 - no mapping

    # What a pass writes

    async def write_status(
        self, resource: Resource, body: Mapping[str, Any], kept: Collection[str] = ()
    ) -> Resource:
        """The part of the operator's writer that a pass calls."""
        current = self.cache.get(resource.key) or resource
        held = {name: current.status[name] for name in kept if name in current.status}
        obj = {**copy.deepcopy(current.raw), "status": {**held, **body}}
        if obj["status"] != current.status:
            self._put(obj)
        return self.cache.get(resource.key) or Resource(resource.kind, obj)

    def record(self, obj: Object, event: Event) -> None:
        """Events are for what has happened."""

    def _put(self, obj: Object) -> None:
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        self.cache.put(obj)

    def _new(self, key: Key) -> Object:
        metadata = {
            "name": key.name,
            "namespace": key.namespace,
            "uid": str(uuid.uuid4()),
            "generation": 1,
            "creationTimestamp": self._instant(),
            "finalizers": [],
        }
        return {"apiVersion": "crmflow.io/v1alpha1", "kind": key.kind, "metadata": metadata}

    def _instant(self) -> str:
        return self._now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
