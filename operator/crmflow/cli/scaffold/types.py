"""What columns hold, and which fields of a schema take that."""

from __future__ import annotations

from enum import StrEnum

from crmflow.aep.models import Column


class Holds(StrEnum):
    """What is in a column, or in a field of a schema."""

    TEXT = "text"
    INTEGER = "whole numbers"
    NUMBER = "numbers"
    BOOLEAN = "true or false"
    DATE = "dates"
    DATE_TIME = "dates with a time"
    LIST = "several values"
    MAP = "a map"
    UNKNOWN = "something else"


_BY_TYPE = {
    **dict.fromkeys(("boolean", "bool"), Holds.BOOLEAN),
    **dict.fromkeys(("integer", "int", "long", "short", "byte", "bigint", "int32", "int64"), Holds.INTEGER),
    **dict.fromkeys(("number", "double", "float", "decimal", "currency", "percent"), Holds.NUMBER),
    **dict.fromkeys(("array", "multiselectpicklist"), Holds.LIST),
    **dict.fromkeys(("map", "object"), Holds.MAP),
    "date": Holds.DATE,
    "date-time": Holds.DATE_TIME,
}
"""Types as Platform's explore, Zoho CRM and XDM name them; every other one is text."""


def held_by(column: Column) -> Holds:
    """What a column holds."""
    return kind_of(column.format or column.type)


def kind_of(type_name: str) -> Holds:
    """What is held by whatever has a type of that name."""
    return _BY_TYPE.get(type_name.lower(), Holds.TEXT)


_CONVERTED = {
    (Holds.INTEGER, Holds.NUMBER): "",
    (Holds.DATE, Holds.DATE_TIME): "each date becomes the beginning of its day in UTC",
    **{
        (held, Holds.TEXT): f"{held} become text"
        for held in (Holds.INTEGER, Holds.NUMBER, Holds.DATE, Holds.DATE_TIME)
    },
    (Holds.BOOLEAN, Holds.TEXT): "true and false become text",
    (Holds.LIST, Holds.TEXT): "several values become one text",
}
"""What Data Prep takes besides the same type, with what becomes of the values (landing-zone.md E.4). Not what
drops values that do not fit, as text in a field of numbers.
"""


def conversion(held: Holds, wanted: Holds) -> str | None:
    """What becomes of values on their way into a field; empty if they stay what they are, None if the field
    does not take them.
    """
    return "" if held is wanted else _CONVERTED.get((held, wanted))
