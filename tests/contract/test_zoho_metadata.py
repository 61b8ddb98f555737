"""Organization, users, modules and fields of the CRM API (zoho.md 3.2 to 3.5)."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.contract.zoho import Zoho, assert_refused

API_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")


# --- org --------------------------------------------------------------------------------------------


async def test_org_is_exactly_one_with_a_string_id(zoho: Zoho) -> None:
    organizations = (await zoho.get("/org")).json()["org"]
    assert len(organizations) == 1
    org = organizations[0]
    assert org["type"] == "production"
    assert org["id"].isdigit()
    assert org["zgid"].isdigit()
    assert org["license_details"]["paid_type"] == "enterprise"
    assert org["license_details"]["paid"] is True


async def test_org_in_a_trial_says_free_and_names_the_trial(zoho: Zoho) -> None:
    grant = await zoho.grant(dataCenter="us", exchange=True)
    response = await zoho.get("/org", grant["accessToken"], host="/dc/us/production")
    license_details = response.json()["org"][0]["license_details"]
    assert (license_details["paid"], license_details["paid_type"]) == (False, "free")
    assert license_details["trial_type"] == "enterprise"


@pytest.mark.parametrize(("position", "spelling"), [("lower", "sandbox"), ("capitalized", "Sandbox")])
async def test_switch_org_type_case(zoho: Zoho, position: Any, spelling: str) -> None:
    zoho.state.switches.org_type_case = position
    grant = await zoho.grant(environment="sandbox", exchange=True)
    response = await zoho.get("/org", grant["accessToken"], host="/dc/eu/sandbox")
    assert response.json()["org"][0]["type"] == spelling


# --- users ------------------------------------------------------------------------------------------


async def test_current_user_is_the_token_s(zoho: Zoho) -> None:
    body = (await zoho.get("/users", type="CurrentUser")).json()
    assert [user["email"] for user in body["users"]] == ["data.pipeline@example.com"]
    assert body["info"] == {"per_page": 200, "count": 1, "page": 1, "more_records": False}
    user = body["users"][0]
    assert set(user["profile"]) == {"id", "name"}
    assert set(user["role"]) == {"id", "name"}
    assert (user["status"], user["confirm"]) == ("active", True)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("AllUsers", 5),
        ("ActiveUsers", 4),
        ("AllActiveUsers", 4),
        ("DeactiveUsers", 1),
        ("ConfirmedUsers", 4),
        ("NotConfirmedUsers", 1),
        ("ActiveConfirmedUsers", 3),
        ("AdminUsers", 1),
        ("ActiveConfirmedAdmins", 1),
        ("CurrentUser", 1),
    ],
)
async def test_types_of_users(zoho: Zoho, kind: str, count: int) -> None:
    assert len((await zoho.get("/users", type=kind)).json()["users"]) == count


@pytest.mark.parametrize("kind", ["DeletedUsers", "DeveloperUsers", "ActiveLiteUser"])
async def test_no_users_is_204_with_an_empty_body(zoho: Zoho, kind: str) -> None:
    response = await zoho.get("/users", type=kind)
    assert (response.status_code, response.content) == (204, b"")


async def test_users_are_paged(zoho: Zoho) -> None:
    body = (await zoho.get("/users", type="AllUsers", per_page=2, page=2)).json()
    assert body["info"] == {"per_page": 2, "count": 2, "page": 2, "more_records": True}


async def test_unknown_type_of_users_is_invalid_data(zoho: Zoho) -> None:
    response = await zoho.get("/users", type="Everybody")
    details = response.json()["details"]
    assert details["param_name"] == "type"
    assert "CurrentUser" in details["supported_values"]


@pytest.mark.parametrize("status", ["active", "disabled"])
async def test_switch_active_user_status(zoho: Zoho, status: Any) -> None:
    zoho.state.switches.active_user_status = status
    body = (await zoho.get("/users", type="CurrentUser")).json()
    assert body["users"][0]["status"] == status


# --- modules ----------------------------------------------------------------------------------------


async def modules(zoho: Zoho, token: str | None = None, **query: Any) -> dict[str, dict[str, Any]]:
    body = (await zoho.get("/settings/modules", token, **query)).json()
    return {module["api_name"]: module for module in body["modules"]}


async def test_modules_are_the_usual_ones(zoho: Zoho) -> None:
    listed = await modules(zoho)
    assert set(listed) >= {
        "Leads", "Contacts", "Accounts", "Deals", "Tasks", "Events", "Calls", "Products", "Campaigns",
        "Vendors", "Cases", "Quotes", "Invoices", "Notes", "Subscriptions", "Home",
    }  # fmt: skip
    assert "Activities" not in listed
    assert listed["Events"]["plural_label"] == "Meetings"
    assert listed["Subscriptions"]["generated_type"] == "custom"
    assert listed["Intranet"]["generated_type"] == "web"
    assert listed["Old_Contracts"]["status"] == "scheduled_for_deletion"
    assert not listed["Home"]["api_supported"]
    assert not listed["Intranet"]["api_supported"]


async def test_module_carries_the_documented_keys(zoho: Zoho) -> None:
    lead = (await modules(zoho))["Leads"]
    assert set(lead) == {
        "id", "api_name", "module_name", "singular_label", "plural_label", "generated_type", "api_supported",
        "status", "viewable", "creatable", "editable", "deletable", "visibility", "show_as_tab",
        "sequence_number", "access_type", "parent_module", "modified_time", "modified_by", "profiles",
        "profile_count",
    }  # fmt: skip
    assert lead["id"].isdigit()
    assert len(lead["id"]) <= 19


async def test_switch_module_visible_key(zoho: Zoho) -> None:
    zoho.state.switches.module_visible_key = True
    listed = await modules(zoho)
    assert (listed["Leads"]["visible"], listed["Invoices"]["visible"]) == (True, False)


async def test_status_filters_modules(zoho: Zoho) -> None:
    assert set(await modules(zoho, status="user_hidden")) == {"Invoices"}
    assert set(await modules(zoho, status="user_hidden,scheduled_for_deletion")) == {
        "Invoices",
        "Old_Contracts",
    }


async def test_no_module_of_a_status_is_204(zoho: Zoho) -> None:
    response = await zoho.get("/settings/modules", status="system_hidden")
    assert (response.status_code, response.content) == (204, b"")


async def test_wrong_status_is_invalid_data_with_its_index(zoho: Zoho) -> None:
    response = await zoho.get("/settings/modules", status="visible,gone")
    supported = ["visible", "user_hidden", "system_hidden", "scheduled_for_deletion"]
    details = {"param_name": "status", "index": 1, "supported_values": supported}
    assert_refused(response, "INVALID_DATA", details)


async def test_only_modules_that_the_user_may_see_are_listed(zoho: Zoho) -> None:
    grant = await zoho.grant(hiddenModules=["Leads", "Deals"], exchange=True)
    listed = await modules(zoho, grant["accessToken"])
    assert not {"Leads", "Deals"} & set(listed)
    assert "Contacts" in listed


async def test_developer_has_about_half_of_the_modules(zoho: Zoho) -> None:
    grant = await zoho.grant(environment="developer", exchange=True)
    response = await zoho.get("/settings/modules", grant["accessToken"], host="/dc/eu/developer")
    ratio = len(response.json()["modules"]) / len(await modules(zoho))
    assert 0.35 < ratio < 0.65


async def test_one_module_by_name_and_by_id(zoho: Zoho) -> None:
    by_name = (await zoho.get("/settings/modules/Deals")).json()["modules"]
    by_id = (await zoho.get(f"/settings/modules/{by_name[0]['id']}")).json()["modules"]
    assert by_name == by_id
    assert [module["api_name"] for module in by_name] == ["Deals"]


async def test_hidden_module_cannot_be_had_by_its_id(zoho: Zoho) -> None:
    grant = await zoho.grant(hiddenModules=["Deals"], exchange=True)
    identifier = (await modules(zoho))["Deals"]["id"]
    response = await zoho.get(f"/settings/modules/{identifier}", grant["accessToken"])
    assert_refused(response, "INVALID_MODULE", {"resource_path_index": 2})


async def test_errors_of_one_module(zoho: Zoho) -> None:
    where = {"resource_path_index": 2}
    assert_refused(await zoho.get("/settings/modules/Nothing"), "INVALID_MODULE", where)
    assert_refused(await zoho.get("/settings/modules/Activities"), "INVALID_MODULE", where)
    assert_refused(await zoho.get("/settings/modules/Home"), "NOT_SUPPORTED", where)
    assert_refused(await zoho.get("/settings/modules/"), "INVALID_REQUEST", {})


# --- fields -----------------------------------------------------------------------------------------


async def fields(zoho: Zoho, module: str, **query: Any) -> dict[str, dict[str, Any]]:
    body = (await zoho.get("/settings/fields", module=module, **query)).json()
    return {field["api_name"]: field for field in body["fields"]}


async def test_contacts_have_realistic_fields(zoho: Zoho) -> None:
    listed = await fields(zoho, "Contacts")
    assert 50 < len(listed) <= 60
    kinds = {field["data_type"] for field in listed.values()}
    assert kinds >= {
        "text", "email", "phone", "picklist", "multiselectpicklist", "boolean", "integer", "double",
        "currency", "date", "datetime", "lookup", "ownerlookup", "textarea", "bigint", "profileimage",
    }  # fmt: skip
    for name in ("Created_Time", "Modified_Time", "Last_Activity_Time"):
        assert (listed[name]["data_type"], listed[name]["json_type"]) == ("datetime", "string")
    assert listed["Last_Name"]["system_mandatory"]
    assert listed["Customer_Tier"]["custom_field"]


async def test_api_names_follow_the_pattern_and_ids_are_unique_strings(zoho: Zoho) -> None:
    listed = await fields(zoho, "Contacts")
    assert all(API_NAME.match(name) and len(name) <= 50 for name in listed)
    ids = {field["id"] for field in listed.values()}
    assert len(ids) == len(listed)
    assert all(identifier.isdigit() for identifier in ids)


async def test_picklist_values_have_their_documented_keys(zoho: Zoho) -> None:
    values = (await fields(zoho, "Leads"))["Lead_Source"]["pick_list_values"]
    assert values[0]["display_value"] == "-None-"
    assert set(values[0]) == {
        "id", "display_value", "actual_value", "reference_value", "sequence_number", "type", "colour_code",
    }  # fmt: skip


async def test_lookup_names_its_module(zoho: Zoho) -> None:
    lookup = (await fields(zoho, "Contacts"))["Account_Name"]["lookup"]
    assert lookup["module"]["api_name"] == "Accounts"


async def test_shape_lies(zoho: Zoho) -> None:
    contacts, quotes = await fields(zoho, "Contacts"), await fields(zoho, "Quotes")
    assert (contacts["Tag"]["data_type"], contacts["Tag"]["json_type"]) == ("text", "jsonarray")
    assert (quotes["Product_Details"]["data_type"], quotes["Product_Details"]["json_type"]) == (
        "text",
        "jsonobject",
    )


async def test_type_filters_fields(zoho: Zoho) -> None:
    everything, used, unused = [
        set(await fields(zoho, "Contacts", type=kind)) for kind in ("all", "used", "unused")
    ]
    assert unused == {"Legacy_Code"}
    assert used == everything - unused
    assert everything == set(await fields(zoho, "Contacts"))


@pytest.mark.parametrize(("position", "shown"), [("object", {}), ("null", None), ("list", [])])
async def test_switch_absent_details(zoho: Zoho, position: Any, shown: Any) -> None:
    zoho.state.switches.absent_details = position
    email = (await fields(zoho, "Contacts"))["Email"]
    for name in ("lookup", "unique", "formula", "auto_number", "currency"):
        assert email[name] == shown


async def test_module_listed_as_usable_without_metadata_is_204(zoho: Zoho) -> None:
    assert (await modules(zoho))["Email_Analytics"]["api_supported"]
    response = await zoho.get("/settings/fields", module="Email_Analytics")
    assert (response.status_code, response.content) == (204, b"")


async def test_errors_of_fields(zoho: Zoho) -> None:
    assert_refused(await zoho.get("/settings/fields"), "REQUIRED_PARAM_MISSING", {"param_name": "module"})
    assert_refused(await zoho.get("/settings/fields", module="Nothing"), "INVALID_MODULE", {})
    assert_refused(await zoho.get("/settings/fields", module="Home"), "INVALID_MODULE", {})
    details = {"param_name": "type", "supported_values": ["all", "used", "unused"]}
    response = await zoho.get("/settings/fields", module="Leads", type="some")
    assert_refused(response, "INVALID_DATA", details)


# --- layouts ----------------------------------------------------------------------------------------


async def layouts(zoho: Zoho, **query: str) -> httpx.Response:
    token = (await zoho.grant(scopes=["ZohoCRM.settings.ALL"], exchange=True))["accessToken"]
    return await zoho.get("/settings/layouts", token, **query)


async def test_a_layout_has_sections_of_fields(zoho: Zoho) -> None:
    (layout,) = (await layouts(zoho, module="Contacts")).json()["layouts"]
    (section,) = layout["sections"]
    assert {"Last_Name", "Email"} <= {field["api_name"] for field in section["fields"]}
    assert isinstance(layout["id"], str)


async def test_layouts_of_a_module_without_metadata_are_204(zoho: Zoho) -> None:
    response = await layouts(zoho, module="Email_Analytics")
    assert (response.status_code, response.content) == (204, b"")


async def test_errors_of_layouts(zoho: Zoho) -> None:
    assert (await layouts(zoho)).json()["code"] == "REQUIRED_PARAM_MISSING"
    assert (await layouts(zoho, module="Nothing")).json()["code"] == "INVALID_MODULE"
