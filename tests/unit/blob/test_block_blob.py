"""The calls for one blob on the wire, and what answers mean (landing-zone.md E.5, K.2)."""

from __future__ import annotations

import httpx
import pytest

from crmflow.blob.block_blob import BlockBlob
from crmflow.http.errors import ErrorClass, RemoteError
from tests.unit.blob.service import SAS, FakeService, error

PATH = "crmflow/a/20261104T100000Z-1.csv"
URL = SAS.replace("dlz-user-container?", f"dlz-user-container/{PATH}?")


def blob(service: FakeService) -> BlockBlob:
    return BlockBlob(service.service, PATH)


async def test_a_block() -> None:
    service = FakeService(httpx.Response(201))
    await blob(service).stage("000001-000002", b"1,a\n")
    (request,) = service.requests
    assert (request.method, str(request.url)) == (
        "PUT",
        f"{URL}&comp=block&blockid=MDAwMDAxLTAwMDAwMg%3D%3D",
    )
    assert (request.content, request.headers["content-length"]) == (b"1,a\n", "4")


async def test_a_commit_makes_the_blob_once() -> None:
    service = FakeService(httpx.Response(201))
    await blob(service).commit(["000001-000000", "000001-000001"], {"rows": "7"})
    (request,) = service.requests
    assert str(request.url) == f"{URL}&comp=blocklist"
    assert request.content.decode().endswith(
        "<BlockList><Latest>MDAwMDAxLTAwMDAwMA==</Latest><Latest>MDAwMDAxLTAwMDAwMQ==</Latest></BlockList>"
    )
    assert request.headers["if-none-match"] == "*"
    assert request.headers["x-ms-meta-rows"] == "7"
    assert request.headers["x-ms-blob-content-type"] == "text/csv; charset=utf-8"


async def test_metadata() -> None:
    service = FakeService(httpx.Response(200, headers={"x-ms-meta-Rows": "7", "ETag": "x"}))
    assert await blob(service).metadata() == {"rows": "7"}
    assert service.requests[0].method == "HEAD"


async def test_no_blob() -> None:
    response = httpx.Response(404, headers={"x-ms-error-code": "BlobNotFound"})
    assert await blob(FakeService(response)).metadata() is None


@pytest.mark.parametrize(
    ("response", "error_class", "reason"),
    [
        (error(409, "BlobAlreadyExists"), ErrorClass.CONFLICT, "BlobExists"),
        (error(412, "ConditionNotMet"), ErrorClass.CONFLICT, "BlobExists"),
        (error(400, "InvalidBlockList"), ErrorClass.CONFLICT, "BlocksLost"),
        (error(404, "ContainerNotFound"), ErrorClass.TERMINAL, "LandingZoneNotFound"),
        (error(503, "ServerBusy"), ErrorClass.TRANSIENT, "Unavailable"),
        (error(500, "InternalError"), ErrorClass.TRANSIENT, "Unavailable"),
        (httpx.Response(502, text="<html>bad gateway"), ErrorClass.TRANSIENT, "Unavailable"),
        (httpx.Response(408), ErrorClass.TRANSIENT, "Unavailable"),
        (error(413, "RequestBodyTooLarge"), ErrorClass.BUG, "RequestRefused"),
        (error(409, "BlobOperationNotSupported"), ErrorClass.BUG, "RequestRefused"),
        (httpx.Response(200), ErrorClass.BUG, "RequestRefused"),
    ],
)
async def test_errors(response: httpx.Response, error_class: ErrorClass, reason: str) -> None:
    with pytest.raises(RemoteError) as raised:
        await blob(FakeService(response)).commit(["000001-000000"], {})
    assert (raised.value.error_class, raised.value.reason) == (error_class, reason)
    assert raised.value.maybe_applied is (error_class is ErrorClass.TRANSIENT)
    assert "sig" not in raised.value.message


@pytest.mark.parametrize(
    "code", ["AuthenticationFailed", "AuthorizationFailure", "AuthorizationPermissionMismatch"]
)
async def test_a_sas_that_is_refused(code: str) -> None:
    with pytest.raises(RemoteError) as raised:
        await blob(FakeService(error(403, code))).metadata()
    assert raised.value.reason == "LandingZoneRefused"
    assert f'403 "{code}"' in raised.value.message
