"""Writing status: server-side apply of what we own, only when it differs, only onto the version that was
read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from crmflow.api.kinds import Kind
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.core.conditions import READY, RECONCILING, STALLED, Condition
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.runtime.controller.resource import Object, Resource
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import StaleError

log = logging.getLogger("crmflow.status")


class ReplacedError(Exception):
    """The object was deleted and made anew while it was reconciled, or another installation has taken it: the
    pass is void.
    """


def status_body(
    draft: BaseModel, conditions: Sequence[Condition], observed_generation: int | None
) -> dict[str, Any]:
    """The status to write: the facts of the draft, the conditions in the order in which they are always
    written, and the generation that they speak of.
    """
    facts = draft.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"conditions", "observed_generation"}
    )
    body: dict[str, Any] = {name: value for name, value in facts.items() if value not in ([], {})}
    if observed_generation is not None:
        body["observedGeneration"] = observed_generation
    body["conditions"] = [condition.to_wire() for condition in conditions]
    return body


class ObjectWriter:
    """The only writer of our resources: status and finalizer, and the deletion of what is over.

    Every answer goes back into the cache at once, so that the next pass does not run on what we have just
    overwritten.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        metrics: Metrics,
        written: Callable[[Object], None],
        declared: Callable[[Kind, Mapping[str, Any]], Mapping[str, Any]] = lambda _, status: status,
    ) -> None:
        """``declared`` gives the part of a status that the API server has fields for."""
        self._declared = declared
        self._kubernetes = kubernetes
        self._metrics = metrics
        self._written = written

    async def write_status(
        self, resource: Resource, body: Mapping[str, Any], kept: Collection[str] = ()
    ) -> Resource:
        """Apply ``body``, and the fields that are to be ``kept`` as they are, unless it is what is there
        already; the object as it is afterwards.

        When somebody else changed the object meanwhile, it is read again and written once more. Raises
        ReplacedError, KubernetesError.
        """
        facts = self._declared(resource.kind.api, body)
        body = _with_kept(facts, kept, resource)
        if _is_same(resource.kind, resource.status, body):
            return resource
        try:
            written = await self._put_status(resource, body)
        except StaleError:
            latest = Resource(resource.kind, await self._get(resource))
            if latest.uid != resource.uid:
                raise ReplacedError(str(resource.key)) from None
            if latest.served_by not in (resource.served_by, body.get("servedBy")):
                self._written(latest.raw)
                raise ReplacedError(f"{resource.key} is served by another installation now") from None
            written = await self._put_status(latest, _with_kept(facts, kept, latest))
        return self._accept(resource.kind, written, "status")

    async def _put_status(self, resource: Resource, body: Mapping[str, Any]) -> Object:
        """An apply takes away what we said before and say no more, but not what another field manager wrote
        of ours, as a backup does that restores a status. That takes a write of its own.
        """
        kind = resource.kind
        applied = await self._kubernetes.apply_status(kind.api, resource.raw, body)
        current = applied.get("status") or {}
        if _is_same(kind, current, body):
            return applied
        log.warning(
            "another field manager has written to our status; what we do not say is taken away",
            extra={"object": str(resource.key)},
        )
        conditions = [*body["conditions"], *_foreign(kind, current)]
        return await self._kubernetes.replace_status(kind.api, applied, {**body, "conditions": conditions})

    async def add_finalizer(self, resource: Resource) -> Resource:
        """The object with our finalizer. Raises StaleError, KubernetesError."""
        kind = resource.kind
        return self._accept(kind, await self._kubernetes.add_finalizer(kind.api, resource.raw), "finalizer")

    async def remove_finalizer(self, resource: Resource) -> Resource:
        """The object without our finalizer; it may be gone with it. Raises StaleError, KubernetesError."""
        kind = resource.kind
        return self._accept(
            kind, await self._kubernetes.remove_finalizer(kind.api, resource.raw), "finalizer"
        )

    async def delete(self, resource: Resource) -> None:
        """Ask for the object's deletion, if it is as it was read. Raises StaleError, KubernetesError."""
        await self._kubernetes.delete(resource.kind.api, resource.raw)
        self._metrics.kubernetes_writes.labels(resource.kind.name, "delete").inc()

    async def refresh(self, resource: Resource) -> None:
        """Have the object known as it is now, or its successor of the same name. Raises KubernetesError."""
        self._written(await self._get(resource))

    async def _get(self, resource: Resource) -> Object:
        key = resource.key
        return await self._kubernetes.get(resource.kind.api, key.namespace, key.name)

    def _accept(self, kind: ManagedKind, obj: Object, write: str) -> Resource:
        self._metrics.kubernetes_writes.labels(kind.name, write).inc()
        self._written(obj)
        return Resource(kind, obj)


def _with_kept(facts: Mapping[str, Any], kept: Collection[str], resource: Resource) -> dict[str, Any]:
    status = resource.status
    return {**{name: status[name] for name in kept if name in status}, **facts}


def _is_same(kind: ManagedKind, current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Conditions of other writers are theirs: only ours are compared."""
    foreign = _foreign(kind, current)
    conditions = [entry for entry in current.get("conditions", []) if entry not in foreign]
    return {**current, "conditions": conditions} == wanted


def _foreign(kind: ManagedKind, status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The conditions of other writers."""
    ours = {READY, RECONCILING, STALLED, *(condition.name for condition in kind.conditions)}
    return [entry for entry in status.get("conditions", []) if entry.get("type") not in ours]
