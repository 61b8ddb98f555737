"""Every operation that the emulator has, called as documented."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest

from tests.contract.aep import CATALOG, CONVERSION, REGISTRY, SANDBOXES, Aep, Answer
from tests.emulators.aep import seed_data as ids

XED_ID = {"Accept": "application/vnd.adobe.xed-id+json"}
XED = {"Accept": "application/vnd.adobe.xed+json; version=1"}
XDM = {"Accept": "application/vnd.adobe.xdm+json"}


def ok(answer: Answer, status: int = 200) -> Answer:
    assert answer.status == status, answer.body
    return answer


async def test_flow_service(aep: Aep) -> None:
    flow = await aep.flow()
    connection, source, target = (
        aep.made[kind] for kind in ("connections", "sourceConnections", "targetConnections")
    )
    for path in ("/connections", "/sourceConnections", "/targetConnections", "/flows", "/runs"):
        ok(await aep.get(path, limit="5", orderby="-createdAt"))
        ok(await aep.get(path, count="true"))
    ok(await aep.get("/connectionSpecs"))
    ok(await aep.get(f"/connectionSpecs/{ids.ZOHO_SPEC}"))
    ok(await aep.get(f"/connectionSpecs/{ids.ZOHO_SPEC}/configs"))
    ok(await aep.get("/flowSpecs", 'name=="CRMToAEP"'))
    ok(await aep.get(f"/flowSpecs/{ids.CRM_FLOW_SPEC}"))
    for path in ("/connections/search", "/flows/search"):
        ok(await aep.post(path, {"queryString": "", "limit": 5}))
    ok(await aep.get(f"/connections/{connection}/test"))
    ok(await aep.get(f"/connections/{connection}/configs"))
    ok(await aep.get(f"/connections/{connection}/explore", objectType="root"))
    ok(
        await aep.get(
            f"/connections/{connection}/explore", objectType="table", object="Leads", preview="true"
        )
    )
    for path in (
        f"/connections/{connection}",
        f"/sourceConnections/{source}",
        f"/targetConnections/{target}",
        f"/flows/{flow}",
    ):
        ok(await aep.patch(path, {"op": "replace", "path": "/name", "value": "renamed"}))
        aep.pass_transition()
    ok(await aep.post(f"/flows/{flow}/action?op=disable"))
    aep.pass_transition()
    ok(await aep.post(f"/flows/{flow}/action?op=enable"))
    aep.pass_transition()
    for path in (
        f"/flows/{flow}",
        f"/sourceConnections/{source}",
        f"/targetConnections/{target}",
        f"/connections/{connection}",
    ):
        ok(await aep.delete(path), 204)


async def test_what_only_older_pages_or_only_the_published_files_have(aep: Aep) -> None:
    found = ok(await aep.post("/flowSpecs/search", {"queryString": "property=name==CRMToAEP"})).body
    assert [s["id"] for s in found["items"]] == [ids.CRM_FLOW_SPEC]
    flow = await aep.flow()
    assert ok(await aep.get(f"/flows/{flow}/runs")).body["items"] == []


async def test_drafts(aep: Aep) -> None:
    connection = ok(await aep.post("/connections?mode=draft", aep.connection_body()), 201).body["id"]
    ok(await aep.post(f"/connections/{connection}/action?op=publish"))
    source = ok(await aep.post("/sourceConnections?mode=draft", await aep.source_body(connection)), 201).body
    ok(await aep.post(f"/sourceConnections/{source['id']}/action?op=publish"))
    target = ok(await aep.post("/targetConnections?mode=draft", aep.target_body()), 201).body["id"]
    ok(await aep.post(f"/targetConnections/{target}/action?op=publish"))
    body = {
        **await aep.flow_body(),
        "sourceConnectionIds": [source["id"]],
        "targetConnectionIds": [target],
    }
    flow = ok(await aep.post("/flows?mode=draft", body), 201).body["id"]
    assert (await aep.get(f"/flows/{flow}")).item["state"] == "draft"
    ok(await aep.post(f"/flows/{flow}/action?op=publish"))
    assert (await aep.get(f"/flows/{flow}")).item["state"] == "enabled-finalizing"


async def test_on_demand_run(aep: Aep) -> None:
    flow = await aep.flow(aep.once(), delta=False)
    now = int(time.time())
    params = {"startTime": now, "windowStartTime": now - 3600, "windowEndTime": now}
    body = {"flowId": flow, "params": {**params, "deltaColumn": {"name": "Modified_Time"}}}
    run = ok(await aep.post("/runs", body), 201).body["items"][0]["id"]
    ok(await aep.get("/runs", f"flowId=={flow}", orderby="-createdAt", limit="20"))
    ok(await aep.get(f"/runs/{run}"))


async def test_data_prep(aep: Aep) -> None:
    base = CONVERSION + "/mappingSets"
    id = await aep.mapping_set()
    ok(await aep.get(base, limit="10", start="0", orderBy="-createdDate"))
    ok(await aep.get(f"{base}/{id}"))
    ok(await aep.get(f"{base}/{id}", version="0"))
    mappings = ok(await aep.get(f"{base}/{id}/mappings")).body
    ok(await aep.get(f"{base}/{id}/mappings/{mappings[0]['id']}"))
    ok(await aep.call("PUT", f"{base}/{id}", aep.mapping_body()))
    ok(await aep.post(f"{base}/validate", aep.mapping_body()))
    ok(await aep.post(f"{base}/preview", {"data": [{"Email": "a@b.c"}], "mappingSet": aep.mapping_body()}))
    assert ok(await aep.post(f"{CONVERSION}/languages/el/validate", {"expression": "upper(a)"})).body is True
    ok(await aep.get(f"{CONVERSION}/languages/el/functions"))
    ok(await aep.get(f"{CONVERSION}/languages/el/operators"))


async def test_schema_registry(aep: Aep) -> None:
    schemas, groups = REGISTRY + "/tenant/schemas", REGISTRY + "/tenant/fieldgroups"
    ok(await aep.get(REGISTRY + "/stats"))
    params = [("orderby", "title"), ("limit", "1")]
    ok(await aep.call("GET", schemas, headers=XED_ID, params=params))
    ok(await aep.call("GET", REGISTRY + "/global/schemas", headers=XED_ID))
    ok(await aep.call("GET", REGISTRY + "/global/classes", headers=XED_ID))
    group = {
        "title": "Extra",
        "type": "object",
        "meta:intendedToExtend": [ids.PROFILE_CLASS],
        "properties": {},
    }
    group_id = ok(await aep.post(groups, group), 201).body["$id"]
    ok(await aep.call("GET", groups, headers=XED_ID))
    ok(await aep.call("GET", f"{groups}/{quote(group_id, safe='')}", headers=XED))
    body = {
        "type": "object",
        "title": "Made",
        "description": "made by a test",
        "allOf": [
            {"$ref": ids.PROFILE_CLASS},
            {"$ref": "https://ns.adobe.com/xdm/context/profile-person-details"},
        ],
    }
    made = ok(await aep.post(schemas, body), 201).body
    one = f"{schemas}/{quote(made['$id'], safe='')}"
    ok(await aep.call("GET", one, headers=XED))
    ok(await aep.call("GET", f"{schemas}/{made['meta:altId']}", headers=XED))
    union = {"op": "add", "path": "/meta:immutableTags", "value": ["union"]}
    ok(await aep.call("PATCH", one, [union]))
    ok(await aep.call("PUT", one, {**body, "meta:immutableTags": ["union"]}))
    identity = {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": made["$id"],
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": "/person/name/fullName",
        "xdm:namespace": "CRMID",
        "xdm:property": "xdm:code",
        "xdm:isPrimary": True,
    }
    descriptors = REGISTRY + "/tenant/descriptors"
    descriptor = ok(await aep.post(descriptors, identity), 201).body["@id"]
    ok(await aep.call("GET", descriptors, headers=XDM))
    ok(await aep.call("GET", f"{descriptors}/{descriptor}"))
    ok(await aep.call("PUT", f"{descriptors}/{descriptor}", {**identity, "xdm:sourceVersion": "1"}))
    ok(await aep.delete(f"{descriptors}/{descriptor}"), 204)
    ok(await aep.delete(one), 204)
    ok(await aep.delete(f"{groups}/{quote(group_id, safe='')}"), 204)


async def test_catalog(aep: Aep) -> None:
    reference = {"id": ids.CONTACTS_SCHEMA, "contentType": f"{ids.XED};version=1"}
    body = {"name": "Made", "schemaRef": reference, "tags": {"unifiedProfile": ["enabled:true"]}}
    made = ok(await aep.post(CATALOG + "/dataSets?requestDataSource=true", body), 201).body
    one = f"{CATALOG}{made[0].removeprefix('@')}"
    ok(await aep.get(one))
    ok(await aep.get(CATALOG + "/dataSets", name="Made", limit="100", start="0", orderBy="desc:created"))
    patch_type = {"Content-Type": "application/json-patch+json"}
    upsert = [{"op": "add", "path": "/tags/unifiedProfile", "value": ["enabled:true", "isUpsert:true"]}]
    assert ok(await aep.call("PATCH", one, upsert, headers=patch_type)).body == made
    assert ok(await aep.call("PATCH", one, {"description": "changed"})).body == made
    ok(await aep.get(CATALOG + "/batches", limit="10"))
    ok(await aep.get(CATALOG + "/lastBatches", dataSetId=ids.CONTACTS_DATASET))
    assert ok(await aep.delete(one)).body == made


async def test_sandbox_management(aep: Aep) -> None:
    accept = {"Accept": "application/json"}
    listed = ok(await aep.call("GET", SANDBOXES + "/", headers=accept)).body
    assert [s["name"] for s in listed["sandboxes"]] == ["prod", "dev"]
    ok(await aep.call("GET", SANDBOXES + "/sandboxes", headers=accept))
    ok(await aep.call("GET", SANDBOXES + "/sandboxes/prod", headers=accept))
    ok(await aep.call("GET", SANDBOXES + "/sandboxTypes", headers=accept))


@pytest.mark.parametrize(
    ("method", "path", "shape"),
    [
        ("GET", "/data/foundation/flowservice/nothing", "title"),
        ("DELETE", "/data/foundation/flowservice/flows", "title"),
        ("POST", "/data/foundation/flowservice/connectionSpecs", "title"),
        ("GET", "/data/foundation/conversion/nothing", "title"),
        ("DELETE", "/data/foundation/conversion/mappingSets/1", "title"),
        ("GET", "/data/foundation/catalog/nothing", "title"),
        ("GET", "/data/foundation/schemaregistry/nothing", "report"),
        ("POST", "/data/foundation/sandbox-management/sandboxes", "title"),
        ("GET", "/data/foundation/nothing", "error_code"),
        ("GET", "/data/core/nothing", "error_code"),
    ],
)
async def test_an_unknown_operation_is_an_error_of_its_service(
    aep: Aep, method: str, path: str, shape: str
) -> None:
    found = await aep.call(method, path)
    assert found.status in (404, 405)
    assert shape in found.body


async def test_a_huge_body_is_refused_in_json(aep: Aep) -> None:
    found = await aep.call("POST", "/flows", raw=b" " * (1024**2 + 1))
    assert (found.status, found.body["error_code"]) == (413, "413")


_WRITES = [
    ("POST", "/connections"),
    ("POST", "/sourceConnections"),
    ("POST", "/targetConnections"),
    ("POST", "/flows"),
    ("POST", "/runs"),
    ("POST", "/flows/search"),
    ("POST", "/flows?mode=draft"),
    ("POST", CONVERSION + "/mappingSets"),
    ("POST", CONVERSION + "/mappingSets/validate"),
    ("POST", CONVERSION + "/mappingSets/preview"),
    ("POST", CONVERSION + "/languages/el/validate"),
    ("POST", CATALOG + "/dataSets"),
    ("PATCH", CATALOG + f"/dataSets/{ids.CONTACTS_DATASET}"),
    ("PUT", CATALOG + f"/dataSets/{ids.CONTACTS_DATASET}"),
    ("POST", REGISTRY + "/tenant/schemas"),
    ("POST", REGISTRY + "/tenant/fieldgroups"),
    ("POST", REGISTRY + "/tenant/descriptors"),
    ("PATCH", REGISTRY + f"/tenant/schemas/{quote(ids.CONTACTS_SCHEMA, safe='')}"),
]


@pytest.mark.parametrize(("method", "path"), _WRITES)
@pytest.mark.parametrize("raw", [b"{", b"[1", b'"text', b"nul", b'{"a": NaN}', b"\xff\xfe", b"[" * 5000])
async def test_malformed_json_is_a_400(aep: Aep, method: str, path: str, raw: bytes) -> None:
    found = await aep.call(method, path, raw=raw)
    assert found.status == 400
    assert "JSON" in str(found.body)


_NAMES = (
    "name",
    "auth",
    "params",
    "connectionSpec",
    "id",
    "version",
    "data",
    "schema",
    "columns",
    "tableName",
    "flowSpec",
    "transformations",
    "scheduleParams",
    "sourceConnectionIds",
    "targetConnectionIds",
    "options",
    "flowId",
    "outputSchema",
    "schemaRef",
    "mappings",
    "source",
    "sourceAttribute",
    "destination",
    "contentType",
    "allOf",
    "title",
    "@type",
    "properties",
    "tags",
    "expression",
    "sampleData",
    "mappingSet",
    "queryString",
    "limit",
    "op",
    "path",
    "value",
    "labels",
)


def _odd_values(depth: int = 2) -> list[object]:
    plain: list[object] = [None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [{}], ["x"], [None]]
    if depth == 0:
        return plain
    return plain + [dict.fromkeys(_NAMES, value) for value in _odd_values(depth - 1)]


@pytest.mark.parametrize(("method", "path"), _WRITES)
async def test_no_body_breaks_a_service(aep: Aep, method: str, path: str) -> None:
    for value in _odd_values():
        for body in (value, [value], {"mappingSet": value, "data": [{}]}):
            found = await aep.call(method, path, raw=json.dumps(body).encode())
            assert found.status < 500, (body, found.body)
    for kind in ("connections", "sourceConnections", "targetConnections", "flows", "runs"):
        assert (await aep.get(f"/{kind}", limit="100")).status == 200
