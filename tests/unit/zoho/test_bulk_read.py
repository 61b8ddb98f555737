"""Bulk Read: what is asked, and what is made of the answers (landing-zone.md F.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.zoho import bulk_read
from crmflow.zoho.bulk_read import Job, window
from tests.unit.zoho.crm_api import FakeCrm, always, refusal

CREATED = httpx.Response(201, json={"data": [{"code": "ADDED_SUCCESSFULLY", "details": {"id": "77"}}]})
BEGIN, END = datetime(2026, 11, 4, 10, tzinfo=UTC), datetime(2026, 11, 4, 11, tzinfo=UTC)


def shown(state: str, **result: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": [{"id": "77", "state": state, "result": result or None}]})


async def test_a_job_reads_a_window() -> None:
    crm = always(CREATED)
    assert (
        await bulk_read.create(crm.api, "Leads", ["id", "Email"], window("Modified_Time", BEGIN, END)) == "77"
    )
    field = {"api_name": "Modified_Time"}
    criteria = {
        "group_operator": "and",
        "group": [
            {"field": field, "comparator": "greater_equal", "value": "2026-11-04T10:00:00+00:00"},
            {"field": field, "comparator": "less_than", "value": "2026-11-04T11:00:00+00:00"},
        ],
    }
    query = {"module": {"api_name": "Leads"}, "fields": ["id", "Email"], "criteria": criteria}
    assert crm.asked == [("POST", "bulk/v8/read", {"query": query, "file_type": "csv"})]
    assert (crm.credits, crm.headers[0]["authorization"]) == (50, "Zoho-oauthtoken 1000.aa.bb")


async def test_the_next_part_is_asked_for_by_its_token_alone() -> None:
    crm = always(CREATED)
    assert await bulk_read.create_next(crm.api, "c85") == "77"
    assert crm.asked == [("POST", "bulk/v8/read", {"query": {"page_token": "c85"}})]


@pytest.mark.parametrize("code", ["EXPIRED_VALUE", "INVALID_DATA", "WHATEVER"])
async def test_a_part_that_zoho_has_forgotten(code: str) -> None:
    with pytest.raises(RemoteError) as raised:
        await bulk_read.create_next(always(refusal(400, code)).api, "c85")
    assert (raised.value.error_class, raised.value.reason) == (ErrorClass.TRANSIENT, "PageTokenExpired")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (shown("ADDED"), Job("77", "ADDED")),
        (shown("IN PROGRESS"), Job("77", "IN PROGRESS")),
        (shown("PAUSED"), Job("77", "PAUSED")),
        (shown("FAILURE"), Job("77", "FAILURE")),
        (shown("COMPLETED", count=5, more_records=False, next_page_token=None), Job("77", "COMPLETED", 5)),
        (
            shown("COMPLETED", count=200_000, more_records=True, next_page_token="c85"),
            Job("77", "COMPLETED", 200_000, "c85"),
        ),
    ],
)
async def test_how_far_a_job_is(response: httpx.Response, expected: Job) -> None:
    assert await bulk_read.job(always(response).api, "77") == expected


async def test_the_file_comes_in_pieces() -> None:
    crm = always(httpx.Response(200, content=b"PK" * 10))
    async with bulk_read.result(crm.api, "77") as download:
        assert b"".join([piece async for piece in download.chunks]) == b"PK" * 10
    assert crm.asked == [("GET", "bulk/v8/read/77/result", None)]
    assert (crm.headers[0]["accept-encoding"], crm.credits) == ("identity", 1)


@pytest.mark.parametrize(
    ("response", "error_class", "reason"),
    [
        (refusal(404, "RESOURCE_NOT_FOUND"), ErrorClass.NOT_FOUND, "NotFound"),
        (refusal(400, "WHATEVER"), ErrorClass.NOT_FOUND, "NotFound"),  # an unknown job, here
        (refusal(429, "TOO_MANY_REQUESTS"), ErrorClass.TRANSIENT, "RateLimited"),
        (refusal(401, "INVALID_TOKEN"), ErrorClass.TERMINAL, "TokenRejected"),
    ],
)
async def test_refused_files(response: httpx.Response, error_class: ErrorClass, reason: str) -> None:
    with pytest.raises(RemoteError) as raised:
        async with bulk_read.result(always(response).api, "77"):
            pass
    assert (raised.value.error_class, raised.value.reason) == (error_class, reason)


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, json={"data": []}),
        shown("COMPLETED"),
        shown("COMPLETED", count=200_000, more_records=True, next_page_token=None),
    ],
)
async def test_a_look_that_tells_too_little(response: httpx.Response) -> None:
    with pytest.raises(RemoteError, match="answered 200 with"):
        await bulk_read.job(always(response).api, "77")


async def test_a_refused_call_costs_nothing() -> None:
    crm: FakeCrm = always(refusal(400, "MODULE_NOT_AVAILABLE"))
    with pytest.raises(RemoteError) as raised:
        await bulk_read.create(crm.api, "Leeds", ["id"], ())
    assert (raised.value.reason, crm.credits) == ("ModuleNotReadable", 0)


async def test_parts_that_lead_back_are_not_followed() -> None:
    answer = shown("COMPLETED", count=2, more_records=True, next_page_token="t1")
    assert (await bulk_read.job(always(answer).api, "77", {"t0"})).next_page_token == "t1"
    with pytest.raises(RemoteError, match="page token of a part that was read") as caught:
        await bulk_read.job(always(answer).api, "77", {"t0", "t1"})
    assert caught.value.reason == "UnreadableAnswer"
