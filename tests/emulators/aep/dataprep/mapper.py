"""Applies the mappings of a set to rows (platform.md 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.emulators.aep.dataprep import expression, mapping_sets


@dataclass(frozen=True)
class Failure:
    """A mapping that could not be computed for a row."""

    mapping: dict[str, Any]
    reason: str
    emulated: bool
    """Whether it would fail at Data Prep too."""


class Mapper:
    """The mappings of a set, read once."""

    def __init__(self, mappings: list[dict[str, Any]]) -> None:
        self._mappings = [(m, m["destination"].split("."), _node(m)) for m in mappings]

    def __call__(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], list[Failure]]:
        """The mapped row, without members that are null, and what failed."""
        data: dict[str, Any] = {}
        failed = []
        for mapping, path, node in self._mappings:
            try:
                value = expression.evaluate(node, row)
            except expression.ExpressionError as error:
                emulated = not isinstance(error, expression.NotEmulatedError)
                failed.append(Failure(mapping, str(error), emulated))
                continue
            if value is not None:
                _place(data, path, value)
        return data, failed


def _node(mapping: dict[str, Any]) -> expression.Node:
    """The tree of the mapping's source; one that cannot be read fails for each row."""
    if mapping["sourceType"] == mapping_sets.STATIC:
        return expression.Literal(mapping["source"])
    try:
        return expression.parse(mapping["source"])
    except expression.ExpressionError as error:
        return expression.Unreadable(str(error))


def _place(data: dict[str, Any], path: list[str], value: Any) -> None:
    *parents, last = path
    for part in parents:
        if not isinstance(data.get(part), dict):
            data[part] = {}
        data = data[part]
    data[last] = value
