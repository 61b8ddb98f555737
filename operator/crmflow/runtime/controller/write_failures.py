"""What is done about a resource that the operator can't write: when it is tried again, and who is told.

Status is where everything else is said; where that can't be written, the log, an Event and a metric are the
only places left.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from crmflow.observability.events import Event, EventType
from crmflow.reconcile.core.decide import Streak, backoff
from crmflow.reconcile.core.outcome import Outcome, stalled
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.reconciliation import ReconcileContext
from crmflow.runtime.controller.resource import Resource
from crmflow.runtime.kubernetes.errors import KubernetesError, NotFoundError, Refusal
from crmflow.sentences import naming

log = logging.getLogger("crmflow.worker")

CAN_NOT_HOLD = "The resource can't get the finalizer that keeps it until what was made for it is deleted"
CAN_NOT_LET_GO = "What was made for the resource is dealt with, but its finalizer can't be removed"
CAN_NOT_REPORT = "The status can't be written"
CATCH_UP_SECONDS = 0.2
"""When to try again what met a newer object."""
QUICK_TRIES = 2
UNREACHABLE_SECONDS = (2.0, 6.0)
"""When to try again what the API server did not take, without refusing it."""


class WriteFailures:
    """Remembers of each resource how often in a row it could not be written."""

    def __init__(self, context: ReconcileContext, kinds: Iterable[str]) -> None:
        self._context = context
        self._streaks: dict[Key, Streak] = {}
        self._stuck: set[Key] = set()
        """Those that are being deleted and that the operator may not write."""
        for kind in kinds:  # at 0, so that the first one is an increase
            for write in ("finalizer", "status"):
                context.metrics.kubernetes_refusals.labels(kind, write)
            context.metrics.deletions_forbidden.labels(kind).set_function(partial(self._count_stuck, kind))

    def over(self, key: Key) -> None:
        """A pass has written what it had to."""
        self._streaks.pop(key, None)
        self._stuck.discard(key)

    async def pause_after_stale(self, resource: Resource) -> float:
        """Seconds after which to try again what met a newer object. Raises NotFoundError if there is none.

        The watch is about to bring the newer object. Where it has not by the next try, since it is refused or
        begins anew, the object is read; where each write meets a newer one all the same, tries get rarer.
        """
        streak = self._count(resource.key)
        if streak.failures > 1:
            try:
                await self._context.writer.refresh(resource)
            except NotFoundError:
                raise
            except KubernetesError as error:
                log.warning("%s", error)
        return CATCH_UP_SECONDS if streak.failures <= QUICK_TRIES else backoff(streak, self._context.jitter)

    def pause_after(self, resource: Resource, error: KubernetesError | PassInterruptedError) -> float:
        """Seconds after which to try again a pass that ended since its status could not be written. Raises
        NotFoundError if that is because the object is gone.
        """
        cause = error if isinstance(error, KubernetesError) else error.__cause__
        if isinstance(cause, NotFoundError):
            raise cause
        if not isinstance(cause, KubernetesError):
            log.warning("%s", error)
            return self._context.jitter.uniform(*UNREACHABLE_SECONDS)
        if resource.deleting and (cause.status == 403 or cause.refusal is not None):
            self._tell_stuck(resource, cause)
        if cause.refusal is None:
            log.warning("%s", error)
            return max(cause.retry_after or 0.0, self._context.jitter.uniform(*UNREACHABLE_SECONDS))
        text = cause.explain(CAN_NOT_REPORT)
        log.warning("%s", text)
        self._context.metrics.kubernetes_refusals.labels(resource.kind.name, "status").inc()
        self._context.events.record(
            resource.raw, Event(EventType.WARNING, "StatusRefused", "Reconcile", text)
        )
        return backoff(self._count(resource.key), self._context.jitter)

    def finalizer_refused(self, resource: Resource, what: str, error: KubernetesError) -> Outcome:
        """The outcome where our finalizer may not be added or removed; every other error is raised again."""
        if error.refusal is None:
            raise error
        self._context.metrics.kubernetes_refusals.labels(resource.kind.name, "finalizer").inc()
        return stalled("FinalizerRefused", error.explain(what), silent=True)

    def _count(self, key: Key) -> Streak:
        streak = self._streaks.setdefault(key, Streak())
        streak.failures += 1
        return streak

    def _tell_stuck(self, resource: Resource, cause: KubernetesError) -> None:
        """Say once that a resource can't go, and what it records: its status can't say so any more."""
        key = resource.key
        if key in self._stuck:
            return
        self._stuck.add(key)
        if cause.refusal in (None, Refusal.RIGHTS):
            cure = (
                f"Its rights in namespace {key.namespace} have gone before it; give them back, and the "
                "deletion goes on"
            )
        else:
            cure = f"The API server says: {cause.words.rstrip('.')}. {cause.refusal.rstrip('.')}"
        recorded = [" ".join(item) for item in sorted(resource.recorded_ids.items())]
        log.error(
            "%s is being deleted and can't go: the operator may not write it. %s. If the finalizer is taken "
            "off by hand, nobody removes what the resource records in Platform: %s",
            key,
            cure,
            naming("{}", recorded, none="nothing"),
        )

    def _count_stuck(self, kind: str) -> int:
        return sum(1 for key in self._stuck if key.kind == kind)
