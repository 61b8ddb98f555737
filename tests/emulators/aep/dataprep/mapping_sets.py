"""Mapping sets: both accepted forms, one kept form (platform.md 8)."""

from __future__ import annotations

import copy
import uuid
from typing import Any

from tests.emulators.aep import errors
from tests.emulators.aep.dataprep import expression
from tests.emulators.aep.media import major_version
from tests.emulators.aep.resource import milliseconds
from tests.emulators.aep.state import Sandbox
from tests.emulators.core.web import ServiceError

MappingSet = dict[str, Any]

ATTRIBUTE, EXPRESSION, STATIC = "ATTRIBUTE", "EXPRESSION", "STATIC"
_READ_AS = {ATTRIBUTE: "text/x.schema-path", EXPRESSION: "text/x.aep-xl", STATIC: "STATIC"}
_WRITTEN_AS = {**{kind: kind for kind in _READ_AS}, **{mime: kind for kind, mime in _READ_AS.items()}}


def find(sandbox: Sandbox, id: str, version: int) -> MappingSet | None:
    """One version of a mapping set."""
    return next((v for v in sandbox.mapping_sets.get(id, []) if v["version"] == version), None)


def output_schema(mapping_set: MappingSet) -> tuple[str | None, int | None]:
    """Id and major version of the schema that the set writes."""
    reference = mapping_set["outputSchema"]["schemaRef"]
    return reference["id"], major_version(reference.get("contentType"))


def input_columns(mapping_set: MappingSet) -> set[str] | None:
    """Names of the source's columns, if the set says them."""
    schema = mapping_set.get("inputSchema")
    json_schema = schema.get("jsonSchema") if isinstance(schema, dict) else None
    properties = json_schema.get("properties") if isinstance(json_schema, dict) else None
    return set(properties) if isinstance(properties, dict) and properties else None


def normalized(body: Any, now: float, author: str) -> MappingSet:
    """The kept form of a request body; raises what Data Prep refuses outright."""
    if not isinstance(body, dict):
        raise bad_request("A mapping set is expected")
    mappings = body.get("mappings")
    if not isinstance(mappings, list):
        raise bad_request("mappings: a list is expected")
    stamp = _stamp(now, author)
    kept: MappingSet = {
        **stamp,
        "name": body.get("name"),
        "outputSchema": {"schemaRef": _schema_ref(body)},
        "mappings": [_mapping(entry, stamp) for entry in mappings],
        "allowNullValues": body.get("allowNullValues") is True,
        "strictMapping": body.get("strictMapping") is True,
        "status": "PUBLISHED",
        "supportVersion": "1.0",
    }
    if isinstance(body.get("inputSchema"), dict):
        kept["inputSchema"] = copy.deepcopy(body["inputSchema"])
    return kept


def shown(id: str, mapping_set: MappingSet) -> dict[str, Any]:
    """The set as read: both field families, MIME-like source types."""
    body = copy.deepcopy(mapping_set)
    reference = body["outputSchema"]["schemaRef"]
    body["mappings"] = [shown_mapping(mapping) for mapping in body["mappings"]]
    version = major_version(reference["contentType"])
    return {
        "id": id,
        **body,
        "schemaRef": reference,
        "xdmSchema": reference["id"],
        "xdmVersion": f"{version}.0",
    }


def shown_mapping(mapping: dict[str, Any]) -> dict[str, Any]:
    """One mapping as read."""
    return {
        **mapping,
        "sourceType": _READ_AS[mapping["sourceType"]],
        "sourceAttribute": mapping["source"],
        "destinationXdmPath": mapping["destination"],
    }


def summary(id: str, mapping_set: MappingSet) -> dict[str, Any]:
    """The answer to a create."""
    names = ("version", "createdDate", "modifiedDate", "createdBy", "modifiedBy")
    return {"id": id, **{name: mapping_set[name] for name in names}}


def same_content(left: MappingSet, right: MappingSet) -> bool:
    """Whether two versions map alike."""

    def content(mapping_set: MappingSet) -> Any:
        mappings = [
            {n: m[n] for n in ("source", "sourceType", "destination")} for m in mapping_set["mappings"]
        ]
        return output_schema(mapping_set), mappings

    return bool(content(left) == content(right))


def bad_request(detail: str) -> ServiceError:
    """A 400 of Data Prep."""
    return errors.generic(400, "BadRequestError", detail)


def _schema_ref(body: dict[str, Any]) -> dict[str, str]:
    output = body.get("outputSchema")
    reference = output.get("schemaRef") if isinstance(output, dict) else body.get("schemaRef")
    if isinstance(reference, dict) and isinstance(reference.get("id"), str):
        content_type = reference.get("contentType")
        if major_version(content_type) is None:
            raise bad_request("schemaRef.contentType: a media type with a version is expected")
        return {"id": reference["id"], "contentType": str(content_type)}
    if isinstance(body.get("xdmSchema"), str):
        version = major_version(str(body.get("xdmVersion") or "1.0"))
        if version is None:
            raise bad_request("xdmVersion is not a version")
        content_type = f"application/vnd.adobe.xed-full+json;version={version}"
        return {"id": body["xdmSchema"], "contentType": content_type}
    raise bad_request("outputSchema.schemaRef or xdmSchema is missing")


def _mapping(entry: Any, stamp: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise bad_request("mappings: objects are expected")
    source = _member(entry, "source", "sourceAttribute")
    kind = entry.get("sourceType")
    if kind is None:
        kind = ATTRIBUTE if expression.is_path(source) else EXPRESSION
    if kind not in _WRITTEN_AS:
        raise bad_request(f"sourceType {kind!r} is not one of ATTRIBUTE, EXPRESSION, STATIC")
    return {
        **stamp,
        "id": uuid.uuid4().hex,
        "sourceType": _WRITTEN_AS[kind],
        "source": source,
        "destination": _member(entry, "destination", "destinationXdmPath"),
        "name": entry.get("name"),
        "description": entry.get("description"),
        "identity": entry.get("identity") is True,
        "primaryIdentity": entry.get("primaryIdentity") is True,
        "functionVersion": 0,
    }


def _member(entry: dict[str, Any], *names: str) -> str:
    value = next((entry[name] for name in names if entry.get(name) is not None), None)
    if not isinstance(value, str) or not value.strip():
        raise bad_request(f"{names[0]} is missing in a mapping")
    return value


def _stamp(now: float, author: str) -> dict[str, Any]:
    time = milliseconds(now)
    return {
        "version": 0,
        "createdDate": time,
        "modifiedDate": time,
        "createdBy": author,
        "modifiedBy": author,
    }
