"""What the commands write to standard output: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from crmflow.cli.options import Format
from crmflow.observability.redaction import sanitize

CELL_LENGTH = 48
"""Most characters of one value in a table; JSON and YAML hold all of it."""
_UNBOUNDED = 100_000


def write(text: str) -> None:
    """Write a line, or several."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_data(data: Any, output: Format) -> None:
    """Write ``data`` whole."""
    if output is Format.JSON:
        write(_without_control(json.dumps(data, indent=2, ensure_ascii=False)))
    else:
        write(yaml.safe_dump(data, sort_keys=False, allow_unicode=True).rstrip("\n"))


def write_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as kubectl does: one a line, in columns, never folded."""
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 3, 0, 0), header_style="")
    for header in headers:
        table.add_column(header, no_wrap=True)
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    write(render(table, _UNBOUNDED))


def render(table: Table, width: int, *, color: bool = False) -> str:
    """A table as text, no line wider than ``width`` cells."""
    console = Console(
        width=width, markup=False, emoji=False, highlight=False, no_color=not color, legacy_windows=False
    )
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def cell(value: Any) -> str:
    """A value on one short line, without anything that a terminal would act upon."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return sanitize(text, CELL_LENGTH)


def _without_control(text: str) -> str:
    """JSON with invisible and control characters escaped: what was read from outside may reach a terminal."""
    return "".join(
        character
        if character == "\n" or not unicodedata.category(character).startswith("C")
        else json.dumps(character)[1:-1]
        for character in text
    )
