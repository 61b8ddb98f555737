"""Bulk read and notification channels (zoho.md 3.8, 3.9)."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.contract.zoho import Zoho
from tests.emulators.zoho.data_centers import Environment

READ = "/crm/bulk/v8/read"
WATCH = "/crm/v8/actions/watch"
SCOPES = ("ZohoCRM.bulk.READ", "ZohoCRM.modules.READ", "ZohoCRM.notifications.ALL")


class Caller:
    """Somebody with a token."""

    def __init__(self, zoho: Zoho, token: str) -> None:
        self._zoho = zoho
        self._header = {"Authorization": f"Zoho-oauthtoken {token}"}

    async def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        return await self._zoho.api.request(method, path, headers=self._header, **request)

    async def job(self, **query: Any) -> str:
        response = await self("POST", READ, json={"query": {"module": {"api_name": "Leads"}, **query}})
        assert response.status_code == 201, response.text
        identifier: str = response.json()["data"][0]["details"]["id"]
        return identifier


async def caller_of(zoho: Zoho, *scopes: str) -> Caller:
    return Caller(zoho, (await zoho.grant(scopes=list(scopes or SCOPES), exchange=True))["accessToken"])


@pytest.fixture
async def call(zoho: Zoho) -> Caller:
    return await caller_of(zoho)


def assert_error(response: httpx.Response, status: int, code: str, **details: Any) -> None:
    body = response.json()
    assert (response.status_code, body["code"], body["details"]) == (status, code, details)


# --- bulk read --------------------------------------------------------------------------------------------


async def test_a_job_is_added(call: Caller) -> None:
    response = await call(
        "POST",
        READ,
        json={
            "query": {"module": {"api_name": "Leads"}, "fields": ["id"], "page": 1},
            "callback": {"url": "https://example.com/done", "method": "post"},
            "file_type": "csv",
        },
    )
    assert response.status_code == 201
    (added,) = response.json()["data"]
    assert (added["status"], added["code"], added["message"]) == (
        "success",
        "ADDED_SUCCESSFULLY",
        "Added successfully.",
    )
    assert set(added["details"]) == {"id", "operation", "state", "created_by", "created_time"}
    assert (added["details"]["operation"], added["details"]["state"]) == ("read", "ADDED")
    assert response.json()["info"] == {}


async def test_a_job_goes_through_its_states(zoho: Zoho, call: Caller) -> None:
    zoho.state.switches.bulk_seconds = 30
    job, seen = await call.job(), []
    for _ in range(4):
        seen.append((await call("GET", f"{READ}/{job}")).json()["data"][0]["state"])
        zoho.clock.advance(10)
    assert seen == ["ADDED", "QUEUED", "IN PROGRESS", "COMPLETED"]


async def test_a_completed_job_has_a_zip_of_csv(zoho: Zoho, call: Caller) -> None:
    job = await call.job(fields=["id", "Last_Name", "Owner"])
    zoho.clock.advance(1)
    result = (await call("GET", f"{READ}/{job}")).json()["data"][0]["result"]
    assert result == {
        "page": 1,
        "per_page": 200_000,
        "count": 120,
        "download_url": f"{READ}/{job}/result",
        "more_records": False,
        "next_page_token": None,
    }
    file = await call("GET", result["download_url"])
    assert file.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        (name,) = archive.namelist()
        lines = list(csv.reader(io.StringIO(archive.read(name).decode())))
    assert lines[0] == ["id", "Last_Name", "Owner"]
    records = (await call("GET", "/crm/v8/Leads", params={"fields": "Last_Name,Owner"})).json()["data"]
    assert sorted(lines[1:]) == sorted([r["id"], r["Last_Name"], r["Owner"]["id"]] for r in records)


async def test_switch_bulk_page_rows(zoho: Zoho, call: Caller) -> None:
    zoho.state.switches.bulk_page_rows = 100
    jobs = [await call.job(page=page) for page in (1, 2)]
    zoho.clock.advance(1)
    results = [(await call("GET", f"{READ}/{job}")).json()["data"][0]["result"] for job in jobs]
    assert [(result["count"], result["more_records"]) for result in results] == [(100, True), (20, False)]


@pytest.mark.parametrize(("outcome", "status"), [("COMPLETED", 200), ("FAILURE", 400)])
async def test_switch_bulk_outcome(zoho: Zoho, call: Caller, outcome: Any, status: int) -> None:
    zoho.state.switches.bulk_outcome = outcome
    job = await call.job()
    zoho.clock.advance(1)
    shown = (await call("GET", f"{READ}/{job}")).json()["data"][0]
    assert (shown["state"], "result" in shown) == (outcome, outcome == "COMPLETED")
    assert (await call("GET", f"{READ}/{job}/result")).status_code == status


async def test_there_is_no_file_before_the_end_and_a_day_later(zoho: Zoho, call: Caller) -> None:
    zoho.state.switches.bulk_seconds = 30
    job = await call.job()
    found = []
    for seconds in (30, 24 * 3600 - 3700, 3700):
        found.append((await call("GET", f"{READ}/{job}/result")).status_code)
        zoho.clock.advance(seconds)
        call = await caller_of(zoho)
    last = await call("GET", f"{READ}/{job}/result")
    assert found == [400, 200, 200]
    assert_error(last, 400, "RESOURCE_NOT_FOUND", resource="job_id")


async def test_an_unknown_job(zoho: Zoho, call: Caller) -> None:
    assert_error(await call("GET", f"{READ}/1"), 404, "RESOURCE_NOT_FOUND", resource="job_id")
    assert_error(await call("GET", f"{READ}/1/result"), 400, "RESOURCE_NOT_FOUND", resource="job_id")


def _criteria(count: int) -> dict[str, Any]:
    one = {"field": {"api_name": "City"}, "comparator": "equal", "value": "Lyon"}
    return {"group_operator": "or", "group": [one] * count}


LEADS = {"module": {"api_name": "Leads"}}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "REQUEST_BODY_IS_EMPTY", "MANDATORY_NOT_FOUND"),
    ({"file_type": "csv"}, "MANDATORY_NOT_FOUND", "MANDATORY_NOT_FOUND"),
    ({"query": {}}, "MODULE_NOT_AVAILABLE", "INVALID_MODULE"),
    ({"query": {"module": {"api_name": "Nothing"}}}, "MODULE_NOT_AVAILABLE", "INVALID_MODULE"),
    ({"query": {"module": {"api_name": "Notes"}}}, "JOB_NOT_SUPPORTED", "NOT_SUPPORTED"),
    ({"query": LEADS, "file_type": "ics"}, "JOB_NOT_SUPPORTED", "NOT_SUPPORTED"),
    ({"query": {**LEADS, "fields": ["Nothing"]}}, "FIELD_NOT_AVAILABLE", "INVALID_DATA"),
    ({"query": {**LEADS, "criteria": _criteria(26)}}, "CRITERIA_LIMIT_EXCEEDED", "LIMIT_EXCEEDED"),
    ({"query": {**LEADS, "page": 0}}, "INVALID_DATA", "INVALID_DATA"),
    ({"query": {**LEADS, "page": 501}}, "PAGE_RANGE_EXCEEDED", "PAGE_RANGE_EXCEEDED"),
    ({"query": LEADS, "file_type": "xml"}, "INVALID_DATA", "INVALID_DATA"),
    ({"query": {"page_token": "x"}}, "INVALID_DATA", "INVALID_DATA"),
    ({"query": LEADS, "callback": {"url": "http://a.b"}}, "INVALID_CALLBACK_URL", "INVALID_DATA"),
    (
        {"query": LEADS, "callback": {"url": "https://a.b", "method": "get"}},
        "INVALID_CALLBACK_METHOD",
        "INVALID_DATA",
    ),
]


@pytest.mark.parametrize("position", ["bulk", "crm"])
async def test_switch_bulk_errors(zoho: Zoho, call: Caller, position: Any) -> None:
    zoho.state.switches.bulk_errors = position
    for body, bulk, crm in REFUSED:
        response = await call("POST", READ, json=body)
        code = bulk if position == "bulk" else crm
        assert (response.status_code, response.json()["code"]) == (400, code), body


async def test_a_job_takes_200_fields(zoho: Zoho, call: Caller) -> None:
    known = list(leads(zoho).fields)
    for number in range(200 - len(known)):
        await zoho.change("PUT", f"/zoho/eu/production/modules/Leads/fields/Extra_{number}")
    fields = list(leads(zoho).fields)
    assert len(fields) == 200
    await call.job(fields=fields)
    response = await call("POST", READ, json={"query": {**LEADS, "fields": [*fields, "id"]}})
    assert (response.status_code, response.json()["code"]) == (400, "LIMIT_EXCEEDED")


@pytest.mark.parametrize("most", [500, 50])
async def test_switch_bulk_pages(zoho: Zoho, call: Caller, most: Any) -> None:
    zoho.state.switches.bulk_pages = most
    await call.job(page=most)
    response = await call("POST", READ, json={"query": {**LEADS, "page": most + 1}})
    assert_error(response, 400, "PAGE_RANGE_EXCEEDED", max_limit=most)


# --- what a job reads -------------------------------------------------------------------------------------


def leads(zoho: Zoho) -> Any:
    """The module in the emulator's own hands."""
    return zoho.state.organization("eu", Environment.PRODUCTION).modules["Leads"]


async def table(zoho: Zoho, call: Caller, job: str) -> list[dict[str, str]]:
    """The rows of a job's file."""
    zoho.clock.advance(1)
    file = await call("GET", f"{READ}/{job}/result")
    assert file.status_code == 200, file.text
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        return list(csv.DictReader(io.StringIO(archive.read(archive.namelist()[0]).decode())))


def one(name: str, comparator: str, value: Any) -> dict[str, Any]:
    return {"field": {"api_name": name}, "comparator": comparator, "value": value}


async def test_a_window_of_modified_time(zoho: Zoho, call: Caller) -> None:
    times = sorted(r["Modified_Time"] for r in leads(zoho).records.values())
    begin, end = times[20], times[70]
    window = [one("Modified_Time", "greater_equal", begin), one("Modified_Time", "less_than", end)]
    job = await call.job(fields=["Modified_Time"], criteria={"group_operator": "and", "group": window})
    found = await table(zoho, call, job)
    assert sorted(row["Modified_Time"] for row in found) == times[20:70]
    ids = [row["id"] for row in found]
    assert ids != sorted(ids)


@pytest.mark.parametrize(
    "criteria",
    [
        one("City", "equal", "Lyon"),
        one("City", "in", ["Lyon", "Hamburg"]),
        one("City", "not_in", ["Torino"]),
        one("City", "starts_with", "Ly"),
        one("City", "contains", "yo"),
        one("City", "not_contains", "o"),
        one("City", "ends_with", "on"),
        one("City", "not_equal", "Lyon"),
        one("Annual_Revenue", "between", [1000, 50_000]),
        one("Annual_Revenue", "not_between", [1000, 50_000]),
        one("Annual_Revenue", "greater_than", 50_000),
        one("Annual_Revenue", "less_equal", 50_000),
        {"group_operator": "or", "group": [one("City", "equal", "Lyon"), one("City", "equal", "Torino")]},
    ],
)
async def test_criteria(zoho: Zoho, call: Caller, criteria: dict[str, Any]) -> None:
    found = await table(zoho, call, await call.job(fields=["City", "Annual_Revenue"], criteria=criteria))
    ids = {row["id"] for row in found}
    assert ids == {r["id"] for r in leads(zoho).records.values() if _fits(r, criteria)}
    assert 0 < len(ids) < 120


def _fits(record: dict[str, Any], criteria: dict[str, Any]) -> bool:
    if "group" in criteria:
        return any(_fits(record, part) for part in criteria["group"])
    have, want = record[criteria["field"]["api_name"]], criteria["value"]
    match criteria["comparator"]:
        case "equal" | "in":
            return bool(have == want or (isinstance(want, list) and have in want))
        case "not_equal" | "not_in":
            return bool(have != want and not (isinstance(want, list) and have in want))
        case "starts_with":
            return str(have).startswith(want)
        case "ends_with":
            return str(have).endswith(want)
        case "contains":
            return want in have
        case "not_contains":
            return want not in have
        case "between":
            return bool(want[0] <= have <= want[1])
        case "not_between":
            return not want[0] <= have <= want[1]
        case "greater_than":
            return bool(have > want)
        case _:
            return bool(have <= want)


@pytest.mark.parametrize("header", ["id", "Id"])
async def test_switch_bulk_id_header(zoho: Zoho, call: Caller, header: Any) -> None:
    zoho.state.switches.bulk_id_header = header
    rows = await table(zoho, call, await call.job(fields=["Last_Name"]))
    assert list(rows[0]) == [header, "Last_Name"]


async def test_encrypted_fields_are_blank(zoho: Zoho, call: Caller) -> None:
    path = "/zoho/eu/production/modules/Leads"
    await zoho.change("PUT", f"{path}/fields/Secret", dataType="text", encrypted=True)
    record = next(iter(leads(zoho).records))
    await zoho.change("PATCH", f"{path}/records/{record}", Secret="hidden")
    rows = await table(zoho, call, await call.job(fields=["Secret"]))
    assert {row["Secret"] for row in rows} == {""}


async def test_a_job_reads_when_it_runs(zoho: Zoho, call: Caller) -> None:
    """Records as they were when the state became IN PROGRESS, whatever happens afterwards."""
    zoho.state.switches.bulk_seconds = 30
    path, ids = "/zoho/eu/production/modules/Leads/records", list(leads(zoho).records)
    job = await call.job(fields=["Last_Name"])
    await zoho.change("PATCH", f"{path}/{ids[0]}", Last_Name="Before")
    zoho.clock.advance(25)
    await zoho.change("PATCH", f"{path}/{ids[1]}", Last_Name="After")
    await zoho.change("DELETE", f"{path}/{ids[2]}")
    zoho.clock.advance(10)
    names = {row["id"]: row["Last_Name"] for row in await table(zoho, call, job)}
    assert (names[ids[0]], ids[2] in names) == ("Before", True)
    assert names[ids[1]] != "After"


# --- parts ------------------------------------------------------------------------------------------------


async def parts(zoho: Zoho, call: Caller, between: Any) -> list[list[str]]:
    """The ids of all parts; ``between`` happens after the first."""
    zoho.state.switches.bulk_page_rows = 50
    job = await call.job(fields=["Last_Name"])
    found = []
    while True:
        found.append([row["id"] for row in await table(zoho, call, job)])
        result = (await call("GET", f"{READ}/{job}")).json()["data"][0]["result"]
        assert result["more_records"] == (result["next_page_token"] is not None)
        if not result["more_records"]:
            return found
        if len(found) == 1:
            await between(found[0])
        body = {"query": {"page_token": result["next_page_token"]}}
        job = (await call("POST", READ, json=body)).json()["data"][0]["details"]["id"]


@pytest.mark.parametrize(("position", "complete"), [("snapshot", True), ("shifted", False)])
async def test_switch_bulk_parts(zoho: Zoho, call: Caller, position: Any, complete: bool) -> None:
    zoho.state.switches.bulk_parts = position
    before = set(leads(zoho).records)

    async def one_disappears(first: list[str]) -> None:
        await zoho.change("DELETE", f"/zoho/eu/production/modules/Leads/records/{first[0]}")

    found = await parts(zoho, call, one_disappears)
    assert [len(part) for part in found] == ([50, 50, 20] if complete else [50, 50, 19])
    assert (set().union(*found) == before) == complete


async def test_a_token_is_sent_alone(zoho: Zoho, call: Caller) -> None:
    zoho.state.switches.bulk_page_rows = 50
    job = await call.job(fields=["Last_Name"])
    zoho.clock.advance(1)
    token = (await call("GET", f"{READ}/{job}")).json()["data"][0]["result"]["next_page_token"]
    response = await call("POST", READ, json={"query": {**LEADS, "page_token": token}})
    assert (response.status_code, response.json()["code"]) == (400, "TOKEN_BOUND_DATA_MISMATCH")


@pytest.mark.parametrize("code", ["EXPIRED_VALUE", "INVALID_DATA", "TOKEN_EXPIRED"])
async def test_switch_bulk_expired_token_code(zoho: Zoho, call: Caller, code: Any) -> None:
    zoho.state.switches.bulk_expired_token_code = code
    zoho.state.switches.bulk_page_rows = 50
    job = await call.job(fields=["Last_Name"])
    zoho.clock.advance(1)
    token = (await call("GET", f"{READ}/{job}")).json()["data"][0]["result"]["next_page_token"]
    body = {"query": {"page_token": token}}
    zoho.clock.advance(24 * 3600 - 60)
    call = await caller_of(zoho)
    assert (await call("POST", READ, json=body)).status_code == 201
    zoho.clock.advance(120)
    response = await call("POST", READ, json=body)
    assert (response.status_code, response.json()["code"]) == (400, code)


# --- limits -----------------------------------------------------------------------------------------------


async def test_ten_downloads_a_minute(zoho: Zoho, call: Caller) -> None:
    job = await call.job(fields=["id"])
    zoho.clock.advance(1)
    found = [(await call("GET", f"{READ}/{job}/result")).status_code for _ in range(11)]
    assert found == [200] * 10 + [429]
    zoho.clock.advance(60)
    assert (await call("GET", f"{READ}/{job}/result")).status_code == 200


@pytest.mark.parametrize("most", [None, 2])
async def test_switch_bulk_jobs_at_once(zoho: Zoho, call: Caller, most: Any) -> None:
    zoho.state.switches.bulk_jobs_at_once = most
    for _ in range(2):
        await call.job()
    third = await call("POST", READ, json={"query": LEADS})
    assert third.status_code == (201 if most is None else 429)
    zoho.clock.advance(1)
    await call.job()


@pytest.mark.parametrize("scope", SCOPES[:2])
async def test_both_scopes_are_needed(zoho: Zoho, scope: str) -> None:
    call = await caller_of(zoho, scope)
    response = await call("GET", f"{READ}/1")
    assert (response.status_code, response.json()["code"]) == (401, "OAUTH_SCOPE_MISMATCH")


async def test_a_job_costs_fifty_credits_and_a_look_one(zoho: Zoho, call: Caller) -> None:
    zgid = next(iter(zoho.state.organizations))
    before = zoho.state.credits.used(zgid)
    job = await call.job()
    assert zoho.state.credits.used(zgid) - before == 50
    await call("GET", f"{READ}/{job}")
    assert zoho.state.credits.used(zgid) - before == 51


# --- notification channels --------------------------------------------------------------------------------


def channel(**changes: Any) -> dict[str, Any]:
    return {
        "channel_id": "1000000068001",
        "events": ["Leads.create", "Contacts.all"],
        "notify_url": "https://example.com/notify",
        "token": "mine",
        **changes,
    }


async def test_channels_come_change_and_go(call: Caller) -> None:
    assert (await call("GET", WATCH)).status_code == 204
    made = await call("POST", WATCH, json={"watch": [channel()]})
    assert (made.status_code, made.json()["watch"][0]["status"]) == (201, "success")
    changed = await call(
        "PATCH", WATCH, json={"watch": [{"channel_id": "1000000068001", "events": ["Deals.edit"]}]}
    )
    assert changed.status_code == 202
    (shown,) = (await call("GET", WATCH)).json()["watch"]
    assert shown["events"] == ["Leads.create", "Contacts.all", "Deals.edit"]
    replaced = await call("PUT", WATCH, json={"watch": [channel(events=["Deals.all"])]})
    assert replaced.status_code == 200
    (shown,) = (await call("GET", WATCH)).json()["watch"]
    assert shown["events"] == ["Deals.all"]
    ended = await call("DELETE", WATCH, params={"channel_ids": "1000000068001"})
    assert ended.status_code == 200
    assert (await call("GET", WATCH)).status_code == 204


async def test_a_channel_expires(zoho: Zoho, call: Caller) -> None:
    def week(days: float) -> str:
        return (datetime.fromtimestamp(zoho.clock.time, UTC) + timedelta(days=days)).isoformat()

    refused = await call("POST", WATCH, json={"watch": [channel(channel_expiry=week(7.1))]})
    assert_error(refused, 400, "INVALID_DATA", param_name="channel_expiry")
    assert (
        await call("POST", WATCH, json={"watch": [channel(channel_expiry=week(0.01))]})
    ).status_code == 201
    zoho.clock.advance(900)
    assert (await call("GET", WATCH)).status_code == 204


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_only_known_channels_change(call: Caller, method: str) -> None:
    response = await call(method, WATCH, json={"watch": [channel()]})
    assert (response.status_code, response.json()["code"]) == (400, "NOT_SUBSCRIBED")


async def test_only_known_channels_end(call: Caller) -> None:
    response = await call("DELETE", WATCH, params={"channel_ids": "7"})
    assert_error(response, 400, "NOT_SUBSCRIBED", channel_id="7")


@pytest.mark.parametrize(
    ("watch", "code"),
    [
        (None, "MANDATORY_NOT_FOUND"),
        ([channel(notify_url=None)], "MANDATORY_NOT_FOUND"),
        ([channel(channel_id="x")], "INVALID_DATA"),
        ([channel(events=["Nothing.all"])], "INVALID_DATA"),
        ([channel(events=["Leads.peek"])], "INVALID_DATA"),
    ],
)
async def test_refused_channels(call: Caller, watch: Any, code: str) -> None:
    response = await call("POST", WATCH, json={"watch": watch})
    assert (response.status_code, response.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("method", "operation"),
    [("POST", "CREATE"), ("GET", "READ"), ("PUT", "UPDATE"), ("PATCH", "UPDATE"), ("DELETE", "DELETE")],
)
async def test_each_method_has_a_scope_of_its_own(zoho: Zoho, method: str, operation: str) -> None:
    operations = {"CREATE", "READ", "UPDATE", "DELETE"} - {operation}
    call = await caller_of(zoho, *(f"ZohoCRM.notifications.{other}" for other in operations))
    response = await call(method, WATCH)
    assert (response.status_code, response.json()["code"]) == (401, "OAUTH_SCOPE_MISMATCH")
