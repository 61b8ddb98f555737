"""What pydantic cannot say about a Kubernetes schema: CEL rules and list types, as annotations.

They are frozen, hence hashable: pydantic needs that for annotations inside ``X | None``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"

Reason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired"]


@dataclass(frozen=True)
class Rule:
    """One CEL rule that the API server holds for the annotated value.

    The message is a sentence that says what to write instead. ``field_path`` (``.interval``) moves the blame
    from the value that the rule stands on to one of its fields.
    """

    expression: str
    message: str
    field_path: str | None = None
    reason: Reason | None = None

    def to_json(self) -> dict[str, str]:
        """The entry of ``x-kubernetes-validations``."""
        entry = {"rule": self.expression, "message": self.message}
        if self.field_path is not None:
            entry["fieldPath"] = self.field_path
        if self.reason is not None:
            entry["reason"] = self.reason
        return entry

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return with_rules(handler(core_schema), (self,))


@dataclass(frozen=True)
class ListMap:
    """The annotated list of objects is a map: each value of ``key`` stands in it once."""

    key: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core_schema), LIST_TYPE: "map", LIST_MAP_KEYS: [self.key]}


@dataclass(frozen=True)
class ListSet:
    """The annotated list of scalars is a set: each value stands in it once."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core_schema), LIST_TYPE: "set"}


@dataclass(frozen=True)
class PlainText:
    """The annotated value is text to the API server, whatever it is here.

    What a format such as date-time means there is loose (a list passes for a time, and so does an offset of
    99 hours), and a rule sees what the API server made of the text. Of plain text a rule sees each character.
    """

    max_length: int

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        schema.pop("format", None)
        return {**schema, "maxLength": self.max_length}


def with_rules(schema: dict[str, Any], rules: tuple[Rule, ...]) -> dict[str, Any]:
    """A copy of ``schema`` that holds ``rules`` after those it already has."""
    if not rules:
        return schema
    return {**schema, VALIDATIONS: [*schema.get(VALIDATIONS, ()), *(rule.to_json() for rule in rules)]}
