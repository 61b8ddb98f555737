"""One HTTP exchange: sent once, bounded in time and size, its faults translated into :class:`RemoteError`.

Requests go straight to the transport, not through ``httpx.AsyncClient``: so there is no redirect to follow,
no cookie to keep and no authentication taken from a .netrc file.
"""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from crmflow import __version__
from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import sanitize

log = logging.getLogger("crmflow.http")

Observer = Callable[[str, str, str, float], None]
"""Told after each exchange: service, operation, HTTP status or reason of the fault, seconds it took."""

DEFAULT_TIMEOUT = 30.0
DEFAULT_LIMIT = 8 * 1024 * 1024
_CONNECT_TIMEOUT = 10.0
_LONGEST_RETRY_AFTER = 86400.0
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")

# These prove by themselves that the service has not seen the request; of the others _Progress tells.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


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


@dataclass(frozen=True, slots=True)
class Download:
    """An answer whose body comes piece by piece. Of a refusal, which is short, ``answer`` has the body."""

    answer: Answer
    chunks: AsyncIterator[bytes] = field(repr=False)
    """Raises :class:`RemoteError` (Transient) where the connection breaks or stalls."""


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
        content: bytes | None = None,
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - one bound for the whole exchange, applied below
    ) -> Answer:
        """Send one request and read its whole answer, whatever its status, within ``timeout`` seconds.

        The body is one of ``json``, ``form`` and ``content``; the last one needs a ``Content-Type``.

        Raises :class:`RemoteError`: ``Unreachable`` when nothing was sent, since there was no connection or
        a proxy opened no tunnel (``maybe_applied`` is False); ``ConnectionLost``, ``Timeout``,
        ``AnswerTooLarge`` or ``UnreadableAnswer`` when a changing request may have been carried out all the
        same (all these are Transient); and ``InvalidRequest`` (Terminal) when a value can't be put into a
        request at all.
        """
        call = Call(service, operation, method)
        progress = _Progress()
        request = _request(call, url, headers or {}, params, json, form, content, timeout, progress)
        self._may_send()
        started = asyncio.get_running_loop().time()  # a duration: a jump of the clock must not show in it
        with self._translated(call, request, progress, started):
            async with asyncio.timeout(timeout):
                answer = await self._exchange(call, request)
        self._observe(call, str(answer.status), started)
        log.debug(
            "%s %s answered %d",
            service,
            operation,
            answer.status,
            extra={"request_id": sanitize(answer.headers.get("x-request-id", ""), 80) or None},
        )
        return answer

    @asynccontextmanager
    async def download(
        self,
        service: str,
        operation: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - for the head and for each piece, applied below
    ) -> AsyncIterator[Download]:
        """GET a file of any size. ``timeout`` bounds the wait for the head and for each piece, not the whole.

        Raises :class:`RemoteError` as :meth:`send` does.
        """
        call = Call(service, operation, "GET")
        progress = _Progress()
        asked = {**(headers or {}), "Accept": "*/*", "Accept-Encoding": "identity"}
        request = _request(call, url, asked, None, None, None, None, timeout, progress)
        self._may_send()
        started = asyncio.get_running_loop().time()
        with self._translated(call, request, progress, started):
            async with asyncio.timeout(timeout):
                response = await self._transport.handle_async_request(request)
        try:
            body = b""
            if not response.is_success:
                with self._translated(call, request, progress, started):
                    async with asyncio.timeout(timeout):
                        body = await _read(response, self._limit)
            self._observe(call, str(response.status_code), started)
            yield Download(
                self._answer(call, response, body), self._pieces(call, request, progress, response, started)
            )
        finally:
            await response.aclose()

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
        return self._answer(call, response, body)

    def _answer(self, call: Call, response: httpx.Response, body: bytes) -> Answer:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(
            call, response.status_code, headers, body, self._retry_after(headers.get("retry-after"))
        )

    async def _pieces(
        self,
        call: Call,
        request: httpx.Request,
        progress: _Progress,
        response: httpx.Response,
        started: float,
    ) -> AsyncIterator[bytes]:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        pieces = aiter(response.stream)
        while True:
            with self._translated(call, request, progress, started):
                # httpx bounds the wait for each piece; a StopAsyncIteration can't leave a generator
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield piece

    @contextmanager
    def _translated(
        self, call: Call, request: httpx.Request, progress: _Progress, started: float
    ) -> Iterator[None]:
        """Whatever fails in the block becomes a RemoteError."""
        try:
            yield
        except httpx.LocalProtocolError as error:
            self._observe(call, "InvalidRequest", started)
            raise _invalid(call, error) from None
        except (httpx.HTTPError, OSError, _BodyError) as error:
            fault = _fault(call, request.url.host, error, not_sent=progress.proves_not_sent(error))
            self._observe(call, fault.reason, started)
            raise fault from error

    def _retry_after(self, value: str | None) -> float | None:
        """The header's seconds, or its HTTP date by the clock, a day at the most: whatever asks for more is
        asked again by then. None if it is absent or malformed.
        """
        if value is None:
            return None
        if _SECONDS.fullmatch(value.strip()):
            return min(float(value), _LONGEST_RETRY_AFTER)
        try:
            wait = parsedate_to_datetime(value).timestamp() - self._clock.utcnow().timestamp()
        except (ValueError, OverflowError):
            return None
        return min(max(0.0, wait), _LONGEST_RETRY_AFTER)

    def _observe(self, call: Call, outcome: str, started: float) -> None:
        if self._observer is not None:
            elapsed = asyncio.get_running_loop().time() - started
            self._observer(call.service, call.operation, outcome, elapsed)


class _Progress:
    """How far a request has got, as httpcore reports it. What fails before its first byte was never sent:
    a tunnel that a proxy does not open breaks with the same exceptions as a request that was carried out.
    """

    def __init__(self) -> None:
        self._is_reported = False
        self._has_begun = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take in one event of httpcore's ``trace`` extension."""
        self._is_reported = True
        if event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            self._has_begun = True

    def proves_not_sent(self, error: Exception) -> bool:
        """Whether the service can't have seen the request that ended in ``error``."""
        return isinstance(error, _NOT_SENT) or (self._is_reported and not self._has_begun)


class _BodyError(Exception):
    """An answer's body can't be used."""


class _TooLargeError(_BodyError):
    """An answer's body is larger than this client takes."""


def _request(
    call: Call,
    url: str,
    headers: Mapping[str, str],
    params: Sequence[tuple[str, str]] | None,
    json: Any,
    form: Mapping[str, str] | None,
    content: bytes | None,
    seconds: float,
    progress: _Progress,
) -> httpx.Request:
    """The request, which ``progress`` follows. Raises RemoteError (InvalidRequest)."""
    if json is not None:
        content = orjson.dumps(json)
    base = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": f"crmflow/{__version__}",
        **({} if json is None else {"Content-Type": "application/json"}),
    }
    # Below the bound of the whole, so that "never sent" is told apart from an answer that is late.
    to_connect = min(_CONNECT_TIMEOUT, seconds / 2)
    timeouts = httpx.Timeout(seconds, connect=to_connect, pool=to_connect)
    merged = httpx.Headers(base)
    try:
        merged.update(dict(headers))
        return httpx.Request(
            call.method,
            url,
            params=None if params is None else list(params),
            headers=merged,
            content=content,
            data=None if form is None else dict(form),
            extensions={"timeout": timeouts.as_dict(), "trace": progress.trace},
        )
    except (httpx.InvalidURL, ValueError) as error:
        # Not chained: the offending value may be a secret, and it stands in the original's text.
        raise _invalid(call, error) from None


async def _read(response: httpx.Response, limit: int) -> bytes:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    chunks, size = [], 0
    async for chunk in response.stream:
        size += len(chunk)
        if size > limit:
            raise _TooLargeError(f"more than {limit} bytes")
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
        raise _TooLargeError(f"more than {limit} bytes after inflating")
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


def _fault(call: Call, host: str, error: Exception, *, not_sent: bool) -> RemoteError:
    reason, message, advice = _explain(host, error, not_sent)
    return RemoteError(
        call.service,
        call.operation,
        ErrorClass.TRANSIENT,
        reason,
        message,
        advice=advice,
        maybe_applied=call.changes and not not_sent,
    )


def _explain(host: str, error: Exception, not_sent: bool) -> tuple[str, str, str]:
    """Reason, message and advice; the original's text only where it can't quote the exchange."""
    if not_sent:
        detail = sanitize(str(error), 160, keep_end=True) or type(error).__name__
        advice = f"Check DNS, network policies, certificates and the proxy settings for {host}."
        return "Unreachable", f"could not connect to {host}: {detail}", advice
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "Timeout", f"{host} did not answer in time", ""
    if isinstance(error, _TooLargeError):
        return "AnswerTooLarge", f"{host} answered with {error}", ""
    if isinstance(error, _BodyError):
        return "UnreadableAnswer", f"{host} answered with {error}", ""
    return "ConnectionLost", f"the connection to {host} broke before the answer was complete", ""
