"""The ``criteria`` of a bulk read (landing-zone.md F.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bulk_errors import refusal
from .call import Call
from .comparing import COMPARISONS, comparable, compared
from .errors import invalid_data
from .model import Module, Record

MAX_CRITERIA = 25
MAX_VALUES = 20
Condition = Callable[[Record], bool]
_OPERATORS = {
    "equal": "=",
    "not_equal": "!=",
    "greater_than": ">",
    "greater_equal": ">=",
    "less_than": "<",
    "less_equal": "<=",
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "starts_with": lambda text, part: text.startswith(part),
    "ends_with": lambda text, part: text.endswith(part),
}
_NEGATED = {"not_in": "in", "not_between": "between", "not_contains": "contains"}


def predicate(call: Call, module: Module, criteria: Any) -> Condition:
    """The records that fit; all without criteria. Raises what Zoho refuses."""
    if criteria is None:
        return lambda record: True
    if _count(criteria) > MAX_CRITERIA:
        raise refusal(call, "CRITERIA_LIMIT_EXCEEDED", name="criteria")
    return _condition(call, module, criteria)


def _count(criteria: Any) -> int:
    group = criteria.get("group") if isinstance(criteria, dict) else None
    return sum(map(_count, group)) if isinstance(group, list) else 1


def _condition(call: Call, module: Module, criteria: Any) -> Condition:
    if not isinstance(criteria, dict):
        raise invalid_data("criteria")
    if "group" not in criteria:
        return _comparison(call, module, criteria)
    operator, group = str(criteria.get("group_operator", "")).lower(), criteria["group"]
    if operator not in ("and", "or") or not isinstance(group, list) or len(group) < 2:
        raise invalid_data("criteria")
    conditions = [_condition(call, module, part) for part in group]
    decide = all if operator == "and" else any
    return lambda record: decide(condition(record) for condition in conditions)


def _comparison(call: Call, module: Module, criteria: dict[str, Any]) -> Condition:
    field = criteria.get("field")
    name = field.get("api_name") if isinstance(field, dict) else None
    if name != "id" and name not in module.fields:
        raise refusal(call, "FIELD_NOT_AVAILABLE", name="criteria")
    comparator, wanted = str(criteria.get("comparator", "")), criteria.get("value")
    positive = _NEGATED.get(comparator, comparator)
    holds = _test(positive, wanted)
    negated = positive != comparator

    def condition(record: Record) -> bool:
        value = comparable(record.get(str(name)))
        return value is not None and holds(value) is not negated

    return condition


def _test(comparator: str, wanted: Any) -> Callable[[Any], bool]:
    if comparator in _OPERATORS:
        compare = COMPARISONS[_OPERATORS[comparator]]
        return lambda value: compared(compare, value, wanted)
    if comparator in _TEXT:
        test, part = _TEXT[comparator], str(wanted).casefold()
        return lambda value: test(str(value).casefold(), part)
    if comparator == "in" and isinstance(wanted, list) and 1 <= len(wanted) <= MAX_VALUES:
        return lambda value: any(compared(COMPARISONS["="], value, one) for one in wanted)
    if comparator == "between" and isinstance(wanted, list) and len(wanted) == 2:
        low, high = wanted
        return lambda value: (
            compared(COMPARISONS[">="], value, low) and compared(COMPARISONS["<="], value, high)
        )
    raise invalid_data("criteria")
