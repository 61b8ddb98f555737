"""Records, paging and deleted records of the CRM API (zoho.md 3.6)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.contract.zoho import Zoho, assert_refused


def assert_empty(response: httpx.Response, status: int = 204) -> None:
    assert (response.status_code, response.content) == (status, b"")


async def modified_times(zoho: Zoho, module: str) -> list[str]:
    body = (await zoho.get(f"/{module}", fields="Modified_Time", sort_by="Modified_Time")).json()
    return [record["Modified_Time"] for record in body["data"]]


# --- what comes back --------------------------------------------------------------------------------


async def test_records_carry_id_and_the_wanted_fields(zoho: Zoho) -> None:
    body = (await zoho.get("/Contacts", fields="Last_Name,Owner,Modified_Time", per_page=3)).json()
    assert len(body["data"]) == 3
    for record in body["data"]:
        assert list(record) == ["id", "Last_Name", "Owner", "Modified_Time"]
        assert record["id"].isdigit()
        assert set(record["Owner"]) == {"id", "name", "email"}
        assert datetime.fromisoformat(record["Modified_Time"]).tzinfo is not None


async def test_info_of_the_first_page(zoho: Zoho) -> None:
    info = (await zoho.get("/Contacts", fields="id", per_page=100)).json()["info"]
    assert info.pop("next_page_token")
    assert datetime.fromisoformat(info.pop("page_token_expiry")).timestamp() == zoho.clock.now() + 86400
    assert info == {
        "call": False,
        "per_page": 100,
        "count": 100,
        "page": 1,
        "more_records": True,
        "sort_by": "id",
        "sort_order": "desc",
        "previous_page_token": None,
        "email": False,
    }


async def test_info_of_the_only_page(zoho: Zoho) -> None:
    info = (await zoho.get("/Contacts", fields="id")).json()["info"]
    assert (info["count"], info["more_records"], info["next_page_token"]) == (150, False, None)


async def test_unknown_fields_are_left_out(zoho: Zoho) -> None:
    body = (await zoho.get("/Contacts", fields="Email,Nothing", per_page=1)).json()
    assert set(body["data"][0]) == {"id", "Email"}


async def test_seeded_people_have_example_addresses(zoho: Zoho) -> None:
    for module in ("Leads", "Contacts"):
        body = (await zoho.get(f"/{module}", fields="Email")).json()
        assert all(record["Email"].endswith("@example.com") for record in body["data"])
        assert len({record["Email"] for record in body["data"]}) == len(body["data"])


async def test_records_are_the_same_after_a_reset(zoho: Zoho) -> None:
    before = (await zoho.get("/Deals", fields="Deal_Name,Amount")).json()["data"]
    zoho.state.reset()
    assert (await zoho.get("/Deals", fields="Deal_Name,Amount")).json()["data"] == before


async def test_module_without_records_is_204(zoho: Zoho) -> None:
    assert_empty(await zoho.get("/Vendors", fields="id"))


# --- parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"fields": ""}, {"fields": " , "}])
async def test_fields_are_mandatory(zoho: Zoho, query: dict[str, Any]) -> None:
    response = await zoho.get("/Leads", **query)
    assert_refused(response, "REQUIRED_PARAM_MISSING", {"param_name": "fields"})


async def test_at_most_fifty_fields(zoho: Zoho) -> None:
    names = [f"Field_{number}" for number in range(51)]
    assert (await zoho.get("/Leads", fields=",".join(names[:50]))).status_code == 200
    response = await zoho.get("/Leads", fields=",".join(names))
    assert_refused(response, "LIMIT_EXCEEDED", {"limit": 50, "param_name": "fields"})


@pytest.mark.parametrize("per_page", ["0", "201", "-1", "many"])
async def test_per_page_is_at_most_200(zoho: Zoho, per_page: str) -> None:
    response = await zoho.get("/Leads", fields="id", per_page=per_page)
    assert_refused(response, "INVALID_DATA", {"param_name": "per_page"})


async def test_activities_are_gone_since_version_3(zoho: Zoho) -> None:
    assert (await zoho.get("/Activities", fields="id")).json()["code"] == "INVALID_MODULE"


async def test_unknown_module(zoho: Zoho) -> None:
    where = {"resource_path_index": 0}
    response = await zoho.get("/Nothing", fields="id")
    assert_refused(response, "INVALID_MODULE", where)
    assert response.json()["message"] == "the module name given seems to be invalid"
    assert_refused(await zoho.get("/Activities", fields="id"), "INVALID_MODULE", where)
    assert_refused(await zoho.get("/Home", fields="id"), "NOT_SUPPORTED", where)


@pytest.mark.parametrize(
    ("name", "values"),
    [("sort_by", ["id", "Created_Time", "Modified_Time"]), ("sort_order", ["asc", "desc"])],
)
async def test_wrong_sorting_is_invalid_data(zoho: Zoho, name: str, values: list[str]) -> None:
    response = await zoho.get("/Leads", fields="id", **dict[str, Any]({name: "Email"}))
    assert_refused(response, "INVALID_DATA", {"param_name": name, "supported_values": values})


async def test_unknown_custom_view_is_invalid_data(zoho: Zoho) -> None:
    response = await zoho.get("/Leads", fields="id", cvid="1")
    assert_refused(response, "INVALID_DATA", {"param_name": "cvid"})


@pytest.mark.parametrize("sort_by", ["id", "Created_Time", "Modified_Time"])
@pytest.mark.parametrize("sort_order", ["asc", "desc"])
async def test_sorting(zoho: Zoho, sort_by: str, sort_order: str) -> None:
    query: dict[str, Any] = {"sort_by": sort_by, "sort_order": sort_order}
    query["fields"] = "Created_Time,Modified_Time"
    found = [record[sort_by] for record in (await zoho.get("/Leads", **query)).json()["data"]]
    keys = [int(v) if sort_by == "id" else datetime.fromisoformat(v).timestamp() for v in found]
    assert keys == sorted(keys, reverse=sort_order == "desc")


# --- page -------------------------------------------------------------------------------------------


async def test_pages_make_up_the_whole(zoho: Zoho) -> None:
    token, ids = await zoho.access_token(), []
    for page in (1, 2, 3):
        body = (await zoho.get("/Leads", token, fields="id", per_page=50, page=page)).json()
        ids += [record["id"] for record in body["data"]]
        assert body["info"]["page"] == page
        assert body["info"]["more_records"] == (page < 3)
    assert len(set(ids)) == len(ids) == 120
    assert_empty(await zoho.get("/Leads", token, fields="id", per_page=50, page=4))


async def test_page_reaches_2000_records(zoho: Zoho) -> None:
    await zoho.change("POST", "/zoho/eu/production/modules/Leads/records", count=1900)
    token = await zoho.access_token()
    tenth = await zoho.get("/Leads", token, fields="id", page=10)
    assert tenth.json()["info"]["more_records"]
    eleventh = await zoho.get("/Leads", token, fields="id", page=11)
    assert_refused(eleventh, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", {"limit": 2000})
    next_page = tenth.json()["info"]["next_page_token"]
    rest = (await zoho.get("/Leads", token, fields="id", page_token=next_page)).json()
    assert (rest["info"]["page"], rest["info"]["count"]) == (11, 20)


async def test_switch_discrete_page_limit(zoho: Zoho) -> None:
    zoho.state.switches.discrete_page_limit = 50
    response = await zoho.get("/Leads", fields="id", per_page=50, page=2)
    assert_refused(response, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", {"limit": 50})


# --- page_token -------------------------------------------------------------------------------------


async def first_page(zoho: Zoho, token: str, **query: Any) -> str:
    body = (await zoho.get("/Leads", token, fields="id", per_page=50, **query)).json()
    next_page: str = body["info"]["next_page_token"]
    return next_page


async def test_page_tokens_make_up_the_whole_and_lead_back(zoho: Zoho) -> None:
    token, ids, page_token = await zoho.access_token(), [], None
    while True:
        query: dict[str, Any] = {"page_token": page_token} if page_token else {}
        body = (await zoho.get("/Leads", token, fields="id", per_page=50, **query)).json()
        ids += [record["id"] for record in body["data"]]
        page_token = body["info"]["next_page_token"]
        if not body["info"]["more_records"]:
            break
    assert len(set(ids)) == len(ids) == 120
    back = {"page_token": body["info"]["previous_page_token"]}
    before = (await zoho.get("/Leads", token, fields="id", per_page=50, **back)).json()
    assert [record["id"] for record in before["data"]] == ids[50:100]


async def test_page_token_excludes_page(zoho: Zoho) -> None:
    token = await zoho.access_token()
    page_token = await first_page(zoho, token)
    response = await zoho.get("/Leads", token, fields="id", per_page=50, page=2, page_token=page_token)
    assert response.status_code == 400
    assert response.json()["code"] == "AMBIGUITY_DURING_PROCESSING"


async def test_page_token_expires_after_a_day(zoho: Zoho) -> None:
    page_token = await first_page(zoho, await zoho.access_token())
    zoho.clock.advance(24 * 3600 - 1)
    assert (await zoho.get("/Leads", fields="id", per_page=50, page_token=page_token)).status_code == 200
    zoho.clock.advance(1)
    response = await zoho.get("/Leads", fields="id", per_page=50, page_token=page_token)
    details = {"api_name": "page_token", "json_path": "$.query.page_token"}
    assert_refused(response, "EXPIRED_VALUE", details)


@pytest.mark.parametrize(
    "changed", [{"fields": "id,Email"}, {"per_page": 40}, {"sort_by": "Created_Time"}, {"sort_order": "asc"}]
)
async def test_page_token_is_bound_to_the_other_parameters(zoho: Zoho, changed: dict[str, Any]) -> None:
    token = await zoho.access_token()
    page_token = await first_page(zoho, token)
    query = {"fields": "id", "per_page": 50, "page_token": page_token, **changed}
    response = await zoho.get("/Leads", token, **query)
    assert_refused(response, "TOKEN_BOUND_DATA_MISMATCH", {"param_name": "page_token"})


async def test_page_token_is_bound_to_the_user(zoho: Zoho) -> None:
    page_token = await first_page(zoho, await zoho.access_token())
    other = (await zoho.grant(exchange=True))["accessToken"]
    response = await zoho.get("/Leads", other, fields="id", per_page=50, page_token=page_token)
    assert_refused(response, "TOKEN_BOUND_DATA_MISMATCH", {"param_name": "page_token"})


async def test_unknown_page_token_is_invalid_data(zoho: Zoho) -> None:
    response = await zoho.get("/Leads", fields="id", page_token="0")
    assert_refused(response, "INVALID_DATA", {"param_name": "page_token"})


async def test_page_token_ends_at_its_limit(zoho: Zoho) -> None:
    assert zoho.state.switches.page_token_limit == 100_000
    zoho.state.switches.page_token_limit = 100
    token = await zoho.access_token()
    second = await zoho.get(
        "/Leads", token, fields="id", per_page=50, page_token=await first_page(zoho, token)
    )
    third = second.json()["info"]["next_page_token"]
    response = await zoho.get("/Leads", token, fields="id", per_page=50, page_token=third)
    assert_refused(response, "PAGINATION_LIMIT_EXCEEDED", {"param_name": "page_token"})


# --- If-Modified-Since ------------------------------------------------------------------------------


async def test_if_modified_since_is_inclusive(zoho: Zoho) -> None:
    times = await modified_times(zoho, "Deals")
    since = {"If-Modified-Since": times[9]}
    body = (await zoho.get("/Deals", fields="Modified_Time", headers=since)).json()
    assert body["info"]["count"] == times.index(times[9]) + times.count(times[9])


async def test_if_modified_since_compares_instants_not_text(zoho: Zoho) -> None:
    newest = datetime.fromisoformat((await modified_times(zoho, "Deals"))[0])
    since = {"If-Modified-Since": newest.astimezone(tz=None).isoformat()}
    assert (await zoho.get("/Deals", fields="id", headers=since)).json()["info"]["count"] == 1


async def test_nothing_modified_is_304_with_an_empty_body(zoho: Zoho) -> None:
    since = {"If-Modified-Since": datetime.fromtimestamp(zoho.clock.now()).astimezone().isoformat()}
    assert_empty(await zoho.get("/Deals", fields="id", headers=since), 304)


async def test_changed_record_is_modified_now(zoho: Zoho) -> None:
    since = {"If-Modified-Since": datetime.fromtimestamp(zoho.clock.now()).astimezone().isoformat()}
    identifier = next(iter(next(iter(zoho.state.organizations.values())).modules["Deals"].records))
    zoho.clock.advance(60)
    await zoho.change("PATCH", f"/zoho/eu/production/modules/Deals/records/{identifier}", Amount=12.5)
    body = (await zoho.get("/Deals", fields="Amount", headers=since)).json()
    assert body["data"] == [{"id": identifier, "Amount": 12.5}]


async def test_if_modified_since_must_be_iso_8601(zoho: Zoho) -> None:
    since = {"If-Modified-Since": "Tue, 01 Jul 2025 00:00:00 GMT"}
    response = await zoho.get("/Deals", fields="id", headers=since)
    assert_refused(response, "INVALID_DATA", {"param_name": "If-Modified-Since"})


# --- deleted ----------------------------------------------------------------------------------------


async def delete_some(zoho: Zoho, count: int) -> list[str]:
    records = next(iter(zoho.state.organizations.values())).modules["Leads"].records
    ids = list(records)[:count]
    for identifier in ids:
        await zoho.change("DELETE", f"/zoho/eu/production/modules/Leads/records/{identifier}")
    return ids


async def test_nothing_deleted_is_204(zoho: Zoho) -> None:
    assert_empty(await zoho.get("/Leads/deleted"))


async def test_deleted_records_are_listed_and_no_longer_among_the_others(zoho: Zoho) -> None:
    ids = await delete_some(zoho, 3)
    body = (await zoho.get("/Leads/deleted", per_page=2)).json()
    assert [record["id"] for record in body["data"]] == ids[:2]
    assert body["info"] == {"per_page": 2, "count": 2, "page": 1, "more_records": True}
    assert {"id", "display_name", "type", "deleted_by", "created_by", "deleted_time"} == set(body["data"][0])
    assert (await zoho.get("/Leads", fields="id")).json()["info"]["count"] == 117


async def test_types_of_deleted_records(zoho: Zoho) -> None:
    await delete_some(zoho, 1)
    assert (await zoho.get("/Leads/deleted", type="recycle")).json()["info"]["count"] == 1
    assert (await zoho.get("/Leads/deleted", type="all")).json()["info"]["count"] == 1
    assert_empty(await zoho.get("/Leads/deleted", type="permanent"))
    details = {"param_name": "type", "supported_values": ["all", "recycle", "permanent"]}
    assert_refused(await zoho.get("/Leads/deleted", type="gone"), "INVALID_DATA", details)


async def test_deleted_since(zoho: Zoho) -> None:
    await delete_some(zoho, 1)
    zoho.clock.advance(60)
    since = {"If-Modified-Since": datetime.fromtimestamp(zoho.clock.now()).astimezone().isoformat()}
    assert_empty(await zoho.get("/Leads/deleted", headers=since), 304)


async def test_new_records_never_reuse_an_id(zoho: Zoho) -> None:
    await delete_some(zoho, 2)
    before = (await zoho.get("/Leads", fields="id")).json()["info"]["count"]
    await zoho.change("POST", "/zoho/eu/production/modules/Leads/records", count=5)
    assert (await zoho.get("/Leads", fields="id")).json()["info"]["count"] == before + 5


# --- count ------------------------------------------------------------------------------------------


@pytest.fixture
async def searcher(zoho: Zoho) -> str:
    scopes = ["ZohoCRM.modules.READ", "ZohoSearch.securesearch.READ"]
    token: str = (await zoho.grant(scopes=scopes, exchange=True))["accessToken"]
    return token


async def test_count_of_all_records(zoho: Zoho, searcher: str) -> None:
    assert (await zoho.get("/Leads/actions/count", searcher)).json() == {"count": 120}
    assert (await zoho.get("/Vendors/actions/count", searcher)).json() == {"count": 0}


async def test_count_of_what_is_found(zoho: Zoho, searcher: str) -> None:
    record = (await zoho.get("/Leads", searcher, fields="Email,Last_Name", per_page=1)).json()["data"][0]
    by_email = await zoho.get("/Leads/actions/count", searcher, email=record["Email"])
    by_word = await zoho.get("/Leads/actions/count", searcher, word=record["Last_Name"])
    assert by_email.json() == {"count": 1}
    assert 1 <= by_word.json()["count"] < 120
    assert (await zoho.get("/Leads/actions/count", searcher, phone="0")).json() == {"count": 0}


async def test_a_count_costs_fifty_credits(zoho: Zoho, searcher: str) -> None:
    zgid = next(iter(zoho.state.organizations))
    before = zoho.state.credits.used(zgid)
    assert (await zoho.get("/Leads/actions/count", searcher)).status_code == 200
    assert zoho.state.credits.used(zgid) - before == 50


async def test_errors_of_count(zoho: Zoho, searcher: str) -> None:
    assert (await zoho.get("/Nothing/actions/count", searcher)).json()["code"] == "INVALID_MODULE"
    refused = await zoho.get("/Leads/actions/count", searcher, cvid="1")
    assert refused.json()["details"] == {"param_name": "cvid"}
