"""Render a kind's CustomResourceDefinition."""

from __future__ import annotations

from typing import Any

from crmflow.api.kinds import CATEGORIES, GROUP, VERSION, Kind, PrinterColumn
from crmflow.api.schema import MAP_TYPE
from hack.generators.structural import Schema, structural_schema


def custom_resource_definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of ``kind``, as the API server takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": list(kind.short_names),
                "categories": list(CATEGORIES),
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in kind.printer_columns],
                    "schema": {"openAPIV3Schema": _resource_schema(kind)},
                }
            ],
        },
    }


def _column(column: PrinterColumn) -> dict[str, Any]:
    rendered: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    if column.priority:
        rendered["priority"] = column.priority
    return rendered


def _resource_schema(kind: Kind) -> Schema:
    return {
        "description": kind.description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": "Group and version of the resource.", "type": "string"},
            "kind": {"description": "Kind of the resource.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": _owned_as_one(structural_schema(kind.spec)),
            "status": structural_schema(kind.status),
        },
    }


def _owned_as_one(spec: Schema) -> Schema:
    """A spec that server-side apply replaces instead of merging it (docs/decisions/0020).

    The rules of a spec are about several fields at once: exactly one of these, that one only with the other.
    A merge of two good specs can break them.
    """
    return {**spec, MAP_TYPE: "atomic"}
