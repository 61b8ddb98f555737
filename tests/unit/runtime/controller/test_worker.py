"""One pass as the runtime sees it: what is written, in which order, and when the next one comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from crmflow.api.base import Intent
from crmflow.api.kinds import Kind
from crmflow.http.errors import ErrorClass
from crmflow.observability.events import REPAIR
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.core.engine import together
from crmflow.reconcile.core.outcome import DONE, Outcome, bug, stalled, transient, waiting
from crmflow.runtime.controller.keys import Key, ReconcileRequest
from crmflow.runtime.kubernetes.client import FINALIZER, LeaseSnapshot
from crmflow.runtime.kubernetes.errors import KubernetesError, NotFoundError, Refusal, StaleError
from tests.fakes.failing import remote_error
from tests.kit.invariants import check_invariants
from tests.unit.reconcile.harness import connection_spec, dataflow_spec
from tests.unit.runtime.controller.harness import SETTINGS, AnyPass, Harness
from tests.unit.runtime.fakes import (
    INSTALLATION,
    FakeKubernetes,
    make_object,
    ready,
    settle,
)

DELETED = "2026-01-01T00:00:00Z"


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
    harness = Harness(flow())
    async with harness.working():
        assert harness.kubernetes.calls == ["add_finalizer", *["apply_status"] * 3, "apply_event"]
        first, intents, final = harness.kubernetes.statuses
        assert {entry["type"]: entry["status"] for entry in first["conditions"]}["Ready"] == "Unknown"
        assert {entry["type"]: entry["status"] for entry in first["conditions"]}["Reconciling"] == "True"
        assert "observedGeneration" not in first
        assert [intent["slot"] for intent in intents["intents"]] == ["flow", "source", "target"]
        assert final["observedGeneration"] == 1
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert harness.kubernetes.stored is not None
        check_invariants(harness.kubernetes.stored)
        assert await harness.visit() == []
        assert (
            harness.metrics.registry.get_sample_value(
                "crmflow_reconcile_total", {"kind": "CRMDataflow", "outcome": "Done"}
            )
            == 2
        )


async def test_a_new_connection_takes_four_writes_and_then_none() -> None:
    obj = make_object("ZohoSourceConnection", "zoho-eu", spec=connection_spec())
    harness = Harness(obj, kind=CONNECTION)
    async with harness.working():
        assert harness.kubernetes.calls == ["add_finalizer", *["apply_status"] * 3, "apply_event"]
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert await harness.visit() == []


async def test_the_first_status_is_there_before_the_first_step() -> None:
    async def script(_: AnyPass) -> Outcome:
        assert harness.kubernetes.calls == ["add_finalizer", "apply_status"]
        return DONE

    harness = Harness(flow(), script)
    async with harness.working():
        assert harness.condition("Ready") == ("True", "Succeeded")


async def test_a_paused_new_object_gets_no_finalizer_and_no_step() -> None:
    script = Script(DONE)
    obj = flow()
    obj["spec"]["paused"] = True
    harness = Harness(obj, script)
    async with harness.working():
        assert harness.kubernetes.calls == ["apply_status"]
        assert harness.condition("Ready") == ("False", "Paused")
        assert "observedGeneration" not in harness.status
        assert await harness.calls_after(100_000.0, script.passes) == 0


async def test_deletion_runs_its_steps_and_drops_the_finalizer_last() -> None:
    script = Script(waiting("InUse", "used", transition=True), DONE)
    harness = Harness(flow(finalizers=[FINALIZER], deletionTimestamp=DELETED), script)
    async with harness.working():
        assert harness.kubernetes.calls == ["apply_status"]
        assert harness.condition("Reconciling") == ("True", "InUse")
        harness.clock.jump(0.5)
        await settle()
        assert harness.kubernetes.calls[1:] == ["remove_finalizer"]
        assert await harness.calls_after(100_000.0, script.passes) == 0


async def test_an_object_that_goes_without_our_finalizer_is_left_alone() -> None:
    script = Script(DONE)
    harness = Harness(flow(finalizers=["others/finalizer"], deletionTimestamp=DELETED), script)
    async with harness.working():
        assert harness.kubernetes.calls == []
        assert script.passes == []


async def test_a_paused_object_can_be_deleted() -> None:
    obj = flow(finalizers=[FINALIZER], deletionTimestamp=DELETED)
    obj["spec"]["paused"] = True
    harness = Harness(obj, Script(DONE))
    async with harness.working():
        assert harness.kubernetes.calls == ["remove_finalizer"]


async def test_between_full_checks_the_listings_are_enough() -> None:
    harness = Harness(flow(finalizers=[FINALIZER]), Script(DONE))
    async with harness.working():
        await harness.visit()
        harness.clock.jump(0.89 * SETTINGS.resync_interval)
        await harness.visit()
        harness.clock.jump(0.11 * SETTINGS.resync_interval)
        await harness.visit()
        harness.edit(generation=2)
        await settle()
        await harness.visit()
        assert harness.visits == ["full", "quiet", "quiet", "full", "full", "quiet"]


@pytest.mark.parametrize(("interval", "seconds"), [("10m", 600.0), ("1h30m", 5400.0), ("24h", 86400.0)])
async def test_the_full_check_comes_when_the_spec_says(interval: str, seconds: float) -> None:
    obj = flow(finalizers=[FINALIZER])
    obj["spec"]["resyncInterval"] = interval
    harness = Harness(obj, Script(DONE))
    async with harness.working():
        for _ in range(3):  # visits in between do not put it off
            harness.clock.jump(0.29 * seconds)
            await harness.visit()
        assert harness.visits == ["full", "quiet", "quiet", "quiet"]
        harness.clock.jump(0.13 * seconds)
        await settle()
        assert harness.visits[4:] in (["full"], ["quiet", "full"])
        await harness.visit()
        assert harness.visits[-1] == "quiet"


async def test_an_interval_counts_from_the_decision_and_not_from_the_write() -> None:
    """Else who sees it Ready and lets the interval pass sees no check."""
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    harness.kubernetes.on_apply = lambda: harness.clock.jump(SETTINGS.resync_interval)
    async with harness.working():
        harness.kubernetes.on_apply = None
        harness.clock.jump(0.1)
        await settle()
        assert [pass_.full for pass_ in script.passes] == [True, True]


async def test_after_a_restart_the_listings_are_enough_and_the_full_checks_are_spread() -> None:
    """Else a restart would read every object at once."""
    times = []
    for number in range(8):
        obj = flow(finalizers=[FINALIZER], uid=f"uid-{number}", status=ready("True"))
        harness = Harness(obj, Script(DONE))
        async with harness.working():
            assert harness.visits == ["quiet"]
            for minute in range(1, 65):
                harness.clock.jump(SETTINGS.resync_interval / 60)
                await settle()
                if "full" in harness.visits:
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
    harness = Harness(flow(finalizers=[FINALIZER], status=status, generation=generation), Script(DONE))
    async with harness.working():
        assert harness.visits == ["full"]


async def test_what_the_listings_show_is_looked_at_completely_at_once() -> None:
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER], status=ready("True")), script, quiet=lambda _: False)
    async with harness.working():
        assert harness.visits == ["quiet", "full"]
        assert script.passes[0].full
        assert await harness.calls_after(0.89 * SETTINGS.resync_interval, script.passes) == 0


async def test_a_listing_that_fails_is_an_outage() -> None:
    def fail(_: AnyPass) -> bool:
        raise remote_error(reason="Unavailable", message="no listing")

    status = ready("True")
    status["conditions"].append({**status["conditions"][0], "type": "Fine"})
    status["deletionPolicy"] = "Delete"
    harness = Harness(flow(finalizers=[FINALIZER], status=status), Script(DONE), quiet=fail)
    async with harness.working():
        assert harness.visits == ["quiet"]
        assert harness.kubernetes.calls == [], "it stays Ready for a while"
        harness.clock.jump(1.0)
        await settle()
        assert harness.visits == ["quiet", "quiet"]


async def test_what_the_listings_show_of_a_quiet_resource_is_written() -> None:
    def record(pass_: AnyPass) -> bool:
        pass_.record(source_connection_id="s9")
        return True

    harness = Harness(flow(finalizers=[FINALIZER], status=ready("True")), Script(DONE), quiet=record)
    async with harness.working():
        assert harness.status["sourceConnectionId"] == "s9"
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert harness.visits == ["quiet"]


async def test_who_asks_for_a_full_check_gets_one() -> None:
    harness = Harness(flow(finalizers=[FINALIZER]), Script(DONE))
    async with harness.working():
        harness.worker.recheck(harness.key)
        harness.worker.recheck(harness.key)
        await harness.visit()
        await harness.visit()
        assert harness.visits == ["full", "full", "quiet"]


async def test_a_change_that_a_poll_finds_before_the_first_pass_is_looked_at() -> None:
    """Other resources have the sandbox polled, while after a restart thousands wait for their first pass."""
    harness = Harness(flow(finalizers=[FINALIZER], status=ready("True")), Script(DONE))
    harness.handler.listed(ReconcileRequest(harness.key, recheck=True))
    async with harness.working():
        await harness.visit()
        assert harness.visits == ["full", "quiet"]


async def test_what_a_standby_saw_is_no_reason_to_compare_everything_once_it_leads() -> None:
    """Its leader has followed that. It may be about any number of resources."""
    harness = Harness(flow(finalizers=[FINALIZER], status=ready("True")), Script(DONE), held=True)
    harness.handler.recheck_all()
    harness.queue.open()
    async with harness.working():
        assert harness.visits == ["quiet"]


async def test_who_asks_for_a_full_check_during_one_gets_another() -> None:
    """What asked may have happened after the pass looked."""
    script = Script(DONE)

    async def asked_meanwhile(pass_: AnyPass) -> Outcome:
        if not script.passes:
            harness.worker.recheck(harness.key)
        return await script(pass_)

    harness = Harness(flow(finalizers=[FINALIZER]), asked_meanwhile)
    async with harness.working():
        await harness.visit()
        await harness.visit()
        assert harness.visits == ["full", "full", "quiet"]


async def test_a_full_check_that_was_asked_for_is_owed_until_one_succeeds() -> None:
    script = Script(DONE, transient("Unavailable", "down"), DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    async with harness.working():
        harness.worker.recheck(harness.key)
        await harness.visit()
        await harness.visit()
        await harness.visit()
        assert harness.visits == ["full", "full", "full", "quiet"]


REQUESTED = "crmflow.io/reconcile-requested-at"


async def test_a_request_is_echoed_once_a_full_check_followed_it() -> None:
    script = Script(DONE)
    harness = Harness(flow(), script)
    async with harness.working():
        assert "lastHandledReconcileAt" not in harness.status
        harness.edit(annotations={REQUESTED: "one"})
        await settle()
        assert harness.visits == ["full", "full"]
        assert harness.status["lastHandledReconcileAt"] == "one"
        await harness.visit()
        assert harness.visits[2:] == ["quiet"], "it is answered"


@pytest.mark.parametrize("outcome", [waiting("W", "w"), stalled("S", "s"), transient("T", "t"), bug("b")])
async def test_a_check_that_failed_answers_a_request_as_well(outcome: Outcome) -> None:
    harness = Harness(flow(annotations={REQUESTED: "one"}), Script(outcome))
    async with harness.working():
        assert harness.status["lastHandledReconcileAt"] == "one"


async def test_a_ready_object_answers_a_request_during_an_outage_and_stays_ready() -> None:
    harness = Harness(flow(), Script(DONE, transient("T", "t")))
    async with harness.working():
        harness.edit(annotations={REQUESTED: "one"})
        await settle()
        assert harness.status["lastHandledReconcileAt"] == "one"
        assert harness.condition("Ready") == ("True", "Succeeded")


async def test_a_request_made_while_the_operator_was_away_is_answered() -> None:
    harness = Harness(flow(status=ready("True"), annotations={REQUESTED: "one"}), Script(DONE))
    async with harness.working():
        assert harness.visits == ["full"]
        assert harness.status["lastHandledReconcileAt"] == "one"


async def test_a_paused_object_answers_no_request_until_it_is_resumed() -> None:
    obj = flow(annotations={REQUESTED: "one"})
    obj["spec"]["paused"] = True
    harness = Harness(obj, Script(DONE))
    async with harness.working():
        assert "lastHandledReconcileAt" not in harness.status
        assert harness.kubernetes.stored is not None
        harness.kubernetes.stored["spec"]["paused"] = False
        harness.edit(generation=2)
        await settle()
        assert harness.status["lastHandledReconcileAt"] == "one"


async def test_a_long_request_is_answered_by_its_beginning() -> None:
    harness = Harness(flow(annotations={REQUESTED: "x" * 1000}), Script(DONE))
    async with harness.working():
        assert harness.status["lastHandledReconcileAt"] == "x" * 256
        await harness.visit()
        assert harness.visits == ["full", "quiet"]


async def test_asking_for_a_resource_that_nobody_has_seen_is_no_error() -> None:
    harness = Harness(flow(finalizers=[FINALIZER]), Script(DONE))
    harness.worker.recheck(Key("CRMDataflow", "crm", "unknown"))
    async with harness.working():
        assert harness.visits == ["full"]


async def test_while_it_settles_only_that_is_read_again() -> None:
    settling = waiting("FlowSettling", "settling", transition=True)
    script = Script(settling, settling, DONE)

    async def run(pass_: AnyPass) -> Outcome:
        outcome = await script(pass_)
        pass_.checked = True
        return outcome

    harness = Harness(flow(finalizers=[FINALIZER]), run)
    async with harness.working():
        for pause in (0.5, 1.0):
            harness.clock.jump(pause)
            await settle()
        await harness.visit()
        assert harness.visits == ["full", "partial", "partial", "quiet"]
        assert harness.condition("Ready") == ("True", "Succeeded")


async def test_a_wait_for_something_else_is_followed_by_a_full_pass() -> None:
    script = Script(waiting("ConnectionNotReady", "not Ready"), DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    async with harness.working():
        await harness.visit()
        assert harness.visits == ["full", "full"]


async def test_while_a_new_flow_settles_the_kind_reads_only_the_flow() -> None:
    harness = Harness(flow())
    harness.fakes.platform.flow_states = ["enabled-finalizing", "enabled-finalizing", "enabled"]
    async with harness.working():
        before = len(harness.fakes.timeline)
        for pause in (0.5, 1.0):
            harness.clock.jump(pause)
            await settle()
        assert harness.fakes.timeline[before:] == ["flows.get", "flows.get"]
        assert harness.condition("Ready") == ("True", "Succeeded")


async def test_another_object_of_the_same_name_is_checked_completely() -> None:
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    async with harness.working():
        assert harness.kubernetes.stored is not None
        del harness.kubernetes.stored["status"]
        harness.edit(uid="uid-2")
        await settle()
        assert [pass_.full for pass_ in script.passes] == [True, True]


async def test_a_pass_that_did_not_check_everything_is_repeated_completely() -> None:
    script = Script(stalled("TableNotFound", "no table"), DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    async with harness.working():
        await harness.visit()
        assert [pass_.full for pass_ in script.passes] == [True, True]


async def test_a_check_whose_result_was_not_written_is_repeated_completely() -> None:
    """Else a poll would make it Ready with conditions of the generation before."""
    harness = Harness(flow())
    async with harness.working():
        assert harness.condition("Ready") == ("True", "Succeeded")
        harness.kubernetes.errors["apply_status"] = [KubernetesError("503", 503)]
        harness.edit(generation=2)
        await settle()
        assert harness.status["observedGeneration"] == 1
        harness.clock.jump(6.0)
        await settle()
        assert harness.status["observedGeneration"] == 2
        assert harness.kubernetes.stored is not None
        check_invariants(harness.kubernetes.stored)


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
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    async with harness.working():
        assert await harness.calls_after(soonest - 0.01, script.passes) == 0
        assert await harness.calls_after(latest - soonest + 0.02, script.passes) == 1


async def test_an_object_that_is_gone_is_forgotten() -> None:
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    harness.kubernetes.errors["apply_status"] = [NotFoundError("404", 404)]
    async with harness.working():
        assert script.passes == []
        assert harness.cache.get(harness.key) is None
        assert await harness.calls_after(100_000.0, script.passes) == 0


async def test_an_object_that_a_pass_finds_gone_counts_as_deleted() -> None:
    """Its connection may be waiting for just that, and no watch need tell of it any more."""
    harness = Harness(flow(finalizers=[FINALIZER]), Script(DONE))
    told: list[str] = []
    harness.gone = lambda obj: told.append(obj["metadata"]["name"])
    harness.kubernetes.errors["apply_status"] = [NotFoundError("404", 404)]
    async with harness.working():
        assert told == [harness.key.name]


async def test_a_pass_that_finds_its_object_gone_at_a_checkpoint_does_nothing_more() -> None:
    harness = Harness(flow())
    harness.kubernetes.errors["apply_status"] = [None, NotFoundError("404", 404)]
    async with harness.working():
        assert harness.cache.get(harness.key) is None
        assert harness.fakes.platform.counts == (0, 0, 0, 0)
        assert await harness.visit() == []


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
    harness = Harness(flow(), script)
    harness.kubernetes.errors[call] = [error]
    async with harness.working():
        assert script.passes == []
        assert await harness.calls_after(latest, script.passes) == 1
        assert harness.condition("Ready") == ("True", "Succeeded")


async def test_a_pass_whose_checkpoint_failed_does_nothing_more() -> None:
    harness = Harness(flow())
    harness.kubernetes.errors["apply_status"] = [None, KubernetesError("503", 503)]
    async with harness.working():
        assert harness.kubernetes.calls == ["add_finalizer", "apply_status", "apply_status"]
        assert harness.fakes.platform.counts == (0, 0, 0, 0)
        harness.clock.jump(6.0)
        await settle()
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert harness.fakes.platform.counts == (0, 1, 1, 1)


async def test_a_pass_that_ends_unexpectedly_neither_ends_the_worker_nor_spins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    harness.kubernetes.errors["apply_status"] = [RuntimeError("broken")]
    async with harness.working():
        assert script.passes == []
        assert "a pass ended unexpectedly" in caplog.text
        assert await harness.calls_after(29.9, script.passes) == 0
        assert await harness.calls_after(0.1, script.passes) == 1


async def test_a_key_without_an_object_is_forgotten() -> None:
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    harness.cache.remove(harness.key)
    async with harness.working():
        assert harness.kubernetes.calls == []


async def test_the_time_to_the_first_result_counts_once() -> None:
    script = Script(transient("Unavailable", "down"), DONE, DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script, quiet=lambda _: False)
    kind = {"kind": "CRMDataflow"}
    async with harness.working():
        value = harness.metrics.registry.get_sample_value
        assert value("crmflow_first_reconcile_seconds_count", kind) is None, "it has no result yet"
        harness.clock.jump(10.0)
        await settle()
        await harness.visit()
        assert value("crmflow_first_reconcile_seconds_count", kind) == 1
        assert value("crmflow_first_reconcile_seconds_sum", kind) == 10.0


async def test_repairs_are_counted_and_other_changes_are_not() -> None:
    async def script(pass_: AnyPass) -> Outcome:
        pass_.record_event("Updated", "Update", "Updated it.")
        pass_.record_event("DriftObserved", "Observe", "It differs.")
        pass_.record_event("DriftRepaired", REPAIR, "Restored it.")
        return DONE

    harness = Harness(flow(finalizers=[FINALIZER]), script)
    async with harness.working():
        count = harness.metrics.registry.get_sample_value
        assert count("crmflow_drift_repaired_total", {"kind": "CRMDataflow"}) == 1


async def test_a_failed_pass_logs_where_it_failed_and_the_request_to_ask_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = remote_error(ErrorClass.TRANSIENT, "Unavailable")
    error.request_id = "req-1"

    async def script(_: AnyPass) -> Outcome:
        raise error

    harness = Harness(flow(finalizers=[FINALIZER]), script)
    with caplog.at_level(logging.INFO, "crmflow.worker"):
        async with harness.working():
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
    harness = Harness(flow(finalizers=[FINALIZER]), script, quiet=lambda _: False)
    async with harness.working():
        for _ in range(4):
            await harness.visit()
    notes = [body["note"] for _, _, body in harness.kubernetes.written_events]
    assert notes == ["no table a", "no table b", "no table b"]
    assert {body["type"] for _, _, body in harness.kubernetes.written_events} == {"Warning"}


async def test_what_the_steps_told_is_written_even_if_the_pass_failed_later() -> None:
    async def script(pass_: AnyPass) -> Outcome:
        pass_.record_event("Created", "Create", "Created it.")
        return transient("Unavailable", "down")

    harness = Harness(flow(finalizers=[FINALIZER]), script)
    async with harness.working():
        assert harness.reasons == ["Created"]


async def test_a_ready_object_keeps_its_conditions_through_a_short_outage() -> None:
    status = ready("True")
    status["conditions"].append({**status["conditions"][0], "type": "Fine"})
    status["deletionPolicy"] = "Delete"
    script = Script(transient("Unavailable", "down"))
    harness = Harness(flow(finalizers=[FINALIZER], status=status), script, quiet=lambda _: False)
    async with harness.working():
        assert len(script.passes) == 1
        assert harness.kubernetes.calls == []


async def test_the_effective_deletion_policy_is_in_status() -> None:
    obj = flow(finalizers=[FINALIZER])
    harness = Harness(obj, Script(DONE))
    async with harness.working():
        assert harness.status["deletionPolicy"] == "Delete"
    obj["spec"]["deletionPolicy"] = "Orphan"
    harness = Harness(obj, Script(DONE))
    async with harness.working():
        assert harness.status["deletionPolicy"] == "Orphan"


def denied() -> KubernetesError:
    return KubernetesError("422", 422, words="policy 'no-finalizers' denied request", refusal=Refusal.POLICY)


def message(harness: Harness, name: str = "Ready") -> str:
    return str(next(entry["message"] for entry in harness.status["conditions"] if entry["type"] == name))


async def test_a_lost_finalizer_is_restored_at_once() -> None:
    """As by kubectl replace of the manifest: no generation changes."""
    harness = Harness(flow(), Script(DONE))
    async with harness.working():
        harness.kubernetes.calls.clear()
        harness.edit(finalizers=[])
        assert harness.kubernetes.stored is not None
        await settle()
        assert harness.kubernetes.calls == ["add_finalizer"]
        assert harness.kubernetes.stored["metadata"]["finalizers"] == [FINALIZER]


async def test_a_status_that_was_wiped_is_written_anew_at_once() -> None:
    """As by kubectl replace --subresource=status: what was made is found again by its name."""
    harness = Harness(flow())
    async with harness.working():
        assert harness.kubernetes.stored is not None
        before = harness.status["flow"]["id"]
        harness.kubernetes.stored["status"] = {}
        harness.edit()
        await settle()
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert harness.status["flow"]["id"] == before
        assert harness.fakes.platform.counts == (0, 1, 1, 1)


async def test_metadata_of_others_wakes_nobody() -> None:
    harness = Harness(flow(), Script(DONE))
    async with harness.working():
        harness.kubernetes.calls.clear()
        before = list(harness.visits)
        harness.edit(finalizers=[FINALIZER, "others/one"], labels={"a": "b"}, annotations={"others/a": "b"})
        await settle()
        assert (harness.kubernetes.calls, harness.visits) == ([], before)


@pytest.mark.parametrize(
    ("status", "held"),
    [
        pytest.param({"flow": {"id": "f1"}}, True, id="something was made"),
        pytest.param({"intents": [{"slot": "flow", "name": "n", "time": DELETED}]}, True, id="perhaps made"),
        pytest.param({}, False, id="nothing"),
    ],
)
async def test_a_paused_resource_is_held_once_something_was_made_for_it(
    status: dict[str, Any], held: bool
) -> None:
    obj = flow(status=status)
    obj["spec"]["paused"] = True
    harness = Harness(obj)
    async with harness.working():
        assert ("add_finalizer" in harness.kubernetes.calls) is held
        assert harness.condition("Ready") == ("False", "Paused")


async def test_a_refused_finalizer_is_said_and_backed_off_and_heals() -> None:
    script = Script(DONE)
    harness = Harness(flow(), script)
    harness.kubernetes.errors["add_finalizer"] = [denied() for _ in range(7)]
    async with harness.working():
        assert harness.condition("Stalled") == ("True", "FinalizerRefused")
        assert "policy 'no-finalizers' denied request" in message(harness)
        assert "exempt the operator" in message(harness)
        assert script.passes == [], "nothing may be made that nothing would clear away"
        assert harness.reasons == ["FinalizerRefused"]
        for _ in range(100):
            harness.clock.jump(1.0)
            await settle()
        assert 5 <= harness.kubernetes.calls.count("add_finalizer") <= 8
        assert harness.reasons == ["FinalizerRefused"], "told once"
        harness.clock.jump(300.0)
        await settle()
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert harness.condition("Stalled") is None
        refusals = harness.metrics.registry.get_sample_value(
            "crmflow_kubernetes_refusals_total", {"kind": "CRMDataflow", "write": "finalizer"}
        )
        assert refusals == 7


async def test_an_outage_at_the_finalizer_is_no_refusal() -> None:
    harness = Harness(flow(), Script(DONE))
    harness.kubernetes.errors["add_finalizer"] = [KubernetesError("503", 503)]
    async with harness.working():
        assert harness.kubernetes.statuses == []
        harness.clock.jump(6.0)
        await settle()
        assert harness.condition("Ready") == ("True", "Succeeded")


async def test_a_finalizer_that_may_not_be_removed_is_said() -> None:
    harness = Harness(flow(finalizers=[FINALIZER], deletionTimestamp=DELETED), Script(DONE))
    harness.kubernetes.errors["remove_finalizer"] = [denied()]
    async with harness.working():
        assert harness.condition("Stalled") == ("True", "FinalizerRefused")
        assert "can't be removed" in message(harness)
        harness.clock.jump(1.0)
        await settle()
        assert harness.kubernetes.calls[-1] == "remove_finalizer"
        assert harness.kubernetes.stored is not None
        assert harness.kubernetes.stored["metadata"]["finalizers"] == []


async def test_a_refused_status_is_told_by_an_event_and_backed_off(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness(flow(finalizers=[FINALIZER]), Script(DONE))
    harness.kubernetes.errors["apply_status"] = [denied() for _ in range(7)]
    async with harness.working():
        assert harness.reasons == ["StatusRefused"]
        assert "no-finalizers' denied request" in harness.kubernetes.written_events[0][2]["note"]
        for _ in range(100):
            harness.clock.jump(1.0)
            await settle()
        assert 5 <= harness.kubernetes.calls.count("apply_status") <= 10
        harness.clock.jump(300.0)
        await settle()
        assert harness.condition("Ready") == ("True", "Succeeded")
    assert "The status can't be written" in caplog.text


async def test_a_refused_checkpoint_is_told_too() -> None:
    harness = Harness(flow())
    harness.kubernetes.errors["apply_status"] = [None, denied()]
    async with harness.working():
        assert harness.kubernetes.calls == ["add_finalizer", "apply_status", "apply_status", "apply_event"]
        assert harness.reasons == ["StatusRefused"]
        assert harness.fakes.platform.counts == (0, 0, 0, 0)


async def test_an_overloaded_api_server_is_given_the_time_it_asks_for() -> None:
    harness = Harness(flow(finalizers=[FINALIZER]), Script(DONE))
    harness.kubernetes.errors["apply_status"] = [KubernetesError("429", 429, retry_after=60.0)]
    async with harness.working():
        harness.clock.jump(59.0)
        await settle()
        assert harness.kubernetes.calls == ["apply_status"]
        harness.clock.jump(1.0)
        await settle()
        assert harness.condition("Ready") == ("True", "Succeeded")


@pytest.mark.parametrize("interrupted", [False, True], ids=["at the end", "in the middle"])
async def test_what_a_deletion_leaves_that_may_not_be_written_is_named_once(
    interrupted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(pass_: AnyPass) -> Outcome:
        if interrupted:
            pass_.record(adopted=True)
            await pass_.journal.checkpoint()
        return DONE

    status = {"flow": {"id": "f1"}, "sourceConnectionId": "s1"}
    harness = Harness(flow(finalizers=[FINALIZER], deletionTimestamp=DELETED, status=status), run)
    call = "apply_status" if interrupted else "remove_finalizer"
    harness.kubernetes.errors[call] = [KubernetesError("403 Forbidden", 403)] * 3
    async with harness.working():
        for _ in range(2):
            harness.clock.jump(6.0)
            await settle()
        told = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(told) == 1
        assert "flow f1, source s1" in told[0].getMessage()
        assert harness.sample("deletions_forbidden") == 1
        harness.clock.jump(6.0)
        await settle()
        assert harness.kubernetes.stored is not None
        assert harness.kubernetes.stored["metadata"]["finalizers"] == []
        assert harness.sample("deletions_forbidden") == 0


@pytest.mark.parametrize("status", [403, 422], ids=["a webhook", "a policy"])
async def test_a_deletion_that_a_policy_holds_is_not_put_down_to_rights(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    refused = KubernetesError("no", status, words="denied by policy freeze", refusal=Refusal.POLICY)
    harness = Harness(flow(finalizers=[FINALIZER], deletionTimestamp=DELETED), Script(DONE))
    harness.kubernetes.errors["remove_finalizer"] = [refused]
    harness.kubernetes.errors["apply_status"] = [refused]
    async with harness.working():
        [told] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert "denied by policy freeze" in told
        assert Refusal.POLICY.rstrip(".") in told
        assert "rights" not in told
        assert harness.sample("deletions_forbidden") == 1


async def test_a_newer_object_that_the_watch_does_not_bring_is_read() -> None:
    """The watch may be refused, or begin anew, while writes are allowed."""
    script = Script(DONE)
    harness = Harness(flow(), script)
    assert harness.kubernetes.stored is not None
    harness.kubernetes.stored["metadata"]["resourceVersion"] = "999"
    add = harness.kubernetes.add_finalizer

    async def checked(kind: Kind, obj: Mapping[str, Any]) -> dict[str, Any]:
        found = await add(kind, obj) if obj["metadata"]["resourceVersion"] == "999" else None
        if found is None:
            raise StaleError("422", 422)
        return found

    harness.kubernetes.add_finalizer = checked  # type: ignore[method-assign]
    async with harness.working():
        for _ in range(3):
            harness.clock.jump(0.2)
            await settle()
        assert harness.kubernetes.stored["metadata"]["finalizers"] == [FINALIZER]
        assert harness.condition("Ready") == ("True", "Succeeded")


async def test_a_write_that_always_meets_a_newer_object_is_tried_ever_more_rarely() -> None:
    harness = Harness(flow(), Script(DONE))
    harness.kubernetes.errors["add_finalizer"] = [StaleError("422", 422)] * 1000
    async with harness.working():
        for _ in range(600):
            harness.clock.jump(0.2)
            await settle()
        assert 3 <= harness.kubernetes.calls.count("add_finalizer") <= 12


# Several installations

OTHER = "elsewhere/crmflow"


async def test_the_first_status_claims_the_resource() -> None:
    harness = Harness(flow(), Script(DONE))
    async with harness.working():
        assert [status["servedBy"] for status in harness.kubernetes.statuses] == [INSTALLATION] * 2


async def test_a_resource_without_a_claim_is_claimed_before_anything_remote_is_done() -> None:
    """As an older operator has left it."""
    claims: list[str | None] = []

    async def run(_: AnyPass) -> Outcome:
        claims.append(harness.status.get("servedBy"))
        return DONE

    status = ready("True")
    del status["servedBy"]
    harness = Harness(flow(finalizers=[FINALIZER], generation=2, status=status), run)
    async with harness.working():
        assert claims == [INSTALLATION]
        assert harness.condition("Ready") == ("True", "Succeeded")


@pytest.mark.parametrize("metadata", [{}, {"finalizers": [FINALIZER], "deletionTimestamp": DELETED}])
async def test_what_another_installation_serves_is_left_alone_and_told_once(
    metadata: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(DONE)
    harness = Harness(flow(status={**ready("True"), "servedBy": OTHER}, **metadata), script)
    harness.kubernetes.leases[OTHER] = LeaseSnapshot("pod", "1")
    async with harness.working():
        for version in range(2, 30):
            harness.kubernetes.leases[OTHER] = LeaseSnapshot("pod", str(version))
            harness.clock.jump(20.0)
            await settle()
        assert script.passes == []
        assert set(harness.kubernetes.calls) == {"read_lease", "apply_event"}
        ((_, _, event),) = harness.kubernetes.written_events
        assert (event["reason"], event["type"]) == ("ServedByAnother", "Warning")
        assert f'"{OTHER}"' in event["note"]
        assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
        assert harness.sample("resources_served_by_another") == 1


async def test_it_is_taken_over_when_the_other_one_is_gone() -> None:
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER], status={**ready("True"), "servedBy": OTHER}), script)
    async with harness.working():
        for _ in range(9):
            harness.clock.jump(20.0)
            await settle()
        assert harness.visits
        assert harness.status["servedBy"] == INSTALLATION
        assert harness.sample("resources_served_by_another") == 0


async def test_a_person_hands_it_over_at_once() -> None:
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER], status={**ready("True"), "servedBy": OTHER}), script)
    harness.kubernetes.leases[OTHER] = LeaseSnapshot("pod", "1")
    async with harness.working():
        assert harness.visits == []
        harness.edit(annotations={"crmflow.io/served-by": INSTALLATION})
        await settle()
        assert harness.visits
        assert harness.status["servedBy"] == INSTALLATION


async def test_of_two_that_claim_at_the_same_time_one_goes_on() -> None:
    """The other one's first status was written while ours was on its way."""
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER]), script)
    harness.kubernetes.leases[OTHER] = LeaseSnapshot("pod", "1")

    def lose() -> None:
        harness.kubernetes.on_apply = None
        harness.kubernetes._store(status={**ready("False"), "servedBy": OTHER})
        raise StaleError("409", 409)

    harness.kubernetes.on_apply = lose
    async with harness.working():
        harness.clock.jump(1.0)
        await settle()
        assert script.passes == []
        assert harness.status["servedBy"] == OTHER
        assert harness.kubernetes.statuses == []
        assert [event["reason"] for _, _, event in harness.kubernetes.written_events] == ["ServedByAnother"]


async def test_a_pass_ends_whose_resource_another_installation_takes_meanwhile() -> None:
    async def run(pass_: AnyPass) -> Outcome:
        harness.kubernetes._store(status={**ready("True"), "servedBy": OTHER})
        harness.kubernetes.errors["apply_status"] = [StaleError("409", 409)]
        pass_.record(adopted=True)
        await pass_.journal.checkpoint()
        raise AssertionError("the pass goes on")

    harness = Harness(flow(finalizers=[FINALIZER], generation=2, status=ready("True")), run)
    harness.kubernetes.leases[OTHER] = LeaseSnapshot("pod", "1")
    async with harness.working():
        harness.clock.jump(6.0)
        await settle()
        assert harness.status["servedBy"] == OTHER
        assert harness.sample("resources_served_by_another") == 1


# What goes wrong while listings are asked


def connection() -> dict[str, Any]:
    return make_object("ZohoSourceConnection", "zoho-eu", spec=connection_spec())


@pytest.mark.parametrize(
    ("port", "call", "reason", "owner"),
    [
        ("zoho", "access_token", "RefreshTokenRejected", "Authorized"),
        ("zoho", "access_token", "InvalidClientSecret", "Authorized"),
        ("access", "platform", "PlatformCredentialsRejected", "Authorized"),
        ("secrets", "read", "SecretForbidden", "Authorized"),
        ("platform", "connections.get", "PermissionDenied", "Synced"),
    ],
)
async def test_a_lasting_refusal_in_a_poll_is_told_by_the_condition_that_owns_the_call(
    port: str, call: str, reason: str, owner: str
) -> None:
    harness = Harness(connection(), kind=CONNECTION)
    async with harness.working():
        assert harness.condition(owner) == ("True", "Succeeded")
        getattr(harness.fakes, port).fail(call, remote_error(ErrorClass.TERMINAL, reason))
        if port != "zoho":
            harness.fakes.zoho.token = "1000.eeee.ffff"  # a poll calls Platform to pass it on
        await harness.visit()
        assert harness.condition(owner) == ("False", reason)
        assert harness.condition("Ready") == ("False", reason)
        assert harness.condition("Stalled") == ("True", reason)
        assert harness.reasons.count(reason) == 1
        getattr(harness.fakes, port).heal()
        await harness.visit()
        assert harness.condition(owner) == ("True", "Succeeded")
        assert harness.condition("Ready") == ("True", "Succeeded")


async def test_a_dataflow_tells_a_refusal_in_a_poll_by_its_condition_too() -> None:
    harness = Harness(flow())
    async with harness.working():
        refusal = remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected")
        harness.fakes.access.fail("platform", refusal)
        await harness.visit()
        assert harness.condition("SourceReady") == ("False", "PlatformCredentialsRejected")


async def test_an_outage_in_a_poll_is_told_by_no_condition() -> None:
    harness = Harness(connection(), kind=CONNECTION)
    async with harness.working():
        harness.fakes.zoho.fail("access_token", remote_error())
        assert await harness.visit() == []
        assert harness.condition("Authorized") == ("True", "Succeeded")


async def test_a_fault_of_our_own_in_a_poll_is_followed_by_a_complete_check(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def break_down(_: AnyPass) -> bool:
        raise ZeroDivisionError

    harness = Harness(flow(), Script(DONE), quiet=break_down)
    async with harness.working():
        await harness.visit()
        assert harness.visits == ["full", "quiet", "full"]
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert "unexpected ZeroDivisionError in a poll" in caplog.text


# The end of a deletion


@pytest.mark.parametrize(
    "errors",
    [
        pytest.param([StaleError("422", 422)], id="stale"),
        pytest.param([StaleError("422", 422)] * 6, id="stale again and again"),
        pytest.param([KubernetesError("500", 500), KubernetesError("timeout")], id="unavailable"),
    ],
)
async def test_a_finalizer_that_is_not_removed_at_once_does_not_repeat_the_deletion(
    errors: list[Exception | None],
) -> None:
    async def script(pass_: AnyPass) -> Outcome:
        deletions.append(pass_)
        pass_.record_event("Deleted", "Delete", "Deleted it.")
        return DONE

    deletions: list[AnyPass] = []
    harness = Harness(flow(finalizers=[FINALIZER], deletionTimestamp=DELETED), script)
    harness.kubernetes.errors["remove_finalizer"] = errors
    async with harness.working():
        for _ in range(20):
            harness.clock.jump(10.0)
            await settle()
        assert harness.kubernetes.stored is not None
        assert harness.kubernetes.stored["metadata"]["finalizers"] == []
        assert len(deletions) == 1
        assert harness.reasons == ["Deleted"]


async def test_what_was_deleted_of_one_object_says_nothing_of_another_of_its_name() -> None:
    script = Script(DONE)
    harness = Harness(flow(finalizers=[FINALIZER], deletionTimestamp=DELETED), script)
    harness.kubernetes.errors["remove_finalizer"] = [KubernetesError("500", 500)]
    async with harness.working():
        harness.edit(uid="uid-2")
        await settle()
        assert len(script.passes) == 2


# A status that somebody else wrote


async def test_an_intent_beside_ready_is_looked_into_and_goes() -> None:
    """A restored status: whoever is Ready is creating nothing."""
    harness = Harness(flow())
    async with harness.working():
        harness.status["intents"] = [{"slot": "flow", "name": "x", "time": "2026-01-01T00:00:00Z"}]
        harness.edit()
        assert await harness.visit() == ["apply_status"]
        assert "intents" not in harness.status
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert await harness.visit() == []


# What this version can't read


def strange(**fields: Any) -> dict[str, Any]:
    """A dataflow with a frequency of a newer version."""
    spec = {**dataflow_spec(), "schedule": {"frequency": "Month", "interval": 1}, **fields.pop("spec", {})}
    return make_object(spec=spec, **fields)


def recorded(**fields: Any) -> dict[str, Any]:
    """A status that records everything a dataflow has."""
    ids = {"flow": {"id": "flow-1"}, "sourceConnectionId": "source-1", "targetConnectionId": "target-1"}
    return {**ready("True"), **ids, **fields}


async def test_a_spec_that_can_not_be_read_is_said_before_anything_is_done() -> None:
    harness = Harness(strange())
    async with harness.working():
        assert harness.kubernetes.calls == ["apply_status", "apply_event"], "no finalizer"
        assert harness.condition("Ready") == ("False", "SpecNotUnderstood")
        assert harness.condition("Stalled") == ("True", "SpecNotUnderstood")
        assert "spec.schedule.frequency" in message(harness, "Stalled")
        assert harness.status["observedGeneration"] == 1, "or kstatus would have it in progress"
        assert harness.reasons == ["SpecNotUnderstood"]
        assert harness.fakes.platform.counts == (0, 0, 0, 0)
        assert harness.fakes.platform.arguments == {}
        check_invariants(harness.kubernetes.stored)
        assert await harness.visit() == [], "said once"


async def test_a_spec_that_is_corrected_goes_on() -> None:
    harness = Harness(strange())
    async with harness.working():
        assert harness.kubernetes.stored is not None
        harness.kubernetes.stored["spec"] = dataflow_spec()
        harness.edit(generation=2)
        await settle()
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert harness.condition("Stalled") is None
        assert FINALIZER in harness.kubernetes.stored["metadata"]["finalizers"]


async def test_what_is_recorded_stays_while_the_spec_can_not_be_read() -> None:
    """Also what only a newer version knows of it would be made anew, if it were gone from status."""
    harness = Harness(strange(finalizers=[FINALIZER], status=recorded(dataset={"id": ["d1", "d2"]})))
    async with harness.working():
        assert harness.condition("Ready") == ("False", "SpecNotUnderstood")
        kept = {name: harness.status[name] for name in ("flow", "sourceConnectionId", "dataset")}
        assert kept == {
            "flow": {"id": "flow-1"},
            "sourceConnectionId": "source-1",
            "dataset": {"id": ["d1", "d2"]},
        }


async def test_what_was_made_is_held_although_its_spec_can_not_be_read() -> None:
    harness = Harness(strange(status=recorded()))
    async with harness.working():
        assert harness.kubernetes.calls == ["add_finalizer", "apply_status", "apply_event"]


async def test_a_status_that_can_not_be_read_makes_nothing_anew_and_is_looked_at_again() -> None:
    harness = Harness(flow(finalizers=[FINALIZER], status=recorded(flow=[{"id": "flow-1"}])))
    async with harness.working():
        assert "status.flow" in message(harness, "Stalled")
        assert harness.status["flow"] == [{"id": "flow-1"}]
        assert harness.fakes.platform.counts == (0, 0, 0, 0)
        assert harness.kubernetes.stored is not None
        del harness.status["flow"], harness.status["sourceConnectionId"], harness.status["targetConnectionId"]
        harness.edit()
        harness.clock.jump(2.0)
        await settle()
        assert harness.condition("Ready") == ("True", "Succeeded")


async def test_a_value_of_a_newer_version_that_every_pass_tells_anew_is_written_over() -> None:
    harness = Harness(flow(status={"deletionPolicy": "Retain", "newer": 1}))
    async with harness.working():
        assert harness.condition("Ready") == ("True", "Succeeded")
        assert harness.status["deletionPolicy"] == "Delete"


def leaving(policy: str | None, **status: Any) -> Harness:
    """A dataflow whose flow was made, and which is being deleted while its spec can't be read."""
    spec = {"deletionPolicy": policy} if policy else {}
    harness = Harness(
        strange(finalizers=[FINALIZER], deletionTimestamp=DELETED, spec=spec, status=recorded(**status))
    )
    return harness


@pytest.mark.parametrize(
    ("policy", "deleted"),
    [(None, True), ("Delete", True), ("Orphan", False)],
    ids=["left out", "delete", "orphan"],
)
async def test_what_can_not_be_read_can_be_deleted_as_its_policy_says(
    policy: str | None, deleted: bool
) -> None:
    harness = leaving(policy)
    async with harness.working():
        assert harness.kubernetes.stored is None or not harness.kubernetes.stored["metadata"]["finalizers"]
        gone = {name for name in harness.fakes.platform.arguments if name.endswith(".delete")}
        expected = {"flows.delete", "sourceConnections.delete", "targetConnections.delete"}
        assert gone == (expected if deleted else set())


async def test_a_policy_that_can_not_be_read_is_not_guessed_at() -> None:
    harness = leaving("Retain")
    async with harness.working():
        assert harness.condition("Stalled") == ("True", "SpecNotUnderstood")
        assert "spec.deletionPolicy" in message(harness, "Stalled")
        assert not [name for name in harness.fakes.platform.arguments if name.endswith(".delete")]
        assert harness.kubernetes.stored is not None
        harness.kubernetes.stored["spec"]["deletionPolicy"] = "Delete"
        harness.edit(generation=2)
        await settle()
        assert "flows.delete" in harness.fakes.platform.arguments


async def test_who_records_what_can_not_be_read_does_not_go() -> None:
    harness = leaving("Delete", flow=[{"id": "flow-1"}])
    async with harness.working():
        assert "status.flow" in message(harness, "Stalled")
        assert not [name for name in harness.fakes.platform.arguments if name.endswith(".delete")]


async def test_an_event_that_takes_its_time_holds_no_pass_up() -> None:
    passes = []

    async def script(pass_: AnyPass) -> Outcome:
        passes.append(pass_)
        pass_.record_event("Told", "Reconcile", f"Pass {len(passes)}.")
        return DONE

    harness = Harness(make_object(spec=dataflow_spec()), script)
    harness.kubernetes.events_pass.clear()
    async with harness.working():
        harness.edit(generation=2)
        await settle()
        assert len(passes) == 2
        assert harness.kubernetes.written_events == []
        harness.kubernetes.events_pass.set()
        await settle()
        assert [body["note"] for _, _, body in harness.kubernetes.written_events] == ["Pass 1.", "Pass 2."]


class StrictKubernetes(FakeKubernetes):
    """Answers a status after a while, and takes it only onto the version that is there."""

    async def apply_status(
        self, kind: Kind, obj: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        if obj["metadata"]["resourceVersion"] != self._object()["metadata"]["resourceVersion"]:
            raise StaleError("409: stale", 409)
        return await super().apply_status(kind, obj, status)


async def test_checkpoints_side_by_side_meet_no_version_of_each_other() -> None:
    """Steps that create several objects at once each write their intent down before."""

    async def script(pass_: AnyPass) -> Outcome:
        async def begin(slot: str) -> None:
            intent = Intent(slot=slot, name=slot, time=datetime(2026, 1, 1, tzinfo=UTC))
            pass_.record(intents=(*(pass_.status.intents or ()), intent))
            await pass_.journal.checkpoint()

        await together(begin("source"), begin("target"))
        return DONE

    obj = make_object(spec=dataflow_spec())
    harness = Harness(obj, script, kubernetes=StrictKubernetes(obj))
    async with harness.working():
        assert "get" not in harness.kubernetes.calls, "nobody had to read the object again"
        written = [
            [intent["slot"] for intent in body.get("intents", [])] for body in harness.kubernetes.statuses
        ]
        assert ["source", "target"] in written
        assert harness.condition("Ready") == ("True", "Succeeded")
