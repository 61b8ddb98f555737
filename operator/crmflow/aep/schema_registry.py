"""Schema Registry: XDM schemas and their identities (platform.md 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from crmflow.aep import fields
from crmflow.aep.gateway import Service
from crmflow.aep.models import Schema

SERVICE = "SchemaRegistry"
_BASE = "/data/foundation/schemaregistry/tenant"
_PATH = f"{_BASE}/schemas"
_LISTED_AT_MOST = "300"
_UNION = "union"
_IDENTITY = "xdm:descriptorIdentity"


class Schemas(Service):
    """The organisation's own schemas."""

    async def schema(self, schema_id: str, major_version: int = 1) -> Schema:
        """The schema by ``$id`` or ``meta:altId``, at the latest minor version; NotFound if there is none."""
        answer = await self._gateway.send(
            SERVICE,
            "schemas.get",
            "GET",
            f"{_PATH}/{quote(schema_id, safe='')}",
            # The version is mandatory on a lookup, and other media types are refused.
            headers={"Accept": f"application/vnd.adobe.xed-full+json; version={major_version}"},
        )
        body = fields.obj(answer.json())
        if not fields.text(body, "$id"):
            raise answer.unreadable("no schema")
        return _schema(body)

    async def schemas_titled(self, title: str) -> tuple[Schema, ...]:
        """The schemas of exactly this title, as a listing shows them: without description and tags."""
        answer = await self._gateway.send(
            SERVICE,
            "schemas.list",
            "GET",
            _PATH,
            params=[("property", f"title=={title}"), ("orderby", "title"), ("limit", _LISTED_AT_MOST)],
            headers={"Accept": "application/vnd.adobe.xed-id+json"},
        )
        body = answer.json()
        if not isinstance(body, dict) or "results" not in body:
            raise answer.unreadable("no listing")
        return tuple(
            _schema(raw) for raw in fields.objects(body["results"]) if fields.text(raw, "title") == title
        )

    async def create_schema(
        self, title: str, description: str, class_id: str, field_groups: Sequence[str]
    ) -> Schema:
        """A new schema of a class and field groups; not idempotent."""
        answer = await self._gateway.send(
            SERVICE,
            "schemas.create",
            "POST",
            _PATH,
            json={
                "type": "object",
                "title": title,
                "description": description,
                "allOf": [{"$ref": part} for part in (class_id, *field_groups)],
            },
        )
        body = fields.obj(answer.json())
        if not fields.text(body, "$id"):
            raise answer.unreadable("no $id")
        return _schema(body)

    async def has_primary_identity(self, schema_id: str) -> bool:
        """Whether a descriptor makes a field of the schema its primary identity."""
        answer = await self._gateway.send(
            SERVICE,
            "descriptors.list",
            "GET",
            f"{_BASE}/descriptors",
            headers={"Accept": "application/vnd.adobe.xdm+json"},
        )
        return any(
            fields.text(descriptor, "xdm:sourceSchema") == schema_id
            and fields.boolean(descriptor.get("xdm:isPrimary"))
            for descriptor in fields.objects(fields.obj(answer.json()).get(_IDENTITY))
        )

    async def set_primary_identity(self, schema: Schema, path: str, namespace: str) -> None:
        """Make the field at ``path``, such as ``/personalEmail/address``, the primary identity of a schema
        that has none; ``namespace`` is a code.
        """
        descriptor = {
            "@type": _IDENTITY,
            "xdm:sourceSchema": schema.id,
            "xdm:sourceVersion": schema.major_version,
            "xdm:sourceProperty": path,
            "xdm:namespace": namespace,
            "xdm:property": "xdm:code",
            "xdm:isPrimary": True,
        }
        await self._gateway.send(
            SERVICE, "descriptors.create", "POST", f"{_BASE}/descriptors", json=descriptor
        )

    async def enable_schema_for_profile(self, schema_id: str) -> None:
        """Make the schema part of the union schema, for good."""
        await self._gateway.send(
            SERVICE,
            "schemas.patch",
            "PATCH",
            f"{_PATH}/{quote(schema_id, safe='')}",
            json=[{"op": "add", "path": "/meta:immutableTags", "value": [_UNION]}],
        )


def _schema(raw: Mapping[str, Any]) -> Schema:
    return Schema(
        id=fields.text(raw, "$id"),
        alt_id=fields.text(raw, "meta:altId"),
        title=fields.text(raw, "title"),
        version=fields.text(raw, "version"),
        description=fields.text(raw, "description"),
        profile_enabled=_UNION in fields.texts(raw.get("meta:immutableTags")),
    )
