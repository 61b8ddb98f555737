"""COQL: pages by key set, wide pages, counts, and giving way to limits (landing-zone.md F.2)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from crmflow.http.errors import RemoteError
from crmflow.zoho import coql
from crmflow.zoho.coql import ModuleWindow, Page, Pager, RecordKey
from tests.unit.zoho.crm_api import FakeCrm, always, refusal

WINDOW = ModuleWindow(
    "Leads", "Modified_Time", datetime(2026, 11, 4, 10, tzinfo=UTC), datetime(2026, 11, 4, 11, tzinfo=UTC)
)
BOUNDS = "(Modified_Time >= '2026-11-04T10:00:00+00:00' and Modified_Time < '2026-11-04T11:00:00+00:00')"


class FakeTable:
    """Rows in the order of their key; understands what a page asks for, and no other COQL."""

    def __init__(self, rows: list[dict[str, Any]], *, most_rows: int = 2000, most_columns: int = 500) -> None:
        self.rows = rows
        self.most_rows, self.most_columns = most_rows, most_columns
        self.limits: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = json.loads(request.content)["select_query"]
        names = query.removeprefix("select ").partition(" from ")[0].split(",")
        limit = int(query.rpartition(" ")[2])
        self.limits.append(limit)
        if limit > self.most_rows or len(names) > self.most_columns:
            return refusal(400, "LIMIT_EXCEEDED")
        after = _place(query, ">")
        through = _place(query, "<")
        rows = [row for row in self.rows if row["Modified_Time"] < WINDOW.end.isoformat()]
        found = [row for row in rows if after < _key(row) <= through][:limit]
        if not found:
            return httpx.Response(204)
        return httpx.Response(200, json={"data": [{name: row[name] for name in names} for row in found]})


def _key(row: dict[str, Any]) -> tuple[str, int]:
    return (row["Modified_Time"], int(row["id"]))


def _place(query: str, side: str) -> tuple[str, int]:
    found = re.search(rf"\(Modified_Time = '([^']+)' and id {side} (\d+)\)", query)
    return (found[1], int(found[2])) if found else ("", 0) if side == ">" else ("9", 0)


def rows(count: int, columns: int = 1) -> list[dict[str, Any]]:
    """Three rows in each second."""
    return [
        {
            "id": str(100 + number),
            "Modified_Time": f"2026-11-04T10:{number // 180:02}:{number // 3 % 60:02}+00:00",
            **{f"F{column}": f"{number}.{column}" for column in range(columns)},
        }
        for number in range(count)
    ]


async def read(crm: FakeCrm, columns: list[str], pager: Pager | None = None) -> list[dict[str, Any]]:
    pager = pager or Pager()
    found: list[dict[str, Any]] = []
    after: RecordKey | None = None
    while (page := await pager.page(crm.api, columns, WINDOW, after)).last:
        found += [dict(row) for row in page.rows]
        after = page.last
    return found


async def test_what_is_asked() -> None:
    crm = always(httpx.Response(204))
    assert await Pager().page(crm.api, ["Email"], WINDOW, None) == Page((), None)
    await Pager().page(crm.api, ["Email"], WINDOW, RecordKey("2026-11-04T10:30:00+00:00", "7"))
    select = "select id,Modified_Time,Email from Leads where "
    order = " order by Modified_Time asc, id asc limit 200"
    instant = "'2026-11-04T10:30:00+00:00'"
    after = f"(Modified_Time > {instant} or (Modified_Time = {instant} and id > 7))"
    assert [body["select_query"] for _, _, body in crm.asked] == [
        f"{select}{BOUNDS}{order}",
        f"{select}({BOUNDS} and {after}){order}",
    ]


async def test_every_row_comes_once_and_pages_grow() -> None:
    table = FakeTable(rows(5000))
    crm = FakeCrm(table)
    assert await read(crm, ["F0"]) == table.rows
    assert table.limits == [200, 1000, 2000, 2000, 2000]
    assert crm.credits == 1 + 2 + 3 + 3 + 3


@pytest.mark.parametrize(("most_rows", "most_columns"), [(200, 500), (1000, 50), (200, 50)])
async def test_the_smaller_limits_are_found_out(most_rows: int, most_columns: int) -> None:
    table = FakeTable(rows(700, columns=120), most_rows=most_rows, most_columns=most_columns)
    columns = [f"F{number}" for number in range(120)]
    assert await read(FakeCrm(table), columns) == table.rows
    assert sum(limit > most_rows for limit in table.limits) <= 1


async def test_a_page_that_is_too_large_is_asked_for_in_halves() -> None:
    table = FakeTable(rows(300))

    def answers(request: httpx.Request) -> httpx.Response:
        response = table(request)
        is_large = len(response.content) > 5_000
        return httpx.Response(200, content=bytes(9_000_000)) if is_large else response

    assert await read(FakeCrm(answers), ["F0"]) == table.rows


async def test_a_wide_row_that_changes_meanwhile_is_left_to_its_later_window() -> None:
    table = FakeTable(rows(10, columns=60))
    original = [dict(row) for row in table.rows]

    def answers(request: httpx.Request) -> httpx.Response:
        response = table(request)
        if table.rows[3]["Modified_Time"] < "2026-11-04T11":  # once the first columns were read
            table.rows[3] = {**table.rows[3], "Modified_Time": "2026-11-04T11:00:00+00:00"}
        return response

    found = await read(FakeCrm(answers), [f"F{number}" for number in range(60)], Pager(columns=(50,)))
    assert found == original[:3] + original[4:]


async def test_a_row_that_comes_up_meanwhile_drives_none_out_of_a_wide_page() -> None:
    table = FakeTable(rows(200, columns=60))
    original = list(table.rows)

    def answers(request: httpx.Request) -> httpx.Response:
        response = table(request)
        if len(table.rows) == 200:
            table.rows.insert(1, {**table.rows[0], "id": "100000000"})
            table.rows.sort(key=_key)
        return response

    found = await read(FakeCrm(answers), [f"F{number}" for number in range(60)], Pager(columns=(50,)))
    assert found == original


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (httpx.Response(200, json={"data": [{"COUNT(id)": 7}]}), 7),
        (httpx.Response(200, json={"data": [{"COUNT(id)": 0}]}), 0),
        (httpx.Response(204), 0),
    ],
)
async def test_a_count(response: httpx.Response, expected: int) -> None:
    crm = always(response)
    assert await coql.count(crm.api, WINDOW) == expected
    assert crm.asked == [
        ("POST", "v8/coql", {"select_query": f"select COUNT(id) from Leads where {BOUNDS}"}),
    ]
    assert crm.credits == 1


@pytest.mark.parametrize(
    "row",
    [
        {"id": "7' or id > 0", "Modified_Time": "2026-11-04T10:00:00+00:00"},
        {"id": "7", "Modified_Time": "2026' or id > 0"},
        {"id": "7", "Modified_Time": None},
        {"Modified_Time": "2026-11-04T10:00:00+00:00"},
    ],
)
async def test_a_row_without_a_place_in_the_order_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(RemoteError, match="a row without id or Modified_Time"):
        await Pager().page(always(httpx.Response(200, json={"data": [row]})).api, [], WINDOW, None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("10:00:05", "9"), ("10:00:05", "10")),  # the rows of the page before once more
        (("10:00:09", "12"), ("10:00:08", "13")),
        (("10:00:09", "14"), ("10:00:09", "13")),
        (("10:00:09", "14"), ("10:00:09", "14")),
    ],
)
async def test_pages_that_lead_back_end_it_instead_of_going_on_for_ever(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    after = RecordKey("2026-11-04T10:00:05+00:00", "10")
    data = [{"id": id_, "Modified_Time": f"2026-11-04T{at}+00:00"} for at, id_ in (first, second)]
    crm = always(httpx.Response(200, json={"data": data}))
    with pytest.raises(RemoteError, match="not in the order of Modified_Time and id"):
        await Pager().page(crm.api, [], WINDOW, after)


async def test_the_order_is_that_of_instants_and_numbers() -> None:
    after = RecordKey("2026-11-04T10:00:05+00:00", "9")
    data = [
        {"id": "10", "Modified_Time": "2026-11-04T10:00:05+00:00"},
        {"id": "1", "Modified_Time": "2026-11-04T12:00:06+02:00"},
    ]
    crm = always(httpx.Response(200, json={"data": data}))
    assert len((await Pager().page(crm.api, [], WINDOW, after)).rows) == 2


async def test_nothing_but_names_is_put_into_a_query() -> None:
    with pytest.raises(ValueError, match="no API name"):
        await Pager().page(always(httpx.Response(204)).api, ["Email from Users"], WINDOW, None)
