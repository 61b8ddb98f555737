"""One Node: Kubernetes' kubelet over processes of this machine, and Kubernetes' scheduler."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from hack.console import Step, ToolError
from hack.kubeconfig import write_private
from hack.kubectl import Kubectl
from hack.node.build import find_node
from hack.node.image import Image
from hack.processes import ProcessRecord, spawn, terminate

_READY_SECONDS = 60
_LOG_LINES_SHOWN = 15
_CACHE_TTL = "node.alpha.kubernetes.io/ttl"


class Node:
    """A node whose volumes and logs are in ``directory``. When it ends, so do the processes of its pods; the
    API server is told as little as when a machine loses its power.

    As a context manager it runs for the block and dies with this process.
    """

    def __init__(
        self,
        kubectl: Kubectl,
        directory: Path,
        images: Sequence[Image],
        *,
        name: str = "local",
        labels: Mapping[str, str] | None = None,
        scheduler: bool = True,
    ) -> None:
        """``scheduler`` says whether this node brings the scheduler; one in a cluster has to."""
        self.name = name
        self.directory = directory.resolve()
        self._kubectl = kubectl
        self._images = images
        self._labels = dict(labels or {})
        self._scheduler = scheduler
        self._processes: list[ProcessRecord] = []

    def __enter__(self) -> Node:
        self.start(tethered=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, tethered: bool) -> list[ProcessRecord]:
        """Start it and return its processes once it is ready. Raises ToolError if that takes too long."""
        programs = find_node()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = self.directory / "settings.json"
        write_private(settings, json.dumps(self._settings(programs)))
        commands = {"kubelet": [f"--config={settings}"]}
        if self._scheduler:
            kubeconfig = f"--kubeconfig={self._kubectl.kubeconfig}"
            commands["kube-scheduler"] = [kubeconfig, "--leader-elect=false", "--secure-port=0"]
        with Step(f"Starting the node {self.name}"):
            for name, arguments in commands.items():
                command = [str(programs / name), *arguments]
                record, _ = spawn(name, command, self._log(name), env={}, tethered=tethered)
                self._processes.append(record)
            self._wait_ready()
        return self._processes

    def stop(self) -> None:
        """End it, and with it the processes of its pods."""
        terminate(self._processes)
        self._processes.clear()

    def set_volume_delay(self, seconds: int) -> None:
        """How long a pod's volumes may hold the old content of a changed Secret or ConfigMap: 0 at first, up
        to 90 s in a real cluster. It counts from when the kubelet last read the object.
        """
        self._kubectl("annotate", "node", self.name, f"{_CACHE_TTL}={seconds}", "--overwrite")

    def process_id(self, pod: Mapping[str, Any]) -> int:
        """The process of a pod's only container on this machine. The pod has to be running."""
        (status,) = pod["status"]["containerStatuses"]
        identifier = status["containerID"].removeprefix("process://")
        return int((self.directory / "containers" / identifier / "pid").read_text())

    def kill(self, pod: Mapping[str, Any]) -> None:
        """SIGKILL, as the kernel sends it to a process that takes too much memory."""
        os.kill(self.process_id(pod), signal.SIGKILL)

    def _settings(self, programs: Path) -> dict[str, object]:
        return {
            "Name": self.name,
            "Labels": self._labels,
            "Kubeconfig": str(self._kubectl.kubeconfig),
            "Directory": str(self.directory),
            "ContainerInit": str(programs / "containerinit"),
            "Images": [image.settings() for image in self._images],
        }

    def _wait_ready(self) -> None:
        try:
            self._wait_for("create")
            self.set_volume_delay(0)
            self._wait_for("condition=Ready")
        except ToolError:
            self.stop()
            raise

    def _wait_for(self, event: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                self._kubectl("wait", f"node/{self.name}", f"--for={event}", "--timeout=1s")
            except ToolError as error:
                if not all(process.alive() for process in self._processes) or time.monotonic() > deadline:
                    raise ToolError(f"{error}\nThe kubelet's log ends with:\n{self._log_tail()}") from error
            else:
                return

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _log_tail(self) -> str:
        return "\n".join(self._log("kubelet").read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:])
