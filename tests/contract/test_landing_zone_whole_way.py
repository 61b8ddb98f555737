"""From Zoho through the landing zone into a dataset, by a client that knows nothing of the operator."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from tests.contract.aep import Aep
from tests.contract.landing_zone import flow, put
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators

RECORDS = "/zoho/eu/production/modules/Contacts/records"
ROWS = f"/aep/sandboxes/prod/dataSets/{ids.CONTACTS_DATASET}/rows"
COLUMNS = ["First_Name", "Last_Name", "Email", "Modified_Time"]


class Extractor:
    """Reads contacts in bulk and hands them on as a file."""

    def __init__(self, emulators: Emulators, http: aiohttp.ClientSession, token: str) -> None:
        self._emulators = emulators
        self._http = http
        self._headers = {"Authorization": f"Zoho-oauthtoken {token}"}
        self._url = f"{emulators.zoho_api_url}/crm/bulk/v8/read"

    async def all(self) -> list[dict[str, str]]:
        """The rows of all parts."""
        rows: list[dict[str, str]] = []
        query: dict[str, Any] = {"module": {"api_name": "Contacts"}, "fields": COLUMNS}
        while True:
            async with self._http.post(self._url, json={"query": query}, headers=self._headers) as made:
                job = (await made.json())["data"][0]["details"]["id"]
            self._emulators.clock.advance(1)
            async with self._http.get(f"{self._url}/{job}", headers=self._headers) as shown:
                result = (await shown.json())["data"][0]["result"]
            async with self._http.get(f"{self._url}/{job}/result", headers=self._headers) as file:
                rows += _rows(await file.read())
            if not result["more_records"]:
                return rows
            query = {"page_token": result["next_page_token"]}


def _rows(content: bytes) -> list[dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    return list(csv.DictReader(io.StringIO(text)))


def _as_file(rows: list[dict[str, str]]) -> str:
    """Instants in UTC, as Data Prep takes them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "Modified_Time": _utc(row["Modified_Time"])} for row in rows)
    return text.getvalue()


def _utc(instant: str) -> str:
    return datetime.fromisoformat(instant).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
async def extractor(emulators: Emulators, http: aiohttp.ClientSession, control: Any) -> Extractor:
    scopes = ["ZohoCRM.bulk.READ", "ZohoCRM.modules.READ"]
    grant = await control("POST", "/zoho/grants", {"scopes": scopes, "exchange": True})
    return Extractor(emulators, http, grant["accessToken"])


async def test_what_is_ingested_is_what_zoho_holds(
    aep: Aep, emulators: Emulators, control: Any, extractor: Extractor
) -> None:
    emulators.zoho.switches.bulk_page_rows = 60
    await control("POST", RECORDS, {"count": 20, "now": True})
    rows = await extractor.all()
    await put(aep, "crmflow/a/b/1.csv", _as_file(rows))
    await flow(aep)
    await control("POST", "/clock", {"advance": 400})
    ingested = [row["values"] for row in (await control("GET", ROWS))["rows"]]
    held = [
        {"id": r["id"], "Modified_Time": _utc(r["Modified_Time"])}
        for r in (await control("GET", RECORDS))["records"]
    ]
    assert len(held) == 170
    assert sorted(ingested, key=lambda row: row["id"]) == sorted(held, key=lambda row: row["id"])
