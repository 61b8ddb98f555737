"""The reference page of the operator's settings, from the settings themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from crmflow.clock import ENVIRONMENT_VARIABLE
from crmflow.settings import PREFIX, Settings
from hack.generators.reference import table

_HEAD = """# Settings

Environment variables of the operator. An empty one counts as unset, and one that has to be corrected ends the
process with a line that says what it should be ([install.md](../guides/install.md#when-it-ends-at-once)).
Durations are written as `30s`, `5m` or `1h30m`. With the chart, `settings` sets them by the names of its
[values](../../charts/crmflow/README.md), and `extraEnv` any other.
"""
_GUIDES = {
    "instance": "identity",
    "ip_allow_list": "ip-allow-list",
    "tenancy": "tenancy",
    "watch_namespaces": "tenancy",
    "transfer_template": "landing-zone",
    "extraction_lag": "landing-zone",
    "zoho_credit_reserve": "landing-zone",
    "leader_election": "high-availability",
    "takeover_after": "high-availability",
    "listen": "observability",
}
"""Where more is told of a setting."""
_NONE = "none"
_UNITS = ((3600, "h"), (60, "m"), (1, "s"))
_SOURCE = re.compile(r" \(`[\w/]+\.py`\)| \((?:platform|zoho)\.md [\d.]+\)")
"""Where a fact comes from, for developers."""
_TOLD_DEFAULT = re.compile(r"; default: ([^.]+)\.")


def settings_page() -> str:
    """The page as Markdown."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    rows.append(
        (
            f"`{ENVIRONMENT_VARIABLE}`",
            _NONE,
            "For tests: file with an offset in seconds that is added to the time.",
        )
    )
    return f"{_HEAD}\n{table(('Variable', 'Default', 'Meaning'), rows)}\n"


def _row(name: str, field: FieldInfo) -> tuple[str, str, str]:
    text = " ".join((field.description or "").replace("``", "`").split())
    text = _SOURCE.sub("", text)
    told = _TOLD_DEFAULT.search(text)
    default = told[1] if told else _default(field)
    meaning = [_TOLD_DEFAULT.sub(".", text), *_limits(field)]
    if name in _GUIDES:
        meaning.append(f"See [{_GUIDES[name]}.md](../guides/{_GUIDES[name]}.md).")
    return f"`{PREFIX}{name.upper()}`", default, " ".join(meaning)


def _default(field: FieldInfo) -> str:
    value = field.default
    if value in (None, ()):
        return _NONE
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{_duration(value) if _is_duration(field) else value}`"


def _is_duration(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("format") == "duration"


def _duration(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _limits(field: FieldInfo) -> Iterator[str]:
    """What a number may be."""
    words = {"ge": "At least", "le": "at most", "lt": "less than"}
    found = [
        f"{said} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, said in words.items()
        if getattr(limit, name, None) is not None
    ]
    if found:
        yield f"{', '.join(found)}."
