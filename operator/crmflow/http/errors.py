"""What can come of a remote call, as one exception type that carries everything a decision needs.

A client translates each answer it can't use into a :class:`RemoteError` by its service's error table
(``zoho/errors.py``, ``aep/errors.py``). Above the clients nothing depends on HTTP: the class decides what
happens next, reason and message are for the user.
"""

from __future__ import annotations

import inspect
from enum import StrEnum
from typing import Any


class ErrorClass(StrEnum):
    """What a remote failure means for the resource that met it."""

    TERMINAL = "Terminal"
    """Only a person can cure it: a wrong credential, a missing permission, a refused value."""
    WAIT = "Wait"
    """The remote object is in a transitional state; the same call works once that is over."""
    TRANSIENT = "Transient"
    """Busy, unavailable, throttled, unreachable: try again later."""
    CONFLICT = "Conflict"
    """The etag is stale: read again, compare again."""
    NOT_FOUND = "NotFound"
    """The named object does not exist, or a label hides it (platform.md 1.4)."""
    IN_USE = "InUse"
    """The object can't be deleted while others use it (platform.md 2.3: 1418, 1447)."""
    BUG = "Bug"
    """The request was malformed, or the answer makes no sense: our fault, or a contract that changed."""


class RemoteError(Exception):
    """A remote call that did not do what it was asked.

    ``message`` is sanitized and safe for status, events and logs; it says what happened. ``advice`` says what
    to do. ``maybe_applied`` is False only when the request provably did nothing: it was never sent, or the
    service refused it. ``cure_is_silent``: it may be cured at any time without an event that tells so.
    """

    def __init__(
        self,
        service: str,
        operation: str,
        error_class: ErrorClass,
        reason: str,
        message: str,
        *,
        advice: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        maybe_applied: bool = False,
        cure_is_silent: bool = False,
    ) -> None:
        super().__init__(message)
        self.service = service
        self.operation = operation
        self.error_class = error_class
        self.reason = reason
        self.message = message
        self.advice = advice
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.maybe_applied = maybe_applied
        self.cure_is_silent = cure_is_silent

    def but(self, **changes: Any) -> RemoteError:
        """The same, but for ``changes``: an error may be remembered and raised again, and never changes."""
        return RemoteError(**{**{name: getattr(self, name) for name in _PARTS}, **changes})

    def __str__(self) -> str:
        where = f"{self.service} {self.operation}"
        what = " ".join(str(part) for part in (self.status, self.code) if part)
        return f"{where}: {what + ': ' if what else ''}{self.message}"


_PARTS = tuple(inspect.signature(RemoteError).parameters)
"""Each is an attribute of the same name."""
