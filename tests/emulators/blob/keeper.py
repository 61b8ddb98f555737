"""``python -m tests.emulators.blob.keeper FOLDER``: Azurite, for as long as somebody uses it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import sys
import time
from pathlib import Path

from hack.azurite import azurite_command
from hack.console import ToolError, say
from hack.processes import ProcessRecord, spawn, terminate
from tests.emulators.blob.azurite import ACCOUNTS, AzuriteFolder, account_key, account_name
from tests.emulators.core.clock import write_atomically

_LISTENS = re.compile(r"successfully listens on (http://127\.0\.0\.1:\d+)")
_START_SECONDS = 50.0
_POLL_SECONDS = 0.05
_OPTIONS = (
    "--blobHost=127.0.0.1",
    "--blobPort=0",
    "--blobKeepAliveTimeout=60",
    "--disableProductStyleUrl",
    # The newest SDK may ask for a version that is newer than this Azurite.
    "--skipApiVersionCheck",
    "--disableTelemetry",
    "--silent",
)


def main() -> int:
    """Start Azurite, tell where it is, and end it after its last user."""
    folder = AzuriteFolder(Path(sys.argv[1]))
    data = folder.path / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    try:
        _keep(folder, data)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return 0


def _keep(folder: AzuriteFolder, data: Path) -> None:
    secret = secrets.token_hex(16)
    accounts = ";".join(f"{account_name(n)}:{account_key(secret, n)}" for n in range(ACCOUNTS))
    folder.log.write_text("")
    command = [*azurite_command(), *_OPTIONS, f"--location={data}"]
    azurite, _ = spawn(
        "azurite", command, folder.log, env={**os.environ, "AZURITE_ACCOUNTS": accounts}, tethered=True
    )
    try:
        url = _url(azurite, folder.log)
        running = {"url": url, "secret": secret, "pid": azurite.pid, "startTime": azurite.start_time}
        write_atomically(folder.running, json.dumps(running))
        with folder.users.open("a") as users:
            fcntl.flock(users, fcntl.LOCK_EX)  # waits until nobody is left
            folder.running.unlink(missing_ok=True)
            terminate([azurite])
    finally:
        terminate([azurite])


def _url(azurite: ProcessRecord, log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and azurite.alive():
        if found := _LISTENS.search(log.read_text(errors="replace")):
            return found[1]
        time.sleep(_POLL_SECONDS)
    raise ToolError("Azurite does not listen")


if __name__ == "__main__":
    sys.exit(main())
