"""Columns, the fields of a schema, and which of them go together."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from crmflow.aep.models import Column, Schema
from crmflow.cli.scaffold.manifest import Wish, dataflow
from crmflow.cli.scaffold.schema_paths import SchemaPath, paths_of
from crmflow.cli.scaffold.suggestions import Suggestions, suggest
from crmflow.cli.scaffold.types import Holds, conversion, held_by


def column(name: str, kind: str = "string", form: str = "") -> Column:
    return Column(name, kind, bool(form), {}, form)


def path(name: str, holds: Holds = Holds.TEXT, *, required: bool = False) -> SchemaPath:
    return SchemaPath(name, holds, required)


def pairs(found: Suggestions) -> dict[str, str]:
    return {one.target: one.column for one in found.found}


STRING, NUMBER = {"type": "string", "meta:xdmType": "string"}, {"type": "number", "meta:xdmType": "double"}
DATE_TIME = {"type": "string", "format": "date-time", "meta:xdmType": "date-time"}


def test_the_fields_of_a_schema() -> None:
    document: dict[str, Any] = {
        "required": ["_id", "person"],
        "properties": {
            "_id": STRING,
            "person": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": STRING, "born": {"type": "string", "format": "date"}},
            },
            "other": {"type": "object", "required": ["must"], "properties": {"must": NUMBER}},
            "many": {"type": "array", "items": STRING},
            "map": {"type": "object", "additionalProperties": STRING},
            "flag": {"type": "boolean"},
            "count": {"type": "integer", "meta:xdmType": "long"},
            "when": DATE_TIME,
            "odd": "not an object",
        },
    }
    assert paths_of(document) == (
        path("_id", required=True),
        path("count", Holds.INTEGER),
        path("flag", Holds.BOOLEAN),
        path("many", Holds.LIST),
        path("map", Holds.MAP),
        path("odd", Holds.UNKNOWN),
        path("other.must", Holds.NUMBER),
        path("person.born", Holds.DATE),
        path("person.name", required=True),
        path("when", Holds.DATE_TIME),
    )
    assert paths_of({}) == ()


@pytest.mark.parametrize(
    ("kind", "form", "holds"),
    [
        ("string", "", Holds.TEXT),
        ("picklist", "", Holds.TEXT),
        ("bigint", "", Holds.INTEGER),
        ("double", "", Holds.NUMBER),
        ("currency", "", Holds.NUMBER),
        ("Boolean", "", Holds.BOOLEAN),
        ("string", "date", Holds.DATE),
        ("string", "date-time", Holds.DATE_TIME),
        ("multiselectpicklist", "", Holds.LIST),
    ],
)
def test_what_a_column_holds(kind: str, form: str, holds: Holds) -> None:
    assert held_by(column("x", kind, form)) is holds


@pytest.mark.parametrize(
    ("held", "wanted", "becomes"),
    [
        (Holds.TEXT, Holds.TEXT, ""),
        (Holds.INTEGER, Holds.NUMBER, ""),
        (Holds.NUMBER, Holds.INTEGER, None),
        (Holds.NUMBER, Holds.TEXT, "numbers become text"),
        (Holds.TEXT, Holds.NUMBER, None),
        (Holds.TEXT, Holds.BOOLEAN, None),
        (Holds.TEXT, Holds.DATE_TIME, None),
        (Holds.DATE, Holds.DATE_TIME, "each date becomes the beginning of its day in UTC"),
        (Holds.DATE_TIME, Holds.DATE, None),
        (Holds.TEXT, Holds.UNKNOWN, None),
        (Holds.TEXT, Holds.LIST, None),
    ],
)
def test_which_values_a_field_takes(held: Holds, wanted: Holds, becomes: str | None) -> None:
    assert conversion(held, wanted) == becomes


def test_standard_fields_of_zoho_go_where_xdm_has_them() -> None:
    columns = [column(name) for name in ("First_Name", "Email", "Mailing_Zip", "Phone")]
    fields = [
        path(name)
        for name in (
            "person.name.firstName",
            "personalEmail.address",
            "workEmail.address",
            "mailingAddress.postalCode",
            "homeAddress.postalCode",
            "homePhone.number",
        )
    ]
    found = suggest(columns, fields)
    assert pairs(found) == {
        "person.name.firstName": "First_Name",
        "personalEmail.address": "Email",
        "mailingAddress.postalCode": "Mailing_Zip",
        "homePhone.number": "Phone",
    }
    [email] = [one for one in found.found if one.column == "Email"]
    assert email.instead == ("workEmail.address",)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Lead_Source", "_tenant.leadSource"),
        ("LeadSource", "_tenant.lead_source"),
        ("SIC_Code", "_tenant.sicCode"),
        ("zoho_id", "_tenant.zohoId"),
        ("Score_2", "_tenant.score2"),
    ],
)
def test_the_same_name_however_it_is_written(name: str, field: str) -> None:
    [one] = suggest([column(name)], [path(field)]).found
    assert (one.target, one.reason) == (field, "the same name")


def test_a_column_may_feed_a_standard_field_and_its_namesake() -> None:
    columns = [column("Created_Time", form="date-time")]
    fields = [
        path("extSourceSystemAudit.createdDate", Holds.DATE_TIME),
        path("_tenant.createdTime", Holds.DATE_TIME),
    ]
    assert set(pairs(suggest(columns, fields))) == {one.path for one in fields}


def test_a_name_that_several_fields_have_is_left_to_the_person() -> None:
    found = suggest([column("Color")], [path("a.color"), path("b.color")])
    assert found.found == ()
    assert found.unclear == {"Color": ("a.color", "b.color")}


def test_types_that_do_not_fit_are_not_suggested() -> None:
    found = suggest([column("Score")], [path("_tenant.score", Holds.NUMBER)])
    assert found.found == ()
    assert found.unfit == {"Score": "_tenant.score takes numbers, and it holds text"}
    found = suggest([column("Score", "integer")], [path("_tenant.score")])
    assert found.found[0].reason == "the same name; whole numbers become text"


def test_each_field_gets_one_column_and_what_is_left_is_told() -> None:
    columns = [column("Full_Name"), column("FullName"), column("Nothing")]
    fields = [path("person.name.fullName"), path("_id", required=True)]
    found = suggest(columns, fields)
    assert pairs(found) == {"person.name.fullName": "Full_Name"}
    assert found.columns == ("FullName", "Nothing")
    assert found.required == ("_id",)


SCHEMA = Schema("https://ns.adobe.com/t/schemas/1", "", "CRM\nContacts", "1.0")
WISH = Wish("contacts", "team", "zoho-eu", "Contacts", {"name": "Contacts", "create": {}})


def made(columns: list[Column], fields: list[SchemaPath]) -> tuple[str, dict[str, Any]]:
    text = dataflow(WISH, columns, SCHEMA, suggest(columns, fields))
    return text, yaml.safe_load(text)["spec"]


def test_the_manifest_has_what_was_found_and_comments_on_the_rest() -> None:
    columns = [
        column("Email"),
        column("Color"),
        column("Score"),
        column("Nothing\n# x"),
        column("Created_Time", form="date-time"),
        column("Modified_Time", form="date-time"),
    ]
    fields = [
        path("personalEmail.address"),
        path("a.color"),
        path("b.color"),
        path("_t.score", Holds.NUMBER),
        path("_id", required=True),
    ]
    text, spec = made(columns, fields)
    assert spec["source"] == {"table": "Contacts", "columns": ["Email", "Modified_Time"]}
    assert spec["mapping"] == [{"target": "personalEmail.address", "source": "Email"}]
    assert spec["deltaColumn"] == {"name": "Modified_Time"}
    assert spec["schedule"] == {"frequency": "Hour", "interval": 1, "backfill": True}
    lines = [line.strip() for line in text.splitlines()]
    for line in (
        "# CRM Contacts",
        "# Review: the field of XDM that holds what Zoho's does.",
        "#   _id",
        "#   Color: a.color or b.color",
        "#   Score: _t.score takes numbers, and it holds text",
        "#   Nothing # x, Created_Time",
    ):
        assert line in lines, text


def test_a_table_without_dates_is_read_once() -> None:
    _, spec = made([column("Email")], [path("personalEmail.address")])
    assert spec["schedule"] == {"frequency": "Once"}
    assert "deltaColumn" not in spec


def test_another_delta_column_is_the_persons_choice() -> None:
    columns = [column("Email"), column("Signed_At", form="date-time")]
    text, spec = made(columns, [path("personalEmail.address")])
    assert spec["deltaColumn"] == {"name": "Signed_At"}
    assert "# Choose: it has to tell changed records." in text
