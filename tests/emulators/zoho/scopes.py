"""OAuth scopes: ``Service.scope[.part].OPERATION`` (zoho.md 1.2, 3.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SCOPE = re.compile(r"^\w+(\.\w+)+\.(ALL|READ|CREATE|UPDATE|DELETE|WRITE)$", re.IGNORECASE | re.ASCII)


def requested_scopes(text: str) -> tuple[str, ...] | None:
    """Scopes of a request, which are separated by commas and by nothing else; None if that is not so, or if
    one does not have the form of a scope.
    """
    scopes = tuple(part.strip() for part in text.split(","))
    return scopes if all(_SCOPE.match(scope) for scope in scopes) else None


def covers(granted: Iterable[str], needed: str) -> bool:
    """Whether one of the granted scopes includes ``needed``.

    ``ZohoCRM.settings.READ`` includes ``ZohoCRM.settings.modules.READ``, ``ALL`` includes every operation,
    and case does not matter.
    """
    return any(_includes(scope.casefold(), needed.casefold()) for scope in granted)


def _includes(granted: str, needed: str) -> bool:
    *path, operation = granted.split(".")
    *needed_path, needed_operation = needed.split(".")
    return operation in (needed_operation, "all") and len(path) > 1 and needed_path[: len(path)] == path
