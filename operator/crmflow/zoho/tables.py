"""The modules of an organization and their fields (zoho.md 3.4, 3.5), and which of them Bulk Read delivers
(landing-zone.md F.1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crmflow.observability.redaction import sanitize
from crmflow.zoho.api import CrmApi, items

_LONGEST = 100


class Delivery(StrEnum):
    """How a field's value stands in a file of ours."""

    AS_IT_IS = "AsItIs"
    DATE_TIME = "DateTime"
    """As ``yyyy-MM-ddTHH:mm:ssZ`` in UTC."""
    ID = "Id"
    """A look-up, as the id of the record that it names."""
    LIST = "List"
    """Several choices, with a semicolon between them."""
    NOT_DELIVERED = "NotDelivered"
    """Neither Bulk Read nor COQL has it."""


@dataclass(frozen=True, slots=True)
class Module:
    """A table of Zoho CRM."""

    api_name: str
    label: str
    is_readable: bool
    """Whether the API reads its records in bulk."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a module."""

    api_name: str
    label: str
    data_type: str
    """As Zoho names it; new ones come up (zoho.md 3.5)."""
    delivery: Delivery
    is_formula: bool
    """Zoho computes it: what changes its value does not move ``Modified_Time`` (landing-zone.md F.2)."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A name that is no column, and what to do about it."""

    name: str
    advice: str


_LOOKUPS = frozenset({"lookup", "ownerlookup", "userlookup", "profilelookup"})
_LISTS = frozenset({"multiselectpicklist"})
_FORMULAS = frozenset({"formula", "rollup_summary"})
_NOT_DELIVERED = frozenset(
    {
        "subform",
        "multiselectlookup",
        "multiuserlookup",
        "multimodulelookup",
        "multireminder",
        "consent_lookup",
        "fileupload",
        "imageupload",
        "profileimage",
        "attachment",
        "rrule",
        "alarm",
        "event_reminder",
    }
)
_NO_BULK_READ = frozenset({"Notes", "Attachments", "Emails"})


async def modules(api: CrmApi) -> tuple[Module, ...]:
    """The modules that the token's user may see; needs ``ZohoCRM.settings.modules.READ``."""
    return tuple(
        Module(
            api_name=name,
            label=_text(raw, "plural_label") or name,
            is_readable=raw.get("api_supported") is True
            and raw.get("status") != "scheduled_for_deletion"
            and name not in _NO_BULK_READ,
        )
        for raw in items(await api.send("modules", "GET", "v8/settings/modules"), "modules")
        if (name := _text(raw, "api_name"))
    )


async def fields(api: CrmApi, module: str) -> tuple[Field, ...]:
    """The fields of a module, ``id`` first; needs ``ZohoCRM.settings.fields.READ``. Some modules that Zoho
    lists have none. Raises RemoteError (ModuleNotReadable).
    """
    answer = await api.send("fields", "GET", "v8/settings/fields", params=[("module", module)])
    found = {name: _field(name, raw) for raw in items(answer, "fields") if (name := _text(raw, "api_name"))}
    if not found:
        return ()
    identifier = found.pop("id", Field("id", "Record Id", "bigint", Delivery.AS_IT_IS, is_formula=False))
    return (identifier, *found.values())


def unreadable(names: Iterable[str], known: Iterable[Field]) -> tuple[Unreadable, ...]:
    """Those of ``names`` that no transfer delivers."""
    by_name = {field.api_name: field for field in known}
    return tuple(Unreadable(name, advice) for name in names if (advice := _objection(name, by_name)))


def _objection(name: str, known: Mapping[str, Field]) -> str:
    field = known.get(name)
    if field is not None:
        return (
            f"a field of the type {field.data_type} is not delivered: leave it out"
            if field.delivery is Delivery.NOT_DELIVERED
            else ""
        )
    first = name.partition(".")[0]
    if first != name and first in known:
        return f"use {first}, which is the id; other fields of the record that it names are not delivered"
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(first.casefold(), folded, n=1)
    return f"there is no such field; {folded[near[0]]} may be meant" if near else "there is no such field"


def _field(name: str, raw: Mapping[str, Any]) -> Field:
    data_type = _text(raw, "data_type")
    kind = data_type.lower()
    formula = raw.get("formula")
    return Field(
        api_name=name,
        label=_text(raw, "display_label") or _text(raw, "field_label") or name,
        data_type=data_type,
        delivery=_delivery(kind, _return_type(formula)),
        is_formula=kind in _FORMULAS,
    )


def _delivery(kind: str, return_type: str) -> Delivery:
    """By the data type alone: ``json_type`` does not always say the truth (zoho.md 3.5)."""
    if kind in _NOT_DELIVERED:
        return Delivery.NOT_DELIVERED
    if kind in _LOOKUPS:
        return Delivery.ID
    if kind in _LISTS:
        return Delivery.LIST
    return Delivery.DATE_TIME if "datetime" in (kind, return_type) else Delivery.AS_IT_IS


def _return_type(formula: Any) -> str:
    return _text(formula, "return_type").lower() if isinstance(formula, dict) else ""


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return sanitize(value, _LONGEST) if isinstance(value, str) else ""
