"""Rows of a CSV file that comes in pieces, still encoded.

Python's ``csv`` makes a text of each of the fifty cells of a row and quotes them again, which costs eight
times the inflating (docs/decisions/0034-transfer-libraries.md). Most cells are written as they came, so
nothing is decoded here: commas and line ends within quotes are exchanged for bytes that UTF-8 does not have,
half a megabyte at a time. What is left of them separates cells and rows; :func:`restored` brings the others
back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BOM = b"\xef\xbb\xbf"
_NOT_UTF8 = b"\xff", b"\xfe"
_PROTECT = bytes.maketrans(b",\n", b"".join(_NOT_UTF8))
_RESTORE = bytes.maketrans(b"".join(_NOT_UTF8), b",\n")

_NEEDS_QUOTES = re.compile(rb'[,"\r\n]')
_NEEDLESS_QUOTES = re.compile(rb'"(?<![^,\n]")([^"\xff\xfe\r]*)"(?=[,\r\n]|\Z)')
"""A whole cell in quotes that needs none."""
_STRAY_QUOTE = re.compile(rb'"(?:(?<=[^,\n"]")|(?=[^,\r\n"]))')
"""Where each quoted stretch is one quote: one that is neither at the edge of a cell nor beside another."""


class MalformedCsvError(ValueError):
    """A row can't be understood; the text says why, without quoting it."""


class CsvRecords:
    """Rows of RFC 4180 in UTF-8, with line ends of either kind, also within quotes."""

    def __init__(self) -> None:
        self._rest = b""
        """The row that is not complete, as it came."""
        self._begins = True

    def feed(self, piece: bytes) -> list[bytes]:
        """The rows that ``piece`` completes; a comma in one separates cells. Raises MalformedCsvError."""
        if any(byte in piece for byte in _NOT_UTF8):
            raise MalformedCsvError("there is a byte that is not UTF-8")
        text = self._rest + piece
        if self._begins and len(text) >= len(_BOM):
            text = text.removeprefix(_BOM)
            self._begins = False
        rows, _, rest = _protected(text).rpartition(b"\n")
        self._rest = rest.translate(_RESTORE)
        return _rows(rows)

    def end(self) -> list[bytes]:
        """The last row, if it has no line end. Raises MalformedCsvError."""
        text, self._rest = self._rest, b""
        if text.count(b'"') & 1:
            raise MalformedCsvError("the file ends within quotes")
        return _rows(_protected(text))


def encoded(text: bytes) -> bytes:
    """A cell as it is written: in quotes where it has to be."""
    if _NEEDS_QUOTES.search(text):
        return b'"' + text.replace(b'"', b'""') + b'"'
    return text


def restored(rows: Sequence[bytes]) -> bytes:
    """Rows as they are written, each with its end."""
    return b"\n".join([*rows, b""]).translate(_RESTORE)


def _protected(text: bytes) -> bytes:
    """``text``, which begins with a row, without commas and line ends inside of quotes."""
    parts = text.split(b'"')  # by turns outside and within quotes
    if len(parts) == 1:
        return text
    if _STRAY_QUOTE.search(b'"'.join(parts[::2])):
        raise MalformedCsvError("a quote stands within a cell that is not quoted")
    parts[1::2] = b'"'.join(parts[1::2]).translate(_PROTECT).split(b'"')
    return b'"'.join(parts)


def _rows(text: bytes) -> list[bytes]:
    """The rows of a protected text; empty lines are none."""
    if b'"' in text:
        text = _NEEDLESS_QUOTES.sub(rb"\1", text)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").removesuffix(b"\r")
    return [row for row in text.split(b"\n") if row]
