"""Bulk read and notification channels (zoho.md 3.8, 3.9)."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.contract.zoho import Zoho, running_zoho

READ = "/crm/bulk/v8/read"
WATCH = "/crm/v8/actions/watch"
SCOPES = ("ZohoCRM.bulk.READ", "ZohoCRM.modules.READ", "ZohoCRM.notifications.ALL")


@pytest.fixture
async def zoho() -> AsyncIterator[Zoho]:
    async with running_zoho() as running:
        yield running


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


@pytest.mark.parametrize(("outcome", "status"), [("COMPLETED", 200), ("FAILURE", 404)])
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
    assert found == [404, 200, 200]
    assert_error(last, 404, "RESOURCE_NOT_FOUND", resource="job_id")


async def test_an_unknown_job(zoho: Zoho, call: Caller) -> None:
    assert_error(await call("GET", f"{READ}/1"), 404, "RESOURCE_NOT_FOUND", resource="job_id")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "MANDATORY_NOT_FOUND"),
        ({"query": {}}, "INVALID_MODULE"),
        ({"query": {"module": {"api_name": "Nothing"}}}, "INVALID_MODULE"),
        ({"query": {"module": {"api_name": "Notes"}}}, "NOT_SUPPORTED"),
        ({"query": {"module": {"api_name": "Leads"}, "fields": ["Nothing"]}}, "INVALID_DATA"),
        ({"query": {"module": {"api_name": "Leads"}, "page": 0}}, "INVALID_DATA"),
        ({"query": {"module": {"api_name": "Leads"}}, "file_type": "xml"}, "INVALID_DATA"),
    ],
)
async def test_refused_jobs(call: Caller, body: Any, code: str) -> None:
    response = await call("POST", READ, json=body)
    assert (response.status_code, response.json()["code"]) == (400, code)


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
