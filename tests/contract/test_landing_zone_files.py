"""The files of a landing zone as the operator lists and deletes them, in Azurite behind the emulated
Platform; they are put there with Azure's own SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from crmflow.aep.client import PlatformClient
from crmflow.blob.container import Container
from crmflow.blob.service import BlobService
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.ports import LandingZoneFile
from crmflow.runtime.credentials.landing_zone import LandingZoneCredential
from crmflow.runtime.credentials.landing_zone_files import SandboxFiles
from tests.contract import platform as under_test
from tests.contract.aep import Aep
from tests.contract.landing_zone import commit, credentials, names, opened
from tests.emulators.core.server import Emulators

FOLDER = "crmflow/eu/sales/contacts/0-d55ebbf0"
HOUR = 3600


@dataclass
class Site:
    """A sandbox with its landing zone."""

    aep: Aep
    emulators: Emulators
    control: Any
    platform: PlatformClient
    http: HttpClient
    files: SandboxFiles

    async def put(self, name: str, **metadata: str) -> datetime:
        """A file of that name; when it was committed, on the emulators' clock."""
        async with opened((await credentials(self.aep))["SASUri"]) as container:
            await commit(container, name, b"id\n1\n", metadata=metadata)
        return datetime.fromtimestamp(int(self.emulators.clock.now()), UTC)

    async def left(self) -> list[str]:
        """The names of all files."""
        async with opened((await credentials(self.aep))["SASUri"]) as container:
            return await names(container)

    async def fault(self, **fault: Any) -> None:
        """Have exchanges with the blob service fail."""
        await self.control("POST", "/faults", {"service": "blob", **fault})


@pytest.fixture
async def site(aep: Aep, emulators: Emulators, control: Any) -> AsyncIterator[Site]:
    """Its blob service has started: that may take longer than the client waits."""
    await credentials(aep)
    async with httpx.AsyncHTTPTransport() as transport:
        http = HttpClient(transport, Clock())
        platform = under_test.emulator(aep, transport).platform
        assert isinstance(platform, PlatformClient)
        files = SandboxFiles(http, LandingZoneCredential(platform, Clock()))
        yield Site(aep, emulators, control, platform, http, files)


async def test_the_files_of_a_folder(site: Site) -> None:
    site.emulators.clock.advance(HOUR / 2)
    committed = await site.put(f"{FOLDER}/1.csv", Rows="7", windowBegin="2026-11-04T10:00:00Z")
    for other in ("crmflow/eu/sales/contacts/1-0a0a0a0a/1.csv", f"{FOLDER}/deeper/1.csv", f"{FOLDER}x/1.csv"):
        await site.put(other)
    assert await site.files.list(FOLDER) == [
        LandingZoneFile(f"{FOLDER}/1.csv", committed, {"rows": "7", "windowbegin": "2026-11-04T10:00:00Z"})
    ]


async def test_a_folder_that_is_not_there_has_no_files(site: Site) -> None:
    assert await site.files.list(FOLDER) == []


async def test_names_that_others_have_chosen(site: Site) -> None:
    name = f"{FOLDER}/Größe & <Umfang> 100%+1.csv"
    await site.put(name)
    [file] = await site.files.list(FOLDER)
    assert (file.path, file.metadata) == (name, {})
    await site.files.delete(name)
    assert await site.files.list(FOLDER) == []


async def test_many_files_come_page_by_page(site: Site) -> None:
    expected = [f"{FOLDER}/{number}.csv" for number in range(5)]
    for name in expected:
        await site.put(name)
    container = Container(BlobService(site.http, site.files), page_size=2)
    assert [blob.path for blob in await container.list(FOLDER)] == expected


async def test_a_file_that_was_deleted(site: Site) -> None:
    for number in (1, 2):
        await site.put(f"{FOLDER}/{number}.csv")
    for _ in range(2):
        await site.files.delete(f"{FOLDER}/1.csv")
    assert await site.left() == [f"{FOLDER}/2.csv"]


async def test_files_end_after_seven_days(site: Site) -> None:
    await site.put(f"{FOLDER}/1.csv")
    assert len(await site.files.list(FOLDER)) == 1
    site.emulators.clock.advance(7 * 24 * HOUR)
    assert await site.files.list(FOLDER) == []


async def test_credentials_that_somebody_has_renewed(site: Site) -> None:
    await site.put(f"{FOLDER}/1.csv")
    first = (await site.files.credentials()).sas_uri
    await site.platform.refresh_landing_zone_credentials()
    assert len(await site.files.list(FOLDER)) == 1
    assert (await site.files.credentials()).sas_uri != first


@pytest.mark.parametrize("code", ["AuthenticationFailed", "AuthorizationPermissionMismatch"])
async def test_a_refusal_that_no_other_credentials_cure(site: Site, code: str) -> None:
    await site.fault(azure=code, times=100)
    with pytest.raises(RemoteError) as raised:
        await site.files.list(FOLDER)
    assert (raised.value.error_class, raised.value.reason) == (ErrorClass.TERMINAL, "LandingZoneRefused")
    assert f'403 "{code}"' in raised.value.message


@pytest.mark.parametrize("code", ["ServerBusy", "InternalError"])
async def test_a_busy_service(site: Site, code: str) -> None:
    await site.put(f"{FOLDER}/1.csv")
    await site.fault(azure=code, times=2)
    for call in (site.files.list(FOLDER), site.files.delete(f"{FOLDER}/1.csv")):
        with pytest.raises(RemoteError) as raised:
            await call
        assert (raised.value.error_class, raised.value.reason) == (ErrorClass.TRANSIENT, "Unavailable")
    assert len(await site.files.list(FOLDER)) == 1


@pytest.mark.parametrize(("moment", "left"), [("before", 1), ("after", 0)])
async def test_a_deletion_whose_answer_is_lost(site: Site, moment: str, left: int) -> None:
    await site.put(f"{FOLDER}/1.csv")
    await site.fault(method="DELETE", reset=moment)
    with pytest.raises(RemoteError) as raised:
        await site.files.delete(f"{FOLDER}/1.csv")
    assert (raised.value.error_class, raised.value.maybe_applied) == (ErrorClass.TRANSIENT, True)
    assert len(await site.left()) == left
    await site.files.delete(f"{FOLDER}/1.csv")
    assert await site.left() == []
