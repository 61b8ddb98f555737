"""The dataset that a dataflow writes into (platform.md 9)."""

from __future__ import annotations

from typing import Any

from crmflow.aep.models import Schema
from crmflow.api.crmdataflow import DatasetCreation

SLOT = "dataset"
"""As intents name it; its name is the key by which it is found."""


def creation(name: str, description: str, schema: Schema, wanted: DatasetCreation) -> dict[str, Any]:
    """The body of a create."""
    enabled = ["enabled:true"]
    tags = {
        "unifiedProfile": [*enabled, "isUpsert:true"] if wanted.upsert else enabled,
        "unifiedIdentity": enabled,
    }
    return {
        "name": name,
        "description": description,
        "schemaRef": {
            "id": schema.id,
            "contentType": f"application/vnd.adobe.xed+json;version={schema.major_version}",
        },
        "enableErrorDiagnostics": wanted.error_diagnostics,
        **({"tags": tags} if wanted.profile else {}),
    }
