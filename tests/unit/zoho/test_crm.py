"""The CRM API, and what its errors mean."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter, Environment, ZohoOrganization
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import redact
from crmflow.zoho import crm
from crmflow.zoho.api import CrmApi
from crmflow.zoho.crm import Organization, User, ZohoCRM
from crmflow.zoho.datacenters import ZohoEndpoints

TOKEN = SecretStr("1000.aaaa.bbbb")


def api(
    response: httpx.Response,
    requests: list[httpx.Request] | None = None,
    environment: Environment = Environment.PRODUCTION,
) -> CrmApi:
    def handler(request: httpx.Request) -> httpx.Response:
        if requests is not None:
            requests.append(request)
        return response

    crm = ZohoCRM(HttpClient(httpx.MockTransport(handler), Clock()), ZohoEndpoints())
    return crm.api(DataCenter.EU, environment, TOKEN)


async def organization(response: httpx.Response) -> Organization:
    return await crm.organization(api(response))


async def test_the_organization() -> None:
    requests: list[httpx.Request] = []
    body = {
        "org": [
            {
                "id": "1234567890",
                "zgid": "600434",
                "company_name": "Acme Inc.",
                "type": "Production",
                "time_zone": "Europe/Berlin",
                "license_details": {"paid": True, "paid_type": "enterprise"},
            }
        ]
    }
    found = await crm.organization(api(httpx.Response(200, json=body), requests, Environment.SANDBOX))
    assert found == Organization(
        "1234567890", "600434", "Acme Inc.", "production", "enterprise", "Europe/Berlin"
    )
    (request,) = requests
    assert (request.method, str(request.url)) == ("GET", "https://sandbox.zohoapis.eu/crm/v8/org")
    assert request.headers["authorization"] == "Zoho-oauthtoken 1000.aaaa.bbbb"


async def test_permissions_are_counted_and_known_in_any_spelling() -> None:
    def lacking(*names: str) -> httpx.Response:
        details = {"permissions": list(names)}
        return httpx.Response(403, json={"code": "NO_PERMISSION", "details": details, "message": "no"})

    with pytest.raises(RemoteError) as raised:
        await organization(lacking(*(f"p{number}" for number in range(10))))
    assert "lacks the permissions p0, p1, p2, p3, p4, p5, p6, p7 and 2 more;" in raised.value.message
    assert raised.value.advice.startswith("Grant them")
    with pytest.raises(RemoteError) as raised:
        await organization(lacking("p0", "crm_implied_api_access"))
    assert raised.value.reason == "ApiAccessDisabled"


async def test_what_it_tells_fits_into_a_status() -> None:
    odd = {"id": "1", "company_name": "n" * 900, "type": "t" * 900, "time_zone": "z" * 900}
    body = {"org": [{**odd, "license_details": {"paid_type": "e" * 900}}]}
    found = await organization(httpx.Response(200, json=body))
    ZohoOrganization(
        id=found.id, name=found.name, type=found.type, edition=found.edition, time_zone=found.time_zone
    )


async def test_the_current_user() -> None:
    requests: list[httpx.Request] = []
    body = {
        "users": [
            {
                "id": "7",
                "email": "a@example.com",
                "full_name": "A B",
                "status": "active",
                "profile": {"name": "Admin"},
            }
        ],
        "info": {"count": 1},
    }
    found = await crm.current_user(api(httpx.Response(200, json=body), requests))
    assert found == User("7", "a@example.com", "A B", "active", "Admin")
    assert str(requests[0].url) == "https://www.zohoapis.eu/crm/v8/users?type=CurrentUser"


async def test_sparse_answers_are_taken() -> None:
    found = await organization(httpx.Response(200, json={"org": [{"id": 12, "license_details": None}]}))
    assert found == Organization("12", "", "", "", "")


async def test_names_are_made_fit_for_people() -> None:
    found = await organization(
        httpx.Response(200, json={"org": [{"id": "1", "company_name": "<b>A</b>\n1000.aa.bb"}]})
    )
    assert found.name == "A ***"


def refusal(code: str, details: Any = None) -> dict[str, Any]:
    return {"code": code, "details": details or {}, "message": "…", "status": "error"}


@pytest.mark.parametrize(
    ("status", "body", "error_class", "reason"),
    [
        (401, refusal("INVALID_TOKEN"), ErrorClass.TERMINAL, "TokenRejected"),
        (401, refusal("INVALID_OAUTHTOKEN"), ErrorClass.TERMINAL, "TokenRejected"),
        (401, refusal("AUTHENTICATION_FAILURE"), ErrorClass.TERMINAL, "TokenRejected"),
        (401, refusal("AUTHENTICATION_FAILED"), ErrorClass.TERMINAL, "TokenRejected"),
        (401, refusal("UNAUTHORIZED"), ErrorClass.TERMINAL, "TokenRejected"),
        (401, refusal("OAUTH_SCOPE_MISMATCH"), ErrorClass.TERMINAL, "ScopeMissing"),
        (401, refusal("INVALID_OAUTHSCOPE"), ErrorClass.TERMINAL, "ScopeMissing"),
        (403, refusal("invalid_oauthscope"), ErrorClass.TERMINAL, "ScopeMissing"),
        (401, refusal("INVALID_OAUTH_SCOPE"), ErrorClass.TERMINAL, "ScopeMissing"),
        (401, refusal("SOME_NEW_SCOPE_ERROR"), ErrorClass.TERMINAL, "ScopeMissing"),
        (
            401,
            {"code": "AUTHENTICATION_FAILURE", "message": "invalid oauth scope to access this URL"},
            ErrorClass.TERMINAL,
            "ScopeMissing",
        ),
        (403, refusal("OAUTH_SCOPE_MISMATCH"), ErrorClass.TERMINAL, "ScopeMissing"),
        (
            403,
            refusal("NO_PERMISSION", {"permissions": ["Crm_Implied_Api_Access"]}),
            ErrorClass.TERMINAL,
            "ApiAccessDisabled",
        ),
        (
            403,
            refusal("NO_PERMISSION", {"permissions": ["Crm_Implied_View_Leads"]}),
            ErrorClass.TERMINAL,
            "PermissionDenied",
        ),
        (400, refusal("NO_PERMISSION"), ErrorClass.TERMINAL, "PermissionDenied"),
        (403, refusal("FEATURE_NOT_ENABLED"), ErrorClass.TERMINAL, "FeatureNotEnabled"),
        (400, refusal("FEATURE_NOT_SUPPORTED"), ErrorClass.TERMINAL, "FeatureNotEnabled"),
        (404, refusal("INVALID_URL_PATTERN"), ErrorClass.BUG, "RequestRefused"),
        (400, refusal("INVALID_HOST"), ErrorClass.TERMINAL, "WrongHost"),
        (400, refusal("INVALID_MODULE"), ErrorClass.TERMINAL, "ModuleNotReadable"),
        (400, refusal("FIELD_NOT_AVAILABLE"), ErrorClass.TERMINAL, "ColumnNotReadable"),
        (400, refusal("INVALID_QUERY", {"column_name": "Emial"}), ErrorClass.TERMINAL, "ColumnNotReadable"),
        (400, refusal("INVALID_QUERY", {"module": "Leeds"}), ErrorClass.TERMINAL, "ModuleNotReadable"),
        (400, refusal("INVALID_QUERY", {"limit": 2000}), ErrorClass.BUG, "LimitExceeded"),
        (400, refusal("INVALID_QUERY"), ErrorClass.BUG, "RequestRefused"),
        (400, refusal("EXPIRED_VALUE"), ErrorClass.TRANSIENT, "PageTokenExpired"),
        (404, refusal("RESOURCE_NOT_FOUND"), ErrorClass.NOT_FOUND, "NotFound"),
        (400, refusal("NOT_SUPPORTED"), ErrorClass.TERMINAL, "ModuleNotReadable"),
        (400, refusal("API_NOT_SUPPORTED"), ErrorClass.BUG, "RequestRefused"),
        (400, refusal("INVALID_DATA"), ErrorClass.BUG, "RequestRefused"),
        (400, refusal("INVALID_REQUEST"), ErrorClass.BUG, "RequestRefused"),
        (400, refusal("REQUIRED_PARAM_MISSING"), ErrorClass.BUG, "RequestRefused"),
        (400, refusal("INVALID_REQUEST_METHOD"), ErrorClass.BUG, "RequestRefused"),
        (400, refusal("AMBIGUITY_DURING_PROCESSING"), ErrorClass.BUG, "RequestRefused"),
        (429, refusal("TOO_MANY_REQUESTS"), ErrorClass.TRANSIENT, "RateLimited"),
        (429, refusal("RATE_LIMIT_EXCEEDED"), ErrorClass.TRANSIENT, "RateLimited"),
        (429, refusal("LIMIT_REACHED"), ErrorClass.TRANSIENT, "RateLimited"),
        (429, refusal("API_LIMIT_EXCEEDED"), ErrorClass.TRANSIENT, "RateLimited"),
        (429, refusal("NEW"), ErrorClass.TRANSIENT, "RateLimited"),
        (500, refusal("INTERNAL_ERROR"), ErrorClass.TRANSIENT, "Unavailable"),
        (500, refusal("INTERNAL_SERVER_ERROR"), ErrorClass.TRANSIENT, "Unavailable"),
        (502, refusal("BAD_GATEWAY"), ErrorClass.TRANSIENT, "Unavailable"),
        (503, refusal("SERVICE_UNAVAILABLE"), ErrorClass.TRANSIENT, "Unavailable"),
        (504, "<html>", ErrorClass.TRANSIENT, "Unavailable"),
        (412, refusal("ALREADY_MODIFIED"), ErrorClass.CONFLICT, "AlreadyModified"),
        # zoho.md 6: a body that is in no table is most likely a refused address
        (401, refusal("IP_BLOCKED"), ErrorClass.TERMINAL, "AccessRefused"),
        (403, "<html>", ErrorClass.TERMINAL, "AccessRefused"),
        (418, refusal("NEW"), ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (302, "", ErrorClass.TRANSIENT, "UnexpectedAnswer"),
        (204, "", ErrorClass.NOT_FOUND, "NotFound"),
        (200, refusal("INVALID_TOKEN"), ErrorClass.TERMINAL, "TokenRejected"),
        (200, refusal("TOO_MANY_REQUESTS"), ErrorClass.TRANSIENT, "RateLimited"),
        (200, "<html>", ErrorClass.TRANSIENT, "UnreadableAnswer"),
        (200, {"org": []}, ErrorClass.TRANSIENT, "UnreadableAnswer"),
        (200, {"org": ["x"]}, ErrorClass.TRANSIENT, "UnreadableAnswer"),
        (200, [], ErrorClass.TRANSIENT, "UnreadableAnswer"),
    ],
)
async def test_errors(status: int, body: Any, error_class: ErrorClass, reason: str) -> None:
    response = (
        httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)
    )
    with pytest.raises(RemoteError) as raised:
        await organization(response)
    error = raised.value
    assert (error.error_class, error.reason) == (error_class, reason)
    assert (error.service, error.operation, error.status) == ("ZohoCRM", "organization", status)
    assert not error.maybe_applied


HOST = "www.zohoapis.eu (Europe)"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            401,
            {"code": "INVALID_OAUTHSCOPE", "message": "invalid scope", "details": {}},
            f'{HOST} answered "INVALID_OAUTHSCOPE: invalid scope"',
        ),
        (
            401,
            {"code": "INVALID_TOKEN", "message": "invalid oauth token"},
            '"INVALID_TOKEN: invalid oauth token"',
        ),
        (
            401,
            {"code": "IP_BLOCKED", "message": "not from here"},
            f'{HOST} answered "IP_BLOCKED: not from here"',
        ),
        (
            403,
            "<html><h1>Access denied</h1> from this IP address</html>",
            '"Access denied from this IP address"',
        ),
        (403, {"message": "no"}, f'{HOST} answered "no"'),
        (403, {"data": [{"code": "NO_PERMISSION", "message": "denied"}]}, '"NO_PERMISSION: denied"'),
        (403, {"errors": [{"code": "NO_PERMISSION", "message": "denied"}]}, '"NO_PERMISSION: denied"'),
        (401, {"error": {"code": "INVALID_TOKEN", "message": "old"}}, '"INVALID_TOKEN: old"'),
        (401, {"error": "invalid_token", "error_description": "too old"}, '"invalid_token: too old"'),
        (403, "", f"for a reason it does not name; {HOST} answered 403"),
        (503, refusal("SERVICE_UNAVAILABLE"), f'{HOST} answered "SERVICE_UNAVAILABLE: …"'),
        (400, refusal("INVALID_HOST"), f'{HOST} answered "INVALID_HOST: …"'),
        (403, {"code": "X", "message": "token 1000.abcd.ef01 <b>gone</b>"}, '"X: token *** gone"'),
    ],
)
async def test_zohos_own_words_are_quoted_with_the_host_that_said_them(
    status: int, body: Any, said: str
) -> None:
    response = (
        httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)
    )
    with pytest.raises(RemoteError) as raised:
        await organization(response)
    assert said in raised.value.message
    assert redact(raised.value.message) == raised.value.message, "the nets leave our own words alone"


@pytest.mark.parametrize(
    ("permissions", "named"),
    [
        (["Crm_Implied_View_Contacts"], "lacks the permission Crm_Implied_View_Contacts;"),
        (["Crm_A", "Crm_B"], "lacks the permissions Crm_A, Crm_B;"),
        ("Crm_Implied_View_Contacts", "lacks the permission Crm_Implied_View_Contacts;"),
        ([], "may not read this in Zoho CRM;"),
        (None, "may not read this in Zoho CRM;"),
        ([{"name": "Crm_A"}, 7], "may not read this in Zoho CRM;"),
    ],
)
async def test_the_permission_that_lacks_is_named(permissions: Any, named: str) -> None:
    with pytest.raises(RemoteError) as raised:
        await organization(httpx.Response(403, json=refusal("NO_PERMISSION", {"permissions": permissions})))
    assert raised.value.reason == "PermissionDenied"
    assert named in raised.value.message


async def test_an_edition_that_is_too_low_is_no_permission_to_grant() -> None:
    body = {"code": "NO_PERMISSION", "details": {}, "message": "feature not available in this edition"}
    with pytest.raises(RemoteError) as raised:
        await organization(httpx.Response(403, json=body))
    assert raised.value.reason == "FeatureNotEnabled"
    assert "not available in this edition" in raised.value.message


@pytest.mark.parametrize(
    ("details", "headers", "seconds"),
    [
        ({"retry_after": 60}, {}, 60),
        ({"retry_after": 60}, {"Retry-After": "5"}, 5),
        ({"retry_after": "60"}, {}, 60),
        ({"retry_after": "x"}, {}, None),
        ({"retry_after": "inf"}, {}, None),
        ({"retry_after": -1}, {}, None),
        ({}, {"Retry-After": "5"}, 5),
    ],
)
async def test_retry_after(details: Any, headers: dict[str, str], seconds: float | None) -> None:
    with pytest.raises(RemoteError) as raised:
        await organization(httpx.Response(429, json=refusal("TOO_MANY_REQUESTS", details), headers=headers))
    assert raised.value.retry_after == seconds
