"""Mapping sets and the expression language (platform.md 8)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aep import CONVERSION, Aep
from tests.emulators.aep import seed_data as ids

SETS = CONVERSION + "/mappingSets"


async def test_create_answers_with_version_0(aep: Aep) -> None:
    found = await aep.post(SETS, aep.mapping_body())
    assert found.status == 200
    assert len(found.body["id"]) == 32
    assert found.body["version"] == 0
    assert set(found.body) == {"id", "version", "createdDate", "modifiedDate", "createdBy", "modifiedBy"}


async def test_a_set_reads_back_in_both_field_families(aep: Aep) -> None:
    found = (await aep.get(f"{SETS}/{await aep.mapping_set()}")).body
    attribute, expression, static = found["mappings"]
    assert attribute["source"] == attribute["sourceAttribute"] == "Email"
    assert attribute["destination"] == attribute["destinationXdmPath"] == "personalEmail.address"
    kinds = [mapping["sourceType"] for mapping in (attribute, expression, static)]
    assert kinds == ["text/x.schema-path", "text/x.aep-xl", "STATIC"]
    assert found["schemaRef"] == found["outputSchema"]["schemaRef"]
    assert (found["xdmSchema"], found["xdmVersion"]) == (ids.CONTACTS_SCHEMA, "1.0")


async def test_the_other_documented_body(aep: Aep) -> None:
    entry = {
        "sourceAttribute": "Email",
        "destinationXdmPath": "personalEmail.address",
        "identity": False,
        "identityGroup": None,
        "namespaceCode": None,
        "version": 0,
    }
    body = {
        "version": 0,
        "xdmSchema": ids.CONTACTS_SCHEMA,
        "xdmVersion": "1.0",
        "id": None,
        "mappings": [entry],
    }
    made = await aep.post(SETS, body)
    assert made.status == 200
    found = (await aep.get(f"{SETS}/{made.body['id']}")).body
    assert found["outputSchema"]["schemaRef"]["contentType"].endswith("version=1")
    assert found["mappings"][0]["sourceType"] == "text/x.schema-path"


async def test_what_was_read_can_be_put_back(aep: Aep) -> None:
    path = f"{SETS}/{await aep.mapping_set()}"
    read = (await aep.get(path)).body
    found = await aep.call("PUT", path, read)
    assert (found.status, found.body["version"]) == (200, 1)
    names = ("source", "destination", "sourceType")
    assert [[m[n] for n in names] for m in found.body["mappings"]] == [
        [m[n] for n in names] for m in read["mappings"]
    ]
    assert found.body["createdDate"] == read["createdDate"]


async def test_the_schema_is_shown_on_demand(aep: Aep) -> None:
    path = f"{SETS}/{await aep.mapping_set()}"
    assert "jsonSchema" not in (await aep.get(path)).body["outputSchema"]
    assert "jsonSchema" not in (await aep.get(path, expandSchema="false")).body["outputSchema"]
    one = (await aep.get(path, expandSchema="true")).body["outputSchema"]
    assert one["jsonSchema"]["$id"] == ids.CONTACTS_SCHEMA
    (listed,) = (await aep.get(SETS, limit="5", start="0", expandSchema="true")).body["data"]
    assert listed["outputSchema"] == one


async def test_functions_and_operators_are_named_as_published(aep: Aep) -> None:
    functions = (await aep.get(CONVERSION + "/languages/el/functions")).body
    assert {"concat", "upper"} <= {entry["function"] for entry in functions}
    operators = (await aep.get(CONVERSION + "/languages/el/operators")).body
    assert "+" in {entry["operatorSymbol"] for entry in operators}


async def test_versions(aep: Aep) -> None:
    path = f"{SETS}/{await aep.mapping_set()}"
    await aep.call("PUT", path, aep.mapping_body([{"source": "Email", "destination": "workEmail.address"}]))
    assert len((await aep.get(path, version="0")).body["mappings"]) == 3
    assert len((await aep.get(path, version="1")).body["mappings"]) == 1
    assert (await aep.get(path, version="2")).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"mappings": None},
        {"outputSchema": None},
        {"outputSchema": {"schemaRef": {"id": ids.CONTACTS_SCHEMA, "contentType": "application/json"}}},
        {
            "outputSchema": {
                "schemaRef": {"id": "https://ns.adobe.com/x/schemas/0", "contentType": "version=1"}
            }
        },
        {"outputSchema": {"schemaRef": {"id": ids.CONTACTS_SCHEMA, "contentType": "version=9"}}},
        {"mappings": [{"source": "Email"}]},
        {"mappings": [{"destination": "personalEmail.address"}]},
        {"mappings": [{"source": "a", "destination": "personID", "sourceType": "attribute"}]},
    ],
)
async def test_a_set_is_refused(aep: Aep, body: dict[str, Any]) -> None:
    found = await aep.post(SETS, {**aep.mapping_body(), **body})
    assert (found.status, found.body["title"]) == (400, "BadRequestError")


async def test_listing_needs_limit_and_start(aep: Aep) -> None:
    ids_made = [await aep.mapping_set() for _ in range(3)]
    await aep.post(SETS, {**aep.mapping_body(), "name": "named"})
    assert (await aep.get(SETS)).status == 400
    assert (await aep.get(SETS, limit="2")).status == 400
    first = (await aep.get(SETS, limit="2", start="0")).body
    assert [s["id"] for s in first["data"]] == ids_made[:2]
    assert first["_page"] == {"count": 2, "limit": 2}
    assert first["_links"]["next"]["href"].endswith("start=2")
    last = (await aep.get(SETS, limit="2", start="2")).body
    assert [s["name"] for s in last["data"]] == [None, "named"]
    assert last["_links"] == {}
    assert len((await aep.get(SETS, limit="9", start="0", name="named")).body["data"]) == 1
    assert (await aep.get(SETS, limit="2", start="0", orderBy="color")).status == 400


def _entry(
    source: str, destination: str = "person.name.fullName", kind: str = "EXPRESSION"
) -> dict[str, str]:
    return {"sourceType": kind, "source": source, "destination": destination}


@pytest.mark.parametrize(
    ("entry", "valid"),
    [
        (_entry("Email", "personalEmail.address", "ATTRIBUTE"), True),
        (_entry("Email", "personalEmail.adress", "ATTRIBUTE"), False),
        (_entry("Email", "personalEmail.address.more", "ATTRIBUTE"), False),
        (_entry("upper(Email)", "personalEmail.address", "ATTRIBUTE"), False),
        (_entry("Email", f"_{ids.TENANT}.zohoId", "ATTRIBUTE"), True),
        (_entry("Email", f"{ids.TENANT}.zohoId", "ATTRIBUTE"), False),
        (_entry("Email", "identityMap.Email[0].id", "ATTRIBUTE"), True),
        (_entry("Email", "organizations[0]", "ATTRIBUTE"), True),
        (_entry("any text at all ()", f"_{ids.TENANT}.origin", "STATIC"), True),
        (_entry('concat(First_Name, " ", Last_Name)'), True),
        (_entry("concat(First_Name, ' ', Last_Name)"), True),
        (_entry("CONCAT(First_Name)"), True),
        (_entry('iif(is_empty(Email), "none", lower(trim(Email)))'), True),
        (_entry("Amount * 1.2 + (Tax - 1) / 2"), True),
        (_entry("!is_set(Email) && Age >= 18 || false"), True),
        (_entry("Owner.name"), True),
        (_entry("${Weird Name!}"), True),
        (_entry("-Amount"), True),
        (_entry("concat(First_Name"), False),
        (_entry("concat(First_Name,)"), False),
        (_entry("shout(First_Name)"), False),
        (_entry("First_Name Last_Name"), False),
        (_entry('"open'), False),
        (_entry("a +"), False),
        (_entry("#"), False),
        (_entry("9" * 5000), False),
        (_entry("(" * 5000), False),
        (_entry("!" * 5000 + "a"), False),
        (_entry("("), False),
    ],
)
async def test_validation(aep: Aep, entry: dict[str, str], valid: bool) -> None:
    found = await aep.post(SETS + "/validate", aep.mapping_body([entry]))
    assert found.status == 200
    (result,) = found.body["validationResponse"]
    if valid:
        assert result == {"status": "SUCCESS", "errors": None}
        return
    assert result["status"] == "FAILED"
    error = result["errors"][0]
    assert (error["source"], error["destination"]) == (entry["source"], entry["destination"])
    assert error["exception"]


async def test_validation_is_per_mapping(aep: Aep) -> None:
    entries = [_entry("Email"), _entry("Email", "nothing"), _entry("Phone")]
    found = await aep.post(SETS + "/validate", aep.mapping_body(entries))
    statuses = [entry["status"] for entry in found.body["validationResponse"]]
    assert statuses == ["SUCCESS", "FAILED", "FAILED"]  # the last one maps to a path a second time


async def test_columns_are_known_from_an_input_schema(aep: Aep) -> None:
    schema = {"jsonSchema": {"type": "object", "properties": {"Email": {"type": "string"}}}}
    body = {**aep.mapping_body([_entry("Email"), _entry("Emial", "personID")]), "inputSchema": schema}
    good, bad = (await aep.post(SETS + "/validate", body)).body["validationResponse"]
    assert good["status"] == "SUCCESS"
    assert bad["errors"][0]["columnName"] == "Emial"


async def test_a_dot_parts_a_column_from_its_value_or_is_part_of_its_name(aep: Aep) -> None:
    columns = {"Owner.name": {"type": "string"}, "Account": {"type": "object"}}
    sources = ["Owner\\.name", "${Owner.name}", "Account.id", "Owner\\.id", "Owner.id"]
    targets = [
        "personID",
        "person.name.firstName",
        "person.name.lastName",
        "workEmail.address",
        "personalEmail.address",
    ]
    entries = [_entry(source, target, "ATTRIBUTE") for source, target in zip(sources, targets, strict=True)]
    schema = {"jsonSchema": {"type": "object", "properties": columns}}
    body = {**aep.mapping_body(entries), "inputSchema": schema}
    found = (await aep.post(SETS + "/validate", body)).body["validationResponse"]
    assert [entry["status"] for entry in found] == ["SUCCESS"] * 3 + ["FAILED"] * 2


async def test_preview_computes(aep: Aep) -> None:
    entries = [
        _entry("Email", "personalEmail.address", "ATTRIBUTE"),
        _entry('concat(upper(First), " ", Last)'),
        _entry("zoho", f"_{ids.TENANT}.origin", "STATIC"),
        _entry("Score * 2 + 1", f"_{ids.TENANT}.leadScore"),
        _entry('iif(Score > 3, "hot", "cold")', f"_{ids.TENANT}.leadSource"),
        _entry("Missing", "workEmail.address", "ATTRIBUTE"),
        _entry("explode(Email)", "personID"),
    ]
    rows = [{"Email": "a@b.c", "First": "Ada", "Last": "L", "Score": 4}]
    body = {"data": rows, "mappingSet": aep.mapping_body(entries)}
    (found,) = (await aep.post(SETS + "/preview", body)).body
    assert found["data"] == {
        "personalEmail": {"address": "a@b.c"},
        "person": {"name": {"fullName": "ADA L"}},
        f"_{ids.TENANT}": {"origin": "zoho", "leadScore": 9, "leadSource": "hot"},
    }
    assert [error["source"] for error in found["errors"]] == ["explode(Email)"]


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({"expression": "upper(a)"}, True),
        ({"expression": "upper(a"}, False),
        ({"expression": "upper(a)", "sampleData": '{"a": 1}', "sampleDataType": "json"}, True),
        ({"expression": "upper(b)", "sampleData": '{"a": 1}', "sampleDataType": "json"}, False),
    ],
)
async def test_expressions_are_validated_alone(aep: Aep, body: dict[str, str], valid: bool) -> None:
    assert (await aep.post(CONVERSION + "/languages/el/validate", body)).body is valid


async def test_a_mapping_set_cannot_be_deleted(aep: Aep) -> None:
    assert (await aep.delete(f"{SETS}/{await aep.mapping_set()}")).status == 405


async def test_unknown_ids(aep: Aep) -> None:
    for path in ("/0", "/0/mappings", "/0/mappings/0"):
        assert (await aep.get(SETS + path)).status == 404
    assert (await aep.get(f"{SETS}/{await aep.mapping_set()}/mappings/0")).status == 404
