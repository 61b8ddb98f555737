"""What an extractor meets at Zoho beside bulk read: key sets, time, credits (landing-zone.md F.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contract.zoho import Zoho
from tests.emulators.zoho.data_centers import Environment

LEADS = "/zoho/eu/production/modules/Leads"
SCOPES = ["ZohoCRM.coql.READ", "ZohoCRM.modules.READ", "ZohoCRM.bulk.READ", "ZohoCRM.settings.ALL"]


async def token_of(zoho: Zoho) -> str:
    """A token for all that an extractor calls."""
    token: str = (await zoho.grant(scopes=SCOPES, exchange=True))["accessToken"]
    return token


async def select(zoho: Zoho, token: str, query: str) -> list[dict[str, Any]]:
    """The rows of a query."""
    header = {"Authorization": f"Zoho-oauthtoken {token}"}
    response = await zoho.api.post("/crm/v8/coql", json={"select_query": query}, headers=header)
    assert response.status_code in (200, 204), response.text
    rows: list[dict[str, Any]] = response.json()["data"] if response.content else []
    return rows


def instant(zoho: Zoho, seconds: float = 0) -> str:
    """The emulator's time and some seconds."""
    return datetime.fromtimestamp(zoho.clock.time + seconds, UTC).isoformat(timespec="seconds")


async def by_key_set(zoho: Zoho, token: str, begin: str, end: str, page: int) -> list[dict[str, Any]]:
    """All rows of a window, a page after the other by the last row's key."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        where = f"Modified_Time >= '{begin}' and Modified_Time < '{end}'"
        rows = await select(
            zoho,
            token,
            f"select Modified_Time, Last_Name from Leads where ({where}){cursor} "
            f"order by Modified_Time asc, id asc limit {page}",
        )
        found += rows
        if len(rows) < page:
            return found
        last = rows[-1]
        at = last["Modified_Time"]
        cursor = f" and (Modified_Time >= '{at}' and (Modified_Time > '{at}' or id > {last['id']}))"


async def test_a_key_set_reads_every_row_once(zoho: Zoho) -> None:
    begin = instant(zoho)
    await zoho.change("POST", f"{LEADS}/records", count=350, now=True)
    zoho.clock.advance(60)
    rows = await by_key_set(zoho, await token_of(zoho), begin, instant(zoho), 100)
    held = (await zoho.change("GET", f"{LEADS}/records"))["records"]
    new = {
        r["id"] for r in held if datetime.fromisoformat(r["Modified_Time"]) >= datetime.fromisoformat(begin)
    }
    assert len(rows) == len(new) == 350
    assert {row["id"] for row in rows} == new


async def test_count_agrees_with_the_window(zoho: Zoho) -> None:
    begin = instant(zoho)
    await zoho.change("POST", f"{LEADS}/records", count=7, now=True)
    zoho.clock.advance(60)
    where = f"Modified_Time >= '{begin}' and Modified_Time < '{instant(zoho)}'"
    (row,) = await select(zoho, await token_of(zoho), f"select COUNT(id) from Leads where {where}")
    assert row == {"COUNT(id)": 7}


@pytest.mark.parametrize("lag", [0, 90, 600])
async def test_switch_visibility_lag(zoho: Zoho, lag: int) -> None:
    """A change bears its own time and shows later: in queries, records, counts, bulk reads, deletions."""
    zoho.state.switches.visibility_lag = lag
    changed, gone = list(zoho.state.organization("eu", Environment.PRODUCTION).modules["Leads"].records)[:2]
    begin = instant(zoho)
    await zoho.change("PATCH", f"{LEADS}/records/{changed}", Last_Name="Changed")
    await zoho.change("DELETE", f"{LEADS}/records/{gone}")
    token, query = await token_of(zoho), f"select id from Leads where Modified_Time >= '{begin}'"

    async def seen() -> tuple[int, int, int]:
        header = {"Authorization": f"Zoho-oauthtoken {token}"}
        deleted = await zoho.api.get("/crm/v8/Leads/deleted", headers=header)
        listed = await zoho.api.get(
            "/crm/v8/Leads", params={"fields": "Last_Name"}, headers={**header, "If-Modified-Since": begin}
        )
        return len(await select(zoho, token, query)), deleted.status_code, listed.status_code

    assert await seen() == ((1, 200, 200) if lag == 0 else (0, 204, 304))
    assert changed in {r["id"] for r in (await zoho.change("GET", f"{LEADS}/records"))["records"]}
    zoho.clock.advance(lag)
    assert await seen() == (1, 200, 200)


async def test_a_formula_does_not_move_the_time(zoho: Zoho) -> None:
    await zoho.change("PUT", f"{LEADS}/fields/Score_Of_All", dataType="formula")
    module = zoho.state.organization("eu", Environment.PRODUCTION).modules["Leads"]
    id = next(iter(module.records))
    before = module.records[id]["Modified_Time"]
    changed = await zoho.change("PATCH", f"{LEADS}/records/{id}", Score_Of_All=5)
    assert (changed["Score_Of_All"], changed["Modified_Time"]) == (5, before)
    changed = await zoho.change("PATCH", f"{LEADS}/records/{id}", Score_Of_All=6, Last_Name="New")
    assert changed["Modified_Time"] != before


async def test_credits_end_and_come_back(zoho: Zoho) -> None:
    zoho.state.switches.credit_limit = 1000
    token = await token_of(zoho)
    used = (await zoho.change("POST", "/zoho/eu/production/credits", spend=0))["used"]
    spent = await zoho.change("POST", "/zoho/eu/production/credits", spend=1000 - used - 3)
    assert spent == {"used": 997, "limit": 1000}
    header = {"Authorization": f"Zoho-oauthtoken {token}"}
    query = {"select_query": "select id from Leads where id is not null limit 2000"}
    last = await zoho.api.post("/crm/v8/coql", json=query, headers=header)
    assert (last.status_code, last.headers["X-API-CREDITS-REMAINING"]) == (200, "0")
    refused = await zoho.api.post("/crm/v8/coql", json=query, headers=header)
    assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    zoho.clock.advance(24 * 3600 + 1)
    header = {"Authorization": f"Zoho-oauthtoken {await token_of(zoho)}"}
    assert (await zoho.api.post("/crm/v8/coql", json=query, headers=header)).status_code == 200


async def test_fields_tell_what_bulk_read_delivers(zoho: Zoho) -> None:
    """Every field of the metadata can be asked for, and every column of a file is in the metadata."""
    header = {"Authorization": f"Zoho-oauthtoken {await token_of(zoho)}"}
    found = await zoho.api.get("/crm/v8/settings/fields", params={"module": "Leads"}, headers=header)
    names = [field["api_name"] for field in found.json()["fields"] if field["type"] == "used"]
    body = {"query": {"module": {"api_name": "Leads"}, "fields": names}}
    made = await zoho.api.post("/crm/bulk/v8/read", json=body, headers=header)
    assert made.status_code == 201, made.text
    modules = (await zoho.api.get("/crm/v8/settings/modules", headers=header)).json()["modules"]
    leads = next(module for module in modules if module["api_name"] == "Leads")
    assert leads["api_supported"]
    assert leads["status"] == "visible"
