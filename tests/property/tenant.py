"""What a tenant declares, and what Platform holds: the two sides that have to agree in the end."""

from __future__ import annotations

import copy
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tests.emulators.aep.resource import Resource
from tests.emulators.aep.state import Sandbox
from tests.kit import manifests
from tests.property.bench import NAMESPACE, Bench

CONNECTION, DATAFLOW = "ZohoSourceConnection", "CRMDataflow"
CONNECTION_NAME = manifests.CONNECTION
DATAFLOW_NAMES = ("contacts", "people", "leads")
CONNECTED = {"sourceConnectionIds": "sourceConnections", "targetConnectionIds": "targetConnections"}
"""What a flow is built on: its field, and the collection."""
Spec = dict[str, Any]


class Tenant:
    """One connection and up to three dataflows, edited as people do."""

    def __init__(self, bench: Bench, rng: random.Random) -> None:
        self.bench = bench
        self.rng = rng
        self.declared: dict[str, Spec] = {}
        """Specs of the dataflows that are declared now."""
        self.connection: Spec | None = None
        self.history: dict[str, list[Spec]] = {}
        """Every spec that a dataflow has had since it was created: its flow was made with one of them."""
        self.left_base: str | None = None
        """The base connection that a connection has left behind; the next one stands for it."""
        self.observed: dict[str, str] = {}
        """Id → etag of what was only observed when all had settled."""

    @property
    def sandbox(self) -> Sandbox:
        """What Platform holds."""
        return self.bench.emulators.aep.sandboxes["prod"]

    def held(self, collection: str) -> list[Resource]:
        """The living objects of a collection."""
        return list(self.sandbox.stores[collection].living(self.bench.clock.now()))

    def declare_connection(self, **changes: Any) -> None:
        """Create or edit the connection; None removes a field."""
        base = self.connection or changed(self.first_connection(), {"connectionId": self.left_base})
        self.connection = changed(base, changes)
        self.bench.server.apply(self.bench.key(CONNECTION, CONNECTION_NAME), self.connection)

    def declare(self, name: str, **changes: Any) -> None:
        """Create or edit a dataflow; None removes a field."""
        self.replace(name, self.spec_with(name, changes))

    def spec_with(self, name: str, changes: dict[str, Any]) -> Spec:
        """The spec of a dataflow, or that of the demo, with changes."""
        return changed(self.declared.get(name) or self.first_dataflow(name), changes)

    def first_connection(self) -> Spec:
        """What the connection is declared with."""
        return dict(manifests.connection(NAMESPACE)["spec"])

    def first_dataflow(self, name: str) -> Spec:
        """What a dataflow is declared with."""
        return dict(manifests.dataflow(NAMESPACE, name)["spec"])

    def replace(self, name: str, spec: Spec) -> None:
        """Give a dataflow another spec."""
        self.declared[name] = spec
        self.history.setdefault(name, []).append(spec)
        self.bench.server.apply(self.bench.key(DATAFLOW, name), spec)

    def set_back(self, name: str, spec: Spec) -> None:
        """Give a dataflow a spec that it had, as far as the API server lets it."""
        kept = {"flowId": self.declared[name].get("flowId"), "paused": None, "managementPolicy": None}
        self.replace(name, changed(spec, kept))

    def withdraw(self, name: str) -> None:
        """Delete a dataflow."""
        del self.declared[name]
        del self.history[name]
        self.bench.server.delete(self.bench.key(DATAFLOW, name))

    def withdraw_connection(self) -> None:
        """Delete the connection."""
        spec = self.connection or {}
        self.left_base = self.base_connection if is_left(spec, "connectionId") else None
        self.connection = None
        self.bench.server.delete(self.bench.key(CONNECTION, CONNECTION_NAME))

    def may_withdraw(self, name: str) -> bool:
        """False where what it leaves would keep our key: it is only observed, or can't be reached."""
        spec = self.declared[name]
        is_observed = spec.get("managementPolicy") == "Observe"
        return not is_left(spec, "flowId") or (self.connection_lingers and not is_observed)

    @property
    def connection_lingers(self) -> bool:
        """Whether the cluster has the connection, declared or on its way out."""
        return self.bench.key(CONNECTION, CONNECTION_NAME) in self.bench.server.objects

    def objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Kind and object of everything that is in the cluster."""
        for key, obj in self.bench.server.objects.items():
            yield key.kind, obj

    def object(self, name: str) -> dict[str, Any] | None:
        """A dataflow as it is in the cluster."""
        return self.bench.server.objects.get(self.bench.key(DATAFLOW, name))

    def status(self, name: str) -> dict[str, Any]:
        """What a dataflow's status says."""
        return dict((self.object(name) or {}).get("status") or {})

    def flow_of(self, name: str) -> str | None:
        """The flow of a dataflow."""
        return (self.status(name).get("flow") or {}).get("id")

    def plan_of(self, name: str) -> str:
        """The hash of the plan to replace the flow of a dataflow, empty if there is none."""
        return str((self.status(name).get("plan") or {}).get("hash", ""))

    @property
    def base_connection(self) -> str | None:
        """The base connection that the connection records."""
        obj = self.bench.server.objects.get(self.bench.key(CONNECTION, CONNECTION_NAME)) or {}
        return (obj.get("status", {}).get("baseConnection") or {}).get("id")

    def living(self, collection: str, remote_id: str) -> Resource:
        """An object that Platform holds."""
        return next(held for held in self.held(collection) if held.id == remote_id)

    def left_flows(self) -> list[Resource]:
        """The flows that no resource stands for."""
        statuses = [obj.get("status", {}) for _, obj in self.objects()]
        statuses += [status.get("predecessor", {}) for status in statuses]
        taken = {status.get("flow", {}).get("id") for status in statuses}
        taken |= {spec.get("flowId") for spec in self.declared.values()}
        return [flow for flow in self.held("flows") if flow.id not in taken]

    def is_read_through(self, flow: Resource) -> bool:
        """Whether the flow has all that it is built on, and reads through the base connection."""
        parts = [
            next((held for held in self.held(collection) if held.id == flow.body[member][0]), None)
            for member, collection in CONNECTED.items()
        ]
        base = self.base_connection
        return bool(base) and all(parts) and parts[0].body.get("baseConnectionId") == base  # type: ignore[union-attr]

    @property
    def missing(self) -> list[str]:
        """The dataflows that the cluster does not have."""
        return [name for name in DATAFLOW_NAMES if self.object(name) is None]

    def some(self) -> str | None:
        """A dataflow that is declared."""
        return self.rng.choice(sorted(self.declared)) if self.declared else None


Edit = Callable[[Tenant], Awaitable[str | None]]
"""Returns what it did, None where it does not apply."""


def is_left(spec: Spec, adopts: str) -> bool:
    """Whether what the resource stands for stays when it goes."""
    is_observed = spec.get("managementPolicy") == "Observe"
    return is_observed or spec.get("deletionPolicy", "Orphan" if adopts in spec else "Delete") == "Orphan"


def changed(spec: Spec, changes: dict[str, Any]) -> Spec:
    """``spec`` with the changes merged in; None removes a field."""
    result = copy.deepcopy(spec)
    for field, value in changes.items():
        if value is None:
            result.pop(field, None)
        elif isinstance(value, dict):
            result[field] = changed(result.get(field, {}), value)
        else:
            result[field] = value
    return result
