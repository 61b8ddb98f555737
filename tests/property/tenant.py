"""What a tenant declares, and what Platform holds: the two sides that have to agree in the end."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from tests.cluster.support import manifests
from tests.emulators.aep.resource import Resource
from tests.emulators.aep.state import Sandbox
from tests.property.site import NAMESPACE, Site

CONNECTION, DATAFLOW = "ZohoSourceConnection", "CRMDataflow"
CONNECTION_NAME = manifests.CONNECTION
DATAFLOW_NAMES = ("contacts", "people", "leads")
Spec = dict[str, Any]


class Tenant:
    """One connection and up to three dataflows, edited as people do."""

    def __init__(self, site: Site, rng: random.Random) -> None:
        self.site = site
        self.rng = rng
        self.declared: dict[str, Spec] = {}
        """Specs of the dataflows that are declared now."""
        self.connection: Spec | None = None
        self.history: dict[str, list[Spec]] = {}
        """Every spec that a dataflow has had since it was created: its flow was made with one of them."""

    @property
    def sandbox(self) -> Sandbox:
        """What Platform holds."""
        return self.site.emulators.aep.sandboxes["prod"]

    def held(self, collection: str) -> list[Resource]:
        """The living objects of a collection."""
        return list(self.sandbox.stores[collection].living(self.site.clock.now()))

    def declare_connection(self, **changes: Any) -> None:
        """Create or edit the connection; None removes a field."""
        base = self.connection or manifests.connection(NAMESPACE)["spec"]
        self.connection = changed(base, changes)
        self.site.server.apply(self.site.key(CONNECTION, CONNECTION_NAME), self.connection)

    def declare(self, name: str, **changes: Any) -> None:
        """Create or edit a dataflow; None removes a field."""
        base = self.declared.get(name) or manifests.dataflow(NAMESPACE, name)["spec"]
        self.replace(name, changed(base, changes))

    def replace(self, name: str, spec: Spec) -> None:
        """Give a dataflow another spec."""
        self.declared[name] = spec
        self.history.setdefault(name, []).append(spec)
        self.site.server.apply(self.site.key(DATAFLOW, name), spec)

    def withdraw(self, name: str) -> None:
        """Delete a dataflow."""
        del self.declared[name]
        del self.history[name]
        self.site.server.delete(self.site.key(DATAFLOW, name))

    def withdraw_connection(self) -> None:
        """Delete the connection."""
        self.connection = None
        self.site.server.delete(self.site.key(CONNECTION, CONNECTION_NAME))

    @property
    def connection_lingers(self) -> bool:
        """Whether the cluster has the connection, declared or on its way out."""
        return self.site.key(CONNECTION, CONNECTION_NAME) in self.site.server.objects

    def objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Kind and object of everything that is in the cluster."""
        for key, obj in self.site.server.objects.items():
            yield key.kind, obj

    def object(self, name: str) -> dict[str, Any] | None:
        """A dataflow as it is in the cluster."""
        return self.site.server.objects.get(self.site.key(DATAFLOW, name))

    def some(self) -> str | None:
        """A dataflow that is declared."""
        return self.rng.choice(sorted(self.declared)) if self.declared else None


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
