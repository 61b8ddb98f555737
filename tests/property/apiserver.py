"""As much of an API server as the runtime asks of one: versions, generations, finalizers, and a watch.

How the real one behaves is tested on a real one; this one is there to be fast.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from crmflow.api.kinds import Kind
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.kubernetes.client import FINALIZER
from crmflow.runtime.kubernetes.errors import NotFoundError, StaleError
from tests.unit.runtime.fakes import FakeKubernetes

Object = dict[str, Any]
Watcher = Callable[[str, Object], None]


class ApiServer(FakeKubernetes):
    """Objects of our kinds; Secrets are those of the narrow stand-in."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[Key, Object] = {}
        self.events: list[Object] = []
        self.watcher: Watcher | None = None
        """Told of every change a little later, as ``DELETED`` or ``MODIFIED``."""
        self._versions = itertools.count(1)

    # What people do

    def apply(self, key: Key, spec: Mapping[str, Any]) -> None:
        """``kubectl apply``; an object that is on its way out takes it as well."""
        obj = self.objects.get(key)
        if obj is None:
            metadata = {"name": key.name, "namespace": key.namespace, "generation": 1, "finalizers": []}
            metadata |= {"uid": f"uid-{next(self._versions)}", "creationTimestamp": "2026-01-01T00:00:00Z"}
            api = "crmflow.io/v1alpha1"
            obj = {
                "apiVersion": api,
                "kind": key.kind,
                "metadata": metadata,
                "spec": copy.deepcopy(dict(spec)),
            }
        elif obj["spec"] != spec:
            obj = {**obj, "spec": copy.deepcopy(dict(spec))}
            obj["metadata"] = {**obj["metadata"], "generation": obj["metadata"]["generation"] + 1}
        else:
            return
        self._store(key, obj)

    def annotate(self, key: Key, name: str, value: str) -> None:
        """``kubectl annotate --overwrite``."""
        obj = copy.deepcopy(self.objects[key])
        obj["metadata"].setdefault("annotations", {})[name] = value
        self._store(key, obj)

    def delete(self, key: Key) -> None:
        """``kubectl delete --wait=false``."""
        obj = copy.deepcopy(self.objects[key])
        if not obj["metadata"]["finalizers"]:
            self._drop(key)
        elif "deletionTimestamp" not in obj["metadata"]:
            obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            obj["metadata"]["generation"] += 1
            self._store(key, obj)

    # What the operator does

    async def list_objects(self, kind: Kind, namespace: str | None) -> AsyncIterator[Object]:
        for key, obj in list(self.objects.items()):
            if key.kind == kind.kind:
                yield copy.deepcopy(obj)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return copy.deepcopy(self._found(Key(kind.kind, namespace, name)))

    async def apply_status(self, kind: Kind, obj: Mapping[str, Any], status: Mapping[str, Any]) -> Object:
        await asyncio.sleep(0)
        held = self._matching(obj)
        if held.get("status") == status:
            return held
        return self._store(Key.of(held), {**held, "status": copy.deepcopy(dict(status))})

    async def add_finalizer(self, kind: Kind, obj: Mapping[str, Any]) -> Object:
        held = self._matching(obj)
        held["metadata"]["finalizers"].append(FINALIZER)
        return self._store(Key.of(held), held)

    async def remove_finalizer(self, kind: Kind, obj: Mapping[str, Any]) -> Object:
        held = self._matching(obj)
        held["metadata"]["finalizers"].remove(FINALIZER)
        if "deletionTimestamp" in held["metadata"]:
            self._drop(Key.of(held))
            return held
        return self._store(Key.of(held), held)

    async def apply_event(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        self.events.append(dict(body))

    def _found(self, key: Key) -> Object:
        if key not in self.objects:
            raise NotFoundError("404", 404)
        return self.objects[key]

    def _matching(self, obj: Mapping[str, Any]) -> Object:
        """A copy of the object, if it is the version that was read."""
        held = copy.deepcopy(self._found(Key.of(dict(obj))))
        for field in ("uid", "resourceVersion"):
            if held["metadata"][field] != obj["metadata"][field]:
                raise StaleError("409", 409)
        return held

    def _store(self, key: Key, obj: Object) -> Object:
        obj["metadata"] = {**obj["metadata"], "resourceVersion": str(next(self._versions))}
        self.objects[key] = obj
        self._tell("MODIFIED", obj)
        return copy.deepcopy(obj)

    def _drop(self, key: Key) -> None:
        self._tell("DELETED", self.objects.pop(key))

    def _tell(self, what: str, obj: Object) -> None:
        if self.watcher is not None:
            asyncio.get_running_loop().call_soon(self.watcher, what, copy.deepcopy(obj))
