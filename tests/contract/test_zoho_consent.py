"""Zoho's consent page: what it takes, what it refuses, and what it sends back (zoho.md 1.2, 1.5)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.contract.zoho import Zoho
from tests.emulators.zoho.seed.clients import LOOPBACK_URI, client_id, client_secret

USER = "eu:production:data.pipeline@example.com"
AMERICAN = "us:production:data.pipeline@example.com"
REQUEST = {
    "response_type": "code",
    "client_id": client_id("server"),
    "redirect_uri": LOOPBACK_URI,
    "scope": "ZohoCRM.modules.READ,ZohoCRM.settings.ALL",
    "access_type": "offline",
    "prompt": "consent",
    "state": "any state/+",
}


def request(**changes: str | None) -> dict[str, str]:
    return {name: value for name, value in {**REQUEST, **changes}.items() if value is not None}


async def consent(
    zoho: Zoho, account: str = USER, decision: str = "accept", **changes: str | None
) -> httpx.Response:
    return await zoho.accounts.post(
        "/oauth/v2/auth", params=request(**changes), data={"account": account, "decision": decision}
    )


def came_back(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 302
    location = response.headers["location"]
    assert location.startswith(LOOPBACK_URI + "?")
    return dict(parse_qsl(urlsplit(location).query))


async def exchange(zoho: Zoho, answer: dict[str, str], **changes: str) -> Any:
    dc = answer["location"]
    response = await zoho.token(
        dc=dc,
        **{
            "grant_type": "authorization_code",
            "client_id": client_id("server"),
            "client_secret": client_secret(f"server:{dc}"),
            "code": answer["code"],
            "redirect_uri": LOOPBACK_URI,
            **changes,
        },
    )
    return response.json()


# --- the page ---------------------------------------------------------------------------------------------


async def test_the_page_names_client_scopes_and_who_may_consent(zoho: Zoho) -> None:
    response = await zoho.accounts.get("/oauth/v2/auth", params=REQUEST)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for text in (client_id("server"), "ZohoCRM.settings.ALL", USER, "eu:sandbox:", AMERICAN, "Reject"):
        assert text in response.text
    assert "tess.ollerton" not in response.text  # inactive
    assert "ruben.zeewolde" not in response.text  # never confirmed


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"client_id": "1000.UNKNOWN"}, "Invalid Client"),
        ({"client_id": None}, "Invalid Client"),
        ({"client_id": client_id("self")}, "Invalid Redirect Uri"),
        ({"redirect_uri": LOOPBACK_URI + "/"}, "Invalid Redirect Uri"),
        ({"redirect_uri": None}, "Invalid Redirect Uri"),
        ({"response_type": "token"}, "Invalid Response Type"),
        ({"response_type": None}, "Invalid Response Type"),
        ({"scope": "modules.READ"}, "Invalid OAuth Scope"),
        ({"scope": "ZohoCRM.modules.PEEK"}, "Invalid OAuth Scope"),
        ({"scope": "ZohoCRM.modules.READ ZohoCRM.org.READ"}, "Invalid OAuth Scope"),
        ({"scope": None}, "Invalid OAuth Scope"),
    ],
)
@pytest.mark.parametrize("status", [400, 500])
async def test_a_broken_request_gets_a_page_and_no_redirect(
    zoho: Zoho, changes: dict[str, str | None], title: str, status: int
) -> None:
    zoho.state.switches.consent_error_status = status  # type: ignore[assignment]
    page = await zoho.accounts.get("/oauth/v2/auth", params=request(**changes))
    decided = await consent(zoho, **changes)
    for response in (page, decided):
        assert response.status_code == status
        assert f"<h1>{title}</h1>" in response.text


async def test_a_client_is_known_only_in_its_own_data_center(zoho: Zoho) -> None:
    at_home = await zoho.accounts.get("/dc/eu/oauth/v2/auth", params=REQUEST)
    elsewhere = await zoho.accounts.get("/dc/us/oauth/v2/auth", params=REQUEST)
    assert (at_home.status_code, elsewhere.status_code) == (200, 400)


async def test_what_is_shown_is_escaped(zoho: Zoho) -> None:
    zoho.state.organizations[next(iter(zoho.state.organizations))].company_name = "<script>"
    response = await zoho.accounts.get("/oauth/v2/auth", params=REQUEST)
    assert "<script>" not in response.text
    assert "&lt;script&gt;" in response.text


# --- decisions --------------------------------------------------------------------------------------------


async def test_accepting_sends_a_code_that_can_be_exchanged(zoho: Zoho) -> None:
    answer = came_back(await consent(zoho))
    assert answer == {
        "code": answer["code"],
        "location": "eu",
        "accounts-server": "https://accounts.zoho.eu",
        "state": "any state/+",
    }
    tokens = await exchange(zoho, answer)
    assert tokens["scope"] == "ZohoCRM.modules.READ ZohoCRM.settings.ALL"
    assert "refresh_token" in tokens
    assert await exchange(zoho, answer) == {"error": "invalid_code"}


async def test_the_exchange_needs_the_same_redirect_uri(zoho: Zoho) -> None:
    answer = came_back(await consent(zoho))
    other = "http://localhost:8080/oauth/callback"
    assert await exchange(zoho, answer, redirect_uri=other) == {"error": "invalid_redirect_uri"}


async def test_an_account_of_another_data_center(zoho: Zoho) -> None:
    answer = came_back(await consent(zoho, AMERICAN))
    assert (answer["location"], answer["accounts-server"]) == ("us", "https://accounts.zoho.com")
    assert "refresh_token" in await exchange(zoho, answer)


async def test_an_account_where_the_client_is_not_enabled(zoho: Zoho) -> None:
    del zoho.state.clients[client_id("server")].secrets["us"]
    response = await consent(zoho, AMERICAN)
    assert (response.status_code, "Invalid Client" in response.text) == (400, True)


async def test_an_account_that_does_not_exist(zoho: Zoho) -> None:
    response = await consent(zoho, "eu:production:nobody@example.com")
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("account", "decision", "error"),
    [
        (USER, "reject", "access_denied"),
        ("", "reject", "access_denied"),
        ("no-organization", "accept", "no_org"),
    ],
)
async def test_errors_that_come_back(zoho: Zoho, account: str, decision: str, error: str) -> None:
    assert came_back(await consent(zoho, account, decision)) == {"error": error, "state": "any state/+"}
    zoho.state.switches.consent_error_state = False
    assert came_back(await consent(zoho, account, decision)) == {"error": error}


async def test_without_a_state_none_comes_back(zoho: Zoho) -> None:
    assert "state" not in came_back(await consent(zoho, state=None))


async def test_a_redirect_uri_keeps_its_own_query(zoho: Zoho) -> None:
    client = zoho.state.clients[client_id("server")]
    client.redirect_uris = (*client.redirect_uris, LOOPBACK_URI + "?tenant=1")
    response = await consent(zoho, redirect_uri=LOOPBACK_URI + "?tenant=1")
    assert came_back(response).keys() >= {"tenant", "code"}


# --- access_type and prompt -------------------------------------------------------------------------------


@pytest.mark.parametrize("access_type", ["online", None])
async def test_online_access_has_no_refresh_token(zoho: Zoho, access_type: str | None) -> None:
    tokens = await exchange(zoho, came_back(await consent(zoho, access_type=access_type)))
    assert "access_token" in tokens
    assert "refresh_token" not in tokens


async def test_a_second_refresh_token_needs_prompt_consent(zoho: Zoho) -> None:
    first = await exchange(zoho, came_back(await consent(zoho, prompt=None)))
    second = await exchange(zoho, came_back(await consent(zoho, prompt=None)))
    asked = await exchange(zoho, came_back(await consent(zoho)))
    assert ["refresh_token" in tokens for tokens in (first, second, asked)] == [True, False, True]
    assert first["refresh_token"] != asked["refresh_token"]


async def test_the_eleventh_code_in_ten_minutes_is_void(zoho: Zoho) -> None:
    answers = [came_back(await consent(zoho)) for _ in range(11)]
    assert await exchange(zoho, answers[-1]) == {"error": "access_denied"}
    zoho.clock.advance(601)
    assert "access_token" in await exchange(zoho, came_back(await consent(zoho)))
