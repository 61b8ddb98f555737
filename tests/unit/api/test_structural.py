"""The traps between pydantic's JSON schema and a structural schema, one case each."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import AwareDatetime, Field

from crmflow.api.base import Model
from crmflow.api.schema import ListMap, ListSet, Rule
from hack.generators.structural import KEYS, NotStructural, structural_schema

ON_CLASS = Rule("self.a == ''", "class")
ON_FIELD = Rule("has(self.a)", "field", field_path=".a", reason="FieldValueForbidden")
ON_VALUE = Rule("self != ''", "value")


class Color(StrEnum):
    """A color."""

    RED = "Red"


class Inner(Model):
    """An inner object."""

    a: str = ""
    """A."""
    b_c: str | None = None
    """B and C."""

    rules: ClassVar[tuple[Rule, ...]] = (ON_CLASS,)


class Node(Model):
    """Contains itself."""

    node: Node | None = None
    """Itself."""


INNER = {
    "type": "object",
    "properties": {
        "a": {"description": "A.", "type": "string", "default": ""},
        "bC": {"description": "B and C.", "type": "string"},
    },
}


def render(annotation: Any, default: Any = ...) -> dict[str, Any]:
    """The schema of a field with this annotation, and whether it is required."""

    namespace = {
        "__annotations__": {"field": annotation},
        "__module__": __name__,
        "field": Field(default, description="F."),
    }
    schema = structural_schema(type("Outer", (Model,), namespace))
    field = schema["properties"]["field"]
    assert field.pop("description") == "F."
    return {**field, "required": "field" in schema.get("required", [])}


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        pytest.param(str, ..., {"type": "string", "required": True}, id="no title"),
        pytest.param(
            str | None, None, {"type": "string", "required": False}, id="optional: neither null nor default"
        ),
        pytest.param(
            Literal["a"], ..., {"type": "string", "enum": ["a"], "required": True}, id="const becomes enum"
        ),
        pytest.param(Color, ..., {"type": "string", "enum": ["Red"], "required": True}, id="enum inlined"),
        pytest.param(
            Color,
            Color.RED,
            {"type": "string", "enum": ["Red"], "default": "Red", "required": False},
            id="enum default",
        ),
        pytest.param(
            Annotated[float, Field(gt=0, lt=9)],
            ...,
            {
                "type": "number",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 9,
                "exclusiveMaximum": True,
                "required": True,
            },
            id="exclusive bounds are flags",
        ),
        pytest.param(
            Annotated[int, Field(ge=1)] | None,
            None,
            {"type": "integer", "minimum": 1, "required": False},
            id="bounds kept",
        ),
        pytest.param(
            AwareDatetime, ..., {"type": "string", "format": "date-time", "required": True}, id="time"
        ),
        pytest.param(
            dict[str, str],
            ...,
            {"type": "object", "additionalProperties": {"type": "string"}, "required": True},
            id="map",
        ),
        pytest.param(dict[str, Any] | None, None, NotStructural, id="map of anything"),
        pytest.param(
            Annotated[tuple[str, ...], ListSet()],
            (),
            {
                "type": "array",
                "items": {"type": "string"},
                "x-kubernetes-list-type": "set",
                "required": False,
            },
            id="set; empty list is no default",
        ),
        pytest.param(
            Annotated[tuple[Inner, ...], ListMap("a")],
            ...,
            {
                "type": "array",
                "items": {
                    **INNER,
                    "description": "An inner object.",
                    "x-kubernetes-validations": [ON_CLASS.to_json()],
                },
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["a"],
                "required": True,
            },
            id="list map",
        ),
        pytest.param(
            Annotated[Inner, ON_FIELD],
            ...,
            {**INNER, "x-kubernetes-validations": [ON_CLASS.to_json(), ON_FIELD.to_json()], "required": True},
            id="rules of class and field are joined",
        ),
        pytest.param(
            Annotated[Inner, ON_FIELD] | None,
            None,
            {
                **INNER,
                "x-kubernetes-validations": [ON_CLASS.to_json(), ON_FIELD.to_json()],
                "required": False,
            },
            id="rules survive being optional",
        ),
        pytest.param(
            Annotated[str, ON_VALUE, ON_CLASS],
            ...,
            {
                "type": "string",
                "x-kubernetes-validations": [ON_VALUE.to_json(), ON_CLASS.to_json()],
                "required": True,
            },
            id="several rules on one value",
        ),
        pytest.param(
            Inner,
            Inner(),
            {
                **INNER,
                "x-kubernetes-validations": [ON_CLASS.to_json()],
                "default": {"a": ""},
                "required": False,
            },
            id="default of an object has no nulls",
        ),
        pytest.param(int | str, ..., NotStructural, id="alternatives"),
        pytest.param(int | str | None, None, NotStructural, id="optional alternatives"),
        pytest.param(tuple[int, str], ..., NotStructural, id="prefixItems"),
        pytest.param(set[str], ..., NotStructural, id="uniqueItems"),
        pytest.param(dict[Literal["a"], str], ..., NotStructural, id="propertyNames"),
        pytest.param(timedelta, ..., NotStructural, id="ISO 8601 duration"),
        pytest.param(Annotated[str, Field(examples=["x"])], ..., NotStructural, id="examples"),
        pytest.param(Annotated[str, Field(deprecated=True)], ..., NotStructural, id="deprecated"),
        pytest.param(Any, ..., NotStructural, id="anything"),
        pytest.param(Node, ..., NotStructural, id="recursion"),
        pytest.param(
            datetime | None,
            None,
            {"type": "string", "format": "date-time", "required": False},
            id="optional time",
        ),
    ],
)
def test_translation(annotation: Any, default: Any, expected: dict[str, Any] | type[Exception]) -> None:
    if isinstance(expected, dict):
        assert render(annotation, default) == expected
    else:
        with pytest.raises(expected):
            render(annotation, default)


def test_strict_models_lose_only_what_forbids_unknown_fields() -> None:
    class Strict(Model, extra="forbid"):
        """Strict."""

        a: str
        """A."""

    assert "additionalProperties" not in structural_schema(Strict)


def test_a_property_needs_a_description() -> None:
    class Silent(Model):
        """Says nothing about its field."""

        a: str

    with pytest.raises(NotStructural, match=r"Silent\.a: has no description"):
        structural_schema(Silent)


def test_an_error_names_the_place() -> None:
    with pytest.raises(NotStructural, match=r"^Outer\.field\[\]: a CRD can't hold examples$"):
        render(tuple[Annotated[str, Field(examples=["x"])], ...])


def test_keys_are_written_in_one_order() -> None:
    schema = structural_schema(Inner)
    assert list(schema) == [key for key in KEYS if key in schema]


def test_descriptions_are_one_line() -> None:
    class Wrapped(Model):
        """Wrapped."""

        a: str
        """One
        line."""

    assert structural_schema(Wrapped)["properties"]["a"]["description"] == "One line."
