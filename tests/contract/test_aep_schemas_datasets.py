"""Schema Registry and Catalog (platform.md 9, 10)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.aep import CATALOG, REGISTRY, Aep, Answer
from tests.emulators.aep import seed_data as ids

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
    start: str | None = "a"
    while start is not None:
        params = [("orderby", "title"), ("limit", "1"), ("start", start)]
        page = (await _accept(aep, SCHEMAS, "application/vnd.adobe.xed-id+json", params)).body
        titles += [schema["title"] for schema in page["results"]]
        start = page["_page"]["next"]
    assert titles == ["a", "a", "b", "c"]


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
    remove = [{"op": "remove", "path": "/meta:immutableTags"}]
    assert (await aep.call("PATCH", path, remove)).status == 400  # a union tag stays for ever


@pytest.mark.parametrize(
    "body",
    [
        _schema(title=""),
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
    second = {**email, "xdm:sourceProperty": "/workEmail/address"}
    assert (await aep.post(path, second)).status == 400  # there is a primary identity already
    assert (await aep.post(path, {**second, "xdm:isPrimary": False})).status == 201
    assert (
        await aep.post(path, {**second, "xdm:isPrimary": False, "xdm:sourceProperty": "/x"})
    ).status == 400
    assert (await aep.delete(f"{path}/{email['@id']}")).status == 204
    assert (await aep.get(f"{path}/{email['@id']}")).code == "1012-404"


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
    operations = [{"op": "add", "path": "/tags/unifiedProfile", "value": ["enabled:true"]}]
    media_type = {"Content-Type": "application/json-patch+json"}
    assert (await aep.call("PATCH", path, operations, headers=media_type)).body == [link]
    assert (await aep.call("PATCH", path, {"description": "new", "tags": {"x": ["y"]}})).body == [link]
    found = (await aep.get(path)).body[id]
    assert (found["description"], found["version"]) == ("new", "1.0.2")
    assert (found["tags"]["unifiedProfile"], found["tags"]["x"]) == (["enabled:true"], ["y"])
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
