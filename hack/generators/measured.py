"""The part of ``docs/limits.md`` that says what was measured, taken from the reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hack.generators.reference import table

PATH = "docs/limits.md"
_BEGIN = "<!-- Generated from docs/reports: run make generate. -->\n"
_END = "<!-- End of what is generated. -->\n"
_MANY = "100 connections, 1,000 dataflows"

_Row = tuple[str, str, str]


def with_measurements(page: str, reports: Path) -> str:
    """``page`` with the figures of today's reports. Raises ValueError if either lacks what is looked for."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{PATH} has no place for what was measured")
    rows = [(what, figure, f"[{report}](reports/{report}.md)") for what, figure, report in _rows(reports)]
    return f"{before}{begin}\n{table(('What', 'Measured', 'Report'), rows)}\n\n{_END}{after}"


def _rows(reports: Path) -> Iterator[_Row]:
    text = {path.stem: path.read_text(encoding="utf-8") for path in reports.glob("*.md")}
    for way in ("PlatformSource", "LandingZone"):
        cost = _CostTable(text["cost"], f"## {way}: {_MANY}")
        yield (
            f"`{way}`, {_MANY}: one poll without changes",
            f"{cost['Remote calls', 'quiet poll']} remote calls, "
            f"{cost['Kubernetes writes', 'quiet poll']} writes to the API server",
            "cost",
        )
        yield (
            f"`{way}`, {_MANY}: a restart",
            f"{cost['Remote calls', 'restart']} remote calls, {cost['Seconds', 'restart']} s",
            "cost",
        )
        yield (
            f"`{way}`: creating the 1,000 dataflows",
            f"{cost['Remote calls', 'create 1,000 dataflows']} remote calls, "
            f"{cost['Seconds', 'create 1,000 dataflows']} s",
            "cost",
        )
    alone, among = _found(r"(\d+ MiB) alone, .*, (\d+ MiB) started among them", text["memory"])
    yield "the operator's memory", f"{alone}; {among} among 2,000 unrelated Secrets of 100 kB", "memory"
    lives, refreshes, refused, throttled = _found(
        r"(\d+) lives, (\d+) refreshes, (\d+) unauthorized, (\d+) throttled", text["day"]
    )
    yield (
        "a day of 200 connections with one Zoho credential and 50 restarts",
        f"{refreshes} tokens asked for in {lives} lives, {refused} calls refused, {throttled} throttled",
        "day",
    )
    (records,) = _found(r"records in Zoho CRM \| ([\d,]+)", text["transfer-full"])
    (seconds,) = _found(r"until the dataflow was Ready \| (\d+)", text["transfer-full"])
    (credits,) = _found(r"calls included \| (\d+)", text["transfer-full"])
    (memory,) = _found(r"peak memory of it \| (\d+ MiB)", text["transfer-full"])
    yield (
        f"a first load of {records} records through the landing zone",
        f"{seconds} s, {credits} credits of Zoho, {memory} in the Job",
        "transfer-full",
    )
    rate, peak = _found(r"1,000,000 \| transfer \| ([\d,]+) \|[^|]*\|[^|]*\| (\d+) \|", text["transfer"])
    yield "one transfer of 1,000,000 rows of 50 columns", f"{rate} rows a second, {peak} MiB", "transfer"
    points, doubled, orphaned = _found(
        r"([\d,]+) fault points, .* converged, (\d+) doubled, (\d+) orphaned", text["crash"]
    )
    yield "kills at every moment that matters", f"{points}; {doubled} doubled, {orphaned} orphaned", "crash"
    sequences, failures = _found(r"([\d,]+) sequences, .* (\d+) failures", text["property"])
    yield "random sequences of edits", f"{sequences}; {failures} failures", "property"


class _CostTable:
    """One of the tables of ``reports/cost.md``, by name of the row and head of the column."""

    def __init__(self, report: str, heading: str) -> None:
        _, found, rest = report.partition(f"{heading}\n\n")
        if not found:
            raise ValueError(f"the report of costs has no {heading}")
        lines = [
            [cell.strip(" *") for cell in line.split("|")[1:-1]] for line in rest.split("\n\n")[0].split("\n")
        ]
        self._head, self._rows = lines[0], {line[0]: line for line in lines if line}

    def __getitem__(self, place: tuple[str, str]) -> str:
        row, column = place
        value = self._rows[row][self._head.index(column)]
        return "no" if value == "·" else value


def _found(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no report says {pattern}")
    return found.groups()
