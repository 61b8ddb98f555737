"""One tenant and what happens to it: phases, each counted until all is quiet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hack.console import ToolError, say
from tests.faults.bench import Bench
from tests.faults.cost.bill import Bill, many
from tests.faults.replay import ONE_POLL_SECONDS
from tests.kit import manifests
from tests.kit.cluster import OUR_KINDS, Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

QUIET_SECONDS = 3.0
LIMIT_SECONDS = 2700.0
_PAUSE_SECONDS = 0.25

Phases = tuple[tuple[str, Callable[[], None]], ...]


class Life:
    """Of a tenant through Platform's own source."""

    way = "PlatformSource"

    def __init__(self, bench: Bench, tenant: Tenant, connections: int, dataflows: int) -> None:
        self.bench = bench
        self.tenant = tenant
        self._connections = [f"{manifests.CONNECTION}-{number}" for number in range(connections)]
        self._dataflows = [f"{manifests.DATAFLOW}-{number}" for number in range(dataflows)]

    @property
    def phases(self) -> Phases:
        """What happens, in its order."""
        return (*self._beginning, ("quiet poll", self._poll), *self._rest)

    @property
    def _beginning(self) -> Phases:
        return (
            (_named("create", "connection", len(self._connections)), self._create_connections),
            (_named("create", "dataflow", len(self._dataflows)), self._create_dataflows),
        )

    @property
    def _rest(self) -> Phases:
        return (
            ("edit 1 connection", lambda: self._edit(CONNECTION, self._connections[0])),
            ("edit 1 dataflow", lambda: self._edit(DATAFLOW, self._dataflows[0])),
            ("repair 1 flow", self._repair),
            ("restart", self.tenant.operator.restart),
            (_named("delete", "dataflow", len(self._dataflows)), self._delete_dataflows),
            (_named("delete", "connection", len(self._connections)), self._delete_connections),
        )

    def bill(self, phase: str, act: Callable[[], None]) -> Bill:
        """Do it, and count until all is quiet. Raises ToolError if that takes too long."""
        self.bench.gate.begin()
        begun = time.monotonic()
        act()
        with self._progress(phase):
            self._until_quiet()
        seconds = max(0.0, time.monotonic() - begun - QUIET_SECONDS)
        return Bill(phase, Counter(self.bench.gate.calls) + self.bench.gate.reads, seconds)

    def connection_of(self, name: str) -> Object:
        """The manifest of a connection."""
        return manifests.connection(self.tenant.namespace, name)

    def dataflow_of(self, name: str, **spec: Any) -> Object:
        """The manifest of a dataflow with changes to its spec."""
        return manifests.dataflow(self.tenant.namespace, name, **spec)

    def is_settled(self, objects: list[Object]) -> bool:
        """All that is there is Ready; nothing is on its way out."""
        return all(
            (ready := condition(obj, "Ready")) is not None
            and ready["status"] == "True"
            and "deletionTimestamp" not in obj["metadata"]
            for obj in objects
        )

    def _create_connections(self) -> None:
        self.tenant.apply_secrets()
        for name in self._connections:
            self.tenant.cluster.apply(self.connection_of(name))

    def _create_dataflows(self) -> None:
        for number, name in enumerate(self._dataflows):
            connection = self._connections[number % len(self._connections)]
            self.tenant.cluster.apply(self.dataflow_of(name, connectionRef={"name": connection}))

    def _poll(self) -> None:
        self.bench.control.advance(ONE_POLL_SECONDS)

    def _edit(self, kind: str, name: str) -> None:
        spec = {"displayName": "Renamed", "description": "Told anew."}
        self.tenant.cluster.patch(kind, name, self.tenant.namespace, {"spec": spec})

    def _repair(self) -> None:
        """Somebody renames a flow; the poll that notices it is part of the bill."""
        flow = self.tenant.held("flows")[0]
        name = f"Edited by hand {flow['name'][flow['name'].index('[') :]}"
        self.bench.control.patch(f"/aep/sandboxes/prod/flows/{flow['id']}", body={"name": name})
        self._poll()

    def _delete_connections(self) -> None:
        for name in self._connections:
            self.tenant.cluster.delete(CONNECTION, name, self.tenant.namespace)

    def _delete_dataflows(self) -> None:
        for name in self._dataflows:
            self.tenant.cluster.delete(DATAFLOW, name, self.tenant.namespace)

    def _until_quiet(self) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        time.sleep(QUIET_SECONDS)
        while not (self.bench.gate.quiet_for(QUIET_SECONDS) and self._is_settled()):
            if time.monotonic() > deadline:
                raise ToolError(f"not done after {LIMIT_SECONDS:.0f} s: see {self.bench.log_file}")
            self.bench.operator.revive()
            time.sleep(_PAUSE_SECONDS)

    def _is_settled(self) -> bool:
        kinds = [self.tenant.cluster.list(kind, self.tenant.namespace) for kind in OUR_KINDS]
        return self.is_settled([obj for objects in kinds for obj in objects])

    @contextmanager
    def _progress(self, phase: str) -> Iterator[None]:
        begun = time.monotonic()
        size = f"{len(self._connections)}+{len(self._dataflows)}"
        say(f"{self.way} {size}: {phase} …")
        yield
        calls = Counter(call.is_kubernetes for call in self.bench.gate.calls)
        seconds = time.monotonic() - begun
        say(f"{self.way} {size}: {phase}: {calls[False]} remote calls, {calls[True]} writes, {seconds:.0f} s")


def _named(verb: str, noun: str, count: int) -> str:
    return f"{verb} {many(count, noun)}"
