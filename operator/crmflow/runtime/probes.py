"""/healthz, /readyz and /metrics: the operator's only inbound surface."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from crmflow.environment import SettingError, reason
from crmflow.runtime.health import Check

BACKLOG = 128
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""What a system without IPv6 says, depending on how it was switched off."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on an address, or without ``host`` on all of both families: a cluster may be
    IPv4, IPv6 or both, and its kubelet uses the Pod's first address. Raises OSError.
    """
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    try:
        return socket.create_server(
            ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
        )
    except (OSError, ValueError) as error:  # ValueError: a system that can't do both with one socket
        if isinstance(error, OSError) and error.errno not in _NO_IPV6:
            raise
        return socket.create_server(("0.0.0.0", port), backlog=BACKLOG)  # noqa: S104 - meant for the cluster


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
        self._listen = listen
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._text = metrics
        self._is_ready = is_ready
        self._checks = checks
        self._runner: web.AppRunner | None = None

    async def start(self, address_file: str | None = None) -> None:
        """Listen; write the bound address into ``address_file`` if there is one. Raises SettingError."""
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
        try:
            listener = listening_socket(self._host, self._port)
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that can't be one of a host
            raise SettingError("CRMFLOW_LISTEN", self._listen, *_explain(error)) from None
        await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
        if address_file:
            host, port = listener.getsockname()[:2]
            try:
                _replace(Path(address_file), f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
            except OSError as error:
                raise SettingError(
                    "CRMFLOW_LISTEN_FILE",
                    address_file,
                    f"the address can't be written there: {reason(error)}",
                    "Name a file in a directory that exists and can be written, or leave it out",
                ) from None

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


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text)
    temporary.rename(path)


def _explain(error: OSError | UnicodeError) -> tuple[str, str]:
    """Why there is no listening there, and what to do."""
    # No errno, or a negative one: a name that DNS does not know, or that can't be one.
    if isinstance(error, UnicodeError) or (error.errno or -1) < 0 or error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address", "Give one that it has, or :PORT for all of them"
    if error.errno == errno.EADDRINUSE:
        return "another process listens there", "Stop it, or choose another port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "this process may not listen there", "Choose a port above 1023"
    return reason(error), "Choose another address"
