"""How many remote calls a piece of work makes: the HTTP client counts, whoever starts the work reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

CallCounts = Counter[str]
"""Number of remote calls by operation."""

_current: ContextVar[CallCounts | None] = ContextVar("call_counts", default=None)


@contextmanager
def counting() -> Iterator[CallCounts]:
    """Count the calls that are made in the block, those of the tasks that it starts included."""
    counts = CallCounts()
    before = _current.set(counts)
    try:
        yield counts
    finally:
        _current.reset(before)


def count(operation: str) -> None:
    """Count one call, if the running task is within :func:`counting`."""
    counts = _current.get()
    if counts is not None:
        counts[operation] += 1
