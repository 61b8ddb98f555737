"""Whether a run took a file: by its manifest, by times, by the number of records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.observed import FileRun, StoredFile
from crmflow.reconcile.extraction.taking import took
from crmflow.transfer.declaration import Window

NOON = datetime(2026, 11, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def file(seconds: float, rows: int = 5, deleted: int = 0) -> StoredFile:
    """One that was committed so many seconds after noon."""
    committed = NOON + timedelta(seconds=seconds)
    key = FileKey(Window(begin=committed.replace(microsecond=0) - HOUR, end=committed))
    return StoredFile(key, committed, rows, deleted)


def run(records: int | None = None, **more: object) -> FileRun:
    """That of noon."""
    fields = {"succeeded": True, "window": (NOON - HOUR, NOON), **more}
    return FileRun("r1", records_read=records, **fields)  # type: ignore[arg-type]


FILE = file(-3)
INSIDE = file(-1800, rows=3)
BEFORE, AFTER = file(-3605, rows=7), file(4, rows=11)


def test_its_manifest_says_it() -> None:
    assert took(run(files=frozenset({FILE.key})), FILE) is True
    assert took(run(files=frozenset({INSIDE.key})), FILE) is False
    assert took(run(files=frozenset({AFTER.key})), AFTER) is True, "whatever the clocks say"


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [
        (-3611, False),
        (-3605, None),
        (-3600, None),
        (-3589, True),
        (-11, True),
        (0, None),
        (9, None),
        (11, False),
    ],
)
def test_without_one_it_is_known_clear_of_the_bounds_of_its_window(seconds: int, taken: bool | None) -> None:
    assert took(run(), file(seconds)) is taken


def test_a_run_that_read_nothing_took_nothing() -> None:
    assert took(run(0), INSIDE) is False
    assert took(run(0, succeeded=None), INSIDE) is True, "not yet"


def test_a_run_without_a_window_tells_nothing() -> None:
    assert took(run(5, window=None), FILE, [FILE]) is None


@pytest.mark.parametrize(
    ("records", "files", "taken"),
    [
        pytest.param(8, [FILE, INSIDE], True, id="its rows are among them"),
        pytest.param(3, [FILE, INSIDE], False, id="they are not"),
        pytest.param(4, [FILE, INSIDE], None, id="it read something else"),
        pytest.param(19, [FILE, INSIDE, AFTER], True, id="a later one as well"),
        pytest.param(10, [BEFORE, INSIDE, FILE], False, id="an earlier one in its place"),
        pytest.param(14, [INSIDE, FILE, AFTER], None, id="none is left out between two"),
        pytest.param(8, [INSIDE, FILE, file(-3606)], None, id="two have as many rows"),
        pytest.param(5, [FILE], True, id="alone"),
        pytest.param(8, [], None, id="rows that do not tell"),
        pytest.param(None, [FILE, INSIDE], None, id="not reported"),
    ],
)
def test_near_a_bound_the_records_that_it_read_may_say_it(
    records: int | None, files: list[StoredFile], taken: bool | None
) -> None:
    assert took(run(records), FILE, files) is taken
    assert took(run(records, succeeded=False), FILE, files) is None, "a failed one may have read a part"


def test_rows_that_mark_deletions_count() -> None:
    marked = file(-3, rows=2, deleted=3)
    assert took(run(8), marked, [marked, INSIDE]) is True
