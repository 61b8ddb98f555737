"""Names of files, folders and Jobs; the cursor that is found by them; completeness."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.extraction.completeness import Reason, compare
from crmflow.reconcile.extraction.cursor import (
    Cursor,
    CursorSource,
    cursor_of_annotation,
    find_cursor,
)
from crmflow.reconcile.extraction.names import (
    FILE_LABEL,
    FileKey,
    folder,
    folders_until,
    job_labels,
    job_name,
    next_folder,
    organization_label,
)
from crmflow.reconcile.extraction.observed import FileRun, StoredFile
from crmflow.reconcile.extraction.pending import PendingWindow
from crmflow.reconcile.extraction.rhythm import BEGINNING
from crmflow.transfer.declaration import Declaration, Way, Window

NOON = datetime(2026, 11, 4, 12, tzinfo=UTC)
HOUR, LEAD = timedelta(hours=1), timedelta(minutes=15)
IDENTITY = Identity("eu-1", "CRMDataflow", "marketing", "contacts", "6b1f8a52-0c1e-4c6e-8f0e-1d2a3b4c5d6e")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=0)
)
WINDOWS = (
    st.tuples(INSTANTS, INSTANTS).filter(lambda t: t[0] < t[1]).map(lambda t: Window(begin=t[0], end=t[1]))
)
KEYS = st.builds(FileKey, WINDOWS, st.integers(0, 999_999))


def test_a_folder_tells_those_that_it_succeeded() -> None:
    first = folder(IDENTITY, 0)
    second = next_folder(first)
    assert list(folders_until(next_folder(second))) == [first, second, next_folder(second)]
    assert list(folders_until("somebody/data")) == ["somebody/data"]
    assert list(folders_until(next_folder("somebody/data"))) == ["somebody/1-data"]
    assert list(folders_until("somebody/2026-data")) == ["somebody/2026-data"]


def window(hours: float) -> Window:
    """The hour that ends so many hours after noon."""
    return Window(begin=NOON + (hours - 1) * HOUR, end=NOON + hours * HOUR)


def stored(hours: float, extraction: int = 0, **more: int) -> StoredFile:
    key = FileKey(window(hours), extraction)
    return StoredFile(**{"key": key, "committed": key.window.end + HOUR / 4, "rows": 10, **more})  # type: ignore[arg-type]


def run(begin: float, end: float, **more: object) -> FileRun:
    fields = {"succeeded": True, "records_read": 10, **more}
    return FileRun(f"r{end}", window=(NOON + begin * HOUR, NOON + end * HOUR), **fields)  # type: ignore[arg-type]


@given(KEYS)
def test_a_files_name_says_what_is_in_it(key: FileKey) -> None:
    assert FileKey.of(f"crmflow/a/b/c/0-1/{key}") == key
    declared = Declaration(
        form_version=1,
        zoho_api_url="https://www.zohoapis.eu",
        module="Contacts",
        columns=("id",),
        window=key.window,
        extraction=key.extraction,
        attempt=0,
        folder="crmflow/a",
        way=Way.COQL,
    )
    assert declared.file == f"crmflow/a/{key}", "the transfer writes it under the same name"


@pytest.mark.parametrize(
    "name",
    [
        "20261104T101500Z-20261104T111500Z.csv",
        "20261104T111500Z-20261104T101500Z-0.csv",
        "20261304T101500Z-20261404T101500Z-0.csv",
        "20261104T101500Z-20261104T111500Z-00.csv",
        "20261104T101500Z-20261104T111500Z-0.csv.bak",
        "contacts.csv",
    ],
)
def test_other_names_are_not_ours(name: str) -> None:
    assert FileKey.of(name) is None


def test_the_folder_tells_dataflows_and_their_successors_apart() -> None:
    assert re.fullmatch(r"crmflow/eu-1/marketing/contacts/0-[0-9a-f]{8}", folder(IDENTITY, 0))
    anew = Identity("eu-1", "CRMDataflow", "marketing", "contacts", "another")
    assert len({folder(IDENTITY, 0), folder(IDENTITY, 1), folder(anew, 0)}) == 3


@given(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?", fullmatch=True), KEYS, st.integers(0, 999_999))
def test_jobs_have_names_that_kubernetes_takes(name: str, key: FileKey, attempt: int) -> None:
    identity = Identity("eu-1", "CRMDataflow", "marketing", name, IDENTITY.uid)
    found = job_name(identity, key, attempt)
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", found)
    assert job_name(identity, key, attempt) == found
    assert job_name(identity, key, attempt + 1) != found
    organization = organization_label("6001", "Production")
    labels = job_labels(identity, key, organization)
    assert all(LABEL.fullmatch(value) for value in labels.values())
    assert FileKey.of_label(labels[FILE_LABEL]) == key


def test_slots_are_counted_by_organization_and_environment() -> None:
    assert organization_label("6001", "Production") != organization_label("6001", "Sandbox")


METADATA = {"rows": "3", "deleted": "1", "bytes": "99", "countbefore": "4", "countafter": "3"}


def test_a_stored_file_is_what_its_metadata_says() -> None:
    key = FileKey(window(0), 2)
    file = StoredFile.of_blob(f"crmflow/x/{key}", NOON, METADATA)
    assert file == StoredFile(key, NOON, rows=3, deleted=1, bytes=99, count_before=4, count_after=3)
    assert StoredFile.of_blob("crmflow/x/y.csv", NOON, METADATA) is None
    assert StoredFile.of_blob(str(key), NOON, {"rows": "3"}) is None


def test_the_cursor_of_status_stands_while_no_file_is_beyond_it() -> None:
    recorded = Cursor(NOON, set_at=NOON)
    found = find_cursor(recorded, (), [stored(0)], (), LEAD)
    assert found is not None
    assert (found.time, found.source, found.pending, found.may_overlap) == (
        NOON,
        CursorSource.STATUS,
        (),
        False,
    )


def test_a_restored_status_catches_up_with_the_folder() -> None:
    old = PendingWindow(window(0), None, file=stored(0))
    found = find_cursor(Cursor(NOON, NOON), (old,), [stored(0), stored(1), stored(2), stored(2, 1)], (), LEAD)
    assert found is not None
    assert (found.time, found.source) == (NOON + 2 * HOUR, CursorSource.FOLDER)
    assert [one.key for one in found.pending] == [old.key, FileKey(window(1)), FileKey(window(2), 1)]


def test_a_cursor_that_was_set_back_is_not_moved_by_older_files() -> None:
    back = Cursor(NOON - 9 * HOUR, set_at=NOON + 5 * HOUR)
    found = find_cursor(back, (), [stored(1), stored(2)], (), LEAD)
    assert found is not None
    assert (found.time, found.source) == (back.time, CursorSource.STATUS)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        pytest.param([], None, id="no run"),
        pytest.param([run(0, 1, succeeded=False)], None, id="a failed run"),
        pytest.param([run(0, 1, records_read=0)], None, id="a run that read nothing"),
        pytest.param(
            [run(0, 1), run(1, 2, records_read=0)], NOON - LEAD, id="less its lead: a file may be late"
        ),
        pytest.param(
            [run(0, 1), run(1, 2, files=frozenset({FileKey(window(0.75))}))],
            NOON + 0.75 * HOUR,
            id="manifest",
        ),
    ],
)
def test_without_files_the_runs_tell_the_cursor(runs: list[FileRun], expected: datetime | None) -> None:
    found = find_cursor(None, (), [], runs, LEAD)
    assert (found and found.time) == expected
    assert found is None or found.may_overlap


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-04T12:00:00Z", NOON),
        ("2026-11-04T13:00:00.5+01:00", NOON),
        (" Backfill", BEGINNING),
    ],
)
def test_the_annotation_sets_the_cursor(text: str, expected: datetime) -> None:
    assert cursor_of_annotation(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-04T12:00:00", "0001-01-01T00:00:00Z"])
def test_another_annotation_says_what_it_has_to_be(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time such as"):
        cursor_of_annotation(text)


def counted(before: int, after: int, **more: int) -> StoredFile:
    return stored(0, count_before=before, count_after=after, **more)


@pytest.mark.parametrize(
    ("files", "of_run", "reason"),
    [
        pytest.param([counted(10, 10)], None, Reason.WAITING, id="not taken yet"),
        pytest.param([counted(10, 10)], run(0, 1, succeeded=None), Reason.WAITING, id="under way"),
        pytest.param([counted(10, 10)], run(0, 1), Reason.ROWS_MATCH, id="all"),
        pytest.param([counted(12, 8)], run(0, 1), Reason.ROWS_MATCH, id="modified meanwhile"),
        pytest.param(
            [counted(10, 10, deleted=2)], run(0, 1, records_read=12), Reason.ROWS_MATCH, id="deletions"
        ),
        pytest.param([counted(10, 10)] * 2, run(0, 1, records_read=20), Reason.ROWS_MATCH, id="two files"),
        pytest.param([counted(10, 10)], run(0, 1, records_failed=4), Reason.ROWS_MATCH, id="refused is read"),
        pytest.param([counted(12, 11)], None, Reason.ROWS_DIFFER, id="not all were written"),
        pytest.param(
            [counted(10, 10)], run(0, 1, records_read=9), Reason.ROWS_DIFFER, id="not all were read"
        ),
        pytest.param([counted(10, 10)], run(0, 1, records_read=None), Reason.NOT_REPORTED, id="says nothing"),
        pytest.param([stored(0)], run(0, 1), Reason.NOT_REPORTED, id="never counted"),
        pytest.param([], run(0, 1, records_read=0), Reason.NOT_REPORTED, id="no file"),
    ],
)
def test_completeness(files: list[StoredFile], of_run: FileRun | None, reason: Reason) -> None:
    assert compare(files, of_run).reason is reason


def test_what_was_refused_is_told_apart() -> None:
    message = compare([counted(10, 10)], run(0, 1, records_failed=4, records_skipped=1)).message
    assert message == "10 rows were written; run r1 read 10, refused 4, skipped 1."
