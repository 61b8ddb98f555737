"""Kubernetes Events: told once per change, and never allowed to hold up a pass."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from typing import Any

from crmflow.api.kinds import API_VERSION, GROUP
from crmflow.clock import Clock
from crmflow.observability.events import Event
from crmflow.observability.metrics import Metrics
from crmflow.observability.redaction import sanitise
from crmflow.runtime.kube import Kubernetes, KubernetesError

log = logging.getLogger("crmflow.events")

NOTE_LENGTH = 1000
"""The API server refuses notes of more than 1,024 characters."""
REMEMBERED = 4096


class EventWriter:
    """Writes Events under a name that depends on what they say: a repetition is counted, not added."""

    def __init__(self, kubernetes: Kubernetes, clock: Clock, metrics: Metrics, instance: str) -> None:
        self._kubernetes = kubernetes
        self._clock = clock
        self._metrics = metrics
        self._instance = instance
        self._counts: OrderedDict[str, tuple[int, str]] = OrderedDict()

    async def write(self, obj: dict[str, Any], event: Event) -> None:
        """Best effort: an Event that can't be written is logged and forgotten."""
        metadata = obj["metadata"]
        now = self._clock.utcnow().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        digest = hashlib.sha256(f"{metadata['uid']}{event.reason}{event.note}".encode()).hexdigest()[:16]
        name = f"{metadata['name'][:200].rstrip('-.')}.{digest}"
        count, first = self._counts.get(name, (0, now))
        self._remember(name, count + 1, first)
        body: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "eventTime": first,
            "reportingController": f"{GROUP}/crmflow",
            "reportingInstance": self._instance,
            "action": event.action,
            "reason": event.reason,
            "note": sanitise(event.note, NOTE_LENGTH),
            "type": event.type.value,
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": obj["kind"],
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        }
        if count:
            body["series"] = {"count": count + 1, "lastObservedTime": now}
        try:
            await self._kubernetes.apply_event(metadata["namespace"], name, body)
        except KubernetesError as error:
            # A namespace that is going away takes no Events, and a restart may meet its own Event with
            # another time.
            log.debug(
                "event not written: %s", error, extra={"object": metadata["name"], "reason": event.reason}
            )
        else:
            self._metrics.kubernetes_writes.labels(obj["kind"], "event").inc()

    def _remember(self, name: str, count: int, first: str) -> None:
        self._counts[name] = (count, first)
        self._counts.move_to_end(name)
        while len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
