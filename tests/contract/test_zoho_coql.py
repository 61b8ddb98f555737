"""COQL: what it selects, what it refuses, and what it costs (zoho.md 3.7)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.zoho import Zoho
from tests.emulators.zoho.data_centers import Environment

SCOPES = ("ZohoCRM.coql.READ", "ZohoCRM.modules.READ")


async def select(zoho: Zoho, body: Any, *scopes: str, **request: Any) -> httpx.Response:
    grant = await zoho.grant(scopes=list(scopes or SCOPES), exchange=True, **request)
    sent = {"select_query": body} if isinstance(body, str) else body
    header = {"Authorization": f"Zoho-oauthtoken {grant['accessToken']}"}
    return await zoho.api.post("/crm/v8/coql", json=sent, headers=header)


async def rows(zoho: Zoho, query: str) -> list[dict[str, Any]]:
    response = await select(zoho, query)
    assert response.status_code in (200, 204), response.text
    found: list[dict[str, Any]] = response.json()["data"] if response.content else []
    return found


def leads(zoho: Zoho) -> list[dict[str, Any]]:
    return list(zoho.state.organization("eu", Environment.PRODUCTION).modules["Leads"].records.values())


# --- what is selected -------------------------------------------------------------------------------------


async def test_rows_have_the_selected_columns_and_the_id(zoho: Zoho) -> None:
    response = await select(zoho, "select Last_Name, Email from Leads where id is not null limit 3")
    body = response.json()
    assert [set(row) for row in body["data"]] == [{"Last_Name", "Email", "id"}] * 3
    assert body["info"] == {"count": 3, "more_records": True}


async def test_without_a_limit_there_are_200_rows_and_the_offset_comes_first(zoho: Zoho) -> None:
    await zoho.change("POST", "/zoho/eu/production/modules/Leads/records", count=200)
    query = "select id from Leads where id is not null order by id"
    first = (await select(zoho, query)).json()
    rest = (await select(zoho, f"{query} limit 200, 2000")).json()
    assert first["info"] == {"count": 200, "more_records": True}
    assert rest["info"] == {"count": 120, "more_records": False}
    ids = [row["id"] for row in first["data"] + rest["data"]]
    assert ids == sorted({record["id"] for record in leads(zoho)})


async def test_no_row_is_204(zoho: Zoho) -> None:
    response = await select(zoho, "select id from Vendors where id is not null")
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ("Last_Name = '{name}'", lambda lead, name: lead["Last_Name"] == name),
        ("Last_Name != '{name}'", lambda lead, name: lead["Last_Name"] != name),
        ("Last_Name like '{start}%'", lambda lead, name: lead["Last_Name"].startswith(name[:3])),
        ("Last_Name not like '%{name}'", lambda lead, name: lead["Last_Name"] != name),
        ("Last_Name in ('{name}', 'Nobody')", lambda lead, name: lead["Last_Name"] == name),
        ("Last_Name not in ('{name}')", lambda lead, name: lead["Last_Name"] != name),
        ("Secondary_Email is null", lambda lead, name: True),
        (
            "Created_Time > '2024-06-01T00:00:00+00:00'",
            lambda lead, name: lead["Created_Time"] > "2024-06-01T01:00:00+01:00",
        ),
        (
            "Created_Time between '2024-06-01T00:00:00+00:00' and '2024-09-01T00:00:00+00:00'",
            lambda lead, name: "2024-06-01T01:00:00" <= lead["Created_Time"] <= "2024-09-01T01:00:00",
        ),
        ("Email_Opt_Out = false", lambda lead, name: lead["Email_Opt_Out"] is False),
        ("Annual_Revenue > 40000", lambda lead, name: lead["Annual_Revenue"] > 40000),
        (
            "(Last_Name = '{name}' or Annual_Revenue > 40000) and Email_Opt_Out = false",
            lambda lead, name: (
                (lead["Last_Name"] == name or lead["Annual_Revenue"] > 40000) and not lead["Email_Opt_Out"]
            ),
        ),
    ],
)
async def test_conditions(zoho: Zoho, condition: str, fits: Any) -> None:
    name = leads(zoho)[0]["Last_Name"]
    where = condition.format(name=name, start=name[:3])
    found = {row["id"] for row in await rows(zoho, f"select id from Leads where {where} limit 2000")}
    wanted = {lead["id"] for lead in leads(zoho) if fits(lead, name)}
    assert found == wanted
    assert wanted


async def test_order(zoho: Zoho) -> None:
    query = "select Last_Name, Created_Time from Leads where id is not null order by Last_Name asc, id desc"
    found = await rows(zoho, query)
    keys = [(row["Last_Name"], -int(row["id"])) for row in found]
    assert keys == sorted(keys)


async def test_aggregates_and_aliases(zoho: Zoho) -> None:
    (row,) = await rows(
        zoho, "select COUNT(id) as leads, MAX(Annual_Revenue) as most from Leads where id is not null"
    )
    assert row == {"leads": 120, "most": max(lead["Annual_Revenue"] for lead in leads(zoho))}
    (row,) = await rows(zoho, "select COUNT(id) from Leads where id is not null")
    assert row == {"COUNT(id)": 120}


async def test_a_lookup_shows_its_id_and_can_be_followed(zoho: Zoho) -> None:
    (row,) = await rows(
        zoho,
        "select Account_Name, Account_Name.Account_Name from Contacts where Account_Name is not null limit 1",
    )
    accounts = zoho.state.organization("eu", Environment.PRODUCTION).modules["Accounts"].records
    assert set(row["Account_Name"]) == {"id"}
    assert row["Account_Name.Account_Name"] == accounts[row["Account_Name"]["id"]]["Account_Name"]


# --- what is refused --------------------------------------------------------------------------------------


async def test_the_query_is_mandatory(zoho: Zoho) -> None:
    response = await select(zoho, {})
    assert response.status_code == 400
    assert response.json()["code"] == "MANDATORY_NOT_FOUND"
    assert response.json()["details"]["api_name"] == "select_query"


@pytest.mark.parametrize(
    ("query", "code", "details"),
    [
        ("select id from Leads", "SYNTAX_ERROR", {"clause": "where"}),
        ("select id from Leads where", "SYNTAX_ERROR", {"line": 1, "column": 27, "near": ""}),
        ("choose id", "SYNTAX_ERROR", {"line": 1, "column": 1, "near": "choose"}),
        ("select id from Leads\nwhere id ?", "SYNTAX_ERROR", {"line": 2, "column": 9, "near": "?"}),
        ("select id from Leads where id about 1", "SYNTAX_ERROR", {"operator": "about", "near": "1"}),
        (
            "select id from Leads where id = 1 and id = 2 or id = 3",
            "SYNTAX_ERROR",
            {"operator": "or", "near": "id"},
        ),
        ("select Nothing from Leads where id is not null", "INVALID_QUERY", {"column_name": "Nothing"}),
        ("select id from Leads where Nothing = 1", "INVALID_QUERY", {"column_name": "Nothing"}),
        ("select id from Leads where id is not null limit many", "INVALID_QUERY", {"limit": "many"}),
        ("select id from Nothing where id is not null", "INVALID_MODULE", None),
        ("select id, id from Leads where id is not null", "DUPLICATE_DATA", {}),
        ("select id as a, Email as a from Leads where id is not null", "DUPLICATE_ALIAS", {}),
        ("select id as 1x from Leads where id is not null", "INVALID_ALIAS", {"alias": "1x"}),
        ("select id from Leads where id is not null limit 2001", "LIMIT_EXCEEDED", {}),
        (
            f"select id from Leads where {' and '.join(['id is not null'] * 26)}",
            "LIMIT_EXCEEDED",
            {},
        ),
    ],
)
async def test_errors(zoho: Zoho, query: str, code: str, details: dict[str, Any] | None) -> None:
    response = await select(zoho, query)
    assert (response.status_code, response.json()["code"]) == (400, code)
    if details is not None:
        assert response.json()["details"] == details


async def test_a_body_that_is_not_json(zoho: Zoho) -> None:
    token = (await zoho.grant(scopes=list(SCOPES), exchange=True))["accessToken"]
    header = {"Authorization": f"Zoho-oauthtoken {token}"}
    response = await zoho.api.post("/crm/v8/coql", content=b"{", headers=header)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_DATA")


@pytest.mark.parametrize("scope", SCOPES)
async def test_both_scopes_are_needed(zoho: Zoho, scope: str) -> None:
    response = await select(zoho, "select id from Leads where id is not null", scope)
    assert (response.status_code, response.json()["code"]) == (401, "OAUTH_SCOPE_MISMATCH")


async def test_a_module_that_the_user_may_not_see(zoho: Zoho) -> None:
    response = await select(zoho, "select id from Leads where id is not null", hiddenModules=["Leads"])
    assert (response.status_code, response.json()["code"]) == (403, "NO_PERMISSION")


async def test_it_is_a_post(zoho: Zoho) -> None:
    assert (await zoho.get("/coql")).json()["code"] == "INVALID_REQUEST_METHOD"


# --- limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "credits"), [("", 1), ("limit 200", 1), ("limit 201", 2), ("limit 0, 2000", 3)]
)
async def test_credits_by_rows(zoho: Zoho, limit: str, credits: int) -> None:
    zgid = next(iter(zoho.state.organizations))
    before = zoho.state.credits.used(zgid)
    await select(zoho, f"select id from Leads where id is not null {limit}")
    assert zoho.state.credits.used(zgid) - before == credits


@pytest.mark.parametrize(("position", "status"), [(2000, 200), (200, 400)])
async def test_switch_coql_rows(zoho: Zoho, position: Any, status: int) -> None:
    zoho.state.switches.coql_rows = position
    response = await select(zoho, "select id from Leads where id is not null limit 201")
    assert response.status_code == status


@pytest.mark.parametrize(("position", "status"), [(500, 200), (50, 400)])
async def test_switch_coql_columns(zoho: Zoho, position: Any, status: int) -> None:
    zoho.state.switches.coql_columns = position
    contacts = zoho.state.organization("eu", Environment.PRODUCTION).modules["Contacts"]
    columns = ", ".join(list(contacts.fields)[:51])
    response = await select(zoho, f"select {columns} from Contacts where id is not null")
    assert response.status_code == status


@pytest.mark.parametrize(("position", "status"), [(5, 200), (2, 400)])
async def test_switch_coql_joins(zoho: Zoho, position: Any, status: int) -> None:
    zoho.state.switches.coql_joins = position
    query = (
        "select Account_Name.Account_Name from {} where Contact_Name.Email is not null and {}.id is not null"
    )
    two = query.format("Deals", "Account_Name")
    assert (await select(zoho, two)).status_code == 200
    three = "select Deal_Name.Deal_Name, Account_Name.id, Contact_Name.id from Quotes where id is not null"
    response = await select(zoho, three)
    assert response.status_code == (204 if status == 200 else 400)
