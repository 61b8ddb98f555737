"""Start and end child processes so that exactly ours are ended, and none is left behind.

A process is known by its id *and* its start time: ids are used again, and a signal sent by id alone may hit
a stranger.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessRecord:
    """What identifies a running process, fit to be kept in a file."""

    name: str
    pid: int
    start_time: str

    def alive(self) -> bool:
        """Whether this very process still runs. A dead child that nobody waited for yet does not count."""
        return start_time(self.pid) == self.start_time

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone or its id belongs to another one by now."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def spawn(
    name: str,
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    tethered: bool,
    stdout: int | None = None,
) -> tuple[ProcessRecord, subprocess.Popen[bytes]]:
    """Start ``command`` in a session of its own, its output appended to ``log``.

    ``tethered`` makes it die with the calling process, however that ends (Linux; elsewhere only an orderly
    end stops it). ``stdout`` replaces the log as the place of standard output, e.g. ``subprocess.PIPE``.
    """
    argv = [sys.executable, str(_TETHER), str(os.getpid()), *command] if tethered else list(command)
    with log.open("ab") as sink:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=sink if stdout is None else stdout,
            stderr=sink,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    return ProcessRecord(name, process.pid, start_time(process.pid) or ""), process


def terminate(processes: Sequence[ProcessRecord], grace_seconds: float = 10.0) -> None:
    """End the processes in the given order: ask with SIGTERM, insist with SIGKILL after the grace."""
    for process in processes:
        process.signal(signal.SIGTERM)
        if not _gone(process, grace_seconds):
            process.signal(signal.SIGKILL)
            _gone(process, grace_seconds)


def _gone(process: ProcessRecord, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not process.alive():
            return True
        time.sleep(_POLL_SECONDS)
    return False


def start_time(pid: int) -> str | None:
    """A text that differs between two processes that had the same id; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _start_time_by_ps(pid)
    except ProcessLookupError:
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name in brackets may hold blanks and brackets
    return None if state == "Z" else fields[18]


def _start_time_by_ps(pid: int) -> str | None:
    """The same where there is no /proc, as on macOS."""
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
