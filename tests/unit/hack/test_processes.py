"""Exactly our processes are ended, and none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hack.install import ROOT
from hack.processes import ProcessRecord, spawn, terminate

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('deaf', flush=True)\n"
    "time.sleep(600)",
]


@pytest.mark.parametrize("tethered", [False, True])
def test_a_process_lives_until_it_is_terminated(tmp_path: Path, tethered: bool) -> None:
    record, process = spawn("sleep", SLEEP, tmp_path / "log", tethered=tethered)
    assert record.alive()
    terminate([record])
    assert not record.alive()
    assert process.wait() == -signal.SIGTERM


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    record, process = spawn("deaf", DEAF, tmp_path / "log", tethered=False, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"deaf\n"
    terminate([record], grace_seconds=0.2)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def test_a_stranger_that_has_the_id_by_now_is_left_alone(tmp_path: Path) -> None:
    record, process = spawn("sleep", SLEEP, tmp_path / "log", tethered=False)
    stranger = replace(record, start_time="another time")
    assert not stranger.alive()
    terminate([stranger])
    assert process.poll() is None
    terminate([record])


def test_a_process_without_a_record_of_its_start_is_never_signalled() -> None:
    assert not ProcessRecord("unknown", os.getpid(), "").alive()


def test_a_dead_child_that_nobody_waited_for_is_not_alive(tmp_path: Path) -> None:
    record, process = spawn("quick", [sys.executable, "-c", ""], tmp_path / "log", tethered=False)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not record.alive()
    process.wait()


def test_a_tethered_process_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from hack.processes import spawn\n"
        f"record, _ = spawn('sleep', {SLEEP!r}, Path({str(tmp_path / 'log')!r}), tethered=True)\n"
        "print(record.pid, record.start_time, flush=True)\n"
        "sys.stdin.readline()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        pid, start_time = parent.stdout.readline().split()
        child = ProcessRecord("sleep", int(pid), start_time)
        assert child.alive()
        parent.stdin.write("\n")
    _wait_until_gone(child)


def _wait_until_gone(process: ProcessRecord) -> None:
    """The kernel kills it; only how long that takes is unknown."""
    deadline = time.monotonic() + 10
    while process.alive():
        assert time.monotonic() < deadline, f"{process} still lives"
        time.sleep(0.01)
