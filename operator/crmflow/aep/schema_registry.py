"""Schema Registry: XDM schemas and their identities (platform.md 10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from crmflow.aep import fields
from crmflow.aep.collection import Collection, Named, Query, Raw, Selection, Verb
from crmflow.aep.models import Created, IdentityDescriptor, Schema
from crmflow.http.client import Answer

IDENTITY = "xdm:descriptorIdentity"
"""The type of a descriptor that makes a field an identity."""
_LISTED_AT_MOST = "300"
_UNION = "union"
_TIME_SERIES = frozenset(
    {"https://ns.adobe.com/xdm/context/experienceevent", "https://ns.adobe.com/xdm/data/time-series"}
)
"""Class and behavior of events."""
_SERVICE = "SchemaRegistry"
_BASE_PATH = "/data/foundation/schemaregistry/tenant"


@dataclass(frozen=True, eq=False, repr=False)
class _Schemas(Collection[Schema, Schema]):
    service: ClassVar[str] = _SERVICE
    base_path: ClassVar[str] = _BASE_PATH
    name_field: ClassVar[str] = "title"

    def lookup(self, version: int | None) -> Query:
        # The version is mandatory on a lookup, and other media types are refused.
        return Query(headers={"Accept": f"application/vnd.adobe.xed-full+json; version={version or 1}"})

    def queries(self, selection: Selection) -> Iterable[Query]:
        if selection is not None and not isinstance(selection, Named):
            raise self.selection_error(selection)
        titled = [("property", f"title=={selection.name}")] if selection is not None else []
        params = [*titled, ("orderby", "title"), ("limit", _LISTED_AT_MOST)]
        return [Query(params, {"Accept": "application/vnd.adobe.xed-id+json"})]

    def page(self, answer: Answer) -> tuple[Raw, ...]:
        body = answer.json()
        if not isinstance(body, dict) or "results" not in body:
            raise answer.unreadable("no listing")
        return fields.objects(body["results"])

    def found(self, answer: Answer, object_id: str) -> Raw:
        body = fields.obj(answer.json())
        if not fields.text(body, "$id"):
            raise answer.unreadable("no schema")
        return body

    def created(self, answer: Answer, known_id: str = "") -> Created:
        body = fields.obj(answer.json_or_none())
        schema_id = fields.text(body, "$id") or known_id
        if not schema_id:
            raise answer.unreadable("no $id")
        return Created(schema_id, version=_schema(body).major_version)


@dataclass(frozen=True, eq=False, repr=False)
class _Descriptors(Collection[IdentityDescriptor, IdentityDescriptor]):
    service: ClassVar[str] = _SERVICE
    base_path: ClassVar[str] = _BASE_PATH

    def queries(self, selection: Selection) -> Iterable[Query]:
        if selection is not None:
            raise self.selection_error(selection)
        return [Query(headers={"Accept": "application/vnd.adobe.xdm+json"})]

    def page(self, answer: Answer) -> tuple[Raw, ...]:
        """All kinds come in one answer, sorted by kind; those of identities are taken."""
        return fields.objects(fields.obj(answer.json()).get(IDENTITY))

    def created(self, answer: Answer, known_id: str = "") -> Created:
        return Created(fields.text(answer.json_or_none(), "@id") or known_id)


def _schema(raw: Raw) -> Schema:
    return Schema(
        id=fields.text(raw, "$id"),
        alt_id=fields.text(raw, "meta:altId"),
        title=fields.text(raw, "title"),
        version=fields.text(raw, "version"),
        description=fields.text(raw, "description"),
        profile_enabled=_UNION in fields.texts(raw.get("meta:immutableTags")),
        is_time_series=not _TIME_SERIES.isdisjoint(
            (fields.text(raw, "meta:class"), *fields.texts(raw.get("meta:extends")))
        ),
    )


def _descriptor(raw: Raw) -> IdentityDescriptor:
    return IdentityDescriptor(
        schema_id=fields.text(raw, "xdm:sourceSchema"),
        is_primary=bool(fields.boolean(raw.get("xdm:isPrimary"))),
    )


SCHEMAS = _Schemas("schemas", _schema, _schema, frozenset({Verb.LIST, Verb.GET, Verb.CREATE, Verb.PATCH}))
"""The organization's schemas, by ``$id`` or ``meta:altId``. A read shows the latest minor version of a major
one; a listing leaves out description and tags. One of all shows the first 300 by title.
"""

DESCRIPTORS = _Descriptors("descriptors", _descriptor, _descriptor, frozenset({Verb.LIST, Verb.CREATE}))
"""What makes fields of schemas identities; other kinds of descriptors are not listed."""
