"""Zoho's token endpoint: what it takes and what it answers (zoho.md 1.3, 1.4, 1.8, 9.1 to 9.7)."""

from __future__ import annotations

import base64
import re
from typing import Any

import httpx
import pytest

from tests.contract.zoho import Zoho

TOKEN = re.compile(r"^[0-9]{4}\.[0-9a-f]+\.[0-9a-f]+$")
THROTTLED = {
    "error": "Access Denied",
    "error_description": "You have made too many requests continuously. Please try again after some time.",
    "status": "failure",
}


def assert_error(response: httpx.Response, error: str, status: int = 200) -> None:
    assert (response.status_code, response.json()) == (status, {"error": error})


# --- forms of the request -------------------------------------------------------------------------


def refresh_fields(zoho: Zoho) -> dict[str, str]:
    return {
        "grant_type": "refresh_token",
        "client_id": zoho.credentials["clientId"],
        "client_secret": zoho.credentials["clientSecret"],
        "refresh_token": zoho.credentials["refreshToken"],
    }


async def test_form_body_is_accepted(zoho: Zoho) -> None:
    response = await zoho.accounts.post("/oauth/v2/token", data=refresh_fields(zoho))
    assert "access_token" in response.json()


async def test_query_is_accepted(zoho: Zoho) -> None:
    response = await zoho.accounts.post("/oauth/v2/token", params=refresh_fields(zoho))
    assert "access_token" in response.json()


async def test_multipart_is_accepted(zoho: Zoho) -> None:
    parts = {name: (None, value) for name, value in refresh_fields(zoho).items()}
    response = await zoho.accounts.post("/oauth/v2/token", files=parts)
    assert "access_token" in response.json()


async def test_basic_credentials_are_accepted(zoho: Zoho) -> None:
    fields = refresh_fields(zoho)
    pair = f"{fields.pop('client_id')}:{fields.pop('client_secret')}".encode()
    header = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    response = await zoho.accounts.post("/oauth/v2/token", data=fields, headers=header)
    assert "access_token" in response.json()


async def test_broken_basic_credentials_are_no_credentials(zoho: Zoho) -> None:
    fields = {"grant_type": "refresh_token", "refresh_token": zoho.credentials["refreshToken"]}
    response = await zoho.accounts.post("/oauth/v2/token", data=fields, headers={"Authorization": "Basic *"})
    assert_error(response, "invalid_client")


async def test_json_body_carries_no_parameters(zoho: Zoho) -> None:
    response = await zoho.accounts.post("/oauth/v2/token", json=refresh_fields(zoho))
    assert response.status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_methods_get_a_plain_400(zoho: Zoho, method: str) -> None:
    response = await zoho.accounts.request(method, "/oauth/v2/token", params=refresh_fields(zoho))
    assert response.status_code == 400
    assert "json" not in response.headers["content-type"]


async def test_missing_grant_type_gets_a_plain_400(zoho: Zoho) -> None:
    response = await zoho.refresh(grant_type="")
    assert response.status_code == 400
    assert "json" not in response.headers["content-type"]


async def test_broken_multipart_gets_a_plain_400(zoho: Zoho) -> None:
    response = await zoho.accounts.post(
        "/oauth/v2/token", content=b"nonsense", headers={"Content-Type": "multipart/form-data"}
    )
    assert response.status_code == 400


# --- the answer -----------------------------------------------------------------------------------


async def test_refresh_answer_has_scope_and_api_domain_and_no_refresh_token(zoho: Zoho) -> None:
    response = await zoho.refresh()
    answer = response.json()
    assert response.status_code == 200
    assert TOKEN.match(answer.pop("access_token"))
    assert answer == {
        "scope": "ZohoCRM.org.READ ZohoCRM.users.READ ZohoCRM.settings.modules.READ "
        "ZohoCRM.settings.fields.READ ZohoCRM.modules.READ ZohoCRM.coql.READ ZohoCRM.bulk.READ",
        "api_domain": "https://www.zohoapis.eu",
        "token_type": "Bearer",
        "expires_in": 3600,
    }


async def test_a_refresh_may_name_a_redirect_uri_which_is_ignored(zoho: Zoho) -> None:
    assert "access_token" in (await zoho.refresh(redirect_uri="https://anything.example.com")).json()


async def test_refresh_token_is_not_rotated(zoho: Zoho) -> None:
    first, second = await zoho.access_token(), await zoho.access_token()
    assert first != second
    assert "access_token" in (await zoho.refresh()).json()


async def test_code_exchange_answers_a_refresh_token(zoho: Zoho) -> None:
    grant = await zoho.grant(scopes=["ZohoCRM.org.READ", "ZohoCRM.users.READ"])
    answer = (await zoho.exchange(grant)).json()
    assert TOKEN.match(answer["refresh_token"])
    assert answer["scope"] == "ZohoCRM.org.READ ZohoCRM.users.READ"


async def test_seeded_grant_token_can_be_exchanged_once(zoho: Zoho) -> None:
    assert "refresh_token" in (await zoho.exchange(zoho.credentials)).json()
    assert_error(await zoho.exchange(zoho.credentials), "invalid_code")


async def test_online_access_brings_no_refresh_token(zoho: Zoho) -> None:
    answer = (await zoho.exchange(await zoho.grant(offline=False))).json()
    assert "access_token" in answer
    assert "refresh_token" not in answer


async def test_switch_token_answer_scope(zoho: Zoho) -> None:
    zoho.state.switches.token_answer_scope = False
    assert "scope" not in (await zoho.refresh()).json()


async def test_switch_legacy_expires_in(zoho: Zoho) -> None:
    zoho.state.switches.legacy_expires_in = True
    answer = (await zoho.refresh()).json()
    assert (answer["expires_in_sec"], answer["expires_in"]) == (3600, 3_600_000)


@pytest.mark.parametrize(
    ("position", "environment", "api_domain"),
    [
        ("www", "sandbox", "https://www.zohoapis.eu"),
        ("environment", "sandbox", "https://sandbox.zohoapis.eu"),
        ("environment", "production", "https://www.zohoapis.eu"),
        ("accounts", "production", "https://api.zoho.eu"),
    ],
)
async def test_switch_api_domain(zoho: Zoho, position: str, environment: str, api_domain: str) -> None:
    zoho.state.switches.api_domain = position  # type: ignore[assignment]
    answer = (await zoho.exchange(await zoho.grant(environment=environment))).json()
    assert answer["api_domain"] == api_domain


@pytest.mark.parametrize(
    ("dc", "api_domain"),
    [
        ("us", "https://www.zohoapis.com"),
        ("in", "https://www.zohoapis.in"),
        ("au", "https://www.zohoapis.com.au"),
        ("jp", "https://www.zohoapis.jp"),
        ("cn", "https://www.zohoapis.com.cn"),
        ("ca", "https://www.zohoapis.ca"),
        ("sa", "https://www.zohoapis.sa"),
        ("uk", "https://www.zohoapis.uk"),
        ("ae", "https://www.zohoapis.ae"),
        ("sg", "https://www.zohoapis.sg"),
    ],
)
async def test_every_data_center_issues_tokens_for_its_api_domain(
    zoho: Zoho, dc: str, api_domain: str
) -> None:
    grant = await zoho.grant(dataCenter=dc)
    answer = (await zoho.exchange(grant, dc=dc)).json()
    assert answer["api_domain"] == api_domain


# --- clients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("client_id", ["", "1000.UNKNOWN"])
async def test_unknown_or_missing_client_is_invalid_client(zoho: Zoho, client_id: str) -> None:
    assert_error(await zoho.refresh(client_id=client_id), "invalid_client")


async def test_unknown_grant_type_is_invalid_client(zoho: Zoho) -> None:
    assert_error(await zoho.refresh(grant_type="password"), "invalid_client")


@pytest.mark.parametrize("secret", ["", "wrong", "ünïcode"])
async def test_wrong_or_missing_secret_is_invalid_client_secret(zoho: Zoho, secret: str) -> None:
    assert_error(await zoho.refresh(client_secret=secret), "invalid_client_secret")


async def test_client_is_checked_before_the_token(zoho: Zoho) -> None:
    assert_error(await zoho.refresh(client_id="1000.X", refresh_token="wrong"), "invalid_client")
    assert_error(await zoho.refresh(client_secret="wrong", refresh_token="wrong"), "invalid_client_secret")


@pytest.mark.parametrize("error", ["invalid_client", "invalid_client_secret", "invalid_code"])
async def test_wrong_accounts_host(zoho: Zoho, error: Any) -> None:
    """``invalid_client`` by default; switch ``wrong_dc_error``."""
    assert zoho.state.switches.wrong_dc_error == "invalid_client"
    zoho.state.switches.wrong_dc_error = error
    assert_error(await zoho.refresh(dc="us"), error)


async def test_secret_of_another_data_center_is_invalid_client_secret(zoho: Zoho) -> None:
    grant = await zoho.grant(dataCenters=["eu", "us"])
    assert_error(await zoho.exchange(grant, dc="us"), "invalid_client_secret")


async def test_code_of_another_data_center_is_invalid_client_and_stays_good(zoho: Zoho) -> None:
    shared = next(
        client
        for client in zoho.state.clients.values()
        if len(set(client.secrets.values())) == 1 < len(client.secrets)
    )
    grant = await zoho.grant(clientId=shared.client_id)
    redirect_uri = {"redirect_uri": grant["redirectUri"]}
    assert_error(await zoho.exchange(grant, dc="us", **redirect_uri), "invalid_client")
    assert "access_token" in (await zoho.exchange(grant, **redirect_uri)).json()


async def test_refresh_token_of_another_client_is_invalid_code(zoho: Zoho) -> None:
    other = await zoho.grant(exchange=True)
    assert_error(await zoho.refresh(refresh_token=other["refreshToken"]), "invalid_code")


async def test_unknown_data_center_does_not_exist(zoho: Zoho) -> None:
    assert (await zoho.refresh(dc="zz")).status_code == 404


# --- authorization_code ---------------------------------------------------------------------------


async def test_self_client_works_without_redirect_uri(zoho: Zoho) -> None:
    assert "access_token" in (await zoho.exchange(await zoho.grant(clientType="self"))).json()


@pytest.mark.parametrize(
    "redirect_uri", [None, "", "http://localhost:8080/oauth/callback/", "https://evil.example.com"]
)
async def test_server_client_needs_its_registered_redirect_uri(zoho: Zoho, redirect_uri: str | None) -> None:
    grant = await zoho.grant(clientType="server")
    fields = {} if redirect_uri is None else {"redirect_uri": redirect_uri}
    assert_error(await zoho.exchange(grant, **fields), "invalid_redirect_uri")
    assert "access_token" in (await zoho.exchange(grant, redirect_uri=grant["redirectUri"])).json()


async def test_another_registered_redirect_uri_than_the_code_s_is_invalid(zoho: Zoho) -> None:
    client = next(client for client in zoho.state.clients.values() if len(client.redirect_uris) > 1)
    grant = await zoho.grant(clientId=client.client_id, redirectUri=client.redirect_uris[0])
    assert_error(await zoho.exchange(grant, redirect_uri=client.redirect_uris[1]), "invalid_redirect_uri")


@pytest.mark.parametrize("code", ["", "1000.0.0"])
async def test_missing_or_wrong_code_is_invalid_code(zoho: Zoho, code: str) -> None:
    assert_error(await zoho.exchange(await zoho.grant(), code=code), "invalid_code")


async def test_code_of_another_client_is_invalid_code(zoho: Zoho) -> None:
    mine, theirs = await zoho.grant(), await zoho.grant()
    assert_error(await zoho.exchange(mine, code=theirs["grantToken"]), "invalid_code")


async def test_code_is_used_once(zoho: Zoho) -> None:
    grant = await zoho.grant()
    assert "access_token" in (await zoho.exchange(grant)).json()
    assert_error(await zoho.exchange(grant), "invalid_code")


@pytest.mark.parametrize("ttl", [60, 120, 180, 600])
async def test_code_lives_as_long_as_switch_code_ttl(zoho: Zoho, ttl: Any) -> None:
    assert zoho.state.switches.code_ttl == 180
    zoho.state.switches.code_ttl = ttl
    in_time, too_late = await zoho.grant(), await zoho.grant()
    zoho.clock.advance(ttl - 1)
    assert "access_token" in (await zoho.exchange(in_time)).json()
    zoho.clock.advance(1)
    assert_error(await zoho.exchange(too_late), "invalid_code")


async def test_console_code_lives_as_long_as_was_chosen(zoho: Zoho) -> None:
    grant = await zoho.grant(expiresIn=600)
    zoho.clock.advance(599)
    assert "access_token" in (await zoho.exchange(grant)).json()


async def test_eleventh_code_of_a_client_in_ten_minutes_is_access_denied(zoho: Zoho) -> None:
    first = await zoho.grant()
    grants = [await zoho.grant(clientId=first["clientId"]) for _ in range(10)]
    assert "access_token" in (await zoho.exchange(grants[8])).json()
    assert_error(await zoho.exchange(grants[9]), "access_denied")
    zoho.clock.advance(600)
    assert "access_token" in (await zoho.exchange(await zoho.grant(clientId=first["clientId"]))).json()


@pytest.mark.parametrize("status", [200, 400])
async def test_switch_invalid_code_status(zoho: Zoho, status: Any) -> None:
    zoho.state.switches.invalid_code_status = status
    assert_error(await zoho.refresh(refresh_token="wrong"), "invalid_code", status)
    assert_error(await zoho.exchange(await zoho.grant(), code="wrong"), "invalid_code", status)


@pytest.mark.parametrize("status", [200, 400])
async def test_switch_undocumented_error_status(zoho: Zoho, status: Any) -> None:
    zoho.state.switches.undocumented_error_status = status
    assert_error(await client_credentials(zoho, soid=""), "missing_org_info", status)
    first = await zoho.grant()
    grants = [await zoho.grant(clientId=first["clientId"]) for _ in range(10)]
    assert_error(await zoho.exchange(grants[9]), "access_denied", status)
    zoho.state.switches.token_fault = "general_error"
    assert_error(await zoho.refresh(), "general_error", status)


# --- client_credentials ---------------------------------------------------------------------------


async def client_credentials(zoho: Zoho, **changes: str) -> httpx.Response:
    fields = {
        "grant_type": "client_credentials",
        "client_id": zoho.credentials["clientId"],
        "client_secret": zoho.credentials["clientSecret"],
        "scope": "ZohoCRM.org.READ,ZohoCRM.modules.READ",
        "soid": f"ZohoCRM.{home_zgid(zoho)}",
        **changes,
    }
    return await zoho.token(**fields)


def home_zgid(zoho: Zoho) -> str:
    return next(org.zgid for org in zoho.state.organizations.values() if org.data_center == "eu")


async def test_client_credentials_bring_no_refresh_token(zoho: Zoho) -> None:
    answer = (await client_credentials(zoho)).json()
    assert "refresh_token" not in answer
    assert answer["scope"] == "ZohoCRM.org.READ ZohoCRM.modules.READ"
    assert (await zoho.get("/org", answer["access_token"])).status_code == 200


async def test_client_credentials_reach_the_organization_of_soid(zoho: Zoho) -> None:
    sandbox = next(org for org in zoho.state.organizations.values() if org.environment == "sandbox")
    token = (await client_credentials(zoho, soid=f"ZohoCRM.{sandbox.zgid}")).json()["access_token"]
    response = await zoho.get("/org", token, host="/dc/eu/sandbox")
    assert response.json()["org"][0]["zgid"] == sandbox.zgid


@pytest.mark.parametrize("soid", ["", "ZohoCRM", "ZohoCRM.1", "ZohoDesk.20081310001"])
async def test_client_credentials_without_usable_soid_are_missing_org_info(zoho: Zoho, soid: str) -> None:
    assert_error(await client_credentials(zoho, soid=soid), "missing_org_info")


async def test_client_credentials_cannot_reach_another_data_center(zoho: Zoho) -> None:
    abroad = next(org for org in zoho.state.organizations.values() if org.data_center == "us")
    assert_error(await client_credentials(zoho, soid=f"ZohoCRM.{abroad.zgid}"), "missing_org_info")


async def test_client_credentials_are_for_self_clients_only(zoho: Zoho) -> None:
    grant = await zoho.grant(clientType="server")
    response = await client_credentials(
        zoho, client_id=grant["clientId"], client_secret=grant["clientSecret"]
    )
    assert_error(response, "invalid_client")


@pytest.mark.parametrize("scope", ["", "ZohoCRM.org.READ ZohoCRM.modules.READ"])
async def test_client_credentials_need_scopes_with_commas(zoho: Zoho, scope: str) -> None:
    assert_error(await client_credentials(zoho, scope=scope), "invalid_scope")


async def test_client_credentials_are_throttled_per_client(zoho: Zoho) -> None:
    for _ in range(10):
        assert "access_token" in (await client_credentials(zoho)).json()
    response = await client_credentials(zoho)
    assert (response.status_code, response.json()) == (400, THROTTLED)


# --- throttle -------------------------------------------------------------------------------------


async def use_up_refreshes(zoho: Zoho) -> None:
    for _ in range(10):
        assert "access_token" in (await zoho.refresh()).json()


async def test_eleventh_refresh_in_ten_minutes_is_throttled(zoho: Zoho) -> None:
    await use_up_refreshes(zoho)
    response = await zoho.refresh()
    assert (response.status_code, response.json()) == (400, THROTTLED)
    assert "retry-after" not in response.headers


async def test_throttle_ends_with_the_window(zoho: Zoho) -> None:
    await use_up_refreshes(zoho)
    zoho.clock.advance(599)
    assert (await zoho.refresh()).status_code == 400
    zoho.clock.advance(1)
    assert (await zoho.refresh()).status_code == 200


async def test_throttle_window_slides(zoho: Zoho) -> None:
    await zoho.refresh()
    zoho.clock.advance(300)
    for _ in range(9):
        await zoho.refresh()
    zoho.clock.advance(300)
    assert (await zoho.refresh()).status_code == 200
    assert (await zoho.refresh()).status_code == 400


async def test_throttle_is_per_refresh_token(zoho: Zoho) -> None:
    await use_up_refreshes(zoho)
    other = await zoho.grant(exchange=True)
    response = await zoho.refresh(
        client_id=other["clientId"], client_secret=other["clientSecret"], refresh_token=other["refreshToken"]
    )
    assert "access_token" in response.json()


@pytest.mark.parametrize("status", [400, 200])
async def test_switch_throttle_status(zoho: Zoho, status: Any) -> None:
    zoho.state.switches.throttle_status = status
    await use_up_refreshes(zoho)
    response = await zoho.refresh()
    assert (response.status_code, response.json()) == (status, THROTTLED)


async def test_switch_throttle_locale(zoho: Zoho) -> None:
    zoho.state.switches.throttle_locale = "zh"
    await use_up_refreshes(zoho)
    response = await zoho.refresh()
    assert response.status_code == 400
    assert set(response.json()) == set(THROTTLED)
    assert response.json()["status"] == "failure"
    assert not response.json()["error"].isascii()
    assert not response.json()["error_description"].isascii()


@pytest.mark.parametrize(("prolongs", "status"), [(False, 200), (True, 400)])
async def test_switch_refused_refresh_prolongs_block(zoho: Zoho, prolongs: bool, status: int) -> None:
    zoho.state.switches.refused_refresh_prolongs_block = prolongs
    await use_up_refreshes(zoho)
    zoho.clock.advance(300)
    for _ in range(10):
        assert (await zoho.refresh()).status_code == 400
    zoho.clock.advance(300)
    assert (await zoho.refresh()).status_code == status


# --- forced answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["general_error", "internal_error", "invalid_grant"])
async def test_switch_token_fault_answers_an_error_and_changes_nothing(zoho: Zoho, fault: Any) -> None:
    grant = await zoho.grant()
    zoho.state.switches.token_fault = fault
    assert_error(await zoho.exchange(grant), fault)
    zoho.state.switches.token_fault = "none"
    assert "access_token" in (await zoho.exchange(grant)).json()


async def test_switch_token_fault_html(zoho: Zoho) -> None:
    zoho.state.switches.token_fault = "html"
    response = await zoho.refresh()
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.text.startswith("<!DOCTYPE html>")
