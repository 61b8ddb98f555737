"""One request to the blob service of a landing zone: Azure's REST API (landing-zone.md E.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

from pydantic import SecretStr

from crmflow.blob.errors import blob_error
from crmflow.http.client import DEFAULT_TIMEOUT, Answer, HttpClient
from crmflow.http.errors import ErrorClass, RemoteError

SERVICE = "LandingZone"
METADATA = "x-ms-meta-"
"""What the headers with the metadata of a blob begin with."""
_VERSION = "2021-08-06"
"""``x-ms-version``: blocks may be of 4,000 MiB from 2019-12-12 on."""

T = TypeVar("T")


class SasKeeper(Protocol):
    """Who has the SAS URI of the container, and knows where another one comes from."""

    async def with_sas(self, use: Callable[[SecretStr], Awaitable[T]]) -> T:
        """What comes of ``use``, which raises RemoteError (LandingZoneRefused) with a SAS that has ended."""
        ...


class BlobService:
    """Requests to one container. All raise RemoteError by the table of ``blob/errors.py``, and what the
    keeper of the SAS raises.
    """

    def __init__(self, http: HttpClient, keeper: SasKeeper) -> None:
        self._http = http
        self._keeper = keeper

    async def send(
        self,
        operation: str,
        method: str,
        path: str,
        query: str = "",
        *,
        expected: int,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - handed on
    ) -> Answer:
        """The answer with the ``expected`` status; ``path`` is below the container, ``query`` is encoded."""

        async def send(sas_uri: SecretStr) -> Answer:
            kind = {} if content is None else {"Content-Type": "application/octet-stream"}
            answer = await self._http.send(
                SERVICE,
                operation,
                method,
                _address(operation, sas_uri, path, query),
                headers={"x-ms-version": _VERSION, **kind, **(headers or {})},
                content=content,
                timeout=timeout,
            )
            if answer.status != expected:
                raise blob_error(answer)
            return answer

        return await self._keeper.with_sas(send)


def _address(operation: str, sas_uri: SecretStr, path: str, query: str) -> str:
    """Address of the blob at ``path`` of the container that the SAS URI names; of the container itself
    without one. Raises RemoteError (InvalidRequest).
    """
    container = _parsed(sas_uri.get_secret_value())
    if container is None:
        raise RemoteError(
            SERVICE,
            operation,
            ErrorClass.TERMINAL,
            "InvalidRequest",
            "the SAS URI of the landing zone is no address: scheme, host or port can't be used",
            maybe_applied=False,
        )
    place = "/".join(part for part in (container.path.rstrip("/"), quote(path)) if part)
    query = "&".join(part for part in (container.query, query) if part)
    return f"{container.scheme}://{container.netloc}{place}?{query}"


def _parsed(sas_uri: str) -> SplitResult | None:
    """None of a text that names no host to which a request could be sent."""
    try:
        parts = urlsplit(sas_uri)
        usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number or too large, a bracket that is not closed
        return None
    return parts if usable and not any(map(str.isspace, sas_uri)) else None
