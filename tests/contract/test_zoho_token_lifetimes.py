"""How long Zoho's tokens live, how many there may be, and how they end (zoho.md 1.5 to 1.7)."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.contract.zoho import Zoho


async def works(zoho: Zoho, access_token: str) -> bool:
    response = await zoho.get("/org", access_token)
    assert response.status_code in (200, 401)
    return response.status_code == 200


async def refreshes(zoho: Zoho, grant: dict[str, Any]) -> bool:
    answer = await zoho.refresh(
        client_id=grant["clientId"],
        client_secret=grant["clientSecret"],
        refresh_token=grant["refreshToken"],
    )
    assert set(answer.json()) >= {"access_token"} or answer.json() == {"error": "invalid_code"}
    return "access_token" in answer.json()


# --- access tokens ----------------------------------------------------------------------------------


async def test_access_token_lives_an_hour(zoho: Zoho) -> None:
    token = await zoho.access_token()
    zoho.clock.advance(3599)
    assert await works(zoho, token)
    zoho.clock.advance(1)
    assert not await works(zoho, token)


async def test_switch_token_ttl(zoho: Zoho) -> None:
    zoho.state.switches.token_ttl = 60
    answer = (await zoho.refresh()).json()
    assert answer["expires_in"] == 60
    zoho.clock.advance(60)
    assert not await works(zoho, answer["access_token"])


async def make_tokens(zoho: Zoho, count: int) -> list[str]:
    """As many tokens, all alive; ten per window, so that the throttle does not come first."""
    tokens = []
    for number in range(1, count + 1):
        tokens.append(await zoho.access_token())
        if number % 10 == 0:
            zoho.clock.advance(600)
    return tokens


@pytest.mark.parametrize("limit", [15, 30])
async def test_one_live_access_token_too_many_ends_the_oldest(zoho: Zoho, limit: Any) -> None:
    """15 by default; switch ``active_access_tokens``."""
    assert zoho.state.switches.active_access_tokens == 15
    zoho.state.switches.active_access_tokens = limit
    oldest, second, *_ = await make_tokens(zoho, limit)
    assert await works(zoho, oldest)
    await zoho.access_token()
    assert not await works(zoho, oldest)
    assert await works(zoho, second)


async def test_expired_access_tokens_are_not_counted_as_live(zoho: Zoho) -> None:
    await make_tokens(zoho, 10)
    zoho.clock.advance(3600)
    young = await make_tokens(zoho, 6)
    assert await works(zoho, young[0])


# --- refresh tokens ---------------------------------------------------------------------------------


async def test_refresh_token_does_not_expire(zoho: Zoho) -> None:
    zoho.clock.advance(10 * 365 * 24 * 3600)
    assert "access_token" in (await zoho.refresh()).json()


async def twenty_refresh_tokens(zoho: Zoho, first: dict[str, Any]) -> None:
    for _ in range(19):
        zoho.clock.advance(61)
        await zoho.grant(clientId=first["clientId"], user=first["user"], exchange=True)


async def test_twenty_first_refresh_token_of_a_user_ends_the_oldest(
    zoho: Zoho,
) -> None:
    zoho.state.switches.token_ttl = 24 * 3600
    first = await zoho.grant(exchange=True)
    await twenty_refresh_tokens(zoho, first)
    assert await works(zoho, first["accessToken"])
    assert await refreshes(zoho, first)
    await zoho.grant(clientId=first["clientId"], user=first["user"], exchange=True)
    assert not await refreshes(zoho, first)
    assert not await works(zoho, first["accessToken"])


@pytest.mark.parametrize(("counted_per", "survives"), [("user", False), ("user and client", True)])
async def test_switch_refresh_tokens_counted_per(zoho: Zoho, counted_per: Any, survives: bool) -> None:
    zoho.state.switches.refresh_tokens_counted_per = counted_per
    first = await zoho.grant(exchange=True)
    await twenty_refresh_tokens(zoho, first)
    await zoho.grant(user=first["user"], exchange=True)
    assert await refreshes(zoho, first) == survives


@pytest.mark.parametrize(
    ("rate", "limit", "seconds", "same"),
    [
        ("10 per 10 min", 10, 600, ("clientId", "user")),
        ("20 per 10 min", 20, 600, ("clientId",)),
        ("5 per min", 5, 60, ("user",)),
    ],
)
async def test_switch_refresh_token_rate(
    zoho: Zoho, rate: Any, limit: int, seconds: int, same: tuple[str, ...]
) -> None:
    zoho.state.switches.refresh_token_rate = rate
    first = await zoho.grant(exchange=True)
    shared = {name: first[name] for name in same}
    for _ in range(limit - 1):
        await zoho.grant(**shared, exchange=True)
    refused = await zoho.exchange(await zoho.grant(**shared, expiresIn=3600))
    assert refused.status_code == 400
    assert refused.json()["status"] == "failure"
    zoho.clock.advance(seconds)
    assert "refresh_token" in (await zoho.exchange(await zoho.grant(**shared))).json()


async def test_switch_refresh_token_rate_unlimited(zoho: Zoho) -> None:
    zoho.state.switches.refresh_token_rate = "unlimited"
    first = await zoho.grant(exchange=True)
    for _ in range(12):
        await zoho.grant(user=first["user"], exchange=True)
    assert "refresh_token" in (await zoho.exchange(await zoho.grant(user=first["user"]))).json()


async def test_throttled_exchange_does_not_use_the_code_up(zoho: Zoho) -> None:
    first = await zoho.grant(exchange=True)
    shared = {"clientId": first["clientId"], "user": first["user"]}
    for _ in range(9):
        await zoho.grant(**shared, exchange=True)
    grant = await zoho.grant(**shared, expiresIn=3600)
    assert (await zoho.exchange(grant)).status_code == 400
    zoho.clock.advance(600)
    assert "refresh_token" in (await zoho.exchange(grant)).json()


# --- revocation -------------------------------------------------------------------------------------


async def test_sdk_revoke_needs_no_client_and_ends_access_tokens_too(zoho: Zoho) -> None:
    grant = await zoho.grant(exchange=True)
    response = await zoho.accounts.post("/oauth/v2/token/revoke", data={"token": grant["refreshToken"]})
    assert (response.status_code, response.json()) == (200, {"status": "success"})
    assert not await refreshes(zoho, grant)
    assert not await works(zoho, grant["accessToken"])


async def test_sdk_revoke_takes_a_query(zoho: Zoho) -> None:
    grant = await zoho.grant(exchange=True)
    response = await zoho.accounts.post("/oauth/v2/token/revoke", params={"token": grant["refreshToken"]})
    assert response.json() == {"status": "success"}


@pytest.mark.parametrize("status", [400, 200])
async def test_sdk_revoke_of_an_unknown_token_is_no_success(zoho: Zoho, status: Any) -> None:
    """Switch ``revoke_failure_status``."""
    zoho.state.switches.revoke_failure_status = status
    response = await zoho.accounts.post("/oauth/v2/token/revoke", data={"token": "1000.a.b"})
    assert (response.status_code, response.json()) == (status, {"status": "failure"})


async def test_sdk_revoke_at_another_data_center_is_no_success(zoho: Zoho) -> None:
    data = {"token": zoho.credentials["refreshToken"]}
    response = await zoho.accounts.post("/dc/us/oauth/v2/token/revoke", data=data)
    assert response.json() == {"status": "failure"}
    assert "access_token" in (await zoho.refresh()).json()


async def revoke(zoho: Zoho, grant: dict[str, Any], dc: str = "eu", **fields: str) -> httpx.Response:
    pair = f"{grant['clientId']}:{grant['clientSecret']}".encode()
    header = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return await zoho.accounts.post(f"/dc/{dc}/oauth/v2/revoke/token", data=fields, headers=header)


async def test_new_revoke_ends_a_refresh_token_by_default(zoho: Zoho) -> None:
    grant = await zoho.grant(exchange=True)
    assert (await revoke(zoho, grant, token=grant["refreshToken"])).status_code == 200
    assert not await refreshes(zoho, grant)
    assert not await works(zoho, grant["accessToken"])


async def test_new_revoke_ends_an_access_token_alone(zoho: Zoho) -> None:
    grant = await zoho.grant(exchange=True)
    response = await revoke(zoho, grant, token=grant["accessToken"], token_type="access_token")
    assert response.status_code == 200
    assert not await works(zoho, grant["accessToken"])
    assert await refreshes(zoho, grant)


async def test_new_revoke_refuses_an_invalid_token_a_wrong_type_and_others_tokens(zoho: Zoho) -> None:
    mine, theirs = await zoho.grant(exchange=True), await zoho.grant(exchange=True)
    for fields in (
        {"token": "1000.a.b"},
        {"token": mine["accessToken"]},
        {"token": mine["refreshToken"], "token_type": "access_token"},
        {"token": mine["refreshToken"], "token_type": "id_token"},
        {"token": theirs["refreshToken"]},
    ):
        assert (await revoke(zoho, mine, **fields)).status_code == 400
    assert await refreshes(zoho, mine)
    assert await refreshes(zoho, theirs)


async def test_new_revoke_needs_the_client(zoho: Zoho) -> None:
    grant = await zoho.grant(exchange=True)
    response = await revoke(zoho, {**grant, "clientSecret": "wrong"}, token=grant["refreshToken"])
    assert response.status_code == 400
    assert await refreshes(zoho, grant)


async def test_new_revoke_works_where_the_client_is_registered(zoho: Zoho) -> None:
    shared = next(c for c in zoho.state.clients.values() if len(set(c.secrets.values())) < len(c.secrets))
    grant = await zoho.grant(clientId=shared.client_id, exchange=True)
    assert (await revoke(zoho, grant, dc="us", token=grant["refreshToken"])).status_code == 400
    assert (await revoke(zoho, grant, dc="eu", token=grant["refreshToken"])).status_code == 200


@pytest.mark.parametrize("path", ["/oauth/v2/token/revoke", "/oauth/v2/revoke/token"])
async def test_revocation_is_a_post(zoho: Zoho, path: str) -> None:
    response = await zoho.accounts.get(path, params={"token": zoho.credentials["refreshToken"]})
    assert response.status_code == 400
    assert "access_token" in (await zoho.refresh()).json()


# --- serverinfo -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/dc/us"])
async def test_server_info_lists_the_global_data_centers(zoho: Zoho, prefix: str) -> None:
    answer = (await zoho.accounts.get(f"{prefix}/oauth/serverinfo")).json()
    assert answer["result"] == "success"
    assert answer["locations"]["us"] == "https://accounts.zoho.com"
    assert answer["locations"]["ca"] == "https://accounts.zohocloud.ca"
    assert "cn" not in answer["locations"]
    assert set(answer["locations"]) == {"us", "eu", "in", "au", "jp", "ca", "sa", "uk", "ae", "sg"}
