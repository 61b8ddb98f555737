"""One HTTP exchange: sent once, bounded in time and size, its faults translated into :class:`RemoteError`.

Requests go straight to the transport, not through ``httpx.AsyncClient``: so there is no redirect to follow,
no cookie to keep and no authentication taken from a .netrc file.
"""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from crmflow import __version__
from crmflow.clock import Clock
from crmflow.observability.redaction import sanitise
from crmflow.transport.errors import ErrorClass, RemoteError

log = logging.getLogger("crmflow.http")

Observer = Callable[[str, str, str, float], None]
"""Told after each exchange: service, operation, HTTP status or reason of the fault, seconds it took."""

DEFAULT_TIMEOUT = 30.0
DEFAULT_LIMIT = 8 * 1024 * 1024
_CONNECT_TIMEOUT = 10.0
_LONGEST_RETRY_AFTER = 86400.0
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")

# Only these prove that the service has not seen the request.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked of whom; names for messages and metrics."""

    service: str
    operation: str
    method: str

    @property
    def changes(self) -> bool:
        """Whether the call may change something, so that its outcome matters when the answer is lost."""
        return self.method not in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status; header names in lower case, ``retry_after`` in seconds from now."""

    call: Call
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    retry_after: float | None = None

    def json(self) -> Any:
        """The decoded body; raises :class:`RemoteError` (Transient, UnreadableAnswer) if it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise self.unreadable("a body that is not JSON") from error

    def json_or_none(self) -> Any:
        """The decoded body; None if it is empty or not JSON, as error pages of gateways are."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    def unreadable(self, what: str) -> RemoteError:
        """The error for an answer that claims success but can't be used."""
        return RemoteError(
            self.call.service,
            self.call.operation,
            ErrorClass.TRANSIENT,
            "UnreadableAnswer",
            f"answered {self.status} with {what}",
            advice="If it stays, check what stands between the operator and the service, such as a proxy.",
            status=self.status,
            maybe_applied=self.call.changes,
        )


class HttpClient:
    """Sends requests over ``transport``; ``observer`` hears of each exchange that got an answer or failed."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        clock: Clock,
        observer: Observer | None = None,
        *,
        limit: int = DEFAULT_LIMIT,
        may_send: Callable[[], None] = lambda: None,
    ) -> None:
        """``limit`` bounds an answer's body in bytes, both as it arrives and after inflating. ``may_send`` is
        asked before each request, and raises if there must be none any more.
        """
        self._transport = transport
        self._clock = clock
        self._observer = observer
        self._limit = limit
        self._may_send = may_send

    async def send(
        self,
        service: str,
        operation: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - one bound for the whole exchange, applied below
    ) -> Answer:
        """Send one request and read its whole answer, whatever its status, within ``timeout`` seconds.

        Raises :class:`RemoteError`: ``Unreachable`` when nothing was sent (``maybe_applied`` is False),
        ``ConnectionLost``, ``Timeout`` or ``UnreadableAnswer`` (all Transient) when a changing request may
        have been carried out all the same, and ``InvalidRequest`` (Terminal) when a value can't be put into a
        request at all.
        """
        call = Call(service, operation, method)
        try:
            request = _request(method, url, headers or {}, params, json, form, timeout)
        except (httpx.InvalidURL, ValueError) as error:
            # Not chained: the offending value may be a secret, and it stands in the original's text.
            raise _invalid(call, error) from None

        self._may_send()
        started = asyncio.get_running_loop().time()  # a duration: a jump of the clock must not show in it
        try:
            async with asyncio.timeout(timeout):
                answer = await self._exchange(call, request)
        except httpx.LocalProtocolError as error:
            self._observe(call, "InvalidRequest", started)
            raise _invalid(call, error) from None
        except (httpx.HTTPError, OSError, _BodyError) as error:
            fault = _fault(call, request.url.host, error)
            self._observe(call, fault.reason, started)
            raise fault from error
        self._observe(call, str(answer.status), started)
        log.debug(
            "%s %s answered %d",
            service,
            operation,
            answer.status,
            extra={"request_id": sanitise(answer.headers.get("x-request-id", ""), 80) or None},
        )
        return answer

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def _exchange(self, call: Call, request: httpx.Request) -> Answer:
        response = await self._transport.handle_async_request(request)
        try:
            raw = await _read(response, self._limit)
        finally:
            await response.aclose()
        body = _decode(raw, response.headers.get("content-encoding", ""), self._limit)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(
            call, response.status_code, headers, body, self._retry_after(headers.get("retry-after"))
        )

    def _retry_after(self, value: str | None) -> float | None:
        """The header's seconds, or its HTTP date by the clock, a day at the most: whatever asks for more is
        asked again by then. None if it is absent or malformed.
        """
        if value is None:
            return None
        if _SECONDS.fullmatch(value.strip()):
            return min(float(value), _LONGEST_RETRY_AFTER)
        try:
            wait = parsedate_to_datetime(value).timestamp() - self._clock.now()
        except (ValueError, OverflowError):
            return None
        return min(max(0.0, wait), _LONGEST_RETRY_AFTER)

    def _observe(self, call: Call, outcome: str, started: float) -> None:
        if self._observer is not None:
            elapsed = asyncio.get_running_loop().time() - started
            self._observer(call.service, call.operation, outcome, elapsed)


class _BodyError(Exception):
    """An answer's body is too large or can't be inflated."""


def _request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    params: Sequence[tuple[str, str]] | None,
    json: Any,
    form: Mapping[str, str] | None,
    seconds: float,
) -> httpx.Request:
    content = None if json is None else orjson.dumps(json)
    base = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": f"crmflow/{__version__}",
        **({} if content is None else {"Content-Type": "application/json"}),
    }
    # Below the bound of the whole, so that "never sent" is told apart from an answer that is late.
    to_connect = min(_CONNECT_TIMEOUT, seconds / 2)
    timeouts = httpx.Timeout(seconds, connect=to_connect, pool=to_connect)
    merged = httpx.Headers(base)
    merged.update(dict(headers))
    return httpx.Request(
        method,
        url,
        params=None if params is None else list(params),
        headers=merged,
        content=content,
        data=None if form is None else dict(form),
        extensions={"timeout": timeouts.as_dict()},
    )


async def _read(response: httpx.Response, limit: int) -> bytes:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    chunks, size = [], 0
    async for chunk in response.stream:
        size += len(chunk)
        if size > limit:
            raise _BodyError(f"more than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _decode(raw: bytes, encoding: str, limit: int) -> bytes:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity") or not raw:
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise _BodyError("an encoding that was not asked for")
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        body = inflater.decompress(raw, limit + 1)
    except zlib.error as error:
        raise _BodyError("a damaged gzip body") from error
    if len(body) > limit:
        raise _BodyError(f"more than {limit} bytes after inflating")
    if not inflater.eof:
        raise _BodyError("a gzip body that ends early")
    return body


def _invalid(call: Call, error: Exception) -> RemoteError:
    return RemoteError(
        call.service,
        call.operation,
        ErrorClass.TERMINAL,
        "InvalidRequest",
        f"a URL or header value can't be sent ({type(error).__name__})",
        advice="Look for line breaks and characters outside ASCII in the credentials and URLs.",
        maybe_applied=False,
    )


def _fault(call: Call, host: str, error: Exception) -> RemoteError:
    reason, message, advice = _explain(host, error)
    return RemoteError(
        call.service,
        call.operation,
        ErrorClass.TRANSIENT,
        reason,
        message,
        advice=advice,
        maybe_applied=call.changes and not isinstance(error, _NOT_SENT),
    )


def _explain(host: str, error: Exception) -> tuple[str, str, str]:
    """Reason, message and advice; the original's text only where it can't quote the exchange."""
    if isinstance(error, (*_NOT_SENT, httpx.ProxyError)):
        detail = sanitise(str(error), 120) or type(error).__name__
        advice = f"Check DNS, network policies, certificates and the proxy settings for {host}."
        return "Unreachable", f"could not connect to {host}: {detail}", advice
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "Timeout", f"{host} did not answer in time", ""
    if isinstance(error, _BodyError):
        return "UnreadableAnswer", f"{host} answered with {error}", ""
    return "ConnectionLost", f"the connection to {host} broke before the answer was complete", ""
