"""Deleted records: what is asked, and what is made of the pages (landing-zone.md F.2)."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from crmflow.http.errors import RemoteError
from crmflow.zoho import deleted
from crmflow.zoho.deleted import DeletedRecord
from tests.unit.zoho.crm_api import always

SINCE = datetime(2026, 11, 4, 10, tzinfo=UTC)
RECORDS = [DeletedRecord("7", SINCE), DeletedRecord("8", SINCE)]


def shown(*records: DeletedRecord, more: bool = False) -> httpx.Response:
    data = [{"id": one.id, "deleted_time": one.deleted_at.isoformat()} for one in records]
    return httpx.Response(200, json={"data": data, "info": {"more_records": more}})


async def test_a_page() -> None:
    crm = always(shown(*RECORDS, more=True))
    assert await deleted.page(crm.api, "Leads", SINCE, 1) == (RECORDS, True)
    assert crm.asked == [("GET", "v8/Leads/deleted?type=all&page=1&per_page=200", None)]
    assert (crm.credits, crm.headers[0]["if-modified-since"]) == (2, "2026-11-04T10:00:00+00:00")


@pytest.mark.parametrize("status", [204, 304])
async def test_nothing_was_deleted(status: int) -> None:
    assert await deleted.page(always(httpx.Response(status)).api, "Leads", SINCE, 1) == ([], False)


async def test_a_last_page_may_be_as_the_one_before() -> None:
    assert await deleted.page(always(shown(*RECORDS)).api, "Leads", SINCE, 2, RECORDS) == (RECORDS, False)


@pytest.mark.parametrize("records", [[], RECORDS])
async def test_pages_that_lead_nowhere_are_not_followed(records: list[DeletedRecord]) -> None:
    with pytest.raises(RemoteError, match="the same page of deleted records again") as caught:
        await deleted.page(always(shown(*records, more=True)).api, "Leads", SINCE, 2, RECORDS)
    assert caught.value.reason == "UnreadableAnswer"


@pytest.mark.parametrize(
    "record", [{"id": "x", "deleted_time": SINCE.isoformat()}, {"id": "7", "deleted_time": "soon"}, {}]
)
async def test_a_record_that_tells_too_little(record: dict[str, str]) -> None:
    answer = httpx.Response(200, json={"data": [record], "info": {"more_records": False}})
    with pytest.raises(RemoteError, match="a deleted record without id or time"):
        await deleted.page(always(answer).api, "Leads", SINCE, 1)
