"""The metric and the event about Profile's limit on batches."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crmflow.observability.metrics import Metrics
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.kubernetes.events import EventRecorder
from crmflow.runtime.profile_guardrail import ProfileGuardrail, crossing
from tests.unit.reconcile.harness import connection_spec, dataflow_spec
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object, recording, settle

SANDBOX = {"organization": "1A2B@AdobeOrg", "sandbox": "prod"}


class Harness:
    """A guardrail over a cache."""

    def __init__(self) -> None:
        self.metrics, self.kubernetes, clock = Metrics(), FakeKubernetes(), JumpingClock()
        self.cache = ObjectCache({kind.name: kind for kind in (CONNECTION, DATAFLOW)})
        self._events = EventRecorder(self.kubernetes.port, clock, self.metrics, "test")
        self.clock = clock
        self.restart()
        self._version = 0
        for name in ("zoho-eu", "zoho-us"):
            self.put("ZohoSourceConnection", name, connection_spec(), {})

    def restart(self) -> None:
        """Forget what was seen."""
        self.guardrail = ProfileGuardrail(self.cache, self._events, self.metrics, self.clock, 300.0)

    def put(self, kind: str, name: str, spec: dict[str, Any], status: dict[str, Any]) -> None:
        self._version += 1
        created = f"2026-01-01T00:00:{self._version:02}Z"
        self.cache.put(
            make_object(
                kind, name, version=self._version, spec=spec, status=status, creationTimestamp=created
            )
        )

    def dataflow(self, name: str, minutes: int, connection: str = "zoho-eu", profile: bool = True) -> None:
        """A dataflow that runs every so many minutes."""
        schedule = {"frequency": "Minute", "interval": minutes}
        spec = dataflow_spec(schedule=schedule, connectionRef={"name": connection})
        dataset = {"id": "d1", "profileEnabled": profile}
        self.put("CRMDataflow", name, spec, {"flow": {"id": f"flow-{name}"}, "dataset": dataset})

    async def look(self) -> tuple[float | None, list[tuple[str, str]]]:
        """The metric, and name and reason of the new events."""
        before = len(self.kubernetes.written_events)
        async with recording(self._events):
            await self.guardrail.look()
        value = self.metrics.registry.get_sample_value("crmflow_profile_runs_per_day", SANDBOX)
        events = [body for _, _, body in self.kubernetes.written_events[before:]]
        return value, [(body["regarding"]["name"], body["reason"]) for body in events]


@pytest.fixture
def harness() -> Harness:
    return Harness()


async def test_all_dataflows_of_a_sandbox_count_whatever_connection_they_use(harness: Harness) -> None:
    harness.dataflow("a", 30)
    harness.dataflow("b", 60, "zoho-us")
    harness.dataflow("c", 15, profile=False)
    assert await harness.look() == (72.0, [])


async def test_the_object_that_crosses_is_told_once(harness: Harness) -> None:
    crossed = ("b", "ProfileBatchesExceeded")
    harness.dataflow("a", 30)
    assert await harness.look() == (48.0, [])
    harness.dataflow("b", 30)
    assert await harness.look() == (96.0, [crossed])
    harness.dataflow("c", 30)
    assert await harness.look() == (144.0, []), "it was over the limit before"
    harness.dataflow("c", 60, profile=False)
    harness.dataflow("b", 60)
    assert await harness.look() == (72.0, [])
    harness.dataflow("b", 30)
    assert await harness.look() == (96.0, [crossed])
    note = harness.kubernetes.written_events[-1][2]["note"]
    assert "96 runs a day" in note
    assert '"prod"' in note


async def test_a_restart_tells_nothing_else_of_a_sandbox_that_is_over_the_limit(harness: Harness) -> None:
    harness.dataflow("a", 30)
    harness.dataflow("b", 30)
    await harness.look()
    harness.dataflow("c", 30)
    await harness.look()
    harness.restart()
    await harness.look()
    assert len({name for _, name, _ in harness.kubernetes.written_events}) == 1, "one Event, told again"


async def test_a_sandbox_that_is_no_longer_used_has_no_metric(harness: Harness) -> None:
    harness.dataflow("a", 30)
    await harness.look()
    for name in ("zoho-eu", "zoho-us"):
        harness.cache.remove(Key("ZohoSourceConnection", "crm", name))
    assert await harness.look() == (None, [])


async def test_a_dataflow_that_can_not_be_read_hides_no_other(harness: Harness) -> None:
    harness.dataflow("a", 30)
    spec = dataflow_spec(schedule={"frequency": "Minute", "interval": 15, "startTime": "+99:99"})
    status = {"flow": {"id": "flow-b"}, "dataset": {"id": "d1", "profileEnabled": True}}
    harness.put("CRMDataflow", "b", spec, status)
    assert await harness.look() == (48.0, [])


async def test_nothing_ends_because_a_sum_fails(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []

    async def look() -> None:
        looks.append(None)
        raise RuntimeError("a mistake")

    monkeypatch.setattr(harness.guardrail, "look", look)
    running = asyncio.create_task(harness.guardrail.run())
    try:
        for _ in range(3):
            await settle()
            harness.clock.jump(300.0)
        await settle()
        assert len(looks) == 3
        assert not running.done()
    finally:
        running.cancel()


async def test_what_can_not_be_read_counts_nothing_and_hides_nothing(harness: Harness) -> None:
    harness.dataflow("contacts", 60)
    reads = {"connectionRef": {"name": "zoho-eu"}}
    into = {"flow": {"id": "f"}, "dataset": {"profileEnabled": True}}
    harness.put("CRMDataflow", "monthly", {**reads, "schedule": {"frequency": "Month"}}, into)
    harness.put("CRMDataflow", "without", reads, into)
    harness.put("CRMDataflow", "odd", {**reads, "schedule": []}, {"flow": "f", "dataset": ["d"]})
    harness.put("ZohoSourceConnection", "odd", {"platform": "prod"}, {})
    assert await harness.look() == (24.0, [])


@pytest.mark.parametrize(
    ("before", "now", "culprit"),
    [
        ({}, {}, None),
        ({}, {"a": 90.0}, None),
        ({}, {"a": 96.0}, "a"),
        ({}, {"a": 48.0, "b": 42.0, "c": 1.0}, "c"),
        ({"a": 48.0, "c": 24.0}, {"a": 48.0, "b": 24.0, "c": 24.0}, "b"),
        ({"a": 24.0, "b": 48.0}, {"a": 48.0, "b": 48.0}, "a"),
        ({"a": 96.0}, {"a": 96.0, "b": 24.0}, None),
        ({"a": 96.0}, {"a": 48.0}, None),
        ({"a": 48.0, "b": 42.0}, {"a": 96.0}, "a"),
        ({"a": 80.0, "b": 10.0}, {"a": 10.0, "b": 80.0}, None),
    ],
)
def test_the_one_that_crosses_is_named(
    before: dict[str, float], now: dict[str, float], culprit: str | None
) -> None:
    crossed = crossing(before, now)
    assert (crossed and crossed[0]) == culprit
