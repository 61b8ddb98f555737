"""The transport: spreading, proxies, trust."""

from __future__ import annotations

import asyncio
import base64
import ssl
import sys
from pathlib import Path

import pytest

from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import RemoteError
from crmflow.http.pool import CONNECTIONS_PER_POOL, SpreadTransport
from tests.kit.servers import CERTIFICATE, answers, free_port, ok, serve

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_VARIABLES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


class Proxy:
    """A proxy that tunnels CONNECT and answers plain requests itself."""

    def __init__(self, status: bytes = b"200 Connection established") -> None:
        self.status = status
        self.heads: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        method, target, _ = head.split(" ", 2)
        if method != "CONNECT":
            writer.write(ok(b'{"via": "proxy"}'))
            return
        writer.write(b"HTTP/1.1 " + self.status + b"\r\n\r\n")
        if not self.status.startswith(b"200"):
            return
        host, _, port = target.partition(":")
        upstream_reader, upstream = await asyncio.open_connection(host, int(port))
        try:
            await asyncio.gather(_pump(reader, upstream), _pump(upstream_reader, writer))
        finally:
            upstream.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def get_with(transport: SpreadTransport, url: str) -> object:
    """With connections that are kept."""
    return (await HttpClient(transport, Clock()).send("Service", "operation", "GET", url, timeout=10)).json()


async def get(transport: SpreadTransport, url: str) -> object:
    http = HttpClient(transport, Clock())
    try:
        return (await http.send("Service", "operation", "GET", url, timeout=10)).json()
    finally:
        await http.aclose()


class _Searches:
    """Counts the modules that are searched for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, name: str, *_: object) -> None:
        self.names.append(name)


async def test_a_request_searches_for_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpcore imports sniffio several times a request; where there is none, it looks in every folder."""
    searches = _Searches()
    async with serve(answers(ok(b"{}"))) as port, SpreadTransport(pools=1) as transport:
        url = f"http://127.0.0.1:{port}/"
        await get_with(transport, url)
        monkeypatch.setattr(sys, "meta_path", [searches, *sys.meta_path])
        await get_with(transport, url)
    assert searches.names == []


async def test_requests_are_spread_over_small_pools() -> None:
    """At no time are there more than four connections in a pool, nor an idle pool beside a loaded one."""
    arrived, all_arrived, go = 0, asyncio.Event(), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await reader.readuntil(b"\r\n\r\n")
        arrived += 1
        if arrived == 3 * CONNECTIONS_PER_POOL:
            all_arrived.set()
        await go.wait()
        writer.write(ok(b"{}"))

    async with serve(hold) as port, SpreadTransport(pools=3) as transport:
        http = HttpClient(transport, Clock())
        url = f"http://127.0.0.1:{port}/"
        requests = [
            asyncio.create_task(http.send("S", "o", "GET", url)) for _ in range(3 * CONNECTIONS_PER_POOL)
        ]
        await asyncio.wait_for(all_arrived.wait(), 10)
        (pools,) = transport._pools_by_proxy.values()
        assert [pool.load for pool in pools] == [CONNECTIONS_PER_POOL] * 3
        go.set()
        await asyncio.gather(*requests)
        assert [pool.load for pool in pools] == [0, 0, 0]


async def test_a_connection_is_used_again() -> None:
    connections = 0

    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ok(b"{}"))

    async with serve(polite) as port, SpreadTransport() as transport:
        http = HttpClient(transport, Clock())
        for _ in range(5):
            await http.send("S", "o", "GET", f"http://127.0.0.1:{port}/")
    assert connections == 1


async def test_redirects_and_cookies_are_left_alone() -> None:
    heads: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(
                b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
            )

    async with serve(redirect) as port, SpreadTransport() as transport:
        http = HttpClient(transport, Clock())
        for _ in range(2):
            answer = await http.send("S", "o", "GET", f"http://127.0.0.1:{port}/")
            assert answer.status == 302
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() or b"elsewhere" in head for head in heads)


async def test_https_goes_through_the_proxy_by_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    async with serve(proxy.handle) as proxy_port, serve(answers(ok(b'{"via": "tunnel"}')), tls=True) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{proxy_port}")
        assert await get(SpreadTransport(ca_bundle=CERTIFICATE), f"https://127.0.0.1:{port}/") == {
            "via": "tunnel"
        }
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT 127.0.0.1:{port} ")
    assert base64.b64encode(b"user:secret").decode() in head


async def test_http_goes_through_the_proxy_by_absolute_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    async with serve(proxy.handle) as proxy_port:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy_port}")
        assert await get(SpreadTransport(), "http://zoho.invalid/") == {"via": "proxy"}
    assert proxy.heads[0].startswith("GET http://zoho.invalid/ ")


async def test_no_proxy_is_honored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(answers(ok(b'{"via": "nothing"}'))) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("NO_PROXY", "localhost, 127.0.0.0/8")
        assert await get(SpreadTransport(), f"http://127.0.0.1:{port}/") == {"via": "nothing"}


@pytest.mark.parametrize("running", [True, False], ids=["refuses the tunnel", "is down"])
async def test_a_proxy_that_fails_makes_the_service_unreachable(
    running: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(Proxy(b"407 Proxy Authentication Required").handle) as proxy_port:
        port = proxy_port if running else free_port()
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{port}")
        with pytest.raises(RemoteError) as raised:
            await get(SpreadTransport(), "https://platform.invalid/")
    assert raised.value.reason == "Unreachable"
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1080", "ftp://proxy"])
def test_a_proxy_of_another_kind_is_refused_at_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ValueError, match="http"):
        SpreadTransport()


async def test_ssl_cert_file_is_honored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(answers(ok(b"{}")), tls=True) as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert await get(SpreadTransport(), f"https://localhost:{port}/") == {}


def test_a_bundle_that_cannot_be_read_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        SpreadTransport(ca_bundle=tmp_path / "missing.pem")
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ssl.SSLError):
        SpreadTransport(ca_bundle=tmp_path / "empty.pem")


OTHER_AUTHORITY = Path(__file__).resolve().parents[2] / "kit" / "remote-hosts.pem"


def exchange(bundle: Path, content: bytes) -> None:
    """As a kubelet does it: another file takes the place of the one before."""
    fresh = bundle.with_suffix(".fresh")
    fresh.write_bytes(content)
    fresh.replace(bundle)


@pytest.mark.parametrize("by", ["SSL_CERT_FILE", "argument"])
async def test_a_bundle_that_is_exchanged_is_trusted_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.write_bytes(OTHER_AUTHORITY.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    transport = SpreadTransport(ca_bundle=bundle if by == "argument" else None)
    async with serve(answers(ok(b'{"a": 1}', b"Connection: close")), tls=True) as port:
        http = HttpClient(transport, Clock())
        url = f"https://localhost:{port}/"
        with pytest.raises(RemoteError):
            await http.send("Service", "operation", "GET", url, timeout=10)
        exchange(bundle, CERTIFICATE.read_bytes())
        answer = await http.send("Service", "operation", "GET", url, timeout=10)
        assert answer.json() == {"a": 1}
        await http.aclose()


async def test_a_bundle_that_breaks_is_said_once_and_takes_no_trust_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.write_bytes(CERTIFICATE.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    transport = SpreadTransport()
    async with serve(answers(ok(b'{"a": 1}', b"Connection: close")), tls=True) as port:
        http = HttpClient(transport, Clock())
        exchange(bundle, b"not a certificate")
        for _ in range(2):
            answer = await http.send("Service", "operation", "GET", f"https://localhost:{port}/", timeout=10)
            assert answer.json() == {"a": 1}
        bundle.unlink()
        await http.send("Service", "operation", "GET", f"https://localhost:{port}/", timeout=10)
        await http.aclose()
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 2
    assert all(str(bundle) in text for text in errors)
