"""The blob service behind a landing zone: three calls of Azure's REST API (landing-zone.md E.5, K.2)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

from pydantic import SecretStr

from crmflow.http.client import Answer, HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import sanitize
from crmflow.transfer.credentials import Credentials

SERVICE = "LandingZone"
MOST_BLOCKS = 50_000
_VERSION = "2021-08-06"
"""``x-ms-version``: blocks may be of 4,000 MiB from 2019-12-12 on."""
_BLOCK_TIMEOUT = 300.0
_META = "x-ms-meta-"
_CODE = re.compile(rb"<Code>([A-Za-z]+)</Code>")


class Blob(Protocol):
    """One blob of the landing zone, which appears as a whole or not at all. All raise RemoteError."""

    async def stage(self, block_id: str, data: bytes) -> None:
        """Upload a block, which nobody sees yet; once more with the same id replaces it."""

    async def commit(self, block_ids: Sequence[str], metadata: Mapping[str, str]) -> None:
        """Make the blob of these blocks, unless there is one: that is a Conflict."""

    async def metadata(self) -> Mapping[str, str] | None:
        """The metadata of the blob, names in lower case; None if there is no blob."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    error_class: ErrorClass
    reason: str
    message: str
    advice: str = ""


_REFUSED = _Meaning(
    ErrorClass.TERMINAL,
    "LandingZoneRefused",
    "the landing zone does not take the SAS",
    "Look whether somebody has renewed the credentials of the landing zone, which ends the old ones.",
)
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


class HttpBlob:
    """The blob at ``path`` of the container that the SAS URI names when it is used."""

    def __init__(self, http: HttpClient, credentials: Credentials, path: str) -> None:
        self._http = http
        self._credentials = credentials
        self._path = path

    async def stage(self, block_id: str, data: bytes) -> None:
        """Put Block."""
        query = f"comp=block&blockid={quote(_base64(block_id), safe='')}"
        await self._send("stageBlock", "PUT", query, {}, data, expected=201)

    async def commit(self, block_ids: Sequence[str], metadata: Mapping[str, str]) -> None:
        """Put Block List with ``If-None-Match: *``."""
        latest = "".join(f"<Latest>{escape(_base64(block_id))}</Latest>" for block_id in block_ids)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{latest}</BlockList>'
        headers = {
            "If-None-Match": "*",
            "x-ms-blob-content-type": "text/csv; charset=utf-8",
            **{f"{_META}{name}": value for name, value in metadata.items()},
        }
        await self._send("commitBlockList", "PUT", "comp=blocklist", headers, body.encode(), expected=201)

    async def metadata(self) -> Mapping[str, str] | None:
        """Get Blob Properties."""
        try:
            answer = await self._send("blobProperties", "HEAD", "", {}, None, expected=200)
        except RemoteError as error:
            if error.status == 404 and error.reason != "LandingZoneNotFound":
                return None
            raise
        return {
            name.removeprefix(_META): value
            for name, value in answer.headers.items()
            if name.startswith(_META)
        }

    async def _send(
        self,
        operation: str,
        method: str,
        query: str,
        headers: Mapping[str, str],
        content: bytes | None,
        *,
        expected: int,
    ) -> Answer:
        async def send(sas_uri: SecretStr) -> Answer:
            kind = {} if content is None else {"Content-Type": "application/octet-stream"}
            answer = await self._http.send(
                SERVICE,
                operation,
                method,
                blob_url(sas_uri, self._path, query),
                headers={"x-ms-version": _VERSION, **kind, **headers},
                content=content,
                timeout=_BLOCK_TIMEOUT,
            )
            if answer.status != expected:
                raise _error(answer)
            return answer

        return await self._credentials.with_sas(send)


def blob_url(sas_uri: SecretStr, path: str, query: str) -> str:
    """Address of the blob at ``path`` below the container that the SAS URI names."""
    container = urlsplit(sas_uri.get_secret_value())
    query = "&".join(part for part in (container.query, query) if part)
    return f"{container.scheme}://{container.netloc}{container.path.rstrip('/')}/{quote(path)}?{query}"


def _base64(block_id: str) -> str:
    return base64.b64encode(block_id.encode()).decode()


def _error(answer: Answer) -> RemoteError:
    """By the code in the header, which a HEAD has too, or in the XML; else by the status."""
    found = _CODE.search(answer.body)
    code = sanitize(answer.headers.get("x-ms-error-code") or (found[1].decode() if found else ""), 64)
    meaning = _MEANINGS.get(code) or _by_status(answer.status)
    said = f'{answer.status} "{code}"' if code else str(answer.status)
    return RemoteError(
        SERVICE,
        answer.call.operation,
        meaning.error_class,
        meaning.reason,
        f"{meaning.message}; it answered {said}",
        advice=meaning.advice,
        status=answer.status,
        code=code or None,
        request_id=sanitize(answer.headers.get("x-ms-request-id", ""), 80) or None,
        retry_after=answer.retry_after,
        maybe_applied=meaning.error_class is ErrorClass.TRANSIENT,
    )


def _by_status(status: int) -> _Meaning:
    if status in (401, 403):
        return _REFUSED
    return _UNAVAILABLE if status in (408, 429) or status >= 500 else _BUG
