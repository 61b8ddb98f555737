"""One Azurite for all who need it, and none after the last of them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from hack.processes import ProcessRecord
from tests.emulators.blob.azurite import AzuriteFolder, SharedAzurite


async def test_azurite_is_shared_and_ends_after_its_last_user(tmp_path: Path) -> None:
    folder = AzuriteFolder(tmp_path)
    first, second = SharedAzurite(folder), SharedAzurite(folder)
    accounts = await asyncio.gather(asyncio.to_thread(first.account), asyncio.to_thread(second.account))
    assert len({account.server for account in accounts}) == 1
    assert len({account.name for account in accounts}) == 2
    running = json.loads(folder.running.read_text())
    azurite = ProcessRecord("azurite", running["pid"], running["startTime"])

    first.leave()
    third = SharedAzurite(folder)
    assert (await asyncio.to_thread(third.account)).server == accounts[0].server
    assert azurite.alive()
    second.leave()
    third.leave()
    assert await asyncio.to_thread(_has_ended, azurite, 30)


def _has_ended(process: ProcessRecord, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not process.alive()
