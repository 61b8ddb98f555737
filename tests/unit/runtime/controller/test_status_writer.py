"""What is written into status, when it is the same, and how conflicts end."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from crmflow.api.base import DeletionPolicy, Intent
from crmflow.api.crmdataflow import CRMDataflowStatus, FlowStatus, ScheduleStatus
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.core.conditions import Condition
from crmflow.reconcile.dataflow.kind import KIND
from crmflow.runtime.controller.resource import Resource
from crmflow.runtime.controller.status_writer import ObjectWriter, ReplacedError, status_body
from crmflow.runtime.kubernetes.client import FINALIZER
from crmflow.runtime.kubernetes.errors import KubernetesError, NotFoundError, StaleError
from tests.unit.runtime.fakes import FakeKubernetes, make_object, ready

CONDITION = ready("True")["conditions"][0]
THEIRS = {**CONDITION, "type": "Theirs", "status": "False"}


class Harness:
    """A writer, and what it passed on."""

    def __init__(self, obj: dict[str, Any]) -> None:
        self.kubernetes = FakeKubernetes(obj)
        self.metrics = Metrics()
        self.passed_on: list[dict[str, Any]] = []
        self.writer = ObjectWriter(self.kubernetes.port, self.metrics, self.passed_on.append)

    def writes(self, write: str) -> float:
        value = self.metrics.registry.get_sample_value(
            "crmflow_kubernetes_writes_total", {"kind": "CRMDataflow", "write": write}
        )
        return value or 0.0


def body(draft: BaseModel, observed: int | None = 1) -> dict[str, Any]:
    return status_body(draft, [Condition.from_wire(CONDITION)], observed)


def test_the_body_has_facts_conditions_and_generation_and_no_nulls() -> None:
    draft = CRMDataflowStatus.model_validate(
        {
            "observedGeneration": 99,
            "conditions": [THEIRS],
            "flow": {"id": "f1"},
            "columns": [],
            "deletionPolicy": "Delete",
            "schedule": {"effectiveStartTime": "2030-01-01T01:00:00+01:00"},
        }
    )
    assert body(draft, 7) == {
        "observedGeneration": 7,
        "conditions": [CONDITION],
        "flow": {"id": "f1"},
        "deletionPolicy": "Delete",
        "schedule": {"effectiveStartTime": "2030-01-01T00:00:00Z"},
    }


def test_without_a_result_no_generation_is_observed() -> None:
    assert body(CRMDataflowStatus(), None) == {"conditions": [CONDITION]}


@pytest.mark.parametrize(
    "current",
    [
        pytest.param(lambda wanted: wanted, id="equal"),
        pytest.param(lambda wanted: {**wanted, "conditions": [THEIRS, CONDITION]}, id="others' condition"),
    ],
)
async def test_what_is_there_already_is_not_written(current: Any) -> None:
    wanted = body(CRMDataflowStatus(flow=FlowStatus(id="f1"), deletion_policy=DeletionPolicy.DELETE))
    obj = make_object(status=current(wanted))
    harness = Harness(obj)
    resource = Resource(KIND, obj)
    assert await harness.writer.write_status(resource, wanted) is resource
    assert harness.kubernetes.calls == []
    assert harness.passed_on == []


DIFFERENT: list[dict[str, Any] | None] = [
    None,
    {},
    {"observedGeneration": 1, "conditions": [CONDITION]},
    {"observedGeneration": 1, "conditions": [CONDITION], "flow": {"id": "f2"}},
    {"observedGeneration": 2, "conditions": [CONDITION], "flow": {"id": "f1"}},
    {"observedGeneration": 1, "conditions": [], "flow": {"id": "f1"}},
    {"observedGeneration": 1, "conditions": [{**CONDITION, "message": "x"}], "flow": {"id": "f1"}},
    {"observedGeneration": 1, "conditions": [CONDITION], "flow": {"id": "f1"}, "intents": []},
]


@pytest.mark.parametrize("status", DIFFERENT)
async def test_each_difference_is_written_and_passed_on(status: dict[str, Any] | None) -> None:
    obj = make_object(status=status)
    harness = Harness(obj)
    wanted = body(CRMDataflowStatus(flow=FlowStatus(id="f1")))
    written = await harness.writer.write_status(Resource(KIND, obj), wanted)
    assert harness.kubernetes.calls == ["apply_status"]
    assert harness.kubernetes.statuses == [wanted]
    assert harness.passed_on == [written.raw]
    assert written.metadata["resourceVersion"] == "2"
    assert harness.writes("status") == 1


async def test_a_stale_write_is_read_again_and_repeated_once() -> None:
    obj = make_object()
    harness = Harness(make_object(version=5))
    harness.kubernetes.errors["apply_status"] = [StaleError("409", 409)]
    written = await harness.writer.write_status(Resource(KIND, obj), body(CRMDataflowStatus()))
    assert harness.kubernetes.calls == ["apply_status", "get", "apply_status"]
    assert written.metadata["resourceVersion"] == "6"
    assert harness.writes("status") == 1


async def test_what_is_kept_is_what_the_newest_version_has() -> None:
    """Somebody may have corrected just that meanwhile."""
    obj = make_object(status={"flow": [{"id": "f1"}], "columns": "all"})
    harness = Harness(make_object(version=5, status={"flow": {"id": "f1"}}))
    harness.kubernetes.errors["apply_status"] = [StaleError("409", 409)]
    written = await harness.writer.write_status(
        Resource(KIND, obj), body(CRMDataflowStatus()), frozenset({"flow", "columns"})
    )
    assert written.status == {"observedGeneration": 1, "conditions": [CONDITION], "flow": {"id": "f1"}}


async def test_a_second_conflict_ends_the_write() -> None:
    harness = Harness(make_object(version=5))
    harness.kubernetes.errors["apply_status"] = [StaleError("409", 409), StaleError("409", 409)]
    with pytest.raises(StaleError):
        await harness.writer.write_status(Resource(KIND, make_object()), body(CRMDataflowStatus()))
    assert harness.kubernetes.calls == ["apply_status", "get", "apply_status"]
    assert harness.passed_on == []
    assert harness.writes("status") == 0


async def test_a_successor_of_the_same_name_is_never_written() -> None:
    harness = Harness(make_object(version=5, uid="new"))
    harness.kubernetes.errors["apply_status"] = [StaleError("409", 409)]
    with pytest.raises(ReplacedError):
        await harness.writer.write_status(Resource(KIND, make_object(uid="old")), body(CRMDataflowStatus()))
    assert harness.kubernetes.statuses == []


async def test_an_object_that_is_gone_says_so() -> None:
    harness = Harness(make_object())
    harness.kubernetes.stored = None
    harness.kubernetes.errors["apply_status"] = [StaleError("409", 409)]
    with pytest.raises(NotFoundError):
        await harness.writer.write_status(Resource(KIND, make_object()), body(CRMDataflowStatus()))


async def test_other_failures_are_not_repeated() -> None:
    harness = Harness(make_object())
    harness.kubernetes.errors["apply_status"] = [KubernetesError("500", 500)]
    with pytest.raises(KubernetesError):
        await harness.writer.write_status(Resource(KIND, make_object()), body(CRMDataflowStatus()))
    assert harness.kubernetes.calls == ["apply_status"]


async def test_the_finalizer_goes_on_and_off_and_is_passed_on() -> None:
    harness = Harness(make_object())
    held = await harness.writer.add_finalizer(Resource(KIND, make_object()))
    assert held.metadata["finalizers"] == [FINALIZER]
    freed = await harness.writer.remove_finalizer(held)
    assert freed.metadata["finalizers"] == []
    assert harness.passed_on == [held.raw, freed.raw]
    assert harness.writes("finalizer") == 2


@pytest.mark.parametrize("call", ["add_finalizer", "remove_finalizer"])
async def test_a_stale_finalizer_patch_is_left_to_the_next_pass(call: str) -> None:
    harness = Harness(make_object())
    harness.kubernetes.errors[call] = [StaleError("422", 422)]
    with pytest.raises(StaleError):
        await getattr(harness.writer, call)(Resource(KIND, make_object()))
    assert harness.kubernetes.calls == [call]


def test_facts_read_back_as_they_were_written() -> None:
    draft = CRMDataflowStatus.model_validate(
        {
            "flow": {"id": "f1", "state": "enabled"},
            "columns": ["a", "b"],
            "schedule": {"startTime": "2030-01-01T00:00:00Z", "backfill": False},
            "intents": [{"slot": "flow", "name": "n", "time": "2030-01-01T00:00:00Z"}],
        }
    )
    written = body(draft)
    again = CRMDataflowStatus.model_validate(written)
    assert body(again) == written
    assert isinstance(again.schedule, ScheduleStatus)
    assert again.intents is not None
    assert isinstance(again.intents[0], Intent)


STALLED = {**CONDITION, "type": "Stalled"}
INTENT = {"slot": "flow", "name": "x", "time": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "kept",
    [
        {"conditions": [STALLED]},
        {"intents": [INTENT], "lastRun": {"id": "r1"}},
        {"conditions": [THEIRS, STALLED], "intents": [INTENT]},
    ],
)
async def test_what_another_manager_wrote_of_ours_and_we_do_not_say_is_taken_away(
    kept: dict[str, Any],
) -> None:
    obj = make_object(status={**kept, "conditions": kept.get("conditions", [])})
    harness = Harness(obj)
    harness.kubernetes.kept = kept
    wanted = body(CRMDataflowStatus(flow=FlowStatus(id="f1")))
    written = await harness.writer.write_status(Resource(KIND, obj), wanted)
    theirs = [entry for entry in kept.get("conditions", ()) if entry["type"] == "Theirs"]
    assert written.status == {**wanted, "conditions": [CONDITION, *theirs]}
    assert harness.kubernetes.calls == ["apply_status", "replace_status"]
    assert harness.passed_on == [written.raw]
    assert await harness.writer.write_status(written, wanted) is written


async def test_a_foreign_condition_takes_no_second_write() -> None:
    obj = make_object(status={"conditions": [THEIRS]})
    harness = Harness(obj)
    harness.kubernetes.kept = {"conditions": [THEIRS]}
    await harness.writer.write_status(Resource(KIND, obj), body(CRMDataflowStatus()))
    assert harness.kubernetes.calls == ["apply_status"]


async def test_a_removal_that_is_stale_is_repeated_with_the_whole_write() -> None:
    obj = make_object(status={"conditions": [STALLED]})
    harness = Harness(obj)
    harness.kubernetes.kept = {"conditions": [STALLED]}
    harness.kubernetes.errors["replace_status"] = [StaleError("422", 422)]
    written = await harness.writer.write_status(Resource(KIND, obj), body(CRMDataflowStatus()))
    assert written.status["conditions"] == [CONDITION]
    assert harness.kubernetes.calls == [
        "apply_status",
        "replace_status",
        "get",
        "apply_status",
        "replace_status",
    ]
