"""Data Prep: mapping sets (platform.md 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from crmflow.aep import fields
from crmflow.aep.gateway import Service
from crmflow.aep.models import FieldMapping, MappingCheck, MappingSet, MappingSetRef, SourceType
from crmflow.observability.redaction import sanitise

SERVICE = "DataPrep"
_PATH = "/data/foundation/conversion/mappingSets"
_FOUND_AT_MOST = 20
_XED_FULL = "application/vnd.adobe.xed-full+json"


class MappingSets(Service):
    """Mapping sets, which can be created but not deleted."""

    async def validate_mapping(
        self, schema_id: str, content_type: str, mappings: Sequence[FieldMapping]
    ) -> tuple[MappingCheck, ...]:
        """Data Prep's verdicts, one for each mapping in their order; nothing is created."""
        answer = await self._gateway.send(
            SERVICE,
            "mappingSets.validate",
            "POST",
            f"{_PATH}/validate",
            json=_body(schema_id, content_type, mappings),
        )
        found = fields.objects(fields.obj(answer.json()).get("validationResponse"))
        if len(found) != len(mappings):
            raise answer.unreadable(f"{len(found)} verdicts on {len(mappings)} mappings")
        return tuple(map(_check, found))

    async def find_mapping_set(self, name: str) -> MappingSetRef | None:
        """The oldest mapping set of exactly this name; the names that we give say what is in it."""
        params = [("name", name), ("limit", str(_FOUND_AT_MOST)), ("start", "0"), ("orderBy", "+createdDate")]
        answer = await self._gateway.send(SERVICE, "mappingSets.list", "GET", _PATH, params=params)
        found = answer.json()
        if not isinstance(found, dict) or "data" not in found:
            raise answer.unreadable("no listing")
        for raw in fields.objects(found["data"]):
            if fields.text(raw, "name") == name and fields.text(raw, "id"):
                return MappingSetRef(fields.text(raw, "id"), fields.integer(raw.get("version")) or 0)
        return None

    async def mapping_set(self, ref: MappingSetRef) -> MappingSet:
        """What a mapping set maps, whoever made it; NotFound if there is none of that version."""
        answer = await self._gateway.send(
            SERVICE,
            "mappingSets.get",
            "GET",
            f"{_PATH}/{quote(ref.id, safe='')}",
            params=[("version", str(ref.version))],
        )
        body = fields.obj(answer.json())
        schema = fields.obj(body, "outputSchema", "schemaRef") or fields.obj(body, "schemaRef")
        version = fields.text(body, "xdmVersion") or "1.0"
        if not isinstance(body.get("mappings"), list):
            raise answer.unreadable("no mappings")
        return MappingSet(
            schema_id=fields.text(schema, "id") or fields.text(body, "xdmSchema"),
            content_type=fields.text(schema, "contentType") or f"{_XED_FULL};version={version}",
            mappings=tuple(map(_mapping, fields.objects(body["mappings"]))),
        )

    async def create_mapping_set(
        self, name: str, schema_id: str, content_type: str, mappings: Sequence[FieldMapping]
    ) -> MappingSetRef:
        """A new mapping set, at the version that a flow names together with its id."""
        answer = await self._gateway.send(
            SERVICE,
            "mappingSets.create",
            "POST",
            _PATH,
            json={"name": name, **_body(schema_id, content_type, mappings)},
        )
        body = fields.obj(answer.json())
        mapping_set_id = fields.text(body, "id")
        if not mapping_set_id:
            raise answer.unreadable("no id")
        return MappingSetRef(mapping_set_id, fields.integer(body.get("version")) or 0)


def _body(schema_id: str, content_type: str, mappings: Sequence[FieldMapping]) -> dict[str, Any]:
    return {
        "outputSchema": {"schemaRef": {"id": schema_id, "contentType": content_type}},
        "mappings": [
            {
                "sourceType": mapping.source_type.value,
                "source": mapping.source,
                "destination": mapping.destination,
            }
            for mapping in mappings
        ],
    }


def _mapping(raw: Mapping[str, Any]) -> FieldMapping:
    """A mapping as it is read: in either family of fields, with MIME-like types (platform.md 8)."""
    kind = fields.text(raw, "sourceType").upper()
    source_type = SourceType.EXPRESSION
    if kind in ("ATTRIBUTE", "TEXT/X.SCHEMA-PATH"):
        source_type = SourceType.ATTRIBUTE
    elif "STATIC" in kind:
        source_type = SourceType.STATIC
    source = fields.text(raw, "source", "sourceAttribute")
    return FieldMapping(source_type, source, fields.text(raw, "destination", "destinationXdmPath"))


def _check(raw: Mapping[str, Any]) -> MappingCheck:
    if fields.text(raw, "status").upper() == "SUCCESS":
        return MappingCheck(True, "")
    texts = (fields.text(error, "exception", "message") for error in fields.objects(raw.get("errors")))
    return MappingCheck(False, sanitise("; ".join(filter(None, texts))) or "Data Prep gave no reason")
