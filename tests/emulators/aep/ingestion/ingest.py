"""Files and rows of tables become rows of a dataset: parse, Data Prep, check (landing-zone.md K.4).

Pure computation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Any

from tests.emulators.aep.dataprep.mapper import Mapper
from tests.emulators.aep.ingestion.conversion import Conversion
from tests.emulators.aep.ingestion.delimited import DelimitedFile, Unreadable
from tests.emulators.aep.state import LakeRow
from tests.emulators.aep.switches import AepSwitches

KEPT_RECORDS = 1000
"""Of so many rows of a run the mapped record is kept; of all, the columns of the switch."""
_KEPT_ERRORS = 1000
MESSAGES = {
    "INGEST-1401-400": "The row has corrupted data and cannot be read or parsed.",
    "INGEST-1555-400": "A required field is either missing or has a value of null.",
    "MAPPER-3700-400": "Mapper transform error.",
}


@dataclass
class Input:
    """What is common to all that a run reads. ``header`` is that of the folder's first file ever."""

    properties: dict[str, Any]
    mappings: list[dict[str, Any]]
    document: dict[str, Any]
    identity: str | None
    header: list[str] | None
    switches: AepSwitches


@dataclass
class Ingested:
    """What came of them."""

    header: list[str] | None
    files: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    size: int = 0
    read: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    warnings: int = 0
    rows: list[LakeRow] = field(default_factory=list)
    parsing_errors: list[dict[str, Any]] = field(default_factory=list)
    conversion_errors: list[dict[str, Any]] = field(default_factory=list)


def ingest(files: Iterable[tuple[str, int, IO[bytes]]], given: Input) -> Ingested:
    """Read the files in their order; each is its name, its size and its content."""
    run = _Run(given)
    for name, size, content in files:
        run.file(name, size, content)
    return run.found


def ingest_rows(rows: list[dict[str, Any]], given: Input) -> Ingested:
    """The same for the rows of a table, which need no parsing."""
    run = _Run(given)
    run.rows(rows)
    return run.found


class _Run:
    def __init__(self, given: Input) -> None:
        self._given = given
        self._map = Mapper(given.mappings)
        self._convert = Conversion(given.document, given.identity, given.switches)
        self._kept = given.switches.keptColumns
        self.found = Ingested(given.header)

    def file(self, name: str, size: int, content: IO[bytes]) -> None:
        found = self.found
        found.files.append(name)
        found.size += size
        try:
            file = DelimitedFile(content, self._given.properties, self._given.switches)
            self._check_header(file.header)
        except Unreadable as error:
            found.unreadable[name] = str(error)
            return
        for cells in file.rows():
            found.read += 1
            if cells is None:
                self._refuse("INGEST-1401-400", {"_corrupt_record": "…"}, found.parsing_errors)
                continue
            self._row(name, {n: file.cell(cell) for n, cell in zip(file.header, cells, strict=True)})

    def rows(self, rows: list[dict[str, Any]]) -> None:
        self.found.size, self.found.read = len(json.dumps(rows)), len(rows)
        for row in rows:
            self._row("", row)

    def _check_header(self, header: list[str]) -> None:
        """All files of a folder share their columns (E.4); what happens if they don't is unknown."""
        if self.found.header is None:
            self.found.header = header
        if header != self.found.header and self._given.switches.headerMismatch == "failFile":
            raise Unreadable("the columns differ from those of the folder's other files")

    def _row(self, file: str, row: dict[str, Any]) -> None:
        found, switches = self.found, self._given.switches
        data, failures = self._map(row)
        failed = [failure for failure in failures if failure.emulated]
        if failed and switches.mapperFailure == "row":
            reason = {"_mapping": failed[0].mapping["destination"], "_reason": failed[0].reason}
            self._refuse("MAPPER-3700-400", reason, found.conversion_errors)
            return
        record, dropped = self._convert(data)
        found.warnings += bool(dropped or failed)
        lacking = self._convert.lacks(record)
        if lacking is not None:
            self._refuse("INGEST-1555-400", {"_field": lacking}, found.conversion_errors)
            return
        values = {name: row[name] for name in self._kept if name in row}
        kept = record if len(found.rows) < KEPT_RECORDS else None
        found.rows.append(LakeRow(values, kept, file))

    def _refuse(self, code: str, row: dict[str, Any], errors: list[dict[str, Any]]) -> None:
        self.found.failed[code] += 1
        if len(errors) < _KEPT_ERRORS:
            number = code.split("-")[1]
            errors.append({**row, "_errors": [{"code": number, "message": MESSAGES[code]}]})
