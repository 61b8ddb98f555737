"""The tenancy list of the installation: a mounted file, and the wake-up of whom a new one may concern."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from crmflow.clock import Clock
from crmflow.reconcile.core.tenancy import TenancyList
from crmflow.reloading import ReloadedFile

LOOK_SECONDS = 5.0
"""How often the file is looked at; a kubelet brings a changed ConfigMap within about a minute."""

log = logging.getLogger("crmflow.tenancy")


class Tenancy:
    """The list in force. A file that never was usable allows nothing: a typing error must not open doors."""

    def __init__(self, path: Path, clock: Clock, changed: Callable[[], None]) -> None:
        self._file = ReloadedFile(path, TenancyList, "tenancy list (CRMFLOW_TENANCY)", log)
        self._clock = clock
        self._changed = changed

    def allows(self, namespace: str, organization: str, sandbox: str) -> bool:
        """Whether ``namespace`` may use the sandbox, as the file says now."""
        current = self._file.current()
        return current is not None and current.allows(namespace, organization, sandbox)

    @property
    def usable(self) -> bool:
        """False while the file can't be used."""
        return self._file.usable

    async def run(self) -> None:
        """Look at the file for ever, and tell when another list is in force."""
        known = self._file.current()
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            current = self._file.current()
            if current != known:
                known = current
                self._changed()
