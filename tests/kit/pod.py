"""Run the container of a Deployment as a process of this machine: with its arguments, its environment, the
files of its ConfigMaps and a token of its ServiceAccount, as the kubelet would.
"""

from __future__ import annotations

import base64
import re
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from hack import loopback
from hack.console import ToolError
from hack.kubeconfig import kubeconfig, write_private
from hack.kubectl import Kubectl
from hack.processes import terminate
from tests.kit import prefork
from tests.kit.cluster import Object

_POLL_SECONDS = 0.05
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


class Pod:
    """One replica of a Deployment. Its environment has to set CRMFLOW_LISTEN_FILE, since all Pods of a
    machine share its ports.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, deployment: str, directory: Path, name: str) -> None:
        self.name = name
        self.namespace = namespace
        self.log_file = directory / f"{name}.log"
        self._kubectl = kubectl
        self._directory = directory / name
        self._template = self._object("deployment", deployment)["spec"]["template"]
        self._running: prefork.ForkedProcess | None = None

    @property
    def service_account(self) -> str:
        """The ServiceAccount that it runs as."""
        return str(self._template["spec"]["serviceAccountName"])

    @property
    def environment(self) -> dict[str, str]:
        """The container's variables, with all references resolved."""
        known = dict(self._service_variables())
        for entry in self._container.get("env", ()):
            value = self._resolved(entry)
            if value is not None:
                known[entry["name"]] = _REFERENCE.sub(lambda found: known.get(found[1], found[0]), value)
        return {name: self._moved(value) for name, value in known.items()}

    @property
    def log(self) -> str:
        """Everything it has logged, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def url(self) -> str:
        """Where its port is. Raises FileNotFoundError before it listens."""
        return f"http://{Path(self.environment['CRMFLOW_LISTEN_FILE']).read_text().strip()}"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._running is not None and self._running.record.alive()

    def probe(self, name: str) -> bool:
        """What the kubelet would learn from a probe, ``livenessProbe`` or ``readinessProbe``."""
        path = self._container[name]["httpGet"]["path"]
        try:
            return loopback.get(self.url + path).is_success
        except (OSError, httpx.HTTPError):
            return False

    def start(self) -> None:
        """Start it. Its image's entry point is ``crmflow``."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._write_files()
        environment = {
            "PATH": "/usr/bin:/bin",
            "KUBECONFIG": str(self._credentials()),
            **self.environment,
        }
        Path(environment["CRMFLOW_LISTEN_FILE"]).unlink(missing_ok=True)
        self._running = prefork.start(
            self.name, self._container["args"], self.log_file, env=environment, cwd=self._directory
        )

    def wait_ready(self, seconds: float = 30) -> None:
        """Return once it counts as ready. Raises ToolError with the end of its log."""
        deadline = time.monotonic() + seconds
        while not self.probe("readinessProbe"):
            if not self.alive or time.monotonic() > deadline:
                raise ToolError(f"{self.name} did not become ready:\n{self.log[-3000:]}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> int:
        """SIGTERM and SIGKILL, as a Pod is ended; its exit code."""
        assert self._running, f"{self.name} does not run"
        process, self._running = self._running, None
        process.send_signal(signal.SIGTERM)
        return process.wait(self._template["spec"]["terminationGracePeriodSeconds"])

    def close(self) -> None:
        """End it if it runs, whatever it says."""
        if self._running:
            terminate([self._running.record])
            self._running = None

    @property
    def _container(self) -> Object:
        (container,) = self._template["spec"]["containers"]
        return dict(container)

    def _object(self, kind: str, name: str) -> Object:
        return dict(self._kubectl.json("get", kind, name, f"--namespace={self.namespace}"))

    def _service_variables(self) -> Iterator[tuple[str, str]]:
        server = httpx.URL(self._cluster()["server"])
        yield "KUBERNETES_SERVICE_HOST", server.host
        yield "KUBERNETES_SERVICE_PORT", str(server.port)

    def _cluster(self) -> Mapping[str, str]:
        admin = self._kubectl.json("config", "view", "--minify", "--flatten", "--raw")
        return dict(admin["clusters"][0]["cluster"])

    def _credentials(self) -> Path:
        """A kubeconfig in place of the token that a Pod finds mounted."""
        account = self.service_account
        token = self._kubectl("create", "token", account, f"--namespace={self.namespace}", "--duration=24h")
        path = self._directory / "kubeconfig"
        write_private(path, kubeconfig(self._cluster(), user=account, token=token))
        return path

    def _resolved(self, entry: Object) -> str | None:
        if "valueFrom" not in entry:
            return str(entry.get("value", ""))
        ((source, reference),) = entry["valueFrom"].items()
        if source == "fieldRef":
            return {"metadata.name": self.name, "metadata.namespace": self.namespace}[reference["fieldPath"]]
        kind = {"secretKeyRef": "secret", "configMapKeyRef": "configmap"}[source]
        try:
            data = self._object(kind, reference["name"]).get("data", {})
        except ToolError:
            data = {}
        if reference["key"] not in data:
            if reference.get("optional"):
                return None
            raise ToolError(f"{kind} {reference['name']} has no key {reference['key']}")
        value = str(data[reference["key"]])
        return base64.b64decode(value).decode() if kind == "secret" else value

    def _mounts(self) -> Iterator[tuple[str, str]]:
        """Path in the container and ConfigMap of each volume."""
        volumes = {
            volume["name"]: volume["configMap"]["name"]
            for volume in self._template["spec"].get("volumes", ())
        }
        for mount in self._container.get("volumeMounts", ()):
            yield mount["mountPath"], volumes[mount["name"]]

    def _write_files(self) -> None:
        for path, config_map in self._mounts():
            folder = Path(self._moved(path))
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in self._object("configmap", config_map)["data"].items():
                (folder / name).write_text(content)

    def _moved(self, value: str) -> str:
        """A path below a mount, moved below this Pod's own folder: it has no root filesystem of its own."""
        below_a_mount = any(value.startswith(path) for path, _ in self._mounts())
        return f"{self._directory}/root{value}" if below_a_mount else value
