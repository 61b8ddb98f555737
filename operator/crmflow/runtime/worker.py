"""One pass over one resource: take the newest object, run the kind's steps, write what came of it, say when
to come back.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crmflow.api.base import DeletionPolicy
from crmflow.clock import Clock
from crmflow.observability.events import EventType
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.conditions import (
    PROGRESSING,
    READY,
    RECONCILING,
    STALLED,
    TRUE,
    UNKNOWN,
    Conditions,
    Finding,
    compose,
)
from crmflow.reconcile.decide import Decision, Priority, Streak, decide
from crmflow.reconcile.engine import Pass, Services, run_steps
from crmflow.reconcile.identity import Identity
from crmflow.reconcile.kind import Reconciler
from crmflow.reconcile.outcome import DONE, PAUSED, Outcome, OutcomeClass, from_remote_error
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.events import EventWriter
from crmflow.runtime.keys import Key
from crmflow.runtime.kube import FINALIZER, KubernetesError, NotFoundError, StaleError
from crmflow.runtime.queue import WorkQueue
from crmflow.runtime.status import Object, ObjectWriter, ReplacedError, status_body, to_wire
from crmflow.settings import Settings, parse_duration
from crmflow.transport.errors import RemoteError

log = logging.getLogger("crmflow.worker")

AnyPass = Pass[Any, Any]


@dataclass
class _Memory:
    """What is remembered of a resource between passes."""

    uid: str
    streak: Streak = field(default_factory=Streak)
    checked_generation: int | None = None
    """The generation that was last compared completely with what is remote."""
    next_check_at: float | None = None
    """When that is due again."""
    settling: bool = False
    """The last visit ended waiting for a remote transition: only that has to be read again."""
    asked: int = 0
    """How often somebody asked for a complete comparison, and how many of these requests one has followed."""
    answered: int = 0


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
        self._settings = settings
        self._instance = instance
        self._clock = clock
        self._queue = queue
        self._cache = cache
        self._reconcilers = reconcilers
        self._services = services
        self._writer = writer
        self._events = events
        self._metrics = metrics
        self._memories: dict[Key, _Memory] = {}
        self._jitter = random.Random()  # noqa: S311 - spreads load, no secret

    async def run(self) -> None:
        """Work until the queue is closed."""
        while (key := await self._queue.get()) is not None:
            try:
                await self._visit(key)
            except Exception:
                log.exception("a pass ended unexpectedly", extra={"object": str(key)})
                self._queue.schedule(key, 30.0, Priority.RETRY)
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
            self._queue.schedule(key, 0.2, Priority.RETRY)
        except (KubernetesError, PassInterruptedError) as error:
            log.warning("%s", error, extra={"object": str(key)})
            self._queue.schedule(key, self._jitter.uniform(2.0, 6.0), Priority.RETRY)

    async def _reconcile(self, key: Key, reconciler: Reconciler, obj: Object) -> None:
        metadata = obj["metadata"]
        deleting = "deletionTimestamp" in metadata
        paused = obj["spec"].get("paused", False) and not deleting
        if deleting and FINALIZER not in metadata.get("finalizers", []):
            return self.forget(key)
        if not deleting and not paused and FINALIZER not in metadata.get("finalizers", []):
            obj = await self._writer.add_finalizer(reconciler, obj)
        visit = _Visit(self, reconciler, obj, self._memory(key, metadata["uid"]))
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
                "object": str(key),
                "step": step,
                "outcome": outcome.outcome_class.value,
                "reason": outcome.reason,
            },
        )
        self._metrics.reconciles.labels(key.kind, outcome.outcome_class.value).inc()
        if deleting and outcome.is_done:
            await visit.tell()
            await self._writer.remove_finalizer(reconciler, visit.obj)
            return self.forget(key)
        await visit.finish(key, outcome)
        return None

    def _memory(self, key: Key, uid: str) -> _Memory:
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            memory = self._memories[key] = _Memory(uid)
        return memory


class _Visit:
    """The Kubernetes side of one pass: the object, its draft status, and the writes in between and at the
    end.
    """

    def __init__(self, worker: Worker, reconciler: Reconciler, obj: Object, memory: _Memory) -> None:
        self._worker = worker
        self._reconciler = reconciler
        self._memory = memory
        self.obj = obj
        metadata, status = obj["metadata"], obj.get("status") or {}
        self.generation: int = metadata["generation"]
        self.observed: int | None = status.get("observedGeneration")
        self.previous = Conditions.from_status(status)
        spec = reconciler.kind.spec.model_validate(obj["spec"])
        draft = reconciler.kind.status.model_validate(status)
        policy = getattr(spec, "deletion_policy", None) or DeletionPolicy.DELETE
        self.pass_: AnyPass = reconciler.make_pass(
            services=worker._services,
            identity=Identity(
                worker._instance,
                reconciler.kind.kind,
                metadata["namespace"],
                metadata["name"],
                metadata["uid"],
            ),
            generation=self.generation,
            spec=spec,
            status=draft.model_copy(update={"deletion_policy": policy}),
            conditions=self.previous,
            observed_generation=self.observed,
            journal=self,
        )
        interval = getattr(spec, "resync_interval", None)
        self._resync = parse_duration(interval) if interval else worker._settings.resync_interval
        self._asked = memory.asked
        if memory.next_check_at is None and self.pass_.was_ready:
            # After a restart the listing is enough at first; the complete checks are spread over the
            # interval.
            memory.checked_generation = self.generation
            memory.next_check_at = worker._clock.now() + self._resync * _share(metadata["uid"])
        self.pass_.full = not (self._was_checked() and (self.pass_.was_ready or memory.settling))

    def _was_checked(self) -> bool:
        """True if this generation was compared completely, nobody asked for it since, and it is not due."""
        memory = self._memory
        return (
            memory.checked_generation == self.generation
            and memory.answered == memory.asked
            and memory.next_check_at is not None
            and self._worker._clock.now() < memory.next_check_at
        )

    async def work(self, *, deleting: bool) -> tuple[Outcome, str]:
        """Run the kind's steps, unless listings show that nothing has to be done; outcome and last step."""
        if deleting:
            return await run_steps(self.pass_, self._reconciler.deletion_steps)
        if self.pass_.was_ready and not self.pass_.full:
            try:
                if await self._reconciler.quiet(self.pass_):
                    return DONE, "quiet"
            except RemoteError as error:
                return from_remote_error(error), "quiet"
            self.pass_.full = True
        return await run_steps(self.pass_, self._reconciler.steps)

    async def announce(self) -> None:
        """The first status, before any slow call: without one, a resource counts as finished."""
        summary = {
            READY: Finding(UNKNOWN, PROGRESSING, "Looked at for the first time."),
            RECONCILING: Finding(TRUE, PROGRESSING, "Looked at for the first time."),
        }
        await self._write(summary, None)

    async def checkpoint(self) -> None:
        """Write the facts of the draft and leave the conditions as they are."""
        try:
            await self._write(None, self.observed)
        except (KubernetesError, ReplacedError) as error:
            raise PassInterruptedError(str(error)) from error

    async def finish(self, key: Key, outcome: Outcome) -> None:
        """Write what the outcome asks for, and come back when it says."""
        worker = self._worker
        decision = self._decide(outcome)
        self._note_stalled(outcome)
        await self._write(
            decision.summary, self.generation if decision.observes_generation else self.observed
        )
        self._memory.settling = outcome.transition
        if self.pass_.checked and self.pass_.full:  # only now: later visits rely on what this one wrote
            self._memory.checked_generation = self.generation
            self._memory.next_check_at = worker._clock.now() + self._resync
            self._memory.answered = self._asked
        await self.tell()
        if decision.after is None:
            worker._queue.forget(key)
        else:
            worker._queue.schedule(key, decision.after, decision.priority)

    def _decide(self, outcome: Outcome) -> Decision:
        worker, memory = self._worker, self._memory
        now = worker._clock.now()
        is_quiet = not self.pass_.full and memory.next_check_at is not None
        return decide(
            outcome,
            self._memory.streak,
            was_ready=self.previous.is_ready(self.generation, self.observed),
            was_observed=self.observed == self.generation,
            now=now,
            resync_after=memory.next_check_at - now if is_quiet and memory.next_check_at else self._resync,
            ready_message=self._reconciler.ready_message(self.pass_),
            jitter=worker._jitter,
        )

    def _note_stalled(self, outcome: Outcome) -> None:
        """An event when the resource comes to need a person, or needs one for another reason than before."""
        before = self.previous.get(STALLED)
        if outcome.outcome_class is OutcomeClass.STALLED and (
            before is None or (before.reason, before.message) != (outcome.reason, outcome.message)
        ):
            self.pass_.tell(outcome.reason, "Reconcile", outcome.message, EventType.WARNING)

    async def tell(self) -> None:
        """Write the events of the pass."""
        for event in self.pass_.events:
            await self._worker._events.write(self.obj, event)
        self.pass_.events.clear()

    async def _write(self, summary: Mapping[str, Finding] | None, observed: int | None) -> None:
        now = self._worker._clock.utcnow()
        if summary is None:
            conditions = to_wire(self.previous.of(self._reconciler.conditions))
        else:
            conditions = to_wire(
                compose(
                    self._reconciler.conditions,
                    self.previous,
                    self.pass_.findings,
                    summary,
                    self.generation,
                    now,
                )
            )
        body = status_body(self.pass_.status, conditions, observed)
        self.obj = await self._worker._writer.write_status(self._reconciler, self.obj, body)
        self.previous = Conditions.from_status(self.obj.get("status") or {})


def _share(uid: str) -> float:
    """A number from 0 to 1 that is the same for the same uid."""
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4], "big") / 2**32
