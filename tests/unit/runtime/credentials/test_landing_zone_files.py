"""The operator's own calls to the blob service: with the SAS that is good, and what is said when none is."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from crmflow.aep.models import LandingZoneCredentials
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.runtime.credentials.landing_zone import LandingZoneCredential
from crmflow.runtime.credentials.landing_zone_files import SandboxFiles
from tests.unit.runtime.fakes import JumpingClock

LISTING = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"


class Zone:
    """Platform and the blob service: one hands out a SAS, the other takes one."""

    def __init__(self) -> None:
        self.handed_out = self.taken = 1
        self.seen: list[str] = []
        clock = JumpingClock()
        self.files = SandboxFiles(
            HttpClient(httpx.MockTransport(self._answer), clock), LandingZoneCredential(self, clock)
        )

    async def landing_zone_credentials(self) -> LandingZoneCredentials:
        uri = f"https://account.example/container?sig={self.handed_out}"
        return LandingZoneCredentials("container", "account", SecretStr(uri), None)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.url.params["sig"])
        if self.seen[-1] != str(self.taken):
            return httpx.Response(403, headers={"x-ms-error-code": "AuthenticationFailed"})
        return httpx.Response(202) if request.method == "DELETE" else httpx.Response(200, text=LISTING)


async def test_a_sas_that_was_ended_is_replaced_once() -> None:
    zone = Zone()
    assert await zone.files.list("crmflow/a") == []
    for generation in (2, 3):
        zone.handed_out = zone.taken = generation
        await zone.files.delete("crmflow/a/1.csv")
    assert zone.seen == ["1", "1", "2", "2", "3"]


async def test_where_platform_has_no_other_a_person_is_needed() -> None:
    zone = Zone()
    zone.taken = 2
    with pytest.raises(RemoteError) as raised:
        await zone.files.list("crmflow/a")
    assert (raised.value.error_class, raised.value.reason) == (ErrorClass.TERMINAL, "LandingZoneRefused")
    assert "Platform hands out no other" in raised.value.message
    assert zone.seen == ["1"]


async def test_a_new_one_that_is_refused_as_well_is_not_replaced_again() -> None:
    zone = Zone()
    await zone.files.list("crmflow/a")
    zone.handed_out, zone.taken = 2, 3
    with pytest.raises(RemoteError):
        await zone.files.list("crmflow/a")
    assert zone.seen == ["1", "1", "2"]


async def test_transfers_that_were_refused_have_it_replaced_too() -> None:
    zone = Zone()
    first = (await zone.files.credentials()).sas_uri
    zone.handed_out = zone.taken = 2
    zone.files.reject(first)
    assert (await zone.files.credentials()).sas_uri != first
