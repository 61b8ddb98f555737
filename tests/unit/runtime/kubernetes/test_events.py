"""The Events that are written: what they say, how repetitions are counted, and that they never hold up a
pass.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from crmflow.observability.events import Event, EventType
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.runtime.kubernetes.errors import KubernetesError, Refusal
from crmflow.runtime.kubernetes.events import NOTE_BYTES, NOTE_LENGTH, REMEMBERED, WAITING, EventRecorder
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object, recording, settle

EVENT = Event(EventType.WARNING, "TableNotFound", "Reconcile", "No such table.")


class Harness:
    """A recorder over a fake API server."""

    def __init__(self) -> None:
        self.kubernetes = FakeKubernetes()
        self.clock = JumpingClock()
        self.metrics = Metrics()
        self.recorder = EventRecorder(self.kubernetes.port, self.clock, self.metrics, "test")

    async def write(self, obj: dict[str, Any], event: Event) -> None:
        """Record the event, and let it be written."""
        async with recording(self.recorder):
            self.recorder.record(obj, event)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, _, body in self.kubernetes.written_events]


@pytest.fixture
def harness() -> Harness:
    return Harness()


async def test_the_body_has_all_that_the_api_server_asks_for(harness: Harness) -> None:
    await harness.write(make_object(), EVENT)
    [(namespace, name, body)] = harness.kubernetes.written_events
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


async def test_a_repetition_is_counted_under_the_same_name_and_first_time(harness: Harness) -> None:
    for _ in range(3):
        await harness.write(make_object(), EVENT)
        harness.clock.jump(60.0)
    assert len({name for _, name, _ in harness.kubernetes.written_events}) == 1
    assert {body["eventTime"] for body in harness.bodies} == {"2025-10-09T08:53:20.000000Z"}
    assert [body.get("series") for body in harness.bodies] == [
        None,
        {"count": 2, "lastObservedTime": "2025-10-09T08:54:20.000000Z"},
        {"count": 3, "lastObservedTime": "2025-10-09T08:55:20.000000Z"},
    ]


async def test_another_text_reason_or_object_is_another_event(harness: Harness) -> None:
    await harness.write(make_object(), EVENT)
    await harness.write(make_object(), Event(EVENT.type, EVENT.reason, EVENT.action, "Other text."))
    await harness.write(make_object(), Event(EVENT.type, "Other", EVENT.action, EVENT.note))
    await harness.write(make_object(uid="uid-2"), EVENT)
    assert len({name for _, name, _ in harness.kubernetes.written_events}) == 4
    assert [body for body in harness.bodies if "series" in body] == []


async def test_a_note_is_cut_and_clean(harness: Harness) -> None:
    note = "<b>Bearer abc.def</b>\n" + "x" * 3000
    await harness.write(make_object(), Event(EventType.NORMAL, "R", "A", note))
    written = harness.bodies[0]["note"]
    assert len(written) == NOTE_LENGTH <= 1024
    assert "abc.def" not in written
    assert "\n" not in written
    assert "<b>" not in written


@pytest.mark.parametrize("letter", ["ü", "“", "検", "🛑"])
async def test_a_note_is_cut_by_what_the_api_server_counts(harness: Harness, letter: str) -> None:
    """That is bytes. A policy's message may be in any language."""
    await harness.write(make_object(), Event(EventType.WARNING, "R", "A", "x" + letter * 900))
    written = harness.bodies[0]["note"]
    assert NOTE_BYTES - 6 <= len(written.encode()) <= NOTE_BYTES == 1024
    assert written.rstrip("…") == "x" + letter * (len(written) - 2)


@pytest.mark.parametrize("name", ["n" * 253, "n" * 199 + "-" + "x" * 30, "n" * 199 + "." + "x" * 30])
async def test_the_name_is_a_valid_object_name_however_long_the_objects_is(
    harness: Harness, name: str
) -> None:
    await harness.write(make_object(name=name), EVENT)
    [(_, written, _)] = harness.kubernetes.written_events
    assert len(written) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", written)


async def test_an_event_that_can_not_be_written_holds_nobody_up(harness: Harness) -> None:
    harness.kubernetes.errors["apply_event"] = [KubernetesError("403", 403), None]
    await harness.write(make_object(), EVENT)
    await harness.write(make_object(), EVENT)
    count = harness.metrics.registry.get_sample_value(
        "crmflow_kubernetes_writes_total", {"kind": "CRMDataflow", "write": "event"}
    )
    assert count == 1


async def test_only_so_many_events_are_remembered(harness: Harness) -> None:
    async with recording(harness.recorder):
        for number in range(REMEMBERED + 1):
            harness.recorder.record(make_object(), Event(EventType.NORMAL, "R", "A", str(number)))
            await harness.recorder.flush()
    assert len(harness.recorder._counts) == REMEMBERED
    await harness.write(make_object(), Event(EventType.NORMAL, "R", "A", "0"))
    assert "series" not in harness.bodies[-1]


async def test_what_the_api_server_does_not_keep_up_with_is_dropped_and_counted(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(WAITING + 3):
        harness.recorder.record(make_object(), Event(EventType.NORMAL, "R", "A", str(number)))
    dropped = harness.metrics.registry.get_sample_value(
        "crmflow_events_dropped_total", {"kind": "CRMDataflow"}
    )
    assert dropped == 3
    [told] = [record.getMessage() for record in caplog.records if record.name == "crmflow.events"]
    assert told.startswith("1000 Events wait for the API server")
    async with recording(harness.recorder):
        await harness.recorder.flush()
    assert [body["note"] for body in harness.bodies] == [str(number) for number in range(WAITING)]
    await harness.write(make_object(), Event(EventType.NORMAL, "R", "A", str(WAITING)))
    assert "series" not in harness.bodies[-1], "one that was dropped is not counted as told"


async def test_the_end_waits_for_events_only_so_long(harness: Harness) -> None:
    harness.kubernetes.events_pass.clear()
    async with recording(harness.recorder):
        harness.recorder.record(make_object(), EVENT)
        await harness.recorder.flush(within=0.0)
    assert harness.bodies == []


async def test_a_lost_lease_or_a_fault_ends_no_writing(harness: Harness) -> None:
    harness.kubernetes.errors["apply_event"] = [
        PassInterruptedError("not the leader"),
        RuntimeError("a fault"),
    ]
    async with recording(harness.recorder):
        for _ in range(3):
            harness.recorder.record(make_object(), EVENT)
        await settle()
    assert len(harness.bodies) == 1


async def test_a_missing_right_to_write_events_is_told_once(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "crmflow.events")
    refused = KubernetesError("403: cannot patch", 403, refusal=Refusal.RIGHTS)
    ending = KubernetesError("403: being terminated", 403, refusal=Refusal.POLICY)
    harness.kubernetes.errors["apply_event"] = [ending, refused, refused, None, refused]
    for _ in range(3):
        await harness.write(make_object(), EVENT)
    assert [record.getMessage() for record in caplog.records] == ["event not written: 403: cannot patch"]
    for _ in range(2):
        await harness.write(make_object(), EVENT)
    assert len(caplog.records) == 2, "lost anew"
