"""Values that nobody thought of, for any field of a resource."""

from __future__ import annotations

from datetime import UTC

from hypothesis import strategies as st

from crmflow.api.kinds import Kind
from tests.cluster.crd_constraints import constraints
from tests.cluster.crd_objects import Edit, concrete, context

_TIMES = st.from_regex(
    r"\A[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?([.,x][0-9]{1,12})?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?\Z"
)
_DURATIONS = st.from_regex(r"\A([0-9]{1,20}([.][0-9]{1,9})?(ms|us|ns|s|m|h|d)){1,3}\Z")
_NUMBERS = st.one_of(
    st.integers(-2, 20_000),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1.0, 15.0, 1e18, 1e300, 100.0, 100.00000001, -0.0]),
)
_TEXTS = st.one_of(
    st.text(max_size=300),
    st.sampled_from(["", " ", "a", "true", "1", "Once", "Minute", "a" * 256, "a" * 4097, "é" * 128]),
)
_LISTS = st.lists(st.one_of(_TEXTS, st.dictionaries(st.text(max_size=5), _TEXTS, max_size=2)), max_size=3)
_MAPS = st.dictionaries(st.text(max_size=5), _TEXTS, max_size=3)
_ANYTHING = st.one_of(_TIMES, _DURATIONS, _NUMBERS, _TEXTS, st.booleans(), st.none(), _LISTS, _MAPS)
_OF_TYPE = {
    "integer": _NUMBERS,
    "number": _NUMBERS,
    "boolean": st.booleans(),
    "string": st.one_of(_TIMES, _DURATIONS, _TEXTS),
    "date-time": st.datetimes(timezones=st.just(UTC)).map(lambda time: time.isoformat()[:19] + "Z"),
    "array": _LISTS,
    "object": _MAPS,
}


def edits(kind: Kind, part: str) -> st.SearchStrategy[tuple[Edit, ...]]:
    """The edits that give one field of spec or status another value, mostly one of its own type.

    A date-time gets what the operator writes, and nothing else: what a schema takes for one is loose, down to
    lists. Such fields are in the status alone, which the operator writes.
    """
    fields = [
        (constraint.path, constraint.value)
        for constraint in constraints()
        if (constraint.kind, constraint.keyword) == (kind, "type") and constraint.path.startswith(f"{part}.")
    ]

    def edit(field: tuple[str, str]) -> st.SearchStrategy[tuple[Edit, ...]]:
        path, type_ = field
        values = _OF_TYPE[type_]
        if type_ != "date-time":
            values = st.one_of(values, values, _ANYTHING)
        return values.map(lambda value: (*context(kind, path), (concrete(kind, path), value)))

    return st.sampled_from(fields).flatmap(edit)
