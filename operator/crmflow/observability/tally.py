"""What one piece of work costs, counted where the calls are made and asked for where the work is begun."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Tally = Counter[str]
"""Number of remote calls by operation."""

_current: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def counting() -> Iterator[Tally]:
    """Count the calls that are made in the block, those of the tasks that it starts included."""
    tally = Tally()
    before = _current.set(tally)
    try:
        yield tally
    finally:
        _current.reset(before)


def count(operation: str) -> None:
    """One call more for whoever counts."""
    tally = _current.get()
    if tally is not None:
        tally[operation] += 1
