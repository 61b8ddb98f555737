"""Base connections and explore (platform.md 4.1, 4.6, 5)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aep import Aep
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators


async def test_create_answers_with_id_etag_and_location(aep: Aep) -> None:
    found = await aep.post("/connections", aep.connection_body())
    assert found.status == 201
    assert set(found.body) == {"id", "etag"}
    assert found.headers["Location"].endswith(f"/connections/{found.body['id']}")
    item = (await aep.get(f"/connections/{found.body['id']}")).item
    assert item["etag"] == item["version"] == found.body["etag"]
    assert item["etag"].startswith('"')
    assert item["etag"].endswith('"')


async def test_what_a_read_shows(aep: Aep, emulators: Emulators) -> None:
    id = await aep.connection()
    item = (await aep.get(f"/connections/{id}")).item
    assert item["state"] == "enabled"
    assert item["createdClient"] == item["updatedClient"] == ids.CLIENT_ID
    assert item["createdBy"] == ids.TECHNICAL_ACCOUNT
    assert (item["sandboxName"], item["imsOrgId"]) == ("prod", ids.ORGANIZATION)
    assert abs(item["createdAt"] / 1000 - emulators.clock.now()) < 60
    assert item["connectionSpec"] == {"id": ids.ZOHO_SPEC, "version": "1.0"}
    params = item["auth"]["params"]
    assert params["accountsUrl"] == "https://accounts.zoho.eu"
    assert {params[name] for name in ("clientSecret", "accessToken", "refreshToken")} == {"****"}


def _without(body: dict[str, Any], path: str) -> dict[str, Any]:
    *parents, last = path.split(".")
    target = body
    for part in parents:
        target = target[part]
    del target[last]
    return body


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("name", "1304-400"),
        ("auth", "1304-400"),
        ("auth.specName", "1304-400"),
        ("auth.params", "1304-400"),
        ("auth.params.refreshToken", "1304-400"),
        ("auth.params.endpoint", "1304-400"),
        ("connectionSpec", "1304-400"),
        ("connectionSpec.id", "1304-400"),
    ],
)
async def test_a_member_is_missing(aep: Aep, path: str, code: str) -> None:
    assert (await aep.post("/connections", _without(aep.connection_body(), path))).code == code


async def test_unknown_specs(aep: Aep) -> None:
    body = aep.connection_body()
    body["connectionSpec"]["id"] = "00000000-0000-0000-0000-000000000000"
    assert (await aep.post("/connections", body)).code == "1413-400"
    body = aep.connection_body()
    body["connectionSpec"]["version"] = "9.9"
    assert (await aep.post("/connections", body)).code == "1413-400"
    body = aep.connection_body()
    body["auth"]["specName"] = "OAuth2 Refresh Code"
    assert (await aep.post("/connections", body)).code == "1415-400"


async def test_an_empty_body(aep: Aep) -> None:
    assert (await aep.post("/connections", {})).code == "1405-400"
    assert (await aep.post("/connections")).code == "1405-400"


async def test_patch_needs_the_current_etag_with_its_quotes(aep: Aep) -> None:
    path = f"/connections/{await aep.connection()}"
    etag = (await aep.get(path)).item["etag"]
    rename = [{"op": "replace", "path": "/name", "value": "new"}]
    assert (await aep.call("PATCH", path, rename)).code == "1403-400"
    stale = await aep.call("PATCH", path, rename, headers={"If-Match": etag.strip('"')})
    assert (stale.code, stale.status) == ("1404-412", 412)
    assert "does not match" in stale.body["errorDetails"]
    done = await aep.call("PATCH", path, rename, headers={"if-match": etag})
    assert done.status == 200
    assert set(done.body) == {"id", "etag"}
    assert done.body["etag"] != etag
    assert (await aep.call("PATCH", path, rename, headers={"If-Match": etag})).code == "1404-412"
    item = (await aep.get(path)).item
    assert (item["name"], item["etag"]) == ("new", done.body["etag"])


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "body",
    [
        [{"op": "replace", "path": "/name", "value": "new"}],
        {"op": "REPLACE", "path": "/name", "value": "new"},
        [{"op": "ADD", "path": "/name", "value": "new"}],
    ],
)
async def test_patch_takes_arrays_and_objects_in_either_case(aep: Aep, slash: str, body: Any) -> None:
    path = f"/connections/{await aep.connection()}"
    etag = (await aep.get(path)).item["etag"]
    assert (await aep.call("PATCH", path + slash, body, headers={"If-Match": etag})).status == 200
    assert (await aep.get(path)).item["name"] == "new"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "move", "path": "/name", "value": "x"}, "1434-400"),
        ({"op": "replace", "value": "x"}, "1455-400"),
        ({"op": "replace", "path": "name", "value": "x"}, "1455-400"),
        ({"op": "replace", "path": "/name"}, "1455-400"),
        ({"op": "remove", "path": "/description"}, "1455-400"),
        ({"op": "replace", "path": "/connectionSpec/id", "value": ids.DYNAMICS_SPEC}, "1414-400"),
        ({"op": "replace", "path": "/connectionSpec", "value": {"id": ids.DYNAMICS_SPEC}}, "1414-400"),
        ({"op": "replace", "path": "/state", "value": "disabled"}, "1365-400"),
        ({"op": "replace", "path": "/auth/params", "value": {}}, "1304-400"),
        ({"op": "remove", "path": "/name"}, "1304-400"),
    ],
)
async def test_what_cannot_be_patched(aep: Aep, operation: dict[str, Any], code: str) -> None:
    path = f"/connections/{await aep.connection()}"
    before = (await aep.get(path)).item
    assert (await aep.patch(path, operation)).code == code
    assert (await aep.get(path)).item == before


async def test_a_patch_without_operations(aep: Aep) -> None:
    assert (await aep.patch(f"/connections/{await aep.connection()}")).code == "1405-400"


async def test_a_patch_is_all_or_nothing(aep: Aep) -> None:
    path = f"/connections/{await aep.connection()}"
    rename = {"op": "replace", "path": "/name", "value": "new"}
    assert (await aep.patch(path, rename, {"op": "remove", "path": "/description"})).code == "1455-400"
    assert (await aep.get(path)).item["name"] == "Zoho EU"


async def test_auth_params_are_replaced_as_a_whole(aep: Aep) -> None:
    id = await aep.connection(extra="old")
    params = aep.connection_body()["auth"]["params"]
    operation = {"op": "replace", "path": "/auth/params", "value": {**params, "endpoint": "crm.zoho.eu"}}
    assert (await aep.patch(f"/connections/{id}", operation)).status == 200
    shown = (await aep.get(f"/connections/{id}")).item["auth"]["params"]
    assert "extra" not in shown
    assert shown["endpoint"] == "crm.zoho.eu"


async def test_test_asks_the_source(aep: Aep) -> None:
    good, bad = await aep.connection(), await aep.connection(clientSecret="wrong")
    assert (await aep.get(f"/connections/{good}/test")).body == {"result": True}
    assert (await aep.get(f"/connections/{bad}/test")).body == {"result": False}


async def test_control_decides_what_test_finds(aep: Aep, control: Any) -> None:
    id = await aep.connection()
    await control("POST", f"/aep/sandboxes/prod/connections/{id}/test", {"error": "no route"})
    assert (await aep.get(f"/connections/{id}/test")).body == {"result": False}
    await control("POST", f"/aep/sandboxes/prod/connections/{id}/test", {"error": None})
    assert (await aep.get(f"/connections/{id}/test")).body == {"result": True}


async def test_explore_lists_tables(aep: Aep) -> None:
    path = f"/connections/{await aep.connection()}/explore"
    for spelling in ("root", "ROOT"):
        found = (await aep.get(path, objectType=spelling)).body
        assert isinstance(found, list)
        assert {"Leads", "Contacts", "Accounts", "Deals"} <= {table["name"] for table in found}
        assert found[0] == {
            "type": "table",
            "name": found[0]["name"],
            "path": found[0]["name"],
            "canPreview": True,
            "canFetchSchema": True,
        }


async def test_explore_shows_columns_and_rows(aep: Aep) -> None:
    path = f"/connections/{await aep.connection()}/explore"
    found = (await aep.get(path, objectType="table", object="Contacts")).body
    assert found["format"] == "flat"
    assert "data" not in found
    columns = {column["name"]: column for column in found["schema"]["columns"]}
    assert columns["Email"] == {"name": "Email", "type": "string", "xdm": {"type": "string"}}
    assert columns["Modified_Time"] == {
        "name": "Modified_Time",
        "type": "string",
        "meta:xdmType": "date-time",
        "xdm": {"type": "string", "format": "date-time"},
    }
    assert {column["xdm"]["type"] for column in columns.values()} <= {"string", "boolean", "number"}
    rows = (await aep.get(path, objectType="TABLE", object="Contacts", preview="true")).body["data"]
    assert 0 < len(rows) <= 100
    assert set(rows[0]) <= set(columns)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"objectType": "table", "object": "Unicorns"}, "1330-400"),
        ({"objectType": "table", "object": ""}, "1337-400"),
        ({"objectType": "table"}, "1337-400"),
        ({"objectType": "view"}, "1358-400"),
        ({}, "1358-400"),
        ({"objectType": "table", "object": "Contacts", "filters": "e30="}, "1353-400"),
    ],
)
async def test_explore_refuses(aep: Aep, parameters: dict[str, str], code: str) -> None:
    id = await aep.connection()
    assert (await aep.get(f"/connections/{id}/explore", **parameters)).code == code


async def test_bad_credentials_surface_in_explore(aep: Aep) -> None:
    id = await aep.connection(clientSecret="wrong")
    for parameters in ({"objectType": "root"}, {"objectType": "table", "object": "Contacts"}):
        found = await aep.get(f"/connections/{id}/explore", **parameters)
        assert found.code == "1308-400"
        assert found.body["errorDetails"]


async def test_only_the_zoho_source_is_emulated(aep: Aep) -> None:
    params = {"serviceUri": "https://crm.example", "username": "u", "password": "hidden-password"}
    body = {
        "name": "Dynamics",
        "auth": {"specName": "Basic Authentication for Dynamics-Online", "params": params},
        "connectionSpec": {"id": ids.DYNAMICS_SPEC},
    }
    id = (await aep.post("/connections", body)).body["id"]
    assert (await aep.get(f"/connections/{id}/explore", objectType="root")).code == "1336-400"


async def test_deleted_is_gone(aep: Aep) -> None:
    id = await aep.connection()
    assert (await aep.delete(f"/connections/{id}")).status == 204
    for found in (await aep.get(f"/connections/{id}"), await aep.delete(f"/connections/{id}")):
        assert (found.code, found.status) == ("1439-404", 404)
        assert found.body["report"]["id"] == id
    assert (await aep.get("/connections")).body["items"] == []


async def test_a_base_connection_stays_while_flows_use_it(aep: Aep) -> None:
    flow = await aep.flow()
    path = f"/connections/{aep.made['connections']}"
    assert (await aep.delete(path)).code == "1418-400"
    assert (await aep.delete(f"/flows/{flow}")).status == 204
    assert (await aep.delete(path)).status == 204


async def test_finalizing_is_reserved(aep: Aep) -> None:
    id = await aep.connection()
    for op in ("FINALIZE", "finalize-update"):
        assert (await aep.post(f"/connections/{id}/action?op={op}&subOp=APPLY")).code == "1402-400"
    assert (await aep.post(f"/connections/{id}/action")).code == "1453-400"


async def test_the_spec_is_read_from_the_service(aep: Aep) -> None:
    spec = (await aep.get(f"/connectionSpecs/{ids.ZOHO_SPEC}")).item
    auth = spec["authSpec"][0]
    assert (auth["name"], auth["type"]) == ("Basic Authentication", "BasicAuthentication")
    assert set(auth["spec"]["required"]) == {
        "endpoint",
        "accountsUrl",
        "clientId",
        "clientSecret",
        "accessToken",
        "refreshToken",
    }
    assert spec["sourceSpec"]["spec"]["required"] == ["tableName", "columns"]
    assert (await aep.get("/connectionSpecs/nothing")).status == 404
