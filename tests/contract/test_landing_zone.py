"""The landing-zone service and its blob service, through Azure's own SDK (landing-zone.md E, K.1, K.2)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from tests.contract.aep import Aep
from tests.contract.landing_zone import CREDENTIALS, ZONE, commit, credentials, names, opened
from tests.contract.switches import assert_all_turned
from tests.emulators.blob.switches import BlobSwitches
from tests.emulators.core.server import Emulators

DAY = 86400
NAME = "crmflow/a/b/c.csv"


def turn(aep: Aep, **positions: Any) -> None:
    """Set switches of AEP; the fixture's reset turns them back."""
    for name, position in positions.items():
        setattr(aep.emulators.aep.switches, name, position)


def turn_blob(emulators: Emulators, **positions: Any) -> None:
    """Set switches of the blob service."""
    for name, position in positions.items():
        setattr(emulators.blob.switches, name, position)


async def refused(uri: str) -> tuple[int | None, str | None]:
    """Status and code of a listing with a SAS that is no good."""
    async with opened(uri) as container:
        with pytest.raises(HttpResponseError) as error:
            await names(container)
    return error.value.status_code, error.value.error_code


# --- the service ------------------------------------------------------------------------------------------


async def test_the_zone(aep: Aep) -> None:
    found = await aep.get(ZONE, type="user_drop_zone")
    assert (found.status, found.body) == (200, {"containerName": "dlz-user-container", "containerTTL": "7"})


async def test_credentials(aep: Aep, emulators: Emulators) -> None:
    body = await credentials(aep)
    assert set(body) == {"containerName", "SASToken", "storageAccountName", "SASUri", "expiryDate"}
    address = f"{emulators.blob_url}/{body['storageAccountName']}/dlz-user-container"
    assert body["SASUri"] == f"{address}?{body['SASToken']}"
    fields = dict(part.split("=", 1) for part in body["SASToken"].split("&"))
    assert (fields["sr"], fields["sp"], "se" in fields) == ("c", "racwdlm", False)
    assert fields["si"].startswith("dlz-")
    expected = datetime.fromtimestamp(emulators.clock.now(), UTC) + timedelta(days=90)
    assert body["expiryDate"] == expected.strftime("%Y-%m-%d")
    assert await credentials(aep) == body


@pytest.mark.parametrize(("position", "there"), [("shown", True), ("absent", False)])
async def test_sas_expiry_date(aep: Aep, position: str, there: bool) -> None:
    turn(aep, sasExpiryDate=position)
    assert ("expiryDate" in await credentials(aep)) == there


async def test_sas_seconds(aep: Aep, emulators: Emulators) -> None:
    turn(aep, sasSeconds=3600)
    first = await credentials(aep)
    emulators.clock.advance(3590)
    assert await credentials(aep) == first
    emulators.clock.advance(10)
    assert await refused(first["SASUri"]) == (403, "AuthenticationFailed")
    second = await credentials(aep)
    assert second["SASToken"] != first["SASToken"]
    async with opened(second["SASUri"]) as container:
        assert await names(container) == []


@pytest.mark.parametrize("code", ["AuthenticationFailed", "AuthorizationFailure"])
async def test_a_refresh_ends_the_old_ones(aep: Aep, emulators: Emulators, code: str) -> None:
    turn_blob(emulators, endedSasCode=code)
    first = await credentials(aep)
    answer = await aep.call("POST", f"{CREDENTIALS}?type=user_drop_zone&action=refresh")
    assert answer.status == 200
    assert await credentials(aep) == answer.body
    assert await refused(first["SASUri"]) == (403, code)
    async with opened(answer.body["SASUri"]) as container:
        assert await names(container) == []


async def test_refresh_is_the_only_action(aep: Aep) -> None:
    assert (await aep.call("POST", f"{CREDENTIALS}?type=user_drop_zone")).status == 400


@pytest.mark.parametrize(
    ("position", "member"), [("generic", "detail"), ("flow", "errorDetails"), ("gateway", "error_code")]
)
async def test_landing_zone_errors(aep: Aep, position: str, member: str) -> None:
    turn(aep, landingZoneErrors=position)
    for path in (ZONE, CREDENTIALS):
        for kind in ({}, {"type": "dlz_destination"}):
            found = await aep.get(path, **kind)
            assert found.status == 400
            assert member in found.body
    turn(aep, sourcesPermission="none")
    found = await aep.get(CREDENTIALS, type="user_drop_zone")
    assert found.status == 403
    assert member in found.body


async def test_who_may_only_view_cannot_refresh(aep: Aep) -> None:
    turn(aep, sourcesPermission="view")
    assert (await aep.get(CREDENTIALS, type="user_drop_zone")).status == 200
    assert (await aep.call("POST", f"{CREDENTIALS}?type=user_drop_zone&action=refresh")).status == 403


@pytest.mark.parametrize("provider", ["azure", "aws"])
async def test_landing_zone_provider(aep: Aep, provider: str) -> None:
    turn(aep, landingZoneProvider=provider)
    zone = (await aep.get(ZONE, type="user_drop_zone")).body
    found = (await aep.get(CREDENTIALS, type="user_drop_zone")).body
    if provider == "azure":
        assert "SASUri" in found
        return
    assert set(zone) == {"dlzPath", "dataTTL", "dlzProvider"}
    assert set(found) == {"credentials", "dlzPath", "dlzProvider", "expiryTime"}


async def test_each_sandbox_has_a_container_of_its_own(aep: Aep) -> None:
    async with opened((await credentials(aep))["SASUri"]) as container:
        await commit(container, NAME, b"id\n1\n")
    aep.sandbox = "dev"
    async with opened((await credentials(aep))["SASUri"]) as container:
        assert await names(container) == []


# --- the blob service -------------------------------------------------------------------------------------


async def test_a_blob_appears_as_a_whole(aep: Aep, emulators: Emulators) -> None:
    async with opened((await credentials(aep))["SASUri"]) as container:
        blob = container.get_blob_client(NAME)
        await blob.stage_block("OS0wMDAwMA==", b"id,Last_Name\n")
        assert await names(container) == []
        pieces = [b"id,Last_Name\n", "1,Grünthaler\n".encode() * 500_000]
        await commit(container, NAME, *pieces, metadata={"rows": "500000"})
        assert await names(container) == [NAME]
        assert (await blob.get_blob_properties()).metadata == {"rows": "500000"}
        assert await (await blob.download_blob()).readall() == b"".join(pieces)


async def test_a_name_is_written_once(aep: Aep) -> None:
    async with opened((await credentials(aep))["SASUri"]) as container:
        await commit(container, NAME, b"first", attempt="1")
        with pytest.raises(ResourceExistsError) as error:
            await commit(container, NAME, b"second", attempt="2")
        assert error.value.error_code == "BlobAlreadyExists"
        blob = container.get_blob_client(NAME)
        assert await (await blob.download_blob()).readall() == b"first"


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("BlobAlreadyExists", 409, ResourceExistsError),
        ("ConditionNotMet", 412, ResourceModifiedError),
        ("InvalidBlockList", 400, HttpResponseError),
    ],
)
async def test_existing_blob(
    aep: Aep, emulators: Emulators, code: str, status: int, kind: type[HttpResponseError]
) -> None:
    turn_blob(emulators, existingBlob=code)
    async with opened((await credentials(aep))["SASUri"]) as container:
        await commit(container, NAME, b"first")
        with pytest.raises(kind) as error:
            await commit(container, NAME, b"first")
        assert (error.value.status_code, error.value.error_code) == (status, code)


async def test_a_lost_answer_after_the_commit(aep: Aep, control: Any) -> None:
    await credentials(aep)
    fault = {"service": "blob", "method": "PUT", "query": "comp=blocklist", "reset": "after"}
    await control("POST", "/faults", fault)
    async with opened((await credentials(aep))["SASUri"]) as container:
        # The SDK's transport sends a PUT again by itself if the connection was used before: 409.
        with pytest.raises((ServiceRequestError, ServiceResponseError, ResourceExistsError)):
            await commit(container, NAME, b"once", metadata={"rows": "1"})
        assert (await container.get_blob_client(NAME).get_blob_properties()).metadata == {"rows": "1"}


@pytest.mark.parametrize(
    ("code", "status"),
    [("ServerBusy", 503), ("InternalError", 500), ("ConditionNotMet", 412), ("BlobAlreadyExists", 409)],
)
async def test_faults_in_azures_words(aep: Aep, control: Any, code: str, status: int) -> None:
    await control("POST", "/faults", {"service": "blob", "query": "comp=blocklist", "azure": code})
    async with opened((await credentials(aep))["SASUri"]) as container:
        with pytest.raises(HttpResponseError) as error:
            await commit(container, NAME, b"once")
        assert (error.value.status_code, error.value.error_code) == (status, code)
        await commit(container, NAME, b"once")


async def test_a_slow_answer(aep: Aep, control: Any) -> None:
    await control("POST", "/faults", {"service": "blob", "delay": 0.3})
    async with opened((await credentials(aep))["SASUri"]) as container:
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            [name async for name in container.list_blob_names(read_timeout=0.1)]
        assert await names(container) == []


async def test_the_sdk_tries_again_by_itself(aep: Aep, control: Any) -> None:
    await control("POST", "/faults", {"service": "blob", "query": "comp=blocklist", "azure": "ServerBusy"})
    uri = (await credentials(aep))["SASUri"]
    async with opened(uri) as container:
        await container.get_blob_client(NAME).upload_blob(b"small")
    async with opened(uri) as container:
        assert await names(container) == [NAME]


@pytest.mark.parametrize("days", [7, 2])
async def test_life_seconds(aep: Aep, emulators: Emulators, days: int) -> None:
    turn_blob(emulators, lifeSeconds=days * DAY)
    async with opened((await credentials(aep))["SASUri"]) as container:
        await commit(container, NAME, b"old")
        emulators.clock.advance(days * DAY - 60)
        await commit(container, "crmflow/a/b/young.csv", b"young")
        assert await names(container) == [NAME, "crmflow/a/b/young.csv"]
        emulators.clock.advance(61)
        assert await names(container) == ["crmflow/a/b/young.csv"]
        with pytest.raises(ResourceNotFoundError) as error:
            await container.get_blob_client(NAME).get_blob_properties()
        assert error.value.status_code == 404


@pytest.mark.parametrize("limit", [None, 10])
async def test_largest_put_blob(aep: Aep, emulators: Emulators, limit: int | None) -> None:
    turn_blob(emulators, largestPutBlob=limit)
    async with opened((await credentials(aep))["SASUri"]) as container:
        if limit is None:
            await container.upload_blob(NAME, b"0123456789+")
            return
        with pytest.raises(HttpResponseError) as error:
            await container.upload_blob(NAME, b"0123456789+")
        assert (error.value.status_code, error.value.error_code) == (413, "RequestBodyTooLarge")


async def test_an_old_version_has_a_smaller_limit(aep: Aep, emulators: Emulators) -> None:
    body = await credentials(aep)
    headers = {"x-ms-version": "2015-02-21", "x-ms-blob-type": "BlockBlob", "Content-Length": str(65 << 20)}
    url = f"{emulators.blob_url}/{body['storageAccountName']}/dlz-user-container/{NAME}?{body['SASToken']}"
    async with aiohttp.ClientSession() as own, own.put(url, headers=headers, data=_unread()) as response:
        assert (response.status, response.headers["x-ms-error-code"]) == (413, "RequestBodyTooLarge")


async def _unread() -> Any:
    yield b"x"


async def test_a_wrong_signature(aep: Aep) -> None:
    uri = (await credentials(aep))["SASUri"]
    assert (await refused(uri[:-4] + "AAAA"))[0] == 403


async def test_an_unknown_account(aep: Aep) -> None:
    uri = (await credentials(aep))["SASUri"].replace("sndbxdtlnd", "nobodys")
    assert await refused(uri) == (403, "AuthenticationFailed")


async def test_plain_http_as_adobes_page_has_it(
    aep: Aep, emulators: Emulators, http: aiohttp.ClientSession
) -> None:
    body = await credentials(aep)
    url = f"{emulators.blob_url}/{body['storageAccountName']}/dlz-user-container/{NAME}?{body['SASToken']}"
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2018-03-28"}
    async with http.put(url, data=b"id\n1\n", headers=headers) as response:
        assert response.status == 201
        for name in ("ETag", "Last-Modified", "x-ms-request-id", "x-ms-version", "Date"):
            assert name in response.headers
    async with http.get(url) as response:
        assert await response.read() == b"id\n1\n"


async def test_control_shows_the_files_on_the_emulators_clock(
    aep: Aep, control: Any, emulators: Emulators
) -> None:
    emulators.clock.advance(DAY / 2)
    before = int(emulators.clock.now())
    await credentials(aep)
    async with opened((await credentials(aep))["SASUri"]) as container:
        await commit(container, NAME, b"id\n1\n")
        properties = await container.get_blob_client(NAME).get_blob_properties()
        (listed,) = [blob async for blob in container.list_blobs()]
    shown = await control("GET", "/aep/sandboxes/prod/landingzone")
    assert shown["SASUri"] == (await credentials(aep))["SASUri"]
    (file,) = shown["files"]
    assert (file["name"], file["size"]) == (NAME, 5)
    assert before <= file["changed"] <= emulators.clock.now()
    assert properties.last_modified.timestamp() == listed.last_modified.timestamp() == file["changed"]


async def test_somebody_else_refreshes_the_credentials(aep: Aep, control: Any) -> None:
    old = (await credentials(aep))["SASUri"]
    await control("POST", "/aep/sandboxes/prod/landingzone/refresh")
    assert await refused(old) == (403, "AuthenticationFailed")
    assert (await credentials(aep))["SASUri"] != old


# --- what is written down ---------------------------------------------------------------------------------


async def test_exchanges_hold_no_signature(aep: Aep, emulators: Emulators, control: Any) -> None:
    since = emulators.recorder.count
    body = await credentials(aep)
    async with opened(body["SASUri"]) as container:
        await commit(container, NAME, b"id,Email\n1,somebody@example.com\n")
    exchanges = (await control("GET", f"/exchanges?since={since}"))["exchanges"]
    blob = [e for e in exchanges if e["service"] == "blob"]
    assert [(e["method"], e["query"]["comp"], e["status"]) for e in blob] == [
        ("PUT", ["block"], 201),
        ("PUT", ["blocklist"], 201),
    ]
    text = json.dumps(exchanges)
    signature = body["SASToken"].split("sig=")[1]
    assert signature not in text
    assert unquote(signature) not in text
    assert "somebody@example.com" not in text


async def test_a_reset_empties_the_zone(aep: Aep, control: Any) -> None:
    async with opened((await credentials(aep))["SASUri"]) as container:
        await commit(container, NAME, b"old")
    await control("POST", "/reset")
    assert (await aep.log_in()).status == 200
    async with opened((await credentials(aep))["SASUri"]) as container:
        assert await names(container) == []


def test_every_switch_of_the_blob_service_is_tested() -> None:
    assert_all_turned(BlobSwitches, "turn_blob", "test_landing_zone.py")
