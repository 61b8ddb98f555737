"""Header and lines of a file, whichever way the values came."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.transfer.cells import FileForm, MissingColumnError, cell_of, utc
from crmflow.transfer.csv_records import MalformedCsvError
from tests.unit.transfer.declared import declared


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (b"2023-10-15T14:20:00+00:00", b"2023-10-15T14:20:00Z"),
        (b"2023-10-15T14:20:00Z", b"2023-10-15T14:20:00Z"),
        (b"2023-10-15T01:20:00+05:30", b"2023-10-14T19:50:00Z"),
        (b"2023-10-15T14:20:00.123-02:00", b"2023-10-15T16:20:00Z"),
        (b"", b""),
        (b"2023-10-15", b"2023-10-15"),
        (b"2023-10-15T14:20:00", b"2023-10-15T14:20:00"),
        (b"soon", b"soon"),
        (b"0123456789abcdef:of 25 ch", b"0123456789abcdef:of 25 ch"),
        (b"0001-01-01T00:00:00+05:30", b"0001-01-01T00:00:00+05:30"),
    ],
)
def test_instants_are_written_as_platform_reads_them(cell: bytes, expected: bytes) -> None:
    assert utc(cell) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (1.5, "1.5"),
        (1e16, "10000000000000000"),
        (1e-7, "0.0000001"),
        ("Süß", "Süß"),
        ('a "b", c', '"a ""b"", c"'),
        ("a\nb", '"a\nb"'),
        ("a\\b", "a\\b"),
        (" a ", " a "),
        ({"id": "77", "name": "Smith, John"}, "77"),
        ({"name": "Hot"}, "Hot"),
        (["German", "English"], "German;English"),
        ([{"id": "1", "name": "VIP"}, {"id": "2", "name": "New"}], "1;2"),
        ("\ud800", "?"),
    ],
)
def test_values_of_json(value: Any, expected: str) -> None:
    assert cell_of(value) == expected.encode()


def test_the_file_has_the_declared_columns_in_their_order() -> None:
    form = FileForm(declared(columns=["Email", "Owner", "id", "Modified_Time"], date_times=["Modified_Time"]))
    part = form.part(b"Id,Modified_Time,Extra,Owner.id,Email")
    row = b"7,2023-10-15T14:20:00+00:00,x,9,a@b"
    record = {"id": "7", "Modified_Time": "2023-10-15T14:20:00+00:00", "Owner": {"id": "9"}, "Email": "a@b"}
    assert form.header == b"Email,Owner,id,Modified_Time"
    assert part.line(row) == form.line_of_record(record) == b"a@b,9,7,2023-10-15T14:20:00Z"
    as_declared = form.part(b"Email,Owner,id,Modified_Time")
    assert as_declared.line(b"a@b,9,7,2023-10-15T14:20:00+00:00") == part.line(row)


@pytest.mark.parametrize("header", [b"id,Email,Note", b"Note,id,Email"])
def test_the_id_of_each_row_is_told(header: bytes) -> None:
    seen: list[bytes] = []
    part = FileForm(declared(columns=["id", "Email", "Note"], date_times=[])).part(header)
    part.line(b"7,7,7", seen.append)
    assert seen == [b"7"]


@pytest.mark.parametrize("row", [b"7", b"7,a@b,x"])
def test_a_row_of_another_width_is_not_guessed(row: bytes) -> None:
    with pytest.raises(MalformedCsvError):
        FileForm(declared(columns=["id", "Email"], date_times=[])).part(b"id,Email").line(row)


def test_deletions_have_a_column_of_their_own() -> None:
    form = FileForm(declared(columns=["Email", "id"], date_times=[], deleted_records="Mark"))
    assert form.header == b"Email,id,crmflow_deleted"
    assert form.part(b"Email,id").line(b"a@b,7") == b"a@b,7,false"
    assert form.line_of_record({"Email": "a@b", "id": "7"}) == b"a@b,7,false"
    assert form.line_of_deleted("8") == b",8,true"


def test_a_column_that_did_not_come_is_named() -> None:
    form = FileForm(declared(columns=["id", "Email"], date_times=[]))
    with pytest.raises(MissingColumnError, match="Email"):
        form.part(b"id,email")
