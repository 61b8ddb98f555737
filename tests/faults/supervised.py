"""The operator as a cluster runs it: started again at once, each time it dies."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

from hack.console import ToolError
from tests.kit.operator import Operator

_READY_SECONDS = 30.0
_POLL_SECONDS = 0.1
_DEATH_POLL_SECONDS = 0.001


class SupervisedOperator(Operator):
    """An operator that is killed from the proxies' thread and restarted from the one that uses it."""

    def __init__(self, *arguments: object, **settings: object) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[arg-type]
        self._ready = False

    def start(self, **settings: str) -> None:
        """Start it and return once it is ready, without a word."""
        self.settings.update(settings)
        self._begin()
        deadline = time.monotonic() + _READY_SECONDS
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise ToolError(f"the operator did not become ready:\n{self._process.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def strike(self) -> None:
        """SIGKILL, and wait for the death; it is left to :meth:`revive` to notice it."""
        if self._running is not None:
            record = self._running.record
            record.signal(signal.SIGKILL)
            while record.alive():
                time.sleep(_DEATH_POLL_SECONDS)

    def revive(self) -> None:
        """Start it again if it has died."""
        if self._running is not None and not self._running.record.alive():
            self._begin()

    def is_ready(self) -> bool:
        """Whether it works; once it does, that is believed until it is started again."""
        if not self._ready:
            with suppress(FileNotFoundError):
                self._ready = self._process.answers("/readyz")
        return self._ready

    def _begin(self) -> None:
        self._ready = False
        self.spawn()
