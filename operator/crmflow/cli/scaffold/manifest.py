"""The manifest of a dataflow that is still to be reviewed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from crmflow.aep.models import Column, Schema
from crmflow.api.kinds import API_VERSION, CRM_DATAFLOW
from crmflow.cli.annotated import Noted, noted, render
from crmflow.cli.scaffold.suggestions import Suggestion, Suggestions
from crmflow.observability.redaction import sanitize
from crmflow.sentences import every

USUAL_DELTA = "Modified_Time"
_NAME_LENGTH = 100
_LISTED = 6
"""Names on one line of a comment."""


@dataclass(frozen=True)
class Wish:
    """What a person has said."""

    name: str
    namespace: str
    connection: str
    table: str
    dataset: dict[str, Any]
    """``spec.target.dataset``, with comments."""


def dataflow(wish: Wish, columns: Sequence[Column], schema: Schema, suggestions: Suggestions) -> str:
    """The manifest as YAML. ``suggestions`` has at least one: a mapping needs an entry."""
    delta = _delta(columns)
    used = {one.column for one in suggestions.found} | ({delta} if delta else set())
    spec: dict[str, Any] = {
        "connectionRef": {"name": wish.connection},
        "source": {"table": wish.table, "columns": [one.name for one in columns if one.name in used]},
        "target": {
            "schema": {"id": noted(schema.id, sanitize(schema.title, _NAME_LENGTH))},
            "dataset": wish.dataset,
        },
        "mapping": Noted(
            [_entry(one) for one in suggestions.found],
            ("Review each entry: it was found by name and type alone.",),
            tuple(_left(suggestions, delta)),
        ),
        **_rhythm(delta, [one.name for one in columns if one.is_date]),
    }
    body = {
        "apiVersion": API_VERSION,
        "kind": CRM_DATAFLOW.kind,
        "metadata": {"name": wish.name, "namespace": wish.namespace},
        "spec": spec,
    }
    head = (
        f"{wish.table} of Zoho CRM, to be reviewed. What applying it does:",
        "  kubectl crmflow plan -f FILE",
    )
    return render(body, head)


def _entry(one: Suggestion) -> Any:
    other = f" Or {' or '.join(one.instead)}?" if one.instead else ""
    return noted({"target": one.target, "source": one.column}, f"Review: {one.reason}.{other}")


def _left(suggestions: Suggestions, delta: str | None) -> Iterator[str]:
    """What is not mapped, as comments; the delta column has its use."""
    if suggestions.required:
        yield "The schema requires these, and no column was found for them:"
        yield from _listed(suggestions.required)
    if suggestions.unclear:
        yield "Several fields may be meant; add the entry yourself, and its column to source.columns:"
        yield from (
            f"  {name}: {' or '.join(paths[:_LISTED])}" for name, paths in suggestions.unclear.items()
        )
    if suggestions.unfit:
        yield "Not suggested, as the types do not fit:"
        yield from (f"  {name}: {why}" for name, why in suggestions.unfit.items())
    if left := [name for name in suggestions.columns if name != delta]:
        yield "Columns for which no field was found:"
        yield from _listed(left)


def _listed(names: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(names), _LISTED):
        yield f"  {every(names[start : start + _LISTED])}"


def _delta(columns: Sequence[Column]) -> str | None:
    """The column that tells changed records; None if there is none."""
    dates = [one.name for one in columns if one.is_date]
    return USUAL_DELTA if USUAL_DELTA in dates else next(iter(dates), None)


def _rhythm(delta: str | None, dates: Sequence[str]) -> dict[str, Any]:
    if delta is None:
        note = "The table has no column with dates, by which changed records are told: it is read once."
        return {"schedule": {"frequency": noted("Once", note)}}
    others = [name for name in dates if name != delta]
    why = "It tells changed records." if delta == USUAL_DELTA else "Choose: it has to tell changed records."
    notes = [why, *(["Others hold dates as well:", *_listed(others)] if others else [])]
    return {
        "deltaColumn": {"name": noted(delta, *notes)},
        "schedule": {
            "frequency": noted("Hour", "Choose: Minute, Hour, Day, Week, or Once, which has no deltaColumn."),
            "interval": 1,
            "backfill": noted(True, "Choose: false begins with what changes from now on."),
        },
    }
