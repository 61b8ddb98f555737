"""A tenant of the operator in a test: namespace, Secrets, its resources, what Platform holds for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from hack import loopback
from hack.emulators import Emulators
from tests.kit import manifests, waiting
from tests.kit.cluster import Cluster, Object
from tests.kit.operator import Operator

CONNECTION = "ZohoSourceConnection"
DATAFLOW = "CRMDataflow"
COLLECTIONS = ("connections", "sourceConnections", "targetConnections", "flows")
LISTED = (*COLLECTIONS, "runs")
"""What a poll lists of a sandbox, whatever else goes on."""


class Tenant:
    """One namespace that the operator serves: what its people do, and what comes of it."""

    def __init__(
        self,
        cluster: Cluster,
        emulators: Emulators,
        operator: Operator,
        namespace: str,
        check: Callable[..., None],
    ) -> None:
        self.cluster = cluster
        self.emulators = emulators
        self.control = emulators.control
        self.operator = operator
        self.namespace = namespace
        self.check = check

    # Kubernetes

    def apply_secrets(self, **zoho: str) -> None:
        """Both Secrets; ``zoho`` replaces values of Zoho's."""
        info = self.emulators.info
        info["zoho"] |= zoho
        for secret in manifests.secrets(self.namespace, info):
            self.cluster.apply(secret)

    def apply_connection(self, **spec: Any) -> None:
        """The demo's connection with changes to its spec."""
        self.cluster.apply(manifests.connection(self.namespace, **spec))

    def apply_dataflow(self, name: str = manifests.DATAFLOW, **spec: Any) -> None:
        """The demo's dataflow with changes to its spec."""
        self.cluster.apply(manifests.dataflow(self.namespace, name, **spec))

    def edit(self, kind: str, **spec: Any) -> None:
        """Merge into the spec of the connection or the dataflow."""
        self.cluster.patch(kind, self.name_of(kind), self.namespace, {"spec": spec})

    def get(self, kind: str) -> Object:
        """The connection or the dataflow."""
        return self.cluster.get(kind, self.name_of(kind), self.namespace)

    def delete(self, kind: str) -> None:
        """Ask for its deletion."""
        self.cluster.delete(kind, self.name_of(kind), self.namespace)

    def wait_ready(self, kind: str, seconds: float = 20) -> Object:
        """Wait until it is Ready in its current generation."""
        return self.cluster.wait_ready(kind, self.name_of(kind), self.namespace, seconds=seconds)

    def wait_reason(self, kind: str, condition: str, reason: str, status: str = "False") -> Object:
        """Wait until a condition of the current generation has that reason."""
        return self.cluster.wait_condition(
            kind, self.name_of(kind), self.namespace, condition, status, reason
        )

    def wait_gone(self, kind: str, seconds: float = 20) -> None:
        """Wait until it is deleted."""
        self.cluster.wait_gone(kind, self.name_of(kind), self.namespace, seconds=seconds)

    def name_of(self, kind: str) -> str:
        """The name that the manifests give it."""
        return manifests.CONNECTION if kind == CONNECTION else manifests.DATAFLOW

    def request(self, kind: str, value: str) -> None:
        """Ask for a complete check at once."""
        self.cluster.annotate(kind, self.name_of(kind), self.namespace, reconcile_requested_at=value)

    def wait_answer(self, kind: str, value: str, seconds: float = 20) -> Object:
        """Wait until such a request was answered."""
        return self.cluster.wait(
            kind,
            self.name_of(kind),
            self.namespace,
            lambda obj: obj.get("status", {}).get("lastHandledReconcileAt") == value,
            what=f"the answer to request {value}",
            seconds=seconds,
        )

    def make_ready(self, **dataflow: Any) -> None:
        """The whole main job, up to both being Ready."""
        self.apply_secrets()
        self.apply_connection()
        self.apply_dataflow(**dataflow)
        self.wait_ready(CONNECTION)
        self.wait_ready(DATAFLOW)

    def until(self, met: Callable[[], bool], what: str, seconds: float = 20) -> None:
        """Wait until ``met`` holds; fails with the dataflow's status."""
        waiting.until(met, seconds, what=lambda: f"{what}; {self._dataflow_status()}")

    def _dataflow_status(self) -> Object | None:
        found = self.cluster.find(DATAFLOW, manifests.DATAFLOW, self.namespace)
        return found and found.get("status")

    # Platform

    def held(self, collection: str, sandbox: str = "prod") -> list[Object]:
        """What Platform holds of a kind in a sandbox."""
        objects: list[Object] = self.control.get("/aep")["sandboxes"][sandbox][collection]
        return objects

    def counts(self) -> dict[str, int]:
        """How many of each kind Platform holds."""
        return {collection: len(self.held(collection)) for collection in COLLECTIONS}

    def calls_since(self, mark: int) -> list[Object]:
        """The exchanges since :meth:`mark`."""
        return list(self.control.get("/exchanges", since=mark)["exchanges"])

    def calls_beside_polls(self, mark: int) -> list[Object]:
        """The same without the listings that each poll makes."""
        listings = tuple(f"/flowservice/{listed}" for listed in LISTED)
        return [
            call
            for call in self.calls_since(mark)
            if call["method"] != "GET" or not call["path"].endswith(listings)
        ]

    def mark(self) -> int:
        """The number of exchanges so far."""
        return int(self.control.get("/exchanges", since=10**9)["next"])

    # The operator

    def wait_polls(self, polls: int, seconds: float = 15) -> None:
        """Wait until the sandbox has been listed so many times more."""
        listed = {"operation": "flows.list"}
        wanted = self.metric("crmflow_remote_calls_total", **listed) + polls
        waiting.until(
            lambda: self.metric("crmflow_remote_calls_total", **listed) >= wanted, seconds, what="polls"
        )

    def wait_metric(self, until: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until the metrics show something."""
        waiting.until(until, seconds, what="such metrics")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        text = loopback.get(f"{self.operator.url}/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


NOTHING = dict.fromkeys(COLLECTIONS, 0)
ONE_OF_EACH = dict.fromkeys(COLLECTIONS, 1)
