"""The Events that are written: what they say, how repetitions are counted, and that they never hold up a
pass.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from crmflow.observability.events import Event, EventType
from crmflow.observability.metrics import Metrics
from crmflow.runtime.events import NOTE_LENGTH, REMEMBERED, EventWriter
from crmflow.runtime.kube import KubernetesError
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object

EVENT = Event(EventType.WARNING, "TableNotFound", "Reconcile", "No such table.")


class Stage:
    """A writer over a fake API server."""

    def __init__(self) -> None:
        self.kubernetes = FakeKubernetes()
        self.clock = JumpingClock()
        self.metrics = Metrics()
        self.writer = EventWriter(self.kubernetes.port, self.clock, self.metrics, "test")

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, _, body in self.kubernetes.written_events]


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_the_body_has_all_that_the_api_server_asks_for(stage: Stage) -> None:
    await stage.writer.write(make_object(), EVENT)
    [(namespace, name, body)] = stage.kubernetes.written_events
    assert namespace == "crm"
    assert re.fullmatch(r"contacts\.[0-9a-f]{16}", name)
    assert body == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "crm"},
        "eventTime": "2025-10-09T08:53:20.000000Z",
        "reportingController": "crmflow.io/crmflow",
        "reportingInstance": "test",
        "action": "Reconcile",
        "reason": "TableNotFound",
        "note": "No such table.",
        "type": "Warning",
        "regarding": {
            "apiVersion": "crmflow.io/v1alpha1",
            "kind": "CRMDataflow",
            "namespace": "crm",
            "name": "contacts",
            "uid": "uid-1",
        },
    }


async def test_a_repetition_is_counted_under_the_same_name_and_first_time(stage: Stage) -> None:
    for _ in range(3):
        await stage.writer.write(make_object(), EVENT)
        stage.clock.jump(60.0)
    assert len({name for _, name, _ in stage.kubernetes.written_events}) == 1
    assert {body["eventTime"] for body in stage.bodies} == {"2025-10-09T08:53:20.000000Z"}
    assert [body.get("series") for body in stage.bodies] == [
        None,
        {"count": 2, "lastObservedTime": "2025-10-09T08:54:20.000000Z"},
        {"count": 3, "lastObservedTime": "2025-10-09T08:55:20.000000Z"},
    ]


async def test_another_text_reason_or_object_is_another_event(stage: Stage) -> None:
    await stage.writer.write(make_object(), EVENT)
    await stage.writer.write(make_object(), Event(EVENT.type, EVENT.reason, EVENT.action, "Other text."))
    await stage.writer.write(make_object(), Event(EVENT.type, "Other", EVENT.action, EVENT.note))
    await stage.writer.write(make_object(uid="uid-2"), EVENT)
    assert len({name for _, name, _ in stage.kubernetes.written_events}) == 4
    assert [body for body in stage.bodies if "series" in body] == []


async def test_a_note_is_cut_and_clean(stage: Stage) -> None:
    note = "<b>Bearer abc.def</b>\n" + "x" * 3000
    await stage.writer.write(make_object(), Event(EventType.NORMAL, "R", "A", note))
    written = stage.bodies[0]["note"]
    assert len(written) == NOTE_LENGTH <= 1024
    assert "abc.def" not in written
    assert "\n" not in written
    assert "<b>" not in written


@pytest.mark.parametrize("name", ["n" * 253, "n" * 199 + "-" + "x" * 30, "n" * 199 + "." + "x" * 30])
async def test_the_name_is_a_valid_object_name_however_long_the_objects_is(stage: Stage, name: str) -> None:
    await stage.writer.write(make_object(name=name), EVENT)
    [(_, written, _)] = stage.kubernetes.written_events
    assert len(written) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", written)


async def test_an_event_that_can_not_be_written_holds_nobody_up(stage: Stage) -> None:
    stage.kubernetes.errors["apply_event"] = [KubernetesError("403", 403), None]
    await stage.writer.write(make_object(), EVENT)
    await stage.writer.write(make_object(), EVENT)
    count = stage.metrics.registry.get_sample_value(
        "crmflow_kubernetes_writes_total", {"kind": "CRMDataflow", "write": "event"}
    )
    assert count == 1


async def test_only_so_many_events_are_remembered(stage: Stage) -> None:
    for number in range(REMEMBERED + 1):
        await stage.writer.write(make_object(), Event(EventType.NORMAL, "R", "A", str(number)))
    assert len(stage.writer._counts) == REMEMBERED
    await stage.writer.write(make_object(), Event(EventType.NORMAL, "R", "A", "0"))
    assert "series" not in stage.bodies[-1]
