"""The chart's annotated ``values.yaml``: what its comments say, as a JSON schema and as a table.

Above a key, ``# -- text`` describes it and ``# @schema {…}`` adds to what the default tells of its type. A
value whose schema has ``additionalProperties`` is described as a whole; ``# @settings`` stands for the
operator's own settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from crmflow.settings import Settings

Schema = dict[str, Any]

BY_OTHER_VALUES = frozenset(
    {
        "instance",
        "ip_allow_list",
        "leader_election",
        "lease_name",
        "listen",
        "listen_file",
        "pod_name",
        "pod_namespace",
        "tenancy",
        "transfer_slots",
        "transfer_template",
        "watch_namespaces",
    }
)
"""Settings that the chart makes from values of their own, or that only make sense outside of a cluster."""

_CITATION = re.compile(r" \((platform|zoho)\.md [^)]*\)")
"""Where a fact comes from, which is for those who read the code."""

DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"


@dataclass(frozen=True)
class Value:
    """One value of the chart. ``parts`` is empty unless it is an object with values of its own."""

    name: str
    path: str
    text: str
    default: Any
    schema: Schema
    parts: tuple[Value, ...] = ()


def read_values(text: str) -> list[Value]:
    """The values in the order of the file. Raises ValueError for one that is not described."""
    return list(_values(yaml.compose(text), yaml.safe_load(text), text.splitlines(), ""))


def json_schema(values: list[Value]) -> Schema:
    """What Helm checks the values of a release against: a misspelled name is refused, not ignored."""
    schema = _object(values)
    schema["properties"]["global"] = {"type": "object", "description": "What Helm gives to every subchart."}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of crmflow", **schema}


def defaults(values: list[Value] | tuple[Value, ...]) -> dict[str, Any]:
    """What each value is where nobody gives it. One that is described as a whole is empty then: whoever sets
    such a one to null wants nothing of it, not the default.
    """
    return {value.name: _default(value) for value in values}


def _default(value: Value) -> Any:
    if not isinstance(value.default, dict):
        return value.default
    return defaults(value.parts) if value.default else {}


def table(values: list[Value]) -> str:
    """The values as a table in Markdown: one row for each that can be set."""
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in _leaves(values):
        default = "–" if value.default is None else f"`{json.dumps(value.default, ensure_ascii=False)}`"
        rows.append(f"| `{value.path}` | {default} | {value.text} |")
    return "\n".join(rows) + "\n"


def _leaves(values: list[Value] | tuple[Value, ...]) -> Iterator[Value]:
    for value in values:
        yield from _leaves(value.parts) if value.parts else [value]


def _values(node: Any, defaults: Mapping[str, Any], lines: list[str], prefix: str) -> Iterator[Value]:
    for key, child in node.value:
        name, path = key.value, prefix + key.value
        comment = _comment_above(lines, key.start_mark.line)
        text = _text(comment)
        if not text:
            raise ValueError(f"values.yaml: {path} is not described")
        given = _given(comment)
        if "@settings" in comment:
            parts = tuple(_settings(f"{path}."))
        elif isinstance(child, yaml.MappingNode) and "additionalProperties" not in given:
            parts = tuple(_values(child, defaults[name], lines, f"{path}."))
        else:
            parts = ()
        schema = {**(_object(parts) if parts else _inferred(defaults[name])), **given, "description": text}
        yield Value(name, path, text, defaults[name], schema, parts)


def _object(values: list[Value] | tuple[Value, ...]) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {value.name: value.schema for value in values},
    }


def _inferred(default: object) -> Schema:
    # bool before int: True is an int too
    for kind, name in (
        (bool, "boolean"),
        (int, "integer"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
    ):
        if isinstance(default, kind):
            return {"type": name}
    raise ValueError(f"no type is known for the default {default!r}: say it with @schema")


def _comment_above(lines: list[str], line: int) -> list[str]:
    """The comment's lines, without their marks, as far up as they follow each other."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return [text.strip().removeprefix("#").strip() for text in lines[first:line]]


def _text(comment: list[str]) -> str:
    words = [line.removeprefix("-- ") for line in comment if not line.startswith("@")]
    return " ".join(words)


def _given(comment: list[str]) -> Schema:
    found = (re.fullmatch(r"@schema (.*)", line) for line in comment)
    return {key: part for match in found if match for key, part in yaml.safe_load(match[1]).items()}


def _settings(prefix: str) -> Iterator[Value]:
    """The operator's settings that have no value of their own, under the names that values have."""
    described = Settings.model_json_schema()["properties"]
    for field, schema in described.items():
        if field in BY_OTHER_VALUES:
            continue
        head, *rest = field.split("_")
        name = head + "".join(part.capitalize() for part in rest)
        text = _CITATION.sub("", " ".join(schema["description"].split()))
        default, rules = _setting(schema)
        yield Value(name, prefix + name, text, default, {**rules, "description": text})


def _setting(schema: Mapping[str, Any]) -> tuple[Any, Schema]:
    """Default and schema of a setting."""
    default = schema.get("default")
    given = schema.get("anyOf", [schema])[0]  # else null, for which a value is left out
    if given.get("format") == "duration":  # of a number of seconds
        return None if default is None else f"{default:g}s", {"type": "string", "pattern": DURATION}
    bounds = ("minimum", "maximum", "exclusiveMaximum")
    rules = {key: given[key] for key in ("pattern", *bounds) if key in given}
    return default, {"type": given["type"], **rules}
