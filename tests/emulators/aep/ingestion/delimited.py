"""Delimited text as Platform's copy may read it; what is unknown of its dialect is a switch (K.5)."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast

from tests.emulators.aep.switches import AepSwitches

csv.field_size_limit(64 << 20)

_BOM = "\ufeff"


class Unreadable(Exception):
    """The file as a whole cannot be read."""


class DelimitedFile:
    """A file's header and rows. ``properties`` are the source connection's ``data.properties``."""

    def __init__(self, content: IO[bytes], properties: dict[str, Any], switches: AepSwitches) -> None:
        self._switches = switches
        self._delimiter = properties.get("columnDelimiter") or ","
        encoding = properties.get("encoding") or "UTF-8"
        raw = _decompressed(content, properties.get("compressionType"))
        self._text = io.TextIOWrapper(raw, encoding=encoding, newline="")
        self._rows = self._records()
        try:
            self.header = next(self._rows)
        except (StopIteration, UnicodeDecodeError, OSError, EOFError, zlib.error) as error:
            raise Unreadable("the file is empty or cannot be decoded") from error

    def rows(self) -> Iterator[list[str] | None]:
        """The cells of each row; None for one that is corrupt."""
        for row in self._rows:
            yield row if len(row) == len(self.header) else None

    def cell(self, text: str) -> str | None:
        """What an empty cell becomes is not documented."""
        return None if text == "" and self._switches.csvEmptyCell == "null" else text

    def _records(self) -> Iterator[list[str]]:
        lines = self._lines()
        if self._switches.csvLineBreaks == "allowed":
            yield from self._parsed(lines)
        else:
            for line in lines:
                yield from self._parsed(iter([line]))

    def _parsed(self, lines: Iterator[str]) -> Iterator[list[str]]:
        doubled = self._switches.csvEscape == "doubled"
        escape = None if doubled else "\\"
        reader = csv.reader(lines, delimiter=self._delimiter, doublequote=doubled, escapechar=escape)
        yield from (row for row in reader if row)

    def _lines(self) -> Iterator[str]:
        first = True
        for line in self._text:
            if first and self._switches.csvBom == "tolerated":
                line = line.removeprefix(_BOM)
            first = False
            yield line


def _decompressed(content: IO[bytes], compression: str | None) -> IO[bytes]:
    """The text of a compressed file; of an archive, its first member. Raises Unreadable."""
    try:
        match compression:
            case None:
                return content
            case "gzip":
                return cast(IO[bytes], gzip.open(content))
            case "bzip2":
                return cast(IO[bytes], bz2.open(content))
            case "deflate":
                return io.BytesIO(zlib.decompress(content.read(), -zlib.MAX_WBITS))
            case "zipDeflate":
                archive = zipfile.ZipFile(content)
                return archive.open(archive.namelist()[0])
            case _:
                tar = tarfile.open(fileobj=content)  # noqa: SIM115 - its member is read later
                member = tar.next()
                found = tar.extractfile(member) if member else None
                return found or io.BytesIO()
    except (OSError, zlib.error, zipfile.BadZipFile, tarfile.TarError, IndexError) as error:
        raise Unreadable(f"the file is not compressed with {compression}") from error
