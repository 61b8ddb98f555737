"""Let tenants of two sizes live through everything, and count."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.console import ToolError, say
from tests.faults.bench import Bench, Kubeconfigs, running_bench
from tests.faults.cost.bill import Bill, Bills, many
from tests.faults.replay import ONE_POLL_SECONDS
from tests.kit import manifests
from tests.kit.cluster import OUR_KINDS, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

QUIET_SECONDS = 3.0
LIMIT_SECONDS = 900.0
_PAUSE_SECONDS = 0.25


def measure(kubeconfigs: Kubeconfigs, directory: Path, connections: int, dataflows: int) -> list[Bills]:
    """The bills of one connection with one dataflow, and of a tenant of the given size in one sandbox, with
    one credential. Raises ToolError.
    """
    with running_bench(kubeconfigs, directory) as bench:
        sizes = ((1, 1), (connections, dataflows))
        return [Bills(*size, tuple(_live(bench, *size))) for size in sizes]


def _live(bench: Bench, connections: int, dataflows: int) -> Iterator[Bill]:
    with bench.tenant() as tenant:
        life = _Life(bench, tenant, connections, dataflows)
        for phase, act in life.phases:
            yield life.bill(phase, act)


class _Life:
    """One tenant and what happens to it."""

    def __init__(self, bench: Bench, tenant: Tenant, connections: int, dataflows: int) -> None:
        self._bench = bench
        self._tenant = tenant
        self._connections = [f"{manifests.CONNECTION}-{number}" for number in range(connections)]
        self._dataflows = [f"{manifests.DATAFLOW}-{number}" for number in range(dataflows)]
        self.phases: tuple[tuple[str, Callable[[], None]], ...] = (
            (_named("create", "connection", connections), self._create_connections),
            (_named("create", "dataflow", dataflows), self._create_dataflows),
            ("quiet poll", self._poll),
            ("edit 1 connection", lambda: self._edit(CONNECTION, self._connections[0])),
            ("edit 1 dataflow", lambda: self._edit(DATAFLOW, self._dataflows[0])),
            ("repair 1 flow", self._repair),
            ("restart", tenant.operator.restart),
            (_named("delete", "dataflow", dataflows), self._delete_dataflows),
            (_named("delete", "connection", connections), self._delete_connections),
        )

    def bill(self, phase: str, act: Callable[[], None]) -> Bill:
        """Do it, and count until all is quiet. Raises ToolError if that takes too long."""
        self._bench.gate.begin()
        begun = time.monotonic()
        act()
        with self._progress(phase):
            self._until_quiet()
        seconds = max(0.0, time.monotonic() - begun - QUIET_SECONDS)
        return Bill(phase, Counter(self._bench.gate.calls), seconds)

    def _create_connections(self) -> None:
        self._tenant.apply_secrets()
        for name in self._connections:
            self._tenant.cluster.apply(manifests.connection(self._tenant.namespace, name))

    def _create_dataflows(self) -> None:
        for number, name in enumerate(self._dataflows):
            connection = self._connections[number % len(self._connections)]
            dataflow = manifests.dataflow(self._tenant.namespace, name, connectionRef={"name": connection})
            self._tenant.cluster.apply(dataflow)

    def _poll(self) -> None:
        self._bench.control.advance(ONE_POLL_SECONDS)

    def _edit(self, kind: str, name: str) -> None:
        spec = {"displayName": "Renamed", "description": "Told anew."}
        self._tenant.cluster.patch(kind, name, self._tenant.namespace, {"spec": spec})

    def _repair(self) -> None:
        """Somebody renames a flow; the poll that notices it is part of the bill."""
        flow = self._tenant.held("flows")[0]
        name = f"Edited by hand {flow['name'][flow['name'].index('[') :]}"
        self._bench.control.patch(f"/aep/sandboxes/prod/flows/{flow['id']}", body={"name": name})
        self._poll()

    def _delete_connections(self) -> None:
        for name in self._connections:
            self._tenant.cluster.delete(CONNECTION, name, self._tenant.namespace)

    def _delete_dataflows(self) -> None:
        for name in self._dataflows:
            self._tenant.cluster.delete(DATAFLOW, name, self._tenant.namespace)

    def _until_quiet(self) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        time.sleep(QUIET_SECONDS)
        while not (self._bench.gate.quiet_for(QUIET_SECONDS) and self._is_settled()):
            if time.monotonic() > deadline:
                raise ToolError(f"not done after {LIMIT_SECONDS:.0f} s: see {self._bench.log_file}")
            self._bench.operator.revive()
            time.sleep(_PAUSE_SECONDS)

    def _is_settled(self) -> bool:
        """All that is there is Ready; nothing is on its way out."""
        objects = [
            obj for kind in OUR_KINDS for obj in self._tenant.cluster.list(kind, self._tenant.namespace)
        ]
        return all(
            (ready := condition(obj, "Ready")) is not None
            and ready["status"] == "True"
            and "deletionTimestamp" not in obj["metadata"]
            for obj in objects
        )

    @contextmanager
    def _progress(self, phase: str) -> Iterator[None]:
        begun = time.monotonic()
        size = f"{len(self._connections)}+{len(self._dataflows)}"
        say(f"{size}: {phase} …")
        yield
        calls = Counter(call.is_kubernetes for call in self._bench.gate.calls)
        seconds = time.monotonic() - begun
        say(f"{size}: {phase}: {calls[False]} remote calls, {calls[True]} writes, {seconds:.0f} s")


def _named(verb: str, noun: str, count: int) -> str:
    return f"{verb} {many(count, noun)}"
