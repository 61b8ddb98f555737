"""What AEP's connector can see of a source once it holds a base connection's authentication parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class SourceColumn:
    """One column of a table, as explore shows it.

    ``type`` is the source's own type: string, boolean, double or integer (XDM's are string, boolean and
    number). ``date_time`` marks a column that holds instants and may therefore be the delta column.
    """

    name: str
    type: str
    date_time: bool


class SourceError(Exception):
    """The source refused, in the words a Microsoft connector would pass on (platform.md 2.4, code 1308)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Source(Protocol):
    """A source behind a base connection; ``params`` are the connection's authentication parameters."""

    def check(self, params: Mapping[str, str]) -> None:
        """Return if the source lets these parameters in, else raise :class:`SourceError`."""
        ...

    def tables(self, params: Mapping[str, str]) -> list[str]:
        """Names of all tables that these parameters may read."""
        ...

    def columns(self, params: Mapping[str, str], table: str) -> list[SourceColumn]:
        """Columns of ``table``; raises KeyError if there is no such table."""
        ...

    def rows(self, params: Mapping[str, str], table: str, limit: int) -> list[dict[str, Any]]:
        """At most ``limit`` rows of ``table``; raises KeyError if there is no such table."""
        ...
