"""Cut a window so that no part has more rows than one file should (design.md 11).

COQL's ``COUNT(id)`` costs one credit, so counts are few: the half of a part that was not counted has what is
left. Rows only leave a window of the past, namely when they are modified again, so that what is left is never
less than what is there; at the worst a part is smaller than it might be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from datetime import timedelta

from crmflow.transfer.declaration import Window

MOST_ROWS = 1_000_000

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class CountedWindow:
    """A part of a window, and how many rows are expected in it."""

    window: Window
    rows: int


Cutting = Generator[Window, int, tuple[CountedWindow, ...]]
"""Gives windows, wants the number of rows in each, and returns the parts."""


def cut(window: Window, most_parts: int, most_rows: int = MOST_ROWS) -> Cutting:
    """The first ``most_parts`` of the consecutive parts of ``window``, which together are all of it if they
    are fewer. One second with more than ``most_rows`` stays whole: Zoho's instants are not finer.
    """
    waiting, parts = [CountedWindow(window, (yield window))], list[CountedWindow]()
    while waiting and len(parts) <= most_parts:
        part = waiting.pop()
        begin, end = part.window.begin, part.window.end
        if part.rows <= most_rows or end - begin <= _SECOND:
            _append(parts, part, most_rows)
            continue
        middle = begin + (end - begin) // (2 * _SECOND) * _SECOND
        earlier = Window(begin=begin, end=middle)
        rows = yield earlier
        waiting.append(CountedWindow(Window(begin=middle, end=end), max(0, part.rows - rows)))
        waiting.append(CountedWindow(earlier, rows))
    return tuple(parts[:most_parts])


async def cut_by(count: Callable[[Window], Awaitable[int]], cutting: Cutting) -> tuple[CountedWindow, ...]:
    """Run ``cutting`` with the counts that ``count`` finds."""
    try:
        asked = next(cutting)
        while True:
            asked = cutting.send(await count(asked))
    except StopIteration as end:
        return tuple(end.value)


def _append(parts: list[CountedWindow], part: CountedWindow, most_rows: int) -> None:
    """As a part of its own, unless the last one has room for it."""
    if parts and parts[-1].rows + part.rows <= most_rows:
        last = parts.pop()
        window = Window(begin=last.window.begin, end=part.window.end)
        part = CountedWindow(window, last.rows + part.rows)
    parts.append(part)
