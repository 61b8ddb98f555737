"""Who may extract, where an organization has fewer slots than dataflows that wait (design.md 11).

Zoho bounds what is done at the same time for each organization and application (zoho.md 5), so a slot is one
of an organization and its environment. Slots in use are counted from Jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

SLOTS = 4


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A window that could be extracted now. The oldest tick comes first, the uid decides between equals."""

    tick: datetime
    uid: str
    """Of the dataflow."""


def served(waiting: Iterable[Waiting], running: int, slots: int = SLOTS) -> tuple[Waiting, ...]:
    """Those of one organization that may begin while ``running`` others extract; the rest is
    ``WaitingForSlot``.
    """
    return tuple(sorted(set(waiting))[: max(0, slots - running)])
