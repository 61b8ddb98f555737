"""The fields of an XDM schema, as paths that a mapping can name (platform.md 8, 10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crmflow.aep import fields
from crmflow.cli.scaffold.types import Holds, kind_of

_DEEPEST = 12
"""Levels; XDM nests no deeper, and a schema may name itself."""


@dataclass(frozen=True)
class SchemaPath:
    """A field that takes a value."""

    path: str
    holds: Holds
    required: bool = False
    """Whether a record without it is refused, if it has what the field stands in."""

    @property
    def leaf(self) -> str:
        """The last part."""
        return self.path.rpartition(".")[2]


def paths_of(document: Mapping[str, Any]) -> tuple[SchemaPath, ...]:
    """The fields of a schema as ``xed-full`` shows it, by path."""
    return tuple(sorted(_below(document, "", required=True, depth=0), key=lambda field: field.path))


def _below(node: Mapping[str, Any], path: str, *, required: bool, depth: int) -> Iterator[SchemaPath]:
    properties = fields.obj(node, "properties")
    if depth > _DEEPEST or not properties:
        if path:
            yield SchemaPath(path, _held_by(node), required)
        return
    wanted = set(fields.texts(node.get("required")))
    for name in properties:
        # An object that nobody has to give takes its own required fields with it.
        needed = required and name in wanted
        below = fields.obj(properties, name)
        yield from _below(below, f"{path}.{name}" if path else name, required=needed, depth=depth + 1)


def _held_by(node: Mapping[str, Any]) -> Holds:
    written = fields.text(node, "format"), fields.text(node, "meta:xdmType"), fields.text(node, "type")
    kinds = [kind_of(name) for name in written if name]
    return next((kind for kind in kinds if kind is not Holds.TEXT), Holds.TEXT if kinds else Holds.UNKNOWN)
