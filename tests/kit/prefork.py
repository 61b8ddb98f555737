"""``crmflow`` as a process of its own, forked from a server that has imported it already.

A start by the command line takes a second of CPU for imports; the tests start hundreds of operators. The
command line itself is what ``tests/unit/test_startup.py``, ``tests/faults`` and ``tests/image`` start.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from hack.processes import ProcessRecord, start_time

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ForkedProcess:
    """What of :class:`subprocess.Popen` the tests use."""

    record: ProcessRecord
    _process: ForkServerProcess

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self.record.signal(number)

    def wait(self, timeout: float) -> int:
        """Its exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.record.name, timeout)
        return self._process.exitcode


def start(
    name: str, arguments: Sequence[str], log: Path, *, env: Mapping[str, str], cwd: Path
) -> ForkedProcess:
    """``crmflow`` with ``arguments``, its output appended to ``log``; it dies with the server, and the server
    with this process.
    """
    invocation = (tuple(arguments), log, dict(env), cwd)
    process = _context().Process(target=_run, args=invocation, name=name, daemon=True)
    process.start()
    assert process.pid is not None
    return ForkedProcess(ProcessRecord(name, process.pid, start_time(process.pid) or ""), process)


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kit.preloaded"])
    return context


def _run(arguments: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    from crmflow.__main__ import main

    sys.exit(main(list(arguments)))
