"""The exchange of a grant token, once and no more, and the revocation of what came of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import redact
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.grants import Grant, ZohoGrants

NOW = 1_800_000_000.0
ANSWER = {
    "access_token": "1000.aaaa.bbbb",
    "refresh_token": "1000.cccc.dddd",
    "scope": "ZohoCRM.modules.READ",
    "expires_in": 3600,
}


class StoppedClock(Clock):
    def now(self) -> float:
        return NOW


class Server:
    """Answers every request alike, and keeps them."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self._answer = answer
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    @property
    def grants(self) -> ZohoGrants:
        clock = StoppedClock()
        return ZohoGrants(HttpClient(httpx.MockTransport(self), clock), ZohoEndpoints(), clock)

    async def exchange(self, redirect_uri: str | None = None) -> Grant:
        secret, code = SecretStr("client-secret-value"), SecretStr("a-code-of-no-known-shape")
        return await self.grants.exchange(DataCenter.AU, "1000.ID", secret, code, redirect_uri)

    async def fails(self) -> RemoteError:
        with pytest.raises(RemoteError) as caught:
            await self.exchange()
        return caught.value


def json(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


@pytest.mark.parametrize("redirect_uri", [None, "http://localhost:8917/callback"])
async def test_the_request(redirect_uri: str | None) -> None:
    server = Server(json(ANSWER))
    await server.exchange(redirect_uri)
    (request,) = server.requests
    assert (request.method, str(request.url)) == ("POST", "https://accounts.zoho.com.au/oauth/v2/token")
    expected = {
        "grant_type": ["authorization_code"],
        "client_id": ["1000.ID"],
        "client_secret": ["client-secret-value"],
        "code": ["a-code-of-no-known-shape"],
    }
    if redirect_uri is not None:  # a self client has none, and must not send one
        expected["redirect_uri"] = [redirect_uri]
    assert parse_qs(request.content.decode()) == expected


async def test_a_grant() -> None:
    grant = await Server(json(ANSWER)).exchange()
    assert grant.refresh_token.get_secret_value() == "1000.cccc.dddd"
    assert grant.access_token.value.get_secret_value() == "1000.aaaa.bbbb"
    assert grant.access_token.scopes == ("ZohoCRM.modules.READ",)
    assert grant.access_token.expires_at == NOW + 3600
    assert "1000." not in repr(grant)


async def test_what_passes_through_is_never_printed() -> None:
    await Server(json({**ANSWER, "refresh_token": "a-refresh-token-of-no-shape"})).exchange()
    for secret in ("client-secret-value", "a-code-of-no-known-shape", "a-refresh-token-of-no-shape"):
        assert secret not in redact(f"it is {secret}")


@pytest.mark.parametrize(
    ("answer", "reason", "error_class"),
    [
        (json({"error": "invalid_code"}), "GrantRejected", ErrorClass.TERMINAL),
        (json({"error": "invalid_code"}, 400), "GrantRejected", ErrorClass.TERMINAL),
        (json({"error": "invalid_grant"}), "GrantRejected", ErrorClass.TERMINAL),
        (json({"error": "access_denied"}), "GrantThrottled", ErrorClass.TERMINAL),
        (json({"error": "Access Denied", "status": "failure"}, 400), "GrantThrottled", ErrorClass.TERMINAL),
        (json({"error": "拒绝访问", "status": "failure"}, 400), "GrantThrottled", ErrorClass.TERMINAL),
        (json({"error": "invalid_client"}), "InvalidClient", ErrorClass.TERMINAL),
        (json({"error": "invalid_client_secret"}), "InvalidClientSecret", ErrorClass.TERMINAL),
        (json({"error": "invalid_redirect_uri"}), "InvalidRedirectUri", ErrorClass.TERMINAL),
        (httpx.Response(400, content=b"<html>"), "RequestRefused", ErrorClass.BUG),
        (json({"access_token": "1000.aaaa.bbbb"}), "GrantIncomplete", ErrorClass.TERMINAL),
        (httpx.ConnectError("refused"), "Unreachable", ErrorClass.TRANSIENT),
    ],
)
async def test_what_is_certain(
    answer: httpx.Response | Exception, reason: str, error_class: ErrorClass
) -> None:
    server = Server(answer)
    error = await server.fails()
    assert (error.reason, error.error_class, error.maybe_applied) == (reason, error_class, False)
    assert error.advice
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ReadError("reset"),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("closed"),
        httpx.Response(200, content=b"<html>come back later</html>"),
        httpx.Response(200, json=["no object"]),
        httpx.Response(502, content=b"Bad gateway"),
        json({"error": "general_error"}),
        json({"error": "internal_error"}, 500),
        json({}, 429),
        json({}),
    ],
)
async def test_what_is_not_certain_is_lost_and_not_tried_again(answer: httpx.Response | Exception) -> None:
    server = Server(answer)
    error = await server.fails()
    assert (error.reason, error.error_class, error.maybe_applied) == (
        "GrantLost",
        ErrorClass.TERMINAL,
        True,
    )
    assert "authorize anew" in error.advice
    assert len(server.requests) == 1


async def test_a_revocation() -> None:
    server = Server(json({"status": "success"}))
    await server.grants.revoke(DataCenter.JP, SecretStr("1000.cccc.dddd"))
    (request,) = server.requests
    assert (request.method, str(request.url)) == ("POST", "https://accounts.zoho.jp/oauth/v2/token/revoke")
    assert parse_qs(request.content.decode()) == {"token": ["1000.cccc.dddd"]}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (json({"status": "failure"}), "RevocationRefused"),
        (json({"status": "failure"}, 400), "RevocationRefused"),
        (httpx.Response(200, content=b""), "RevocationRefused"),
        (httpx.Response(503), "Unavailable"),
        (json({}, 429), "RateLimited"),
        (httpx.ReadTimeout("late"), "Timeout"),
    ],
)
async def test_a_revocation_that_is_not_confirmed(answer: httpx.Response | Exception, reason: str) -> None:
    with pytest.raises(RemoteError) as caught:
        await Server(answer).grants.revoke(DataCenter.JP, SecretStr("1000.cccc.dddd"))
    assert caught.value.reason == reason
