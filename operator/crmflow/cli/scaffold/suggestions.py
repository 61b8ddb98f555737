"""Which column may go into which field of a schema, by names and types. A suggestion says why, and a person
decides.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crmflow.aep.models import Column
from crmflow.cli.scaffold.schema_paths import SchemaPath
from crmflow.cli.scaffold.types import conversion, held_by

_ADDRESS = {
    "Street": "street1",
    "City": "city",
    "State": "state",
    "Zip": "postalCode",
    "Code": "postalCode",
    "Zip_Code": "postalCode",
    "Country": "country",
}
"""What Zoho CRM calls the parts of an address, and what XDM does."""
_ADDRESSES = {
    "": ("homeAddress", "mailingAddress", "workAddress"),
    "Mailing_": ("mailingAddress",),
    "Billing_": ("accountBillingAddress", "billingAddress"),
    "Shipping_": ("accountShippingAddress", "shippingAddress"),
}
_STANDARD: Mapping[str, tuple[str, ...]] = {
    "id": ("extSourceSystemAudit.externalID",),
    "Created_Time": ("extSourceSystemAudit.createdDate",),
    "Modified_Time": ("extSourceSystemAudit.lastUpdatedDate",),
    "Email": ("personalEmail.address", "workEmail.address"),
    "Phone": ("workPhone.number", "homePhone.number", "accountPhone.number"),
    "Home_Phone": ("homePhone.number",),
    "Mobile": ("mobilePhone.number",),
    "Fax": ("faxPhone.number", "accountFax.number"),
    "First_Name": ("person.name.firstName",),
    "Last_Name": ("person.name.lastName",),
    "Full_Name": ("person.name.fullName",),
    "Salutation": ("person.name.courtesyTitle",),
    "Date_of_Birth": ("person.birthDate",),
    "Account_Name": ("accountName",),
    "Account_Type": ("accountType",),
    "Description": ("accountDescription",),
    "Industry": ("accountOrganization.industry",),
    "Website": ("accountOrganization.website",),
    "Employees": ("accountOrganization.numberOfEmployees",),
    "Annual_Revenue": ("accountOrganization.annualRevenue.amount",),
    "SIC_Code": ("accountOrganization.SICCode",),
    "Ticker_Symbol": ("accountOrganization.tickerSymbol",),
    **{
        f"{prefix}{theirs}": tuple(f"{address}.{ours}" for address in addresses)
        for prefix, addresses in _ADDRESSES.items()
        for theirs, ours in _ADDRESS.items()
    },
}
"""Fields that Zoho CRM has from the start, and the fields of XDM's standard field groups that hold the same;
of several the first one that the schema has."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@dataclass(frozen=True)
class Suggestion:
    """A column for a field."""

    column: str
    target: str
    reason: str
    """Why, and what becomes of the values, as half a sentence."""
    instead: tuple[str, ...] = ()
    """Other fields that it may belong into."""


@dataclass(frozen=True)
class Suggestions:
    """What fits, and what is left."""

    found: tuple[Suggestion, ...]
    """By target; each target once."""
    unfit: Mapping[str, str]
    """Columns whose namesake does not take them, with the reason."""
    unclear: Mapping[str, tuple[str, ...]]
    """Columns that several fields may mean."""
    columns: tuple[str, ...]
    """Columns that nothing was found for."""
    required: tuple[str, ...]
    """Required fields without a column."""


def suggest(columns: Sequence[Column], paths: Sequence[SchemaPath]) -> Suggestions:
    """What the columns of a table may be mapped to."""
    by_path = {path.path: path for path in paths}
    chosen: dict[str, Suggestion] = {}
    unfit: dict[str, str] = {}
    unclear: dict[str, tuple[str, ...]] = {}
    for column in columns:
        for one in _candidates(column.name, paths, by_path):
            if isinstance(one, tuple):
                unclear[column.name] = one
                continue
            field = by_path[one.target]
            becomes = conversion(held_by(column), field.holds)
            if becomes is None:
                unfit[column.name] = f"{one.target} takes {field.holds}, and it holds {held_by(column)}"
            elif one.target not in chosen:
                reason = f"{one.reason}; {becomes}" if becomes else one.reason
                chosen[one.target] = Suggestion(column.name, one.target, reason, one.instead)
    used = {one.column for one in chosen.values()}
    left = [column.name for column in columns if column.name not in used]
    return Suggestions(
        tuple(chosen[target] for target in sorted(chosen)),
        {name: why for name, why in unfit.items() if name not in used},
        {name: fields for name, fields in unclear.items() if name not in used},
        tuple(name for name in left if name not in unfit and name not in unclear),
        tuple(path.path for path in paths if path.required and path.path not in chosen),
    )


def _candidates(
    column: str, paths: Sequence[SchemaPath], by_path: Mapping[str, SchemaPath]
) -> Iterator[Suggestion | tuple[str, ...]]:
    """Fields for a column; of fields that can't be told apart, all of them."""
    standard = [path for path in _STANDARD.get(column, ()) if path in by_path]
    if standard:
        yield Suggestion(
            column, standard[0], "the field of XDM that holds what Zoho's does", tuple(standard[1:])
        )
    namesakes = [path for path in _by_words(paths).get(_words(column), ()) if path not in standard]
    if len(namesakes) == 1:
        yield Suggestion(column, namesakes[0], "the same name")
    elif namesakes and not standard:
        yield tuple(namesakes)


def _by_words(paths: Sequence[SchemaPath]) -> Mapping[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path in paths:
        found[_words(path.leaf)].append(path.path)
    return found


def _words(name: str) -> tuple[str, ...]:
    """What a name is made of, whether it is written in snake or in camel case."""
    return tuple(word.lower() for word in _WORD.findall(name))
