"""COQL: rows in the order of an instant and their id, from any place in that order; and counts.

A page begins behind the last row of the one before (key set), so there is no row that it can't reach
(zoho.md 3.7; landing-zone.md F.2). Zoho's pages disagree on the limits of one query: the greater ones are
tried, and given up once one is refused.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crmflow.http.client import Answer
from crmflow.http.errors import RemoteError
from crmflow.zoho.api import CrmApi, items

ROWS = (200, 1000, 2000)
"""Rows of one page; the steps cost one, two and three credits."""
COLUMNS = (500, 50)
"""Columns of one query, the key's among them: what one page of Zoho's promises, and another."""

_API_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class RecordKey:
    """A row's place in the order."""

    instant: str
    """As Zoho wrote it."""
    id: str


@dataclass(frozen=True, slots=True)
class ModuleWindow:
    """Rows of ``module`` whose ``cursor``, a date-time field, lies in [begin, end)."""

    module: str
    cursor: str
    begin: datetime
    end: datetime

    def where(self, after: RecordKey | None = None, through: RecordKey | None = None) -> str:
        """The condition, for the rows behind ``after`` and up to ``through``."""
        parts = [f"({self.cursor} >= {_instant(self.begin)} and {self.cursor} < {_instant(self.end)})"]
        if after is not None:
            parts.append(_beyond(self.cursor, after, ">"))
        if through is not None:
            parts.append(f"({_beyond(self.cursor, through, '<')} or id = {through.id})")
        condition = parts[0]
        for part in parts[1:]:
            condition = f"({condition} and {part})"  # COQL takes two operands in one pair of brackets
        return condition


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a window, and where the next page begins."""

    rows: Sequence[Mapping[str, Any]]
    """Each has ``id``, the cursor and the columns that were asked for. Rows of a wide page that have changed
    between its queries are left out: they belong to a later window.
    """
    last: RecordKey | None
    """Place of the last row; None behind the end."""


async def count(api: CrmApi, window: ModuleWindow) -> int:
    """How many rows the window has; costs one credit. Raises RemoteError."""
    query = f"select COUNT(id) from {_name(window.module)} where {window.where()}"  # noqa: S608 - no values
    answer = await _query(api, "coqlCount", query, 1)
    if answer.status == 204:
        return 0
    for row in items(answer, "data"):
        for value in row.values():
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    raise answer.unreadable("no count")


class Pager:
    """Reads windows page by page, as large as Zoho lets it; one for a series of windows."""

    def __init__(self, rows: Sequence[int] = ROWS, columns: Sequence[int] = COLUMNS) -> None:
        self._columns = list(columns)
        self._rows = list(rows)
        self._step = 0

    def batches(self, columns: Sequence[str], cursor: str) -> list[list[str]]:
        """``columns`` in as few groups as one query takes, each with room for the key."""
        others = [name for name in columns if name not in ("id", cursor)]
        size = self._columns[0] - 2
        return [others[at : at + size] for at in range(0, len(others), size)] or [[]]

    async def page(
        self, api: CrmApi, columns: Sequence[str], window: ModuleWindow, after: RecordKey | None
    ) -> Page:
        """The rows behind ``after``, as many as are to be had at once."""
        while True:
            try:
                return await self._page(api, columns, window, after)
            except RemoteError as error:
                if not self._give_way(error):
                    raise

    async def _page(
        self, api: CrmApi, columns: Sequence[str], window: ModuleWindow, after: RecordKey | None
    ) -> Page:
        first, *others = self.batches(columns, window.cursor)
        found = await self._select(api, first, window, after, None)
        self._step = min(self._step + 1, len(self._rows) - 1)
        if not found:
            return Page((), None)
        last = key_of(found[-1], window.cursor)
        if not others:
            return Page(found, last)
        rows = {row["id"]: dict(row) for row in found}
        for batch in others:
            rows = await self._merged(api, rows, batch, window, after, last)
        return Page(list(rows.values()), last)

    async def _merged(
        self,
        api: CrmApi,
        rows: dict[str, dict[str, Any]],
        batch: Sequence[str],
        window: ModuleWindow,
        after: RecordKey | None,
        last: RecordKey,
    ) -> dict[str, dict[str, Any]]:
        """Those of ``rows`` that are still as they were, with the columns of ``batch``."""
        merged = {}
        async for row in self._rows_between(api, batch, window, after, last):
            known = rows.get(row["id"])
            if known is not None and known[window.cursor] == row[window.cursor]:
                merged[row["id"]] = {**known, **row}
        return {identifier: merged[identifier] for identifier in rows if identifier in merged}

    async def _rows_between(
        self,
        api: CrmApi,
        columns: Sequence[str],
        window: ModuleWindow,
        after: RecordKey | None,
        last: RecordKey,
    ) -> AsyncIterator[Mapping[str, Any]]:
        while found := await self._select(api, columns, window, after, last):
            for row in found:
                yield row
            after = key_of(found[-1], window.cursor)
            if after == last:
                return

    async def _select(
        self,
        api: CrmApi,
        columns: Sequence[str],
        window: ModuleWindow,
        after: RecordKey | None,
        through: RecordKey | None,
    ) -> list[Mapping[str, Any]]:
        limit = self._rows[self._step]
        names = ",".join(map(_name, ["id", window.cursor, *columns]))
        query = (
            f"select {names} from {_name(window.module)} where {window.where(after, through)} "  # noqa: S608
            f"order by {window.cursor} asc, id asc limit {limit}"
        )
        answer = await _query(api, "coql", query, ROWS.index(limit) + 1 if limit in ROWS else 1)
        found = items(answer, "data")
        before = _place(after.instant, after.id) if after is not None else None
        for row in found:
            place = _place(row.get(window.cursor), row.get("id"))
            if place is None:
                raise answer.unreadable(f"a row without id or {window.cursor}")
            if before is not None and place <= before:
                # The next page would begin before this one: pages without end, at a credit each.
                raise answer.unreadable(f"rows that are not in the order of {window.cursor} and id")
            before = place
        return found

    def _give_way(self, error: RemoteError) -> bool:
        """Ask for less from now on, if ``error`` says so and less can be asked for."""
        if error.reason not in ("LimitExceeded", "AnswerTooLarge"):
            return False
        if self._step > 0:
            self._step -= 1
            del self._rows[self._step + 1 :]
            return True
        if error.reason == "LimitExceeded" and len(self._columns) > 1:
            del self._columns[0]
            return True
        if error.reason == "AnswerTooLarge" and self._rows[0] > 1:
            self._rows = [self._rows[0] // 2]
            return True
        return False


def key_of(row: Mapping[str, Any], cursor: str) -> RecordKey:
    """The place of a row that a page has."""
    return RecordKey(str(row[cursor]), str(row["id"]))


def _name(name: str) -> str:
    """An API name, fit to stand in a query (zoho.md 3.5). Raises ValueError: callers have looked it up."""
    if not _API_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no API name")
    return name


def _place(instant: Any, identifier: Any) -> tuple[datetime, int] | None:
    """A row's place in the order; None where it is not said in what may stand in a query, since nothing else
    is put into one.
    """
    if not str(identifier).isdecimal():
        return None
    try:
        when = datetime.fromisoformat(str(instant))
    except ValueError:
        return None
    return (when, int(identifier)) if when.tzinfo is not None else None


async def _query(api: CrmApi, operation: str, query: str, credits: int) -> Answer:
    return await api.send(operation, "POST", "v8/coql", json={"select_query": query}, credits=credits)


def _beyond(cursor: str, key: RecordKey, side: str) -> str:
    return f"({cursor} {side} '{key.instant}' or ({cursor} = '{key.instant}' and id {side} {key.id}))"


def _instant(when: datetime) -> str:
    return f"'{when.isoformat(timespec='seconds')}'"
