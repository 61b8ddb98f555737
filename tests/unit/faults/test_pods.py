"""The pods of one bench are killed, and no others."""

from __future__ import annotations

import signal
import subprocess

from tests.faults.pods import kill_pods


def _start(proxy: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sleep", "60"], env={"HTTP_PROXY": proxy})


def test_who_has_the_proxy_is_killed() -> None:
    ours, other = _start("http://127.0.0.1:1"), _start("http://127.0.0.1:11")
    try:
        kill_pods("http://127.0.0.1:1")
        assert ours.wait(timeout=5) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()
