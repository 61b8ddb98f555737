"""Kubernetes Events: recorded at once, and written beside the passes.

An API server that takes its time with an Event would else hold a worker up, up to the time-out of a request.
What waits is bounded: where the API server does not keep up, the newest Events are dropped and counted.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from crmflow.api.kinds import API_VERSION, GROUP
from crmflow.clock import Clock
from crmflow.observability.events import Event
from crmflow.observability.metrics import Metrics
from crmflow.observability.redaction import sanitize
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import KubernetesError, Refusal

log = logging.getLogger("crmflow.events")

NOTE_LENGTH = 1000
NOTE_BYTES = 1024
"""The API server refuses longer notes, and counts bytes."""
REMEMBERED = 4096
WAITING = 1000
"""How many Events may wait to be written, at about 2 KiB each."""
FLUSH_SECONDS = 2.0
"""How long the end of the process waits for those that do."""


class EventRecorder:
    """Records Events under a name that depends on what they say: a repetition is counted, not added."""

    def __init__(self, kubernetes: Kubernetes, clock: Clock, metrics: Metrics, instance: str) -> None:
        self._kubernetes = kubernetes
        self._clock = clock
        self._metrics = metrics
        self._instance = instance
        self._may_not = False
        self._drops = False
        self._counts: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING)

    async def run(self) -> None:
        """Write for ever what is recorded, in its order."""
        while True:
            body = await self._waiting.get()
            try:
                await self._write(body)
            except PassInterruptedError as error:  # not the leader any more
                log.debug("event not written: %s", error)
            except Exception:
                log.exception("an event was not written")
            finally:
                self._waiting.task_done()
            if self._waiting.empty():
                self._drops = False

    async def flush(self, within: float = FLUSH_SECONDS) -> None:
        """Wait until everything recorded has been written, ``within`` so many seconds; :meth:`run` runs."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._waiting.join()

    def record(self, obj: Mapping[str, Any], event: Event) -> None:
        """Have ``event`` written about ``obj``. Best effort: one that can't be is logged and forgotten."""
        if self._waiting.full():
            self._metrics.events_dropped.labels(obj["kind"]).inc()
            if not self._drops:  # once, until all that waits has been written
                log.warning(
                    "%d Events wait for the API server, which does not keep up; new ones are dropped. "
                    "Conditions and this log say the same. Look at the load of the API server.",
                    WAITING,
                )
            self._drops = True
            return
        metadata = obj["metadata"]
        now = self._clock.utcnow().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        digest = hashlib.sha256(f"{metadata['uid']}{event.reason}{event.note}".encode()).hexdigest()[:16]
        name = f"{metadata['name'][:200].rstrip('-.')}.{digest}"
        count, first = self._counts.pop(name, (0, now))
        self._counts[name] = (count + 1, first)  # the latest at the end
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
        body: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "eventTime": first,
            "reportingController": f"{GROUP}/crmflow",
            "reportingInstance": self._instance,
            "action": event.action,
            "reason": event.reason,
            "note": _cut(sanitize(event.note, NOTE_LENGTH)),
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
        self._waiting.put_nowait(body)

    async def _write(self, body: dict[str, Any]) -> None:
        metadata, regarding = body["metadata"], body["regarding"]
        try:
            await self._kubernetes.apply_event(metadata["namespace"], metadata["name"], body)
        except KubernetesError as error:
            # A namespace that is going away takes no Events, and a restart may meet its own Event with
            # another time. A missing right is worth a word, and one is enough.
            is_news = error.refusal is Refusal.RIGHTS and not self._may_not
            self._may_not = self._may_not or is_news
            log.log(
                logging.WARNING if is_news else logging.DEBUG,
                "event not written: %s",
                error,
                extra={"object": regarding["name"], "reason": body["reason"]},
            )
        else:
            self._may_not = False
            self._metrics.kubernetes_writes.labels(regarding["kind"], "event").inc()


def _cut(note: str) -> str:
    encoded = note.encode()
    if len(encoded) <= NOTE_BYTES:
        return note
    end = "…"
    return encoded[: NOTE_BYTES - len(end.encode())].decode(errors="ignore").rstrip() + end
