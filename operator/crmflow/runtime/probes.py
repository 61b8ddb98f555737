"""/healthz, /readyz and /metrics: the operator's only inbound surface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from crmflow.runtime.health import Check


class ProbeServer:
    """Serves probes and metrics on one address."""

    def __init__(
        self,
        listen: str,
        metrics: Callable[[], bytes],
        is_ready: Callable[[], str | None],
        checks: Iterable[Check],
    ) -> None:
        """``metrics`` gives them as text; ``is_ready`` None, or what is still waited for. ``checks`` may
        grow.
        """
        host, _, port = listen.rpartition(":")
        self._host, self._port = host or "0.0.0.0", int(port)  # noqa: S104 - meant for the cluster
        self._text = metrics
        self._is_ready = is_ready
        self._checks = checks
        self._runner: web.AppRunner | None = None

    async def start(self, address_file: str | None = None) -> None:
        """Listen; write the bound address into ``address_file`` if there is one."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        if address_file:
            host, port = self._runner.addresses[0][:2]
            temporary = Path(f"{address_file}.tmp")
            temporary.write_text(f"{host}:{port}")  # noqa: ASYNC240 - a few bytes, once
            temporary.rename(address_file)  # noqa: ASYNC240

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        problems = [problem for check in self._checks if (problem := check()) is not None]
        return web.Response(status=503 if problems else 200, text="\n".join(problems or ["ok"]) + "\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        waiting_for = self._is_ready()
        return web.Response(status=503 if waiting_for else 200, text=f"{waiting_for or 'ok'}\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
