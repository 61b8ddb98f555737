"""Explore, source connections, flows and on-demand runs of landing-zone files (landing-zone.md E.2, K.3)."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from tests.contract.aep import Aep
from tests.contract.landing_zone import flow, flow_body, put, source_body
from tests.emulators.aep import seed_data as ids

EXPLORE = f"/connectionSpecs/{ids.LANDING_ZONE_SPEC}/explore"
CONTACTS = "id,Last_Name,Email\n1,Grünthaler,a@example.com\n2,,b@example.com\n"


def turn(aep: Aep, **positions: Any) -> None:
    """Set switches; the fixture's reset turns them back."""
    for name, position in positions.items():
        setattr(aep.emulators.aep.switches, name, position)


async def preview(aep: Aep, name: str, **parameters: str) -> Any:
    """What explore shows of a file."""
    path = f"dlz-user-container/{name}"
    asked = {"objectType": "file", "object": path, "preview": "true", **parameters}
    if not {"fileType", "determineProperties", "queryParams"} & set(asked):
        asked["fileType"] = "delimited"
    found = await aep.get(EXPLORE, **asked)
    assert found.status == 200, found.body
    return found.body


# --- specs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "spec", "flow_spec"),
    [
        ("offered", True, True),
        ("notInFlowSpec", True, False),
        ("noConnectionSpec", False, True),
        ("withdrawn", False, False),
    ],
)
async def test_landing_zone_source(aep: Aep, position: str, spec: bool, flow_spec: bool) -> None:
    body = await flow_body(aep)
    turn(aep, landingZoneSource=position)
    assert (await aep.get(f"/connectionSpecs/{ids.LANDING_ZONE_SPEC}")).status == (200 if spec else 404)
    assert (await aep.get(EXPLORE, objectType="root")).status == (200 if spec else 404)
    sources = (await aep.get(f"/flowSpecs/{ids.CLOUD_STORAGE_FLOW_SPEC}")).item["sourceConnectionSpecIds"]
    assert (ids.LANDING_ZONE_SPEC in sources) == flow_spec
    created = await aep.post("/sourceConnections", source_body())
    assert created.status == 201 if spec else created.code == "1413-400"
    found = await aep.post("/flows", body)
    assert found.status == 201 if flow_spec else found.code == "1305-400"


async def test_the_flow_spec_takes_no_delta_column(aep: Aep) -> None:
    spec = (await aep.get(f"/flowSpecs/{ids.CLOUD_STORAGE_FLOW_SPEC}")).item
    assert [t["name"] for t in spec["transformationSpecs"]] == ["Mapping"]
    assert spec["runSpec"]["spec"]["required"] == ["startTime", "windowStartTime", "windowEndTime"]


# --- explore ----------------------------------------------------------------------------------------------


async def test_explore_shows_folders_and_files(aep: Aep) -> None:
    assert (await aep.get(EXPLORE, objectType="root")).body == []
    await put(aep, "crmflow/a/b/1.csv", CONTACTS)
    await put(aep, "top.csv", CONTACTS)
    root = (await aep.get(EXPLORE, objectType="root")).body
    assert root == [
        {
            "type": "file",
            "name": "top.csv",
            "path": "dlz-user-container/top.csv",
            "canPreview": True,
            "canFetchSchema": True,
        },
        {
            "type": "folder",
            "name": "crmflow",
            "path": "dlz-user-container/crmflow/",
            "canPreview": False,
            "canFetchSchema": False,
        },
    ]
    for path in ("dlz-user-container/crmflow/a/b", "dlz-user-container/crmflow/a/b/"):
        (file,) = (await aep.get(EXPLORE, objectType="FOLDER", object=path)).body
        assert (file["type"], file["path"]) == ("file", "dlz-user-container/crmflow/a/b/1.csv")


async def test_explore_shows_a_file(aep: Aep) -> None:
    await put(aep, "a.csv", CONTACTS)
    found = await preview(aep, "a.csv")
    string = {"type": "string", "xdm": {"type": "string"}}
    assert found["format"] == "flat"
    assert found["schema"]["columns"] == [{"name": n, **string} for n in ("id", "Last_Name", "Email")]
    assert found["data"][0] == {"id": "1", "Last_Name": "Grünthaler", "Email": "a@example.com"}
    assert "properties" not in found
    assert "data" not in await preview(aep, "a.csv", preview="false")


async def test_platform_finds_out_what_a_file_is(aep: Aep) -> None:
    await put(aep, "a.csv.gz", gzip.compress(CONTACTS.encode()))
    found = await preview(aep, "a.csv.gz", determineProperties="true")
    assert found["properties"] == {
        "fileType": "delimited",
        "columnDelimiter": ",",
        "compressionType": "gzip",
    }
    given = base64.b64encode(json.dumps({"fileType": "delimited", "compressionType": "gzip"}).encode())
    assert (await preview(aep, "a.csv.gz", queryParams=given.decode()))["data"] == found["data"]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"objectType": "table"}, "1358-400"),
        ({"objectType": "folder"}, "1337-400"),
        ({"objectType": "file", "object": ""}, "1337-400"),
        ({"objectType": "file", "object": "dlz-user-container/a.csv"}, "1337-400"),
        (
            {
                "objectType": "file",
                "object": "dlz-user-container/a.csv",
                "fileType": "delimited",
                "determineProperties": "true",
            },
            "1337-400",
        ),
        (
            {"objectType": "file", "object": "dlz-user-container/a.csv", "fileType": "xml"},
            "1327-400",
        ),
        (
            {"objectType": "file", "object": "dlz-user-container/none.csv", "fileType": "delimited"},
            "1308-400",
        ),
    ],
)
async def test_what_explore_refuses(aep: Aep, parameters: dict[str, str], code: str) -> None:
    await put(aep, "a.csv", CONTACTS)
    assert (await aep.get(EXPLORE, **parameters)).code == code


async def test_other_sources_are_explored_by_their_connection(aep: Aep) -> None:
    path = f"/connectionSpecs/{ids.GOOGLE_CLOUD_STORAGE_SPEC}/explore"
    assert (await aep.get(path, objectType="root")).code == "1336-400"


@pytest.mark.parametrize(("position", "status"), [("accepted", 200), ("refused", 400)])
async def test_missing_folder(aep: Aep, position: str, status: int) -> None:
    turn(aep, missingFolder=position)
    path = "dlz-user-container/crmflow/a/b"
    assert (await aep.get(EXPLORE, objectType="folder", object=path)).status == status
    created = await aep.post("/sourceConnections", source_body())
    assert created.status == (201 if status == 200 else 400)
    await put(aep, "crmflow/a/b/1.csv", CONTACTS)
    assert (await aep.post("/sourceConnections", source_body())).status == 201
    assert (await aep.get(EXPLORE, objectType="folder", object=path)).status == 200


# --- the dialect ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("position", "text"), [("doubled", 'say ""hi""'), ("backslash", 'say \\"hi\\"')])
async def test_csv_escape(aep: Aep, position: str, text: str) -> None:
    turn(aep, csvEscape=position)
    await put(aep, "a.csv", f'id,Title\n1,"{text}, all"\n')
    assert (await preview(aep, "a.csv"))["data"] == [{"id": "1", "Title": 'say "hi", all'}]


async def test_the_wrong_escape_spoils_a_row(aep: Aep) -> None:
    turn(aep, csvEscape="backslash")
    await put(aep, "a.csv", 'id,Title\n1,"say ""hi, all"""\n2,"C:\\\\temp"\n')
    assert (await preview(aep, "a.csv"))["data"] == [{"id": "2", "Title": "C:\\temp"}]


@pytest.mark.parametrize(("position", "rows"), [("allowed", ["one\ntwo", "x"]), ("refused", ["x"])])
async def test_csv_line_breaks(aep: Aep, position: str, rows: list[str]) -> None:
    turn(aep, csvLineBreaks=position)
    await put(aep, "a.csv", 'id,Title,Company\n1,"one\ntwo",a\n2,x,b\n')
    assert [row["Title"] for row in (await preview(aep, "a.csv"))["data"]] == rows


@pytest.mark.parametrize(("position", "value"), [("null", None), ("empty", "")])
async def test_csv_empty_cell(aep: Aep, position: str, value: str | None) -> None:
    turn(aep, csvEmptyCell=position)
    await put(aep, "a.csv", CONTACTS)
    assert (await preview(aep, "a.csv"))["data"][1]["Last_Name"] == value


@pytest.mark.parametrize(("position", "name"), [("tolerated", "id"), ("kept", "\ufeffid")])
async def test_csv_bom(aep: Aep, position: str, name: str) -> None:
    turn(aep, csvBom=position)
    await put(aep, "a.csv", "\ufeff" + CONTACTS)
    assert (await preview(aep, "a.csv"))["schema"]["columns"][0]["name"] == name


# --- source connections -----------------------------------------------------------------------------------


async def test_a_source_connection_needs_no_base_connection(aep: Aep) -> None:
    created = await aep.post("/sourceConnections", source_body())
    assert (created.status, set(created.body)) == (201, {"id", "etag"})
    item = (await aep.get(f"/sourceConnections/{created.body['id']}")).item
    sent = source_body()
    assert (item["params"], item["data"]["format"]) == (sent["params"], "delimited")
    assert item["data"]["properties"] == sent["data"]["properties"]
    assert "inheritedAttributes" not in item


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"data": None}, "1304-400"),
        ({"data": {"format": "tabular"}}, "1327-400"),
        ({"data": {"format": "delimited", "properties": {"encoding": "UTF-7"}}}, "1327-400"),
        ({"data": {"format": "delimited", "properties": {"columnDelimiter": "||"}}}, "1327-400"),
        ({"params": None}, "1304-400"),
        ({"params": {"type": "folder"}}, "1304-400"),
        ({"params": {"path": "other-container/a"}}, "1308-400"),
        ({"params": {"path": "dlz-user-container/a", "type": "table"}}, "1304-400"),
        ({"name": None}, "1304-400"),
    ],
)
async def test_refused_source_connections(aep: Aep, changes: dict[str, Any], code: str) -> None:
    assert (await aep.post("/sourceConnections", source_body(**changes))).code == code


async def test_only_the_landing_zone_does_without_a_base_connection(aep: Aep) -> None:
    body = await aep.source_body(await aep.connection())
    del body["baseConnectionId"]
    assert (await aep.post("/sourceConnections", body)).code == "1304-400"


# --- flows ------------------------------------------------------------------------------------------------


async def test_a_flow_of_files(aep: Aep) -> None:
    item = (await aep.get(f"/flows/{await flow(aep)}")).item
    assert item["state"] == "enabled"
    assert item["flowSpec"]["id"] == ids.CLOUD_STORAGE_FLOW_SPEC
    assert [t["name"] for t in item["transformations"]] == ["Mapping"]


@pytest.mark.parametrize("code", ["1369-400", "1365-400", "1304-400"])
async def test_copy_refusal_code(aep: Aep, code: str) -> None:
    turn(aep, copyRefusalCode=code)
    body = await flow_body(aep)
    body["transformations"].insert(0, {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}})
    assert (await aep.post("/flows", body)).code == code


@pytest.mark.parametrize("code", ["1328-400", "1370-400"])
async def test_mapping_missing_code(aep: Aep, code: str) -> None:
    turn(aep, mappingMissingCode=code)
    body = {**await flow_body(aep), "transformations": []}
    assert (await aep.post("/flows", body)).code == code


async def test_a_landing_zone_is_no_crm(aep: Aep) -> None:
    body = await flow_body(aep)
    body["flowSpec"]["id"] = ids.CRM_FLOW_SPEC
    assert (await aep.post("/flows", body)).code == "1305-400"


@pytest.mark.parametrize(
    ("schedule", "code"),
    [
        ({"frequency": "minute", "interval": 5}, "1362-400"),
        ({"frequency": "once", "interval": 1}, "1361-400"),
        ({"frequency": "once", "backfill": True}, "1364-400"),
        ({"frequency": "hour"}, "1363-400"),
    ],
)
async def test_schedules_have_the_rules_of_every_flow(aep: Aep, schedule: dict[str, Any], code: str) -> None:
    start = {"startTime": int(aep.emulators.clock.now()) + 60}
    assert (await aep.post("/flows", await flow_body(aep, {**start, **schedule}))).code == code


# --- on-demand runs ---------------------------------------------------------------------------------------


def on_demand(flow_id: str, **changes: Any) -> dict[str, Any]:
    """A run of an old window."""
    params = {"startTime": "1663735590", "windowStartTime": "1651584991", "windowEndTime": "1651585956"}
    return {"flowId": flow_id, "params": {**params, **changes}}


@pytest.mark.parametrize(("position", "status"), [("refused", 400), ("ignored", 201)])
async def test_file_run_delta_column(aep: Aep, position: str, status: int) -> None:
    turn(aep, fileRunDeltaColumn=position)
    body = on_demand(await flow(aep, aep.once()), deltaColumn={"name": "Modified_Time"})
    assert (await aep.post("/runs", body)).status == status


async def test_on_demand_runs_need_no_delta_column(aep: Aep) -> None:
    id = await flow(aep, aep.once())
    found = await aep.post("/runs", on_demand(id))
    assert found.status == 201
    assert set(found.body["items"][0]) == {"id", "etag"}
    assert [t["name"] for t in (await aep.get(f"/flows/{id}")).item["transformations"]] == ["Mapping"]


async def test_refused_on_demand_runs(aep: Aep) -> None:
    once, hourly = await flow(aep, aep.once()), await flow(aep)
    assert (await aep.post("/runs", on_demand(once, windowEndTime="1"))).code == "1381-400"
    assert (await aep.post("/runs", on_demand(once, windowEndTime=""))).code == "1384-400"
    assert (await aep.post("/runs", on_demand(hourly))).code == "1386-400"
