"""What to do about a condition, by its reason: as docs/guides/troubleshooting.md says it, word for word.

``advice.json`` is generated from that page, so there is one table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

GUIDE = "docs/guides/troubleshooting.md"
_NOTHING = ("Nothing", "Nothing.")


def advice_on(condition: str, reason: str) -> str:
    """What to do about a condition with that reason; empty if there is nothing to do or to say. A reason that
    several sections of the page explain means what that of the condition says, else what the first says.
    """
    table = _table()
    sections = [table.get(condition, {}), *table.values()]
    found = next((section[reason] for section in sections if reason in section), "")
    return "" if found in _NOTHING else found


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    loaded: Mapping[str, Mapping[str, str]] = json.loads(
        files("crmflow.cli").joinpath("advice.json").read_text(encoding="utf-8")
    )
    return loaded
