"""One control plane: etcd, kube-apiserver and kube-controller-manager on free loopback ports, all its
data in one folder.
"""

from __future__ import annotations

import json
import secrets
import shutil
import ssl
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from hack.console import Step, ToolError
from hack.controlplane import commands
from hack.controlplane.assets import NAMES, find_assets
from hack.controlplane.ports import reserved_port
from hack.kubeconfig import kubeconfig, write_private
from hack.processes import ProcessRecord, spawn, terminate

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
_LOG_LINES_SHOWN = 15


class ControlPlane:
    """A control plane whose data, logs and kubeconfig are in ``directory``.

    As a context manager it runs for the block and dies with this process; with :meth:`start` it goes on
    until :meth:`stop` is called, by whichever process. Each start begins with an empty cluster.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.kubeconfig = self.directory / "kubeconfig"
        self.audit_log = self.directory / "audit.log"
        """What ServiceAccounts asked for, an ``audit.k8s.io/v1`` Event a line."""
        self.etcd_url: str | None = None
        """Where the API server keeps its objects, while it runs under this object's hand."""
        self._records = self.directory / "processes.json"

    def __enter__(self) -> ControlPlane:
        return self._start(tethered=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether all of its processes are alive."""
        processes = self._processes()
        return bool(processes) and all(process.alive() for process in processes)

    def start(self) -> ControlPlane:
        """Start it and return once it answers. Raises ToolError if it already runs or does not become
        ready.
        """
        return self._start(tethered=False)

    def stop(self) -> None:
        """End its processes, the newest first, and forget them. Harmless if it does not run."""
        terminate(self._processes()[::-1])
        self._records.unlink(missing_ok=True)

    def _start(self, *, tethered: bool) -> ControlPlane:
        if self.running:
            raise ToolError(f"a control plane already runs in {self.directory}: stop it first")
        self.stop()
        assets = find_assets()
        self._forget_last_run()
        token = secrets.token_hex(16)
        write_private(self.directory / "tokens.csv", f"{token},admin,admin,system:masters\n")
        (self.directory / "audit-policy.json").write_text(json.dumps(commands.audit_policy()))

        def run(name: str, command: list[str]) -> None:
            record, _ = spawn(name, [assets.binary(name), *command], self._log(name), tethered=tethered)
            self._save([*self._processes(), record])

        try:
            with ExitStack() as reservations, Step("Starting a control plane") as step:
                etcd_port, api_port = (reservations.enter_context(reserved_port()) for _ in range(2))
                self.etcd_url = f"http://127.0.0.1:{etcd_port}"
                run("etcd", commands.etcd(self.directory, self.etcd_url))
                run("kube-apiserver", commands.kube_apiserver(self.directory, self.etcd_url, api_port))
                server = f"https://127.0.0.1:{api_port}"
                self._wait(
                    step,
                    "the API server's certificate",
                    (self.directory / "certificates" / "apiserver.crt").exists,
                )
                self._wait(step, "the API server", lambda: self._answers(f"{server}/readyz", token))
                self._write_kubeconfig(server, token)
                run("kube-controller-manager", commands.kube_controller_manager(self.directory))
                account = f"{server}/api/v1/namespaces/default/serviceaccounts/default"
                self._wait(step, "the controller manager", lambda: self._answers(account, token))
        except BaseException:
            self.stop()
            raise
        return self

    def _forget_last_run(self) -> None:
        """Remove what an earlier control plane left, by name: the directory may hold other people's
        things.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in ("etcd", "certificates"):
            shutil.rmtree(self.directory / folder, ignore_errors=True)
        for file in [self.kubeconfig, self.audit_log, *map(self._log, NAMES)]:
            file.unlink(missing_ok=True)

    def _wait(self, step: Step, subject: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            for process in self._processes():
                if not process.alive():
                    raise ToolError(f"{process.name} ended at its start:\n{self._tail(process.name)}")
            if time.monotonic() > deadline:
                raise ToolError(
                    f"{subject} did not become ready in {_READY_SECONDS:.0f} s: "
                    f"the logs are in {self.directory}"
                )
            step.update(f"waiting for {subject}")
            time.sleep(_POLL_SECONDS)

    def _answers(self, url: str, token: str) -> bool:
        try:
            trust = ssl.create_default_context(cafile=str(self.directory / "certificates" / "apiserver.crt"))
            request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
            )
            with opener.open(request, timeout=5):
                return True
        except OSError:  # refused, not ready yet (an HTTP error), or the certificate is only half written
            return False

    def _write_kubeconfig(self, server: str, token: str) -> None:
        certificate = (self.directory / "certificates" / "apiserver.crt").read_bytes()
        cluster = {"server": server, "certificate-authority-data": b64encode(certificate).decode()}
        write_private(self.kubeconfig, kubeconfig(cluster, user="admin", token=token))

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _tail(self, name: str) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:])

    def _processes(self) -> list[ProcessRecord]:
        try:
            return [ProcessRecord(**record) for record in json.loads(self._records.read_text())]
        except FileNotFoundError:
            return []

    def _save(self, processes: list[ProcessRecord]) -> None:
        self._records.write_text(json.dumps([asdict(process) for process in processes]))
