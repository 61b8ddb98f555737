"""YAML with comments, for manifests that a person is to read and to finish.

PyYAML writes every key and value, so that strings are quoted as readers of YAML 1.1 need it, which kubectl
and this plugin are: ``no``, ``012`` and ``12:30`` stay strings. Only where lines stand, and the comments
between them, are decided here (decision 41).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

_ONE_LINE = float("inf")


@dataclass(frozen=True)
class Noted:
    """A value of a mapping or of a list with comments, one a line: those that stand before it, and those that
    stand behind it, such as entries that a person may add.
    """

    value: Any
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def noted(value: Any, *before: str) -> Noted:
    """``value`` with comments before it."""
    return Noted(value, before)


def plain(value: Any) -> Any:
    """The same without comments: what a reader of the YAML gets."""
    if isinstance(value, Noted):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def render(document: Mapping[str, Any], head: Sequence[str] = ()) -> str:
    """A document of YAML, with ``head`` as comments at its beginning."""
    return "\n".join([*(_comment(line) for line in head), *_mapping(document, "")]) + "\n"


def _mapping(document: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, entry in document.items():
        given = entry if isinstance(entry, Noted) else Noted(entry)
        yield from (indent + _comment(line) for line in given.before)
        value = given.value
        if isinstance(value, Mapping | list | tuple) and value:
            yield f"{indent}{_scalar(key)}:"
            yield from _nested(value, indent + "  ")
        else:
            yield f"{indent}{_scalar(key)}: {_scalar(value)}"
        yield from (indent + _comment(line) for line in given.after)


def _nested(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mapping(value, indent)
        return
    for entry in value:
        given = entry if isinstance(entry, Noted) else Noted(entry)
        yield from (indent + _comment(line) for line in given.before)
        item = given.value
        if isinstance(item, Mapping | list | tuple) and item:
            first, *rest = _nested(item, indent + "  ")
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield f"{indent}- {_scalar(item)}"
        yield from (indent + _comment(line) for line in given.after)


def _scalar(value: Any) -> str:
    """One value on one line."""
    is_odd = isinstance(value, str) and not value.isprintable()
    text: str = yaml.safe_dump(
        list(value) if isinstance(value, tuple) else value,
        default_style='"' if is_odd else None,
        default_flow_style=True,
        allow_unicode=True,
        width=_ONE_LINE,
    )
    return text.removesuffix("...\n").strip()


def _comment(text: str) -> str:
    """A comment can't end before its line does, whatever it quotes."""
    kept = "".join(" " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in text)
    printable = "".join(one for one in kept if not unicodedata.category(one).startswith("C"))
    return f"# {printable}".rstrip()
