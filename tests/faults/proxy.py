"""Proxies between the operator, its Jobs and everybody they talk to.

Operator and Jobs each have a proxy of their own for what speaks plain HTTP, named to them by ``HTTP_PROXY``:
so it is known who asks, and an address that a service tells, as that of the landing zone, leads through it
too. The API server has a reverse proxy in TLS: its clients send credentials over nothing else. Credentials
are passed on as they come.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

from tests.faults.calls import Call, Caller
from tests.faults.gate import FaultError, Gate
from tests.kit.loop_thread import LoopThread
from tests.kit.servers import CERTIFICATE, server_context

_HOP_BY_HOP = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_ADDED_BY_AIOHTTP = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_REFUSAL = {"title": "A fault of the test"}
"""No service says that: only the status tells what to do."""
_LARGEST_BODY = 16 * 1024 * 1024


@dataclass(frozen=True)
class Upstream:
    """Where a reverse proxy leads: to one service, whose name is that of the proxy."""

    url: str
    trust: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Everybody:
    """Where a proxy leads whose clients name whom they ask."""

    caller: Caller
    services: Mapping[str, str]
    """Their names, by scheme, host and port."""

    trust = None


class Proxies(LoopThread):
    """Proxies by name, in a thread of their own for the block; ``urls`` says where they are."""

    def __init__(self, upstreams: Mapping[str, Upstream | Everybody], gate: Gate) -> None:
        super().__init__("proxies")
        self.delay = 0.0
        """Seconds that every request is held up for on its way."""
        self._upstreams = upstreams
        self._gate = gate
        self._runners: list[web.AppRunner] = []
        self.urls: dict[str, str] = {}

    def cluster(self, service: str) -> dict[str, str]:
        """The cluster of a kubeconfig that leads through the proxy to the API server ``service``."""
        authority = base64.b64encode(CERTIFICATE.read_bytes()).decode()
        return {"server": self.urls[service], "certificate-authority-data": authority}

    async def start(self) -> None:
        for name, upstream in self._upstreams.items():
            application = web.Application(client_max_size=_LARGEST_BODY)
            forwarder = _Forwarder(name, upstream, self._gate, lambda: self.delay)
            application.cleanup_ctx.append(forwarder.session)
            application.router.add_route("*", "/{path:.*}", forwarder.handle)
            # Without cancellation an idle watch would stay open after the operator's death.
            runner = web.AppRunner(
                application, access_log=None, handler_cancellation=True, shutdown_timeout=0.5
            )
            await runner.setup()
            self._runners.append(runner)
            listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            tls = server_context() if upstream.trust else None
            await web.SockSite(runner, listener, ssl_context=tls).start()
            scheme = "https" if tls else "http"
            self.urls[name] = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()


class _Forwarder:
    """Passes the requests of one listener on, through the gate."""

    def __init__(
        self,
        name: str,
        upstream: Upstream | Everybody,
        gate: Gate,
        delay: Callable[[], float],
    ) -> None:
        self._delay = delay
        self._name = name
        self._upstream = upstream
        self._gate = gate
        self._http: aiohttp.ClientSession | None = None

    async def session(self, _: web.Application):  # type: ignore[no-untyped-def]
        """The client's life, as aiohttp's ``cleanup_ctx`` wants it."""
        connector = aiohttp.TCPConnector(ssl=self._upstream.trust or True, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        self._http = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        yield
        await self._http.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        await asyncio.sleep(self._delay())
        if request.query.get("watch", "false").lower() in ("true", "1"):
            return await self._stream(request)
        # A request that has left its sender goes its way, also when its sender dies at another one.
        return await asyncio.shield(asyncio.ensure_future(self._exchange(request)))

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        call = self._call(request)
        if call.is_kubernetes and call.is_read:
            self._gate.note_read(call)
            return await self._forward(request)
        try:
            occurrence = self._gate.enter(call)
            answer = await self._forward(request)
            self._gate.committed(call, occurrence)
        except FaultError as fault:
            if fault.status is not None:
                return web.json_response(_REFUSAL, status=fault.status)
            _abort(request)
            return web.Response()
        except aiohttp.ClientError:
            _abort(request)
            return web.Response()
        finally:
            self._gate.leave()
        return answer

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        async with self._request(request, await request.read()) as answer:
            return web.Response(
                status=answer.status, headers=_end_to_end(answer.headers), body=await answer.read()
            )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        async with self._request(request, b"") as answer:
            response = web.StreamResponse(status=answer.status, headers=_end_to_end(answer.headers))
            await response.prepare(request)
            with suppress(ConnectionResetError):
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            return response

    def _request(self, request: web.Request, body: bytes) -> aiohttp.client._RequestContextManager:
        assert self._http is not None
        return self._http.request(
            request.method,
            self._target(request),
            headers=_end_to_end(request.headers),
            data=body or None,
            skip_auto_headers=_ADDED_BY_AIOHTTP,
            allow_redirects=False,
        )

    def _call(self, request: web.Request) -> Call:
        service, caller = self._name, Caller.OPERATOR
        if isinstance(self._upstream, Everybody):
            service, caller = self._upstream.services[str(request.url.origin())], self._upstream.caller
        comp = request.query.get("comp", "")
        return Call.of(service, request.method, request.rel_url.raw_path, comp=comp, caller=caller)

    def _target(self, request: web.Request) -> URL:
        if isinstance(self._upstream, Everybody):
            return request.url
        return URL(self._upstream.url + request.raw_path, encoded=True)


def _end_to_end(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]


def _abort(request: web.Request) -> None:
    """Reset the connection: no answer, no orderly end."""
    if (transport := request.transport) is None:
        return
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
