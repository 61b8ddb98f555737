"""One Azurite for all emulators of a user, however many processes they are.

Each process that uses it holds a shared lock on a file. The keeper, a process of its own
(``tests/emulators/blob/keeper.py``), waits for the exclusive one: it gets it when the last user has gone, in
good order or not, and ends Azurite.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hack.console import ToolError
from hack.install import ROOT
from hack.processes import ProcessRecord, spawn

ACCOUNTS = 400
"""Storage accounts that Azurite knows; each sandbox of each emulator takes one."""

CONTAINER = "dlz-user-container"
"""The container of every landing zone (landing-zone.md E.1)."""

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Account:
    """A storage account of Azurite."""

    name: str
    key: str
    server: str
    """Azurite's own address, behind the proxy."""

    @property
    def url(self) -> str:
        """Azurite's own address of the account."""
        return f"{self.server}/{self.name}"


class AzuriteFolder:
    """Where users and keeper find each other."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(tempfile.gettempdir()) / f"crmflow-azurite-{os.getuid()}"

    @property
    def users(self) -> Path:
        """Locked, shared, by each process that uses Azurite."""
        return self.path / "users.lock"

    @property
    def running(self) -> Path:
        """What the keeper tells once Azurite listens."""
        return self.path / "running.json"

    @property
    def log(self) -> Path:
        """What keeper and Azurite print."""
        return self.path / "azurite.log"

    def account_lock(self, name: str) -> Path:
        """Locked by the process that uses the account."""
        return self.path / f"{name}.lock"


def account_name(number: int) -> str:
    """A name of the form that Azure allows: lower-case letters and digits."""
    return f"sndbxdtlnd{number:04d}"


def account_key(secret: str, number: int) -> str:
    """The key of an account; short, for all of them stand in one environment variable."""
    digest = hashlib.sha256(f"{secret}:{number}".encode()).digest()
    return base64.b64encode(digest[:24]).decode()


class SharedAzurite:
    """This process's share. Not to be used by several threads at once."""

    def __init__(self, folder: AzuriteFolder | None = None) -> None:
        self._folder = folder or AzuriteFolder()
        self._running: dict[str, Any] | None = None
        self._locks: list[IO[str]] = []

    def account(self) -> Account:
        """An account that nobody else uses, until :meth:`leave`; starts Azurite first if need be.

        Blocks for some seconds. Raises ToolError.
        """
        running = self._running or self._join()
        for number in range(ACCOUNTS):
            name = account_name(number)
            file = self._folder.account_lock(name).open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            self._locks.append(file)
            return Account(name, account_key(running["secret"], number), running["url"])
        raise ToolError(f"all {ACCOUNTS} accounts of Azurite are in use")

    def leave(self) -> None:
        """Give everything back; the keeper ends Azurite if nobody else is left."""
        for file in self._locks:
            file.close()
        self._locks.clear()
        self._running = None

    def _join(self) -> dict[str, Any]:
        self._folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder.path / "start.lock").open("a") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            users = self._folder.users.open("a")
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is about to go
            self._locks.append(users)
            self._running = self._found() or self._started()
        return self._running

    def _found(self) -> dict[str, Any] | None:
        with suppress(FileNotFoundError):
            running: dict[str, Any] = json.loads(self._folder.running.read_text())
            if ProcessRecord("azurite", running["pid"], running["startTime"]).alive():
                return running
        return None

    def _started(self) -> dict[str, Any]:
        """Start a keeper, which outlives this process if others need it."""
        self._folder.running.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.emulators.blob.keeper", str(self._folder.path)]
        keeper, process = spawn(
            "keeper", command, self._folder.log, cwd=ROOT, tethered=False, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _READY_SECONDS
        while (found := self._found()) is None:
            if process.poll() is not None or not keeper.alive() or time.monotonic() > deadline:
                tail = self._folder.log.read_text(errors="replace")[-2000:]
                raise ToolError(f"Azurite did not start:\n{tail}")
            time.sleep(_POLL_SECONDS)
        return found
