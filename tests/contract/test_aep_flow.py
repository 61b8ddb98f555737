"""Flows: creation, states, changes, deletion (platform.md 4.4, 6, 12)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aep import CONVERSION, XED_FULL, Aep
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators


async def test_a_dataflow_from_connection_to_enabled(aep: Aep, emulators: Emulators) -> None:
    body = await aep.flow_body()
    made = await aep.post("/flows", body)
    assert made.status == 201
    assert set(made.body) == {"id", "etag"}
    path = f"/flows/{made.body['id']}"
    assert made.headers["Location"].endswith(path)
    young = (await aep.get(path)).item
    assert (young["state"], young["etag"]) == ("enabled-finalizing", made.body["etag"])
    assert young["lastOperation"]["operation"] == "create"
    assert young["lastOperation"]["status"]["value"] == "inProgress"
    aep.pass_transition()
    flow = (await aep.get(path)).item
    assert flow["state"] == "enabled"
    assert flow["etag"] != made.body["etag"]  # the provider's finalization is a change too
    assert flow["lastOperation"]["status"]["value"] == "completed"
    assert flow["lastOperation"]["percentCompleted"] == 100.0
    assert flow["updatedAt"] > flow["createdAt"]


async def test_a_flow_as_read(aep: Aep) -> None:
    id = await aep.flow()
    flow = (await aep.get(f"/flows/{id}")).item
    assert flow["flowSpec"] == {"id": ids.CRM_FLOW_SPEC, "version": "1.0"}
    assert flow["runs"] == f"/runs?property=flowId=={id}"
    assert flow["options"] == {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5}
    assert flow["scheduleParams"]["interval"] == "1"
    assert flow["scheduleParams"]["backfill"] == "true"
    assert isinstance(flow["scheduleParams"]["startTime"], str)
    assert flow["transformations"][1]["params"]["mappingVersion"] == "0"
    zoho = {"id": ids.ZOHO_SPEC, "version": "1.0"}
    assert flow["inheritedAttributes"] == {
        "properties": {"isSourceFlow": True},
        "sourceConnections": [
            {
                "id": aep.made["sourceConnections"],
                "connectionSpec": zoho,
                "baseConnection": {"id": aep.made["connections"], "connectionSpec": zoho},
            }
        ],
        "targetConnections": [
            {
                "id": aep.made["targetConnections"],
                "connectionSpec": {"id": ids.DATA_LAKE_SPEC, "version": "1.0"},
            }
        ],
    }
    assert "lastRunDetails" not in flow


async def test_the_documented_sample_with_strings(aep: Aep) -> None:
    start = str(aep.hourly()["startTime"])
    schedule = {"startTime": start, "frequency": "minute", "interval": "15", "backfill": "true"}
    assert (await aep.post("/flows", await aep.flow_body(schedule))).status == 201


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": None}, "1304-400"),
        ({"state": "enabled"}, "1410-400"),
        ({"mode": "listen"}, "1368-400"),
        ({"flowSpec": None}, "1413-400"),
        ({"flowSpec": {"id": "00000000-0000-0000-0000-000000000000"}}, "1413-400"),
        ({"flowSpec": {"id": ids.CRM_FLOW_SPEC, "version": "9.9"}}, "1413-400"),
        ({"flowSpec": {"id": ids.CLOUD_STORAGE_FLOW_SPEC, "version": "1.0"}}, "1305-400"),
        ({"sourceConnectionIds": []}, "1321-400"),
        ({"sourceConnectionIds": None}, "1321-400"),
        ({"sourceConnectionIds": ["a", "b"]}, "1321-400"),
        ({"targetConnectionIds": []}, "1321-400"),
        ({"sourceConnectionIds": ["00000000-0000-0000-0000-000000000000"]}, "1101-404"),
        ({"targetConnectionIds": ["00000000-0000-0000-0000-000000000000"]}, "1101-404"),
        ({"scheduleParams": None}, "1304-400"),
        ({"options": {"partialIngestionPercent": 0}}, "1304-400"),
        ({"options": {"errorDiagnosticsEnabled": "perhaps"}}, "1304-400"),
    ],
)
async def test_a_flow_is_refused(aep: Aep, change: dict[str, Any], code: str) -> None:
    assert (await aep.post("/flows", {**await aep.flow_body(), **change})).code == code


@pytest.mark.parametrize(
    ("schedule", "code"),
    [
        ({"startTime": -1}, "1360-400"),
        ({"startTime": None}, "1304-400"),
        ({"startTime": "tomorrow"}, "1304-400"),
        ({"startTime": 10**400}, "1304-400"),
        ({"startTime": "9" * 5000}, "1304-400"),
        ({"frequency": "yearly"}, "1397-400"),
        ({"frequency": None}, "1397-400"),
        ({"interval": None}, "1363-400"),
        ({"interval": "often"}, "1363-400"),
        ({"interval": 0}, "1362-400"),
        ({"frequency": "minute", "interval": 14}, "1362-400"),
        ({"frequency": "minute", "interval": 15}, None),
        ({"frequency": "day", "interval": 15}, None),
        ({"frequency": "week", "interval": 1}, None),
        ({"backfill": "perhaps"}, "1304-400"),
        ({"backfill": False}, None),
        ({"backfill": None}, None),
        ({"frequency": "once", "backfill": None}, "1361-400"),
        ({"frequency": "once", "interval": None}, "1364-400"),
        ({"frequency": "once", "interval": None, "backfill": None}, "1369-400"),
    ],
)
async def test_schedules(aep: Aep, schedule: dict[str, Any], code: str | None) -> None:
    start = aep.hourly()["startTime"]
    wanted = {**aep.hourly(), **schedule}
    if wanted["startTime"] == -1:
        wanted["startTime"] = start - 120
    found = await aep.post("/flows", await aep.flow_body({k: v for k, v in wanted.items() if v is not None}))
    assert found.status == 201 if code is None else found.code == code


async def test_a_one_time_flow_has_no_delta_column(aep: Aep) -> None:
    assert (await aep.post("/flows", await aep.flow_body(aep.once(), delta=False))).status == 201


async def test_a_recurring_flow_needs_one(aep: Aep) -> None:
    assert (await aep.post("/flows", await aep.flow_body(delta=False))).code == "1367-400"
    body = await aep.flow_body()
    body["transformations"][0]["params"]["deltaColumn"] = {"dateFormat": "YYYY-MM-DD"}
    assert (await aep.post("/flows", body)).code == "1367-400"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (None, "1328-400"),
        ({"mappingVersion": 0}, "1328-400"),
        ({"mappingVersion": 7}, "1412-400"),
        ({"mappingId": "00000000000000000000000000000000"}, "1412-400"),
        ({"mappingVersion": "0"}, None),
    ],
)
async def test_the_mapping(aep: Aep, params: dict[str, Any] | None, code: str | None) -> None:
    body = await aep.flow_body()
    mapping = body["transformations"].pop()
    if params is not None:
        keep = {} if params == {"mappingVersion": 0} else mapping["params"]
        body["transformations"].append({"name": "Mapping", "params": {**keep, **params}})
    found = await aep.post("/flows", body)
    assert found.status == 201 if code is None else found.code == code


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("Emial", "personalEmail.address"),
        ("concat(First_Name, Surname)", "person.name.fullName"),
        ("Email", "personalEmail.adress"),
        ("concat(First_Name", "person.name.fullName"),
        ("shout(First_Name)", "person.name.fullName"),
    ],
)
async def test_a_mapping_that_makes_no_sense(aep: Aep, source: str, destination: str) -> None:
    body = await aep.flow_body()
    entry = {"sourceType": "EXPRESSION", "source": source, "destination": destination}
    body["transformations"][1]["params"]["mappingId"] = await aep.mapping_set([entry])
    found = await aep.post("/flows", body)
    assert found.code == "1419-400"
    assert destination in found.body["errorDetails"]


async def test_dataset_mapping_and_target_name_one_schema_version(aep: Aep) -> None:
    next_version = "application/vnd.adobe.xed+json; version=2"
    for target, content_type in (
        (aep.target_body(ids.NEXT_VERSION_DATASET), XED_FULL),
        (aep.target_body(ids.ACCOUNTS_DATASET), XED_FULL),
        (aep.target_body(version=next_version), XED_FULL),
        (aep.target_body(), next_version),
    ):
        body = await aep.flow_body()
        body["targetConnectionIds"] = [(await aep.post("/targetConnections", target)).body["id"]]
        mapping = await aep.post(CONVERSION + "/mappingSets", aep.mapping_body(content_type=content_type))
        body["transformations"][1]["params"]["mappingId"] = mapping.body["id"]
        assert (await aep.post("/flows", body)).code == "1425-400"


async def test_a_connection_belongs_to_one_flow(aep: Aep) -> None:
    body = await aep.flow_body()
    assert (await aep.post("/flows", body)).status == 201
    assert (await aep.post("/flows", body)).code == "1321-400"


async def test_disable_and_enable(aep: Aep) -> None:
    path = f"/flows/{await aep.flow()}"
    for op, via, to in (("disable", "disabling", "disabled"), ("ENABLE", "enabling", "enabled")):
        before = (await aep.get(path)).item["etag"]
        found = await aep.post(f"{path}/action?op={op}")
        assert found.status == 200
        assert set(found.body) == {"id", "etag"}
        assert found.body["etag"] != before
        assert (await aep.get(path)).item["state"] == via
        aep.pass_transition()
        item = (await aep.get(path)).item
        assert (item["state"], item["lastOperation"]["operation"]) == (to, op.lower())
        again = await aep.post(f"{path}/action?op={op}")
        assert (again.status, again.body["etag"]) == (200, item["etag"])


async def test_an_action_may_carry_an_etag(aep: Aep) -> None:
    path = f"/flows/{await aep.flow()}/action?op=disable"
    assert (await aep.call("POST", path, headers={"If-Match": '"old"'})).code == "1404-412"


async def test_actions_that_are_not_open(aep: Aep) -> None:
    path = f"/flows/{await aep.flow()}/action"
    assert (await aep.post(f"{path}?op=finalize")).code == "1402-400"
    assert (await aep.post(path)).code == "1453-400"
    assert (await aep.post(f"{path}?op=publish")).code == "1458-400"


async def test_nothing_changes_in_a_transitional_state(aep: Aep) -> None:
    path = f"/flows/{(await aep.post('/flows', await aep.flow_body())).body['id']}"
    rename = {"op": "replace", "path": "/name", "value": "x"}
    assert (await aep.patch(path, rename)).code == "1409-400"
    assert (await aep.delete(path)).code == "1416-400"
    assert (await aep.post(f"{path}/action?op=disable")).code == "1409-400"
    aep.pass_transition()
    await aep.post(f"{path}/action?op=disable")
    assert (await aep.patch(path, rename)).code == "1420-400"
    aep.pass_transition()
    assert (await aep.patch(path, rename)).status == 200
    assert (await aep.patch(path, rename)).code == "1421-400"
    aep.pass_transition()
    assert (await aep.get(path)).item["state"] == "disabled"
    assert (await aep.delete(path)).status == 204
    assert (await aep.get(path)).status == 404


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/name", "new"),
        ("/description", "new"),
        ("/scheduleParams/frequency", "day"),
        ("/scheduleParams/interval", 2),
        ("/scheduleParams/backfill", False),
        ("/options", {"partialIngestionPercent": "10"}),
        ("/options/errorDiagnosticsEnabled", False),
        ("/labels", ["core/C12"]),
        ("/policy", {"enforcementRefs": []}),
    ],
)
async def test_what_can_be_patched(aep: Aep, path: str, value: Any) -> None:
    flow = f"/flows/{await aep.flow()}"
    operation = {"op": "add", "path": path, "value": value}
    assert (await aep.patch(flow, operation)).status == 200
    item = (await aep.get(flow)).item
    assert item["state"] == "updating"
    assert item["lastOperation"]["ops"] == [operation]
    for part in path.strip("/").split("/"):
        item = item[part]
    is_scalar = path.startswith("/scheduleParams/") and not isinstance(value, str)
    assert item == (str(value).lower() if is_scalar else value)


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("/sourceConnectionIds", ["x"], "1365-400"),
        ("/targetConnectionIds", ["x"], "1365-400"),
        ("/flowSpec/id", "x", "1365-400"),
        ("/scheduleParams", {}, "1365-400"),
        ("/state", "disabled", "1365-400"),
        ("/scheduleParams/frequency", "yearly", "1397-400"),
        ("/scheduleParams/frequency", "minute", "1362-400"),
        ("/scheduleParams/interval", 0, "1362-400"),
        ("/scheduleParams/startTime", 1, "1360-400"),
        ("/options/partialIngestionPercent", -1, "1304-400"),
        ("/transformations/9", {"name": "Mapping"}, "1455-400"),
        ("/transformations/0/params/deltaColumn/name", "Created_Time", "1365-400"),
    ],
)
async def test_what_cannot_be_patched(aep: Aep, path: str, value: Any, code: str) -> None:
    flow = f"/flows/{await aep.flow()}"
    assert (await aep.patch(flow, {"op": "replace", "path": path, "value": value})).code == code


async def test_the_start_is_fixed_once_it_has_passed(aep: Aep, emulators: Emulators) -> None:
    flow = f"/flows/{await aep.flow()}"
    later = aep.hourly()["startTime"] + 3600
    move = {"op": "replace", "path": "/scheduleParams/startTime", "value": later}
    assert (await aep.patch(flow, move)).status == 200
    emulators.clock.advance(4000)
    for path, value, code in (
        ("/scheduleParams/startTime", later + 86400, "1366-400"),
        ("/scheduleParams/backfill", False, "1404-400"),
        ("/scheduleParams/frequency", "once", "1403-400"),
    ):
        assert (await aep.patch(flow, {"op": "replace", "path": path, "value": value})).code == code
    interval = {"op": "replace", "path": "/scheduleParams/interval", "value": 3}
    assert (await aep.patch(flow, interval)).status == 200


async def test_a_one_time_flow_cannot_be_rescheduled(aep: Aep) -> None:
    flow = f"/flows/{await aep.flow(aep.once(), delta=False)}"
    for path, value in (("/scheduleParams/frequency", "day"), ("/scheduleParams/interval", 1)):
        assert (await aep.patch(flow, {"op": "add", "path": path, "value": value})).code == "1366-400"
    mapping = {"name": "Mapping", "params": {"mappingId": await aep.mapping_set(), "mappingVersion": 0}}
    replace = {"op": "replace", "path": "/transformations/0", "value": mapping}
    assert (await aep.patch(flow, replace)).code == "1366-400"


async def test_the_mapping_moves_to_another_set_or_version(aep: Aep) -> None:
    flow = f"/flows/{await aep.flow()}"
    set_id = await aep.mapping_set()
    assert (await aep.call("PUT", f"{CONVERSION}/mappingSets/{set_id}", aep.mapping_body())).status == 200
    for version, status in ((1, 200), (0, 200), (2, 400)):
        mapping = {"name": "Mapping", "params": {"mappingId": set_id, "mappingVersion": version}}
        found = await aep.patch(flow, {"op": "replace", "path": "/transformations/1", "value": mapping})
        assert found.status == status, found.body
        aep.pass_transition()
    item = (await aep.get(flow)).item
    assert item["transformations"][1]["params"] == {"mappingId": set_id, "mappingVersion": "0"}
    unknown = await aep.mapping_set(
        [{"sourceType": "ATTRIBUTE", "source": "Nothing", "destination": "personID"}]
    )
    mapping = {"name": "Mapping", "params": {"mappingId": unknown, "mappingVersion": 0}}
    found = await aep.patch(flow, {"op": "replace", "path": "/transformations/1", "value": mapping})
    assert found.code == "1419-400"


async def test_a_draft_is_checked_when_it_is_published(aep: Aep) -> None:
    body = await aep.flow_body()
    body["scheduleParams"]["frequency"] = "yearly"
    flow = f"/flows/{(await aep.post('/flows?mode=draft', body)).body['id']}"
    assert (await aep.get(flow)).item["lastOperation"]["operation"] == "draft_create"
    assert (await aep.post(f"{flow}/action?op=publish")).code == "1397-400"
    assert (await aep.post(f"{flow}/action?op=enable")).code == "1458-400"
    fix = {"op": "replace", "path": "/scheduleParams/frequency", "value": "hour"}
    assert (await aep.patch(flow, fix)).status == 200
    assert (await aep.post(f"{flow}/action?op=publish")).status == 200
    aep.pass_transition()
    assert (await aep.get(flow)).item["state"] == "enabled"


async def test_somebody_else_edits(aep: Aep, control: Any) -> None:
    id = await aep.flow()
    etag = (await aep.get(f"/flows/{id}")).item["etag"]
    await control("PATCH", f"/aep/sandboxes/prod/flows/{id}", {"body": {"name": "theirs"}})
    rename = {"op": "replace", "path": "/name", "value": "ours"}
    assert (await aep.patch(f"/flows/{id}", rename, etag=etag)).code == "1404-412"
    item = (await aep.get(f"/flows/{id}")).item
    assert (item["name"], item["updatedClient"]) == ("theirs", "exc_app")


async def test_somebody_else_deletes(aep: Aep, control: Any) -> None:
    id = await aep.flow()
    await control("DELETE", f"/aep/sandboxes/prod/flows/{id}")
    assert (await aep.get(f"/flows/{id}")).code == "1439-404"


async def test_a_state_that_lasts(aep: Aep, control: Any, emulators: Emulators) -> None:
    id = await aep.flow()
    await control("PATCH", f"/aep/sandboxes/prod/flows/{id}", {"state": "pending", "seconds": 60})
    rename = {"op": "replace", "path": "/name", "value": "x"}
    assert (await aep.patch(f"/flows/{id}", rename)).code == "1457-400"
    emulators.clock.advance(60)
    assert (await aep.patch(f"/flows/{id}", rename)).status == 200


async def test_a_sandbox_reset_takes_everything(aep: Aep, control: Any) -> None:
    id = await aep.flow()
    await control("POST", "/aep/sandboxes/prod/reset")
    assert (await aep.get(f"/flows/{id}")).status == 404
    for kind in ("connections", "sourceConnections", "targetConnections", "flows", "runs"):
        assert (await aep.get(f"/{kind}")).body["items"] == []
