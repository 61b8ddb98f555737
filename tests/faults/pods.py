"""The processes of the pods of one bench, on a node that others use as well."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_DEATH_POLL_SECONDS = 0.001


def kill_pods(proxy: str) -> None:
    """SIGKILL to each process that has ``proxy`` for its ``HTTP_PROXY``, and wait for its death. The API
    server may not know yet that its pod runs.
    """
    for process in list(_processes(f"HTTP_PROXY={proxy}".encode())):
        with suppress(ProcessLookupError):
            os.kill(int(process.name), signal.SIGKILL)
        while _environment(process):
            time.sleep(_DEATH_POLL_SECONDS)


def _processes(variable: bytes) -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        if variable in _environment(process):
            yield process


def _environment(process: Path) -> list[bytes]:
    """Nothing of one that has ended, or is somebody else's."""
    with suppress(OSError):
        return [entry for entry in (process / "environ").read_bytes().split(b"\0") if entry]
    return []
