"""Mapped values become those of the schema (landing-zone.md E.4)."""

from __future__ import annotations

import re
from typing import Any

from tests.emulators.aep.switches import AepSwitches

_TRUE = frozenset(["true", "y", "yes", "on", "t", "1"])
_FALSE = frozenset(["false", "n", "no", "off", "f", "0"])
_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d:\d\d"
_INSTANTS = re.compile(rf"{_DATE}(T{_TIME}(\.\d{{3}})?Z|T{_TIME}\.\d{{3}}[+-]\d\d:?\d\d| {_TIME})?")
_WITH_OFFSET = re.compile(rf"{_DATE}T{_TIME}[+-]\d\d:\d\d")
"""Zoho's own form, which is in none of Data Prep's lists."""
_INVALID = object()


class Conversion:
    """To the types of one schema. A value that cannot be converted is dropped, with a warning."""

    def __init__(self, document: dict[str, Any], identity: str | None, switches: AepSwitches) -> None:
        """``identity`` is the dotted path without which a row is refused."""
        self._document = document
        self._identity = identity.split(".") if identity else None
        self._switches = switches

    def __call__(self, data: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """The converted row and the number of values that were dropped."""
        return self._members(data, self._document)

    def lacks(self, record: dict[str, Any]) -> str | None:
        """The path of a required field that is not there."""
        if self._identity is not None and self._at(record, self._identity) in (None, ""):
            return ".".join(self._identity)
        return next((name for name in self._document.get("required", []) if name not in record), None)

    @staticmethod
    def _at(record: Any, path: list[str]) -> Any:
        for part in path:
            record = record.get(part) if isinstance(record, dict) else None
        return record

    def _members(self, data: dict[str, Any], node: dict[str, Any]) -> tuple[dict[str, Any], int]:
        properties = node.get("properties", {})
        record, dropped = {}, 0
        for name, value in data.items():
            kind = properties.get(name) or node.get("additionalProperties") or {}
            if isinstance(value, dict):
                record[name], inner = self._members(value, kind if isinstance(kind, dict) else {})
                dropped += inner
                continue
            converted = self._value(value, kind if isinstance(kind, dict) else {})
            if converted is _INVALID:
                dropped += 1
            else:
                record[name] = converted
        return record, dropped

    def _value(self, value: Any, node: dict[str, Any]) -> Any:
        kind = node.get("type")
        if kind == "array":
            items = [
                self._value(v, node.get("items", {})) for v in (value if isinstance(value, list) else [value])
            ]
            return _INVALID if _INVALID in items else items
        if node.get("format") == "date-time":
            return self._instant(value)
        match kind:
            case "boolean":
                return _boolean(value)
            case "integer" | "number":
                return _number(value, whole=kind == "integer")
            case "string":
                return value if isinstance(value, str) else str(value)
        return value

    def _instant(self, value: Any) -> Any:
        text = str(value)
        if _INSTANTS.fullmatch(text):
            return text
        accepted = self._switches.dateTimeWithOffset == "accepted" and _WITH_OFFSET.fullmatch(text)
        return text if accepted else _INVALID


def _boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    return True if word in _TRUE else False if word in _FALSE else _INVALID


def _number(value: Any, *, whole: bool) -> Any:
    try:
        return int(str(value)) if whole else float(value)
    except (TypeError, ValueError):
        return _INVALID
