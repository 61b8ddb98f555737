"""How values of records compare, in COQL and in the criteria of a bulk read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

Compare = Callable[[Any, Any], bool]

COMPARISONS: dict[str, Compare] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<>": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def comparable(value: Any) -> Any:
    """A lookup counts as its id, anything else that is no scalar as its text."""
    if isinstance(value, dict):
        return value.get("id", str(value))
    return str(value) if isinstance(value, list) else value


def compared(compare: Compare, value: Any, wanted: Any) -> bool:
    """Instants compare as such, ids as numbers, text without its case."""
    if isinstance(value, str) and isinstance(wanted, str):
        try:
            return compare(datetime.fromisoformat(value), datetime.fromisoformat(wanted))
        except (ValueError, TypeError):
            return compare(value.casefold(), wanted.casefold())
    if isinstance(value, str) and value.isdecimal() and isinstance(wanted, int):
        return compare(int(value), wanted)
    numbers = isinstance(value, int | float) and isinstance(wanted, int | float)
    return compare(value, wanted) if numbers else compare(str(value), str(wanted))
