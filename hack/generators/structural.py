"""Turn pydantic's JSON schema of a model into a structural schema of Kubernetes.

The API server drops what it does not know, and with it the rule it stood for, when somebody applies without
strict validation. So the list of schema keys is closed: what is not on it, and has no exact translation, is
an error here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from crmflow.api.schema import LIST_MAP_KEYS, LIST_TYPE, MAP_TYPE, VALIDATIONS

Schema = dict[str, Any]

KEYS = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    LIST_TYPE,
    LIST_MAP_KEYS,
    MAP_TYPE,
    "required",
    "properties",
    "items",
    "additionalProperties",
    VALIDATIONS,
)
"""Every key that may occur in a rendered schema, in the order in which it is written."""

_TYPES = {"string", "integer", "number", "boolean", "array", "object"}
_NULL = {"type": "null"}


class NotStructural(ValueError):
    """The model says something that a CRD can't; the message names the place."""


def structural_schema(model: type[BaseModel]) -> Schema:
    """The schema of ``model`` as a CRD holds it, with everything inlined.

    Raises NotStructural for what has no exact equivalent, and for a property without description.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _structural(schema, schema.get("$defs", {}), model.__name__, ())


def _structural(node: Schema, definitions: Mapping[str, Schema], path: str, seen: tuple[str, ...]) -> Schema:
    node = {key: value for key, value in node.items() if key not in ("$defs", "title")}
    if "$ref" in node:
        reference = node.pop("$ref").removeprefix("#/$defs/")
        if reference in seen:
            raise NotStructural(f"{path}: {reference} contains itself")
        return _structural(_overlay(definitions[reference], node), definitions, path, (*seen, reference))
    if "anyOf" in node:
        return _structural(_without_null(node, path), definitions, path, seen)

    _translate(node, path)
    if node.get("type") not in _TYPES:
        raise NotStructural(
            f"{path}: type is {node.get('type')!r}; a CRD needs exactly one of {sorted(_TYPES)}"
        )
    if unknown := node.keys() - set(KEYS):
        raise NotStructural(f"{path}: a CRD can't hold {', '.join(sorted(unknown))}")
    _descend(node, definitions, path, seen)
    return {key: node[key] for key in KEYS if key in node}


def _overlay(base: Schema, siblings: Schema) -> Schema:
    """``base`` with what stands beside the reference to it; rules of both hold."""
    merged = {**base, **siblings}
    if VALIDATIONS in base and VALIDATIONS in siblings:
        merged[VALIDATIONS] = [*base[VALIDATIONS], *siblings[VALIDATIONS]]
    return merged


def _without_null(node: Schema, path: str) -> Schema:
    """An optional value: absent rather than null, hence neither nullable nor with a default of null."""
    siblings = {key: value for key, value in node.items() if key != "anyOf"}
    variants = [variant for variant in node["anyOf"] if variant != _NULL]
    if len(variants) != 1 or _NULL not in node["anyOf"]:
        raise NotStructural(
            f"{path}: a CRD can't hold alternatives; use exclusive optional fields and a rule"
        )
    if siblings.get("default", ...) is None:
        del siblings["default"]
    return _overlay(variants[0], siblings)


def _translate(node: Schema, path: str) -> None:
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if node.get("additionalProperties") is True:
        raise NotStructural(f"{path}: a map needs the type of its values, or the API server drops them")
    if node.get("additionalProperties") is False:  # what it means to pydantic, pruning does
        del node["additionalProperties"]
    if node.get("format", "date-time") != "date-time":
        raise NotStructural(f"{path}: format {node['format']} does not mean the same to Kubernetes")
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if exclusive in node:
            node[bound], node[exclusive] = node[exclusive], True
    if "description" in node:
        node["description"] = " ".join(node["description"].split())
    if "default" in node:
        node["default"] = _without_nulls(node["default"])
        if node["default"] == []:  # absent and empty are one to the models; a default would only add writes
            del node["default"]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


def _descend(node: Schema, definitions: Mapping[str, Schema], path: str, seen: tuple[str, ...]) -> None:
    if "properties" in node:
        node["properties"] = {
            name: _property(child, definitions, f"{path}.{name}", seen)
            for name, child in node["properties"].items()
        }
    if "items" in node:
        node["items"] = _structural(node["items"], definitions, f"{path}[]", seen)
    if "additionalProperties" in node:
        node["additionalProperties"] = _structural(
            node["additionalProperties"], definitions, f"{path}{{}}", seen
        )


def _property(child: Schema, definitions: Mapping[str, Schema], path: str, seen: tuple[str, ...]) -> Schema:
    rendered = _structural(child, definitions, path, seen)
    if not rendered.get("description"):
        raise NotStructural(f"{path}: has no description")
    return rendered
