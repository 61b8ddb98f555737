"""IMS tokens (platform.md 1.3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from crmflow.aep.ims import Ims, ImsToken
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import redact

NOW = 1_800_000_000.0


class StoppedClock(Clock):
    def now(self) -> float:
        return NOW


async def token(response: httpx.Response, requests: list[httpx.Request], *scopes: str) -> ImsToken:
    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return response

    clock = StoppedClock()
    ims = Ims(HttpClient(httpx.MockTransport(handler), clock), "https://ims.example/", clock)
    if scopes:
        return await ims.token("client-id", SecretStr("client-secret"), scopes)
    return await ims.token("client-id", SecretStr("client-secret"))


async def test_a_token() -> None:
    requests: list[httpx.Request] = []
    body = {"access_token": "opaque-token", "token_type": "bearer", "expires_in": 86399}
    found = await token(httpx.Response(200, json=body), requests)
    assert found.value.get_secret_value() == "opaque-token"
    assert (found.issued_at, found.expires_at) == (NOW, NOW + 86399)
    (request,) = requests
    assert (request.method, str(request.url)) == ("POST", "https://ims.example/ims/token/v3")
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client-id"],
        "client_secret": ["client-secret"],
        "scope": ["openid,AdobeID,read_organizations,additional_info.projectedProductContext,session"],
    }
    assert redact("opaque-token client-secret") == "*** ***"


async def test_own_scopes_and_no_expiry() -> None:
    requests: list[httpx.Request] = []
    found = await token(httpx.Response(200, json={"access_token": "opaque-token"}), requests, "a", "b")
    assert found.expires_at == NOW + 86399
    assert parse_qs(requests[0].content.decode())["scope"] == ["a,b"]


@pytest.mark.parametrize(
    ("status", "body", "error_class", "reason"),
    [
        (400, {"error": "invalid_client"}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (401, {"error": "invalid_client"}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (200, {"error": "invalid_client"}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (400, {"error": "invalid_scope"}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (400, {"error": "unauthorized_client"}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (400, {"error": "unsupported_grant_type"}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (403, {"error": "access_denied"}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (400, {"error": "Unauthorized_Client"}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (400, {"error": "server_error"}, ErrorClass.TRANSIENT, "Unavailable"),
        (400, {"error": "temporarily_unavailable"}, ErrorClass.TRANSIENT, "Unavailable"),
        (400, {"error": {"code": "invalid_client"}}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (401, {"error": "new"}, ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (403, "<html>", ErrorClass.TERMINAL, "PlatformCredentialsRejected"),
        (404, "", ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (302, "", ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (408, "", ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (429, "", ErrorClass.TRANSIENT, "RateLimited"),
        (500, "<html>", ErrorClass.TRANSIENT, "Unavailable"),
        (503, {"error": "unavailable"}, ErrorClass.TRANSIENT, "Unavailable"),
        (200, "<html>", ErrorClass.TRANSIENT, "UnreadableAnswer"),
        (200, {}, ErrorClass.TRANSIENT, "UnreadableAnswer"),
        (200, {"access_token": 5}, ErrorClass.TRANSIENT, "UnreadableAnswer"),
        (200, [], ErrorClass.TRANSIENT, "UnreadableAnswer"),
    ],
)
async def test_errors(status: int, body: Any, error_class: ErrorClass, reason: str) -> None:
    content = {"text": body} if isinstance(body, str) else {"json": body}
    with pytest.raises(RemoteError) as raised:
        await token(httpx.Response(status, **content), [])
    error = raised.value
    assert (error.error_class, error.reason) == (error_class, reason)
    assert (error.service, error.operation, error.status) == ("IMS", "token", status)


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_page_knows_nothing_of_the_credential(status: int) -> None:
    with pytest.raises(RemoteError) as raised:
        await token(httpx.Response(status, text="<html>Blocked by policy</html>"), [])
    error = raised.value
    assert (error.error_class, error.reason) == (ErrorClass.TRANSIENT, "UnexpectedAnswer")
    assert f'answered {status} "Blocked by policy"' in error.message
    assert "what stands between" in error.advice


SERVER_TO_SERVER = "must be of the type OAuth Server-to-Server"


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("invalid_client", "Compare clientId and clientSecret in the Secret"),
        ("unauthorized_client", SERVER_TO_SERVER),
        ("unsupported_grant_type", SERVER_TO_SERVER),
        ("invalid_grant", SERVER_TO_SERVER),
        ("invalid_scope", "key scopes of the Secret"),
        ("invalid_request", "anything pasted along"),
        ("access_denied", "administrator"),
        ("brand_new", "If the answer does not name the cause"),
    ],
)
async def test_each_refusal_has_its_own_advice_below_the_words_of_ims(code: str, advice: str) -> None:
    body = {"error": code, "error_description": f"<b>as</b> IMS puts {code}"}
    with pytest.raises(RemoteError) as raised:
        await token(httpx.Response(400, json=body), [])
    error = raised.value
    assert f'ims.example answered "{code}: as IMS puts {code}"' in error.message
    assert advice in error.advice
    assert redact(error.message) == error.message, "the nets leave our own words alone"
    assert error.code == code


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(403, text="<html><h1>Blocked</h1> by policy</html>"), '403 "Blocked by policy"'),
        (httpx.Response(401), "ims.example answered 401"),
        (httpx.Response(503, text="Down for maintenance"), '503 "Down for maintenance"'),
        (httpx.Response(400, json={"error_code": "x", "message": "client-secret?"}), '"x: ***?"'),
        (httpx.Response(200, json={"error": "invalid_client"}), '"invalid_client"'),
    ],
)
async def test_what_ims_says_in_other_forms_is_quoted_too(response: httpx.Response, said: str) -> None:
    with pytest.raises(RemoteError) as raised:
        await token(response, [])
    assert said in raised.value.message
