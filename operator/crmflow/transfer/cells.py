"""From Zoho's values to the cells of a file (landing-zone.md E.4, K.5), whichever way they came."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from crmflow.transfer.csv_records import MalformedCsvError, encoded
from crmflow.transfer.declaration import DELETED_COLUMN, Declaration

_WITH_OFFSET = len("2023-10-15T14:20:00+00:00")
_COLON = ord(":")
_ALIVE, _DELETED = b"false", b"true"


class MissingColumnError(ValueError):
    """A column that was asked for did not come; the text is its name."""


def utc(cell: bytes) -> bytes:
    """An instant as Platform reads it, ``yyyy-MM-ddTHH:mm:ssZ``; anything else as it is."""
    if cell.endswith(b"+00:00") and len(cell) == _WITH_OFFSET:
        return cell[:19] + b"Z"
    if len(cell) == _WITH_OFFSET and cell[16] == _COLON:
        minute = _minute_in_utc(cell[:16] + cell[19:])
        return minute + cell[16:19] + b"Z" if minute else cell
    return _utc(cell) or cell


@lru_cache(maxsize=50_000)
def _minute_in_utc(minute: bytes) -> bytes:
    """``yyyy-MM-ddTHH:mm`` of a minute with an offset: there are far fewer minutes than rows."""
    return _utc(minute)[:16]


def _utc(cell: bytes) -> bytes:
    """The instant; nothing for what is none."""
    try:
        instant = datetime.fromisoformat(cell.decode())
        return instant.astimezone(UTC).isoformat()[:19].encode() + b"Z" if instant.tzinfo else b""
    except (ValueError, OverflowError):
        return b""


def cell_of(value: Any) -> bytes:
    """A value of COQL's JSON as Bulk Read would write it: a look-up is its id, a list has semicolons."""
    return encoded(text_of(value).encode(errors="replace"))


def text_of(value: Any) -> str:
    """The same before it is made fit for CSV."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case float():
            return format(Decimal(repr(value)), "f")  # no exponent
        case dict() if "id" in value:
            return text_of(value["id"])
        case dict() if "name" in value:
            return text_of(value["name"])
        case dict():
            return orjson.dumps(value).decode()
        case list():
            return ";".join(map(text_of, value))
        case _:
            return str(value)


class FileForm:
    """Header and rows of the file that a declaration asks for: one form for all files of a folder."""

    def __init__(self, declaration: Declaration) -> None:
        self._columns = declaration.columns
        self._date_times = [declaration.columns.index(name) for name in declaration.date_times]
        self._marks = declaration.marks_deletions

    @property
    def header(self) -> bytes:
        """The first line, without its end."""
        return ",".join([*self._columns, *([DELETED_COLUMN] if self._marks else [])]).encode()

    def part(self, header: bytes) -> PartForm:
        """How rows below ``header``, as Bulk Read wrote it, become lines. Raises MissingColumnError."""
        return PartForm(self._columns, self._date_times, b"," + _ALIVE if self._marks else b"", header)

    def line_of_record(self, record: Mapping[str, Any]) -> bytes:
        """The line of a record as COQL gives it."""
        row = [cell_of(record.get(name)) for name in self._columns]
        for at in self._date_times:
            row[at] = utc(row[at])
        return b",".join(row) + (b"," + _ALIVE if self._marks else b"")

    def line_of_deleted(self, identifier: str) -> bytes:
        """The line that marks a record as deleted."""
        return b",".join(
            [*(identifier.encode() if name == "id" else b"" for name in self._columns), _DELETED]
        )


class PartForm:
    """Rows below one header, which may have other columns besides, and spell ``id`` as ``Id`` and a look-up
    as ``Owner.id`` (landing-zone.md F.1).

    Where it is the declared one, rows are only split as far as their last date-time: declare those first.
    """

    def __init__(self, columns: Sequence[str], date_times: Sequence[int], end: bytes, header: bytes) -> None:
        names = header.split(b",")
        places = _places(names)
        for name in columns:
            if name not in places:
                raise MissingColumnError(name)
        order = [places[name] for name in columns]
        self._commas = len(names) - 1
        self._id_at = places.get("id", 0)
        self._date_times = [order[at] for at in date_times]
        self._order = None if order == list(range(len(names))) else order
        self._splits = max([self._id_at, *self._date_times]) + 1 if self._order is None else -1
        self._end = end

    def line(self, row: bytes, saw: Callable[[bytes], None] | None = None) -> bytes:
        """The line of a row; ``saw`` is told its id. Raises MalformedCsvError."""
        if row.count(b",") != self._commas:
            raise MalformedCsvError("a row has more or fewer cells than the header")
        cells = row.split(b",", self._splits)
        if saw is not None:
            saw(cells[self._id_at])
        for at in self._date_times:
            cells[at] = utc(cells[at])
        if self._order is not None:
            cells = [cells[at] for at in self._order]
        return b",".join(cells) + self._end


def _places(header: Sequence[bytes]) -> dict[str, int]:
    found: dict[str, int] = {}
    for at, name in enumerate(header):
        text = name.decode(errors="replace")
        text = "id" if text == "Id" else text
        found.setdefault(text.removesuffix(".id"), at)
        found[text] = at
    return found
