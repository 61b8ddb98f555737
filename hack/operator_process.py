"""The operator as a process of this machine, with a kubeconfig that has its own rights only."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from hack import loopback
from hack.console import Step, ToolError
from hack.processes import ProcessRecord, spawn

_READY_SECONDS = 30.0
_POLL_SECONDS = 0.05
_LOG_LINES_SHOWN = 20


class OperatorProcess:
    """``crmflow run`` with its log in ``directory``; ``settings`` are ``CRMFLOW_*`` variables."""

    def __init__(self, directory: Path, kubeconfig: Path, settings: Mapping[str, str]) -> None:
        self.log = directory / "operator.log"
        self._address = directory / "operator.address"
        self.environment = {
            # Nothing else of the caller's: a proxy of this machine must not stand before loopback addresses.
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "KUBECONFIG": str(kubeconfig),
            "CRMFLOW_POD_NAMESPACE": "crmflow-system",
            "CRMFLOW_LISTEN": "127.0.0.1:0",
            "CRMFLOW_LISTEN_FILE": str(self._address),
            "CRMFLOW_LOG_FORMAT": "text",
            **settings,
        }
        self.directory = directory

    def start(self, *, tethered: bool) -> tuple[ProcessRecord, subprocess.Popen[bytes]]:
        """Start it; :meth:`wait_ready` tells when it works."""
        self.forget_address()
        command = [sys.executable, "-m", "crmflow", "run"]
        return spawn(
            "operator", command, self.log, env=self.environment, cwd=self.directory, tethered=tethered
        )

    def forget_address(self) -> None:
        """What an earlier process listened at must not be taken for the address of the next one."""
        self._address.unlink(missing_ok=True)

    def wait_ready(self, process: ProcessRecord) -> None:
        """Return once /readyz says so. Raises ToolError with the end of the log if that takes too long."""
        with Step("Starting the operator") as step:
            deadline = time.monotonic() + _READY_SECONDS
            while not self.answers("/readyz"):
                if not process.alive() or time.monotonic() > deadline:
                    raise ToolError(f"the operator did not become ready:\n{self.log_tail()}")
                step.update("waiting for /readyz")
                time.sleep(_POLL_SECONDS)

    def answers(self, path: str) -> bool:
        """Whether a GET of ``path`` on the operator's own port is answered with success."""
        try:
            return loopback.get(self.url + path).is_success
        except (OSError, httpx.HTTPError):
            return False

    @property
    def url(self) -> str:
        """Where /healthz, /readyz and /metrics are. Raises FileNotFoundError before it listens."""
        return f"http://{self._address.read_text().strip()}"

    def log_tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:])
