"""Narrow stand-ins for the API server: they keep what is written and answer what a test tells them to. How
the real one behaves is tested on a real one.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from crmflow.api.kinds import Kind
from crmflow.clock import Clock
from crmflow.observability.metrics import Metrics
from crmflow.runtime.controller.served_namespaces import ServedNamespaces
from crmflow.runtime.kubernetes.client import FINALIZER, Kubernetes, LeaseSnapshot, StoredSecret
from crmflow.runtime.kubernetes.errors import NotFoundError, StaleError
from crmflow.runtime.kubernetes.events import EventRecorder
from crmflow.runtime.kubernetes.jobs import Jobs
from crmflow.runtime.kubernetes.rest import Rest

START = 1_760_000_000.0
INSTALLATION = "crmflow-system/crmflow"


class JumpingClock(Clock):
    """A clock that stands still until a test moves it; whoever sleeps on it wakes when it does."""

    def __init__(self, now: float = START) -> None:
        super().__init__()
        self._now = now
        self._moved = asyncio.Event()

    def now(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self._now += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep_until(self, when: float) -> None:
        while self.now() < when:
            await self._moved.wait()

    async def wait(self, event: asyncio.Event, until: float | None) -> bool:
        while not event.is_set():
            if until is not None and self.now() >= until:
                return False
            waiters = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self._moved.wait())]
            try:
                await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for waiter in waiters:
                    waiter.cancel()
        return True


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def recording(events: EventRecorder) -> AsyncIterator[None]:
    """While what is recorded is written."""
    task = asyncio.create_task(events.run())
    try:
        yield
        await settle()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def make_object(
    kind: str = "CRMDataflow",
    name: str = "contacts",
    *,
    version: int = 1,
    uid: str = "uid-1",
    generation: int = 1,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """An object as the API server gives it."""
    obj: dict[str, Any] = {
        "apiVersion": "crmflow.io/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "crm",
            "uid": uid,
            "resourceVersion": str(version),
            "generation": generation,
            "creationTimestamp": "2025-10-09T08:53:20Z",  # which is START
            **metadata,
        },
        "spec": dict(spec or {}),
    }
    if status is not None:
        obj["status"] = dict(status)
    return obj


def ready(status: str, generation: int = 1) -> dict[str, Any]:
    """A status with that Ready condition, as this installation writes it."""
    return {
        "servedBy": INSTALLATION,
        "observedGeneration": generation,
        "conditions": [
            {
                "type": "Ready",
                "status": status,
                "reason": "R",
                "message": "m",
                "observedGeneration": generation,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ],
    }


def serving(*names: str) -> ServedNamespaces:
    """Namespaces to serve, all of them if none is named."""
    return ServedNamespaces(names, Metrics(), lambda _: None)


class FakeKubernetes:
    """One object and some Secrets. ``errors`` are raised by the next calls of that name, in order; None lets
    a call through.
    """

    def __init__(self, obj: dict[str, Any] | None = None) -> None:
        self.stored = copy.deepcopy(obj)
        self.secrets: dict[tuple[str, str], tuple[str, dict[str, str]]] = {}
        self.own_secrets: dict[tuple[str, str], dict[str, Any]] = {}
        self.leases: dict[str, LeaseSnapshot] = {}
        """Holder and version."""
        self.errors: dict[str, list[Exception | None]] = {}
        self.calls: list[str] = []
        self.statuses: list[dict[str, Any]] = []
        self.written_events: list[tuple[str, str, dict[str, Any]]] = []
        self.watch_events: list[list[tuple[str, dict[str, Any]] | Exception]] = []
        self.kept: dict[str, Any] = {}
        """What another field manager owns in status: an apply leaves it there."""
        self.events_pass = asyncio.Event()
        """While it is not set, no Event is answered."""
        self.events_pass.set()
        self.on_apply: Callable[[], None] | None = None
        """Called while a status is on its way."""

    @property
    def port(self) -> Kubernetes:
        """As the code under test wants it."""
        return cast(Kubernetes, self)

    def jobs(self, namespace: str) -> Jobs:
        """Nobody asks for them where there are no transfers."""
        return Jobs(cast(Rest, None), namespace)

    async def read_lease(self, namespace: str, name: str) -> LeaseSnapshot | None:
        self._call("read_lease")
        return self.leases.get(f"{namespace}/{name}")

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        self._call("get")
        return self._object()

    async def apply_status(
        self, kind: Kind, obj: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        self._call("apply_status")
        if self.on_apply is not None:
            self.on_apply()
        self.statuses.append(copy.deepcopy(dict(status)))
        kept = copy.deepcopy(self.kept)
        conditions = [*status["conditions"], *kept.pop("conditions", ())]
        return self._store(status={**kept, **status, "conditions": conditions})

    async def replace_status(
        self, kind: Kind, obj: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        self._call("replace_status")
        self.kept = {}
        return self._store(status=dict(status))

    async def add_finalizer(self, kind: Kind, obj: Mapping[str, Any]) -> dict[str, Any]:
        self._call("add_finalizer")
        return self._store(finalizers=[FINALIZER])

    async def remove_finalizer(self, kind: Kind, obj: Mapping[str, Any]) -> dict[str, Any]:
        self._call("remove_finalizer")
        return self._store(finalizers=[])

    async def delete(self, kind: Kind, obj: Mapping[str, Any]) -> None:
        self._call("delete")
        if self._object()["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise StaleError("409", 409)
        self.stored = None

    async def read_secret(self, namespace: str, name: str) -> tuple[str, dict[str, str]]:
        self._call("read_secret")
        if (namespace, name) not in self.secrets:
            raise NotFoundError("404", 404)
        return self.secrets[namespace, name]

    async def list_own_secrets(self, namespace: str, selector: str) -> list[StoredSecret]:
        self._call("list_own_secrets")
        labels = dict(pair.split("=") for pair in selector.split(","))
        return [
            _stored(body)
            for (where, _), body in self.own_secrets.items()
            if where == namespace and labels.items() <= body["metadata"]["labels"].items()
        ]

    async def read_own_secret(self, namespace: str, name: str) -> StoredSecret:
        self._call("read_own_secret")
        if (namespace, name) not in self.own_secrets:
            raise NotFoundError("404", 404)
        return _stored(self.own_secrets[namespace, name])

    async def merge_own_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        self._call("merge_own_secret")
        if (namespace, name) not in self.own_secrets:
            raise NotFoundError("404", 404)
        _merge(self.own_secrets[namespace, name], body)

    async def create_own_secret(self, namespace: str, body: Mapping[str, Any]) -> None:
        self._call("create_own_secret")
        if (namespace, body["metadata"]["name"]) in self.own_secrets:
            raise StaleError("409", 409)
        self.own_secrets[namespace, body["metadata"]["name"]] = copy.deepcopy(dict(body))

    async def delete_own_secret(self, namespace: str, name: str) -> None:
        self._call("delete_own_secret")
        if self.own_secrets.pop((namespace, name), None) is None:
            raise NotFoundError("404", 404)

    async def list_secret_metadata(self, namespace: str | None) -> tuple[str, list[dict[str, Any]]]:
        self._call("list_secret_metadata")
        items = [
            {"namespace": where, "name": name, "resourceVersion": version}
            for (where, name), (version, _) in self.secrets.items()
        ]
        return "100", items

    async def watch_secret_metadata(
        self, namespace: str | None, version: str, seconds: int, connected: Callable[[], None]
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        self._call("watch_secret_metadata")
        connected()
        if not self.watch_events:
            await asyncio.Event().wait()
        for event in self.watch_events.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event

    async def apply_event(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        await self.events_pass.wait()
        self._call("apply_event")
        self.written_events.append((namespace, name, copy.deepcopy(dict(body))))

    def _call(self, name: str) -> None:
        self.calls.append(name)
        errors = self.errors.get(name)
        if errors and (error := errors.pop(0)) is not None:
            raise error

    def _object(self) -> dict[str, Any]:
        if self.stored is None:
            raise NotFoundError("404", 404)
        return copy.deepcopy(self.stored)

    def _store(
        self, *, status: dict[str, Any] | None = None, finalizers: list[str] | None = None
    ) -> dict[str, Any]:
        obj = self._object()
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        if status is not None:
            obj["status"] = copy.deepcopy(status)
        if finalizers is not None:
            metadata["finalizers"] = finalizers
        self.stored = obj
        return self._object()


def _stored(body: Mapping[str, Any]) -> StoredSecret:
    metadata = body["metadata"]
    return StoredSecret(
        metadata["name"], dict(metadata.get("annotations") or {}), dict(body.get("data") or {})
    )


def _merge(target: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, Mapping):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value
