"""What the kinds are made of: the base model, references, conditions, and types that occur often."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from crmflow.api.schema import ListMap, PlainText, Rule, with_rules


class Model(BaseModel):
    """A part of a resource, named in camelCase on the wire and in snake_case here.

    The API server has validated what is read with it, so unknown fields (of a newer version) are ignored.
    ``model_fields_set`` tells which optional fields the user wrote.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    """CEL rules over several fields of this object."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        schema.update(with_rules(schema, cls.rules))
        return reference


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


Timestamp = Annotated[AwareDatetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]
"""An instant, written as Kubernetes writes times: RFC 3339 in UTC with whole seconds."""

_RFC_3339 = (
    "^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    "[Tt]([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
RFC_3339 = Rule(
    f"self.matches('{_RFC_3339}') && timestamp(self.upperAscii()).getFullYear() > 0",
    "must be a time from 1970 on, with seconds and with Z or an offset of less than a day, such as "
    "2026-01-31T08:00:00Z or 2026-01-31T13:30:00+05:30",
)
"""The last part is for days that no calendar has, such as 30 February."""


def is_before(first: str, second: str) -> str:
    """CEL: of two times that a person writes, the first lies before the second. What is no time at all is for
    its own rule to refuse.
    """
    is_time = " && ".join(f"self.{field}.matches('{_RFC_3339}')" for field in (first, second))
    return f"!({is_time}) || timestamp(self.{first}.upperAscii()) < timestamp(self.{second}.upperAscii())"


WrittenTime = Annotated[Timestamp, PlainText(max_length=64), RFC_3339]
"""An instant that a person writes: RFC 3339, and nothing that :data:`Timestamp` can't read."""

ONE_LINE = Rule(
    r"self.matches(r'^[^\p{Cc}\p{Zl}\p{Zp}]*$')",
    "must be one line of text: remove line breaks, tabs and other control characters",
)
OBJECT_NAME = Rule(
    "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
    "must be the name of an object in the same namespace: lower-case letters, digits, '-' and '.', "
    "with a letter or digit at both ends",
)

DisplayName = Annotated[str, Field(min_length=1, max_length=100), ONE_LINE]
Description = Annotated[str, Field(min_length=1, max_length=512), ONE_LINE]
ObjectName = Annotated[str, Field(min_length=1, max_length=253), OBJECT_NAME]
RemoteId = Annotated[str, Field(max_length=256)]
"""An identifier that the operator read from a remote service: opaque."""
RemoteState = Annotated[str, Field(max_length=64)]
"""A state as the remote service spells it."""

RECONCILE_REQUEST_LENGTH = 256
ReconcileRequest = Annotated[str, Field(max_length=RECONCILE_REQUEST_LENGTH)]
"""What somebody wrote into the annotation that asks for a complete check, or its beginning."""

DURATION_PATTERN = "([0-9]+([.][0-9]+)?(ms|s|m|h))+"
_DURATION = re.compile(DURATION_PATTERN)


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise PydanticCustomError("duration", "must be a duration such as 30m, 1h or 1h30m")
    return text


Duration = Annotated[str, Field(max_length=32), AfterValidator(_duration)]
"""A length of time such as 90m, 1h or 1h30m."""
RESYNC_INTERVAL = Rule(
    f"self.matches('^{DURATION_PATTERN}$') && duration(self) >= duration('10m')",
    "must be a duration of at least 10m, such as 30m, 1h or 1h30m",
)


class LocalObjectReference(Model):
    """Names an object in the namespace of the resource that refers to it."""

    name: ObjectName
    """Name of the object."""


class DeletionPolicy(StrEnum):
    """What deleting the resource does to what stands for it in Adobe Experience Platform."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


class Transport(StrEnum):
    """The way in which records of Zoho CRM get into Adobe Experience Platform (landing-zone.md 0)."""

    AUTO = "Auto"
    """What Adobe Experience Platform offers decides: its own Zoho CRM source, else the landing zone."""
    PLATFORM_SOURCE = "PlatformSource"
    """Adobe Experience Platform reads Zoho CRM itself, through a base connection."""
    LANDING_ZONE = "LandingZone"
    """A Job of the operator reads Zoho CRM and writes files into the sandbox's Data Landing Zone, from which
    Adobe Experience Platform takes them."""


WAYS = frozenset({Transport.PLATFORM_SOURCE, Transport.LANDING_ZONE})


class ManagementPolicy(StrEnum):
    """Whether the operator changes anything in Adobe Experience Platform."""

    MANAGE = "Manage"
    OBSERVE = "Observe"


AdoptedId = Annotated[
    str,
    Field(max_length=64),
    Rule(
        "self.matches('^[0-9A-Za-z][0-9A-Za-z-]*$')",
        "must be the ID, letters, digits and '-' as the API and the address of the object's page in Adobe "
        "Experience Platform show it, not its name",
    ),
]
"""The identifier of an object that was there before the resource."""


def set_once(field: str, instead: str) -> Rule:
    """The optional ``field`` may be added later, and stays from then on."""
    return Rule(
        f"!has(oldSelf.{field}) || (has(self.{field}) && self.{field} == oldSelf.{field})",
        f"{field} cannot change or go once it is set: set it back, and {instead}",
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


def observed_by(field: str) -> Rule:
    """Only what exists can be observed."""
    return Rule(
        f"self.managementPolicy != 'Observe' || has(self.{field})",
        f"{field} is required when managementPolicy is Observe: name what is to be observed",
        field_path=f".{field}",
        reason="FieldValueRequired",
    )


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class StatusCondition(Model):
    """One aspect of the resource's state, in the shape and with the bounds that Kubernetes gives all
    conditions."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """What the condition is about, such as Ready."""
    status: ConditionStatus
    """Whether it holds: True, False or Unknown."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the resource that the condition was found for."""
    last_transition_time: Timestamp
    """When status last changed."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, as one CamelCase word for programs."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, as a sentence for people; when something is wrong, it says what to do."""


Conditions = Annotated[tuple[StatusCondition, ...], ListMap("type"), Field(max_length=32)]


class LastDrift(Model):
    """What somebody changed in Adobe Experience Platform."""

    time: Timestamp
    """When the operator put it right, or, with managementPolicy Observe, first saw it."""
    fields: Annotated[tuple[Annotated[str, Field(max_length=128)], ...], Field(max_length=32)]
    """What was changed, by remote object and field, such as flow.name; an object alone was deleted."""


class Intent(Model):
    """A remote object that is about to be created, written down before the request so that a lost answer
    loses nothing.
    """

    slot: Annotated[str, Field(max_length=32)]
    """Which of the resource's remote objects."""
    name: Annotated[str, Field(max_length=128)]
    """The full remote name that it gets."""
    time: Timestamp
    """When the request was about to be sent."""


PASSING = frozenset(
    {
        "observedGeneration",
        "servedBy",
        "conditions",
        "deletionPolicy",
        "lastDrift",
        "lastHandledReconcileAt",
    }
)
"""The fields of a status that every pass tells anew."""

Intents = Annotated[tuple[Intent, ...], ListMap("slot"), Field(max_length=8)]
