"""``crmflow`` as a process of its own, forked from a server that has imported it already.

A start by the command line takes one or two seconds of CPU for imports; the tests start hundreds of operators
and run hundreds of commands of the plugin. The command lines themselves are what
``tests/unit/test_startup.py``, ``tests/unit/cli``, ``tests/faults`` and ``tests/image`` start.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
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


class ForkedPlugin:
    """``kubectl-crmflow`` with ``arguments``, and pipes in place of its three streams."""

    def __init__(self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        context = _context()
        pipes = [context.Pipe(duplex=False) for _ in range(3)]
        (its_stdin, stdin), (stdout, its_stdout), (stderr, its_stderr) = pipes
        theirs = (its_stdin, its_stdout, its_stderr)
        self._process = context.Process(
            target=_run_plugin, args=(tuple(arguments), theirs, dict(env), cwd), name="plugin", daemon=True
        )
        self._process.start()
        for end in theirs:
            end.close()
        self.stdin = open(_detached(stdin), "w")  # noqa: SIM115 - closed by whoever types
        self.stdout, self.stderr = open(_detached(stdout), "rb"), open(_detached(stderr), "rb")  # noqa: SIM115

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal; it must not have been waited for."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self, timeout: float) -> int:
        """Its exit status, negative for a signal. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("kubectl crmflow", timeout)
        return self._process.exitcode

    def kill(self) -> None:
        """End it, if it still runs."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """End it, if it still runs, and what leads to it."""
        self.kill()
        for stream in (self.stdin, self.stdout, self.stderr):
            with suppress(BrokenPipeError):  # it has gone without reading what it was given
                stream.close()


def run_plugin(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run ``kubectl-crmflow`` to its end, without input. Raises subprocess.TimeoutExpired."""
    with closing(ForkedPlugin(arguments, env=env, cwd=cwd)) as plugin, ThreadPoolExecutor(2) as readers:
        plugin.stdin.close()
        written = [readers.submit(stream.read) for stream in (plugin.stdout, plugin.stderr)]
        try:
            status = plugin.wait(timeout)
        except subprocess.TimeoutExpired:
            plugin.kill()  # or the readers would wait for what never ends
            raise
        stdout, stderr = (text.result().decode() for text in written)
        return subprocess.CompletedProcess(list(arguments), status, stdout, stderr)


def _detached(end: Connection) -> int:
    descriptor = os.dup(end.fileno())
    end.close()
    return descriptor


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
    _enter(env, cwd)
    from crmflow.__main__ import main

    sys.exit(main(list(arguments)))


def _run_plugin(
    arguments: Sequence[str], streams: Sequence[Connection], env: Mapping[str, str], cwd: Path
) -> None:
    # Background jobs of a shell ignore it, and so does what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, stream in enumerate(streams):
        os.dup2(stream.fileno(), descriptor)
        stream.close()
    _enter(env, cwd)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.argv = ["kubectl-crmflow", *arguments]
    from crmflow.cli.__main__ import main

    sys.exit(main())


def _enter(env: Mapping[str, str], cwd: Path) -> None:
    """Take on what a process is started with."""
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
