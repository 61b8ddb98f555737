"""An operator for one test: started, stopped, killed and started again as the test likes."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from hack.operator_process import OperatorProcess
from hack.processes import ProcessRecord, terminate

# Poll often: the tests wait for what a poll finds.
_SETTINGS = {"CRMFLOW_POLL_INTERVAL": "500ms", "CRMFLOW_INSTANCE": "test", "CRMFLOW_LOG_LEVEL": "DEBUG"}


class Operator:
    """``python -m crmflow run`` under its own ServiceAccount."""

    def __init__(self, directory: Path, kubeconfig: Path, settings: dict[str, str]) -> None:
        self.settings = {**_SETTINGS, **settings}
        self._directory = directory
        self._kubeconfig = kubeconfig
        self._running: tuple[ProcessRecord, subprocess.Popen[bytes]] | None = None

    def close(self) -> None:
        """Stop it if it runs; whether it obeys is not asked."""
        if self._running:
            terminate([self._running[0]])
            self._running = None

    @property
    def _process(self) -> OperatorProcess:
        return OperatorProcess(self._directory, self._kubeconfig, self.settings)

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
        self._process.wait_ready(self._running[0])

    def spawn(self) -> None:
        """Start it and go on."""
        self._running = self._process.start(tethered=True)

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
        self._running[1].send_signal(number)

    def wait_end(self, seconds: float = 30) -> int:
        """Wait until it has ended; its exit code."""
        assert self._running, "the operator does not run"
        code = self._running[1].wait(timeout=seconds)
        self._running = None
        return code

    def _end(self, number: signal.Signals) -> int:
        self.signal(number)
        return self.wait_end()
