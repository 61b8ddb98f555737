"""``crmflow transfer`` between the emulated Zoho CRM and Azurite, looked at with Azure's own SDK."""

from __future__ import annotations

import asyncio
import csv
import io
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crmflow.blob.block_blob import BlockBlob
from crmflow.blob.service import BlobService
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.pool import SpreadTransport
from crmflow.transfer.credentials import Credentials
from crmflow.transfer.declaration import Declaration
from crmflow.transfer.program import outcome
from crmflow.transfer.report import ExitCode, Report
from crmflow.transfer.transfer import Transfer
from tests.contract.aep import Aep
from tests.contract.landing_zone import credentials, names, opened
from tests.emulators.core.server import Emulators
from tests.emulators.zoho.data_centers import Environment

SCOPES = ["ZohoCRM.bulk.READ", "ZohoCRM.coql.READ", "ZohoCRM.modules.READ"]
COLUMNS = ["id", "Modified_Time", "Created_Time", "Last_Name", "Owner", "Description"]
FOLDER = "crmflow/prod/team/leads/1-abcd"


class EmulatorClock(Clock):
    """Sleeping moves the emulators' clock. ``meanwhile`` happens in the first pause."""

    def __init__(self, emulators: Emulators, meanwhile: Callable[[], Awaitable[None]] | None) -> None:
        super().__init__()
        self._emulators = emulators
        self._meanwhile = meanwhile

    def now(self) -> float:
        return self._emulators.clock.now()

    async def sleep_until(self, when: float) -> None:
        self._emulators.clock.advance(max(0.0, when - self.now()))
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        await asyncio.sleep(0)


class Harness:
    """Transfers of all Leads up to now."""

    def __init__(self, emulators: Emulators, folder: Path, aep: Aep, control: Any) -> None:
        self.emulators = emulators
        self.folder = folder
        self.aep = aep
        self.control = control
        self.end = datetime.fromtimestamp(int(emulators.clock.now()), UTC)
        self.extraction = 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def renew(self) -> None:
        """A fresh token and the SAS of the moment, into the mounted Secret."""
        grant = await self.control("POST", "/zoho/grants", {"scopes": SCOPES, "exchange": True})
        (self.folder / "accessToken").write_text(grant["accessToken"])
        (self.folder / "sasUri").write_text((await credentials(self.aep))["SASUri"])

    async def run(self, **changes: Any) -> Report:
        """One attempt."""
        declaration = Declaration.model_validate(
            {
                "formVersion": 1,
                "zohoApiUrl": self.emulators.zoho_api_url,
                "module": "Leads",
                "columns": COLUMNS,
                "dateTimes": ["Modified_Time", "Created_Time"],
                "window": {"begin": datetime(1970, 1, 1, tzinfo=UTC), "end": self.end},
                "extraction": self.extraction,
                "attempt": 0,
                "folder": FOLDER,
                "way": "Bulk",
                **changes,
            }
        )
        clock = EmulatorClock(self.emulators, self.meanwhile)
        async with SpreadTransport(pools=2) as transport:
            http = HttpClient(transport, clock)
            secret = Credentials(self.folder, clock)
            blob = BlockBlob(BlobService(http, secret), declaration.file)
            return await outcome(Transfer(declaration, http, secret, blob, clock))

    async def file(self, report: Report) -> list[dict[str, str]]:
        """The rows of the file, as Azure's SDK reads it."""
        async with opened((await credentials(self.aep))["SASUri"]) as container:
            assert await names(container) == [report.file]
            content = await (await container.get_blob_client(report.file).download_blob()).readall()
        assert len(content) == report.bytes
        return list(csv.DictReader(io.StringIO(content.decode(), newline="")))

    def leads(self) -> dict[str, dict[str, Any]]:
        """What Zoho CRM has."""
        return self.emulators.zoho.organization("eu", Environment.PRODUCTION).modules["Leads"].records


@pytest.fixture
async def harness(emulators: Emulators, tmp_path: Path, aep: Aep, control: Any) -> Harness:
    found = Harness(emulators, tmp_path, aep, control)
    await found.renew()
    return found


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def assert_complete(rows: list[dict[str, str]], leads: dict[str, dict[str, Any]]) -> None:
    """Every lead once, with its values."""
    assert sorted(row["id"] for row in rows) == sorted(leads)
    for row in rows:
        lead = leads[row["id"]]
        assert row["Modified_Time"].endswith("Z")
        assert instant(row["Modified_Time"]) == instant(lead["Modified_Time"])
        assert (row["Last_Name"], row["Owner"]) == (lead["Last_Name"], lead["Owner"]["id"])
        assert row["Description"] == (lead.get("Description") or "")


@pytest.mark.parametrize("way", ["Bulk", "COQL"])
@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"bulk_page_rows": 50, "coql_rows": 200},
        {"bulk_page_rows": 50, "bulk_id_header": "Id", "coql_columns": 50},
    ],
)
async def test_a_window_arrives_whole(harness: Harness, way: str, switches: dict[str, Any]) -> None:
    for name, position in switches.items():
        setattr(harness.emulators.zoho.switches, name, position)
    identifier = next(iter(harness.leads()))
    note = 'He said "no", twice:\nno\\no; Größe ☃'
    await harness.control(
        "PATCH", f"/zoho/eu/production/modules/Leads/records/{identifier}", {"Description": note}
    )
    harness.emulators.clock.advance(60)
    harness.end += timedelta(seconds=60)
    report = await harness.run(way=way)
    assert (report.reason, report.rows) == ("Written", 120), report
    assert (report.count_before, report.count_after) == (120, 120)
    assert_complete(await harness.file(report), harness.leads())


@pytest.mark.parametrize("act", ["PATCH", "DELETE"])
@pytest.mark.parametrize("place", [0, 119], ids=["in the first part", "in the last part"])
@pytest.mark.parametrize(("parts", "rows"), [("snapshot", 120), ("shifted", 119)])
async def test_a_record_that_leaves_between_two_parts_takes_no_other_with_it(
    harness: Harness, parts: Any, rows: int, place: int, act: str
) -> None:
    """Where the parts are of different instants, the second one would begin a record too late."""
    switches = harness.emulators.zoho.switches
    switches.bulk_page_rows, switches.bulk_parts = 50, parts
    leads = {id: dict(record) for id, record in harness.leads().items()}
    leaves = sorted(leads, key=lambda id: zlib.crc32(id.encode()))[place]

    async def meanwhile() -> None:
        await harness.control(
            act, f"/zoho/eu/production/modules/Leads/records/{leaves}", {"Description": "Told anew."}
        )

    harness.meanwhile = meanwhile
    report = await harness.run()
    assert (report.reason, report.rows) == ("Written", rows), report
    assert (report.count_before, report.count_after) == (120, 119)
    if rows == 119:
        del leads[leaves]
    assert_complete(await harness.file(report), leads)


async def test_deletions(harness: Harness) -> None:
    gone, *_ = list(harness.leads())
    await harness.control("DELETE", f"/zoho/eu/production/modules/Leads/records/{gone}")
    harness.emulators.clock.advance(60)
    harness.end += timedelta(seconds=60)
    report = await harness.run(deletedRecords="Mark")
    rows = await harness.file(report)
    assert (report.rows, report.deleted) == (119, 1)
    assert {row["id"] for row in rows if row["crmflow_deleted"] == "true"} == {gone}


async def test_nothing_in_the_window(harness: Harness) -> None:
    begin = harness.end + timedelta(days=1)
    report = await harness.run(window={"begin": begin, "end": begin + timedelta(hours=1)})
    assert report.reason == "NothingNew"
    async with opened((await credentials(harness.aep))["SASUri"]) as container:
        assert await names(container) == []


@pytest.mark.parametrize("code", ["BlobAlreadyExists", "ConditionNotMet", "InvalidBlockList"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_lost_commit_is_one(harness: Harness, code: str, moment: str) -> None:
    harness.emulators.blob.switches.existingBlob = code
    fault = {"service": "blob", "method": "PUT", "query": "comp=blocklist", "reset": moment}
    await harness.control("POST", "/faults", fault)
    report = await harness.run()
    assert (report.exit_code, report.rows) == (0, 120)
    assert_complete(await harness.file(report), harness.leads())


@pytest.mark.parametrize("code", ["ServerBusy", "InternalError"])
async def test_a_busy_blob_service_is_waited_for(harness: Harness, code: str) -> None:
    await harness.control("POST", "/faults", {"service": "blob", "method": "PUT", "azure": code})
    report = await harness.run()
    assert_complete(await harness.file(report), harness.leads())


async def test_a_second_attempt_finds_the_file(harness: Harness) -> None:
    first = await harness.run()
    second = await harness.run(attempt=1)
    assert (second.reason, second.rows, second.credits) == ("AlreadyWritten", first.rows, 0)


async def test_a_sas_that_was_replaced(harness: Harness) -> None:
    await harness.aep.call(
        "POST", "/data/foundation/connectors/landingzone/credentials?type=user_drop_zone&action=refresh"
    )
    report = await harness.run()
    assert (report.exit_code, report.reason) == (ExitCode.SAS, "LandingZoneRefused")
    await harness.renew()
    assert (await harness.run(attempt=1)).reason == "Written"


@pytest.mark.parametrize(
    ("switch", "position", "exit_code", "reason"),
    [
        ("bulk_outcome", "FAILURE", ExitCode.RETRY, "BulkReadFailed"),
        ("credit_limit", 3, ExitCode.RETRY, "RateLimited"),
    ],
)
async def test_what_zoho_does_not_do(
    harness: Harness, switch: str, position: Any, exit_code: ExitCode, reason: str
) -> None:
    setattr(harness.emulators.zoho.switches, switch, position)
    report = await harness.run()
    assert (report.exit_code, report.reason) == (exit_code, reason)


async def test_a_token_that_has_ended(harness: Harness) -> None:
    await harness.control("POST", "/zoho/access-tokens/expire", {})
    report = await harness.run()
    assert (report.exit_code, report.reason) == (ExitCode.ZOHO_TOKEN, "TokenRejected")


async def test_unknown_columns(harness: Harness) -> None:
    report = await harness.run(columns=[*COLUMNS, "Nothing"])
    assert (report.exit_code, report.reason) == (ExitCode.DECLARATION, "ColumnNotReadable")
