"""What the resources tell for the metrics: as long as they are there, and as they are now."""

from __future__ import annotations

from typing import Any

from crmflow.observability.metrics import Metrics
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.resource_readings import ResourceReadings
from tests.unit.reconcile.harness import dataflow_spec
from tests.unit.runtime.fakes import make_object

RUNS = "crmflow_dataflow_runs_total"


class Harness:
    """A process that has seen some resources."""

    def __init__(self) -> None:
        self.cache = ObjectCache({kind.name: kind for kind in (CONNECTION, DATAFLOW)})
        self.metrics = Metrics()
        self.left: set[Key] = set()
        self.metrics.resources.read = ResourceReadings(self.cache, self.left.__contains__)
        self._version = 0

    def put(self, name: str, kind: str = "CRMDataflow", **status: Any) -> None:
        self._version += 1
        self.cache.put(make_object(kind, name, version=self._version, spec=dataflow_spec(), status=status))

    def shown(self, metric: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values of a metric, by name of the resource and some labels."""
        return {
            (sample.labels["name"], *(sample.labels[label] for label in labels)): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == metric
        }


def condition(type_: str, status: str, reason: str = "Why") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": ""}


def test_a_new_process_shows_what_stands_in_status() -> None:
    harness = Harness()
    harness.put("contacts", flow={"id": "f1"}, totals={"runsFailed": 3})
    assert harness.shown(RUNS, "result")["contacts", "Failed"] == 3


def test_each_scrape_shows_what_is_there_then() -> None:
    harness = Harness()
    for name in ("contacts", "deals"):
        harness.put(name, flow={"id": "f1"}, totals={"windows": 1})
    harness.put("contacts", flow={"id": "f1"}, totals={"runsSucceeded": 2})
    assert harness.shown(RUNS, "result")["contacts", "Succeeded"] == 2
    harness.put("contacts", flow={"id": "f1"}, totals={"runsSucceeded": 3})
    assert harness.shown(RUNS, "result")["contacts", "Succeeded"] == 3
    harness.cache.remove(Key("CRMDataflow", "crm", "contacts"))
    assert {name for name, _ in harness.shown(RUNS, "result")} == {"deals"}


def test_another_installation_tells_of_what_it_serves() -> None:
    harness = Harness()
    harness.put("contacts", flow={"id": "f1"})
    harness.left.add(Key("CRMDataflow", "crm", "contacts"))
    assert harness.shown(RUNS) == {}
    harness.left.clear()
    assert harness.shown(RUNS) != {}


def test_ready_shows_always_and_other_conditions_while_they_are_not_as_they_should_be() -> None:
    harness = Harness()
    harness.put(
        "contacts",
        conditions=[
            condition("Ready", "True"),
            condition("RunsHealthy", "False", "Failed"),
            condition("Synced", "True"),
            condition("Extracted", "Unknown"),
            condition("Foreign", "False"),
        ],
    )
    harness.put(
        "zoho", "ZohoSourceConnection", conditions=[condition("Ready", "False"), condition("Stalled", "True")]
    )
    assert harness.shown("crmflow_resource_condition", "type", "status", "reason") == {
        ("contacts", "Ready", "True", "Why"): 1,
        ("contacts", "RunsHealthy", "False", "Failed"): 1,
        ("zoho", "Ready", "False", "Why"): 1,
        ("zoho", "Stalled", "True", "Why"): 1,
    }
