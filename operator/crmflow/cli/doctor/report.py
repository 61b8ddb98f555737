"""How the checks are shown: to the person, to programs, and as a page to attach to an issue."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table
from rich.text import Text

from crmflow import __version__
from crmflow.cli.connection import Connection
from crmflow.cli.doctor.checks import Check, Level, Section, count
from crmflow.cli.doctor.privacy import Privacy
from crmflow.cli.output import render, write
from crmflow.cli.problem import Problem
from crmflow.observability.redaction import redact, sanitize

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red"}
_LONGEST = 2000
_UNBOUNDED = 100_000


def show(sections: Sequence[Section]) -> None:
    """One line a check; on a terminal folded to its width, and in color."""
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _UNBOUNDED
    color = terminal and "NO_COLOR" not in os.environ
    subjects = [check.subject for section in sections for check in section.checks]
    widest = max((len(subject) for subject in subjects), default=0)
    for section in sections:
        write(section.title)
        write(redact(render(_table(section, widest), width, color=color)))
        write("")
    write(summary(sections))


def summary(sections: Sequence[Section]) -> str:
    """The last line."""
    return ", ".join(f"{count(sections, level)} {level}" for level in Level)


def as_data(sections: Sequence[Section]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "sections": [
            {"title": section.title, "checks": [_as_data(check) for check in section.checks]}
            for section in sections
        ],
        "summary": {str(level): count(sections, level) for level in Level},
    }


def save(
    path: str,
    sections: Sequence[Section],
    connections: Sequence[Connection],
    privacy: Privacy,
    *,
    time: str,
    server: str,
    live: bool,
) -> None:
    """Write the page, readable for nobody else. Raises Problem if it can't be written."""
    text = privacy.apply(_page(sections, connections, time=time, server=server, live=live))
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Problem(f"the report can't be written to {Path(path)}: {reason}") from None


def _table(section: Section, widest: int) -> Table:
    table = Table(box=None, show_header=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column(width=len("  warning"), no_wrap=True)
    table.add_column(width=widest, no_wrap=True)
    table.add_column(overflow="fold")
    for check in section.checks:
        table.add_row(Text(f"  {check.level}", _STYLES[check.level]), check.subject, _line(check.message))
        if check.fix:
            table.add_row("", "", f"Fix: {_line(check.fix)}")
    return table


def _line(text: str) -> str:
    return sanitize(text, _LONGEST)


def _as_data(check: Check) -> dict[str, str]:
    return {
        "check": check.subject,
        "result": str(check.level),
        "message": _line(check.message),
        "fix": _line(check.fix),
        "reason": check.reason,
    }


def _page(
    sections: Sequence[Section], connections: Sequence[Connection], *, time: str, server: str, live: bool
) -> str:
    lines = [
        "# Report of `kubectl crmflow doctor`",
        "",
        f"{time}, kubectl-crmflow {__version__}, Python {platform.python_version()} on {platform.system()}, "
        f"Kubernetes {server}, {'the real services asked' if live else 'the cluster alone asked'}.",
        "",
        "Secrets, organizations and people are left out. Read it before you attach it.",
        "",
        f"**{summary(sections)}**",
    ]
    for section in sections:
        lines += ["", f"## {section.title}", "", "| check | result | message | fix |", "|---|---|---|---|"]
        lines += [_row(check.subject, check.level, check.message, check.fix) for check in section.checks]
    for connection in connections:
        lines += ["", f"## As the API server shows {connection.namespace}/{connection.name}", ""]
        lines += [
            "```yaml",
            yaml.safe_dump(_manifest(connection), sort_keys=False, width=_UNBOUNDED).rstrip(),
            "```",
        ]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    escaped = (_line(cell).replace("\\", "\\\\").replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _manifest(connection: Connection) -> dict[str, Any]:
    parts = {"spec": connection.spec, "status": connection.status}
    return {
        name: part.model_dump(mode="json", by_alias=True, exclude_none=True) for name, part in parts.items()
    }
