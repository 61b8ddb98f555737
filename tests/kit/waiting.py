"""Waiting in tests: for what is expected soon, with patience for a machine that is busy."""

from __future__ import annotations

import time
from collections.abc import Callable

_PATIENCE = 3.0
"""How many times longer than expected something may take. It costs time only where a test fails."""
_POLL_SECONDS = 0.05


def deadline(seconds: float) -> float:
    """When to give up what is expected within ``seconds``, on the clock of :func:`time.monotonic`."""
    return time.monotonic() + _PATIENCE * seconds


def until(met: Callable[[], object], seconds: float = 20, *, what: str | Callable[[], str] = "it") -> None:
    """Wait until ``met()`` is true; else fail, and say ``what`` was waited for."""
    end = deadline(seconds)
    while not met():
        if time.monotonic() > end:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {_PATIENCE * seconds:.0f} s: {said}")
        time.sleep(_POLL_SECONDS)
