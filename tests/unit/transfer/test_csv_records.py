"""Rows out of pieces of a CSV file; Python's own ``csv`` is the judge."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.transfer.csv_records import CsvRecords, MalformedCsvError, encoded, restored

CELL = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "Z", "S"]) | st.sampled_from('",\r\n'), max_size=6
)
TABLE = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=5)
)


def written(rows: list[list[str]], line_end: str, quoting: int) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator=line_end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return file.getvalue().encode()


def rows_of(content: bytes, cuts: list[int]) -> list[bytes]:
    records, begin = CsvRecords(), 0
    found: list[bytes] = []
    for cut in [*sorted(cuts), len(content)]:
        found += records.feed(content[begin:cut])
        begin = max(begin, cut)
    return [*found, *records.end()]


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@given(
    rows=TABLE,
    cuts=st.lists(st.integers(0, 60), max_size=4),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_cells_are_those_of_pythons_csv_however_the_file_is_cut(
    rows: list[list[str]], cuts: list[int], line_end: str, quoting: int
) -> None:
    rows = [row for row in rows if row != [""]]  # an empty line, to some
    if any("\r" in text for row in rows for text in row):
        quoting = csv.QUOTE_ALL  # without it Python's writer leaves one bare, which its reader can't read
    found = rows_of(written(rows, line_end, quoting), cuts)
    assert read(restored(found)) == rows
    expected = [[encoded(text.encode()) for text in row] for row in rows]  # in quotes where needed only
    assert [[restored([cell])[:-1] for cell in row.split(b",")] for row in found] == expected


def test_a_byte_order_mark_and_a_missing_last_line_end_are_taken() -> None:
    assert rows_of(b"\xef\xbb\xbfid,Name\n1,x", []) == [b"id,Name", b"1,x"]


@pytest.mark.parametrize("content", [b'a,"b\n', b'a,b"c"\n', b'a,"b"c\n', b"a,\xff\n", b'a,b"\n"c\n'])
def test_what_is_not_understood_is_not_guessed(content: bytes) -> None:
    with pytest.raises(MalformedCsvError):
        rows_of(content, [])
