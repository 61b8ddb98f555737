"""What is written into status, when it is the same, and how conflicts end."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from crmflow.api.base import DeletionPolicy, Intent
from crmflow.api.crmdataflow import CRMDataflowStatus, FlowStatus, ScheduleStatus
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.dataflow.reconciler import RECONCILER
from crmflow.runtime.kube import FINALIZER, KubernetesError, NotFoundError, StaleError
from crmflow.runtime.status import ObjectWriter, ReplacedError, status_body
from tests.unit.runtime.fakes import FakeKubernetes, make_object, ready

CONDITION = ready("True")["conditions"][0]
THEIRS = {**CONDITION, "type": "Theirs", "status": "False"}


class Stage:
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
    return status_body(draft, [CONDITION], observed)


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
    stage = Stage(obj)
    assert await stage.writer.write_status(RECONCILER, obj, wanted) is obj
    assert stage.kubernetes.calls == []
    assert stage.passed_on == []


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
    stage = Stage(obj)
    wanted = body(CRMDataflowStatus(flow=FlowStatus(id="f1")))
    written = await stage.writer.write_status(RECONCILER, obj, wanted)
    assert stage.kubernetes.calls == ["apply_status"]
    assert stage.kubernetes.statuses == [wanted]
    assert stage.passed_on == [written]
    assert written["metadata"]["resourceVersion"] == "2"
    assert stage.writes("status") == 1


async def test_a_stale_write_is_read_again_and_repeated_once() -> None:
    obj = make_object()
    stage = Stage(make_object(version=5))
    stage.kubernetes.errors["apply_status"] = [StaleError("409", 409)]
    written = await stage.writer.write_status(RECONCILER, obj, body(CRMDataflowStatus()))
    assert stage.kubernetes.calls == ["apply_status", "get", "apply_status"]
    assert written["metadata"]["resourceVersion"] == "6"
    assert stage.writes("status") == 1


async def test_a_second_conflict_ends_the_write() -> None:
    stage = Stage(make_object(version=5))
    stage.kubernetes.errors["apply_status"] = [StaleError("409", 409), StaleError("409", 409)]
    with pytest.raises(StaleError):
        await stage.writer.write_status(RECONCILER, make_object(), body(CRMDataflowStatus()))
    assert stage.kubernetes.calls == ["apply_status", "get", "apply_status"]
    assert stage.passed_on == []
    assert stage.writes("status") == 0


async def test_a_successor_of_the_same_name_is_never_written() -> None:
    stage = Stage(make_object(version=5, uid="new"))
    stage.kubernetes.errors["apply_status"] = [StaleError("409", 409)]
    with pytest.raises(ReplacedError):
        await stage.writer.write_status(RECONCILER, make_object(uid="old"), body(CRMDataflowStatus()))
    assert stage.kubernetes.statuses == []


async def test_an_object_that_is_gone_says_so() -> None:
    stage = Stage(make_object())
    stage.kubernetes.stored = None
    stage.kubernetes.errors["apply_status"] = [StaleError("409", 409)]
    with pytest.raises(NotFoundError):
        await stage.writer.write_status(RECONCILER, make_object(), body(CRMDataflowStatus()))


async def test_other_failures_are_not_repeated() -> None:
    stage = Stage(make_object())
    stage.kubernetes.errors["apply_status"] = [KubernetesError("500", 500)]
    with pytest.raises(KubernetesError):
        await stage.writer.write_status(RECONCILER, make_object(), body(CRMDataflowStatus()))
    assert stage.kubernetes.calls == ["apply_status"]


async def test_the_finalizer_goes_on_and_off_and_is_passed_on() -> None:
    stage = Stage(make_object())
    held = await stage.writer.add_finalizer(RECONCILER, make_object())
    assert held["metadata"]["finalizers"] == [FINALIZER]
    freed = await stage.writer.remove_finalizer(RECONCILER, held)
    assert freed["metadata"]["finalizers"] == []
    assert stage.passed_on == [held, freed]
    assert stage.writes("finalizer") == 2


@pytest.mark.parametrize("call", ["add_finalizer", "remove_finalizer"])
async def test_a_stale_finalizer_patch_is_left_to_the_next_pass(call: str) -> None:
    stage = Stage(make_object())
    stage.kubernetes.errors[call] = [StaleError("422", 422)]
    with pytest.raises(StaleError):
        await getattr(stage.writer, call)(RECONCILER, make_object())
    assert stage.kubernetes.calls == [call]


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
