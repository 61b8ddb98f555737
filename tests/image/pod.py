"""A process from an image, as a kubelet would start it: with a read-only root, as the image's user, with the
files and variables by which a process in a pod finds the API server.
"""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from hack.install import NAMESPACE

# $1 is the root, $2 user and group; the rest is the command.
_ENTER = """
set -e
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" "$@"
"""
_READY_SECONDS = 60.0


class Pod:
    """The image's command in the tree ``root``, with ``settings`` beside the image's own variables."""

    def __init__(
        self, root: Path, config: Any, kubeconfig: Path, directory: Path, settings: Mapping[str, str]
    ) -> None:
        self.root = root
        self._config = config
        self._log = directory / "operator.log"
        self._running: subprocess.Popen[bytes] | None = None
        address = f"127.0.0.1:{_free_port()}"
        self.url = f"http://{address}"
        self.environment = {
            **dict(variable.split("=", 1) for variable in config["Env"]),
            **_give_account(root, kubeconfig),
            "CRMFLOW_LISTEN": address,
            **settings,
        }

    @property
    def log(self) -> str:
        """Everything it has written."""
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        """Start it, and return once /readyz says so."""
        command = self._inside(*self._config["Entrypoint"], *self._config["Cmd"])
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + _READY_SECONDS
        while not self._is_ready():
            assert self._running.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        assert self._running
        self._running.send_signal(signal.SIGTERM)
        code = self._running.wait(timeout=30)
        self._running = None
        return code

    def close(self) -> None:
        """Whatever happens, it does not outlive the test."""
        if self._running:
            self._running.kill()
            self._running.wait()

    def status(self) -> dict[str, str]:
        """What the kernel says of the running process (proc(5), status)."""
        assert self._running
        lines = Path(f"/proc/{self._running.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run something else under the same conditions."""
        return subprocess.run(
            self._inside(*command), env=self.environment, capture_output=True, text=True, check=False
        )

    def _inside(self, *command: str) -> list[str]:
        enter = ["unshare", "--mount", "sh", "-c", _ENTER, "sh", str(self.root), self._config["User"]]
        return [*enter, *command]

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False


def _give_account(root: Path, kubeconfig: Path) -> dict[str, str]:
    """Put the files of a ServiceAccount where a pod has them; the variables that lead to the API server."""
    content = json.loads(kubeconfig.read_text())
    cluster = content["clusters"][0]["cluster"]
    folder = root / "run/secrets/kubernetes.io/serviceaccount"  # /var/run is a link to /run
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "namespace").write_text(NAMESPACE)
    (folder / "token").write_text(content["users"][0]["user"]["token"])
    (folder / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    server = urlsplit(cluster["server"])
    return {"KUBERNETES_SERVICE_HOST": server.hostname or "", "KUBERNETES_SERVICE_PORT": str(server.port)}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
