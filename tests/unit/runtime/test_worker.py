"""One pass as the runtime sees it: what is written, in which order, and when the next one comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from crmflow.observability.events import REPAIR
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.conditions import ConditionType
from crmflow.reconcile.connection.reconciler import RECONCILER as CONNECTION
from crmflow.reconcile.dataflow.reconciler import RECONCILER as DATAFLOW
from crmflow.reconcile.decide import Priority
from crmflow.reconcile.engine import Pass, Step
from crmflow.reconcile.kind import Reconciler
from crmflow.reconcile.outcome import DONE, Outcome, bug, stalled, transient, waiting
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.events import EventWriter
from crmflow.runtime.keys import Key
from crmflow.runtime.kube import FINALIZER, KubernetesError, NotFoundError, StaleError
from crmflow.runtime.queue import WorkQueue
from crmflow.runtime.status import ObjectWriter
from crmflow.runtime.watch import Observer
from crmflow.runtime.worker import Worker
from crmflow.settings import Settings
from crmflow.transport.errors import ErrorClass
from tests.cluster.support.invariants import check_invariants
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import World, connection_spec, dataflow_spec
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object, ready, settle

FINE = ConditionType("Fine", "All is fine.")
SETTINGS = Settings()
DELETED = "2026-01-01T00:00:00Z"

AnyPass = Pass[Any, Any]
Run = Callable[[AnyPass], Awaitable[Outcome]]


class Stage:
    """One worker over one object. ``script`` is what the only step does, and ``quiet`` what the listings say;
    without a script, the kind's own steps run.
    """

    def __init__(
        self,
        obj: dict[str, Any],
        script: Run | None = None,
        reconciler: Reconciler = DATAFLOW,
        quiet: Callable[[AnyPass], bool] = lambda _: True,
    ) -> None:
        self.visits: list[str] = []
        """What each pass was, and each question whether the listings show anything."""
        self.world = World()
        self.world.dataflow()  # brings the connection that it reads through
        self.clock = JumpingClock()
        self.kubernetes = FakeKubernetes(obj)
        self.queue = WorkQueue(self.clock)
        self.metrics = Metrics()
        self.key = Key.of(obj)
        if script is not None:
            reconciler = self._scripted(reconciler, script, quiet)
        reconcilers = {self.key.kind: reconciler}
        self.cache = ObjectCache(reconcilers)
        self.observer = Observer(
            self.cache,
            self.queue,
            reconcilers,
            recheck=lambda key: self.worker.recheck(key),
            forget=lambda key: self.worker.forget(key),
        )
        self.worker = Worker(
            settings=SETTINGS,
            instance="test",
            clock=self.clock,
            queue=self.queue,
            cache=self.cache,
            reconcilers=reconcilers,
            services=replace(self.world.services, clock=self.clock),
            writer=ObjectWriter(self.kubernetes.port, self.metrics, self.observer.seen),
            events=EventWriter(self.kubernetes.port, self.clock, self.metrics, "test"),
            metrics=self.metrics,
        )
        self.observer.seen(obj)

    def _scripted(self, reconciler: Reconciler, script: Run, quiet: Callable[[AnyPass], bool]) -> Reconciler:
        async def run(pass_: AnyPass) -> Outcome:
            self.visits.append("full" if pass_.full else "partial")
            return await script(pass_)

        async def ask(pass_: AnyPass) -> bool:
            self.visits.append("quiet")
            return quiet(pass_)

        steps = [Step(run, FINE)]
        return replace(reconciler, conditions=(FINE,), steps=steps, deletion_steps=[Step(script)], quiet=ask)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While the worker runs; it has done all that is due when this is entered."""
        task = asyncio.create_task(self.worker.run())
        try:
            await settle()
            yield
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
        self.observer.seen(self.kubernetes.stored)

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


def flow(**fields: Any) -> dict[str, Any]:
    return make_object(spec=dataflow_spec(), **fields)


class Script:
    """A step that ends in the outcomes it is given, the last one for ever, and keeps the passes it saw."""

    def __init__(self, *outcomes: Outcome | BaseException) -> None:
        self.outcomes = list(outcomes)
        self.passes: list[AnyPass] = []

    async def __call__(self, pass_: AnyPass) -> Outcome:
        self.passes.append(pass_)
        outcome = self.outcomes[0] if len(self.outcomes) == 1 else self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        pass_.checked = outcome.is_done
        return outcome


async def test_a_new_dataflow_takes_four_writes_and_then_none() -> None:
    stage = Stage(flow())
    async with stage.working():
        assert stage.kubernetes.calls == ["add_finalizer", *["apply_status"] * 3, "apply_event"]
        first, intents, final = stage.kubernetes.statuses
        assert {entry["type"]: entry["status"] for entry in first["conditions"]}["Ready"] == "Unknown"
        assert {entry["type"]: entry["status"] for entry in first["conditions"]}["Reconciling"] == "True"
        assert "observedGeneration" not in first
        assert [intent["slot"] for intent in intents["intents"]] == ["flow", "source", "target"]
        assert final["observedGeneration"] == 1
        assert stage.condition("Ready") == ("True", "Succeeded")
        assert stage.kubernetes.stored is not None
        check_invariants(stage.kubernetes.stored)
        assert await stage.visit() == []
        assert (
            stage.metrics.registry.get_sample_value(
                "crmflow_reconcile_total", {"kind": "CRMDataflow", "outcome": "Done"}
            )
            == 2
        )


async def test_a_new_connection_takes_four_writes_and_then_none() -> None:
    obj = make_object("ZohoSourceConnection", "zoho-eu", spec=connection_spec())
    stage = Stage(obj, reconciler=CONNECTION)
    async with stage.working():
        assert stage.kubernetes.calls == ["add_finalizer", *["apply_status"] * 3, "apply_event"]
        assert stage.condition("Ready") == ("True", "Succeeded")
        assert await stage.visit() == []


async def test_the_first_status_is_there_before_the_first_step() -> None:
    async def script(_: AnyPass) -> Outcome:
        assert stage.kubernetes.calls == ["add_finalizer", "apply_status"]
        return DONE

    stage = Stage(flow(), script)
    async with stage.working():
        assert stage.condition("Ready") == ("True", "Succeeded")


async def test_a_paused_new_object_gets_no_finalizer_and_no_step() -> None:
    script = Script(DONE)
    obj = flow()
    obj["spec"]["paused"] = True
    stage = Stage(obj, script)
    async with stage.working():
        assert stage.kubernetes.calls == ["apply_status"]
        assert stage.condition("Ready") == ("False", "Paused")
        assert "observedGeneration" not in stage.status
        assert await stage.calls_after(100_000.0, script.passes) == 0


async def test_deletion_runs_its_steps_and_drops_the_finalizer_last() -> None:
    script = Script(waiting("InUse", "used", transition=True), DONE)
    stage = Stage(flow(finalizers=[FINALIZER], deletionTimestamp=DELETED), script)
    async with stage.working():
        assert stage.kubernetes.calls == ["apply_status"]
        assert stage.condition("Reconciling") == ("True", "InUse")
        stage.clock.jump(0.5)
        await settle()
        assert stage.kubernetes.calls[1:] == ["remove_finalizer"]
        assert await stage.calls_after(100_000.0, script.passes) == 0


async def test_an_object_that_goes_without_our_finalizer_is_left_alone() -> None:
    script = Script(DONE)
    stage = Stage(flow(finalizers=["others/finalizer"], deletionTimestamp=DELETED), script)
    async with stage.working():
        assert stage.kubernetes.calls == []
        assert script.passes == []


async def test_a_paused_object_can_be_deleted() -> None:
    obj = flow(finalizers=[FINALIZER], deletionTimestamp=DELETED)
    obj["spec"]["paused"] = True
    stage = Stage(obj, Script(DONE))
    async with stage.working():
        assert stage.kubernetes.calls == ["remove_finalizer"]


async def test_between_full_checks_the_listings_are_enough() -> None:
    stage = Stage(flow(finalizers=[FINALIZER]), Script(DONE))
    async with stage.working():
        await stage.visit()
        stage.clock.jump(0.89 * SETTINGS.resync_interval)
        await stage.visit()
        stage.clock.jump(0.11 * SETTINGS.resync_interval)
        await stage.visit()
        stage.edit(generation=2)
        await settle()
        await stage.visit()
        assert stage.visits == ["full", "quiet", "quiet", "full", "full", "quiet"]


@pytest.mark.parametrize(("interval", "seconds"), [("10m", 600.0), ("1h30m", 5400.0), ("24h", 86400.0)])
async def test_the_full_check_comes_when_the_spec_says(interval: str, seconds: float) -> None:
    obj = flow(finalizers=[FINALIZER])
    obj["spec"]["resyncInterval"] = interval
    stage = Stage(obj, Script(DONE))
    async with stage.working():
        for _ in range(3):  # visits in between do not put it off
            stage.clock.jump(0.29 * seconds)
            await stage.visit()
        assert stage.visits == ["full", "quiet", "quiet", "quiet"]
        stage.clock.jump(0.13 * seconds)
        await settle()
        assert stage.visits[4:] in (["full"], ["quiet", "full"])
        await stage.visit()
        assert stage.visits[-1] == "quiet"


async def test_an_interval_counts_from_the_decision_and_not_from_the_write() -> None:
    """Else who sees it Ready and lets the interval pass sees no check."""
    script = Script(DONE)
    stage = Stage(flow(finalizers=[FINALIZER]), script)
    stage.kubernetes.on_apply = lambda: stage.clock.jump(SETTINGS.resync_interval)
    async with stage.working():
        stage.kubernetes.on_apply = None
        stage.clock.jump(0.1)
        await settle()
        assert [pass_.full for pass_ in script.passes] == [True, True]


async def test_after_a_restart_the_listings_are_enough_and_the_full_checks_are_spread() -> None:
    """Else a restart would read every object at once."""
    times = []
    for number in range(8):
        obj = flow(finalizers=[FINALIZER], uid=f"uid-{number}", status=ready("True"))
        stage = Stage(obj, Script(DONE))
        async with stage.working():
            assert stage.visits == ["quiet"]
            for minute in range(1, 65):
                stage.clock.jump(SETTINGS.resync_interval / 60)
                await settle()
                if "full" in stage.visits:
                    times.append(minute)
                    break
    assert len(times) == 8
    assert len({minute // 6 for minute in times}) >= 4


@pytest.mark.parametrize(
    ("status", "generation"),
    [
        pytest.param(ready("False"), 1, id="not Ready"),
        pytest.param(ready("True"), 2, id="edited meanwhile"),
        pytest.param(None, 1, id="new"),
    ],
)
async def test_after_a_restart_what_is_not_ready_is_checked_completely(
    status: dict[str, Any] | None, generation: int
) -> None:
    stage = Stage(flow(finalizers=[FINALIZER], status=status, generation=generation), Script(DONE))
    async with stage.working():
        assert stage.visits == ["full"]


async def test_what_the_listings_show_is_looked_at_completely_at_once() -> None:
    script = Script(DONE)
    stage = Stage(flow(finalizers=[FINALIZER], status=ready("True")), script, quiet=lambda _: False)
    async with stage.working():
        assert stage.visits == ["quiet", "full"]
        assert script.passes[0].full
        assert await stage.calls_after(0.89 * SETTINGS.resync_interval, script.passes) == 0


async def test_a_listing_that_fails_is_an_outage() -> None:
    def fail(_: AnyPass) -> bool:
        raise remote_error(reason="Unavailable", message="no listing")

    status = ready("True")
    status["conditions"].append({**status["conditions"][0], "type": "Fine"})
    status["deletionPolicy"] = "Delete"
    stage = Stage(flow(finalizers=[FINALIZER], status=status), Script(DONE), quiet=fail)
    async with stage.working():
        assert stage.visits == ["quiet"]
        assert stage.kubernetes.calls == [], "it stays Ready for a while"
        stage.clock.jump(1.0)
        await settle()
        assert stage.visits == ["quiet", "quiet"]


async def test_what_the_listings_show_of_a_quiet_resource_is_written() -> None:
    def record(pass_: AnyPass) -> bool:
        pass_.record(source_connection_id="s9")
        return True

    stage = Stage(flow(finalizers=[FINALIZER], status=ready("True")), Script(DONE), quiet=record)
    async with stage.working():
        assert stage.status["sourceConnectionId"] == "s9"
        assert stage.condition("Ready") == ("True", "Succeeded")
        assert stage.visits == ["quiet"]


async def test_who_asks_for_a_full_check_gets_one() -> None:
    stage = Stage(flow(finalizers=[FINALIZER]), Script(DONE))
    async with stage.working():
        stage.worker.recheck(stage.key)
        stage.worker.recheck(stage.key)
        await stage.visit()
        await stage.visit()
        assert stage.visits == ["full", "full", "quiet"]


async def test_who_asks_for_a_full_check_during_one_gets_another() -> None:
    """What asked may have happened after the pass looked."""
    script = Script(DONE)

    async def asked_meanwhile(pass_: AnyPass) -> Outcome:
        if not script.passes:
            stage.worker.recheck(stage.key)
        return await script(pass_)

    stage = Stage(flow(finalizers=[FINALIZER]), asked_meanwhile)
    async with stage.working():
        await stage.visit()
        await stage.visit()
        assert stage.visits == ["full", "full", "quiet"]


async def test_a_full_check_that_was_asked_for_is_owed_until_one_succeeds() -> None:
    script = Script(DONE, transient("Unavailable", "down"), DONE)
    stage = Stage(flow(finalizers=[FINALIZER]), script)
    async with stage.working():
        stage.worker.recheck(stage.key)
        await stage.visit()
        await stage.visit()
        await stage.visit()
        assert stage.visits == ["full", "full", "full", "quiet"]


REQUESTED = "crmflow.io/reconcile-requested-at"


async def test_a_request_is_echoed_once_a_full_check_followed_it() -> None:
    script = Script(DONE)
    stage = Stage(flow(), script)
    async with stage.working():
        assert "lastHandledReconcileAt" not in stage.status
        stage.edit(annotations={REQUESTED: "one"})
        await settle()
        assert stage.visits == ["full", "full"]
        assert stage.status["lastHandledReconcileAt"] == "one"
        await stage.visit()
        assert stage.visits[2:] == ["quiet"], "it is answered"


@pytest.mark.parametrize("outcome", [waiting("W", "w"), stalled("S", "s"), transient("T", "t"), bug("b")])
async def test_a_check_that_failed_answers_a_request_as_well(outcome: Outcome) -> None:
    stage = Stage(flow(annotations={REQUESTED: "one"}), Script(outcome))
    async with stage.working():
        assert stage.status["lastHandledReconcileAt"] == "one"


async def test_a_ready_object_answers_a_request_during_an_outage_and_stays_ready() -> None:
    stage = Stage(flow(), Script(DONE, transient("T", "t")))
    async with stage.working():
        stage.edit(annotations={REQUESTED: "one"})
        await settle()
        assert stage.status["lastHandledReconcileAt"] == "one"
        assert stage.condition("Ready") == ("True", "Succeeded")


async def test_a_request_made_while_the_operator_was_away_is_answered() -> None:
    stage = Stage(flow(status=ready("True"), annotations={REQUESTED: "one"}), Script(DONE))
    async with stage.working():
        assert stage.visits == ["full"]
        assert stage.status["lastHandledReconcileAt"] == "one"


async def test_a_paused_object_answers_no_request_until_it_is_resumed() -> None:
    obj = flow(annotations={REQUESTED: "one"})
    obj["spec"]["paused"] = True
    stage = Stage(obj, Script(DONE))
    async with stage.working():
        assert "lastHandledReconcileAt" not in stage.status
        assert stage.kubernetes.stored is not None
        stage.kubernetes.stored["spec"]["paused"] = False
        stage.edit(generation=2)
        await settle()
        assert stage.status["lastHandledReconcileAt"] == "one"


async def test_a_long_request_is_answered_by_its_beginning() -> None:
    stage = Stage(flow(annotations={REQUESTED: "x" * 1000}), Script(DONE))
    async with stage.working():
        assert stage.status["lastHandledReconcileAt"] == "x" * 256
        await stage.visit()
        assert stage.visits == ["full", "quiet"]


async def test_asking_for_a_resource_that_nobody_has_seen_is_no_error() -> None:
    stage = Stage(flow(finalizers=[FINALIZER]), Script(DONE))
    stage.worker.recheck(Key("CRMDataflow", "crm", "unknown"))
    async with stage.working():
        assert stage.visits == ["full"]


async def test_while_it_settles_only_that_is_read_again() -> None:
    settling = waiting("FlowSettling", "settling", transition=True)
    script = Script(settling, settling, DONE)

    async def run(pass_: AnyPass) -> Outcome:
        outcome = await script(pass_)
        pass_.checked = True
        return outcome

    stage = Stage(flow(finalizers=[FINALIZER]), run)
    async with stage.working():
        for pause in (0.5, 1.0):
            stage.clock.jump(pause)
            await settle()
        await stage.visit()
        assert stage.visits == ["full", "partial", "partial", "quiet"]
        assert stage.condition("Ready") == ("True", "Succeeded")


async def test_a_wait_for_something_else_is_followed_by_a_full_pass() -> None:
    script = Script(waiting("ConnectionNotReady", "not Ready"), DONE)
    stage = Stage(flow(finalizers=[FINALIZER]), script)
    async with stage.working():
        await stage.visit()
        assert stage.visits == ["full", "full"]


async def test_while_a_new_flow_settles_the_kind_reads_only_the_flow() -> None:
    stage = Stage(flow())
    stage.world.platform.flow_states = ["enabled-finalizing", "enabled-finalizing", "enabled"]
    async with stage.working():
        before = len(stage.world.timeline)
        for pause in (0.5, 1.0):
            stage.clock.jump(pause)
            await settle()
        assert stage.world.timeline[before:] == ["flow", "flow"]
        assert stage.condition("Ready") == ("True", "Succeeded")


async def test_another_object_of_the_same_name_is_checked_completely() -> None:
    script = Script(DONE)
    stage = Stage(flow(finalizers=[FINALIZER]), script)
    async with stage.working():
        assert stage.kubernetes.stored is not None
        del stage.kubernetes.stored["status"]
        stage.edit(uid="uid-2")
        await settle()
        assert [pass_.full for pass_ in script.passes] == [True, True]


async def test_a_pass_that_did_not_check_everything_is_repeated_completely() -> None:
    script = Script(stalled("TableNotFound", "no table"), DONE)
    stage = Stage(flow(finalizers=[FINALIZER]), script)
    async with stage.working():
        await stage.visit()
        assert [pass_.full for pass_ in script.passes] == [True, True]


async def test_a_check_whose_result_was_not_written_is_repeated_completely() -> None:
    """Else a poll would make it Ready with conditions of the generation before."""
    stage = Stage(flow())
    async with stage.working():
        assert stage.condition("Ready") == ("True", "Succeeded")
        stage.kubernetes.errors["apply_status"] = [KubernetesError("503", 503)]
        stage.edit(generation=2)
        await settle()
        assert stage.status["observedGeneration"] == 1
        stage.clock.jump(6.0)
        await settle()
        assert stage.status["observedGeneration"] == 2
        assert stage.kubernetes.stored is not None
        check_invariants(stage.kubernetes.stored)


@pytest.mark.parametrize(
    ("outcome", "soonest", "latest"),
    [
        pytest.param(DONE, 0.9 * SETTINGS.resync_interval, SETTINGS.resync_interval, id="done"),
        pytest.param(waiting("R", "m"), 300.0, 300.0, id="waiting"),
        pytest.param(waiting("R", "m", transition=True), 0.5, 0.5, id="transition"),
        pytest.param(stalled("R", "m"), 3240.0, 3600.0, id="stalled"),
        pytest.param(transient("R", "m"), 0.5, 1.0, id="transient"),
        pytest.param(transient("R", "m", retry_after=77.0), 77.0, 77.0, id="Retry-After"),
        pytest.param(bug("m"), 0.5, 1.0, id="bug"),
    ],
)
async def test_the_next_visit_comes_when_the_outcome_says(
    outcome: Outcome, soonest: float, latest: float
) -> None:
    script = Script(outcome)
    stage = Stage(flow(finalizers=[FINALIZER]), script)
    async with stage.working():
        assert await stage.calls_after(soonest - 0.01, script.passes) == 0
        assert await stage.calls_after(latest - soonest + 0.02, script.passes) == 1


async def test_an_object_that_is_gone_is_forgotten() -> None:
    script = Script(DONE)
    stage = Stage(flow(finalizers=[FINALIZER]), script)
    stage.kubernetes.errors["apply_status"] = [NotFoundError("404", 404)]
    async with stage.working():
        assert script.passes == []
        assert stage.cache.get(stage.key) is None
        assert await stage.calls_after(100_000.0, script.passes) == 0


@pytest.mark.parametrize(
    ("call", "error", "latest"),
    [
        ("add_finalizer", StaleError("422", 422), 0.2),
        ("add_finalizer", KubernetesError("500", 500), 6.0),
        ("apply_status", KubernetesError("unreachable"), 6.0),
    ],
)
async def test_a_write_that_failed_is_repeated_by_the_next_pass(
    call: str, error: Exception, latest: float
) -> None:
    script = Script(DONE)
    stage = Stage(flow(), script)
    stage.kubernetes.errors[call] = [error]
    async with stage.working():
        assert script.passes == []
        assert await stage.calls_after(latest, script.passes) == 1
        assert stage.condition("Ready") == ("True", "Succeeded")


async def test_a_pass_whose_checkpoint_failed_does_nothing_more() -> None:
    stage = Stage(flow())
    stage.kubernetes.errors["apply_status"] = [None, KubernetesError("503", 503)]
    async with stage.working():
        assert stage.kubernetes.calls == ["add_finalizer", "apply_status", "apply_status"]
        assert stage.world.platform.counts == (0, 0, 0, 0)
        stage.clock.jump(6.0)
        await settle()
        assert stage.condition("Ready") == ("True", "Succeeded")
        assert stage.world.platform.counts == (0, 1, 1, 1)


async def test_a_pass_that_ends_unexpectedly_neither_ends_the_worker_nor_spins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = Script(DONE)
    stage = Stage(flow(finalizers=[FINALIZER]), script)
    stage.kubernetes.errors["apply_status"] = [RuntimeError("broken")]
    async with stage.working():
        assert script.passes == []
        assert "a pass ended unexpectedly" in caplog.text
        assert await stage.calls_after(29.9, script.passes) == 0
        assert await stage.calls_after(0.1, script.passes) == 1


async def test_a_key_without_an_object_is_forgotten() -> None:
    script = Script(DONE)
    stage = Stage(flow(finalizers=[FINALIZER]), script)
    stage.cache.remove(stage.key)
    async with stage.working():
        assert stage.kubernetes.calls == []


async def test_the_time_to_the_first_result_counts_once() -> None:
    script = Script(transient("Unavailable", "down"), DONE, DONE)
    stage = Stage(flow(finalizers=[FINALIZER]), script, quiet=lambda _: False)
    kind = {"kind": "CRMDataflow"}
    async with stage.working():
        value = stage.metrics.registry.get_sample_value
        assert value("crmflow_first_reconcile_seconds_count", kind) is None, "it has no result yet"
        stage.clock.jump(10.0)
        await settle()
        await stage.visit()
        assert value("crmflow_first_reconcile_seconds_count", kind) == 1
        assert value("crmflow_first_reconcile_seconds_sum", kind) == 10.0


async def test_repairs_are_counted_and_other_changes_are_not() -> None:
    async def script(pass_: AnyPass) -> Outcome:
        pass_.tell("Updated", "Update", "Updated it.")
        pass_.tell("DriftObserved", "Observe", "It differs.")
        pass_.tell("DriftRepaired", REPAIR, "Restored it.")
        return DONE

    stage = Stage(flow(finalizers=[FINALIZER]), script)
    async with stage.working():
        count = stage.metrics.registry.get_sample_value
        assert count("crmflow_drift_repaired_total", {"kind": "CRMDataflow"}) == 1


async def test_a_failed_pass_logs_where_it_failed_and_the_request_to_ask_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = remote_error(ErrorClass.TRANSIENT, "Unavailable")
    error.request_id = "req-1"

    async def script(_: AnyPass) -> Outcome:
        raise error

    stage = Stage(flow(finalizers=[FINALIZER]), script)
    with caplog.at_level(logging.INFO, "crmflow.worker"):
        async with stage.working():
            pass
    [record] = [record for record in caplog.records if record.name == "crmflow.worker"]
    fields = record.__dict__
    assert (fields["step"], fields["outcome"], fields["reason"], fields["request_id"]) == (
        "run",
        "Transient",
        "Unavailable",
        "req-1",
    )


async def test_stalling_is_told_once_and_again_when_its_text_changes() -> None:
    first, second = stalled("TableNotFound", "no table a"), stalled("TableNotFound", "no table b")
    script = Script(first, first, second, DONE, second)
    stage = Stage(flow(finalizers=[FINALIZER]), script, quiet=lambda _: False)
    async with stage.working():
        for _ in range(4):
            await stage.visit()
    notes = [body["note"] for _, _, body in stage.kubernetes.written_events]
    assert notes == ["no table a", "no table b", "no table b"]
    assert {body["type"] for _, _, body in stage.kubernetes.written_events} == {"Warning"}


async def test_what_the_steps_told_is_written_even_if_the_pass_failed_later() -> None:
    async def script(pass_: AnyPass) -> Outcome:
        pass_.tell("Created", "Create", "Created it.")
        return transient("Unavailable", "down")

    stage = Stage(flow(finalizers=[FINALIZER]), script)
    async with stage.working():
        assert stage.reasons == ["Created"]


async def test_a_ready_object_keeps_its_conditions_through_a_short_outage() -> None:
    status = ready("True")
    status["conditions"].append({**status["conditions"][0], "type": "Fine"})
    status["deletionPolicy"] = "Delete"
    script = Script(transient("Unavailable", "down"))
    stage = Stage(flow(finalizers=[FINALIZER], status=status), script, quiet=lambda _: False)
    async with stage.working():
        assert len(script.passes) == 1
        assert stage.kubernetes.calls == []


async def test_the_effective_deletion_policy_is_in_status() -> None:
    obj = flow(finalizers=[FINALIZER])
    stage = Stage(obj, Script(DONE))
    async with stage.working():
        assert stage.status["deletionPolicy"] == "Delete"
    obj["spec"]["deletionPolicy"] = "Orphan"
    stage = Stage(obj, Script(DONE))
    async with stage.working():
        assert stage.status["deletionPolicy"] == "Orphan"
