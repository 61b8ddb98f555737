"""What a transfer tells at its end: exit status and termination message, free of secrets and rows."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from pathlib import Path

from crmflow.environment import reason as system_reason
from crmflow.transfer.declaration import FORM_VERSION, Form, Window

MOST_BYTES = 4096
"""What Kubernetes keeps of a termination message."""
_SHORTER = (900, 300, 0)


class ExitCode(IntEnum):
    """Who has to act."""

    DONE = 0
    """Nobody. The window is in the landing zone, or it was empty and there is no file."""
    RETRY = 10
    """Time: the same declaration works later."""
    ZOHO_TOKEN = 20
    """The operator: Zoho does not take the access token; another one may do."""
    SAS = 21
    """The operator: the landing zone does not take the SAS; another one may do."""
    DECLARATION = 30
    """Whoever declares module and columns, or the operator, which wrote what can't be read."""
    ZOHO_ACCESS = 31
    """Somebody at Zoho: scope, permission or feature is missing."""
    LANDING_ZONE = 32
    """Somebody at Adobe: the container is gone, or the file's name is taken by another's."""
    BUG = 40
    """Us: a request was malformed, or an answer makes no sense."""


class TransferResult(StrEnum):
    """How a transfer that is DONE came out."""

    WRITTEN = "Written"
    ALREADY_WRITTEN = "AlreadyWritten"
    """An earlier attempt had written the file."""
    NOTHING_NEW = "NothingNew"
    """No row, so no file: Platform refuses an empty one (landing-zone.md E.3)."""


class Report(Form):
    """The termination message, as JSON."""

    form_version: int = FORM_VERSION
    exit_code: int
    reason: str
    """A :class:`TransferResult`, or what a remote error was about."""
    message: str = ""
    """For people; in the remote service's words where it is about one."""
    advice: str = ""
    retry_after: float | None = None
    """Seconds from now, where a service has named them."""
    window: Window | None = None
    file: str | None = None
    """Path of the blob below the container, where there is one."""
    rows: int = 0
    """Rows of living records in the file."""
    deleted: int = 0
    """Rows that mark a deletion, beside them."""
    bytes: int = 0
    count_before: int | None = None
    """``COUNT(id)`` of the window before the first row was read, and after the last one."""
    count_after: int | None = None
    credits: int = 0
    """Credits of Zoho CRM that this attempt has spent."""
    seconds: float = 0.0


def write(report: Report, path: Path) -> str:
    """Write ``report`` where Kubernetes looks for it, short enough for it; what was written.

    Raises OSError.
    """
    text = report.model_dump_json(by_alias=True, exclude_none=True)
    for longest in _SHORTER:
        if len(text.encode()) <= MOST_BYTES:
            break
        cut = {name: getattr(report, name)[:longest] for name in ("message", "advice", "reason")}
        text = report.model_copy(update=cut).model_dump_json(by_alias=True, exclude_none=True)
    path.write_text(text, encoding="utf-8")
    return text


class TransferError(Exception):
    """A transfer that can't be done, for a cause that no remote service named."""

    def __init__(self, exit_code: ExitCode, reason: str, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.reason = reason
        self.message = message
        self.advice = advice


def unreadable_file(path: Path, error: OSError | UnicodeDecodeError) -> TransferError:
    """The error for a file of the Job's own that can't be read."""
    cause = system_reason(error) if isinstance(error, OSError) else "it is no text"
    return TransferError(
        ExitCode.DECLARATION,
        "CredentialFileUnreadable",
        f"{path.name} of the transfer's Secret can't be read: {cause}",
        "Please report this: the operator writes the Secret.",
    )
