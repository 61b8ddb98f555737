"""An operator for one test: started, stopped, killed and started again as the test likes."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hack.operator_process import OperatorProcess
from hack.processes import ProcessRecord, terminate
from tests.kit import prefork

# Poll often: the tests wait for what a poll finds.
_SETTINGS = {"CRMFLOW_POLL_INTERVAL": "500ms", "CRMFLOW_INSTANCE": "test", "CRMFLOW_LOG_LEVEL": "DEBUG"}


class Running(Protocol):
    """A process that was started."""

    @property
    def record(self) -> ProcessRecord:
        """What identifies it."""
        ...

    def send_signal(self, number: signal.Signals, /) -> None:
        """Send a signal, unless it has ended."""
        ...

    def wait(self, timeout: float) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        ...


class Operator:
    """``crmflow run`` under its own ServiceAccount."""

    def __init__(self, directory: Path, kubeconfig: Path, settings: dict[str, str]) -> None:
        self.settings = {**_SETTINGS, **settings}
        self._directory = directory
        self.kubeconfig = kubeconfig
        self._running: Running | None = None

    def close(self) -> None:
        """Stop it if it runs; whether it obeys is not asked."""
        if self._running:
            terminate([self._running.record])
            self._running = None

    @property
    def _process(self) -> OperatorProcess:
        return OperatorProcess(self._directory, self.kubeconfig, self.settings)

    @property
    def log(self) -> str:
        """Everything it has logged since the test began, over all its starts."""
        path = self._process.log
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def url(self) -> str:
        """Where /healthz, /readyz and /metrics are."""
        return self._process.url

    def start(self, **settings: str) -> None:
        """Start it, with some ``CRMFLOW_*`` settings changed, and return once it is ready."""
        self.settings.update(settings)
        self.spawn()
        assert self._running
        self._process.wait_ready(self._running.record)

    def spawn(self) -> None:
        """Start it and go on."""
        self._running = self._launch()

    def answers(self, path: str) -> bool:
        """Whether a GET of ``path`` on its own port is answered with success."""
        return self._process.answers(path)

    def stop(self) -> int:
        """SIGTERM, wait, and give its exit code; it must go within 30 s."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL: it gets no chance to tidy up."""
        return self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in order and start it again."""
        self.stop()
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal and go on."""
        assert self._running, "the operator does not run"
        self._running.send_signal(number)

    def wait_end(self, seconds: float = 30) -> int:
        """Wait until it has ended; its exit code."""
        assert self._running, "the operator does not run"
        code = self._running.wait(timeout=seconds)
        self._running = None
        return code

    def _launch(self) -> Running:
        process = self._process
        process.forget_address()
        return prefork.start("operator", ["run"], process.log, env=process.environment, cwd=process.directory)

    def _end(self, number: signal.Signals) -> int:
        self.signal(number)
        return self.wait_end()


class SourceOperator(Operator):
    """The same by its command line: ``PYTHONPATH`` in its settings says from which sources."""

    def _launch(self) -> Running:
        return _Command(*self._process.start(tethered=True))


@dataclass(frozen=True)
class _Command:
    record: ProcessRecord
    _process: subprocess.Popen[bytes]

    def send_signal(self, number: signal.Signals, /) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float) -> int:
        return self._process.wait(timeout)
