"""What both ways of exploring have in common: names that were misspelled, and rows.

Rows go to standard output only, when they are asked for; no message, log or report ever holds one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from crmflow.cli.options import ExploreOptions
from crmflow.cli.output import write_data, write_table
from crmflow.cli.problem import Problem
from crmflow.cli.terminal import say
from crmflow.sentences import some

COLUMNS_SHOWN = 6
"""Columns of a preview when none are named: what fits on most terminals."""
NAMES_SHOWN = 5


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """What to do about a name that is none of the ``known`` tables."""
    by_lower = {other.lower(): other for other in known}
    close = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, NAMES_SHOWN)]
    return f"Did you mean {' or '.join(close)}?" if close else "Leave the table out to see all"


def chosen(table: str, columns: Sequence[str], options: ExploreOptions) -> list[str]:
    """The columns that a preview shows. Raises Problem for one that ``table`` does not have."""
    unknown = [name for name in options.columns if name not in columns]
    if unknown:
        raise Problem(
            f'table "{table}" has no column {some(unknown)}',
            f"Without --preview, `explore {options.name} {table}` lists its columns",
        )
    return list(options.columns) or list(columns)


def show_rows(
    described: Mapping[str, Any],
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    options: ExploreOptions,
) -> None:
    """Rows of a table, which is ``described`` in JSON and YAML."""
    if options.output is not None:
        shown = [{name: row.get(name) for name in names} for row in rows]
        write_data({**described, "rows": shown}, options.output)
        return
    if not options.columns and len(names) > COLUMNS_SHOWN:
        say(f"{COLUMNS_SHOWN} of {len(names)} columns; --columns chooses others, -o json shows all.")
        names = names[:COLUMNS_SHOWN]
    write_table(names, [[row.get(name) for name in names] for row in rows])
    if not rows:
        say("The table has no rows that this grant may read.")
