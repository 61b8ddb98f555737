"""The blob service's calls on the wire, and what its answers mean (landing-zone.md E.5, K.2)."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.transfer.blob import HttpBlob
from crmflow.transfer.credentials import CredentialRefusedError, Credentials
from tests.unit.transfer.clock import RunningClock

SAS = (
    "https://acct.blob.core.windows.net/dlz-user-container?sv=2020-04-08&si=dlz&sr=c&sp=racwdlm&sig=a%2Fb%3D"
)
URL = SAS.replace("dlz-user-container?", "dlz-user-container/crmflow/a/20261104T100000Z-1.csv?")


class Service:
    """Gives one answer, and keeps the requests."""

    def __init__(self, folder: Path, response: httpx.Response) -> None:
        (folder / "sasUri").write_text(SAS)
        self.requests: list[httpx.Request] = []
        self._response = response
        clock = RunningClock()
        http = HttpClient(httpx.MockTransport(self._answer), clock)
        self.blob = HttpBlob(http, Credentials(folder, clock), "crmflow/a/20261104T100000Z-1.csv")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._response


def error(status: int, code: str) -> httpx.Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>…</Message></Error>'
    return httpx.Response(status, content=body.encode())


async def test_a_block(tmp_path: Path) -> None:
    service = Service(tmp_path, httpx.Response(201))
    await service.blob.stage("000001-000002", b"1,a\n")
    (request,) = service.requests
    assert (request.method, str(request.url)) == (
        "PUT",
        f"{URL}&comp=block&blockid=MDAwMDAxLTAwMDAwMg%3D%3D",
    )
    assert (request.content, request.headers["content-length"]) == (b"1,a\n", "4")


async def test_a_commit_makes_the_blob_once(tmp_path: Path) -> None:
    service = Service(tmp_path, httpx.Response(201))
    await service.blob.commit(["000001-000000", "000001-000001"], {"rows": "7"})
    (request,) = service.requests
    assert str(request.url) == f"{URL}&comp=blocklist"
    assert request.content.decode().endswith(
        "<BlockList><Latest>MDAwMDAxLTAwMDAwMA==</Latest><Latest>MDAwMDAxLTAwMDAwMQ==</Latest></BlockList>"
    )
    assert request.headers["if-none-match"] == "*"
    assert request.headers["x-ms-meta-rows"] == "7"
    assert request.headers["x-ms-blob-content-type"] == "text/csv; charset=utf-8"


async def test_metadata(tmp_path: Path) -> None:
    service = Service(tmp_path, httpx.Response(200, headers={"x-ms-meta-Rows": "7", "ETag": "x"}))
    assert await service.blob.metadata() == {"rows": "7"}
    assert service.requests[0].method == "HEAD"


async def test_no_blob(tmp_path: Path) -> None:
    response = httpx.Response(404, headers={"x-ms-error-code": "BlobNotFound"})
    assert await Service(tmp_path, response).blob.metadata() is None


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
async def test_errors(tmp_path: Path, response: httpx.Response, error_class: ErrorClass, reason: str) -> None:
    with pytest.raises(RemoteError) as raised:
        await Service(tmp_path, response).blob.commit(["000001-000000"], {})
    assert (raised.value.error_class, raised.value.reason) == (error_class, reason)
    assert raised.value.maybe_applied is (error_class is ErrorClass.TRANSIENT)
    assert "sig" not in raised.value.message


@pytest.mark.parametrize(
    "code", ["AuthenticationFailed", "AuthorizationFailure", "AuthorizationPermissionMismatch"]
)
async def test_a_sas_that_is_refused(tmp_path: Path, code: str) -> None:
    with pytest.raises(CredentialRefusedError) as raised:
        await Service(tmp_path, error(403, code)).blob.metadata()
    assert raised.value.error.reason == "LandingZoneRefused"
    assert f'403 "{code}"' in raised.value.error.message
