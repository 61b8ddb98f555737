"""Numbers that arrive as text."""

from __future__ import annotations

_LONGEST = 15


def whole(text: str) -> int | None:
    """A whole number of at most 15 digits, None for any other text."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= _LONGEST else None
