"""One worker over one object, and what both do while time passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from crmflow.observability.metrics import Metrics
from crmflow.reconcile.core.conditions import ConditionType
from crmflow.reconcile.core.decide import Priority
from crmflow.reconcile.core.engine import Pass, step
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.outcome import Outcome, PassEndedError
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.installation import ServingInstallation
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.controller.reconciliation import ReconcileContext
from crmflow.runtime.controller.status_writer import ObjectWriter
from crmflow.runtime.controller.watch import ResourceEventHandler
from crmflow.runtime.controller.worker import Worker
from crmflow.runtime.kubernetes.events import EventRecorder
from crmflow.settings import Settings
from tests.unit.reconcile.harness import Harness as StepHarness
from tests.unit.runtime.fakes import INSTALLATION, FakeKubernetes, JumpingClock, recording, settle

FINE = ConditionType("Fine", "All is fine.")
SETTINGS = Settings()

AnyPass = Pass[Any, Any]
Run = Callable[[AnyPass], Awaitable[Outcome]]


class Harness:
    """One worker over one object. ``script`` is what the only step does, and ``quiet`` what the listings say;
    without a script, the kind's own steps run. The queue of a standby is ``held``.
    """

    def __init__(
        self,
        obj: dict[str, Any],
        script: Run | None = None,
        kind: ManagedKind = DATAFLOW,
        quiet: Callable[[AnyPass], bool] = lambda _: True,
        kubernetes: FakeKubernetes | None = None,
        held: bool = False,
    ) -> None:
        self.visits: list[str] = []
        """What each pass was, and each question whether the listings show anything."""
        self.fakes = StepHarness()
        self.fakes.dataflow()  # brings the connection that it reads through
        self.clock = JumpingClock()
        self.kubernetes = kubernetes or FakeKubernetes(obj)
        self.queue = WorkQueue(self.clock, held=held)
        self.metrics = Metrics()
        self.key = Key.of(obj)
        if script is not None:
            kind = self._scripted(kind, script, quiet)
        kinds = {self.key.kind: kind}
        self.cache = ObjectCache(kinds)
        self.handler = ResourceEventHandler(
            self.cache,
            self.queue,
            recheck=lambda key: self.worker.recheck(key),
            forget=lambda key: self.worker.forget(key),
        )
        self.events = EventRecorder(self.kubernetes.port, self.clock, self.metrics, "test")
        installation = ServingInstallation(
            INSTALLATION,
            "test",
            elects=True,
            kubernetes=self.kubernetes.port,
            steady=self.clock,
            takeover_after=120.0,
        )
        context = ReconcileContext(
            SETTINGS,
            "test",
            installation,
            self.clock,
            replace(self.fakes.services, clock=self.clock),
            ObjectWriter(self.kubernetes.port, self.metrics, self.handler.seen),
            self.events,
            self.metrics,
        )
        self.worker = Worker(context, self.queue, self.cache, kinds, lambda obj: self.gone(obj))
        self.gone = self.handler.gone
        self.handler.seen(obj)

    def _scripted(self, kind: ManagedKind, script: Run, quiet: Callable[[AnyPass], bool]) -> ManagedKind:
        @step(FINE)
        async def run(pass_: AnyPass) -> None:
            self.visits.append("full" if pass_.full else "partial")
            await finalize(pass_)
            pass_.fulfill(FINE)

        async def finalize(pass_: AnyPass) -> None:
            outcome = await script(pass_)
            if not outcome.is_done:
                raise PassEndedError(outcome)

        async def ask(pass_: AnyPass) -> bool:
            self.visits.append("quiet")
            return quiet(pass_)

        return replace(kind, conditions=(FINE,), reconcile=run, finalize=finalize, quiet=ask)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While the worker runs; it has done all that is due when this is entered."""
        task = asyncio.create_task(self.worker.run())
        try:
            async with recording(self.events):
                await settle()
                yield
                await settle()
                assert not task.done(), "the worker goes on"
        finally:
            self.queue.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def visit(self) -> list[str]:
        """Have the object looked at once more; the calls to the API server that this made."""
        before = len(self.kubernetes.calls)
        self.queue.add(self.key, Priority.CHANGE)
        await settle()
        return self.kubernetes.calls[before:]

    async def calls_after(self, seconds: float, passes: list[Any]) -> int:
        """How many more passes there were once so much time has passed."""
        before = len(passes)
        self.clock.jump(seconds)
        await settle()
        return len(passes) - before

    def edit(self, **changes: Any) -> None:
        """Somebody edits the object; the watch brings it."""
        assert self.kubernetes.stored is not None
        metadata = self.kubernetes.stored["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        metadata.update(changes)
        self.handler.seen(self.kubernetes.stored)

    def sample(self, name: str) -> float | None:
        """A metric of the kind."""
        return self.metrics.registry.get_sample_value(f"crmflow_{name}", {"kind": self.key.kind})

    @property
    def status(self) -> dict[str, Any]:
        assert self.kubernetes.stored is not None
        status: dict[str, Any] = self.kubernetes.stored["status"]
        return status

    def condition(self, name: str) -> tuple[str, str] | None:
        for entry in self.status["conditions"]:
            if entry["type"] == name:
                return entry["status"], entry["reason"]
        return None

    @property
    def reasons(self) -> list[str]:
        """The reasons of all Events, in order."""
        return [body["reason"] for _, _, body in self.kubernetes.written_events]
