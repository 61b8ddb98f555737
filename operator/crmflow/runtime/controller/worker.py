"""Workers: take a key off the queue, reconcile its newest object, and schedule the next pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial

from crmflow.observability import logs
from crmflow.observability.events import Event, EventType
from crmflow.reconcile.core.conditions import READY
from crmflow.reconcile.core.decide import STALLED_NET_SECONDS, Priority
from crmflow.reconcile.core.outcome import DONE, PAUSED, Outcome, OutcomeClass
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.controller.reconciliation import History, ReconcileContext, Reconciliation
from crmflow.runtime.controller.resource import Object, Resource
from crmflow.runtime.controller.status_writer import ReplacedError
from crmflow.runtime.controller.write_failures import CAN_NOT_HOLD, CAN_NOT_LET_GO, WriteFailures
from crmflow.runtime.kubernetes.errors import KubernetesError, NotFoundError, StaleError

log = logging.getLogger("crmflow.worker")

UNEXPECTED_SECONDS = 30.0
"""When to try again after a fault of the runtime itself."""
LEFT_SECONDS = (10.0, 20.0)
"""When to look again at a resource that another installation serves."""


class Worker:
    """Takes keys off the queue, one at a time; any number of them may run side by side."""

    def __init__(
        self,
        context: ReconcileContext,
        queue: WorkQueue,
        cache: ObjectCache,
        kinds: Collection[str],
        gone: Callable[[Object], None],
    ) -> None:
        """``gone`` is told of an object that a pass finds gone, and has what is known of it forgotten."""
        self._context = context
        self._installation = context.installation
        self._metrics = context.metrics
        self._failures = WriteFailures(context, kinds)
        self._queue = queue
        self._cache = cache
        self._gone = gone
        self._histories: dict[Key, History] = {}
        for kind in kinds:
            self._metrics.objects_left.labels(kind).set_function(partial(self._installation.count_left, kind))

    async def run(self) -> None:
        """Work until the queue is closed."""
        while (key := await self._queue.get()) is not None:
            await self.work_on(key)

    async def work_on(self, key: Key) -> None:
        """Reconcile the object of a key that was taken off the queue, and give the key back."""
        try:
            with logs.context(object=str(key)):
                await self._work_on_newest(key)
        except Exception:
            log.exception("a pass ended unexpectedly", extra={"object": str(key)})
            self._retry(key, UNEXPECTED_SECONDS)
        finally:
            self._queue.done(key)

    def recheck(self, key: Key) -> None:
        """Have the next pass compare everything, also the first one. Before this process leads, whoever does
        follows the request.
        """
        version = self._cache.version(key)
        if version is not None and not self._queue.is_held:
            self._history(key, version[0]).asked += 1

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self._histories.pop(key, None)
        self._failures.over(key)
        self._installation.take(key)
        self._queue.forget(key)

    def _retry(self, key: Key, after: float) -> None:
        self._queue.schedule(key, self._context.clock.now() + after, Priority.RETRY)

    async def _work_on_newest(self, key: Key) -> None:
        resource = self._cache.get(key)
        if resource is None:
            self.forget(key)
            return
        try:
            try:
                with self._metrics.reconcile_seconds.labels(key.kind).time():
                    await self._reconcile(resource)
            except (StaleError, ReplacedError):
                self._retry(key, await self._failures.pause_after_stale(resource))
            except (KubernetesError, PassInterruptedError) as error:
                self._retry(key, self._failures.pause_after(resource, error))
            else:
                self._failures.over(key)
        except NotFoundError:
            self._gone(resource.raw)

    async def _reconcile(self, resource: Resource) -> None:
        """One pass: whether anything may be done, the kind's steps, and what their outcome asks for."""
        key, deleting = resource.key, resource.deleting
        if deleting and not resource.held:
            return self.forget(key)
        if (why := await self._installation.obstacle(resource)) is not None:
            return self._leave(resource, why)
        self._installation.take(key)
        obstacle = resource.understood.obstacle_to_deletion() if deleting else resource.understood.obstacle()
        unheld = None
        if _needs_finalizer(resource, obstacle):
            try:
                resource = await self._context.writer.add_finalizer(resource)
            except KubernetesError as error:  # without it nothing may be made for the resource
                unheld = self._failures.finalizer_refused(resource, CAN_NOT_HOLD, error)
        reconciliation = Reconciliation(self._context, resource, self._history(key, resource.uid))
        if unheld is not None:
            outcome, step = unheld, "finalizer"
        elif obstacle is not None:
            outcome, step = obstacle, "understand"
        else:
            outcome, step = await self._run_steps(reconciliation)
        self._note(key, outcome, step)
        if deleting and outcome.is_done:
            refused = await self._release(reconciliation)
            if refused is None:
                return self.forget(key)
            outcome = refused
        decision = await reconciliation.finish(outcome)
        if outcome.outcome_class is OutcomeClass.COMPLETED:
            return await self._keep_or_remove(reconciliation)
        if decision.at is None:
            self._queue.forget(key)
        else:
            self._queue.schedule(key, decision.at, decision.priority)
        return None

    async def _run_steps(self, reconciliation: Reconciliation) -> tuple[Outcome, str]:
        """The outcome of the kind's steps, and the one that ended them; what has to be said before is."""
        resource = reconciliation.resource
        if resource.deleting:
            if (
                reconciliation.history.released
            ):  # a write that failed is repeated, not what was done before it
                return DONE, ""
            return await reconciliation.delete()
        if resource.paused:
            return PAUSED, ""
        if not resource.conditions.get(READY):
            await reconciliation.announce()
        elif resource.served_by != self._installation.name:
            await reconciliation.checkpoint()  # nothing remote is touched before it says who serves it
        return await reconciliation.run()

    async def _release(self, reconciliation: Reconciliation) -> Outcome | None:
        """Let a resource go whose deletion steps are done; why that is refused, if it is."""
        reconciliation.history.released = True
        reconciliation.record_events()
        try:
            await self._context.writer.remove_finalizer(reconciliation.resource)
        except KubernetesError as error:
            return self._failures.finalizer_refused(reconciliation.resource, CAN_NOT_LET_GO, error)
        return None

    async def _keep_or_remove(self, reconciliation: Reconciliation) -> None:
        """A resource that is over is looked at only to remove it, once its time to live is up."""
        resource, at = reconciliation.resource, reconciliation.removal_at()
        if at is None:
            self._queue.forget(resource.key)
        elif at > self._context.clock.now():
            self._queue.schedule(resource.key, at, Priority.POLL)
        else:
            try:
                await self._context.writer.delete(resource)  # the watch tells of the rest
            except KubernetesError as error:
                if error.refusal is None:
                    raise
                log.warning("%s", error.explain("The resource is over, and can't be removed"))
                self._retry(resource.key, STALLED_NET_SECONDS)

    def _note(self, key: Key, outcome: Outcome, step: str) -> None:
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

    def _leave(self, resource: Resource, why: str) -> None:
        """Write nothing and call nobody: say so, and look again later."""
        key = resource.key
        self._histories.pop(key, None)  # whoever serves it meanwhile may change everything
        if self._installation.leave(key, why):
            log.warning("%s", why)
            self._context.events.record(
                resource.raw, Event(EventType.WARNING, "ServedByAnother", "Reconcile", why)
            )
        self._retry(key, self._context.jitter.uniform(*LEFT_SECONDS))

    def _history(self, key: Key, uid: str) -> History:
        history = self._histories.get(key)
        if history is None or history.uid != uid:
            history = self._histories[key] = History(uid)
        return history


def _needs_finalizer(resource: Resource, obstacle: Outcome | None) -> bool:
    """A resource is held before anything is made for it. A paused one, or one that can't be read, is left as
    it is, unless it has made something already: then it may not go without what clears that away.
    """
    if resource.deleting or resource.held or resource.kind.finalize is None:
        return False
    return resource.has_made or not (resource.paused or obstacle)
