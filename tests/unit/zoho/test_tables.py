"""Modules, fields and deleted records as the CRM API shows them."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from crmflow.http.errors import RemoteError
from crmflow.zoho import deleted, tables
from crmflow.zoho.deleted import DeletedRecord
from crmflow.zoho.tables import Delivery, Module
from tests.unit.zoho.crm_api import FakeCrm, always

FIELDS = {
    "Email": ("email", Delivery.AS_IT_IS),
    "Owner": ("ownerlookup", Delivery.ID),
    "Account_Name": ("lookup", Delivery.ID),
    "Modified_Time": ("datetime", Delivery.DATE_TIME),
    "Birthday": ("date", Delivery.AS_IT_IS),
    "Languages": ("multiselectpicklist", Delivery.LIST),
    "Score": ("formula", Delivery.AS_IT_IS),
    "Line_Items": ("subform", Delivery.NOT_DELIVERED),
    "Photo": ("imageupload", Delivery.NOT_DELIVERED),
    "New_One": ("a_type_of_tomorrow", Delivery.AS_IT_IS),
}


def leads() -> FakeCrm:
    shown = [{"api_name": name, "data_type": kind, "formula": {}} for name, (kind, _) in FIELDS.items()]
    return always(httpx.Response(200, json={"fields": shown}))


async def test_fields_say_how_they_are_delivered() -> None:
    crm = leads()
    found = await tables.fields(crm.api, "Leads")
    assert {field.api_name: (field.data_type, field.delivery) for field in found} == {
        "id": ("bigint", Delivery.AS_IT_IS),
        **FIELDS,
    }
    assert [field.api_name for field in found if field.is_formula] == ["Score"]
    assert crm.asked == [("GET", "v8/settings/fields?module=Leads", None)]


async def test_a_formula_of_a_date_and_time_is_one() -> None:
    field = {"api_name": "Due", "data_type": "formula", "formula": {"return_type": "datetime"}}
    (_, due) = await tables.fields(always(httpx.Response(200, json={"fields": [field]})).api, "Leads")
    assert (due.delivery, due.is_formula) == (Delivery.DATE_TIME, True)


async def test_a_module_without_fields() -> None:
    assert await tables.fields(always(httpx.Response(204)).api, "Email_Analytics") == ()


async def test_names_that_are_no_column_are_told_with_the_one_to_use() -> None:
    known = await tables.fields(leads().api, "Leads")
    of_owner = "use Owner, which is the id; other fields of the record that it names are not delivered"
    wanted = ["id", "Email", "Owner.id", "Owner.name", "email", "Emial", "Line_Items", "Nothing.at.all"]
    assert {one.name: one.advice for one in tables.unreadable(wanted, known)} == {
        "Owner.id": of_owner,
        "Owner.name": of_owner,
        "email": "there is no such field; Email may be meant",
        "Emial": "there is no such field; Email may be meant",
        "Line_Items": "a field of the type subform is not delivered: leave it out",
        "Nothing.at.all": "there is no such field",
    }


async def test_modules_say_whether_they_can_be_read() -> None:
    shown = [
        {"api_name": "Leads", "plural_label": "Leads", "api_supported": True, "status": "visible"},
        {"api_name": "Home", "plural_label": "Home", "api_supported": False, "status": "visible"},
        {"api_name": "Old", "api_supported": True, "status": "scheduled_for_deletion"},
        {"api_name": "Notes", "plural_label": "Notes", "api_supported": True, "status": "visible"},
    ]
    found = await tables.modules(always(httpx.Response(200, json={"modules": shown})).api)
    assert found == (
        Module("Leads", "Leads", is_readable=True),
        Module("Home", "Home", is_readable=False),
        Module("Old", "Old", is_readable=False),
        Module("Notes", "Notes", is_readable=False),
    )


async def test_deleted_records_come_by_pages() -> None:
    record = {"id": "7", "deleted_time": "2026-11-04T11:30:00+01:00", "type": "recycle"}
    crm = always(
        httpx.Response(200, json={"data": [record], "info": {"more_records": True}}), httpx.Response(304)
    )
    since = datetime(2026, 11, 4, 10, tzinfo=UTC)
    at = datetime(2026, 11, 4, 10, 30, tzinfo=UTC)
    assert await deleted.page(crm.api, "Leads", since, 1) == ([DeletedRecord("7", at)], True)
    assert await deleted.page(crm.api, "Leads", since, 2) == ([], False)
    assert [path for _, path, _ in crm.asked] == [
        f"v8/Leads/deleted?type=all&page={number}&per_page=200" for number in (1, 2)
    ]
    assert crm.headers[0]["if-modified-since"] == "2026-11-04T10:00:00+00:00"


async def test_a_deleted_record_without_a_time_is_no_answer() -> None:
    crm = always(httpx.Response(200, json={"data": [{"id": "7"}], "info": {}}))
    with pytest.raises(RemoteError, match="a deleted record without id or time"):
        await deleted.page(crm.api, "Leads", datetime(2026, 11, 4, tzinfo=UTC), 1)
