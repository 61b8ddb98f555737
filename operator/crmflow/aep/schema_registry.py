"""Schema Registry: XDM schemas (platform.md 10)."""

from __future__ import annotations

from urllib.parse import quote

from crmflow.aep import fields
from crmflow.aep.gateway import Service
from crmflow.aep.models import Schema

SERVICE = "SchemaRegistry"
_PATH = "/data/foundation/schemaregistry/tenant/schemas"


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
        return Schema(
            id=fields.text(body, "$id"),
            alt_id=fields.text(body, "meta:altId"),
            title=fields.text(body, "title"),
            version=fields.text(body, "version"),
        )
