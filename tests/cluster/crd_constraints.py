"""Every constraint of the rendered CRDs, and the cases that follow from the constraint itself.

A case is a manifest that just breaks the constraint, and a neighbor that just keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from crmflow.api.endpoint import ZOHO_DOMAINS
from crmflow.api.kinds import CRM_DATAFLOW, CRM_DATAFLOW_RUN, KINDS, ZOHO_SOURCE_CONNECTION, Kind
from crmflow.api.schema import LIST_MAP_KEYS, LIST_TYPE, VALIDATIONS
from hack.generators.crd import custom_resource_definition
from hack.generators.walk import walk
from tests.cluster.crd_objects import ONCE, REMOVED, Edit, concrete, value_at


@dataclass(frozen=True)
class Constraint:
    """One thing that a schema demands of the value at ``path``. For a CEL rule ``value`` is the rule's
    message.
    """

    kind: Kind
    path: str
    keyword: str
    value: Any

    def __str__(self) -> str:
        what = f" {self.value}" if self.keyword in ("enum", "rule") else ""
        return f"{self.kind.singular} {self.path} {self.keyword}{what}"


@dataclass(frozen=True)
class Case:
    """Edits of the maximal resource that break the constraint, where and how the API server says so, and
    edits that
    keep it. ``transition``: the edits are made to a stored resource."""

    rejected: tuple[Edit, ...]
    field: str
    text: str
    accepted: tuple[Edit, ...]
    transition: bool = False


def generated_cases(constraint: Constraint) -> list[Case]:
    """The cases of any constraint but a CEL rule."""
    return list(_GENERATED[constraint.keyword](constraint, concrete(constraint.kind, constraint.path)))


def constraints() -> Iterator[Constraint]:
    """All constraints of both rendered CRDs, below spec and status."""
    for kind in KINDS:
        crd = custom_resource_definition(kind)
        root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for top in ("spec", "status"):
            for node in walk(root["properties"][top], top, required=top in root["required"]):
                yield Constraint(kind, node.path, "type", node.schema.get("format", node.schema["type"]))
                if node.required and not node.path.endswith(("[]", "{}")):
                    yield Constraint(kind, node.path, "required", True)
                for keyword in _BOUNDS:
                    if keyword in node.schema:
                        yield Constraint(kind, node.path, keyword, _value(node.schema, keyword))
                for rule in node.schema.get(VALIDATIONS, ()):
                    yield Constraint(kind, node.path, "rule", rule["message"])


_WRONG_TYPE: dict[str, Any] = {
    "string": 1,
    "date-time": 1,
    "integer": "1",
    "number": "1",
    "boolean": "true",
    "array": "a",
    "object": "a",
}

_STRETCHED: dict[tuple[str, str], Callable[[int], str]] = {
    (ZOHO_SOURCE_CONNECTION.kind, "spec.zoho.scopes[]"): lambda n: "ZohoCRM.".ljust(n, "a"),
    (ZOHO_SOURCE_CONNECTION.kind, "spec.platform.organization"): lambda n: "A" * (n - 9) + "@AdobeOrg",
    **{
        (CRM_DATAFLOW.kind, f"spec.target.schema.{field}"): lambda n: "https://ns.adobe.com/".ljust(n, "a")
        for field in ("id", "create.class", "create.fieldGroups[]")
    },
    **{
        (kind.kind, path): lambda n: "2026-01-31T08:00:00.".ljust(n - 1, "0") + "Z"
        for kind, path in (
            (CRM_DATAFLOW, "spec.schedule.startTime"),
            (CRM_DATAFLOW_RUN, "spec.window.start"),
            (CRM_DATAFLOW_RUN, "spec.window.end"),
        )
    },
    (CRM_DATAFLOW.kind, "spec.extract.fullReadEvery"): lambda n: "24h".rjust(n, "0"),
    **{(kind.kind, "spec.resyncInterval"): lambda n: "1h".rjust(n, "0") for kind in KINDS},
}
"""How to make a valid string of a given length where not any letters will do."""

_ENUM_CONTEXT: dict[tuple[str, Any], tuple[Edit, ...]] = {
    ("spec.schedule.frequency", "Once"): ONCE,
    ("spec.schedule.frequency", "Minute"): (("spec.schedule.interval", 15),),
    **{
        ("spec.zoho.dataCenter", code): (("spec.platform.authParams.endpoint", f"crm.{domains[0]}"),)
        for code, domains in ZOHO_DOMAINS.items()
    },
}
"""What else must be said for a value of an enum to be accepted."""


def _value(schema: dict[str, Any], keyword: str) -> Any:
    if keyword in ("minimum", "maximum"):
        exclusive = schema.get(f"exclusive{keyword.capitalize()}", False)
        return schema[keyword], exclusive, schema["type"]
    if keyword == LIST_TYPE:
        return schema.get(LIST_MAP_KEYS, [None])[0]
    return schema[keyword]


def _type(constraint: Constraint, where: str) -> Iterator[Case]:
    text = f"must be of type {constraint.value}"
    yield Case(((where, _WRONG_TYPE[constraint.value]),), where, text, ())


def _required(constraint: Constraint, where: str) -> Iterator[Case]:
    yield Case(((where, REMOVED),), where, "Required value", ())


def _enum(constraint: Constraint, where: str) -> Iterator[Case]:
    for value in constraint.value:
        accepted = (*_ENUM_CONTEXT.get((constraint.path, value), ()), (where, value))
        yield Case(((where, value.swapcase()),), where, "Unsupported value", accepted)


def _format(constraint: Constraint, where: str) -> Iterator[Case]:
    for bad, good in (("2026-01-31", "2026-01-31T08:00:00.5+05:30"), ("tomorrow", "2026-01-31T08:00:00Z")):
        yield Case(((where, bad),), where, "must be of type date-time", ((where, good),))


def _max_length(constraint: Constraint, where: str) -> Iterator[Case]:
    limit = constraint.value
    text = _STRETCHED.get((constraint.kind.kind, constraint.path), lambda n: "a" * n)
    yield Case(
        ((where, text(limit + 1)),),
        where,
        f"Too long: may not be more than {limit} bytes",
        ((where, text(limit)),),
    )


def _min_length(constraint: Constraint, where: str) -> Iterator[Case]:
    limit = constraint.value
    yield Case(
        ((where, "a" * (limit - 1)),),
        where,
        f"should be at least {limit} chars long",
        ((where, "a" * limit),),
    )


def _limit(constraint: Constraint, where: str, outside: int, relation: str) -> Case:
    limit, exclusive, kind_of_number = constraint.value
    step = 1 if kind_of_number == "integer" else 0.5
    inside = limit - outside * step if exclusive else limit
    rejected = limit if exclusive else limit + outside * step
    words = relation if exclusive else f"{relation} or equal to"
    return Case(((where, rejected),), where, f"should be {words} {limit}", ((where, inside),))


def _minimum(constraint: Constraint, where: str) -> Iterator[Case]:
    yield _limit(constraint, where, -1, "greater than")


def _maximum(constraint: Constraint, where: str) -> Iterator[Case]:
    yield _limit(constraint, where, 1, "less than")


def _items(constraint: Constraint, where: str, count: int) -> list[Any]:
    first = value_at(constraint.kind, where)[0]
    if not isinstance(first, dict):
        return [f"{first}{index}" for index in range(count)]
    key = next((key for key in ("target", "type", "slot") if key in first), None)
    if key is None:
        return [first] * count
    return [{**first, key: f"{first[key]}{index}"} for index in range(count)]


def _max_items(constraint: Constraint, where: str) -> Iterator[Case]:
    limit = constraint.value
    many, most = _items(constraint, where, limit + 1), _items(constraint, where, limit)
    yield Case(((where, many),), where, f"must have at most {limit} items", ((where, most),))


def _min_items(constraint: Constraint, where: str) -> Iterator[Case]:
    limit = constraint.value
    few, least = _items(constraint, where, limit - 1), _items(constraint, where, limit)
    yield Case(((where, few),), where, f"should have at least {limit} items", ((where, least),))


def _max_properties(constraint: Constraint, where: str) -> Iterator[Case]:
    limit = constraint.value
    many, most = ({f"a{index}": "" for index in range(count)} for count in (limit + 1, limit))
    yield Case(((where, many),), where, f"must have at most {limit} items", ((where, most),))


def _list_type(constraint: Constraint, where: str) -> Iterator[Case]:
    key, items = constraint.value, value_at(constraint.kind, where)
    twin = items[0] if key is None else {**items[-1], key: items[0][key]}
    other = f"{items[0]}_2" if key is None else {**items[-1], key: "Other"}
    end = f"{where}[{len(items)}]"
    yield Case(((end, twin),), end, "Duplicate value", ((end, other),))


_BOUNDS: dict[str, Callable[[Constraint, str], Iterator[Case]]] = {
    "enum": _enum,
    "format": _format,
    "maxLength": _max_length,
    "minLength": _min_length,
    "minimum": _minimum,
    "maximum": _maximum,
    "maxItems": _max_items,
    "minItems": _min_items,
    "maxProperties": _max_properties,
    LIST_TYPE: _list_type,
}
_GENERATED = {"type": _type, "required": _required, **_BOUNDS}
