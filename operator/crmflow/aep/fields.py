"""Read AEP's answers leniently: types, envelopes and spellings vary (platform.md 16.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

END_OF_TIME = 10**11
"""Seconds since the epoch; what lies beyond is no date that a manifest can have."""


def text(source: Any, *names: str) -> str:
    """The first of the named fields that holds a string or a number, as text; "" if none does."""
    for name in names:
        value = source.get(name) if isinstance(source, Mapping) else None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
    return ""


def integer(value: Any) -> int | None:
    """A whole number, also one that came as a string or a float."""
    number = _number(value)
    return None if number is None else int(number)


def number(value: Any) -> float | None:
    """A number, also one that came as a string; whole ones compare equal to their int."""
    return _number(value)


def boolean(value: Any) -> bool | None:
    """A truth value, also one that came as a string."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None


def seconds(value: Any) -> int | None:
    """An instant in seconds since the epoch; None for what is none, such as one in milliseconds."""
    found = integer(value)
    return found if found is not None and 0 < found < END_OF_TIME else None


def instant(text: str) -> float | None:
    """Seconds since the epoch; a day is its beginning, and a time without an offset is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def obj(source: Any, *path: str) -> Mapping[str, Any]:
    """The object at ``path`` below ``source``; an empty one if there is none."""
    for name in path:
        source = source.get(name) if isinstance(source, Mapping) else None
    return source if isinstance(source, Mapping) else {}


def objects(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The objects in a list; a lone object counts as a list of one."""
    if isinstance(value, Mapping):
        return (value,)
    return tuple(entry for entry in value if isinstance(entry, Mapping)) if isinstance(value, list) else ()


def texts(value: Any) -> tuple[str, ...]:
    """The strings in a list; a lone string counts as a list of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(entry for entry in value if isinstance(entry, str)) if isinstance(value, list) else ()


def items(body: Any) -> tuple[Mapping[str, Any], ...] | None:
    """The objects of an answer, in Flow Service's ``items`` envelope or bare (platform.md 3, 11).

    None for any other shape: it must not be taken for an empty listing.
    """
    if isinstance(body, Mapping):
        if isinstance(body.get("items"), list):
            return objects(body["items"])
        return (body,) if "id" in body else None
    return objects(body) if isinstance(body, list) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        result = float(value)
    except ValueError:
        return None
    return result if abs(result) < float("inf") else None
