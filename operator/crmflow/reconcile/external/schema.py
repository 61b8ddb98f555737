"""The schema that a dataflow writes by, and the content types that name its versions (platform.md 10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crmflow.aep.models import PatchOperation, Schema
from crmflow.aep.schema_registry import IDENTITY

SLOT = "schema"
"""As intents name it; its title is the key by which it is found."""

JOIN_UNION = PatchOperation("add", "/meta:immutableTags", ["union"])
"""Makes a schema part of the union schema, for good."""

_CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version={major}"
"""Dataset, mapping and target connection are kept on the same schema id and major version (platform.md 16.1,
20).
"""


def content_type(schema: Schema) -> str:
    """The content type that names the schema's major version."""
    return _CONTENT_TYPE.format(major=schema.major_version)


def plain_content_type(text: str) -> str:
    """The same from any other spelling of it."""
    return _CONTENT_TYPE.format(major=major_version(text) or "1")


def major_version(text: str) -> str | None:
    """The major version in ``…; version=1`` or ``…;version=1.3``; spellings differ (platform.md 16.1, 20)."""
    _, found, version = text.replace(" ", "").partition("version=")
    return version.split(".")[0] if found else None


def creation(title: str, description: str, class_id: str, field_groups: Sequence[str]) -> dict[str, Any]:
    """The body of a create."""
    return {
        "type": "object",
        "title": title,
        "description": description,
        "allOf": [{"$ref": part} for part in (class_id, *field_groups)],
    }


def primary_identity(schema: Schema, path: str, namespace: str) -> dict[str, Any]:
    """The descriptor that makes the field at a dotted ``path`` the schema's primary identity."""
    return {
        "@type": IDENTITY,
        "xdm:sourceSchema": schema.id,
        "xdm:sourceVersion": schema.major_version,
        "xdm:sourceProperty": "/" + path.replace(".", "/"),
        "xdm:namespace": namespace,
        "xdm:property": "xdm:code",
        "xdm:isPrimary": True,
    }
