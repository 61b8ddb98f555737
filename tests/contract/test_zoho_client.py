"""The operator's own client of Zoho CRM's data, against the emulator."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import RemoteError
from crmflow.zoho import bulk_read, coql, deleted, tables
from crmflow.zoho.api import CrmApi
from crmflow.zoho.bulk_read import BulkJobState
from crmflow.zoho.coql import ModuleWindow, Pager, RecordKey
from tests.contract.zoho import Zoho

SCOPES = ["ZohoCRM.bulk.READ", "ZohoCRM.coql.READ", "ZohoCRM.modules.READ", "ZohoCRM.settings.ALL"]
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def crm(zoho: Zoho) -> AsyncIterator[CrmApi]:
    grant = await zoho.grant(scopes=SCOPES, exchange=True)
    async with httpx.AsyncHTTPTransport(verify=False) as transport:
        url = str(zoho.api.base_url).rstrip("/")
        yield CrmApi(HttpClient(transport, Clock()), url, SecretStr(grant["accessToken"]))


def now(zoho: Zoho) -> datetime:
    return datetime.fromtimestamp(zoho.clock.time, UTC)


async def ids_by_coql(crm: CrmApi, columns: list[str], window: ModuleWindow) -> list[str]:
    pager, found = Pager(rows=(50,), columns=(10,)), []
    after: RecordKey | None = None
    while (page := await pager.page(crm, columns, window, after)).last:
        assert all(set(row) >= {"id", *columns} for row in page.rows)
        found += [row["id"] for row in page.rows]
        after = page.last
    return found


async def ids_by_bulk_read(zoho: Zoho, crm: CrmApi, columns: list[str], window: ModuleWindow) -> list[str]:
    criteria = bulk_read.window(window.cursor, window.begin, window.end)
    job_id = await bulk_read.create(crm, window.module, columns, criteria)
    while (job := await bulk_read.job(crm, job_id)).state != BulkJobState.COMPLETED:
        zoho.clock.advance(1)
    async with bulk_read.result(crm, job_id) as download:
        content = b"".join([piece async for piece in download.chunks])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        rows = list(csv.reader(io.StringIO(archive.read(archive.namelist()[0]).decode())))
    assert (job.rows, job.next_page_token) == (len(rows) - 1, None)
    place = [name.lower() for name in rows[0]].index("id")
    return [row[place] for row in rows[1:]]


async def test_both_ways_read_the_same_rows_of_all_columns(zoho: Zoho, crm: CrmApi) -> None:
    columns = [
        field.api_name
        for field in await tables.fields(crm, "Contacts")
        if field.delivery is not tables.Delivery.NOT_DELIVERED
    ]
    window = ModuleWindow("Contacts", "Modified_Time", BEGINNING, now(zoho))
    paged = await ids_by_coql(crm, columns, window)
    assert len(paged) == len(set(paged)) == await coql.count(crm, window) == 150
    assert sorted(paged) == sorted(await ids_by_bulk_read(zoho, crm, columns, window))


async def test_what_was_deleted_in_a_window(zoho: Zoho, crm: CrmApi) -> None:
    window = ModuleWindow("Leads", "Modified_Time", BEGINNING, now(zoho))
    first, second = (await ids_by_coql(crm, [], window))[:2]
    await zoho.change("DELETE", f"/zoho/eu/production/modules/Leads/records/{first}")
    zoho.clock.advance(60)
    await zoho.change("DELETE", f"/zoho/eu/production/modules/Leads/records/{second}")
    found, more = await deleted.page(crm, "Leads", now(zoho) - timedelta(seconds=30), 1)
    assert ([record.id for record in found], more) == ([second], False)
    assert (await deleted.page(crm, "Leads", now(zoho) + timedelta(seconds=30), 1)) == ([], False)


@pytest.mark.parametrize(("module", "readable"), [("Leads", True), ("Home", False), ("Old_Contracts", False)])
async def test_which_modules_can_be_read(crm: CrmApi, module: str, readable: bool) -> None:
    found = {one.api_name: one.is_readable for one in await tables.modules(crm)}
    assert found[module] is readable


async def test_unknown_names(zoho: Zoho, crm: CrmApi) -> None:
    window = ModuleWindow("Leads", "Modified_Time", BEGINNING, now(zoho))
    with pytest.raises(RemoteError) as column:
        await Pager().page(crm, ["Nothing"], window, None)
    with pytest.raises(RemoteError) as module:
        await coql.count(crm, ModuleWindow("Leeds", "Modified_Time", BEGINNING, now(zoho)))
    assert (column.value.reason, module.value.reason) == ("ColumnNotReadable", "ModuleNotReadable")
