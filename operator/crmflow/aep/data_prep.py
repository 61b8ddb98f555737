"""Data Prep: mapping sets (platform.md 8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from crmflow.aep import fields
from crmflow.aep.collection import Collection, Named, Query, Raw, Selection, Verb
from crmflow.aep.models import Created, FieldMapping, MappingCheck, MappingSet, MappingSetRef, SourceType
from crmflow.http.client import Answer
from crmflow.observability.redaction import sanitize

_LISTED_AT_MOST = "20"
_XED_FULL = "application/vnd.adobe.xed-full+json"


@dataclass(frozen=True, eq=False, repr=False)
class _MappingSets(Collection[MappingSet, MappingSetRef]):
    service: ClassVar[str] = "DataPrep"
    base_path: ClassVar[str] = "/data/foundation/conversion"

    def lookup(self, version: int | None) -> Query:
        return Query([] if version is None else [("version", str(version))])

    def queries(self, selection: Selection) -> Iterable[Query]:
        if not isinstance(selection, Named):
            raise self.selection_error(selection)
        paging = [("limit", _LISTED_AT_MOST), ("start", "0"), ("orderBy", "+createdDate")]
        return [Query([("name", selection.name), *paging])]

    def page(self, answer: Answer) -> tuple[Raw, ...]:
        body = answer.json()
        if not isinstance(body, dict) or "data" not in body:
            raise answer.unreadable("no listing")
        return fields.objects(body["data"])

    def found(self, answer: Answer, object_id: str) -> Raw:
        body = fields.obj(answer.json())
        if not isinstance(body.get("mappings"), list):
            raise answer.unreadable("no mappings")
        return body

    def created(self, answer: Answer, known_id: str = "") -> Created:
        body = fields.obj(answer.json())
        mapping_set_id = fields.text(body, "id")
        if not mapping_set_id:
            raise answer.unreadable("no id")
        return Created(mapping_set_id, version=fields.integer(body.get("version")) or 0)


def verdicts(answer: Answer, count: int) -> tuple[MappingCheck, ...]:
    """What ``/validate`` says of ``count`` mappings. Raises RemoteError unless each has a verdict."""
    found = fields.objects(fields.obj(answer.json()).get("validationResponse"))
    if len(found) != count:
        raise answer.unreadable(f"{len(found)} verdicts on {count} mappings")
    return tuple(map(_check, found))


def _mapping_set(raw: Raw) -> MappingSet:
    schema = fields.obj(raw, "outputSchema", "schemaRef") or fields.obj(raw, "schemaRef")
    version = fields.text(raw, "xdmVersion") or "1.0"
    return MappingSet(
        schema_id=fields.text(schema, "id") or fields.text(raw, "xdmSchema"),
        content_type=fields.text(schema, "contentType") or f"{_XED_FULL};version={version}",
        mappings=tuple(map(_mapping, fields.objects(raw.get("mappings")))),
    )


def _ref(raw: Raw) -> MappingSetRef | None:
    mapping_set_id = fields.text(raw, "id")
    return MappingSetRef(mapping_set_id, fields.integer(raw.get("version")) or 0) if mapping_set_id else None


def _mapping(raw: Raw) -> FieldMapping:
    """A mapping as it is read: in either family of fields, with MIME-like types (platform.md 8)."""
    kind = fields.text(raw, "sourceType").upper()
    source_type = SourceType.EXPRESSION
    if kind in ("ATTRIBUTE", "TEXT/X.SCHEMA-PATH"):
        source_type = SourceType.ATTRIBUTE
    elif "STATIC" in kind:
        source_type = SourceType.STATIC
    source = fields.text(raw, "source", "sourceAttribute")
    return FieldMapping(source_type, source, fields.text(raw, "destination", "destinationXdmPath"))


def _check(raw: Raw) -> MappingCheck:
    if fields.text(raw, "status").upper() == "SUCCESS":
        return MappingCheck(True, "")
    texts = (fields.text(error, "exception", "message") for error in fields.objects(raw.get("errors")))
    return MappingCheck(
        False, sanitize("; ".join(filter(None, texts)), keep_end=True) or "Data Prep gave no reason"
    )


MAPPING_SETS = _MappingSets("mappingSets", _mapping_set, _ref, frozenset({Verb.LIST, Verb.GET, Verb.CREATE}))
"""Mapping sets, which can be created but not deleted. A listing by name shows the oldest first, twenty at the
most; a read is of one version.
"""
