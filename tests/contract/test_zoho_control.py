"""What a test can do to the Zoho emulator, and what the emulator tells of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

import tests.emulators.zoho
from tests.contract.zoho import Zoho
from tests.emulators.core.control import switch_table
from tests.emulators.core.server import Emulators
from tests.emulators.zoho import ZohoSwitches, control_routes

PRODUCTION = "/zoho/eu/production"


# --- tokens -----------------------------------------------------------------------------------------


async def test_credentials_of_every_seeded_environment_work(zoho: Zoho) -> None:
    seeded = (await zoho.control.get("/zoho/credentials")).json()
    places = [(entry["dataCenter"], entry["environment"]) for entry in seeded]
    assert places == [("eu", "production"), ("eu", "sandbox"), ("eu", "developer"), ("us", "production")]
    for entry in seeded:
        answer = await zoho.refresh(
            dc=entry["dataCenter"],
            client_id=entry["clientId"],
            client_secret=entry["clientSecret"],
            refresh_token=entry["refreshToken"],
        )
        host = f"/dc/{entry['dataCenter']}/{entry['environment']}"
        org = (await zoho.get("/org", answer.json()["access_token"], host=host)).json()["org"][0]
        assert (org["zgid"], org["type"]) == (entry["zgid"], entry["environment"])


async def test_revoking_one_token_leaves_the_others(zoho: Zoho) -> None:
    one = await zoho.grant(exchange=True)
    assert await zoho.change("POST", "/zoho/refresh-tokens/revoke", token=one["refreshToken"]) == {
        "revoked": 1
    }
    assert (await zoho.get("/org", one["accessToken"])).status_code == 401
    assert "access_token" in (await zoho.refresh()).json()


async def test_revoking_by_client_and_all(zoho: Zoho) -> None:
    client = (await zoho.grant(exchange=True))["clientId"]
    await zoho.grant(clientId=client, exchange=True)
    assert await zoho.change("POST", "/zoho/refresh-tokens/revoke", clientId=client) == {"revoked": 2}
    assert await zoho.change("POST", "/zoho/refresh-tokens/revoke") == {"revoked": 4}
    assert (await zoho.refresh()).json() == {"error": "invalid_code"}


async def test_expired_access_tokens_are_cured_by_a_refresh(zoho: Zoho) -> None:
    token = await zoho.access_token()
    refresh_token = zoho.credentials["refreshToken"]
    assert await zoho.change("POST", "/zoho/access-tokens/expire", token=refresh_token) == {"expired": 1}
    assert (await zoho.get("/org", token)).status_code == 401
    assert (await zoho.get("/org")).status_code == 200


async def test_tokens_are_never_handed_out_twice_even_after_a_reset(zoho: Zoho) -> None:
    before = await zoho.access_token()
    zoho.state.reset()
    assert await zoho.access_token() != before
    assert (await zoho.get("/org", before)).status_code == 401


async def test_new_self_client_can_use_client_credentials(zoho: Zoho) -> None:
    grant = await zoho.grant()
    answer = await zoho.token(
        grant_type="client_credentials",
        client_id=grant["clientId"],
        client_secret=grant["clientSecret"],
        scope="ZohoCRM.org.READ",
        soid=f"ZohoCRM.{grant['zgid']}",
    )
    assert "access_token" in answer.json()


# --- organization, profiles, modules ----------------------------------------------------------------


async def test_organization_can_change(zoho: Zoho) -> None:
    await zoho.change("PATCH", f"{PRODUCTION}/organization", type="sandbox", edition="free", id="42")
    org = (await zoho.get("/org")).json()["org"][0]
    assert (org["type"], org["license_details"]["paid_type"], org["id"]) == ("sandbox", "free", "42")


async def test_profile_loses_and_regains_api_access(zoho: Zoho) -> None:
    token = await zoho.access_token()
    for access, status in ((False, 403), (True, 200)):
        await zoho.change("PATCH", f"{PRODUCTION}/profiles/Integration", apiAccess=access)
        assert (await zoho.get("/org", token)).status_code == status


async def test_profile_loses_a_module(zoho: Zoho) -> None:
    await zoho.change("PATCH", f"{PRODUCTION}/profiles/Integration", hiddenModules=["Leads"])
    assert (await zoho.get("/Leads", fields="id")).status_code == 403


async def test_module_can_be_removed_and_restored_with_its_records(zoho: Zoho) -> None:
    await zoho.change("DELETE", f"{PRODUCTION}/modules/Leads")
    assert (await zoho.get("/Leads", fields="id")).json()["code"] == "INVALID_MODULE"
    await zoho.change("PUT", f"{PRODUCTION}/modules/Leads")
    assert (await zoho.get("/Leads", fields="id")).json()["info"]["count"] == 120


async def test_module_can_be_scheduled_for_deletion(zoho: Zoho) -> None:
    await zoho.change("PATCH", f"{PRODUCTION}/modules/Leads", status="scheduled_for_deletion")
    listed = (await zoho.get("/settings/modules", status="scheduled_for_deletion")).json()["modules"]
    assert [module["api_name"] for module in listed] == ["Leads", "Old_Contracts"]


async def test_field_can_be_removed_restored_and_added(zoho: Zoho) -> None:
    async def names() -> set[str]:
        body = (await zoho.get("/settings/fields", module="Contacts")).json()
        return {field["api_name"] for field in body["fields"]}

    await zoho.change("DELETE", f"{PRODUCTION}/modules/Contacts/fields/Email")
    assert "Email" not in await names()
    await zoho.change("PUT", f"{PRODUCTION}/modules/Contacts/fields/Email")
    await zoho.change("PUT", f"{PRODUCTION}/modules/Contacts/fields/Shoe_Size", dataType="integer")
    assert {"Email", "Shoe_Size"} <= await names()


async def test_first_grant_founds_an_organization_in_an_empty_data_center(zoho: Zoho) -> None:
    grant = await zoho.grant(dataCenter="jp", environment="sandbox", exchange=True)
    response = await zoho.get("/Contacts", grant["accessToken"], host="/dc/jp/sandbox", fields="id")
    assert response.json()["info"]["count"] == 150


# --- wrong use --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("same", "different"), [(False, 2), (True, 1)])
async def test_a_client_in_two_data_centers(zoho: Zoho, same: bool, different: int) -> None:
    """Each data center takes the secret that the control API names for it (zoho.md 1.8)."""
    grant = await zoho.grant(dataCenter="us", dataCenters=["US", "eu"], sameSecret=same)
    assert len(set(grant["clientSecrets"].values())) == different
    for dc in ("us", "eu"):
        there = await zoho.grant(clientId=grant["clientId"], dataCenter=dc)
        assert there["clientSecret"] == grant["clientSecrets"][dc]
        assert "access_token" in (await zoho.exchange(there, dc=dc)).json()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/zoho/grants", {"dataCenter": "zz"}, 400),
        ("POST", "/zoho/grants", {"unknown": 1}, 400),
        ("POST", "/zoho/grants", [], 400),
        ("POST", "/zoho/grants", {"user": "nobody@example.com"}, 404),
        ("POST", "/zoho/grants", {"clientId": "1000.X"}, 404),
        ("PATCH", f"{PRODUCTION}/organization", {"edition": "gold"}, 400),
        ("PATCH", "/zoho/cn/production/organization", {"edition": "free"}, 404),
        ("PATCH", "/zoho/eu/staging/organization", {"edition": "free"}, 404),
        ("PATCH", f"{PRODUCTION}/users/nobody@example.com", {"active": False}, 404),
        ("DELETE", f"{PRODUCTION}/modules/Nothing", {}, 404),
        ("DELETE", f"{PRODUCTION}/modules/Leads/fields/Nothing", {}, 404),
        ("PATCH", f"{PRODUCTION}/modules/Leads/records/1", {}, 404),
        ("PATCH", f"{PRODUCTION}/modules/Leads/records/4832676000002100001", {"Nothing": 1}, 404),
        ("POST", f"{PRODUCTION}/modules/Leads/records", {"count": 0}, 400),
    ],
)
async def test_wrong_use_is_refused(zoho: Zoho, method: str, path: str, body: Any, status: int) -> None:
    response = await zoho.control.request(method, path, json=body)
    assert response.status_code == status
    assert response.json()["error"]


# --- state ------------------------------------------------------------------------------------------


async def test_dump_is_json_and_holds_no_secret(zoho: Zoho) -> None:
    grant, access_token = await zoho.grant(exchange=True), await zoho.access_token()
    pending = await zoho.grant()
    text = json.dumps(zoho.state.dump())
    secrets = {
        access_token,
        grant["clientSecret"],
        grant["refreshToken"],
        grant["accessToken"],
        pending["grantToken"],
        *(zoho.credentials[name] for name in ("clientSecret", "refreshToken", "grantToken")),
    }
    assert not [secret for secret in secrets if secret in text]
    assert grant["clientId"] in text


async def test_reset_brings_the_seed_back(zoho: Zoho) -> None:
    zoho.state.switches.token_ttl = 1
    await zoho.change("DELETE", f"{PRODUCTION}/modules/Leads")
    await zoho.change("POST", "/zoho/refresh-tokens/revoke")
    zoho.state.reset()
    assert zoho.state.switches == ZohoSwitches()
    assert (await zoho.get("/Leads", fields="id")).status_code == 200


def test_readme_has_the_table_of_switches() -> None:
    readme = (Path(tests.emulators.zoho.__file__).parent / "README.md").read_text()
    assert switch_table(ZohoSwitches) in readme


def test_readme_lists_every_route(zoho: Zoho) -> None:
    readme = (Path(tests.emulators.zoho.__file__).parent / "README.md").read_text()
    for route in control_routes(zoho.state):
        assert f"| `{route.method} {route.path}` |" in readme


async def test_switches_are_set_through_the_control_api(emulators: Emulators, control: Any) -> None:
    await control("PATCH", "/switches/zoho", {"throttleStatus": 200, "tokenTtl": 60})
    assert emulators.zoho.switches.throttle_status == 200
    assert (await control("GET", "/state"))["zoho"]["switches"]["tokenTtl"] == 60


async def test_exchange_whose_answer_is_lost_has_used_the_code_up(
    emulators: Emulators, control: Any, http: aiohttp.ClientSession
) -> None:
    """The ambiguous exchange of zoho.md 9.10: only a new code helps."""
    grant = await control("POST", "/zoho/grants", {})
    form = {
        "grant_type": "authorization_code",
        "client_id": grant["clientId"],
        "client_secret": grant["clientSecret"],
        "code": grant["grantToken"],
    }
    await control("POST", "/faults", {"service": "zoho-accounts", "reset": "after"})
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.post(f"{emulators.zoho_accounts_url}/oauth/v2/token", data=form)
    async with http.post(f"{emulators.zoho_accounts_url}/oauth/v2/token", data=form) as response:
        assert await response.json() == {"error": "invalid_code"}


def test_every_switch_says_what_it_does() -> None:
    for name, schema in ZohoSwitches.model_json_schema()["properties"].items():
        assert schema["description"], name
        assert "default" in schema, name


@pytest.mark.parametrize(
    ("name", "value"), [("throttle_status", 500), ("code_ttl", 61), ("api_delay", -1), ("unknown", 1)]
)
def test_switches_take_only_their_positions(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        setattr(ZohoSwitches(), name, value)
