"""Workers: take a key off the queue, visit its newest object, and come back when the visit says so."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping

from crmflow.clock import Clock
from crmflow.observability import logs
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.conditions import READY
from crmflow.reconcile.decide import Priority
from crmflow.reconcile.engine import Services
from crmflow.reconcile.kind import Reconciler
from crmflow.reconcile.outcome import PAUSED
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.events import EventWriter
from crmflow.runtime.keys import Key
from crmflow.runtime.kube import FINALIZER, KubernetesError, NotFoundError, StaleError
from crmflow.runtime.queue import WorkQueue
from crmflow.runtime.status import Object, ObjectWriter, ReplacedError
from crmflow.runtime.visit import Desk, Memory, Visit
from crmflow.settings import Settings

log = logging.getLogger("crmflow.worker")


class Worker:
    """Takes keys off the queue, one at a time; any number of them may run side by side."""

    def __init__(
        self,
        *,
        settings: Settings,
        instance: str,
        clock: Clock,
        queue: WorkQueue,
        cache: ObjectCache,
        reconcilers: Mapping[str, Reconciler],
        services: Services,
        writer: ObjectWriter,
        events: EventWriter,
        metrics: Metrics,
    ) -> None:
        self._jitter = random.Random()  # noqa: S311 - spreads load, no secret
        self._desk = Desk(settings, instance, clock, services, writer, events, metrics, self._jitter)
        self._queue = queue
        self._clock = clock
        self._cache = cache
        self._reconcilers = reconcilers
        self._writer = writer
        self._metrics = metrics
        self._memories: dict[Key, Memory] = {}

    async def run(self) -> None:
        """Work until the queue is closed."""
        while (key := await self._queue.get()) is not None:
            await self.work_on(key)

    async def work_on(self, key: Key) -> None:
        """Visit what was taken off the queue, and give it back."""
        try:
            with logs.context(object=str(key)):
                await self._visit(key)
        except Exception:
            log.exception("a pass ended unexpectedly", extra={"object": str(key)})
            self._retry(key, 30.0)
        finally:
            self._queue.done(key)

    def recheck(self, key: Key) -> None:
        """Have the next visit compare everything."""
        memory = self._memories.get(key)
        if memory is not None:
            memory.asked += 1

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self._memories.pop(key, None)
        self._queue.forget(key)

    def _retry(self, key: Key, after: float) -> None:
        self._queue.schedule(key, self._clock.now() + after, Priority.RETRY)

    async def _visit(self, key: Key) -> None:
        obj = self._cache.get(key)
        if obj is None:
            self.forget(key)
            return
        reconciler = self._reconcilers[key.kind]
        try:
            with self._metrics.reconcile_seconds.labels(key.kind).time():
                await self._reconcile(key, reconciler, obj)
        except NotFoundError:
            self._cache.remove(key, obj["metadata"]["uid"])
            self.forget(key)
        except (StaleError, ReplacedError):
            # The watch is about to bring the newer object; should it not, this brings us back.
            self._retry(key, 0.2)
        except (KubernetesError, PassInterruptedError) as error:
            log.warning("%s", error)
            self._retry(key, self._jitter.uniform(2.0, 6.0))

    async def _reconcile(self, key: Key, reconciler: Reconciler, obj: Object) -> None:
        metadata = obj["metadata"]
        deleting = "deletionTimestamp" in metadata
        paused = obj["spec"].get("paused", False) and not deleting
        if deleting and FINALIZER not in metadata.get("finalizers", []):
            return self.forget(key)
        if not deleting and not paused and FINALIZER not in metadata.get("finalizers", []):
            obj = await self._writer.add_finalizer(reconciler, obj)
        visit = Visit(self._desk, reconciler, obj, self._memory(key, metadata["uid"]))
        if paused:
            outcome, step = PAUSED, ""
        else:
            if not deleting and not visit.previous.get(READY):
                await visit.announce()
            outcome, step = await visit.work(deleting=deleting)
        log.log(
            logging.INFO if not outcome.is_done else logging.DEBUG,
            "%s",
            outcome.message or "done",
            extra={
                "step": step,
                "outcome": outcome.outcome_class.value,
                "reason": outcome.reason or None,
                "request_id": outcome.request_id,
            },
        )
        self._metrics.reconciles.labels(key.kind, outcome.outcome_class.value).inc()
        if deleting and outcome.is_done:
            await visit.tell()
            await self._writer.remove_finalizer(reconciler, visit.obj)
            return self.forget(key)
        decision = await visit.finish(outcome)
        if decision.at is None:
            self._queue.forget(key)
        else:
            self._queue.schedule(key, decision.at, decision.priority)
        return None

    def _memory(self, key: Key, uid: str) -> Memory:
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            memory = self._memories[key] = Memory(uid)
        return memory
