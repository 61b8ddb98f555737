"""The mapping set: how columns become fields of the schema, as Data Prep wants it (platform.md 8). Sets that
say the same are shared, and never changed or deleted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.models import FieldMapping, SourceType
from crmflow.api.crmdataflow import (
    CRMDataflowSpec,
    CRMDataflowStatus,
    MappingEntry,
    MappingSetStatus,
    SchemaStatus,
)
from crmflow.reconcile.external.identity import Slot
from crmflow.reconcile.external.remote_object import RemoteObject, Values

MAPPINGS = "/mappings"

_FIELDS = {
    SourceType.ATTRIBUTE: "source",
    SourceType.EXPRESSION: "expression",
    SourceType.STATIC: "value",
}
"""The fields of an entry of the spec."""
_LONGEST_COLUMN = 128
"""What ``source`` of an entry takes; a longer path stands as an expression."""
_SEGMENT = r"(?:[^\W\d]|[$]|\\.)(?:[\w$]|\\.)*(?:\[(?:\d+|\*)?\])*"
_PATH = re.compile(rf"(?:{_SEGMENT}(?:\.{_SEGMENT})*|\$\{{[^{{}}]+\}})")
"""A path as Data Prep's functions take it: names that are parted by dots, with a backslash before a character
that is part of a name; any other name stands in ``${}``.
"""
_ESCAPED = re.compile(r"\\(.)")
_TEXT = re.compile(r'"[^"\\]*"|\'[^\'\\]*\'')


def reads_from(source: str, columns: Collection[str]) -> bool | None:
    """Whether the ``source`` of a mapping takes one of the ``columns``, by itself or a part of its value;
    None if it is written in a way that only Data Prep understands.
    """
    written, source = source, source.strip()
    if any(name in columns for name in (written, source, _plain(written), _plain(source))):
        return True
    if not _PATH.fullmatch(source):
        return None
    path = source[2:-1] if source.startswith("${") else source
    # A dot parts two names, or is part of one: the column is the path up to any of its dots.
    ends = [match.start() for match in re.finditer(r"[.\[]", path)]
    return any(_plain(path[:end]) in columns for end in (*ends, len(path)))


def is_named_in(source: str, column: str) -> bool:
    """Whether the ``source`` of a mapping names a column: by itself, or somewhere in an expression."""
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(column)}(?![A-Za-z0-9_])", source) is not None


def entries(mapping: Sequence[MappingEntry]) -> list[FieldMapping]:
    """The entries in a fixed order, so that equal mappings are equal."""
    return [_entry(item) for item in sorted(mapping, key=lambda item: item.target)]


def repeated_targets(mapping: Sequence[FieldMapping]) -> list[str]:
    """The targets that more than one entry maps to, each once."""
    counts = Counter(entry.destination.strip() for entry in mapping)
    return [target for target, count in counts.items() if count > 1]


def is_same_mapping(left: Sequence[FieldMapping], right: Sequence[FieldMapping]) -> bool:
    """True if both map alike, however they say it: the order does not count, nor whether a column or a text
    stands there as such or as an expression.
    """
    return sorted(map(_folded, left)) == sorted(map(_folded, right))


def content_hash(schema_id: str, schema_content_type: str, mappings: Sequence[FieldMapping]) -> str:
    """16 hex digits that are equal for equal mappings onto the same schema."""
    text = json.dumps(
        [schema_id, schema_content_type, [(m.source_type, m.source, m.destination) for m in mappings]],
        separators=(",", ":"),
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def creation(schema: SchemaStatus, mappings: Sequence[FieldMapping]) -> Values:
    """What a mapping set is created with, besides its name; it is also what Data Prep validates."""
    return {
        "/outputSchema/schemaRef": {"id": schema.id, "contentType": schema.version},
        MAPPINGS: [
            {
                "sourceType": mapping.source_type.value,
                "source": mapping.source,
                "destination": mapping.destination,
            }
            for mapping in mappings
        ],
    }


def wanted_mapping(spec: CRMDataflowSpec, schema: SchemaStatus | None) -> str:
    """What tells the mapping that the spec wants from any other: the hash of its content, onto the schema
    that status records, or id and version of the mapping set that it names.
    """
    ref = spec.mapping_set_ref
    if ref is not None:
        return _label(ref.id, ref.version)
    return content_hash(
        schema.id if schema else "", schema.version if schema else "", entries(spec.mapping or ())
    )


def known_mapping(status: CRMDataflowStatus) -> str | None:
    """The same of the mapping set that status records."""
    known = status.mapping_set
    return None if known is None else known.content_hash or _label(known.id, known.version)


def moves_mapping(spec: CRMDataflowSpec, status: CRMDataflowStatus) -> bool:
    """True unless the flow's mapping set, as far as is known, is the one that the spec wants."""
    return known_mapping(status) != wanted_mapping(spec, status.schema_)


def declared(mapping: FieldMapping) -> dict[str, str]:
    """The entry of ``spec.mapping`` that says the same, by the names of its fields. A column that stands
    there as an expression is a column, as Data Prep shows those of older bodies (platform.md 8).
    """
    destination, kind, source = _folded(mapping)
    if kind == SourceType.ATTRIBUTE and len(source) > _LONGEST_COLUMN:
        kind = SourceType.EXPRESSION
    return {"target": destination, _FIELDS[SourceType(kind)]: source}


def _label(mapping_set_id: str, version: int) -> str:
    return f"{mapping_set_id}/{version}"


def _plain(path: str) -> str:
    """A path as the name that it spells."""
    return _ESCAPED.sub(r"\1", path)


def _folded(mapping: FieldMapping) -> tuple[str, str, str]:
    source, kind = mapping.source.strip(), mapping.source_type
    if kind is SourceType.EXPRESSION and _PATH.fullmatch(source):
        kind = SourceType.ATTRIBUTE
    elif kind is SourceType.EXPRESSION and _TEXT.fullmatch(source):
        kind, source = SourceType.STATIC, source[1:-1]
    return mapping.destination.strip(), kind, source


def _entry(item: MappingEntry) -> FieldMapping:
    if item.source is not None:
        return FieldMapping(SourceType.ATTRIBUTE, item.source, item.target)
    if item.expression is not None:
        return FieldMapping(SourceType.EXPRESSION, item.expression, item.target)
    return FieldMapping(SourceType.STATIC, item.value or "", item.target)


MAPPING_SET: RemoteObject[Any] = RemoteObject(
    slot=Slot("mappingSet"),
    collection=MAPPING_SETS,
    noun="mapping set",
    recorded_at=("mapping_set", "id"),
    record=lambda set_id: {"mapping_set": MappingSetStatus(id=set_id, version=0) if set_id else None},
    observed=lambda remote: {MAPPINGS: remote.mappings},
    fields={MAPPINGS: "spec.mapping"},
)
