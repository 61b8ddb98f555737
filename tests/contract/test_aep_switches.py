"""Every switch of the AEP emulator in all its positions; a switch that no test turns fails the last test."""

from __future__ import annotations

import copy
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.aep import CATALOG, CONVERSION, REGISTRY, SANDBOXES, Aep
from tests.contract.switches import assert_all_turned
from tests.emulators.aep import seed_data as ids
from tests.emulators.aep.switches import AepSwitches
from tests.emulators.core.server import Emulators


def turn(aep: Aep, **positions: Any) -> None:
    """Set switches; the fixture's reset turns them back."""
    for name, position in positions.items():
        setattr(aep.emulators.aep.switches, name, position)


# IMS and gateway


async def test_ims_token_seconds(aep: Aep, emulators: Emulators) -> None:
    turn(aep, imsTokenSeconds=60)
    assert (await aep.log_in()).body["expires_in"] == 60
    emulators.clock.advance(60)
    assert (await aep.get("/flows")).status == 401


@pytest.mark.parametrize("status", [400, 401])
async def test_ims_refusal_status(aep: Aep, status: int) -> None:
    turn(aep, imsRefusalStatus=status)
    assert (await aep.log_in(client_secret="wrong")).status == status


@pytest.mark.parametrize("form", ["seconds", "date", "absent"])
async def test_rate_limit(aep: Aep, emulators: Emulators, form: str) -> None:
    turn(aep, rateLimitPerMinute=2, retryAfter=form)
    assert [(await aep.get("/flows")).status for _ in range(3)] == [200, 200, 429]
    refused = await aep.get("/flows")
    after = refused.headers.get("Retry-After")
    match form:
        case "seconds":
            assert 1 <= int(after or 0) <= 61
        case "date":
            wait = parsedate_to_datetime(after or "").timestamp() - emulators.clock.now()
            assert 0 < wait <= 62
        case _:
            assert after is None
    emulators.clock.advance(61)
    assert (await aep.get("/flows")).status == 200


@pytest.mark.parametrize(
    ("permission", "read", "write"),
    [("manage", None, None), ("view", None, "2118-403"), ("none", "2120-403", "2120-403")],
)
async def test_sources_permission(aep: Aep, permission: str, read: str | None, write: str | None) -> None:
    turn(aep, sourcesPermission=permission)
    found = [await aep.get("/connections"), await aep.post("/connections", aep.connection_body())]
    assert [None if f.status < 400 else f.code for f in found] == [read, write]


@pytest.mark.parametrize(("position", "code"), [("assigned", None), ("missing", "403027")])
async def test_product_profile(aep: Aep, position: str, code: str | None) -> None:
    turn(aep, productProfile=position)
    found = await aep.get("/flows")
    assert found.status == 200 if code is None else (found.status, found.code) == (403, code)


@pytest.mark.parametrize(("position", "status"), [("refused", 400), ("default", 200)])
async def test_missing_sandbox_header(aep: Aep, position: str, status: int) -> None:
    turn(aep, missingSandboxHeader=position)
    assert (await aep.call("GET", "/flows", without=("x-sandbox-name",))).status == status


@pytest.mark.parametrize("status", [404, 403, 400])
async def test_unknown_sandbox_status(aep: Aep, status: int) -> None:
    turn(aep, unknownSandboxStatus=status)
    assert (await aep.get(SANDBOXES + "/sandboxes/nowhere")).status == status


# Specs


@pytest.mark.parametrize(
    ("position", "spec", "flow_spec"),
    [
        ("offered", True, True),
        ("notInFlowSpec", True, False),
        ("noConnectionSpec", False, True),
        ("withdrawn", False, False),
    ],
)
async def test_zoho_source(aep: Aep, position: str, spec: bool, flow_spec: bool) -> None:
    body = await aep.flow_body()
    turn(aep, zohoSource=position)
    assert (await aep.get(f"/connectionSpecs/{ids.ZOHO_SPEC}")).status == (200 if spec else 404)
    sources = (await aep.get(f"/flowSpecs/{ids.CRM_FLOW_SPEC}")).item["sourceConnectionSpecIds"]
    assert (ids.ZOHO_SPEC in sources) == flow_spec
    created = await aep.post("/connections", aep.connection_body())
    assert created.status == 201 if spec else created.code == "1413-400"
    flow = await aep.post("/flows", body)
    assert flow.status == 201 if flow_spec else flow.code == "1305-400"


async def test_control_withdraws_the_source(aep: Aep, control: Any) -> None:
    for what, position in (
        ("both", "withdrawn"),
        ("connectionSpec", "noConnectionSpec"),
        ("flowSpec", "notInFlowSpec"),
    ):
        await control("POST", "/aep/source/withdraw", {"what": what})
        assert aep.emulators.aep.switches.zohoSource == position
    await control("POST", "/aep/source/restore")
    assert aep.emulators.aep.switches.zohoSource == "offered"


@pytest.mark.parametrize("name", ["Basic Authentication", "Basic Authentication for Zoho"])
async def test_auth_spec_name(aep: Aep, name: str) -> None:
    turn(aep, authSpecName=name)
    spec = (await aep.get(f"/connectionSpecs/{ids.ZOHO_SPEC}")).item
    assert spec["authSpec"][0]["name"] == name
    body = aep.connection_body()
    for sent in ("Basic Authentication", "Basic Authentication for Zoho"):
        body["auth"]["specName"] = sent
        found = await aep.post("/connections", body)
        assert found.status == 201 if sent == name else found.code == "1415-400"


@pytest.mark.parametrize(
    ("position", "required"),
    [
        ("all", {"endpoint", "accountsUrl", "clientId", "clientSecret", "accessToken", "refreshToken"}),
        ("tokenAndEndpoint", {"endpoint", "accessToken"}),
        ("none", set()),
        (
            "undocumented",
            {
                "endpoint",
                "accountsUrl",
                "clientId",
                "clientSecret",
                "accessToken",
                "refreshToken",
                "useEncryptedEndpoints",
            },
        ),
    ],
)
async def test_required_auth_params(aep: Aep, position: str, required: set[str]) -> None:
    turn(aep, requiredAuthParams=position)
    spec = (await aep.get(f"/connectionSpecs/{ids.ZOHO_SPEC}")).item
    assert set(spec["authSpec"][0]["spec"]["required"]) == required
    complete = aep.connection_body(useEncryptedEndpoints="true")
    for name in complete["auth"]["params"]:
        body = copy.deepcopy(complete)
        del body["auth"]["params"][name]
        assert (await aep.post("/connections", body)).status == (400 if name in required else 201)


@pytest.mark.parametrize(
    ("position", "refused"), [("any", None), ("host", "https://crm.zoho.eu"), ("url", "crm.zoho.eu")]
)
async def test_endpoint_format(aep: Aep, position: str, refused: str | None) -> None:
    turn(aep, endpointFormat=position)
    for endpoint in ("https://crm.zoho.eu", "crm.zoho.eu"):
        found = await aep.post("/connections", aep.connection_body(endpoint=endpoint))
        assert found.code == "1308-400" if endpoint == refused else found.status == 201


@pytest.mark.parametrize("position", ["items", "bare"])
async def test_spec_envelope(aep: Aep, position: str) -> None:
    turn(aep, specEnvelope=position)
    found = (await aep.get(f"/flowSpecs/{ids.CRM_FLOW_SPEC}")).body
    spec = found["items"][0] if position == "items" else found
    assert spec["name"] == "CRMToAEP"


@pytest.mark.parametrize("position", ["new", "old"])
async def test_spec_spelling(aep: Aep, position: str) -> None:
    turn(aep, specSpelling=position)
    spec = (await aep.get(f"/flowSpecs/{ids.CRM_FLOW_SPEC}")).item
    assert ("transformationSpecs" in spec, "transformationSpec" in spec) == (
        position == "new",
        position == "old",
    )
    assert isinstance(spec["permissionsInfo"]["view"], list if position == "new" else dict)


@pytest.mark.parametrize(("position", "status"), [("optional", 201), ("required", 400)])
async def test_connection_spec_version(aep: Aep, position: str, status: int) -> None:
    turn(aep, connectionSpecVersion=position)
    body = aep.connection_body()
    del body["connectionSpec"]["version"]
    assert (await aep.post("/connections", body)).status == status


# Connections


@pytest.mark.parametrize(("position", "status"), [("never", 201), ("always", 400)])
async def test_validate_on_create(aep: Aep, position: str, status: int) -> None:
    turn(aep, validateOnCreate=position)
    found = await aep.post("/connections", aep.connection_body(clientSecret="wrong"))
    assert found.status == status
    assert status == 201 or found.code == "1308-400"
    assert (await aep.post("/connections", aep.connection_body())).status == 201


@pytest.mark.parametrize(
    ("position", "code"),
    [("result", None), ("error", "1308-400"), ("unavailable", "1103-503"), ("timeout", "1104-504")],
)
async def test_test_failure(aep: Aep, position: str, code: str | None) -> None:
    turn(aep, testFailure=position)
    found = await aep.get(f"/connections/{await aep.connection(clientSecret='wrong')}/test")
    assert found.body == {"result": False} if code is None else found.code == code
    assert (await aep.get(f"/connections/{await aep.connection()}/test")).body == {"result": True}


@pytest.mark.parametrize("code", ["1308-400", "1100-400", "1014-400", "1105-401", "1106-403"])
async def test_source_refusal_code(aep: Aep, code: str) -> None:
    turn(aep, sourceRefusalCode=code, testFailure="error")
    path = f"/connections/{await aep.connection(clientSecret='wrong')}"
    for call in ("/test", "/explore?objectType=root"):
        found = await aep.get(path + call)
        assert (found.code, found.status) == (code, int(code[-3:]))
        assert "[Microsoft][Zoho]" in found.body["errorDetails"]


async def test_unreadable_tables(aep: Aep) -> None:
    turn(aep, unreadableTables=["Leads"])
    path = f"/connections/{await aep.connection()}/explore?objectType="
    assert "Leads" in [table["name"] for table in (await aep.get(path + "root")).body]
    assert (await aep.get(path + "table&object=Leads")).code == "1439-404"
    assert (await aep.get(path + "table&object=Contacts")).status == 200


@pytest.mark.parametrize(
    ("position", "source", "code"),
    [
        ("work", "withdrawn", None),
        ("refused", "withdrawn", "1305-400"),
        ("refused", "noConnectionSpec", "1305-400"),
        ("refused", "notInFlowSpec", None),
        ("refused", "offered", None),
    ],
)
async def test_withdrawn_connections(aep: Aep, position: str, source: str, code: str | None) -> None:
    path = f"/connections/{await aep.connection()}"
    turn(aep, withdrawnConnections=position, zohoSource=source)
    for found in (await aep.get(f"{path}/test"), await aep.get(f"{path}/explore", objectType="root")):
        assert found.status == 200 if code is None else found.code == code


@pytest.mark.parametrize(
    ("position", "code"),
    [("replace", "1304-400"), ("merge", None), ("refused1300", "1300-400"), ("refused1445", "1445-400")],
)
async def test_patch_auth_params(aep: Aep, position: str, code: str | None) -> None:
    turn(aep, patchAuthParams=position)
    path = f"/connections/{await aep.connection()}"
    partial = {"op": "replace", "path": "/auth/params", "value": {"endpoint": "crm.zoho.eu"}}
    found = await aep.patch(path, partial)
    assert found.status == 200 if code is None else found.code == code
    rename = {"op": "replace", "path": "/name", "value": "new"}
    assert (await aep.patch(path, rename)).status == 200
    params = (await aep.get(path)).item["auth"]["params"]
    assert len(params) == 6
    assert params["endpoint"] == ("crm.zoho.eu" if code is None else "crm.zoho.eu/crm/private")


@pytest.mark.parametrize("position", ["masked", "omitted", "echoed"])
async def test_secrets_on_read(aep: Aep, position: str) -> None:
    turn(aep, secretsOnRead=position)
    sent = aep.connection_body()["auth"]["params"]
    params = (await aep.get(f"/connections/{await aep.connection()}")).item["auth"]["params"]
    for name in ("clientSecret", "accessToken", "refreshToken"):
        assert params.get(name) == {"masked": "****", "omitted": None, "echoed": sent[name]}[position]
    assert params["clientId"] == sent["clientId"]


@pytest.mark.parametrize(("position", "status"), [("none", 201), ("refused", 400)])
async def test_name_uniqueness(aep: Aep, position: str, status: int) -> None:
    turn(aep, nameUniqueness=position)
    await aep.connection()
    assert (await aep.post("/connections", aep.connection_body())).status == status
    reference = {"id": ids.CONTACTS_SCHEMA, "contentType": f"{ids.XED};version=1"}
    dataset = {"name": "CRM Contacts", "schemaRef": reference}
    assert (await aep.post(CATALOG + "/dataSets", dataset)).status == status
    sets, named = CONVERSION + "/mappingSets", {**aep.mapping_body(), "name": "Made"}
    assert (await aep.post(sets, named)).status == 200
    assert (await aep.post(sets, named)).status == (200 if position == "none" else status)


@pytest.mark.parametrize(("position", "path"), [("plain", "Leads"), ("prefixed", "Crm.Leads")])
async def test_table_naming(aep: Aep, position: str, path: str) -> None:
    turn(aep, tableNaming=position)
    explore = f"/connections/{await aep.connection()}/explore"
    tables = {t["name"]: t["path"] for t in (await aep.get(explore, objectType="root")).body}
    assert tables["Leads"] == path
    found = (await aep.get(explore, objectType="table", object=path)).body
    assert found["schema"]["columns"]


@pytest.mark.parametrize("position", ["xdm", "meta"])
async def test_explore_columns(aep: Aep, position: str) -> None:
    turn(aep, exploreColumns=position)
    found = await aep.source_body(await aep.connection())
    email = next(c for c in found["params"]["columns"] if c["name"] == "Email")
    assert email[position] == {"xdm": {"type": "string"}, "meta": {"originalType": "String"}}[position]
    assert ("xdm" in email) != ("meta" in email)
    assert (await aep.post("/sourceConnections", found)).status == 201


@pytest.mark.parametrize(("position", "text"), [("lower", "string"), ("title", "String")])
async def test_column_type_case(aep: Aep, position: str, text: str) -> None:
    turn(aep, columnTypeCase=position)
    body = await aep.source_body(await aep.connection())
    id = (await aep.post("/sourceConnections", body)).body["id"]
    columns = (await aep.get(f"/sourceConnections/{id}")).item["params"]["columns"]
    assert next(c for c in columns if c["name"] == "Email")["xdm"]["type"] == text


# Listings


async def test_page_sizes(aep: Aep) -> None:
    turn(aep, defaultPageSize=1, maximumPageSize=2)
    for _ in range(3):
        await aep.connection()
    assert len((await aep.get("/connections")).body["items"]) == 1
    assert len((await aep.get("/connections", limit="100")).body["items"]) == 2


async def test_index_lag(aep: Aep, emulators: Emulators) -> None:
    turn(aep, indexLagSeconds=30)
    id = await aep.connection()
    assert (await aep.get(f"/connections/{id}")).status == 200
    assert (await aep.get("/connections", f"id=={id}")).body["items"] == []
    emulators.clock.advance(30)
    assert len((await aep.get("/connections", f"id=={id}")).body["items"]) == 1
    await aep.delete(f"/connections/{id}")
    assert (await aep.get(f"/connections/{id}")).status == 404
    assert len((await aep.get("/connections")).body["items"]) == 1
    emulators.clock.advance(30)
    assert (await aep.get("/connections")).body["items"] == []


@pytest.mark.parametrize("seconds", [0, 30])
async def test_index_lag_of_the_other_services(aep: Aep, emulators: Emulators, seconds: int) -> None:
    turn(aep, indexLagSeconds=seconds)
    emulators.clock.advance(1)  # created dates count whole milliseconds
    reference = {"id": ids.CONTACTS_SCHEMA, "contentType": f"{ids.XED};version=1"}
    dataset = (await aep.post(CATALOG + "/dataSets", {"name": "Made", "schemaRef": reference})).body[0]
    mapping = (await aep.post(CONVERSION + "/mappingSets", {**aep.mapping_body(), "name": "Made"})).body["id"]
    schema = {"type": "object", "title": "Made", "description": "", "allOf": [{"$ref": ids.PROFILE_CLASS}]}
    made = (await aep.post(REGISTRY + "/tenant/schemas", schema)).body["$id"]
    group = {"type": "object", "title": "Made", "meta:intendedToExtend": [ids.PROFILE_CLASS]}
    await aep.post(REGISTRY + "/tenant/fieldgroups", group)
    one = f"{REGISTRY}/tenant/schemas/{quote(made, safe='')}"
    accept = {"Accept": "application/vnd.adobe.xed+json; version=1"}
    assert (await aep.call("GET", one, headers=accept)).status == 200
    assert (await aep.get(f"{CATALOG}{dataset.removeprefix('@')}")).status == 200
    assert (await aep.get(f"{CONVERSION}/mappingSets/{mapping}")).status == 200

    async def listed() -> list[int]:
        xed_id, title = {"Accept": "application/vnd.adobe.xed-id+json"}, [("property", "title==Made")]
        answers = [
            (await aep.get(CATALOG + "/dataSets", name="Made")).body,
            (await aep.get(CONVERSION + "/mappingSets", name="Made", limit="5", start="0")).body["data"],
        ]
        for kind in ("schemas", "fieldgroups"):
            path = f"{REGISTRY}/tenant/{kind}"
            answers.append((await aep.call("GET", path, headers=xed_id, params=title)).body["results"])
        return [len(answer) for answer in answers]

    assert await listed() == ([0] * 4 if seconds else [1] * 4)
    emulators.clock.advance(seconds)
    assert await listed() == [1] * 4


@pytest.mark.parametrize(("position", "states"), [(False, []), (True, ["deleted"])])
async def test_soft_deleted_in_lists(aep: Aep, position: bool, states: list[str]) -> None:
    turn(aep, softDeletedInLists=position)
    id = await aep.connection()
    await aep.delete(f"/connections/{id}")
    assert [i["state"] for i in (await aep.get("/connections")).body["items"]] == states
    assert (await aep.get(f"/connections/{id}")).status == 404


async def test_page_token_seconds(aep: Aep, emulators: Emulators) -> None:
    turn(aep, pageTokenSeconds=60)
    for _ in range(2):
        await aep.connection()
    href = (await aep.get("/connections", limit="1")).body["_links"]["next"]["href"]
    emulators.clock.advance(59)
    assert (await aep.call("GET", href)).status == 200
    emulators.clock.advance(2)
    assert (await aep.call("GET", href)).code == "1454-400"


@pytest.mark.parametrize("code", ["FLOW-1439-404", "FLOW-1101-404", "FLOW-1439-400"])
async def test_not_found_code(aep: Aep, code: str) -> None:
    turn(aep, notFoundCode=code)
    for path in ("/flows/nothing", "/connectionSpecs/nothing"):
        found = await aep.get(path)
        assert found.body["type"].endswith(code)
        assert found.status == found.body["status"] == int(code[-3:])


@pytest.mark.parametrize("position", ["full", "errorMessage"])
async def test_stale_etag_body(aep: Aep, position: str) -> None:
    turn(aep, staleEtagBody=position)
    rename = {"op": "replace", "path": "/name", "value": "x"}
    found = await aep.patch(f"/connections/{await aep.connection()}", rename, etag='"old"')
    assert found.status == 412
    assert set(found.body) == {"errorMessage"} if position == "errorMessage" else found.code == "1404-412"
    assert "Supplied version" in str(found.body)


@pytest.mark.parametrize("position", ["reference", "items"])
@pytest.mark.parametrize("kind", ["sourceConnections", "targetConnections"])
async def test_source_target_patch_answer(aep: Aep, position: str, kind: str) -> None:
    turn(aep, sourceTargetPatchAnswer=position)
    await aep.flow_body()
    path = f"/{kind}/{aep.made[kind]}"
    found = (await aep.patch(path, {"op": "replace", "path": "/name", "value": "x"})).body
    now = (await aep.get(path)).item
    assert found == (
        {"id": now["id"], "etag": now["etag"]} if position == "reference" else {"items": [now], "_links": {}}
    )


async def test_caller_lacks_labels(aep: Aep) -> None:
    id = await aep.flow()
    await aep.patch(f"/flows/{id}", {"op": "add", "path": "/labels", "value": ["core/C12"]})
    aep.pass_transition()
    etag = (await aep.get(f"/flows/{id}")).item["etag"]
    turn(aep, callerLacksLabels=["core/C12"])
    assert (await aep.get(f"/flows/{id}")).code == "1439-404"
    assert [i["id"] for i in (await aep.get("/flows")).body["items"]] == [id]
    rename = {"op": "replace", "path": "/name", "value": "x"}
    assert (await aep.patch(f"/flows/{id}", rename, etag=etag)).code == "2120-403"
    assert (await aep.delete(f"/flows/{id}")).code == "2120-403"


# Flows


@pytest.mark.parametrize("seconds", [0, 5])
async def test_transition_seconds(aep: Aep, emulators: Emulators, seconds: float) -> None:
    turn(aep, transitionSeconds=seconds)
    path = f"/flows/{(await aep.post('/flows', await aep.flow_body())).body['id']}"
    assert (await aep.get(path)).item["state"] == ("enabled-finalizing" if seconds else "enabled")
    emulators.clock.advance(seconds)
    assert (await aep.get(path)).item["state"] == "enabled"


@pytest.mark.parametrize("position", ["none", "finalizing"])
async def test_delete_transition(aep: Aep, position: str) -> None:
    turn(aep, deleteTransition=position)
    path = f"/flows/{await aep.flow()}"
    assert (await aep.delete(path)).status == 204
    if position == "finalizing":
        assert (await aep.get(path)).item["state"] == "delete-finalizing"
        source = f"/sourceConnections/{aep.made['sourceConnections']}"
        assert (await aep.delete(source)).code == "1447-400"
        aep.pass_transition()
    assert (await aep.get(path)).status == 404


@pytest.mark.parametrize(("position", "status"), [(False, 200), (True, 404)])
async def test_cascade_on_flow_delete(aep: Aep, position: bool, status: int) -> None:
    turn(aep, cascadeOnFlowDelete=position)
    await aep.delete(f"/flows/{await aep.flow()}")
    for kind in ("sourceConnections", "targetConnections"):
        assert (await aep.get(f"/{kind}/{aep.made[kind]}")).status == status
    assert (await aep.get(f"/connections/{aep.made['connections']}")).status == 200


@pytest.mark.parametrize("position", ["strings", "numbers"])
async def test_numbers_on_read(aep: Aep, position: str) -> None:
    turn(aep, numbersOnRead=position)
    schedule = aep.hourly()
    item = (await aep.get(f"/flows/{await aep.flow(schedule)}")).item
    shown = {**item["scheduleParams"], **item["transformations"][1]["params"]}
    wanted = {**schedule, "mappingVersion": 0}
    for name in ("startTime", "interval", "backfill", "mappingVersion"):
        text = str(wanted[name]).lower()
        assert shown[name] == (text if position == "strings" else wanted[name])


@pytest.mark.parametrize(("position", "status"), [("flowSpec", 201), ("fifteen", 400)])
async def test_minimum_interval(aep: Aep, position: str, status: int) -> None:
    turn(aep, minimumInterval=position)
    assert (await aep.post("/flows", await aep.flow_body())).status == status


@pytest.mark.parametrize(("seconds", "status"), [(0, 400), (300, 201)])
async def test_start_time_tolerance(aep: Aep, seconds: float, status: int) -> None:
    turn(aep, startTimeToleranceSeconds=seconds)
    schedule = {**aep.hourly(), "startTime": int(aep.emulators.clock.now()) - 200}
    assert (await aep.post("/flows", await aep.flow_body(schedule))).status == status


@pytest.mark.parametrize(
    ("position", "without", "with_it"),
    [("refused", None, "1369-400"), ("optional", None, None), ("required", "1367-400", None)],
)
async def test_delta_column_when_once(
    aep: Aep, position: str, without: str | None, with_it: str | None
) -> None:
    turn(aep, deltaColumnWhenOnce=position)
    for delta, code in ((False, without), (True, with_it)):
        found = await aep.post("/flows", await aep.flow_body(aep.once(), delta))
        assert found.status == 201 if code is None else found.code == code


@pytest.mark.parametrize(("position", "status"), [("refused", 400), ("allowed", 200)])
async def test_patch_delta_column(aep: Aep, position: str, status: int) -> None:
    turn(aep, patchDeltaColumn=position)
    copy = {"name": "Copy", "params": {"deltaColumn": {"name": "Created_Time"}}}
    operation = {"op": "replace", "path": "/transformations/0", "value": copy}
    assert (await aep.patch(f"/flows/{await aep.flow()}", operation)).status == status


@pytest.mark.parametrize("position", ["FLOW", "CONNECTORS", "SOURCES"])
async def test_source_error_prefix(aep: Aep, position: str) -> None:
    turn(aep, sourceErrorPrefix=position)
    found = await aep.post("/flows", await aep.flow_body(delta=False))
    assert found.body["type"].endswith(f"/{position}-1367-400")
    assert (await aep.get("/flows/nothing")).body["type"].endswith("/FLOW-1439-404")


# Runs


@pytest.mark.parametrize(
    ("position", "link"), [("property", "/runs?property=flowId=={id}"), ("path", "/flows/{id}/runs")]
)
async def test_runs_link(aep: Aep, control: Any, position: str, link: str) -> None:
    turn(aep, runsLink=position)
    id = await aep.flow()
    await control("POST", "/aep/runs", {"flowId": id})
    runs = (await aep.get(f"/flows/{id}")).item["runs"]
    assert runs == link.format(id=id)
    assert len((await aep.call("GET", runs)).body["items"]) == 1


@pytest.mark.parametrize(
    ("position", "present", "absent"),
    [
        ("documented", {"etag", "activities"}, {"eTag", "activites"}),
        ("published", {"eTag", "activites"}, {"etag", "activities"}),
    ],
)
async def test_run_spelling(
    aep: Aep, control: Any, position: str, present: set[str], absent: set[str]
) -> None:
    turn(aep, runSpelling=position)
    run = await control("POST", "/aep/runs", {"flowId": await aep.flow()})
    item = (await aep.get(f"/runs/{run['id']}")).item
    assert present <= set(item)
    assert not absent & set(item)


@pytest.mark.parametrize(
    ("position", "texts"),
    [
        ("lower", ["success", "failed", "inProgress", "success", "queued"]),
        ("title", ["Success", "Failed", "InProgress", "Success", "Queued"]),
        ("upper", ["SUCCESS", "FAILED", "IN_PROGRESS", "PARTIAL_SUCCESS", "QUEUED"]),
        ("other", ["COMPLETED", "FAILED", "IN_PROGRESS", "PARTIAL_FAILURE", "SCHEDULED"]),
    ],
)
async def test_run_status_spelling(aep: Aep, control: Any, position: str, texts: list[str]) -> None:
    turn(aep, runStatusSpelling=position)
    flow = await aep.flow()
    for state in ("success", "failed", "inProgress", "partial", "queued"):
        await control("POST", "/aep/runs", {"flowId": flow, "state": state})
    runs = (await aep.get("/runs", f"flowId=={flow}")).body["items"]
    assert [run["metrics"]["statusSummary"]["status"] for run in runs] == texts


@pytest.mark.parametrize("position", ["shown", "absent"])
async def test_last_run_details(aep: Aep, control: Any, position: str) -> None:
    turn(aep, lastRunDetails=position)
    flow = await aep.flow()
    await control("POST", "/aep/runs", {"flowId": flow})
    assert ("lastRunDetails" in (await aep.get(f"/flows/{flow}")).item) == (position == "shown")


@pytest.mark.parametrize("position", ["shown", "absent"])
async def test_queued_run_start(aep: Aep, control: Any, position: str) -> None:
    """A filter by the start finds no run that shows none."""
    turn(aep, queuedRunStart=position)
    run = await control("POST", "/aep/runs", {"flowId": await aep.flow(), "state": "queued"})
    shows = position == "shown"
    duration = (await aep.get(f"/runs/{run['id']}")).item["metrics"]["durationSummary"]
    assert ("startedAtUTC" in duration) == shows
    found = (await aep.get("/runs", "metrics.durationSummary.startedAtUTC>0")).body["items"]
    assert len(found) == shows


@pytest.mark.parametrize(("position", "status"), [("allowed", 200), ("refused", 400)])
async def test_retry_of_once(aep: Aep, control: Any, position: str, status: int) -> None:
    turn(aep, retryOfOnce=position)
    for once, expected in ((True, status), (False, 200)):
        flow = await (aep.flow(aep.once(), delta=False) if once else aep.flow())
        failed = await control("POST", "/aep/runs", {"flowId": flow, "state": "failed"})
        answer = await aep.post(f"/runs/{failed['id']}/action?op=re-trigger")
        assert answer.status == expected


@pytest.mark.parametrize(("position", "scale"), [("seconds", 1), ("milliseconds", 1000)])
async def test_run_times(aep: Aep, position: str, scale: int) -> None:
    turn(aep, runTimes=position)
    flow = await aep.flow(aep.once(), delta=False)
    times = {"startTime": 3000, "windowStartTime": 1000 * scale, "windowEndTime": 2000 * scale}
    body = {"flowId": flow, "params": {**times, "deltaColumn": {"name": "Modified_Time"}}}
    run = (await aep.post("/runs", body)).body["items"][0]["id"]
    activity = (await aep.get(f"/runs/{run}")).item["activities"][0]
    window = activity["durationSummary"]["extensions"]
    assert window == {"windowStart": 1_000_000, "windowEnd": 2_000_000}


@pytest.mark.parametrize("position", ["items", "flat"])
async def test_create_run_answer(aep: Aep, position: str) -> None:
    turn(aep, createRunAnswer=position)
    flow = await aep.flow(aep.once(), delta=False)
    times = {"startTime": 3, "windowStartTime": 1, "windowEndTime": 2}
    body = {"flowId": flow, "params": {**times, "deltaColumn": {"name": "Modified_Time"}}}
    found = (await aep.post("/runs", body)).body
    assert set(found["items"][0] if position == "items" else found) == {"id", "etag"}


@pytest.mark.parametrize(("position", "hours"), [("catchUp", 3), ("skip", 1)])
async def test_window_after_pause(
    aep: Aep, control: Any, emulators: Emulators, position: str, hours: int
) -> None:
    turn(aep, windowAfterPause=position)
    flow = await aep.flow()
    await control("POST", "/aep/runs", {"flowId": flow})
    await aep.post(f"/flows/{flow}/action?op=disable")
    emulators.clock.advance(2 * 3600)
    await aep.post(f"/flows/{flow}/action?op=enable")
    emulators.clock.advance(3600)
    run = await control("POST", "/aep/runs", {"flowId": flow})
    window = run["activities"][0]["durationSummary"]["extensions"]
    assert round((window["windowEnd"] - window["windowStart"]) / 3_600_000) == hours


# Data Prep and Schema Registry


@pytest.mark.parametrize(("position", "version"), [("first", 0), ("latest", 1)])
async def test_mapping_set_default_version(aep: Aep, position: str, version: int) -> None:
    turn(aep, mappingSetDefaultVersion=position)
    path = f"{CONVERSION}/mappingSets/{await aep.mapping_set()}"
    await aep.call("PUT", path, aep.mapping_body())
    assert (await aep.get(path)).body["version"] == version


@pytest.mark.parametrize(("position", "version"), [("always", 1), ("onChange", 0)])
async def test_mapping_set_put(aep: Aep, position: str, version: int) -> None:
    turn(aep, mappingSetPut=position)
    path = f"{CONVERSION}/mappingSets/{await aep.mapping_set()}"
    assert (await aep.call("PUT", path, aep.mapping_body())).body["version"] == version
    changed = aep.mapping_body([{"source": "Phone", "destination": "homePhone.number"}])
    assert (await aep.call("PUT", path, changed)).body["version"] == version + 1


@pytest.mark.parametrize(("position", "status"), [("kept", 200), ("dropped", 404)])
async def test_mapping_set_old_versions(aep: Aep, position: str, status: int) -> None:
    turn(aep, mappingSetOldVersions=position)
    path = f"{CONVERSION}/mappingSets/{await aep.mapping_set()}"
    await aep.call("PUT", path, aep.mapping_body())
    assert (await aep.get(path, version="0")).status == status
    assert (await aep.get(path, version="1")).status == 200


@pytest.mark.parametrize(("position", "status"), [("required", 400), ("optional", 200)])
@pytest.mark.parametrize("parameters", [{}, {"limit": "5"}, {"start": "0"}])
async def test_mapping_set_paging(aep: Aep, position: str, status: int, parameters: dict[str, str]) -> None:
    turn(aep, mappingSetPaging=position)
    assert (await aep.get(CONVERSION + "/mappingSets", **parameters)).status == status
    assert (await aep.get(CONVERSION + "/mappingSets", limit="5", start="0")).status == 200


@pytest.mark.parametrize(("position", "status", "then"), [("refused", 405, 200), ("allowed", 204, 404)])
async def test_mapping_set_delete(aep: Aep, position: str, status: int, then: int) -> None:
    turn(aep, mappingSetDelete=position)
    path = f"{CONVERSION}/mappingSets/{await aep.mapping_set()}"
    assert (await aep.delete(path)).status == status
    assert (await aep.get(path)).status == then


@pytest.mark.parametrize("position", ["array", "object"])
async def test_preview_answer(aep: Aep, position: str) -> None:
    turn(aep, previewAnswer=position)
    body = {"data": [{"Email": "a@b.c"}], "mappingSet": aep.mapping_body()}
    found = (await aep.post(CONVERSION + "/mappingSets/preview", body)).body
    first = found[0] if position == "array" else found
    assert first["data"]["personalEmail"] == {"address": "a@b.c"}


@pytest.mark.parametrize("position", [True, False])
async def test_alt_id_underscore(aep: Aep, position: bool) -> None:
    turn(aep, altIdUnderscore=position)
    accept = {"Accept": "application/vnd.adobe.xed-id+json"}
    found = (await aep.call("GET", REGISTRY + "/tenant/schemas", headers=accept)).body["results"]
    assert all(schema["meta:altId"].startswith("_") == position for schema in found)


@pytest.mark.parametrize(("position", "status"), [("published", 400), ("few", 201)])
async def test_required_schema_members(aep: Aep, position: str, status: int) -> None:
    turn(aep, requiredSchemaMembers=position)
    body = {"title": "Made", "allOf": [{"$ref": ids.PROFILE_CLASS}]}
    assert (await aep.post(REGISTRY + "/tenant/schemas", body)).status == status
    assert (await aep.post(REGISTRY + "/tenant/schemas", {**body, "type": "string"})).status == 400


@pytest.mark.parametrize(("position", "status"), [("accepted", 200), ("refused", 400)])
@pytest.mark.parametrize("parameter", [("limit", "5"), ("start", "CRM")])
async def test_limit_without_orderby(
    aep: Aep, position: str, status: int, parameter: tuple[str, str]
) -> None:
    turn(aep, limitWithoutOrderby=position)
    accept, path = {"Accept": "application/vnd.adobe.xed-id+json"}, REGISTRY + "/tenant/schemas"
    assert (await aep.call("GET", path, headers=accept, params=[parameter])).status == status
    ordered = [parameter, ("orderby", "title")]
    assert (await aep.call("GET", path, headers=accept, params=ordered)).status == 200


@pytest.mark.parametrize(("position", "status", "body"), [("empty", 200, []), ("refused", 404, None)])
async def test_unknown_dataset_delete(aep: Aep, position: str, status: int, body: Any) -> None:
    turn(aep, unknownDatasetDelete=position)
    found = await aep.delete(CATALOG + "/dataSets/000000000000000000000000")
    assert found.status == status
    assert body is None or found.body == body


def test_every_position_of_every_switch_is_tested() -> None:
    landing_zone = [f"test_landing_zone{part}.py" for part in ("", "_client", "_flow", "_ingestion")]
    files = ["test_aep_switches.py", "test_aep_source_runs.py", *landing_zone]
    assert_all_turned(AepSwitches, "turn", *files)
