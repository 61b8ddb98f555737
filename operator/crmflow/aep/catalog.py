"""Catalog: datasets (platform.md 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from crmflow.aep import fields
from crmflow.aep.gateway import Service
from crmflow.aep.models import DataSet
from crmflow.transport.errors import ErrorClass, RemoteError

SERVICE = "Catalog"
_PATH = "/data/foundation/catalog/dataSets"


class DataSets(Service):
    """Datasets, which the operator reads only."""

    async def dataset(self, dataset_id: str) -> DataSet:
        """The dataset; NotFound if there is none, or if it has expired."""
        path = f"{_PATH}/{quote(dataset_id, safe='')}"
        answer = await self._gateway.send(SERVICE, "dataSets.get", "GET", path)
        raw = fields.obj(answer.json(), dataset_id)  # Catalog answers with a map of ids
        if not raw:
            message = f"there is no dataset with the id {dataset_id}"
            raise RemoteError(SERVICE, "dataSets.get", ErrorClass.NOT_FOUND, "NotFound", message, status=404)
        return _dataset(dataset_id, raw)


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
