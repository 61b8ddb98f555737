"""Catalog: datasets (platform.md 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from crmflow.aep import fields
from crmflow.aep.gateway import Service
from crmflow.aep.models import DataSet, Schema
from crmflow.transport.errors import ErrorClass, RemoteError

SERVICE = "Catalog"
_PATH = "/data/foundation/catalog/dataSets"
_LISTED_AT_MOST = "100"
"""As many as Catalog gives (platform.md 15)."""


class DataSets(Service):
    """Datasets, which the operator reads and creates, and never changes."""

    async def dataset(self, dataset_id: str) -> DataSet:
        """The dataset; NotFound if there is none, or if it has expired."""
        path = f"{_PATH}/{quote(dataset_id, safe='')}"
        answer = await self._gateway.send(SERVICE, "dataSets.get", "GET", path)
        raw = fields.obj(answer.json(), dataset_id)  # Catalog answers with a map of ids
        if not raw:
            message = f"there is no dataset with the id {dataset_id}"
            raise RemoteError(SERVICE, "dataSets.get", ErrorClass.NOT_FOUND, "NotFound", message, status=404)
        return _dataset(dataset_id, raw)

    async def datasets_named(self, name: str) -> tuple[DataSet, ...]:
        """The datasets of exactly this name, which must have no comma."""
        params = [("name", name), ("limit", _LISTED_AT_MOST), ("start", "0")]
        answer = await self._gateway.send(SERVICE, "dataSets.list", "GET", _PATH, params=params)
        body = answer.json()
        if not isinstance(body, dict):
            raise answer.unreadable("no listing")
        found = (_dataset(dataset_id, fields.obj(body, dataset_id)) for dataset_id in body)
        return tuple(dataset for dataset in found if dataset.name == name)

    async def create_dataset(
        self,
        name: str,
        description: str,
        schema: Schema,
        *,
        profile: bool,
        upsert: bool,
        error_diagnostics: bool,
    ) -> str:
        """The id of a new dataset; not idempotent."""
        enabled = ["enabled:true"]
        tags = {
            "unifiedProfile": [*enabled, "isUpsert:true"] if upsert else enabled,
            "unifiedIdentity": enabled,
        }
        content_type = f"application/vnd.adobe.xed+json;version={schema.major_version}"
        answer = await self._gateway.send(
            SERVICE,
            "dataSets.create",
            "POST",
            _PATH,
            json={
                "name": name,
                "description": description,
                "schemaRef": {"id": schema.id, "contentType": content_type},
                "enableErrorDiagnostics": error_diagnostics,
                **({"tags": tags} if profile else {}),
            },
        )
        created = fields.texts(answer.json())
        dataset_id = created[0].rpartition("/")[2] if created else ""
        if not dataset_id:
            raise answer.unreadable("no id")
        return dataset_id


def _dataset(dataset_id: str, raw: Mapping[str, Any]) -> DataSet:
    schema_ref = fields.obj(raw, "schemaRef")
    tags = fields.texts(fields.obj(raw, "tags").get("unifiedProfile"))
    return DataSet(
        id=dataset_id,
        name=fields.text(raw, "name"),
        schema_id=fields.text(schema_ref, "id"),
        content_type=fields.text(schema_ref, "contentType"),
        # Written with and without a space (platform.md 16.1).
        profile_enabled=any(tag.replace(" ", "").lower() == "enabled:true" for tag in tags),
    )
