"""Composing and reading XDM schemas (platform.md 10)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]


def has_path(document: Document, path: str) -> bool:
    """Whether a resolved schema has a field at a dotted path; below a map everything goes."""
    node: Any = document
    for part in path.split("."):
        while isinstance(node, dict) and node.get("type") == "array":
            node = node.get("items")
        if not isinstance(node, dict):
            return False
        if isinstance(node.get("additionalProperties"), dict):
            node = node["additionalProperties"]
            continue
        node = node.get("properties", {}).get(part)
    return isinstance(node, dict)


def resolved(document: Document, parts: Mapping[str, Document]) -> Document:
    """The schema with the properties of all that ``allOf`` names merged in, as ``xed-full`` shows it."""
    full = copy.deepcopy(document)
    properties = full.setdefault("properties", {})
    for entry in full.get("allOf", []):
        part = parts.get(entry.get("$ref", "")) if isinstance(entry, dict) else None
        if part is not None:
            _merge(properties, _properties(part))
    return full


def _properties(part: Document) -> Document:
    """Properties of a class or field group, its own ``allOf`` and ``definitions`` included."""
    found: Document = copy.deepcopy(part.get("properties", {}))
    for entry in part.get("allOf", []):
        if isinstance(entry, dict):
            _merge(found, entry.get("properties", {}))
            reference = str(entry.get("$ref", ""))
            if reference.startswith("#/definitions/"):
                definition = part.get("definitions", {}).get(reference.rsplit("/", 1)[1], {})
                _merge(found, definition.get("properties", {}))
    return found


def _merge(into: Document, more: Mapping[str, Any]) -> None:
    for name, node in more.items():
        have = into.get(name)
        if isinstance(have, dict) and isinstance(node, dict) and "properties" in have:
            _merge(have["properties"], node.get("properties", {}))
        else:
            into[name] = copy.deepcopy(node)
