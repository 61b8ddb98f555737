"""CRMDataflowRuns of a tenant: made, waited for, and what they leave."""

from __future__ import annotations

from typing import Any

from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import Tenant

RUN = "CRMDataflowRun"
RUN_NAME = "now"
"""What a scenario calls its only run."""


ONCE: dict[str, Any] = {
    "schedule": {"frequency": "Once", "interval": None, "backfill": None},
    "deltaColumn": None,
}
"""Of a one-time dataflow, by None what the demo's has besides."""


class DataflowRuns:
    """The runs of the tenant's dataflow."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def create(self, name: str, **spec: Any) -> None:
        """Have the dataflow run."""
        self._tenant.cluster.apply(manifests.run(self._tenant.namespace, name, **spec))

    def get(self, name: str) -> Object:
        """The run."""
        return self._tenant.cluster.get(RUN, name, self._tenant.namespace)

    def delete(self, name: str) -> None:
        """Ask for its deletion."""
        self._tenant.cluster.delete(RUN, name, self._tenant.namespace)

    def wait_gone(self, name: str, seconds: float = 40) -> None:
        """Wait until it is deleted."""
        self._tenant.cluster.wait_gone(RUN, name, self._tenant.namespace, seconds=seconds)

    def wait(self, name: str, type_: str, reason: str = "", seconds: float = 60) -> Object:
        """Wait until a condition is True, for that reason, and nothing is left to be done."""

        def has_ended(obj: Object) -> bool:
            found = condition(obj, type_)
            done = "Reconciling" not in {one["type"] for one in obj["status"]["conditions"]}
            return found is not None and found["status"] == "True" and found["reason"] == reason and done

        return self._tenant.cluster.wait(
            RUN,
            name,
            self._tenant.namespace,
            lambda obj: bool(obj.get("status", {}).get("conditions")) and has_ended(obj),
            what=f"{type_}=True/{reason}",
            seconds=seconds,
        )

    def wait_requested(self, name: str, seconds: float = 30) -> str:
        """Wait until Platform was asked for the run; the run's id."""
        obj = self._tenant.cluster.wait(
            RUN,
            name,
            self._tenant.namespace,
            lambda obj: "run" in obj.get("status", {}),
            what="run in Platform",
            seconds=seconds,
        )
        return str(obj["status"]["run"]["id"])

    def wait_flow(self, name: str, seconds: float = 90) -> None:
        """Wait until the run has a flow of its own that is enabled."""
        self._tenant.cluster.wait(
            RUN,
            name,
            self._tenant.namespace,
            lambda obj: obj.get("status", {}).get("flow", {}).get("state") == "enabled",
            what="flow of its own",
            seconds=seconds,
        )

    def wait_reason(self, name: str, reason: str, seconds: float = 60) -> Object:
        """Wait until Complete is False for that reason."""
        return self._tenant.cluster.wait_condition(
            RUN, name, self._tenant.namespace, "Complete", "False", reason, seconds=seconds
        )
