"""One test for each way in which an exchange can fail, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from crmflow.clock import Clock
from crmflow.http.client import Answer, HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.http.pool import CONNECTIONS_PER_POOL, SpreadTransport
from tests.kit.servers import (
    CERTIFICATE,
    Handler,
    answers,
    free_port,
    ok,
    serve,
    server_context,
)

SHORT = 0.6
LONG = 10.0
TO_CONNECT = 2.0


@pytest.fixture
async def transport(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SpreadTransport]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    async with SpreadTransport(pools=1, ca_bundle=CERTIFICATE) as transport:
        yield transport


@pytest.fixture
def observed() -> list[str]:
    return []


@pytest.fixture
def http(transport: SpreadTransport, observed: list[str]) -> HttpClient:
    def observer(service: str, operation: str, outcome: str, seconds: float) -> None:
        assert (service, operation) == ("Service", "operation")
        assert 0 <= seconds < 30
        observed.append(outcome)

    return HttpClient(transport, Clock(), observer, limit=100_000)


async def send(http: HttpClient, method: str, url: str, timeout: float = LONG) -> Answer:  # noqa: ASYNC109
    json = {"name": "x"} if method == "POST" else None
    return await http.send("Service", "operation", method, url, json=json, timeout=timeout)


async def failure(http: HttpClient, method: str, url: str, timeout: float = LONG) -> RemoteError:  # noqa: ASYNC109
    with pytest.raises(RemoteError) as raised:
        await send(http, method, url, timeout)
    error = raised.value
    assert error.error_class is ErrorClass.TRANSIENT
    assert (error.service, error.operation) == ("Service", "operation")
    return error


# Nothing was sent: a POST may be repeated.


async def refused(monkeypatch: pytest.MonkeyPatch) -> str:
    return f"http://127.0.0.1:{free_port()}/"


async def unknown_name(monkeypatch: pytest.MonkeyPatch) -> str:
    def fail(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    return "http://zoho.invalid/"


async def other_scheme(monkeypatch: pytest.MonkeyPatch) -> str:
    return "ftp://127.0.0.1/"


async def no_host(monkeypatch: pytest.MonkeyPatch) -> str:
    return "http:///path"


@pytest.mark.parametrize("make_url", [refused, unknown_name, other_scheme, no_host])
async def test_what_was_never_sent_is_unreachable(
    make_url: Callable[[pytest.MonkeyPatch], Awaitable[str]],
    http: HttpClient,
    observed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = await failure(http, "POST", await make_url(monkeypatch))
    assert (error.reason, error.maybe_applied) == ("Unreachable", False)
    assert observed == ["Unreachable"]


async def test_an_untrusted_certificate_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with serve(answers(ok(b"{}")), tls=True) as port, SpreadTransport(pools=1) as transport:
        error = await failure(HttpClient(transport, Clock()), "POST", f"https://127.0.0.1:{port}/")
    assert (error.reason, error.maybe_applied) == ("Unreachable", False)
    assert "certificate" in error.message.lower()


async def test_a_slow_handshake_is_unreachable(http: HttpClient) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with serve(silent) as port:
        error = await failure(http, "POST", f"https://127.0.0.1:{port}/", TO_CONNECT)
    assert (error.reason, error.maybe_applied) == ("Unreachable", False)


async def test_a_full_pool_is_unreachable(http: HttpClient) -> None:
    async with serve(answers(then="hang")) as port:
        url = f"http://127.0.0.1:{port}/"
        busy = [asyncio.create_task(send(http, "POST", url)) for _ in range(CONNECTIONS_PER_POOL)]
        await asyncio.sleep(0)
        error = await failure(http, "POST", url, TO_CONNECT)
        for task in busy:
            task.cancel()
        outcomes = await asyncio.gather(*busy, return_exceptions=True)
    assert (error.reason, error.maybe_applied) == ("Unreachable", False)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)


def tunnel(*parts: bytes, then: str = "close") -> Handler:
    """A proxy that opens the tunnel, and behind it sends ``parts`` in the place of a TLS handshake."""
    return answers(b"HTTP/1.1 200 Connection established\r\n\r\n", *parts, then=then)


PROXIES: dict[str, Handler] = {
    "refuses the host": answers(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
    "asks for a password": answers(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    ),
    "does not reach the host": answers(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
    "closes": answers(),
    "resets": answers(then="reset"),
    "hangs": answers(then="hang"),
    "is no proxy": answers(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "closes the tunnel": tunnel(),
    "resets the tunnel": tunnel(then="reset"),
    "speaks no TLS in the tunnel": tunnel(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "leaves the handshake unanswered": tunnel(then="hang"),
}


@pytest.mark.parametrize("fault", PROXIES)
async def test_what_no_proxy_let_through_is_unreachable(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request itself begins behind the tunnel: until that stands, the service has seen nothing of it."""
    async with serve(PROXIES[fault]) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        async with SpreadTransport(pools=1, ca_bundle=CERTIFICATE) as transport:
            timeout = TO_CONNECT if "hang" in fault or "unanswered" in fault else LONG
            error = await failure(
                HttpClient(transport, Clock()), "POST", "https://platform.invalid/", timeout
            )
    assert (error.reason, error.maybe_applied) == ("Unreachable", False)
    assert "platform.invalid" in error.message
    assert "proxy" in error.advice


async def test_a_request_that_went_through_the_tunnel_may_have_been_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.start_tls(server_context())
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with serve(proxy) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        async with SpreadTransport(pools=1, ca_bundle=CERTIFICATE) as transport:
            error = await failure(HttpClient(transport, Clock()), "POST", "https://127.0.0.1/")
    assert (error.reason, error.maybe_applied) == ("ConnectionLost", True)


# The service may have seen the request: a POST must be looked up.

HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN: dict[str, Handler] = {
    "reset before the answer": answers(then="reset"),
    "closed before the answer": answers(),
    "reset in the body": answers(HEAD + b"Content-Length: 100\r\n\r\n{", then="reset"),
    "short body": answers(HEAD + b"Content-Length: 100\r\n\r\n{"),
    "chunk cut": answers(HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\n{"),
    "bad status line": answers(b"HTTP/1.1 what\r\n\r\n"),
    "no HTTP": answers(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "bad header": answers(HEAD + b"no colon here\r\n\r\n"),
    "bad chunk": answers(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "bad length": answers(HEAD + b"Content-Length: many\r\n\r\n{}"),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_connection_leaves_a_change_in_doubt(
    fault: str, method: str, http: HttpClient, observed: list[str]
) -> None:
    async with serve(BROKEN[fault]) as port:
        error = await failure(http, method, f"http://127.0.0.1:{port}/")
    assert error.reason == "ConnectionLost"
    assert error.maybe_applied is (method == "POST")
    assert observed == ["ConnectionLost"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "sent", [b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{"], ids=["nothing", "head", "body"]
)
async def test_a_slow_answer_leaves_a_change_in_doubt(sent: bytes, method: str, http: HttpClient) -> None:
    async with serve(answers(sent, then="hang")) as port:
        error = await failure(http, method, f"http://127.0.0.1:{port}/", SHORT)
    assert (error.reason, error.maybe_applied) == ("Timeout", method == "POST")


async def test_the_time_limit_is_for_the_whole_exchange(http: HttpClient) -> None:
    """A server that drips one byte at a time never meets a read timeout."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(SHORT / 10)

    async with serve(drip) as port:
        error = await failure(http, "GET", f"http://127.0.0.1:{port}/", SHORT)
    assert error.reason == "Timeout"


BOMB = gzip.compress(bytes(50_000_000))
TOO_LARGE: dict[str, bytes] = {
    "more than the limit": ok(bytes(100_001)),
    "more than the limit, unannounced": HEAD + b"\r\n" + bytes(100_001),
    "gzip bomb": ok(BOMB, b"Content-Encoding: gzip"),
}
UNREADABLE: dict[str, bytes] = {
    "damaged gzip": ok(b"not gzip at all", b"Content-Encoding: gzip"),
    "truncated gzip": ok(gzip.compress(b'{"a": 1}')[:-9], b"Content-Encoding: gzip"),
    "an encoding nobody asked for": ok(b"{}", b"Content-Encoding: br"),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("body", [*UNREADABLE, *TOO_LARGE])
async def test_an_unreadable_answer_leaves_a_change_in_doubt(
    body: str, method: str, http: HttpClient
) -> None:
    async with serve(answers((UNREADABLE | TOO_LARGE)[body])) as port:
        error = await failure(http, method, f"http://127.0.0.1:{port}/")
    expected = "AnswerTooLarge" if body in TOO_LARGE else "UnreadableAnswer"
    assert (error.reason, error.maybe_applied) == (expected, method == "POST")


class TestDownload:
    async def test_a_file_of_any_size_comes_in_pieces(self, http: HttpClient) -> None:
        async with (
            serve(answers(ok(bytes(300_000)))) as port,
            http.download("Service", "operation", f"http://127.0.0.1:{port}/") as download,
        ):
            assert download.answer.status == 200
            assert sum([len(piece) async for piece in download.chunks]) == 300_000

    async def test_a_refusal_has_its_body(self, http: HttpClient) -> None:
        refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
        async with (
            serve(answers(refusal)) as port,
            http.download("Service", "operation", f"http://127.0.0.1:{port}/") as download,
        ):
            assert (download.answer.status, download.answer.json()) == (404, {})

    @pytest.mark.parametrize(("end", "reason"), [("reset", "ConnectionLost"), ("hang", "Timeout")])
    async def test_a_file_that_stops_coming(self, end: str, reason: str, http: HttpClient) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"
        async with (
            serve(answers(head, bytes(1000), then=end)) as port,
            http.download("Service", "operation", f"http://127.0.0.1:{port}/", timeout=SHORT) as download,
        ):
            with pytest.raises(RemoteError) as raised:
                async for _ in download.chunks:
                    pass
        assert (raised.value.reason, raised.value.maybe_applied) == (reason, False)


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"a": "\xff"}', b"NaN"])
async def test_a_body_that_is_not_json_is_told_when_it_is_read(body: bytes, http: HttpClient) -> None:
    async with serve(answers(ok(body))) as port:
        answer = await send(http, "POST", f"http://127.0.0.1:{port}/")
    assert answer.json_or_none() is None
    with pytest.raises(RemoteError) as raised:
        answer.json()
    assert (raised.value.reason, raised.value.maybe_applied) == ("UnreadableAnswer", True)


# What is fine.


async def test_a_long_header_is_no_fault(http: HttpClient) -> None:
    async with serve(answers(ok(b"{}", b"X-Long: " + b"a" * 20_000))) as port:
        answer = await send(http, "GET", f"http://127.0.0.1:{port}/")
    assert answer.json() == {}


async def test_gzip_is_inflated(http: HttpClient, observed: list[str]) -> None:
    async with serve(answers(ok(gzip.compress(b'{"a": 1}'), b"Content-Encoding: gzip"))) as port:
        answer = await send(http, "GET", f"http://127.0.0.1:{port}/")
    assert answer.json() == {"a": 1}
    assert observed == ["200"]


async def test_canceling_gives_the_connection_back(transport: SpreadTransport, http: HttpClient) -> None:
    async with serve(answers(then="hang")) as port:
        url = f"http://127.0.0.1:{port}/"
        for _ in range(2 * CONNECTIONS_PER_POOL):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(send(http, "GET", url), 0.02)
        loads = [pool.load for pools in transport._pools_by_proxy.values() for pool in pools]
    assert loads == [0]


@pytest.mark.parametrize("value", ["line\nbreak", "señor"])
async def test_a_value_that_no_header_can_hold_is_not_repeated(value: str, http: HttpClient) -> None:
    """A Secret with a line break at its end is a frequent mistake; its value must not get into messages."""
    async with serve(answers(ok(b"{}"))) as port:
        with pytest.raises(RemoteError) as raised:
            await http.send(
                "Service", "operation", "POST", f"http://127.0.0.1:{port}/", headers={"Authorization": value}
            )
    error = raised.value
    assert (error.error_class, error.reason) == (ErrorClass.TERMINAL, "InvalidRequest")
    assert not error.maybe_applied
    assert value not in f"{error} {error.advice}"
    assert error.__cause__ is None
    assert error.__suppress_context__


async def test_every_other_fault_of_httpx_is_transient() -> None:
    """Also those that no server can be made to cause: whatever httpx may raise is translated."""

    def subclasses(cls: type[Exception]) -> list[type[Exception]]:
        return [cls, *(found for sub in cls.__subclasses__() for found in subclasses(sub))]

    kinds = [kind for kind in subclasses(httpx.TransportError) if kind is not httpx.LocalProtocolError]
    assert httpx.WriteTimeout in kinds
    not_sent = {
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
    }
    for kind in kinds:

        def fail(request: httpx.Request, kind: type[Exception] = kind) -> httpx.Response:
            raise kind("no")

        http = HttpClient(httpx.MockTransport(fail), Clock())
        error = await failure(http, "PATCH", "http://localhost/")
        assert error.maybe_applied is (kind not in not_sent), kind
