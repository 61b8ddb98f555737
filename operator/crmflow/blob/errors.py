"""What the answers of the blob service mean (landing-zone.md E.5, K.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from crmflow.http.client import Answer
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import sanitize

REFUSED = "LandingZoneRefused"
"""The reason of a SAS that was not taken."""
NOT_FOUND = "BlobNotFound"
"""The reason of a blob that is not there."""
_CODE = re.compile(rb"<Code>([A-Za-z]+)</Code>")


@dataclass(frozen=True, slots=True)
class _Meaning:
    error_class: ErrorClass
    reason: str
    message: str
    advice: str = ""


_REFUSED = _Meaning(
    ErrorClass.TERMINAL,
    REFUSED,
    "the landing zone does not take the SAS",
    "Look whether somebody has renewed the credentials of the landing zone, which ends the old ones.",
)
_NOT_FOUND = _Meaning(ErrorClass.NOT_FOUND, NOT_FOUND, "there is no such file")
_EXISTS = _Meaning(ErrorClass.CONFLICT, "BlobExists", "the file exists already")
_UNAVAILABLE = _Meaning(
    ErrorClass.TRANSIENT, "Unavailable", "the landing zone is not available at the moment"
)
_BUG = _Meaning(
    ErrorClass.BUG,
    "RequestRefused",
    "the landing zone does not understand the request",
    "Please report this.",
)
_MEANINGS: Mapping[str, _Meaning] = {
    "BlobAlreadyExists": _EXISTS,
    "ConditionNotMet": _EXISTS,
    "InvalidBlockList": _Meaning(
        ErrorClass.CONFLICT, "BlocksLost", "the landing zone does not have all blocks of the file (any more)"
    ),
    "ContainerNotFound": _Meaning(
        ErrorClass.TERMINAL,
        "LandingZoneNotFound",
        "the container of the landing zone does not exist",
        "Look whether the sandbox still exists.",
    ),
    "ContainerBeingDeleted": _UNAVAILABLE,
    "ServerBusy": _UNAVAILABLE,
    "InternalError": _UNAVAILABLE,
    "OperationTimedOut": _UNAVAILABLE,
}


def blob_error(answer: Answer) -> RemoteError:
    """By the code in the header, which a HEAD has too, or in the XML; else by the status."""
    found = _CODE.search(answer.body)
    code = sanitize(answer.headers.get("x-ms-error-code") or (found[1].decode() if found else ""), 64)
    meaning = _MEANINGS.get(code) or _by_status(answer.status)
    said = f'{answer.status} "{code}"' if code else str(answer.status)
    return RemoteError(
        answer.call.service,
        answer.call.operation,
        meaning.error_class,
        meaning.reason,
        f"{meaning.message}; it answered {said}",
        advice=meaning.advice,
        status=answer.status,
        code=code or None,
        request_id=sanitize(answer.headers.get("x-ms-request-id", ""), 80) or None,
        retry_after=answer.retry_after,
        maybe_applied=answer.call.changes and meaning.error_class is ErrorClass.TRANSIENT,
    )


def _by_status(status: int) -> _Meaning:
    if status in (401, 403):
        return _REFUSED
    if status == 404:
        return _NOT_FOUND
    return _UNAVAILABLE if status in (408, 429) or status >= 500 else _BUG
