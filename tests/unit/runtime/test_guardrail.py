"""The metric and the event about Profile's limit on batches."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.observability.metrics import Metrics
from crmflow.reconcile.connection.reconciler import RECONCILER as CONNECTION
from crmflow.reconcile.dataflow.reconciler import RECONCILER as DATAFLOW
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.events import EventWriter
from crmflow.runtime.guardrail import ProfileGuardrail
from crmflow.runtime.keys import Key
from tests.unit.reconcile.world import connection_spec, dataflow_spec
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object

SANDBOX = {"organization": "1A2B@AdobeOrg", "sandbox": "prod"}


class Stage:
    """A guardrail over a cache."""

    def __init__(self) -> None:
        self.metrics, self.kubernetes, clock = Metrics(), FakeKubernetes(), JumpingClock()
        self.cache = ObjectCache({reconciler.kind.kind: reconciler for reconciler in (CONNECTION, DATAFLOW)})
        self._events = EventWriter(self.kubernetes.port, clock, self.metrics, "test")
        self._clock = clock
        self.restart()
        self._version = 0
        for name in ("zoho-eu", "zoho-us"):
            self.put("ZohoSourceConnection", name, connection_spec(), {})

    def restart(self) -> None:
        """Forget what was seen."""
        self.guardrail = ProfileGuardrail(self.cache, self._events, self.metrics, self._clock, 300.0)

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
        await self.guardrail.look()
        value = self.metrics.registry.get_sample_value("crmflow_profile_runs_per_day", SANDBOX)
        events = [body for _, _, body in self.kubernetes.written_events[before:]]
        return value, [(body["regarding"]["name"], body["reason"]) for body in events]


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_all_dataflows_of_a_sandbox_count_whatever_connection_they_use(stage: Stage) -> None:
    stage.dataflow("a", 30)
    stage.dataflow("b", 60, "zoho-us")
    stage.dataflow("c", 15, profile=False)
    assert await stage.look() == (72.0, [])


async def test_the_object_that_crosses_is_told_once(stage: Stage) -> None:
    crossed = ("b", "ProfileBatchesExceeded")
    stage.dataflow("a", 30)
    assert await stage.look() == (48.0, [])
    stage.dataflow("b", 30)
    assert await stage.look() == (96.0, [crossed])
    stage.dataflow("c", 30)
    assert await stage.look() == (144.0, []), "it was over the limit before"
    stage.dataflow("c", 60, profile=False)
    stage.dataflow("b", 60)
    assert await stage.look() == (72.0, [])
    stage.dataflow("b", 30)
    assert await stage.look() == (96.0, [crossed])
    note = stage.kubernetes.written_events[-1][2]["note"]
    assert "96 runs a day" in note
    assert '"prod"' in note


async def test_a_restart_tells_nothing_else_of_a_sandbox_that_is_over_the_limit(stage: Stage) -> None:
    stage.dataflow("a", 30)
    stage.dataflow("b", 30)
    await stage.look()
    stage.dataflow("c", 30)
    await stage.look()
    stage.restart()
    await stage.look()
    assert len({name for _, name, _ in stage.kubernetes.written_events}) == 1, "one Event, told again"


async def test_a_sandbox_that_is_no_longer_used_has_no_metric(stage: Stage) -> None:
    stage.dataflow("a", 30)
    await stage.look()
    for name in ("zoho-eu", "zoho-us"):
        stage.cache.remove(Key("ZohoSourceConnection", "crm", name))
    assert await stage.look() == (None, [])
