"""A kind with none of the capabilities: no remote objects, nothing that it adopts or refers to, no finalizer;
its resources come to an end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import pytest

from crmflow.api.base import PASSING, Conditions, Model
from crmflow.api.kinds import Kind
from crmflow.reconcile.core.conditions import ConditionType
from crmflow.reconcile.core.engine import Pass, step
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.outcome import PassEndedError, WaitingError, completed
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.lister import CacheLister
from crmflow.runtime.kubernetes.errors import KubernetesError, Refusal
from tests.kit.invariants import check_invariants
from tests.unit.runtime.controller.harness import Harness
from tests.unit.runtime.fakes import make_object, settle

WEEK = 7 * 86400.0
MOVED = ConditionType("Moved", "All records have arrived.")


class RunSpec(Model):
    """What somebody wants to run."""

    result: Literal["Pending", "Good", "Bad"] = "Pending"
    keep_seconds: int | None = None


class RunStatus(Model):
    """What every pass tells anew."""

    remote_ids: ClassVar = frozenset[str]()
    found_anew: ClassVar = PASSING
    observed_generation: int | None = None
    served_by: str | None = None
    conditions: Conditions = ()
    last_handled_reconcile_at: str | None = None


@step(MOVED)
async def follow(pass_: Pass[Any, Any]) -> None:
    match pass_.spec.result:
        case "Pending":
            raise WaitingError("Running", "The run goes on.")
        case "Good":
            raise PassEndedError(completed("Completed", "All records have arrived."))
        case _:
            raise PassEndedError(completed("RunFailed", "The run has failed.", failed=True))


API = Kind("Run", "runs", ("run",), "A run.", RunSpec, RunStatus, ())
RUN = ManagedKind(
    api=API,
    conditions=(MOVED,),
    make_pass=Pass,
    reconcile=follow,
    ready_message=lambda _: "",
    time_to_live=lambda spec: spec.keep_seconds,
)


def run(**spec: Any) -> dict[str, Any]:
    return make_object("Run", "june", spec=spec)


async def test_it_waits_and_comes_to_an_end() -> None:
    harness = Harness(run(), kind=RUN)
    async with harness.working():
        assert harness.condition("Ready") == ("False", "Running")
        harness.kubernetes.stored["spec"]["result"] = "Good"
        harness.edit(generation=2)
        await settle()
        assert harness.condition("Ready") == harness.condition("Moved") == ("True", "Completed")
        assert harness.condition("Reconciling") is None
        check_invariants(harness.kubernetes.stored)
        before = list(harness.kubernetes.calls)
        harness.clock.jump(WEEK)
        await settle()
        assert harness.kubernetes.calls == before, "neither compared nor tried again"
    assert set(harness.kubernetes.calls) == {"apply_status"}, "no finalizer, and nothing deleted"


async def test_an_end_that_nobody_wanted_needs_a_person_and_is_not_tried_again() -> None:
    harness = Harness(run(result="Bad"), kind=RUN)
    async with harness.working():
        assert harness.condition("Ready") == ("False", "RunFailed")
        assert harness.condition("Stalled") == ("True", "RunFailed")
        check_invariants(harness.kubernetes.stored)
        before = list(harness.kubernetes.calls)
        harness.clock.jump(WEEK)
        await settle()
        assert harness.kubernetes.calls == before
    assert harness.reasons == ["RunFailed"]


@pytest.mark.parametrize("result", ["Good", "Bad"])
async def test_it_is_removed_when_its_time_to_live_is_up(result: str) -> None:
    harness = Harness(run(result=result, keepSeconds=600), kind=RUN)
    async with harness.working():
        harness.clock.jump(599)
        await settle()
        assert "delete" not in harness.kubernetes.calls
        harness.clock.jump(1)
        await settle()
        assert harness.kubernetes.calls.count("delete") == 1
        harness.handler.gone(run())  # as the watch tells
        harness.clock.jump(WEEK)
        await settle()
        assert harness.kubernetes.calls.count("delete") == 1
        assert harness.cache.keys() == []


@pytest.mark.parametrize("reads", range(1, 5))
async def test_the_clock_may_be_moved_at_any_moment(monkeypatch: pytest.MonkeyPatch, reads: int) -> None:
    """Also between two looks at it, of one pass that has come to its end."""
    harness = Harness(run(result="Good", keepSeconds=600), kind=RUN)
    seen, now = 0, harness.clock.now

    def moving() -> float:
        nonlocal seen
        found = now()
        seen += harness.kubernetes.calls.count("apply_status") == 2
        if seen == reads:
            harness.clock.jump(1000)
        return found

    monkeypatch.setattr(harness.clock, "now", moving)
    async with harness.working():
        assert seen >= reads
        assert harness.kubernetes.calls.count("delete") == 1


async def test_after_a_restart_its_time_goes_on() -> None:
    harness = Harness(run(result="Good", keepSeconds=600), kind=RUN)
    async with harness.working():
        pass
    again = Harness(harness.kubernetes.stored, kind=RUN)
    async with again.working():
        assert again.kubernetes.calls == [], "what is written is all there is to say"
        again.clock.jump(600)
        await settle()
        assert again.kubernetes.calls == ["delete"]


async def test_a_removal_that_is_refused_is_tried_again_in_an_hour() -> None:
    harness = Harness(run(result="Good", keepSeconds=0), kind=RUN)
    harness.kubernetes.errors["delete"] = [KubernetesError("403", 403, refusal=Refusal.RIGHTS)]
    async with harness.working():
        assert harness.kubernetes.calls.count("delete") == 1
        harness.clock.jump(3600)
        await settle()
        assert harness.kubernetes.calls.count("delete") == 2


async def test_a_removal_that_meets_a_newer_version_looks_again() -> None:
    harness = Harness(run(result="Good", keepSeconds=60), kind=RUN)
    async with harness.working():
        harness.kubernetes.stored["metadata"]["resourceVersion"] = "9"
        harness.kubernetes.stored["spec"]["keepSeconds"] = 6000
        harness.clock.jump(60)
        await settle()
        assert harness.kubernetes.stored is not None
        harness.clock.jump(1)  # read anew by now
        await settle()
        harness.clock.jump(5000)
        await settle()
        assert harness.kubernetes.stored is not None


async def test_a_deletion_by_somebody_else_forgets_it() -> None:
    harness = Harness(run(), kind=RUN)
    async with harness.working():
        harness.handler.gone(harness.kubernetes.stored)
        harness.clock.jump(WEEK)
        await settle()
        assert harness.cache.keys() == []
        assert harness.kubernetes.calls.count("apply_status") == 2, "only the first pass has written"


async def test_who_looks_at_it_sees_its_models_and_no_remote_objects() -> None:
    harness = Harness(run(result="Good"), kind=RUN)
    async with harness.working():
        view = CacheLister(harness.cache).get(API, "crm", "june")
        assert view is not None
        assert (view.ready, view.spec.result) == (True, "Good")
        assert harness.cache.recorded_ids(harness.key) == {}
        assert harness.cache.uses(harness.key) == harness.cache.rivals(harness.key) == []
        assert CacheLister(harness.cache).referrers(API, "crm", "june") == []


async def test_a_kind_that_refers_to_another_wakes_with_it() -> None:
    follower = replace(RUN, references=lambda spec: [("Secret", "key")])
    harness = Harness(run(), kind=follower)
    async with harness.working():
        harness.handler.secret_changed("crm", "key")
        assert harness.queue.depth == 1
        assert harness.cache.referrers("Secret", "crm", "key") == [Key("Run", "crm", "june")]
