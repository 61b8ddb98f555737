"""A window into a file, through every trouble: nothing is lost, doubled or seen too early."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass
from crmflow.transfer.credentials import Credentials
from crmflow.transfer.program import outcome
from crmflow.transfer.report import ExitCode, Report
from crmflow.transfer.transfer import Transfer
from tests.unit.transfer.clock import RunningClock
from tests.unit.transfer.declared import COLUMNS, declared
from tests.unit.transfer.fake_blob import FakeBlob, failure
from tests.unit.transfer.fake_zoho import FakeZoho, Record, refusal


def records(count: int = 7) -> list[Record]:
    """In the window, besides one before it and one at its end."""
    inside = [
        {
            "id": str(100 + number),
            "Email": f"p{number}@example.com",
            "Owner": {"id": "77", "name": "Anna"},
            "Note": ["plain", 'say "hi"', "a, b", "two\nlines", "Größe ☃", "back\\slash", None][number % 7],
            "Modified_Time": f"2026-11-04T11:{number:02}:00+01:00",
        }
        for number in range(count)
    ]
    outside = (
        [
            {**inside[0], "id": "1", "Modified_Time": "2026-11-04T10:59:59+01:00"},
            {**inside[0], "id": "2", "Modified_Time": "2026-11-04T12:00:00+01:00"},
        ]
        if inside
        else []
    )
    return [*inside, *outside]


class Harness:
    """A transfer between a fake Zoho and a fake blob; ``attempt`` is one process."""

    def __init__(self, folder: Path, rows: list[Record] | None = None, **changes: Any) -> None:
        self.zoho = FakeZoho(COLUMNS, records() if rows is None else rows)
        self.blob = FakeBlob()
        self.clock = RunningClock()
        self.changes = changes
        self.folder = folder
        (folder / "accessToken").write_text("token-1")

    def transfer(self, **changes: Any) -> Transfer:
        http = HttpClient(httpx.MockTransport(self.zoho), self.clock)
        declaration = declared(**{**self.changes, **changes})
        credentials = Credentials(self.folder, self.clock)
        transfer = Transfer(declaration, http, credentials, self.blob, self.clock)
        transfer.writer._block_bytes = 150  # several blocks
        return transfer

    async def attempt(self, **changes: Any) -> Report:
        return await outcome(self.transfer(**changes))

    @property
    def file(self) -> list[list[str]]:
        assert self.blob.content is not None
        return list(csv.reader(io.StringIO(self.blob.content.decode(), newline="")))

    def ids(self) -> list[str]:
        return sorted(row[0] for row in self.file[1:])


@pytest.fixture(params=["Bulk", "COQL"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Harness:
    return Harness(tmp_path, way=request.param)


IDS = [str(100 + number) for number in range(7)]


async def test_the_window_becomes_a_file(harness: Harness) -> None:
    report = await harness.attempt()
    assert harness.file[0] == COLUMNS
    assert sorted(harness.file[1:]) == [
        ["100", "p0@example.com", "77", "plain", "2026-11-04T10:00:00Z"],
        ["101", "p1@example.com", "77", 'say "hi"', "2026-11-04T10:01:00Z"],
        ["102", "p2@example.com", "77", "a, b", "2026-11-04T10:02:00Z"],
        ["103", "p3@example.com", "77", "two\nlines", "2026-11-04T10:03:00Z"],
        ["104", "p4@example.com", "77", "Größe ☃", "2026-11-04T10:04:00Z"],
        ["105", "p5@example.com", "77", "back\\slash", "2026-11-04T10:05:00Z"],
        ["106", "p6@example.com", "77", "", "2026-11-04T10:06:00Z"],
    ]
    assert harness.blob.content is not None
    assert (report.exit_code, report.reason, report.rows, report.deleted) == (0, "Written", 7, 0)
    assert (report.count_before, report.count_after) == (7, 7)
    assert report.bytes == len(harness.blob.content)
    assert harness.blob.calls.count("stage") > 2
    assert b"\r" not in harness.blob.content


async def test_both_ways_write_the_same_lines(tmp_path: Path) -> None:
    lines = []
    for way in ("Bulk", "COQL"):
        one = Harness(tmp_path, way=way, deleted_records="Mark")
        await one.attempt()
        lines.append(sorted(one.file))
    assert lines[0] == lines[1]


async def test_an_empty_window_has_no_file(harness: Harness) -> None:
    harness.zoho.records = []
    report = await harness.attempt()
    assert (report.exit_code, report.reason, report.rows, report.file) == (0, "NothingNew", 0, None)
    assert (harness.blob.content, harness.blob.staged) == (None, {})


async def test_deletions_are_marked_except_where_the_record_lives(harness: Harness) -> None:
    harness.zoho.deleted = [
        ("900", "2026-11-04T11:30:00+01:00"),
        ("901", "2026-11-04T12:00:00+01:00"),  # at the end of the window, so not in it
        ("103", "2026-11-04T11:03:00+01:00"),  # restored
    ]
    report = await harness.attempt(deleted_records="Mark")
    assert harness.file[0] == [*COLUMNS, "crmflow_deleted"]
    assert {row[0]: row[-1] for row in harness.file[1:]} == {**dict.fromkeys(IDS, "false"), "900": "true"}
    assert harness.file[-1] == ["900", "", "", "", "", "true"]
    assert (report.rows, report.deleted) == (7, 1)


async def test_deletions_alone_make_a_file(harness: Harness) -> None:
    harness.zoho.records = []
    harness.zoho.deleted = [("900", "2026-11-04T11:30:00+01:00")]
    report = await harness.attempt(deleted_records="Mark")
    assert harness.file[1:] == [["900", "", "", "", "", "true"]]
    assert (report.reason, report.rows, report.deleted) == ("Written", 0, 1)


async def test_the_metadata_says_what_the_report_says(harness: Harness) -> None:
    report = await harness.attempt()
    again = await harness.attempt(attempt=3)
    assert (again.reason, again.credits) == ("AlreadyWritten", 0)
    assert again.model_copy(update={"reason": "Written", "credits": report.credits}) == report


# Whatever breaks.


class Killed(BaseException):
    """The process is gone."""


def kill_at(step: int) -> Callable[[str], None]:
    calls = itertools.count()

    def kill(_: str) -> None:
        if next(calls) >= step:  # nothing is sent any more, by no task
            raise Killed

    return kill


async def test_an_attempt_killed_at_any_call_shows_nothing_and_the_next_one_writes_all(
    harness: Harness,
) -> None:
    for side in ("before", "after", "zoho"):
        for step in range(100):
            harness.blob = FakeBlob()
            harness.zoho.before = lambda _: None
            if side == "zoho":
                kill = kill_at(step)
                harness.zoho.before = lambda operation, kill=kill: kill(operation)
            else:
                setattr(harness.blob, side, kill_at(step))
            try:
                await harness.transfer(attempt=1).run()
                break  # there is no such call any more
            except Killed:
                pass
            is_committed = harness.blob.found is not None
            assert is_committed == (side == "after" and harness.blob.calls[-1] == "commit")
            assert is_committed or harness.blob.content is None
            harness.blob.before = harness.blob.after = lambda _: None
            harness.zoho.before = lambda _: None
            report = await harness.attempt(attempt=2)
            assert report.reason == ("AlreadyWritten" if is_committed else "Written")
            assert harness.ids() == IDS
        else:
            pytest.fail("it never ends")


@pytest.mark.parametrize("operation", ["stage", "commit"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_request_or_answer_changes_nothing(harness: Harness, operation: str, when: str) -> None:
    lost: list[str] = []

    def lose(name: str) -> None:
        if name == operation and not lost:
            lost.append(name)
            raise failure("ConnectionLost", maybe_applied=True)

    setattr(harness.blob, when, lose)
    report = await harness.attempt()
    assert (report.exit_code, report.reason, harness.ids(), lost) == (0, "Written", IDS, [operation])


async def test_another_attempt_was_faster(harness: Harness) -> None:
    def overtake(operation: str) -> None:
        if operation == "commit" and not overtaken:
            overtaken.append(harness.blob.found)
            harness.blob.content, harness.blob.found = theirs

    await harness.attempt(attempt=2)
    theirs = harness.blob.content, harness.blob.found
    overtaken: list[Any] = []
    harness.blob = FakeBlob(before=overtake)
    report = await harness.attempt(attempt=1)
    assert (report.exit_code, report.reason, report.rows) == (0, "AlreadyWritten", 7)
    assert (harness.blob.content, harness.blob.found) == theirs
    assert len(overtaken) == 1


@pytest.mark.parametrize(
    "change",
    [{"rows": "many"}, {"windowend": "2026-11-04T11:00:01Z"}, {"extraction": "9"}, {"formversion": "2"}],
)
async def test_a_file_of_somebody_else_is_left_alone(harness: Harness, change: dict[str, str]) -> None:
    await harness.attempt()
    assert harness.blob.found is not None
    harness.blob.found |= change
    content, calls = harness.blob.content, list(harness.zoho.calls)
    report = await harness.attempt()
    assert (report.exit_code, report.reason) == (ExitCode.LANDING_ZONE, "BlobNotOurs")
    assert (harness.blob.content, harness.zoho.calls) == (content, calls)


async def test_blocks_that_are_gone_are_written_anew_by_another_attempt(harness: Harness) -> None:
    def lose(operation: str) -> None:
        if operation == "commit":
            harness.blob.staged.clear()

    harness.blob.before = lose
    report = await harness.attempt()
    assert (report.exit_code, report.reason, harness.blob.content) == (ExitCode.RETRY, "BlocksLost", None)


@pytest.mark.parametrize("spoiled", [None, "create", "job", "result", "page", "deleted"])
async def test_no_row_is_told(
    harness: Harness, spoiled: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    page = json.dumps({"data": harness.zoho.records, "p0@example.com": 1})
    harness.zoho.before = lambda operation: httpx.Response(200, text=page) if operation == spoiled else None
    report = await harness.attempt(deleted_records="Mark")
    told = report.model_dump_json() + caplog.text
    assert not any(value in told for value in ("example.com", "Größe", "two", "77", "token-1"))


async def test_sigterm_ends_it_without_a_commit(harness: Harness) -> None:
    task = asyncio.create_task(harness.attempt())

    def end(operation: str) -> None:
        if operation == "stage":
            task.cancel()

    harness.blob.after = end
    report = await task
    assert (report.exit_code, report.reason) == (ExitCode.RETRY, "Terminated")
    assert (harness.blob.content, "commit" in harness.blob.calls) == (None, False)


async def test_a_download_that_breaks_is_begun_anew_at_its_part(tmp_path: Path) -> None:
    harness, broken = Harness(tmp_path, way="Bulk"), []

    def truncate(operation: str) -> httpx.Response | None:
        if (
            operation == "result"
            and len(broken) < 2
            and harness.zoho.calls.count("result") == 2 + len(broken)
        ):
            broken.append(operation)
            return httpx.Response(200, content=harness.zoho._result("2").content[:120])
        return None

    harness.zoho.before = truncate
    report = await harness.attempt()
    assert (report.reason, harness.ids(), len(broken)) == ("Written", IDS, 2)
    assert harness.zoho.calls.count("create") == 3


@pytest.mark.parametrize(
    ("response", "exit_code", "reason"),
    [
        (refusal(429, "TOO_MANY_REQUESTS"), ExitCode.RETRY, "RateLimited"),
        (refusal(503, "SERVICE_UNAVAILABLE"), ExitCode.RETRY, "Unavailable"),
        (refusal(401, "INVALID_TOKEN"), ExitCode.ZOHO_TOKEN, "TokenRejected"),
        (refusal(401, "OAUTH_SCOPE_MISMATCH"), ExitCode.ZOHO_ACCESS, "ScopeMissing"),
        (refusal(400, "INVALID_MODULE"), ExitCode.DECLARATION, "ModuleNotReadable"),
        (refusal(400, "FIELD_NOT_AVAILABLE"), ExitCode.DECLARATION, "ColumnNotReadable"),
        (refusal(400, "SYNTAX_ERROR"), ExitCode.BUG, "RequestRefused"),
    ],
)
async def test_the_exit_status_says_who_has_to_act(
    harness: Harness, response: httpx.Response, exit_code: ExitCode, reason: str
) -> None:
    harness.zoho.before = lambda operation: None if operation == "count" else response
    report = await harness.attempt()
    assert (report.exit_code, report.reason) == (exit_code, reason)
    assert harness.blob.content is None


@pytest.mark.parametrize(
    ("operation", "response", "reason"),
    [
        ("create", refusal(400, "EXPIRED_VALUE"), "PageTokenExpired"),
        ("job", httpx.Response(200, json={"data": [{"state": "FAILURE"}]}), "BulkReadFailed"),
        ("result", refusal(404, "RESOURCE_NOT_FOUND"), "NotFound"),
    ],
)
async def test_what_bulk_read_forgets_is_read_by_another_attempt(
    tmp_path: Path, operation: str, response: httpx.Response, reason: str
) -> None:
    harness = Harness(tmp_path, way="Bulk")
    harness.zoho.before = lambda name: (
        response if name == operation and harness.zoho.calls.count(name) == 2 else None
    )
    report = await harness.attempt()
    assert (report.exit_code, report.reason, harness.blob.content) == (ExitCode.RETRY, reason, None)
    harness.zoho.before = lambda _: None
    assert (await harness.attempt(attempt=3)).reason == "Written"
    assert harness.ids() == IDS


async def test_a_part_with_fewer_rows_than_zoho_says_is_not_committed(tmp_path: Path) -> None:
    harness = Harness(tmp_path, way="Bulk")
    whole = harness.zoho._job

    def more(job: str) -> httpx.Response:
        body = whole(job).json()
        body["data"][0]["result"]["count"] += 1
        return httpx.Response(200, json=body)

    harness.zoho._job = more  # type: ignore[method-assign]
    report = await harness.attempt()
    assert (report.exit_code, report.reason, harness.blob.content) == (
        ExitCode.RETRY,
        "UnreadableAnswer",
        None,
    )


async def test_a_file_without_a_column_is_not_guessed(tmp_path: Path) -> None:
    harness = Harness(tmp_path, way="Bulk")
    harness.zoho.header = ["Id", "Email"]
    report = await harness.attempt()
    assert (report.exit_code, report.reason) == (ExitCode.BUG, "RowsNotUnderstood")
    assert "without the column Owner" in report.message


async def test_a_token_that_ends_in_the_middle_is_replaced(harness: Harness) -> None:
    def end(operation: str) -> None:
        if operation == "stage" and "token-1" in harness.zoho.tokens:
            harness.zoho.tokens = {"token-2"}

    def renew() -> None:
        if harness.clock.passed > 90:
            (harness.folder / "accessToken").write_text("token-2")

    harness.blob.after = end
    harness.clock._slept = renew
    assert (await harness.attempt()).reason == "Written"
    assert harness.ids() == IDS


async def test_more_columns_than_bulk_read_has_are_read_page_by_page(tmp_path: Path) -> None:
    columns = [*COLUMNS, *(f"F{number}" for number in range(250))]
    rows = [{**one, **{name: f"{one['id']}.{name}" for name in columns[5:]}} for one in records()]
    harness = Harness(tmp_path, rows, way="Bulk", columns=columns)
    assert (await harness.attempt()).reason == "Written"
    assert harness.ids() == IDS
    assert [row[5:] for row in harness.file[1:]] == [[f"{one}.{name}" for name in columns[5:]] for one in IDS]
    assert "create" not in harness.zoho.calls


async def test_a_landing_zone_that_stays_away_is_given_up_after_some_minutes(harness: Harness) -> None:
    def stay_away(operation: str) -> None:
        if operation == "stage":
            raise failure("Unavailable")

    harness.blob.before = stay_away
    report = await harness.attempt()
    assert (report.exit_code, report.reason) == (ExitCode.RETRY, "Unavailable")
    assert harness.clock.passed < 1200
    assert harness.zoho.calls.count("result") <= 1


async def test_the_blob_service_says_no(harness: Harness) -> None:
    def say(operation: str) -> None:
        if operation == "stage":
            raise failure("LandingZoneNotFound", ErrorClass.TERMINAL)

    harness.blob.before = say
    assert (await harness.attempt()).exit_code == ExitCode.LANDING_ZONE
