"""The mass-vanish brake: when many objects are gone at once, something larger has happened than somebody
deleting one.
"""

from __future__ import annotations

FEW = 5
SHARE = 0.10


def is_mass_vanish(vanished: int, known: int) -> bool:
    """True if more than max(5, 10 %) of the ``known`` objects are gone at once."""
    return vanished > max(FEW, known * SHARE)
