"""Writing status: server-side apply of what we own, only when it differs, only onto the version that was
read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from crmflow.observability.metrics import Metrics
from crmflow.reconcile.conditions import READY, RECONCILING, STALLED, Condition
from crmflow.reconcile.kind import Reconciler
from crmflow.runtime.keys import Key
from crmflow.runtime.kube import Kubernetes, StaleError

log = logging.getLogger("crmflow.status")

Object = dict[str, Any]


class ReplacedError(Exception):
    """The object was deleted and made anew while it was worked on: the pass is void."""


def status_body(
    draft: BaseModel, conditions: Sequence[Mapping[str, object]], observed_generation: int | None
) -> dict[str, Any]:
    """The status to write: the facts of the draft, the conditions, and the generation that they speak of."""
    facts = draft.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"conditions", "observed_generation"}
    )
    body: dict[str, Any] = {name: value for name, value in facts.items() if value not in ([], {})}
    if observed_generation is not None:
        body["observedGeneration"] = observed_generation
    body["conditions"] = list(conditions)
    return body


class ObjectWriter:
    """The only writer of our resources: status and finalizer, nothing else.

    Every answer goes back into the cache at once, so that the next pass does not run on what we have just
    overwritten.
    """

    def __init__(self, kubernetes: Kubernetes, metrics: Metrics, written: Callable[[Object], None]) -> None:
        self._kubernetes = kubernetes
        self._metrics = metrics
        self._written = written

    async def write_status(self, reconciler: Reconciler, obj: Object, body: Mapping[str, Any]) -> Object:
        """Apply ``body`` unless it is what is there already; the object as it is afterwards.

        When somebody else changed the object meanwhile, it is read again and written once more. Raises
        ReplacedError, KubernetesError.
        """
        if _is_same(reconciler, obj.get("status") or {}, body):
            return obj
        try:
            applied = await self._kubernetes.apply_status(reconciler.kind, obj, body)
        except StaleError:
            latest = await self.read_again(reconciler, obj)
            applied = await self._kubernetes.apply_status(reconciler.kind, latest, body)
        return self._accept(reconciler, applied, "status")

    async def add_finalizer(self, reconciler: Reconciler, obj: Object) -> Object:
        """The object with our finalizer. Raises StaleError, KubernetesError."""
        return self._accept(
            reconciler, await self._kubernetes.add_finalizer(reconciler.kind, obj), "finalizer"
        )

    async def remove_finalizer(self, reconciler: Reconciler, obj: Object) -> Object:
        """The object without our finalizer; it may be gone with it. Raises StaleError, KubernetesError."""
        return self._accept(
            reconciler, await self._kubernetes.remove_finalizer(reconciler.kind, obj), "finalizer"
        )

    async def read_again(self, reconciler: Reconciler, obj: Object) -> Object:
        """The object as it is now. Raises ReplacedError if it is another one of the same name."""
        key = Key.of(obj)
        latest = await self._kubernetes.get(reconciler.kind, key.namespace, key.name)
        if latest["metadata"]["uid"] != obj["metadata"]["uid"]:
            raise ReplacedError(str(key))
        return latest

    def _accept(self, reconciler: Reconciler, obj: Object, write: str) -> Object:
        self._metrics.kubernetes_writes.labels(reconciler.kind.kind, write).inc()
        self._written(obj)
        return obj


def _is_same(reconciler: Reconciler, current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Conditions of other writers are theirs: only ours are compared."""
    ours = {READY, RECONCILING, STALLED, *(condition.name for condition in reconciler.conditions)}
    conditions = [entry for entry in current.get("conditions", []) if entry.get("type") in ours]
    return {**current, "conditions": conditions} == wanted


def to_wire(conditions: Sequence[Condition]) -> list[dict[str, object]]:
    """Conditions in the order in which they are always written."""
    return [condition.to_wire() for condition in conditions]
