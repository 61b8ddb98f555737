"""The mapping as Data Prep wants it (platform.md 8)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import astuple

from crmflow.aep.models import FieldMapping, Schema, SourceType
from crmflow.api.crmdataflow import Mapping
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.values import major_version

SCHEMA_CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version={major}"
"""Dataset, mapping and target connection are kept on the same schema id and major version (platform.md 16.1,
20).
"""
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEXT = re.compile(r'"[^"\\]*"|\'[^\'\\]*\'')


def content_type(schema: Schema) -> str:
    """The content type that names the schema's major version."""
    return SCHEMA_CONTENT_TYPE.format(major=schema.major_version)


def plain_content_type(text: str) -> str:
    """The same from any other spelling of it."""
    return SCHEMA_CONTENT_TYPE.format(major=major_version(text) or "1")


def entries(mapping: Sequence[Mapping]) -> list[FieldMapping]:
    """The entries in a fixed order, so that equal mappings are equal."""
    return [_entry(item) for item in sorted(mapping, key=lambda item: item.target)]


def is_same_mapping(left: Sequence[FieldMapping], right: Sequence[FieldMapping]) -> bool:
    """True if both map alike, however they say it: the order does not count, nor whether a column or a text
    stands there as such or as an expression.
    """
    return sorted(map(_folded, left)) == sorted(map(_folded, right))


def content_hash(schema_id: str, schema_content_type: str, mappings: Sequence[FieldMapping]) -> str:
    """16 hex digits that are equal for equal mappings onto the same schema."""
    text = json.dumps(
        [schema_id, schema_content_type, [astuple(mapping) for mapping in mappings]], separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def wanted_mapping(pass_: DataflowPass) -> str:
    """What tells the mapping that the spec wants from any other: the hash of its content, onto the schema
    that status records, or id and version of the mapping set that it names.
    """
    ref, schema = pass_.spec.mapping_set_ref, pass_.status.schema_
    if ref is not None:
        return _label(ref.id, ref.version)
    return content_hash(
        schema.id if schema else "", schema.version if schema else "", entries(pass_.spec.mapping or ())
    )


def known_mapping(pass_: DataflowPass) -> str | None:
    """The same of the mapping set that status records."""
    known = pass_.status.mapping_set
    return None if known is None else known.content_hash or _label(known.id, known.version)


def _label(mapping_set_id: str, version: int) -> str:
    return f"{mapping_set_id}/{version}"


def _folded(mapping: FieldMapping) -> tuple[str, str, str]:
    source, kind = mapping.source.strip(), mapping.source_type
    if kind is SourceType.EXPRESSION and _COLUMN.fullmatch(source):
        kind = SourceType.ATTRIBUTE
    elif kind is SourceType.EXPRESSION and _TEXT.fullmatch(source):
        kind, source = SourceType.STATIC, source[1:-1]
    return mapping.destination.strip(), kind, source


def _entry(item: Mapping) -> FieldMapping:
    if item.source is not None:
        return FieldMapping(SourceType.ATTRIBUTE, item.source, item.target)
    if item.expression is not None:
        return FieldMapping(SourceType.EXPRESSION, item.expression, item.target)
    return FieldMapping(SourceType.STATIC, item.value or "", item.target)
