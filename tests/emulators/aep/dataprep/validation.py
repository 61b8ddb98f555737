"""Whether the mappings of a set make sense for its schema and its source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.emulators.aep import xdm
from tests.emulators.aep.dataprep import expression, mapping_sets
from tests.emulators.aep.state import Sandbox

_INDEX = re.compile(r"\[(\d+|\*)?\]")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a mapping."""

    source: str
    destination: str
    source_type: str
    exception: str
    column: str | None = None

    def shown(self) -> dict[str, Any]:
        """The problem as ``/mappingSets/validate`` prints it."""
        return {
            "source": self.source,
            "destination": self.destination,
            "sourceType": self.source_type,
            "exception": self.exception,
            "columnName": self.column,
        }


def problems(
    sandbox: Sandbox, mapping_set: dict[str, Any], columns: set[str] | None = None
) -> list[list[Problem]]:
    """The problems of each mapping, in their order.

    Columns are known from ``columns``, else from the set's own ``inputSchema``; without either, only the form
    of a source can be checked.
    """
    known = columns if columns is not None else mapping_sets.input_columns(mapping_set)
    id, version = mapping_sets.output_schema(mapping_set)
    document = sandbox.schemas.get(str(id), {}).get(version or 0)
    seen: set[str] = set()
    found = []
    for mapping in mapping_set["mappings"]:
        found.append(list(_check(mapping, document, known, seen)))
        seen.add(mapping["destination"])
    return found


def _check(
    mapping: dict[str, Any], document: dict[str, Any] | None, columns: set[str] | None, seen: set[str]
) -> Iterator[Problem]:
    source, destination, kind = mapping["source"], mapping["destination"], mapping["sourceType"]

    def problem(exception: str, column: str | None = None) -> Problem:
        return Problem(source, destination, kind, exception, column)

    if document is None:
        yield problem("The output schema does not exist in this version")
    elif not xdm.has_path(document, _INDEX.sub("", destination)):
        yield problem(f"The path {destination} does not exist in the schema")
    if destination in seen:
        yield problem(f"The path {destination} is mapped more than once")
    if kind == mapping_sets.STATIC:
        return
    try:
        node = expression.parse(source)
    except expression.ExpressionError as error:
        yield problem(f"The expression cannot be parsed: {error}")
        return
    if kind == mapping_sets.ATTRIBUTE and not isinstance(node, expression.Path):
        yield problem(f"{source} is not an attribute")
    for path in dict.fromkeys(expression.paths(node)):
        if columns is not None and not _is_column(path, columns):
            yield problem(f"The source has no attribute {path}", path)


def _is_column(path: str, columns: set[str]) -> bool:
    """A dot parts a column from a part of its value, or is part of its name, with a backslash or without."""
    plain = _INDEX.sub("", path)
    ends = [match.start() for match in re.finditer(r"\.", plain)]
    return any(re.sub(r"\\(.)", r"\1", plain[:end]) in columns for end in (*ends, len(plain)))
