"""The functions of Data Prep's expression language that are known here, and what some of them compute.

All names are known to the validator; only those with a body can be previewed.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _coalesce(*values: Any) -> Any:
    return next((v for v in values if v is not None), None)


def _iif(condition: Any, then: Any, otherwise: Any) -> Any:
    return then if condition else otherwise


def _substr(text: Any, start: Any, length: Any = None) -> str:
    begin = int(start)
    return _text(text)[begin : None if length is None else begin + int(length)]


def _split(text: Any, separator: Any) -> list[str]:
    return _text(text).split(_text(separator))


def _join(separator: Any, *parts: Any) -> str:
    flat = [p for part in parts for p in (part if isinstance(part, list) else [part])]
    return _text(separator).join(_text(p) for p in flat)


def _digest(name: str) -> Function:
    return lambda text: hashlib.new(name, _text(text).encode()).hexdigest()


IMPLEMENTED: dict[str, Function] = {
    "coalesce": _coalesce,
    "concat": lambda *parts: "".join(_text(p) for p in parts),
    "contains": lambda text, part: _text(part) in _text(text),
    "endswith": lambda text, part: _text(text).endswith(_text(part)),
    "equals": lambda *texts: len({_text(t) for t in texts}) == 1,
    "equalsignorecase": lambda a, b: _text(a).lower() == _text(b).lower(),
    "guid": lambda: str(uuid.uuid4()),
    "iif": _iif,
    "is_empty": lambda value: value in (None, "", [], {}),
    "is_set": lambda value: value is not None,
    "join": _join,
    "lcase": lambda text: _text(text).lower(),
    "left": lambda text, length: _text(text)[: int(length)],
    "lower": lambda text: _text(text).lower(),
    "ltrim": lambda text: _text(text).lstrip(),
    "matches_regex": lambda text, pattern: re.fullmatch(_text(pattern), _text(text)) is not None,
    "md5": _digest("md5"),
    "nullify": lambda: None,
    "replace": lambda text, old, new: _text(text).replace(_text(old), _text(new)),
    "right": lambda text, length: _text(text)[-int(length) :],
    "rtrim": lambda text: _text(text).rstrip(),
    "sha1": _digest("sha1"),
    "sha256": _digest("sha256"),
    "sha512": _digest("sha512"),
    "size_of": len,
    "split": _split,
    "startswith": lambda text, part: _text(text).startswith(_text(part)),
    "substr": _substr,
    "to_decimal": float,
    "to_float": float,
    "to_integer": lambda value: int(float(value)),
    "trim": lambda text: _text(text).strip(),
    "ucase": lambda text: _text(text).upper(),
    "upper": lambda text: _text(text).upper(),
}

_KNOWN_ONLY = (
    "add_to_array",
    "arrays_to_objects",
    "array_to_map",
    "base64_to_string",
    "contains_key",
    "crc32",
    "date",
    "date_diff",
    "date_part",
    "decode",
    "dformat",
    "explode",
    "extract_regex",
    "fetch_values_from_array",
    "filterarray",
    "format",
    "get_keys",
    "get_url_encoded",
    "get_url_host",
    "get_url_path",
    "get_url_port",
    "get_url_protocol",
    "get_url_query_str",
    "get_values",
    "hex_to_bytes",
    "hex_to_string",
    "instr",
    "is_object",
    "join_arrays",
    "json_to_object",
    "lpad",
    "make_date_time",
    "map_get_values",
    "map_has_keys",
    "mask",
    "max",
    "min",
    "now",
    "object_to_map",
    "rpad",
    "set_date_part",
    "string_to_base64",
    "timestamp",
    "to_array",
    "to_bigint",
    "to_boolean",
    "to_bytes",
    "to_date",
    "to_map",
    "to_object",
    "to_string",
    "truncate",
    "upsert_array_append",
    "upsert_array_replace",
    "uuid",
    "zone_date_to_utc",
    "zone_date_to_zone",
)

NAMES = frozenset(IMPLEMENTED) | frozenset(_KNOWN_ONLY)
"""Lower-case names; calls are not case-sensitive."""

OPERATORS = ("+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "!", "and", "or")
