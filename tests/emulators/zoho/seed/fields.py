"""Short ways to write a field down, and the fields that every module with records has (zoho.md 3.5)."""

from __future__ import annotations

from typing import Any

from ..model import FieldSpec

_JSON_TYPES = {
    "boolean": "boolean",
    "integer": "integer",
    "double": "double",
    "decimal": "double",
    "percent": "double",
    "currency": "double",
    "lookup": "jsonobject",
    "ownerlookup": "jsonobject",
    "multiselectpicklist": "jsonarray",
    "subform": "jsonarray",
}
_LENGTHS = {
    "text": 255, "email": 100, "phone": 30, "website": 450, "textarea": 32000, "picklist": 120, "integer": 9,
    "bigint": 18, "currency": 16, "double": 9, "percent": 5, "datetime": 120, "date": 20, "boolean": 5,
    "profileimage": 255,
}  # fmt: skip


def one(api_name: str, data_type: str, label: str | None = None, **more: Any) -> FieldSpec:
    """A field; the label is made from the api_name, JSON type and length from the data type."""
    return FieldSpec(
        api_name,
        data_type,
        label or api_name.removesuffix("__s").replace("_", " "),
        json_type=more.pop("json_type", _JSON_TYPES.get(data_type, "string")),
        length=more.pop("length", _LENGTHS.get(data_type, 120)),
        **more,
    )


def many(data_type: str, *api_names: str, **more: Any) -> list[FieldSpec]:
    """Fields that differ only in name."""
    return [one(name, data_type, **more) for name in api_names]


def pick(api_name: str, *values: str, **more: Any) -> FieldSpec:
    """A picklist."""
    return one(api_name, more.pop("data_type", "picklist"), values=("-None-", *values), **more)


def lookup(api_name: str, module: str, **more: Any) -> FieldSpec:
    """A lookup into another module."""
    return one(api_name, "lookup", lookup=module, **more)


def address(prefix: str) -> list[FieldSpec]:
    """Street to country with a prefix, as in ``Mailing_City``."""
    return many("text", *(f"{prefix}_{part}" for part in ("Street", "City", "State", "Zip", "Country")))


def module_fields(*fields: FieldSpec | list[FieldSpec]) -> dict[str, FieldSpec]:
    """The fields of a module by api_name: its own ones between the system's."""
    flat = [f for group in fields for f in (group if isinstance(group, list) else [group])]
    return {f.api_name: f for f in [_ID, *flat, *_SYSTEM]}


_ID = one("id", "bigint", "Record Id", read_only=True)
_SYSTEM = [
    one("Owner", "ownerlookup", mandatory=True),
    *many("ownerlookup", "Created_By", "Modified_By", read_only=True),
    *many("datetime", "Created_Time", "Modified_Time", "Last_Activity_Time", read_only=True),
    # Says text, holds a list of objects (zoho.md 3.5).
    one("Tag", "text", json_type="jsonarray", read_only=True),
    one("Record_Image", "profileimage"),
    one("Locked__s", "boolean", read_only=True),
]
