"""Who may call the CRM API, in the order of Zoho's checks, and how much (zoho.md 2, 4 to 6, 9.9)."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.contract.zoho import Zoho


def assert_error(response: httpx.Response, status: int, code: str, **details: Any) -> None:
    body = response.json()
    assert (response.status_code, body["code"], body["details"]) == (status, code, details)
    assert body["status"] == "error"
    assert set(body) == {"code", "details", "message", "status"}
    assert body["message"]


def no_permission(permission: str) -> dict[str, Any]:
    return {"permissions": [permission]}


# --- paths, methods, versions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/crm/v8", "/crm/v8/settings/nothing", "/crm/v8/Leads/1/x", "/crm/v1/Leads", "/crm/v9/org"]
)
async def test_unknown_path_is_invalid_url_pattern(zoho: Zoho, path: str) -> None:
    assert_error(await zoho.api.get(path), 404, "INVALID_URL_PATTERN")


@pytest.mark.parametrize("version", ["v2", "v2.1", "v3", "v7"])
async def test_old_version_is_api_not_supported(zoho: Zoho, version: str) -> None:
    response = await zoho.api.get(f"/crm/{version}/org")
    assert_error(response, 400, "API_NOT_SUPPORTED", supported_version=8)


@pytest.mark.parametrize("version", ["v2", "v2.1", "v3", "v4", "v5", "v6", "v7"])
async def test_switch_old_versions(zoho: Zoho, version: str) -> None:
    zoho.state.switches.old_versions = "served"
    header = {"Authorization": f"Zoho-oauthtoken {await zoho.access_token()}"}
    assert (await zoho.api.get(f"/crm/{version}/org", headers=header)).json()["org"]
    assert_error(await zoho.api.get(f"/crm/{version}/a/b/c", headers=header), 404, "INVALID_URL_PATTERN")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/org", "/users", "/settings/modules", "/settings/fields", "/Leads"])
async def test_other_methods_are_invalid_request_method(zoho: Zoho, method: str, path: str) -> None:
    response = await zoho.api.request(method, f"/crm/v8{path}")
    assert_error(response, 400, "INVALID_REQUEST_METHOD")


# --- host -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["/dc/zz/production", "/dc/eu/staging"])
async def test_unknown_host_is_invalid_host(zoho: Zoho, host: str) -> None:
    assert_error(await zoho.get("/org", host=host), 400, "INVALID_HOST")


@pytest.mark.parametrize(("position", "status"), [("refused", 400), ("accepted", 200)])
async def test_switch_bare_api_host(zoho: Zoho, position: Any, status: int) -> None:
    zoho.state.switches.bare_api_host = position
    assert (await zoho.get("/org", host="/dc/eu/bare")).status_code == status


@pytest.mark.parametrize("dc", ["uk", "ae", "sg"])
@pytest.mark.parametrize(("position", "status"), [("served", 200), ("refused", 400)])
async def test_switch_unlisted_data_centers(zoho: Zoho, dc: str, position: Any, status: int) -> None:
    grant = await zoho.grant(dataCenter=dc, exchange=True)
    zoho.state.switches.unlisted_data_centers = position
    response = await zoho.get("/org", grant["accessToken"], host=f"/dc/{dc}/production")
    assert response.status_code == status


async def test_home_production_is_served_at_the_root_and_below_its_name(zoho: Zoho) -> None:
    at_root, by_name = await zoho.get("/org"), await zoho.get("/org", host="/dc/eu/production")
    assert at_root.json() == by_name.json()


# --- token ------------------------------------------------------------------------------------------


async def test_invalid_token_has_the_captured_body(zoho: Zoho) -> None:
    response = await zoho.get("/org", "1000.a.b")
    assert response.status_code == 401
    assert response.json() == {
        "code": "INVALID_TOKEN",
        "details": {},
        "message": "invalid oauth token",
        "status": "error",
    }


@pytest.mark.parametrize(
    "code", ["INVALID_TOKEN", "AUTHENTICATION_FAILURE", "AUTHENTICATION_FAILED", "INVALID_OAUTHTOKEN"]
)
async def test_switch_invalid_token_code(zoho: Zoho, code: Any) -> None:
    zoho.state.switches.invalid_token_code = code
    assert_error(await zoho.get("/org", "1000.a.b"), 401, code)


@pytest.mark.parametrize("code", ["AUTHENTICATION_FAILURE", "INVALID_TOKEN", "UNAUTHORIZED"])
async def test_switch_missing_token_code(zoho: Zoho, code: Any) -> None:
    zoho.state.switches.missing_token_code = code
    assert_error(await zoho.api.get("/crm/v8/org"), 401, code)


async def test_token_as_parameter_is_no_token(zoho: Zoho) -> None:
    token = await zoho.access_token()
    response = await zoho.api.get("/crm/v8/org", params={"access_token": token, "authtoken": token})
    assert_error(response, 401, "AUTHENTICATION_FAILURE")


@pytest.mark.parametrize(
    ("scheme", "accepted", "status"),
    [
        ("Zoho-oauthtoken", True, 200),
        ("Zoho-oauthtoken", False, 200),
        ("zoho-oauthtoken", False, 200),
        ("Bearer", True, 200),
        ("Bearer", False, 401),
        ("Basic", True, 401),
    ],
)
async def test_switch_bearer_accepted(zoho: Zoho, scheme: str, accepted: bool, status: int) -> None:
    zoho.state.switches.bearer_accepted = accepted
    header = {"Authorization": f"{scheme} {await zoho.access_token()}"}
    assert (await zoho.api.get("/crm/v8/org", headers=header)).status_code == status


@pytest.mark.parametrize("host", ["/dc/us/production", "/dc/eu/sandbox", "/dc/eu/developer"])
async def test_token_at_another_data_center_or_environment_is_invalid(zoho: Zoho, host: str) -> None:
    assert_error(await zoho.get("/org", host=host), 401, "INVALID_TOKEN")


@pytest.mark.parametrize("environment", ["production", "sandbox", "developer"])
async def test_token_works_in_its_own_environment(zoho: Zoho, environment: str) -> None:
    grant = await zoho.grant(environment=environment, exchange=True)
    response = await zoho.get("/org", grant["accessToken"], host=f"/dc/eu/{environment}")
    assert response.json()["org"][0]["type"] == environment


async def test_token_of_a_removed_user_is_invalid(zoho: Zoho) -> None:
    grant = await zoho.grant(exchange=True)
    await zoho.change("DELETE", f"/zoho/eu/production/users/{grant['user']}")
    assert_error(await zoho.get("/org", grant["accessToken"]), 401, "INVALID_TOKEN")


# --- profile, scope, module -------------------------------------------------------------------------


async def test_profile_without_api_access_is_refused_everywhere(zoho: Zoho) -> None:
    grant = await zoho.grant(apiAccess=False, exchange=True)
    for path in ("/org", "/users", "/settings/modules", "/settings/fields", "/Leads"):
        response = await zoho.get(path, grant["accessToken"])
        assert_error(response, 403, "NO_PERMISSION", **no_permission("Crm_Implied_Api_Access"))


@pytest.mark.parametrize("status", [403, 400])
async def test_switch_no_permission_status(zoho: Zoho, status: Any) -> None:
    zoho.state.switches.no_permission_status = status
    grant = await zoho.grant(apiAccess=False, exchange=True)
    assert (await zoho.get("/org", grant["accessToken"])).status_code == status


@pytest.mark.parametrize(
    ("scope", "path", "allowed"),
    [
        ("ZohoCRM.org.READ", "/org", True),
        ("ZohoCRM.org.ALL", "/org", True),
        ("zohocrm.ORG.all", "/org", True),
        ("ZohoCRM.users.READ", "/org", False),
        ("ZohoCRM.org.CREATE", "/org", False),
        ("ZohoCRM.settings.READ", "/settings/modules", True),
        ("ZohoCRM.settings.ALL", "/settings/modules/Leads", True),
        ("ZohoCRM.settings.modules.READ", "/settings/modules", True),
        ("ZohoCRM.settings.fields.READ", "/settings/modules", False),
        ("ZohoCRM.modules.READ", "/Leads?fields=id", True),
        ("ZohoCRM.modules.ALL", "/Leads?fields=id", True),
        ("ZohoCRM.modules.Leads.READ", "/Leads?fields=id", True),
        ("ZohoCRM.modules.Contacts.READ", "/Leads?fields=id", False),
        ("ZohoCRM.settings.ALL", "/Leads?fields=id", False),
        ("ZohoCRM.READ", "/org", False),
    ],
)
async def test_scopes(zoho: Zoho, scope: str, path: str, allowed: bool) -> None:
    grant = await zoho.grant(scopes=[scope], exchange=True)
    header = {"Authorization": f"Zoho-oauthtoken {grant['accessToken']}"}
    response = await zoho.api.get(f"/crm/v8{path}", headers=header)
    if allowed:
        assert response.status_code == 200
    else:
        assert_error(response, 401, "OAUTH_SCOPE_MISMATCH")


@pytest.mark.parametrize(
    ("scopes", "path", "allowed"),
    [
        (["ZohoCRM.settings.layouts.READ"], "/settings/layouts?module=Leads", True),
        (["ZohoCRM.settings.fields.READ"], "/settings/layouts?module=Leads", False),
        (["ZohoCRM.modules.READ", "ZohoSearch.securesearch.READ"], "/Leads/actions/count", True),
        (["ZohoCRM.modules.READ"], "/Leads/actions/count", False),
        (["ZohoSearch.securesearch.READ"], "/Leads/actions/count", False),
        (["ZohoCRM.apis.READ"], "/__apis", True),
        (["ZohoCRM.org.READ"], "/__apis", False),
    ],
)
async def test_scopes_that_are_needed_together(
    zoho: Zoho, scopes: list[str], path: str, allowed: bool
) -> None:
    token = (await zoho.grant(scopes=scopes, exchange=True))["accessToken"]
    response = await zoho.api.get(f"/crm/v8{path}", headers={"Authorization": f"Zoho-oauthtoken {token}"})
    if allowed:
        assert response.status_code == 200
    else:
        assert_error(response, 401, "OAUTH_SCOPE_MISMATCH")


async def test_the_catalog_names_each_operation_with_its_scopes(zoho: Zoho) -> None:
    token = (await zoho.grant(scopes=["ZohoCRM.apis.READ"], exchange=True))["accessToken"]
    everything = (await zoho.get("/__apis", token)).json()["__apis"]
    coql = (await zoho.get("/__apis", token, filters="coql")).json()["__apis"]
    assert coql == [
        {
            "path": "/crm/v8/coql",
            "operation_types": [{"method": "POST", "oauth_scope": "ZohoCRM.coql.READ,ZohoCRM.modules.READ"}],
        }
    ]
    assert coql[0] in everything


@pytest.mark.parametrize("status", [401, 403])
async def test_switch_scope_mismatch_status(zoho: Zoho, status: Any) -> None:
    zoho.state.switches.scope_mismatch_status = status
    grant = await zoho.grant(scopes=["ZohoCRM.org.READ"], exchange=True)
    assert_error(await zoho.get("/users", grant["accessToken"]), status, "OAUTH_SCOPE_MISMATCH")


@pytest.mark.parametrize(
    "path", ["/Leads?fields=id", "/settings/fields?module=Leads", "/settings/modules/Leads"]
)
async def test_profile_without_the_module(zoho: Zoho, path: str) -> None:
    grant = await zoho.grant(hiddenModules=["Leads"], exchange=True)
    header = {"Authorization": f"Zoho-oauthtoken {grant['accessToken']}"}
    response = await zoho.api.get(f"/crm/v8{path}", headers=header)
    assert_error(response, 403, "NO_PERMISSION", **no_permission("Crm_Implied_View_Leads"))


async def test_order_of_checks(zoho: Zoho) -> None:
    """Each call breaks all rules from one on: the first of them is named."""
    nothing = {"scopes": ["ZohoCRM.org.READ"], "hiddenModules": ["Leads"], "exchange": True}
    no_access = (await zoho.grant(apiAccess=False, **nothing))["accessToken"]
    no_scope = (await zoho.grant(**nothing))["accessToken"]
    nothing["scopes"] = ["ZohoCRM.modules.READ"]
    no_module = (await zoho.grant(**nothing))["accessToken"]
    allowed = (await zoho.grant(exchange=True))["accessToken"]

    assert_error(await zoho.get("/Leads", "wrong", host="/dc/zz/production"), 400, "INVALID_HOST")
    assert_error(await zoho.get("/Leads", "wrong"), 401, "INVALID_TOKEN")
    access, view = no_permission("Crm_Implied_Api_Access"), no_permission("Crm_Implied_View_Leads")
    assert_error(await zoho.get("/Leads", no_access), 403, "NO_PERMISSION", **access)
    assert_error(await zoho.get("/Leads", no_scope), 401, "OAUTH_SCOPE_MISMATCH")
    assert_error(await zoho.get("/Leads", no_module), 403, "NO_PERMISSION", **view)
    assert_error(await zoho.get("/Leads", allowed), 400, "REQUIRED_PARAM_MISSING", param_name="fields")


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "status"), [("none", 200), ("direct", 401), ("source", 200), ("all", 401)]
)
async def test_switch_ip_block(zoho: Zoho, position: Any, status: int) -> None:
    zoho.state.switches.ip_block = position
    response = await zoho.get("/org")
    assert response.status_code == status
    if status == 401:
        assert_error(response, 401, "AUTHENTICATION_FAILURE")


async def test_switch_ip_block_answer(zoho: Zoho) -> None:
    zoho.state.switches.ip_block = "all"
    zoho.state.switches.ip_block_answer = "forbidden_html"
    response = await zoho.get("/org")
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("position", "status", "code"),
    [("none", 200, None), ("no_permission", 403, "NO_PERMISSION"), ("forbidden_html", 403, None)],
)
async def test_switch_org_refusal(zoho: Zoho, position: Any, status: int, code: str | None) -> None:
    zoho.state.switches.org_refusal = position
    response = await zoho.get("/org")
    assert response.status_code == status
    if code is not None:
        assert response.json()["code"] == code
    assert (await zoho.get("/settings/modules")).status_code == 200


@pytest.mark.parametrize("code", ["OAUTH_SCOPE_MISMATCH", "INVALID_OAUTHSCOPE"])
async def test_switch_scope_mismatch_code(zoho: Zoho, code: Any) -> None:
    zoho.state.switches.scope_mismatch_code = code
    grant = await zoho.grant(scopes=["ZohoCRM.modules.READ"], exchange=True)
    assert_error(await zoho.get("/org", grant["accessToken"]), 401, code)


@pytest.mark.parametrize(
    ("position", "status", "code", "refreshes"),
    [
        ("api_refuses", 401, "INVALID_TOKEN", True),
        ("grant_ends", 401, "INVALID_TOKEN", False),
        ("no_permission", 403, "NO_PERMISSION", True),
    ],
)
async def test_switch_inactive_user(
    zoho: Zoho, position: Any, status: int, code: str, refreshes: bool
) -> None:
    zoho.state.switches.inactive_user = position
    token = await zoho.access_token()
    path = "/zoho/eu/production/users/data.pipeline@example.com"
    assert (await zoho.control.patch(path, json={"active": False})).json()["active"] is False
    assert_error(await zoho.get("/org", token), status, code)
    assert ("access_token" in (await zoho.refresh()).json()) is refreshes
    await zoho.control.patch(path, json={"active": True})
    assert (await zoho.get("/org", token)).status_code == 200


# --- headers ----------------------------------------------------------------------------------------


async def test_access_token_reset_is_the_expiry_of_the_token_used(zoho: Zoho) -> None:
    token = await zoho.access_token()
    zoho.clock.advance(1000)
    for response in (await zoho.get("/org", token), await zoho.get("/Nothing", token)):
        reset = datetime.fromisoformat(response.headers["x-accesstoken-reset"])
        assert reset.timestamp() == zoho.clock.now() + 2600
        assert reset.tzinfo is not None


async def test_no_token_no_reset_header(zoho: Zoho) -> None:
    assert "x-accesstoken-reset" not in (await zoho.get("/org", "1000.a.b")).headers


async def test_credits_remaining_is_sent_from_half_on_only(zoho: Zoho) -> None:
    zoho.state.switches.credit_limit = 6
    token = await zoho.access_token()
    seen = [(await zoho.get("/org", token)).headers.get("x-api-credits-remaining") for _ in range(6)]
    assert seen == [None, None, "3", "2", "1", "0"]


@pytest.mark.parametrize("name", ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining"])
async def test_headers_that_v8_does_not_have(zoho: Zoho, name: str) -> None:
    assert name not in (await zoho.get("/org")).headers


# --- credits and concurrency ------------------------------------------------------------------------


async def test_credits_are_a_rolling_day_per_organization(zoho: Zoho) -> None:
    zoho.state.switches.credit_limit = 2
    zoho.state.switches.token_ttl = 3 * 24 * 3600
    token = await zoho.access_token()
    other = await zoho.grant(environment="sandbox", exchange=True)
    assert (await zoho.get("/org", token)).status_code == 200
    zoho.clock.advance(3600)
    assert (await zoho.get("/org", token)).status_code == 200
    assert_error(await zoho.get("/org", token), 429, "TOO_MANY_REQUESTS")
    assert (await zoho.get("/org", other["accessToken"], host="/dc/eu/sandbox")).status_code == 200
    zoho.clock.advance(23 * 3600)
    assert (await zoho.get("/org", token)).status_code == 200
    assert (await zoho.get("/org", token)).status_code == 429


@pytest.mark.parametrize(
    ("edition", "users", "credits"),
    [
        ("free", 3, 5_000),
        ("standard", 100, 75_000),
        ("standard", 1_000, 100_000),
        ("professional", 100, 100_000),
        ("enterprise", 25, 75_000),
        ("zohoone", 10_000, 5_000_000),
        ("ultimate", 25, 100_000),
        ("crmplus", 10_000, 20_050_000),
    ],
)
async def test_credits_by_edition(zoho: Zoho, edition: str, users: int, credits: int) -> None:
    home = next(iter(zoho.state.organizations.values()))
    home.edition, home.users_purchased = edition, users
    token = await zoho.access_token()
    zoho.state.credits.spend(home.zgid, credits - 1)
    assert (await zoho.get("/org", token)).headers["x-api-credits-remaining"] == "0"
    assert_error(await zoho.get("/org", token), 429, "TOO_MANY_REQUESTS")


def busy(zoho: Zoho, calls: int, kind: str = "all") -> ExitStack:
    """As many calls of the seeded client in flight in home production."""
    home = next(iter(zoho.state.organizations.values()))
    with ExitStack() as stack:
        for _ in range(calls):
            place = zoho.state.concurrency.slot((kind, home.zgid, zoho.credentials["clientId"]), calls)
            assert stack.enter_context(place)
        return stack.pop_all()


@pytest.mark.parametrize(
    ("edition", "limit"),
    [("free", 5), ("standard", 10), ("professional", 15), ("enterprise", 20), ("ultimate", 25)],
)
async def test_concurrency_by_edition(zoho: Zoho, edition: str, limit: int) -> None:
    await zoho.change("PATCH", "/zoho/eu/production/organization", edition=edition)
    token = await zoho.access_token()
    with busy(zoho, limit - 1):
        assert (await zoho.get("/org", token)).status_code == 200
    with busy(zoho, limit):
        assert_error(await zoho.get("/org", token), 429, "TOO_MANY_REQUESTS")
    assert (await zoho.get("/org", token)).status_code == 200


async def test_concurrency_is_per_client(zoho: Zoho) -> None:
    other = (await zoho.grant(exchange=True))["accessToken"]
    with busy(zoho, 20):
        assert (await zoho.get("/org")).status_code == 429
        assert (await zoho.get("/org", other)).status_code == 200


async def test_sorted_records_have_a_concurrency_of_ten(zoho: Zoho) -> None:
    token = await zoho.access_token()
    with busy(zoho, 10, "heavy"):
        assert (await zoho.get("/Leads", token, fields="id")).status_code == 200
        refused = await zoho.get("/Leads", token, fields="id", sort_by="id")
        assert_error(refused, 429, "TOO_MANY_REQUESTS")


async def test_refused_call_holds_no_place_and_costs_nothing(zoho: Zoho) -> None:
    token = await zoho.access_token()
    home = next(iter(zoho.state.organizations.values()))
    zoho.state.switches.concurrency_limit = 1
    with busy(zoho, 1):
        for _ in range(3):
            assert (await zoho.get("/org", token)).status_code == 429
    assert zoho.state.credits.used(home.zgid) == 0
    assert (await zoho.get("/org", token)).status_code == 200


async def test_switch_api_delay_lets_calls_overlap(zoho: Zoho) -> None:
    zoho.state.switches.concurrency_limit = 1
    zoho.state.switches.api_delay = 1
    token = await zoho.access_token()
    answers = await asyncio.gather(zoho.get("/org", token), zoho.get("/org", token))
    assert sorted(answer.status_code for answer in answers) == [200, 429]


@pytest.mark.parametrize(
    "code", ["TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED", "LIMIT_REACHED", "API_LIMIT_EXCEEDED"]
)
async def test_switch_rate_limit_code(zoho: Zoho, code: Any) -> None:
    zoho.state.switches.rate_limit_code = code
    zoho.state.switches.credit_limit = 1
    token = await zoho.access_token()
    await zoho.get("/org", token)
    assert_error(await zoho.get("/org", token), 429, code)


async def test_switch_rate_limit_details(zoho: Zoho) -> None:
    zoho.state.switches.rate_limit_details = "retry_after"
    zoho.state.switches.credit_limit = 1
    token = await zoho.access_token()
    await zoho.get("/org", token)
    details = (await zoho.get("/org", token)).json()["details"]
    assert details["retry_after"] == 60
    assert set(details) == {"trace_id", "retry_after", "limit", "window"}
