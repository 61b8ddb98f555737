"""Source and target connections (platform.md 4.2, 4.3, 6.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aep import Aep
from tests.emulators.aep import seed_data as ids


async def test_a_source_connection_as_read(aep: Aep) -> None:
    connection = await aep.connection()
    body = await aep.source_body(connection)
    id = (await aep.post("/sourceConnections", body)).body["id"]
    item = (await aep.get(f"/sourceConnections/{id}")).item
    assert item["state"] == "enabled"
    assert item["params"] == body["params"]
    assert item["data"] == {"format": "tabular", "schema": None, "properties": None}
    assert item["inheritedAttributes"]["baseConnection"] == {
        "id": connection,
        "connectionSpec": {"id": ids.ZOHO_SPEC, "version": "1.0"},
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": None}, "1304-400"),
        ({"data": None}, "1304-400"),
        ({"data": {"format": "delimited"}}, "1327-400"),
        ({"params": None}, "1304-400"),
        ({"params": {"columns": [{"name": "a", "type": "string"}]}}, "1304-400"),
        ({"params": {"tableName": "Leads"}}, "1304-400"),
        ({"params": {"tableName": "Leads", "columns": []}}, "1304-400"),
        ({"baseConnectionId": None}, "1304-400"),
        ({"baseConnectionId": "00000000-0000-0000-0000-000000000000"}, "1101-404"),
        ({"connectionSpec": {"id": ids.DYNAMICS_SPEC, "version": "1.0"}}, "1413-400"),
        ({"connectionSpec": None}, "1304-400"),
    ],
)
async def test_a_source_connection_is_refused(aep: Aep, change: dict[str, Any], code: str) -> None:
    body = await aep.source_body(await aep.connection())
    assert (await aep.post("/sourceConnections", {**body, **change})).code == code


async def test_a_target_connection_as_read(aep: Aep) -> None:
    body = aep.target_body()
    id = (await aep.post("/targetConnections", body)).body["id"]
    item = (await aep.get(f"/targetConnections/{id}")).item
    assert {name: item[name] for name in body} == body


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"data": None}, "1304-400"),
        ({"params": None}, "1325-400"),
        ({"params": {"dataSetId": ""}}, "1325-400"),
        ({"params": {"dataSetId": "000000000000000000000000"}}, "1325-400"),
        ({"connectionSpec": {"id": ids.ZOHO_SPEC, "version": "1.0"}}, "1307-400"),
        ({"connectionSpec": None}, "1304-400"),
        ({"data": {"schema": {"id": "https://ns.adobe.com/x/schemas/0", "version": "1.0"}}}, "1101-404"),
        ({"data": {"schema": {"id": ids.CONTACTS_SCHEMA, "version": "version=9"}}}, "1101-404"),
    ],
)
async def test_a_target_connection_is_refused(aep: Aep, change: dict[str, Any], code: str) -> None:
    assert (await aep.post("/targetConnections", {**aep.target_body(), **change})).code == code


async def test_the_documented_older_form_of_a_target(aep: Aep) -> None:
    version = "application/vnd.adobe.xed-full-notext+json; version=1"
    body = aep.target_body(version=version)
    body["data"]["format"] = "parquet_xdm"
    assert (await aep.post("/targetConnections", body)).status == 201


@pytest.mark.parametrize("kind", ["sourceConnections", "targetConnections"])
async def test_they_stay_while_a_flow_uses_them(aep: Aep, kind: str) -> None:
    flow = await aep.flow()
    path = f"/{kind}/{aep.made[kind]}"
    assert (await aep.delete(path)).code == "1447-400"
    await aep.delete(f"/flows/{flow}")
    assert (await aep.delete(path)).status == 204


async def test_an_edit_of_the_source_does_not_reach_the_flow(aep: Aep, control: Any) -> None:
    flow = await aep.flow()
    contacts = await control("POST", "/aep/runs", {"flowId": flow})
    path = f"/sourceConnections/{aep.made['sourceConnections']}"
    leads = (await aep.source_body(aep.made["connections"], "Leads"))["params"]
    assert (await aep.patch(path, {"op": "replace", "path": "/params", "value": leads})).status == 200
    assert (await aep.get(path)).item["params"]["tableName"] == "Leads"
    again = await control("POST", "/aep/runs", {"flowId": flow})
    records = [run["metrics"]["recordSummary"]["inputRecordCount"] for run in (contacts, again)]
    assert records[0] == records[1] > 0


async def test_patch_rules_are_those_of_creation(aep: Aep) -> None:
    await aep.flow()
    operation = {"op": "replace", "path": "/data/format", "value": "json"}
    assert (
        await aep.patch(f"/sourceConnections/{aep.made['sourceConnections']}", operation)
    ).code == "1327-400"
    operation = {"op": "replace", "path": "/params/dataSetId", "value": ""}
    assert (
        await aep.patch(f"/targetConnections/{aep.made['targetConnections']}", operation)
    ).code == "1325-400"
