"""One pass over one resource, seen from Kubernetes: its object, its draft status, and the writes."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from crmflow.api.base import RECONCILE_REQUEST_LENGTH
from crmflow.api.kinds import GROUP, RECONCILE_REQUESTED_AT
from crmflow.clock import Clock
from crmflow.observability.events import REPAIR, EventType
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.core.conditions import (
    PROGRESSING,
    READY,
    RECONCILING,
    STALLED,
    TRUE,
    UNKNOWN,
    Finding,
    compose,
)
from crmflow.reconcile.core.decide import Decision, Streak, decide
from crmflow.reconcile.core.engine import AnyPass, Services, look_and_run, run_steps
from crmflow.reconcile.core.outcome import DONE, Outcome, OutcomeClass
from crmflow.reconcile.core.reading import instant
from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.controller.installation import ServingInstallation
from crmflow.runtime.controller.resource import Resource
from crmflow.runtime.controller.status_writer import ObjectWriter, ReplacedError, status_body
from crmflow.runtime.kubernetes.errors import KubernetesError
from crmflow.runtime.kubernetes.events import EventRecorder
from crmflow.settings import Settings, parse_duration

RESYNC_SHARE = (0.9, 1.0)
"""The part of the resync interval after which a resource is compared again: at the latest when it is over."""


@dataclass(frozen=True)
class ReconcileContext:
    """What every reconciliation needs at hand."""

    settings: Settings
    instance: str
    installation: ServingInstallation
    clock: Clock
    services: Services
    writer: ObjectWriter
    events: EventRecorder
    metrics: Metrics
    jitter: random.Random = field(default_factory=random.Random)


@dataclass
class History:
    """What is remembered of a resource between passes."""

    uid: str
    streak: Streak = field(default_factory=Streak)
    checked_generation: int | None = None
    """The generation that was last compared completely with what is remote."""
    next_check_at: float | None = None
    """When that is due again."""
    settling: bool = False
    """The last pass ended waiting for a remote transition: only that has to be read again."""
    released: bool = False
    """Nothing of it is left in Platform: of its deletion only our finalizer remains to be removed."""
    asked: int = 0
    """How often somebody asked for a complete comparison, and how many of these requests one has followed."""
    answered: int = 0


class Reconciliation:
    """The Kubernetes side of one pass; it is also the journal that the pass writes checkpoints to."""

    def __init__(self, context: ReconcileContext, resource: Resource, history: History) -> None:
        self._context = context
        self._kind = kind = resource.kind
        self.resource = resource
        """As it is after the latest write."""
        self.history = history
        self._generation, self._observed = resource.generation, resource.observed_generation
        self._unread = resource.understood.unread
        self._writing = asyncio.Lock()
        spec, key = resource.understood.spec, resource.key
        self.pass_: AnyPass = kind.make_pass(
            services=context.services,
            identity=Identity(context.instance, *key, resource.uid),
            generation=self._generation,
            spec=spec.value,
            status=resource.understood.status.value,
            conditions=resource.conditions,
            observed_generation=self._observed,
            journal=self,
            requests=_requests(resource.annotations),
        )
        self.pass_.record(served_by=context.installation.name)
        interval = None
        if not spec.problems:
            interval = getattr(spec.value, "resync_interval", None)
            if "deletion_policy" in kind.api.status.model_fields:
                self.pass_.record(deletion_policy=self.pass_.deletion_policy)
        self._resync = parse_duration(interval) if interval else context.settings.resync_interval
        self._asked = history.asked
        requested = resource.annotations.get(RECONCILE_REQUESTED_AT)
        self._request: str | None = requested[:RECONCILE_REQUEST_LENGTH] if requested else None
        if history.next_check_at is None and self.pass_.was_ready:
            # After a restart the listing is enough at first; the complete checks are spread over the
            # interval.
            history.checked_generation = self._generation
            history.next_check_at = context.clock.now() + self._resync * _share(resource.uid)
        self.pass_.requested = self._request not in (None, self.pass_.status.last_handled_reconcile_at)
        is_restored = self.pass_.was_ready and bool(resource.status.get("intents"))  # we say no such thing
        is_poll = self._was_checked() and (self.pass_.was_ready or history.settling)
        self.pass_.full = is_restored or not is_poll

    def _was_checked(self) -> bool:
        """True if this generation was compared completely, nobody asked for it since, and it is not due."""
        history = self.history
        return (
            not self.pass_.requested
            and history.checked_generation == self._generation
            and history.answered == history.asked
            and history.next_check_at is not None
            and self._context.clock.now() < history.next_check_at
        )

    async def run(self) -> tuple[Outcome, str]:
        """Run the kind's steps, unless listings show that nothing has to be done; outcome and last step."""
        return await look_and_run(self.pass_, self._kind.quiet, self._kind.reconcile)

    async def delete(self) -> tuple[Outcome, str]:
        """Run the steps that end a resource of the kind; outcome and last step."""
        finalize = self._kind.finalize
        return (DONE, "") if finalize is None else await run_steps(self.pass_, finalize)

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
            await self._write(None, self._observed)
        except (KubernetesError, ReplacedError) as error:
            raise PassInterruptedError(str(error)) from error

    async def finish(self, outcome: Outcome) -> Decision:
        """Write what the outcome asks for; when to come back."""
        history = self.history
        now = self._context.clock.now()
        next_check_at = history.next_check_at
        if not self.pass_.waits_for_slot:  # whatever kept it from asking: it is paused, or stopped before
            self._context.services.transfers.waits_no_more(self.resource.uid)
        if self.pass_.full or next_check_at is None:
            next_check_at = now + self._resync * self._context.jitter.uniform(*RESYNC_SHARE)
        is_complete = outcome.is_done and self.pass_.full and self.pass_.checked
        if is_complete and self._kind.remote_objects:
            self.pass_.record(intents=None)  # all is there, so nothing is being created, whoever says so
        decision = decide(
            outcome,
            history.streak,
            was_ready=self.resource.conditions.is_ready(self._generation, self._observed),
            was_observed=self._observed == self._generation,
            now=now,
            next_check_at=next_check_at,
            look_at=self.pass_.look_at,
            is_begun=not self.pass_.was_ready and self.resource.has_made,
            ready_message=self._kind.ready_message(self.pass_) if outcome.is_done else "",
            jitter=self._context.jitter,
        )
        self._note_stalled(outcome, decision)
        if self._request is not None and outcome.outcome_class is not OutcomeClass.PAUSED:
            self.pass_.record(last_handled_reconcile_at=self._request)
        await self._write(
            decision.summary, self._generation if decision.observes_generation else self._observed
        )
        if self._observed is None and decision.observes_generation:
            self._note_first_result()
        history.settling = outcome.transition
        if self.pass_.checked and self.pass_.full:  # only now: later passes rely on what this one wrote
            history.checked_generation = self._generation
            history.next_check_at = next_check_at
            history.answered = self._asked
        self.record_events()
        return decision

    def _note_first_result(self) -> None:
        created = datetime.fromisoformat(self.resource.metadata["creationTimestamp"]).timestamp()
        seconds = max(
            0.0, self._context.clock.utcnow().timestamp() - created
        )  # the API server's clock may be another one
        self._context.metrics.first_reconcile_seconds.labels(self._kind.name).observe(seconds)

    def _note_stalled(self, outcome: Outcome, decision: Decision) -> None:
        """An event when the resource comes to need a person, or needs one for another reason than before."""
        before = self.resource.conditions.get(STALLED)
        if STALLED in (decision.summary or {}) and (
            before is None or (before.reason, before.message) != (outcome.reason, outcome.message)
        ):
            self.pass_.record_event(outcome.reason, "Reconcile", outcome.message, EventType.WARNING)

    def removal_at(self) -> float | None:
        """When a resource that is over is to be removed, by :meth:`Clock.now`: its time to live after its
        end; None for one that stays.
        """
        spec, time_to_live = self.resource.understood.spec, self._kind.time_to_live
        seconds = time_to_live(spec.value) if time_to_live is not None and not spec.problems else None
        end = self.resource.conditions.get(STALLED) or self.resource.conditions.get(READY)
        ended_at = instant(end.last_transition_time) if end is not None else None
        if seconds is None or ended_at is None:
            return None
        return ended_at.timestamp() + self._context.clock.ahead + seconds

    def record_events(self) -> None:
        """Have the events of the pass written."""
        for event in self.pass_.events:
            self._context.events.record(self.resource.raw, event)
            if event.action == REPAIR:
                self._context.metrics.drift_repaired.labels(self._kind.name).inc()
        self.pass_.events.clear()

    async def _write(self, summary: Mapping[str, Finding] | None, observed: int | None) -> None:
        """Write the draft as it is now. Steps that run side by side write one after the other: each onto the
        version that the one before has made.
        """
        async with self._writing:
            conditions = self.resource.conditions.of(self._kind.conditions)
            if summary is not None:
                conditions = compose(
                    self._kind.conditions_of(self.pass_),
                    self.resource.conditions,
                    self.pass_.findings,
                    summary,
                    self._generation,
                    self._context.clock.utcnow(),
                )
            body = status_body(self.pass_.status, conditions, observed)
            self.resource = await self._context.writer.write_status(self.resource, body, self._unread)


def _requests(annotations: Mapping[str, str]) -> dict[str, str]:
    prefix = f"{GROUP}/"
    return {name.removeprefix(prefix): said for name, said in annotations.items() if name.startswith(prefix)}


def _share(uid: str) -> float:
    """A number from 0 to 1 that is the same for the same uid."""
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4], "big") / 2**32
