"""Install and build side by side what the demo needs: ``python3 -m hack.prepare``. Standard library only.

The Go programs take longest and need none of the Python packages, so they are compiled while these and
Azurite's are fetched. Each part writes its own log; what they are at is shown together.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.console import Step, ToolError, say

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "prepare"
_POLL_SECONDS = 0.2
_SHOWN = 20
"""Lines of a log that are shown when its part has failed."""

Parts = Mapping[str, Sequence[Sequence[str]]]


def parts(python: str) -> Parts:
    """The commands of each part, one after the other: the node is built from what the control plane is."""
    found: dict[str, Sequence[Sequence[str]]] = {"Python packages": [["make", "setup"]]}
    if os.environ.get("CLUSTER", "") != "current":
        programs = [[python, "-m", "hack.controlplane", "build"]]
        if sys.platform == "linux":
            programs.append([python, "-m", "hack.node"])
            found["Azurite"] = [[python, "-m", "hack.azurite"]]
        found["Kubernetes"] = programs
    return found


def prepare(wanted: Parts, logs: Path) -> None:
    """Run all parts at once. Raises ToolError, with the end of its log, when one fails."""
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        running = [stack.enter_context(_run(name, commands, logs)) for name, commands in wanted.items()]
        with Step("Preparing") as step:
            while sum(part.goes_on() for part in running):  # each of them is looked at
                step.update("; ".join(f"{part.name}: {part.latest()}" for part in running))
                time.sleep(_POLL_SECONDS)
            for part in running:
                part.check()


@dataclass
class _Part:
    """A part under way."""

    name: str
    log: Path
    remaining: list[Sequence[str]]
    process: subprocess.Popen[bytes] | None = None
    status: int = 0

    def goes_on(self) -> bool:
        """Whether there is more to wait for; starts the next command when one has ended."""
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return True
            self.process, self.status = None, status
        if self.status or not self.remaining:
            return False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.remaining.pop(0), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return True

    def latest(self) -> str:
        """What it is at, in its own last words."""
        if self.process is None:
            return "failed" if self.status else "done"
        lines = self._lines()
        return lines[-1] if lines else "started"

    def check(self) -> None:
        if self.status:
            raise ToolError("\n".join([*self._lines()[-_SHOWN:], f"{self.name} failed: {self.log}"]))

    def _lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()


@contextmanager
def _run(name: str, commands: Sequence[Sequence[str]], logs: Path) -> Iterator[_Part]:
    """A part that ends with the block, also by Ctrl-C."""
    log = logs / f"{name.lower().replace(' ', '-')}.log"
    log.unlink(missing_ok=True)
    part = _Part(name, log, list(commands))
    try:
        yield part
    finally:
        if part.process is not None:
            part.process.terminate()
            part.process.wait()


def main() -> int:
    """Prepare everything; a failure that the person can cure is printed without a stack trace."""
    try:
        prepare(parts(sys.executable), LOGS)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
