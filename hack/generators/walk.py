"""Walk the fields of a structural schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Node:
    """One value that a resource may hold: ``spec.mapping[].target``; ``{}`` stands for any key of a map."""

    path: str
    schema: dict[str, Any]
    required: bool


def walk(schema: dict[str, Any], path: str, *, required: bool = True) -> Iterator[Node]:
    """The node itself and all below it, in the order of the schema."""
    yield Node(path, schema, required)
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}", required=name in schema.get("required", ()))
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}{{}}")
