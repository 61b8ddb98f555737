"""Schema Registry and Catalog (platform.md 9, 10)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.aep import CATALOG, REGISTRY, Aep, Answer
from tests.emulators.aep import seed_data as ids

XED_ID = "application/vnd.adobe.xed-id+json"
XDM = "application/vnd.adobe.xdm+json"
SCHEMAS = REGISTRY + "/tenant/schemas"
DATASETS = CATALOG + "/dataSets"
CONTACTS = f"{SCHEMAS}/{quote(ids.CONTACTS_SCHEMA, safe='')}"


async def _accept(aep: Aep, path: str, accept: str | None, params: Any = None) -> Answer:
    headers = {} if accept is None else {"Accept": accept}
    return await aep.call("GET", path, headers=headers, params=params)


async def test_the_tenant_id(aep: Aep) -> None:
    found = (await aep.get(REGISTRY + "/stats")).body
    assert (found["tenantId"], found["imsOrg"]) == (ids.TENANT, ids.ORGANIZATION)
    assert found["counts"]["schemas"] == 2


@pytest.mark.parametrize(
    ("accept", "code"),
    [
        (None, "1006-400"),
        ("application/json", "1006-400"),
        ("application/vnd.adobe.xed+json; version=1", "1006-400"),
        ("application/vnd.adobe.xed-id+json", None),
        ("application/vnd.adobe.xed+json", None),
        ("application/vnd.adobe.xed-full+json", None),
    ],
)
async def test_accept_of_a_listing(aep: Aep, accept: str | None, code: str | None) -> None:
    found = await _accept(aep, SCHEMAS, accept)
    assert found.status == 200 if code is None else found.code == code


@pytest.mark.parametrize(
    ("accept", "code"),
    [
        (None, "1007-400"),
        ("application/json", "1007-400"),
        ("application/vnd.adobe.xed-full+json", "1007-400"),
        ("application/vnd.adobe.xed-full+json; version=9", "1013-406"),
        ("application/vnd.adobe.xed-full+json; version=1.9", "1013-406"),
        ("application/vnd.adobe.xed-full+json;version=1", None),
        ("application/vnd.adobe.xed-full+json; version=1.3", None),
        ("application/vnd.adobe.xed-full-notext+json; version=1", None),
        ("application/vnd.adobe.xed+json;version=2", None),
    ],
)
async def test_accept_of_a_lookup(aep: Aep, accept: str | None, code: str | None) -> None:
    found = await _accept(aep, CONTACTS, accept)
    assert found.status == 200 if code is None else found.code == code


async def test_variants_of_a_schema(aep: Aep) -> None:
    full = (await _accept(aep, CONTACTS, "application/vnd.adobe.xed-full+json; version=1")).body
    email = full["properties"]["personalEmail"]["properties"]["address"]
    assert email["type"] == "string"
    assert full["properties"][f"_{ids.TENANT}"]["properties"]["modifiedTime"]["format"] == "date-time"
    assert (full["version"], full["meta:class"]) == ("1.3", ids.PROFILE_CLASS)
    assert full["meta:immutableTags"] == ["union"]
    assert full["meta:tenantNamespace"] == f"_{ids.TENANT}"
    plain = (await _accept(aep, CONTACTS, "application/vnd.adobe.xed+json; version=1")).body
    assert "properties" not in plain
    assert {"$ref": ids.PROFILE_CLASS} in plain["allOf"]
    without = (await _accept(aep, CONTACTS, "application/vnd.adobe.xed-full-notext+json; version=1")).body
    assert "title" not in without
    described = (await _accept(aep, CONTACTS, "application/vnd.adobe.xed-full-desc+json; version=1")).body
    (identity,) = described["meta:descriptors"]
    assert identity["xdm:sourceProperty"] == "/personalEmail/address"
    assert "personalEmail" in without["properties"]


async def test_lookup_by_alternative_id(aep: Aep) -> None:
    accept = "application/vnd.adobe.xed+json; version=1"
    alt_id = "_" + ids.CONTACTS_SCHEMA.removeprefix("https://ns.adobe.com/").replace("/", ".")
    for id in (alt_id, alt_id[1:]):
        assert (await _accept(aep, f"{SCHEMAS}/{id}", accept)).body["$id"] == ids.CONTACTS_SCHEMA
    lower = CONTACTS.replace("%3A", "%3a").replace("%2F", "%2f")
    assert (await _accept(aep, lower, accept)).body["meta:altId"] == alt_id
    missing = await _accept(aep, f"{SCHEMAS}/nothing", accept)
    assert (missing.status, missing.code) == (404, "1012-404")
    assert missing.body["report"]["detailed-message"]


async def test_listing_by_title(aep: Aep) -> None:
    accept = "application/vnd.adobe.xed-id+json"
    found = (await _accept(aep, SCHEMAS, accept, [("property", "title==CRM Contacts")])).body
    (only,) = found["results"]
    assert set(only) == {"$id", "meta:altId", "version", "title"}
    assert only["$id"] == ids.CONTACTS_SCHEMA
    assert found["_page"] == {"orderby": "title", "next": None, "count": 1}
    assert (await _accept(aep, SCHEMAS, accept, [("property", "title==Nothing")])).body["results"] == []
    union = [("property", "meta:immutableTags~union")]
    assert len((await _accept(aep, SCHEMAS, accept, union)).body["results"]) == 1


async def test_pages_of_schemas(aep: Aep, control: Any) -> None:
    for title in ("b", "a", "a", "c"):
        await control("POST", "/aep/sandboxes/prod/schemas", {"title": title})
    titles: list[str] = []
    start: str | None = "CRM Contacts"
    while start is not None:
        params = [("orderby", "title"), ("limit", "1"), ("start", start)]
        page = (await _accept(aep, SCHEMAS, "application/vnd.adobe.xed-id+json", params)).body
        titles += [schema["title"] for schema in page["results"]]
        start = page["_page"]["next"]
    assert titles == ["a", "a", "b", "c"]  # strictly after start, as SR has it
    first = (await _accept(aep, SCHEMAS, XED_ID, [("orderby", "title"), ("limit", "1")])).body
    second = (await aep.call("GET", first["_links"]["next"]["href"], headers={"Accept": XED_ID})).body
    found = [page["results"][0]["title"] for page in (first, second)]
    assert found == ["CRM Accounts and Deals", "CRM Contacts"]


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        (["meta:extends==https://ns.adobe.com/xdm/context/profile"], ["CRM Contacts"]),
        (["meta:extends!=https://ns.adobe.com/xdm/context/profile"], ["CRM Accounts and Deals"]),
        (["meta:extends!=https://ns.adobe.com/xdm/data/adhoc"], ["CRM Accounts and Deals", "CRM Contacts"]),
        (["meta:immutableTags==union"], ["CRM Contacts"]),
        (["meta:immutableTags==union", "title==CRM Accounts and Deals"], []),
        (["meta:immutableTags==union,title==CRM Accounts and Deals"], []),
        (["title~crm c"], ["CRM Contacts"]),
    ],
)
async def test_filters_look_into_lists(aep: Aep, filters: list[str], titles: list[str]) -> None:
    found = (await _accept(aep, SCHEMAS, XED_ID, [("property", text) for text in filters])).body
    assert [schema["title"] for schema in found["results"]] == titles


async def test_limits_are_hints(aep: Aep) -> None:
    for limit in ("0", "300", "500"):
        params = [("orderby", "title"), ("limit", limit)]
        assert len((await _accept(aep, SCHEMAS, XED_ID, params)).body["results"]) == 2
    assert (await _accept(aep, SCHEMAS, XED_ID, [("limit", "x"), ("orderby", "title")])).status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/tenant/schemas/",
        "/tenant/fieldgroups/",
        "/global/fieldgroups/",
        "/global/classes/",
        "/global/schemas/",
    ],
)
async def test_a_slash_at_the_end_of_a_listing(aep: Aep, path: str) -> None:
    """As AEPP and Postman collections write it."""
    assert (await _accept(aep, REGISTRY + path, XED_ID)).status == 200
    assert (await aep.get(REGISTRY + "/stats/")).status == 200


@pytest.mark.parametrize("variant", ["-full-nothing", "-text", "-v2"])
async def test_variants_that_do_not_exist(aep: Aep, variant: str) -> None:
    media_type = f"application/vnd.adobe.xed{variant}+json"
    assert (await _accept(aep, SCHEMAS, media_type)).code == "1006-400"
    assert (await _accept(aep, CONTACTS, media_type + "; version=1")).code == "1007-400"


def _schema(**changes: Any) -> dict[str, Any]:
    group = "https://ns.adobe.com/xdm/context/profile-personal-details"
    body = {
        "type": "object",
        "title": "Made",
        "description": "made",
        "allOf": [{"$ref": ids.PROFILE_CLASS}, {"$ref": group}],
    }
    return {**body, **changes}


async def test_a_schema_is_made_and_grows(aep: Aep) -> None:
    made = await aep.post(SCHEMAS, _schema())
    assert made.status == 201
    assert made.body["version"] == "1.0"
    assert made.body["$id"].startswith(f"https://ns.adobe.com/{ids.TENANT}/schemas/")
    assert made.body["meta:altId"].startswith(f"_{ids.TENANT}.schemas.")
    path = f"{SCHEMAS}/{made.body['meta:altId']}"
    union = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
    assert (await aep.call("PATCH", path, union)).body["version"] == "1.1"
    group = {"$ref": "https://ns.adobe.com/xdm/context/profile-person-details"}
    add = [{"op": "add", "path": "/allOf/-", "value": group}]
    assert (await aep.call("PATCH", path, add)).body["version"] == "1.2"
    full = (await _accept(aep, path, "application/vnd.adobe.xed-full+json; version=1")).body
    assert {"person", "personalEmail"} <= set(full["properties"])
    assert (
        full["meta:registryMetadata"]["repo:createdDate"]
        == made.body["meta:registryMetadata"]["repo:createdDate"]
    )
    remove = [{"op": "remove", "path": "/meta:immutableTags"}]
    assert (await aep.call("PATCH", path, remove)).status == 400  # a union tag stays for ever


@pytest.mark.parametrize(
    "body",
    [
        _schema(title=""),
        {name: value for name, value in _schema().items() if name != "description"},
        {name: value for name, value in _schema().items() if name != "type"},
        _schema(type="string"),
        _schema(allOf=[]),
        _schema(allOf=[{"$ref": "https://ns.adobe.com/nothing"}, {"$ref": ids.PROFILE_CLASS}]),
        _schema(allOf=[{"$ref": "https://ns.adobe.com/xdm/context/profile-person-details"}]),
    ],
)
async def test_a_schema_is_refused(aep: Aep, body: dict[str, Any]) -> None:
    found = await aep.post(SCHEMAS, body)
    assert found.status == 400
    assert found.body["report"]["detailed-message"] == found.body["detail"]


async def test_a_used_schema_stays(aep: Aep) -> None:
    assert (await aep.delete(CONTACTS)).status == 400


async def test_descriptors(aep: Aep) -> None:
    path = REGISTRY + "/tenant/descriptors"
    assert (await _accept(aep, path, "application/vnd.adobe.xed+json")).code == "1008-400"
    listed = (await _accept(aep, path, "application/vnd.adobe.xdm+json")).body
    (email,) = listed["xdm:descriptorIdentity"]
    assert email["xdm:sourceProperty"] == "/personalEmail/address"
    short = (await _accept(aep, path, "application/vnd.adobe.xdm-id+json")).body
    assert short == {"xdm:descriptorIdentity": [email["@id"]]}
    linked = (await _accept(aep, path, "application/vnd.adobe.xdm-link+json")).body
    assert linked == {"xdm:descriptorIdentity": [f"/tenant/descriptors/{email['@id']}"]}
    second = {**email, "xdm:sourceProperty": "/workEmail/address"}
    assert (await aep.post(path, second)).status == 400  # there is a primary identity already
    assert (await aep.post(path, {**second, "xdm:isPrimary": False})).status == 201
    assert (
        await aep.post(path, {**second, "xdm:isPrimary": False, "xdm:sourceProperty": "/x"})
    ).status == 400
    assert (await aep.delete(f"{path}/{email['@id']}")).status == 204
    assert (await aep.get(f"{path}/{email['@id']}")).code == "1012-404"


async def test_pages_of_descriptors(aep: Aep) -> None:
    path = REGISTRY + "/tenant/descriptors"
    identity = {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": ids.CONTACTS_SCHEMA,
        "xdm:sourceVersion": 1,
        "xdm:namespace": "Email",
        "xdm:property": "xdm:code",
        "xdm:isPrimary": False,
    }
    for place in ("/workEmail/address", "/person/name/fullName"):
        assert (await aep.post(path, {**identity, "xdm:sourceProperty": place})).status == 201
    seen: list[str] = []
    params = [("orderby", "@id"), ("limit", "1")]
    start: str | None = ""
    while start is not None:
        asked = [*params, *([("start", start)] if start else [])]
        page = (await _accept(aep, path, "application/vnd.adobe.xdm-v2-id+json", asked)).body
        seen += page["results"]
        start = page["_page"]["next"]
    assert len(set(seen)) == len(seen) == 3
    media_type = "application/vnd.adobe.xdm-v2+json"
    only = (
        await _accept(aep, path, media_type, [("property", "xdm:sourceProperty==/workEmail/address")])
    ).body
    assert [d["xdm:sourceProperty"] for d in only["results"]] == ["/workEmail/address"]
    grouped = (await _accept(aep, path, XDM, [("property", "xdm:sourceSchema==nothing")])).body
    assert grouped == {}
    assert (await _accept(aep, path, "application/vnd.adobe.xdm-full+json")).code == "1008-400"


async def test_a_sandbox_has_at_most_4000_descriptors(aep: Aep) -> None:
    path = REGISTRY + "/tenant/descriptors"
    known = aep.emulators.aep.sandboxes["prod"].descriptors
    (seeded,) = known.values()
    known.update({str(number): {**seeded, "@id": str(number)} for number in range(3999)})
    body = {**seeded, "xdm:isPrimary": False, "xdm:sourceProperty": "/workEmail/address"}
    assert (await aep.post(path, body)).status == 400


async def test_a_field_group_is_made_and_changed(aep: Aep) -> None:
    groups = REGISTRY + "/tenant/fieldgroups"
    body = {
        "type": "object",
        "title": "Made",
        "description": "made",
        "meta:intendedToExtend": [ids.PROFILE_CLASS],
        "properties": {f"_{ids.TENANT}": {"type": "object", "properties": {"a": {"type": "string"}}}},
    }
    made = await aep.post(groups, body)
    assert (made.status, made.body["version"]) == (201, "1.0")
    assert made.body["$id"].startswith(f"https://ns.adobe.com/{ids.TENANT}/mixins/")
    path = f"{groups}/{quote(made.body['$id'], safe='')}"
    put = await aep.call("PUT", path, {**body, "title": "Put"})
    assert (put.status, put.body["title"], put.body["version"]) == (200, "Put", "1.1")
    rename = [{"op": "replace", "path": "/title", "value": "Patched"}]
    patched = await aep.call("PATCH", f"{groups}/{made.body['meta:altId']}", rename)
    assert (patched.status, patched.body["title"], patched.body["version"]) == (200, "Patched", "1.2")
    assert patched.body["$id"] == made.body["$id"]
    found = (await _accept(aep, path, "application/vnd.adobe.xed-full+json; version=1")).body
    assert found["properties"] == body["properties"]
    assert (await aep.call("PUT", path, {"title": "Put"})).status == 400
    assert (await aep.call("PATCH", path, [{"op": "move", "path": "/title"}])).status == 400
    assert (await aep.delete(path)).status == 204
    for answer in (
        await aep.delete(path),
        await aep.call("PUT", path, body),
        await aep.call("PATCH", path, rename),
        await _accept(aep, path, "application/vnd.adobe.xed+json; version=1"),
    ):
        assert answer.code == "1012-404"


async def test_standard_classes_and_field_groups(aep: Aep) -> None:
    lookup = "application/vnd.adobe.xed-full+json; version=1"
    for kind, id in (
        ("classes", ids.PROFILE_CLASS),
        ("fieldgroups", "https://ns.adobe.com/xdm/context/profile-person-details"),
    ):
        listed = (await _accept(aep, f"{REGISTRY}/global/{kind}", XED_ID)).body["results"]
        assert id in [entry["$id"] for entry in listed]
        found = await _accept(aep, f"{REGISTRY}/global/{kind}/{quote(id, safe='')}", lookup)
        assert found.body["$id"] == id
        assert (
            await _accept(aep, f"{REGISTRY}/tenant/{kind}/{quote(id, safe='')}", lookup)
        ).code == "1012-404"


async def test_seeded_datasets(aep: Aep) -> None:
    found = (await aep.get(f"{DATASETS}/{ids.CONTACTS_DATASET}")).body[ids.CONTACTS_DATASET]
    assert found["schemaRef"]["id"] == ids.CONTACTS_SCHEMA
    assert found["schemaRef"]["contentType"].endswith("version=1")
    profile = (await aep.get(DATASETS, tags="unifiedProfile:enabled:true")).body
    assert list(profile) == [ids.PROFILE_DATASET]
    other = (await aep.get(f"{DATASETS}/{ids.NEXT_VERSION_DATASET}")).body[ids.NEXT_VERSION_DATASET]
    assert other["schemaRef"]["contentType"].endswith("version=2")
    assert (await aep.get(f"{DATASETS}/000000000000000000000000")).status == 404


async def test_a_dataset_lives_and_dies(aep: Aep) -> None:
    reference = {"id": ids.CONTACTS_SCHEMA, "contentType": f"{ids.XED};version=1"}
    made = await aep.post(DATASETS, {"name": "Made", "schemaRef": reference})
    assert made.status == 201
    (link,) = made.body
    assert link.startswith("@/dataSets/")
    id = link.rsplit("/", 1)[1]
    path = f"{DATASETS}/{id}"
    assert made.headers["Location"] == path
    operations = [{"op": "add", "path": "/tags/unifiedProfile", "value": ["enabled:true"]}]
    media_type = {"Content-Type": "application/json-patch+json"}
    assert (await aep.call("PATCH", path, operations, headers=media_type)).body == [link]
    assert (await aep.call("PATCH", path, {"description": "new", "tags": {"x": ["y"]}})).body == [link]
    found = (await aep.get(path)).body[id]
    assert (found["description"], found["version"]) == ("new", "1.0.2")
    assert found["tags"] == {"x": ["y"]}  # PATCH merges the first level only, its version 2 all levels
    nested = {"tags": {"z": ["y"]}, "extensions": {"adobe_lakeHouse": {"rowExpiration": {"ttlValue": "P3M"}}}}
    assert (await aep.call("PATCH", f"{CATALOG}/v2/dataSets/{id}", nested)).body == [link]
    found = (await aep.get(path)).body[id]
    assert found["tags"] == {"x": ["y"], "z": ["y"]}
    assert found["extensions"] == nested["extensions"]
    assert (await aep.get(DATASETS, name="Made", properties="name")).body == {id: {"name": "Made"}}
    assert (await aep.delete(path)).body == [link]
    gone = await aep.delete(path)
    assert (gone.status, gone.body) == (200, [])
    assert (await aep.get(path)).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"schemaRef": None},
        {"schemaRef": {"id": ids.CONTACTS_SCHEMA, "contentType": "version=9"}},
        {"schemaRef": {"id": "https://ns.adobe.com/x/schemas/0", "contentType": "version=1"}},
        {"tags": {"unifiedProfile": "enabled:true"}},
    ],
)
async def test_a_dataset_is_refused(aep: Aep, body: dict[str, Any]) -> None:
    reference = {"id": ids.CONTACTS_SCHEMA, "contentType": f"{ids.XED};version=1"}
    assert (await aep.post(DATASETS, {"name": "Made", "schemaRef": reference, **body})).status == 400


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("if-match", "1.0.0", 200),
        ("If-Match", '"1.0.0"', 200),
        ("if-match", "1.0.9", 412),
        ("if-none-match", "1.0.0", 412),
        ("if-none-match", "1.0.9", 200),
    ],
)
@pytest.mark.parametrize(("method", "version"), [("PATCH", ""), ("PATCH", "/v2"), ("PUT", "")])
async def test_a_dataset_is_changed_under_a_condition(
    aep: Aep, header: str, value: str, status: int, method: str, version: str
) -> None:
    path = f"{CATALOG}{version}/dataSets/{ids.CONTACTS_DATASET}"
    reference = {"id": ids.CONTACTS_SCHEMA, "contentType": f"{ids.XED};version=1"}
    body = {"name": "Renamed", "schemaRef": reference}
    found = await aep.call(method, path, body, headers={header: value})
    assert found.status == status
    name = (await aep.get(f"{DATASETS}/{ids.CONTACTS_DATASET}")).body[ids.CONTACTS_DATASET]["name"]
    assert name == ("Renamed" if status == 200 else "CRM Contacts")


async def test_json_patch_has_a_media_type_of_its_own(aep: Aep) -> None:
    path = f"{DATASETS}/{ids.CONTACTS_DATASET}"
    operations = [{"op": "add", "path": "/tags/a", "value": ["b"]}]
    assert (await aep.call("PATCH", path, operations)).status == 400
    patch_type = {"Content-Type": "application/json-patch+json"}
    for body in ([], "text", [{"op": "move", "path": "/name"}], [{"op": "remove", "path": "/tags/nothing"}]):
        assert (await aep.call("PATCH", path, body, headers=patch_type)).status == 400
    assert (await aep.call("PATCH", path, headers=patch_type, raw=b"")).status == 400
    unknown = f"{DATASETS}/000000000000000000000000"
    assert (await aep.call("PATCH", unknown, operations, headers=patch_type)).status == 404


@pytest.mark.parametrize("tag", ["unifiedProfile", "unifiedIdentity"])
@pytest.mark.parametrize("text", ["enabled:true", "enabled: true"])
async def test_profile_needs_a_schema_that_is_part_of_the_union(aep: Aep, tag: str, text: str) -> None:
    reference = {"id": ids.ACCOUNTS_SCHEMA, "contentType": f"{ids.XED};version=1"}
    body = {"name": "Made", "schemaRef": reference, "tags": {tag: [text]}}
    assert (await aep.post(DATASETS, body)).status == 400
    path = f"{DATASETS}/{ids.ACCOUNTS_DATASET}"
    operations = [{"op": "add", "path": f"/tags/{tag}", "value": [text]}]
    patch_type = {"Content-Type": "application/json-patch+json"}
    assert (await aep.call("PATCH", path, operations, headers=patch_type)).status == 400
    union = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
    schema = f"{SCHEMAS}/{quote(ids.ACCOUNTS_SCHEMA, safe='')}"
    assert (await aep.call("PATCH", schema, union)).status == 200
    assert (await aep.call("PATCH", path, operations, headers=patch_type)).status == 200


async def test_a_dataset_is_replaced(aep: Aep) -> None:
    path = f"{DATASETS}/{ids.PROFILE_DATASET}"
    before = (await aep.get(path)).body[ids.PROFILE_DATASET]
    body = {"name": "Put", "schemaRef": before["schemaRef"]}
    assert (await aep.call("PUT", path, body)).body == [f"@/dataSets/{ids.PROFILE_DATASET}"]
    after = (await aep.get(path)).body[ids.PROFILE_DATASET]
    assert (after["name"], after["version"]) == ("Put", "1.0.1")
    assert "tags" not in after
    for member in ("imsOrg", "created", "viewId"):
        assert after[member] == before[member]
    assert (await aep.call("PUT", path, {"name": "Put"})).status == 400
    assert (await aep.call("PUT", f"{DATASETS}/000000000000000000000000", body)).status == 404


async def test_batches(aep: Aep, control: Any) -> None:
    flow = await aep.flow()
    for state in ("success", "failed"):
        await control("POST", "/aep/runs", {"flowId": flow, "state": state})
    listed = (await aep.get(CATALOG + "/batches", dataSet=ids.CONTACTS_DATASET)).body
    assert sorted(batch["status"] for batch in listed.values()) == ["failure", "success"]
    assert (await aep.get(CATALOG + "/batches", dataSet=ids.ACCOUNTS_DATASET)).body == {}
    (failed,) = (await aep.get(CATALOG + "/batches", status="failure")).body
    one = (await aep.get(f"{CATALOG}/batches/{failed}")).body
    assert one[failed]["relatedObjects"] == [{"type": "dataSet", "id": ids.CONTACTS_DATASET}]
    assert (await aep.get(f"{CATALOG}/batches/01NOTHING")).status == 404
    wanted = f"{ids.CONTACTS_DATASET},{ids.ACCOUNTS_DATASET}"
    last = (await aep.get(CATALOG + "/lastBatches", dataSetId=wanted)).body
    assert last[ids.CONTACTS_DATASET] == {"lastBatchId": failed, "lastBatchStatus": "failure"}
    assert set(last) == {ids.CONTACTS_DATASET, ids.ACCOUNTS_DATASET}


async def test_listing_datasets(aep: Aep) -> None:
    names = (await aep.get(DATASETS, orderBy="desc:name", properties="name", limit="2")).body
    assert [d["name"] for d in names.values()] == ["CRM Contacts, next version", "CRM Contacts for Profile"]
    second = (await aep.get(DATASETS, orderBy="desc:name", properties="name", limit="2", start="2")).body
    assert [d["name"] for d in second.values()] == ["CRM Contacts", "CRM Accounts and Deals"]
    assert (await aep.get(DATASETS, limit="101")).status == 400
    found = (await aep.get(DATASETS, f"schemaRef.id=={ids.ACCOUNTS_SCHEMA}")).body
    assert list(found) == [ids.ACCOUNTS_DATASET]
    assert list((await aep.get(DATASETS, "name~^CRM A")).body) == [ids.ACCOUNTS_DATASET]


async def test_control_adds_a_schema_and_a_dataset(aep: Aep, control: Any) -> None:
    schema = (await control("POST", "/aep/sandboxes/prod/schemas", {"title": "Added"}))["id"]
    body = {"name": "Added", "schemaId": schema, "profile": True}
    dataset = (await control("POST", "/aep/sandboxes/prod/dataSets", body))["id"]
    assert (await aep.post("/targetConnections", aep.target_body(dataset, schema))).status == 201


async def test_paths_of_the_registry_may_end_in_a_slash(aep: Aep) -> None:
    """As aepp, Adobe's client for Python, sends them."""
    assert (await aep.get(REGISTRY + "/stats/")).body["tenantId"] == ids.TENANT
    listed = await _accept(aep, SCHEMAS + "/", "application/vnd.adobe.xed+json")
    assert len(listed.body["results"]) == 2
    assert (await _accept(aep, CONTACTS + "/", "application/vnd.adobe.xed+json; version=1")).status == 200


@pytest.mark.parametrize(
    ("variant", "entry"),
    [("-v2", dict), ("-v2-id", str), ("-v2-link", str)],
)
async def test_descriptors_in_pages(aep: Aep, variant: str, entry: type) -> None:
    path, accept = REGISTRY + "/tenant/descriptors", f"application/vnd.adobe.xdm{variant}+json"
    listed = (await _accept(aep, path, accept)).body
    assert listed["_page"]["next"] is None
    assert [type(descriptor) for descriptor in listed["results"]] == [entry]


async def test_descriptors_of_one_kind_and_schema(aep: Aep) -> None:
    """One filter may hold several, comma-separated."""
    path, accept = REGISTRY + "/tenant/descriptors", "application/vnd.adobe.xdm-v2+json"

    async def found(kind: str, schema: str) -> int:
        wanted = {"property": f"@type=={kind},xdm:sourceSchema=={schema}"}
        return len((await _accept(aep, path, accept, wanted)).body["results"])

    assert await found("xdm:descriptorIdentity", ids.CONTACTS_SCHEMA) == 1
    assert await found("xdm:descriptorIdentity", "https://ns.adobe.com/x/schemas/none") == 0
    assert await found("xdm:descriptorLabel", ids.CONTACTS_SCHEMA) == 0


async def test_platform_says_more_of_a_dataset_than_was_posted(aep: Aep) -> None:
    """Its table in the Query Service, its format, and what kind of data it holds."""
    (dataset,) = (await aep.get(DATASETS + "?name=CRM%20Contacts")).body.values()
    assert dataset["classification"] == {"dataBehavior": "record", "managedBy": "CUSTOMER"}
    assert dataset["tags"]["adobe/pqs/table"] == ["crm_contacts"]
