"""One visit to one resource, seen from Kubernetes: its object, its draft status, and the writes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crmflow.api.base import RECONCILE_REQUEST_LENGTH
from crmflow.api.kinds import RECONCILE_REQUESTED_AT
from crmflow.clock import Clock
from crmflow.observability.events import REPAIR, EventType
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
from crmflow.reconcile.decide import Decision, Streak, decide
from crmflow.reconcile.engine import Pass, Services, run_steps
from crmflow.reconcile.identity import Identity
from crmflow.reconcile.kind import Reconciler
from crmflow.reconcile.outcome import DONE, Outcome, OutcomeClass, from_remote_error
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.events import EventWriter
from crmflow.runtime.kube import KubernetesError
from crmflow.runtime.status import Object, ObjectWriter, ReplacedError, status_body, to_wire
from crmflow.settings import Settings, parse_duration
from crmflow.transport.errors import RemoteError

AnyPass = Pass[Any, Any]

RESYNC_SHARE = (0.9, 1.0)
"""The part of the resync interval after which a resource is compared again: at the latest when it is over."""


@dataclass(frozen=True)
class Desk:
    """What every visit needs at hand."""

    settings: Settings
    instance: str
    clock: Clock
    services: Services
    writer: ObjectWriter
    events: EventWriter
    metrics: Metrics
    jitter: random.Random


@dataclass
class Memory:
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


class Visit:
    """The Kubernetes side of one pass; it is also the journal that the pass writes checkpoints to."""

    def __init__(self, desk: Desk, reconciler: Reconciler, obj: Object, memory: Memory) -> None:
        self._desk = desk
        self._reconciler = reconciler
        self._memory = memory
        self.obj = obj
        metadata, status = obj["metadata"], obj.get("status") or {}
        self.generation: int = metadata["generation"]
        self.observed: int | None = status.get("observedGeneration")
        self.previous = Conditions.from_status(status)
        spec = reconciler.kind.spec.model_validate(obj["spec"])
        self.pass_: AnyPass = reconciler.make_pass(
            services=desk.services,
            identity=Identity(
                desk.instance,
                reconciler.kind.kind,
                metadata["namespace"],
                metadata["name"],
                metadata["uid"],
            ),
            generation=self.generation,
            spec=spec,
            status=reconciler.kind.status.model_validate(status),
            conditions=self.previous,
            observed_generation=self.observed,
            journal=self,
        )
        self.pass_.record(deletion_policy=self.pass_.deletion_policy)
        interval = getattr(spec, "resync_interval", None)
        self._resync = parse_duration(interval) if interval else desk.settings.resync_interval
        self._asked = memory.asked
        requested = (metadata.get("annotations") or {}).get(RECONCILE_REQUESTED_AT)
        self._request: str | None = requested[:RECONCILE_REQUEST_LENGTH] if requested else None
        if memory.next_check_at is None and self.pass_.was_ready:
            # After a restart the listing is enough at first; the complete checks are spread over the
            # interval.
            memory.checked_generation = self.generation
            memory.next_check_at = desk.clock.now() + self._resync * _share(metadata["uid"])
        self.pass_.requested = self._request not in (None, self.pass_.status.last_handled_reconcile_at)
        self.pass_.full = not (self._was_checked() and (self.pass_.was_ready or memory.settling))

    def _was_checked(self) -> bool:
        """True if this generation was compared completely, nobody asked for it since, and it is not due."""
        memory = self._memory
        return (
            not self.pass_.requested
            and memory.checked_generation == self.generation
            and memory.answered == memory.asked
            and memory.next_check_at is not None
            and self._desk.clock.now() < memory.next_check_at
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

    async def finish(self, outcome: Outcome) -> Decision:
        """Write what the outcome asks for; when to come back."""
        memory = self._memory
        now = self._desk.clock.now()
        next_check_at = memory.next_check_at
        if self.pass_.full or next_check_at is None:
            next_check_at = now + self._resync * self._desk.jitter.uniform(*RESYNC_SHARE)
        decision = self._decide(outcome, now, next_check_at)
        self._note_stalled(outcome)
        if self._request is not None and outcome.outcome_class is not OutcomeClass.PAUSED:
            self.pass_.record(last_handled_reconcile_at=self._request)
        await self._write(
            decision.summary, self.generation if decision.observes_generation else self.observed
        )
        if self.observed is None and decision.observes_generation:
            self._note_first_result()
        memory.settling = outcome.transition
        if self.pass_.checked and self.pass_.full:  # only now: later visits rely on what this one wrote
            memory.checked_generation = self.generation
            memory.next_check_at = next_check_at
            memory.answered = self._asked
        await self.tell()
        return decision

    def _decide(self, outcome: Outcome, now: float, next_check_at: float) -> Decision:
        return decide(
            outcome,
            self._memory.streak,
            was_ready=self.previous.is_ready(self.generation, self.observed),
            was_observed=self.observed == self.generation,
            now=now,
            next_check_at=next_check_at,
            ready_message=self._reconciler.ready_message(self.pass_),
            jitter=self._desk.jitter,
        )

    def _note_first_result(self) -> None:
        created = datetime.fromisoformat(self.obj["metadata"]["creationTimestamp"]).timestamp()
        seconds = max(0.0, self._desk.clock.now() - created)  # the API server's clock may be another one
        self._desk.metrics.first_reconcile_seconds.labels(self._reconciler.kind.kind).observe(seconds)

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
            await self._desk.events.write(self.obj, event)
            if event.action == REPAIR:
                self._desk.metrics.drift_repaired.labels(self._reconciler.kind.kind).inc()
        self.pass_.events.clear()

    async def _write(self, summary: Mapping[str, Finding] | None, observed: int | None) -> None:
        now = self._desk.clock.utcnow()
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
        self.obj = await self._desk.writer.write_status(self._reconciler, self.obj, body)
        self.previous = Conditions.from_status(self.obj.get("status") or {})


def _share(uid: str) -> float:
    """A number from 0 to 1 that is the same for the same uid."""
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4], "big") / 2**32
