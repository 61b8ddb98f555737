"""Render a kind's reference page from its CustomResourceDefinition, so that the page says what the API server
does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from crmflow.api.schema import LIST_MAP_KEYS, LIST_TYPE, VALIDATIONS
from hack.generators.walk import Node, walk

_BOUNDS = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("pattern", "matches `{}`"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("minProperties", "at least {} entries"),
    ("maxProperties", "at most {} entries"),
)
_EXCLUSIVE = {
    "minimum": ("exclusiveMinimum", "more than {}"),
    "maximum": ("exclusiveMaximum", "less than {}"),
}


def reference_page(crd: dict[str, Any], reasons: Sequence[tuple[str, str, str]] = ()) -> str:
    """The page as Markdown. ``reasons`` are rows of condition type, reason and meaning."""
    spec, names = crd["spec"], crd["spec"]["names"]
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    parts = [
        f"# {names['kind']}",
        schema["description"],
        table(
            ("API version", "Plural", "Short names", "Categories", "Scope"),
            [
                (
                    f"`{spec['group']}/{version['name']}`",
                    f"`{names['plural']}`",
                    ", ".join(f"`{name}`" for name in names["shortNames"]),
                    ", ".join(f"`{name}`" for name in names["categories"]),
                    spec["scope"],
                )
            ],
        ),
        "## spec",
        _fields(schema["properties"]["spec"], "spec"),
        "## status",
        "Written by the operator alone.",
        _fields(schema["properties"]["status"], "status"),
    ]
    if reasons:
        parts += ["## Conditions", table(("Condition", "Reason", "Meaning"), reasons)]
    parts += ["## Columns of `kubectl get`", _columns(version["additionalPrinterColumns"])]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fields(schema: dict[str, Any], path: str) -> str:
    rows = [_row(node) for node in walk(schema, path) if node.path != path and _is_field(node)]
    own_rules = [f"- {message}." for message in _messages(schema)]
    intro = ["Rules over several fields:\n\n" + "\n".join(own_rules)] if own_rules else []
    return "\n\n".join([*intro, table(("Field", "Type", "Required", "Default", "Meaning"), rows)])


def _is_field(node: Node) -> bool:
    """Items of a list of scalars and values of a map are told in the row of the list or map."""
    return not (node.path.endswith(("[]", "{}")) and node.schema["type"] != "object")


def _row(node: Node) -> tuple[str, str, str, str, str]:
    schema = node.schema
    is_item = node.path.endswith("[]")
    default = schema.get("default")
    meaning = [schema.get("description", ""), *_limits(schema)]
    return (
        f"`{node.path}`",
        _type(schema),
        "" if is_item else "yes" if node.required else "no",
        "" if default is None else f"`{_literal(default)}`",
        " ".join(part for part in meaning if part),
    )


def _type(schema: dict[str, Any]) -> str:
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map of {_type(schema['additionalProperties'])}"
    if schema.get("format") == "date-time":
        return "time (RFC 3339)"
    return str(schema["type"])


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    if "enum" in schema:
        yield f"One of {', '.join(f'`{value}`' for value in schema['enum'])}."
    if bounds := ", ".join(_bounds(schema)):
        yield f"{bounds[0].upper()}{bounds[1:]}."
    if schema.get(LIST_TYPE) == "map":
        yield f"Each {', '.join(f'`{key}`' for key in schema[LIST_MAP_KEYS])} once."
    if schema.get(LIST_TYPE) == "set":
        yield "Each value once."
    for message in _messages(schema):
        yield f"Rule: {message}."
    inner = schema.get("items") or schema.get("additionalProperties")
    if inner and inner["type"] != "object" and (limits := " ".join(_limits(inner))):
        yield f"Of each value: {limits[0].lower()}{limits[1:]}"


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    for key, words in _BOUNDS:
        if schema.get(key) == 1 and key.startswith("min") and key != "minimum":
            yield "not empty"
        elif key in schema:
            exclusive, exclusive_words = _EXCLUSIVE.get(key, ("", ""))
            yield (exclusive_words if schema.get(exclusive) else words).format(schema[key])


def _messages(schema: dict[str, Any]) -> list[str]:
    return [rule["message"] for rule in schema.get(VALIDATIONS, ())]


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_literal(inner)}" for key, inner in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _columns(columns: Sequence[dict[str, Any]]) -> str:
    rows = [
        (column["name"], f"`{column['jsonPath']}`", "with `-o wide`" if column.get("priority") else "always")
        for column in columns
    ]
    return table(("Column", "Value", "Shown"), rows)
