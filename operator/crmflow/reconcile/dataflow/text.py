"""Words for messages."""

from __future__ import annotations

from collections.abc import Sequence

NAMES_SHOWN = 8


def some(names: Sequence[str], shown: int = NAMES_SHOWN) -> str:
    """A list for a sentence, cut where it would flood it."""
    if not names:
        return "none"
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
