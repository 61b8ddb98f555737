"""What troubleshooting.md says is to be done for each reason, as ``kubectl crmflow`` has it with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

PATH = "operator/crmflow/cli/advice.json"
HEAD = "| reason | what it means | what to do |"

_REASON = re.compile(r"`([A-Z][A-Za-z]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


def advice(page: str) -> str:
    """The third column of each table of reasons in ``page``: heading → reason → text."""
    found: dict[str, dict[str, str]] = {}
    for heading, line in _rows(page):
        _, reasons, _, todo, _ = re.split(r"(?<!\\)\|", line)
        for reason in _REASON.findall(reasons):
            found.setdefault(heading, {}).setdefault(reason, _plain(todo))
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _rows(page: str) -> Iterator[tuple[str, str]]:
    heading, within = "", False
    for line in page.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if line == HEAD:
            within = True
        elif not line.startswith("|"):
            within = False
        elif within and line.startswith("| `"):  # a row about any other reason refers to their own rows
            yield heading, line


def _plain(cell: str) -> str:
    return _LINK.sub(r"\1", cell).replace("`", "").replace("\\|", "|").strip()
