"""IMS and the gateway (platform.md 1.2, 1.3, 2.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aep import CATALOG, REGISTRY, SANDBOXES, Aep
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators


async def test_a_token_lives_for_a_day(aep: Aep, emulators: Emulators) -> None:
    found = await aep.log_in()
    assert found.body["token_type"] == "bearer"
    assert found.body["expires_in"] == 86399
    emulators.clock.advance(86398)
    assert (await aep.get("/flows")).status == 200
    emulators.clock.advance(1)
    refused = await aep.get("/flows")
    assert (refused.status, refused.body["error_code"]) == (401, "401013")


async def test_a_token_may_be_asked_for_in_the_query(aep: Aep, emulators: Emulators) -> None:
    parameters = {
        "grant_type": "client_credentials",
        "client_id": ids.CLIENT_ID,
        "client_secret": ids.CLIENT_SECRET,
        "scope": "openid",
    }
    async with aep.http.post(emulators.ims_url + "/ims/token/v3", params=parameters) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "wrong"}, "invalid_client"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": ""}, "invalid_request"),
        ({"client_secret": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
async def test_ims_refuses(aep: Aep, changes: dict[str, str], error: str) -> None:
    found = await aep.log_in(**changes)
    assert (found.status, found.body["error"]) == (400, error)


async def test_ims_has_no_other_operation(aep: Aep, emulators: Emulators) -> None:
    async with aep.http.get(emulators.ims_url + "/ims/token/v3") as response:
        assert response.status == 405
        assert "error" in await response.json()


@pytest.mark.parametrize(
    ("without", "headers", "status", "code"),
    [
        ("Authorization", {}, 403, "403010"),
        ("", {"Authorization": "Bearer nonsense"}, 401, "401013"),
        ("x-api-key", {}, 403, "403000"),
        ("", {"x-api-key": "another"}, 403, "403003"),
        ("x-gw-ims-org-id", {}, 400, "400003"),
        ("", {"x-gw-ims-org-id": "another@AdobeOrg"}, 403, "403025"),
    ],
)
@pytest.mark.parametrize("path", ["/flows", CATALOG + "/dataSets", REGISTRY + "/stats", SANDBOXES + "/"])
async def test_the_gateway_refuses(
    aep: Aep, path: str, without: str, headers: dict[str, str], status: int, code: str
) -> None:
    found = await aep.call("GET", path, headers=headers, without=(without,))
    assert (found.status, found.body["error_code"]) == (status, code)
    assert found.body["message"]


@pytest.mark.parametrize(
    ("without", "headers", "code"),
    [
        ("x-sandbox-name", {}, "2105-400"),
        ("", {"x-sandbox-name": "nowhere"}, "2100-404"),
        ("", {"x-sandbox-name": "fresh"}, "2103-404"),
        ("", {"x-sandbox-name": "*"}, "2111-403"),
        ("", {"x-sandbox-id": "1"}, "2110-400"),
    ],
)
async def test_the_sandbox_is_checked(aep: Aep, without: str, headers: dict[str, str], code: str) -> None:
    found = await aep.call("GET", "/flows", headers=headers, without=(without,))
    assert (found.code, found.status) == (code, int(code[-3:]))
    for path in (CATALOG + "/dataSets", REGISTRY + "/stats"):
        found = await aep.call("GET", path, headers=headers, without=(without,))
        assert found.status == int(code[-3:])


async def test_a_body_needs_a_media_type(aep: Aep) -> None:
    found = await aep.call("POST", "/flows", raw=b"{}", headers={"Content-Type": "text/plain"})
    assert (found.status, found.body["title"]) == (400, "BadRequestError")


async def test_sandboxes_share_nothing(aep: Aep) -> None:
    flow = await aep.flow()
    aep.sandbox = "dev"
    assert (await aep.get(f"/flows/{flow}")).code == "1439-404"
    assert (await aep.get("/flows")).body["items"] == []
    names = (await aep.get(CATALOG + "/dataSets", properties="name")).body
    assert ids.CONTACTS_DATASET not in names
    assert {"name": "CRM Contacts"} in names.values()


async def test_sandbox_management_shows_the_region_and_state(aep: Aep, control: Any) -> None:
    await control("PATCH", "/aep/sandboxes/dev", {"region": "VA7", "state": "resetting"})
    found = (await aep.call("GET", SANDBOXES + "/sandboxes")).body
    assert {s["name"]: (s["region"], s["state"], s["type"]) for s in found["sandboxes"]} == {
        "prod": ("NLD2", "active", "production"),
        "dev": ("VA7", "resetting", "development"),
        "fresh": ("NLD2", "creating", "development"),
    }
    active = (await aep.call("GET", SANDBOXES + "/")).body["sandboxes"]
    assert [s["name"] for s in active] == ["prod"]
    one = (await aep.call("GET", SANDBOXES + "/sandboxes/dev")).body
    assert (one["name"], one["isDefault"], one["etag"]) == ("dev", False, 2)
    assert (await aep.call("GET", SANDBOXES + "/sandboxes/nowhere")).status == 404
