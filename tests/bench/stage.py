"""Where one measurement takes place: a fresh control plane, fresh emulators, and an operator by its own
command line with default settings. All of it is looked at from outside.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import sys
import time
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from hack.console import ToolError
from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Control
from hack.install import ROOT, install, operator_kubeconfig
from hack.kubectl import Kubectl
from hack.operator_process import OperatorProcess
from hack.processes import ProcessRecord, spawn, terminate

OURS = "/apis/crmflow.io/v1alpha1"
_TICKS = os.sysconf("SC_CLK_TCK")
_WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
_METRIC = re.compile(r"apiserver_request_total\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_CONTROL_SECONDS = 120.0


@dataclass(frozen=True)
class Reading:
    """Everything that is counted, at one moment."""

    at: float
    remote: Counter[str]
    """Calls by service, method and path without ids."""
    writes: Counter[str]
    """What the API server was asked to write by others than itself, by verb and resource."""
    cpu: dict[str, float]
    """User and system seconds of each process."""

    def until(self, later: Reading) -> Reading:
        """What was counted between the two."""
        return Reading(
            later.at - self.at,
            later.remote - self.remote,
            later.writes - self.writes,
            {name: later.cpu[name] - self.cpu.get(name, 0.0) for name in later.cpu},
        )


@dataclass
class Stage:
    """The processes of a measurement, and what is asked of them."""

    directory: Path
    plane: ControlPlane
    info: dict[str, Any]
    control: Control
    operator: OperatorProcess
    processes: dict[str, ProcessRecord]
    server: str
    token: str
    trust: ssl.SSLContext = field(repr=False)

    def start_operator(self, **settings: str) -> float:
        """Start it and return once it is ready; the seconds that took."""
        self.operator.environment.update(settings)
        begun = time.monotonic()
        record, _ = self.operator.start(tethered=True)
        self.processes["operator"] = record
        while not self.operator.answers("/readyz"):
            if not record.alive() or time.monotonic() - begun > 120:
                raise ToolError(f"the operator did not become ready:\n{self.operator.log_tail()}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def stop_operator(self) -> None:
        """SIGTERM, and wait for its end."""
        terminate([self.processes.pop("operator")], grace_seconds=30.0)

    def answer_after(self, seconds: float) -> None:
        """Have each remote service take so long for every answer."""
        self.control.delete("/faults")
        if seconds:
            self.control.fault(delay=seconds, times=None)

    @asynccontextmanager
    async def api(self, connections: int = 100) -> AsyncIterator[aiohttp.ClientSession]:
        """Sessions with the API server, as cluster-admin."""
        connector = aiohttp.TCPConnector(ssl=self.trust, limit=connections)
        headers = {"Authorization": f"Bearer {self.token}"}
        async with aiohttp.ClientSession(self.server, connector=connector, headers=headers) as session:
            yield session

    async def reading(self, session: aiohttp.ClientSession) -> Reading:
        """All counters as they are now."""
        async with session.get("/metrics") as answer:
            writes = _writes(await answer.text())
        remote: Counter[str] = Counter()
        for entry in self.control.get("/exchanges")["exchanges"]:
            remote[f"{entry['service']} {entry['method']} {entry['path']}"] += entry["count"]
        cpu = {name: cpu_seconds(record.pid) for name, record in self.processes.items() if record.alive()}
        return Reading(time.monotonic(), remote, writes, cpu)

    def memory(self) -> dict[str, float]:
        """MiB of the operator that are resident now, and that were at the most."""
        status = Path(f"/proc/{self.processes['operator'].pid}/status").read_text()
        found = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", status))
        return {"resident": int(found["VmRSS"]) / 1024, "peak": int(found["VmHWM"]) / 1024}


@contextmanager
def stage(directory: Path, **settings: str) -> Iterator[Stage]:
    """All of it but the operator, which is to be started; it dies with this process."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(directory / "controlplane"))
        kubectl = Kubectl(find_assets().binary("kubectl"), plane.kubeconfig)
        install(kubectl)
        info_file = directory / "emulators.json"
        info_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.bench.emulators", str(info_file)]
        emulators, _ = spawn("emulators", command, directory / "emulators.log", cwd=ROOT, tethered=True)
        stack.callback(terminate, [emulators])
        _wait_for(info_file, emulators)
        info = json.loads(info_file.read_text())
        (directory / "operator.log").unlink(missing_ok=True)
        operator = OperatorProcess(
            directory,
            operator_kubeconfig(kubectl, directory / "operator.kubeconfig"),
            {
                "CRMFLOW_INSTANCE": "bench",
                "CRMFLOW_PLATFORM_URL": info["platformUrl"],
                "CRMFLOW_IMS_URL": info["imsUrl"],
                "CRMFLOW_ZOHO_ACCOUNTS_URL": info["zohoAccountsUrlTemplate"],
                "CRMFLOW_ZOHO_API_URL": info["zohoApiUrlTemplate"],
                **settings,
            },
        )
        records = json.loads((plane.directory / "processes.json").read_text())
        processes = {record["name"]: ProcessRecord(**record) for record in records}
        processes["emulators"] = emulators
        admin = json.loads(plane.kubeconfig.read_text())
        cluster = admin["clusters"][0]["cluster"]
        authority = b64decode(cluster["certificate-authority-data"]).decode()
        found = Stage(
            directory,
            plane,
            info,
            Control(info["controlUrl"], seconds=_CONTROL_SECONDS),
            operator,
            processes,
            cluster["server"],
            admin["users"][0]["user"]["token"],
            ssl.create_default_context(cadata=authority),
        )
        try:
            yield found
        finally:
            if "operator" in processes:
                found.stop_operator()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _wait_for(file: Path, process: ProcessRecord) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        if not process.alive() or time.monotonic() > deadline:
            raise ToolError("the emulators did not start")
        time.sleep(0.05)


def _writes(metrics: str) -> Counter[str]:
    """Writes by verb and resource; Leases, and what the control plane does by itself, apart."""
    found: Counter[str] = Counter()
    for line in metrics.splitlines():
        if not (match := _METRIC.match(line)):
            continue
        labels = dict(_LABEL.findall(match[1]))
        if labels["verb"] in _WRITES and labels["resource"] in (
            "crmdataflows",
            "zohosourceconnections",
            "events",
            "secrets",
        ):
            part = "/".join(filter(None, (labels["resource"], labels["subresource"])))
            found[f"{labels['verb']} {part}"] += int(float(match[2]))
    return found
