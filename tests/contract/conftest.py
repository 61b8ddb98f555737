"""The emulators in this process, and clients that talk to them like anybody else: over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.contract.aep import Aep
from tests.contract.zoho import Zoho, running_zoho
from tests.emulators.core.server import Emulators


@pytest.fixture(scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Emulators]:
    """One set of emulators for the whole session."""
    directory: Path = tmp_path_factory.mktemp("emulators")
    async with Emulators(
        clock_file=directory / "clock", exchanges_file=directory / "exchanges.jsonl"
    ) as found:
        yield found


@pytest.fixture
async def emulators(running: Emulators) -> AsyncIterator[Emulators]:
    """The emulators as they stand after their start."""
    yield running
    running.aep.reset()
    running.zoho.reset()
    running.blob.reset()
    running.faults.clear()
    running.clock.set_offset(0)


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client without cookies or redirects of its own."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
def control(emulators: Emulators, http: aiohttp.ClientSession) -> Any:
    """Call the control API: ``await control("POST", "/clock", {"advance": 60})`` gives the answer's body."""

    async def call(method: str, path: str, body: Any = None) -> Any:
        async with http.request(method, emulators.control_url + path, json=body) as response:
            content = await response.json()
            assert response.status < 400, content
            return content

    return call


@pytest.fixture
async def aep(emulators: Emulators, http: aiohttp.ClientSession) -> Aep:
    """A client of AEP that has logged in."""
    client = Aep(emulators, http)
    assert (await client.log_in()).status == 200
    return client


@pytest.fixture
async def zoho() -> AsyncIterator[Zoho]:
    """An emulated Zoho of the test's own, with clients of its hosts."""
    async with running_zoho() as found:
        yield found
