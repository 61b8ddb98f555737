"""Tokens from Zoho Accounts, and what its errors mean."""

from __future__ import annotations

from collections.abc import Callable
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
from crmflow.zoho.accounts import ZohoAccounts, ZohoToken
from crmflow.zoho.datacenters import ZohoEndpoints

NOW = 1_800_000_000.0
REFRESH_TOKEN = "1000.aaaa.bbbb"
ACCESS_TOKEN = "1000.cccc.dddd"


class StoppedClock(Clock):
    def now(self) -> float:
        return NOW


async def refresh(handler: Callable[[httpx.Request], httpx.Response]) -> ZohoToken:
    clock = StoppedClock()
    accounts = ZohoAccounts(HttpClient(httpx.MockTransport(handler), clock), ZohoEndpoints(), clock)
    return await accounts.refresh(
        DataCenter.CA, "1000.CLIENT", SecretStr("client-secret-value"), SecretStr(REFRESH_TOKEN)
    )


async def answered(body: Any, status: int = 200, **headers: str) -> ZohoToken:
    content = {"json": body} if isinstance(body, dict) else {"content": body}
    return await refresh(lambda request: httpx.Response(status, headers=headers, **content))


async def test_the_request_is_a_form_with_nothing_in_its_query() -> None:
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"access_token": ACCESS_TOKEN, "expires_in": 3600})

    await refresh(handler)
    (request,) = requests
    assert (request.method, str(request.url)) == ("POST", "https://accounts.zohocloud.ca/oauth/v2/token")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["1000.CLIENT"],
        "client_secret": ["client-secret-value"],
        "refresh_token": [REFRESH_TOKEN],
    }


async def test_a_token() -> None:
    token = await answered(
        {
            "access_token": ACCESS_TOKEN,
            "scope": "ZohoCRM.modules.READ ZohoCRM.settings.READ",
            "api_domain": "https://www.zohoapis.ca",
            "token_type": "Bearer",
            "expires_in": 3600,
        }
    )
    assert token.value.get_secret_value() == ACCESS_TOKEN
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 3600)
    assert token.scopes == ("ZohoCRM.modules.READ", "ZohoCRM.settings.READ")
    assert token.data_center is DataCenter.CA
    assert token.refresh_token is None
    assert ACCESS_TOKEN not in repr(token)


async def test_what_passes_through_is_never_printed() -> None:
    opaque = "an-opaque-access-token"
    await answered({"access_token": opaque})
    assert not {"client-secret-value", opaque} & set(redact(f"client-secret-value {opaque}").split())


@pytest.mark.parametrize(
    ("fields", "life"),
    [
        ({"expires_in": 3600}, 3600),
        ({"expires_in": "3600"}, 3600),
        ({"expires_in": 3_600_000}, 3600),
        ({"expires_in": 3_600_000, "expires_in_sec": 3600}, 3600),
        ({"expires_in": 86400}, 86400),
        ({}, 3600),
        ({"expires_in": None}, 3600),
        ({"expires_in": -1}, 3600),
        ({"expires_in": [], "expires_in_sec": "soon"}, 3600),
    ],
)
async def test_both_generations_of_expires_in(fields: dict[str, Any], life: float) -> None:
    token = await answered({"access_token": ACCESS_TOKEN, **fields})
    assert token.expires_at - token.issued_at == life


@pytest.mark.parametrize(
    "api_domain", ["https://api.zoho.com", "https://www.zohoapis.ca.example.com", "", 7, None]
)
async def test_an_api_domain_that_is_not_zohos_is_told_and_not_used(
    api_domain: Any, caplog: pytest.LogCaptureFixture
) -> None:
    token = await answered({"access_token": ACCESS_TOKEN, "api_domain": api_domain})
    assert token.data_center is None
    assert token.scopes == ()
    is_text = isinstance(api_domain, str) and api_domain != ""
    assert ("API host that is not in the table" in caplog.text) is is_text


async def test_an_api_domain_of_another_data_center_is_kept_to_name_it() -> None:
    token = await answered({"access_token": ACCESS_TOKEN, "api_domain": "https://www.zohoapis.eu"})
    assert token.data_center is DataCenter.EU


async def test_a_new_refresh_token_is_taken() -> None:
    """Zoho's refresh answers carry none; its own SDK keeps one all the same (zoho.md 1.3)."""
    token = await answered({"access_token": ACCESS_TOKEN, "refresh_token": "1000.eeee.ffff"})
    assert token.refresh_token is not None
    assert token.refresh_token.get_secret_value() == "1000.eeee.ffff"
    assert "1000." not in repr(token)


THROTTLE = {
    "error": "Access Denied",
    "error_description": "You have made too many requests continuously. Please try again after some time.",
    "status": "failure",
}
LOCALIZED = {
    "error": "拒绝访问",
    "error_description": "您连续发出了太多请求。请稍后再试。",
    "status": "failure",
}


@pytest.mark.parametrize(
    ("status", "body", "error_class", "reason"),
    [
        (200, {"error": "invalid_client"}, ErrorClass.TERMINAL, "InvalidClient"),
        (401, {"error": "invalid_client"}, ErrorClass.TERMINAL, "InvalidClient"),
        (200, {"error": "invalid_client_secret"}, ErrorClass.TERMINAL, "InvalidClientSecret"),
        (200, {"error": "invalid_redirect_uri"}, ErrorClass.TERMINAL, "InvalidRedirectUri"),
        (200, {"error": "invalid_code"}, ErrorClass.TERMINAL, "RefreshTokenRejected"),
        (400, {"error": "invalid_code"}, ErrorClass.TERMINAL, "RefreshTokenRejected"),
        (200, {"error": "invalid_grant"}, ErrorClass.TERMINAL, "RefreshTokenRejected"),
        (200, {"error": "missing_org_info"}, ErrorClass.TERMINAL, "OrganizationMissing"),
        (400, THROTTLE, ErrorClass.TRANSIENT, "TokenThrottled"),
        (200, THROTTLE, ErrorClass.TRANSIENT, "TokenThrottled"),
        (400, LOCALIZED, ErrorClass.TRANSIENT, "TokenThrottled"),
        (200, LOCALIZED, ErrorClass.TRANSIENT, "TokenThrottled"),
        (400, {"error": "ACCESS DENIED"}, ErrorClass.TRANSIENT, "TokenThrottled"),
        (200, {"error": "access_denied"}, ErrorClass.TRANSIENT, "TokenThrottled"),
        (200, {"error": "general_error"}, ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (200, {"error": "something_new"}, ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (200, {"error": {"code": 1}}, ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (200, {}, ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (200, {"access_token": ""}, ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (200, b"<html>sign in</html>", ErrorClass.TRANSIENT, "UnreadableAnswer"),
        (200, b"[]", ErrorClass.TRANSIENT, "UnreadableAnswer"),
        (200, b"", ErrorClass.TRANSIENT, "UnreadableAnswer"),
        (302, b"", ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (400, b"", ErrorClass.BUG, "RequestRefused"),
        (403, b"<html>Access denied</html>", ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (429, b"", ErrorClass.TRANSIENT, "RateLimited"),
        (500, b"<html>oops</html>", ErrorClass.TRANSIENT, "Unavailable"),
        (503, {"error": "unheard_of"}, ErrorClass.TRANSIENT, "Unavailable"),
    ],
)
async def test_errors(status: int, body: Any, error_class: ErrorClass, reason: str) -> None:
    with pytest.raises(RemoteError) as raised:
        await answered(body, status)
    error = raised.value
    assert (error.error_class, error.reason) == (error_class, reason)
    assert (error.service, error.operation, error.status) == ("ZohoAccounts", "refresh", status)
    assert error.message
    assert error.advice or error_class is ErrorClass.TRANSIENT


async def test_an_error_beats_a_token() -> None:
    with pytest.raises(RemoteError):
        await answered({"error": "invalid_code", "access_token": ACCESS_TOKEN})


async def test_the_throttle_is_waited_out() -> None:
    with pytest.raises(RemoteError) as raised:
        await answered(THROTTLE, 400)
    assert raised.value.retry_after == 600
    with pytest.raises(RemoteError) as raised:
        await answered(THROTTLE, 400, **{"Retry-After": "30"})
    assert raised.value.retry_after == 30


async def test_an_unknown_error_is_quoted_in_safe_form() -> None:
    with pytest.raises(RemoteError) as raised:
        await answered({"error": "odd\x00_one", "error_description": f"<b>no</b> {REFRESH_TOKEN}"})
    assert raised.value.message == (
        'Zoho gives an answer that is not known; accounts.zohocloud.ca (Canada) answered "odd _one: no ***"'
    )
    assert "look the answer up in Zoho's documentation" in raised.value.advice


async def test_an_answer_without_words_names_its_status() -> None:
    with pytest.raises(RemoteError) as raised:
        await answered({}, 405)
    assert raised.value.message.endswith("accounts.zohocloud.ca (Canada) answered 405")


async def test_a_quotation_ends_without_a_full_stop_of_its_own() -> None:
    with pytest.raises(RemoteError) as raised:
        await answered({"error": "invalid_client", "error_description": "Client unknown."})
    assert raised.value.message.endswith('answered "invalid_client: Client unknown"')


CANADA = "accounts.zohocloud.ca (Canada)"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, {"error": "invalid_client"}, f'{CANADA} answered "invalid_client"'),
        (
            200,
            {"error": "invalid_client", "error_description": "unknown client"},
            f'{CANADA} answered "invalid_client: unknown client"',
        ),
        (200, {"error": "invalid_client_secret"}, f'{CANADA} answered "invalid_client_secret"'),
        (200, {"error": "invalid_code"}, f'{CANADA} answered "invalid_code"'),
        (400, THROTTLE, f'{CANADA} answered "Access Denied: You have made too many requests'),
        (429, b"", f"{CANADA} answered 429"),
        (502, b"<html>Bad gateway</html>", f'{CANADA} answered 502 "Bad gateway"'),
        (400, b"", f"{CANADA} answered 400"),
    ],
)
async def test_zohos_own_words_are_quoted_with_the_host_that_said_them(
    status: int, body: Any, said: str
) -> None:
    with pytest.raises(RemoteError) as raised:
        await answered(body, status)
    assert said in raised.value.message
    assert redact(raised.value.message) == raised.value.message, "the nets leave our own words alone"


async def test_an_unknown_client_leads_to_the_data_center_which_cannot_change() -> None:
    with pytest.raises(RemoteError) as raised:
        await answered({"error": "invalid_client"})
    assert "dataCenter cannot change after creation" in raised.value.advice
