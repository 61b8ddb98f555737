"""What one resource costs does not grow with the number of resources: counted in objects that are decoded and
entries that are visited, not in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from crmflow.aep.flow_service import FLOWS, SOURCE_CONNECTIONS
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.sources.ways import Sources
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.lister import CacheLister
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.controller.watch import ResourceEventHandler
from crmflow.runtime.inventory.polled_sandbox import Installation, Sandboxes, Scope
from crmflow.runtime.kubernetes.events import EventRecorder
from crmflow.runtime.profile_guardrail import ProfileGuardrail
from tests.unit.reconcile.harness import connection_spec, dataflow_spec
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object, ready
from tests.unit.runtime.listings import FakeListings, listed

SCOPE = Scope("org", "prod", "credential")
ZOHO = Key("ZohoSourceConnection", "crm", "zoho-eu")
LOST = 8
"""So many flows have vanished, whatever the number of resources."""


class Counts:
    """What was done since the last :meth:`take`."""

    def __init__(self) -> None:
        self.decoded = 0
        self.visited = 0

    def take(self) -> tuple[int, int]:
        taken = self.decoded, self.visited
        self.decoded = self.visited = 0
        return taken


class Counted(dict[Any, Any]):
    """A dictionary that counts the entries that are looked at."""

    def __init__(self, items: dict[Any, Any], counts: Counts) -> None:
        super().__init__(items)
        self._counts = counts

    def __iter__(self) -> Iterator[Any]:
        for key in super().__iter__():
            self._counts.visited += 1
            yield key

    def keys(self) -> Any:
        return list(self)

    def values(self) -> Any:
        return [super(Counted, self).__getitem__(key) for key in self]

    def items(self) -> Any:
        return [(key, super(Counted, self).__getitem__(key)) for key in self]

    def __getitem__(self, key: Any) -> Any:
        self._counts.visited += 1
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        self._counts.visited += 1
        return super().get(key, default)


class Harness:
    """One connection with ``count`` dataflows, some of whose flows have vanished, and as many own writes."""

    def __init__(self, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.counts, clock = count, Counts(), JumpingClock()
        kubernetes, metrics = FakeKubernetes(), Metrics()
        kinds = {kind.name: kind for kind in (CONNECTION, DATAFLOW)}
        self.cache, self.client = ObjectCache(kinds), FakeListings()
        self.handler = ResourceEventHandler(
            self.cache, WorkQueue(clock), recheck=lambda _: None, forget=lambda _: None
        )
        events = EventRecorder(kubernetes.port, clock, metrics, "test")
        sandboxes = Sandboxes(
            Installation("test", 60.0, 300.0),
            clock,
            self.cache,
            kinds,
            Sources.new(clock),
            lambda _: False,
        )
        self.guardrail = ProfileGuardrail(self.cache, events, metrics, clock, 300.0)
        self.handler.seen(
            make_object(*ZOHO[::2], spec=connection_spec(), status={**ready("True"), "tables": 1})
        )
        for number in range(count):
            self.handler.seen(self.dataflow(number))
            if number >= LOST:
                self.client.hold(FLOWS, listed(f"f{number}", identity=self.identity(number)))
        self.inventory = sandboxes.open(SCOPE, self.client, lambda: [ZOHO]).inventory
        for number in range(count):
            item = listed(f"new{number}", "source", identity=self.identity(number))
            self.inventory.created(SOURCE_CONNECTIONS, item)
        counted_loads = orjson.loads

        def loads(data: bytes) -> Any:
            self.counts.decoded += 1
            return counted_loads(data)

        monkeypatch.setattr("crmflow.runtime.controller.cache.orjson.loads", loads)
        self.cache._entries = Counted(self.cache._entries, self.counts)
        own = self.inventory._own_writes
        own._created = Counted(own._created, self.counts)

    def identity(self, number: int) -> Identity:
        return Identity("test", "CRMDataflow", "crm", f"d{number}", "uid-1")

    def dataflow(self, number: int, version: int = 1, **fields: Any) -> dict[str, Any]:
        status = {**ready("True"), "flow": {"id": f"f{number}"}}
        if number < LOST:
            intent = {"slot": "schema", "name": f"Schema {number}", "time": "2026-01-01T00:00:00Z"}
            status["intents"] = [intent]
        return make_object(
            name=f"d{number}", version=version, spec=dataflow_spec(), status={**status, **fields}
        )


async def costs(harness: Harness) -> dict[str, tuple[int, int]]:
    """What each question of a pass, and each event, costs."""
    inventory, handler, found = harness.inventory, harness.handler, {}
    lister = CacheLister(harness.cache)
    await inventory.absence(FLOWS, "f0")  # finds out for all what the listing lacks
    await harness.guardrail.look()
    harness.counts.take()
    for number in (1, 2):
        assert await inventory.absence(FLOWS, f"f{number}") is not Absence.HIDDEN
    found["absence"] = harness.counts.take()
    assert len(lister.intents_of_others("CRMDataflow/crm/another", "schema", "Schema 3")) == 1
    found["intents of others"] = harness.counts.take()
    last = harness.count - 1
    key = harness.identity(last).key("source")
    assert [item.id for item in inventory.with_key(SOURCE_CONNECTIONS, key)] == [f"new{last}"]
    found["objects with a key"] = harness.counts.take()
    assert inventory.item(SOURCE_CONNECTIONS, f"new{last}") is not None
    found["an object"] = harness.counts.take()
    assert lister.owner_of(f"f{last}") == f"CRMDataflow/crm/d{last}"
    assert inventory.recorded_by(f"f{last}") is not None
    found["an owner"] = harness.counts.take()
    handler.seen(harness.dataflow(last, version=2, tables=1))
    found["a change"] = harness.counts.take()
    handler.gone(harness.dataflow(last, version=2))
    found["an end"] = harness.counts.take()
    harness.handler.seen(harness.dataflow(0, version=3))
    harness.counts.take()
    await harness.guardrail.look()
    found["decoded by the guardrail"] = (harness.counts.take()[0], 0)
    return found


async def test_a_pass_costs_the_same_among_a_hundred_and_ten_thousand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        few = await costs(Harness(100, patch))
    with monkeypatch.context() as patch:
        many = await costs(Harness(10_000, patch))
    assert few == many
    assert few["absence"][0] == 0, "nothing is decoded to decide an absence"


async def test_what_was_not_recorded_when_a_listing_was_judged_is_judged_with_all_that_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A backup brings many resources back at once, which record what is long gone."""
    harness = Harness(60, monkeypatch)
    assert await harness.inventory.absence(FLOWS, "f0") is Absence.MASS_DELETION
    harness = Harness(200, monkeypatch)
    assert await harness.inventory.absence(FLOWS, "f0") is Absence.GONE
    for number in range(200, 230):
        harness.handler.seen(harness.dataflow(number))
    assert await harness.inventory.absence(FLOWS, "f200") is Absence.MASS_DELETION


async def test_only_what_changed_is_decoded_by_the_guardrail(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(100, monkeypatch)
    await harness.guardrail.look()
    harness.counts.take()
    await harness.guardrail.look()
    assert harness.counts.take()[0] == 0
    harness.handler.seen(replace_spec(harness.dataflow(3, version=2)))
    await harness.guardrail.look()
    assert harness.counts.take()[0] == 1


def replace_spec(obj: dict[str, Any]) -> dict[str, Any]:
    return {**obj, "spec": {**obj["spec"], "paused": True}}
