"""What the process of a Job takes, read while it runs: process, Pod and Job are gone soon after."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from hack.node import Node
from tests.kit.cluster import ApiError, Cluster

_LOOK_SECONDS = 0.2
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """Of one process, as far as it was seen."""

    begun: float
    seconds: float = 0.0
    cpu: float = 0.0
    """User and system, in seconds."""
    memory: float = 0.0
    """Greatest resident set in MiB."""

    def look(self, process: Path) -> None:
        """Take what the kernel tells. Raises OSError for a process that is gone."""
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", (process / "status").read_text(), re.MULTILINE)
        if peak is None:  # it has ended, and was not waited for yet
            return
        self.cpu = (int(fields[11]) + int(fields[12])) / _TICKS
        self.memory = int(peak[1]) / 1024
        self.seconds = time.monotonic() - self.begun


class PodWatcher:
    """Looks at the processes of all Pods of a namespace, for the block."""

    def __init__(self, cluster: Cluster, node: Node, namespace: str) -> None:
        self._cluster = cluster
        self._node = node
        self._namespace = namespace
        self._seen: dict[str, Usage] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pod watcher", daemon=True)

    @property
    def usages(self) -> list[Usage]:
        """One for each Pod that was seen running."""
        return list(self._seen.values())

    def __enter__(self) -> PodWatcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            with suppress(ApiError):
                for pod in self._cluster.list("Pod", self._namespace):
                    if pod["status"]["phase"] == "Running":
                        usage = self._seen.setdefault(pod["metadata"]["uid"], Usage(time.monotonic()))
                        with suppress(OSError):
                            usage.look(Path("/proc", str(self._node.process_id(pod))))
