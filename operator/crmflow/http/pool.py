"""The connections of the process: httpx's own transport, spread over small pools.

httpx scans all connections of a pool for every request, so one big pool gets slower with its size: several
small ones, the least loaded first, carry several times as many requests.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType

import httpx

from crmflow.environment import SettingError, reason
from crmflow.http.proxies import ProxySettings
from crmflow.http.trust import RenewedTrust

log = logging.getLogger("crmflow.http")

CONNECTIONS_PER_POOL = 4
_KEEPALIVE_SECONDS = 30.0


class SpreadTransport(httpx.AsyncBaseTransport):
    """``pools`` × 4 connections, each request on the least loaded pool, directly or through the environment's
    proxy.

    A transport neither follows redirects nor keeps cookies, and this one repeats nothing. ``ca_bundle`` (PEM)
    takes the place of the trusted roots; without it ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are honored. A
    bundle that is exchanged is read anew.
    Raises SettingError where one of these variables can't be used, and ``OSError`` for such a ``ca_bundle``.
    """

    def __init__(self, *, pools: int = 13, ca_bundle: Path | None = None) -> None:
        self._proxies = ProxySettings.from_environment(os.environ)
        # One for all pools: it holds every trusted root, which costs memory and tens of milliseconds.
        self._ssl_context = _ssl_context(ca_bundle)
        bundle = ca_bundle or os.environ.get("SSL_CERT_FILE")  # what is in SSL_CERT_DIR is read when needed
        self._trust = RenewedTrust(self._ssl_context, Path(bundle), "CA bundle", log) if bundle else None
        self._size = pools
        self._pools_by_proxy: dict[str | None, tuple[_Pool, ...]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send on the least loaded pool; it counts as loaded until the answer's stream is closed."""
        if self._trust is not None:
            self._trust.look()
        pools = self._pools(self._proxies.proxy_for(request.url))
        return await min(pools, key=lambda pool: pool.load).send(request)

    async def aclose(self) -> None:
        """Close every connection."""
        for pools in self._pools_by_proxy.values():
            for pool in pools:
                await pool.transport.aclose()

    async def __aenter__(self) -> SpreadTransport:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    def _pools(self, proxy: str | None) -> tuple[_Pool, ...]:
        if proxy not in self._pools_by_proxy:
            self._pools_by_proxy[proxy] = tuple(_Pool(self._transport(proxy)) for _ in range(self._size))
        return self._pools_by_proxy[proxy]

    def _transport(self, proxy: str | None) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._ssl_context,
            trust_env=False,
            limits=httpx.Limits(
                max_connections=CONNECTIONS_PER_POOL,
                max_keepalive_connections=CONNECTIONS_PER_POOL,
                keepalive_expiry=_KEEPALIVE_SECONDS,
            ),
            proxy=None if proxy is None else httpx.Proxy(proxy, ssl_context=self._ssl_context_for(proxy)),
        )

    def _ssl_context_for(self, proxy: str) -> ssl.SSLContext | None:
        return self._ssl_context if proxy.lower().startswith("https://") else None


class _Pool:
    """One of httpx's pools with the number of requests that are under way on it."""

    def __init__(self, transport: httpx.AsyncHTTPTransport) -> None:
        self.transport = transport
        self.load = 0

    async def send(self, request: httpx.Request) -> httpx.Response:
        self.load += 1
        try:
            response = await self.transport.handle_async_request(request)
        except BaseException:
            self.load -= 1
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _CountedStream(response.stream, self._done)
        return response

    def _done(self) -> None:
        self.load -= 1


class _CountedStream(httpx.AsyncByteStream):
    """An answer's stream that tells once when it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, closed: Callable[[], None]) -> None:
        self._stream = stream
        self._closed: Callable[[], None] | None = closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            closed, self._closed = self._closed, None
            if closed is not None:
                closed()


def _ssl_context(ca_bundle: Path | None) -> ssl.SSLContext:
    if ca_bundle is not None:
        return ssl.create_default_context(cafile=str(ca_bundle))
    # httpx takes the first one that is set.
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if value := os.environ.get(name):
            return _trusting(name, value)
    return httpx.create_ssl_context(trust_env=False)


def _trusting(name: str, value: str) -> ssl.SSLContext:
    try:
        if name == "SSL_CERT_DIR":
            os.listdir(value)  # OpenSSL itself takes what does not exist for an empty one, and trusts nobody
        return httpx.create_ssl_context(trust_env=True)
    except ssl.SSLError:
        problem, advice = "the file holds no certificate", "It must hold certificates in PEM"
    except OSError as error:
        problem, advice = reason(error), "It must name what this process can read"
    raise SettingError(
        name, value, problem, f"{advice}; without the variable, the public authorities are trusted"
    )
