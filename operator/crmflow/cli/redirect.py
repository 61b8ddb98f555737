"""Where Zoho sends the browser after the consent, and the server that waits there (zoho.md 1.2)."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from aiohttp import web

from crmflow.cli import pages
from crmflow.cli.problem import Problem
from crmflow.cli.terminal import say
from crmflow.clock import Clock
from crmflow.http.errors import RemoteError
from crmflow.zoho.consent import answers, callback_parameters

# Zoho compares the whole address with the registered one, so the port is fixed. Nothing well known uses it.
DEFAULT_REDIRECT_URI = "http://localhost:8917/callback"

_LOOPBACK = {"localhost": ("127.0.0.1", "::1"), "127.0.0.1": ("127.0.0.1",), "::1": ("::1",)}
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)
_CLOSING_SECONDS = 5.0


@dataclass(frozen=True)
class RedirectUri:
    """A redirect URI as it is registered in the API console."""

    text: str
    addresses: tuple[str, ...]
    """The addresses of this machine that it leads to; none if it leads elsewhere."""
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> RedirectUri:
        """Raises Problem if it is not an http or https address without a fragment."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
            raise Problem(
                "the redirect URI is not an http or https address",
                "Give exactly the one that is registered for the client in Zoho's API console",
            )
        # Nobody here has a certificate for an https address.
        addresses = _LOOPBACK.get(parts.hostname, ()) if parts.scheme == "http" else ()
        return cls(text, addresses, port or 80, parts.path or "/")


class RedirectServer:
    """Waits on loopback for the one answer with the right state, and holds its page back until the end."""

    def __init__(self, uri: RedirectUri, state: str) -> None:
        self._uri = uri
        self._state = state
        self._answer: dict[str, str] | None = None
        self._arrived = asyncio.Event()
        self._page: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        app = web.Application()
        app.router.add_get(uri.path, self._receive, allow_head=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSING_SECONDS)

    async def answer(self, clock: Clock, until: float) -> dict[str, str] | None:
        """The parameters that came back; None if nobody answered ``until`` then on ``clock``."""
        await clock.wait(self._arrived, until)
        return self._answer

    def show(self, page: str) -> None:
        """What the browser that brought the answer shows."""
        self._page.set_result(page)

    async def __aenter__(self) -> Self:
        listeners = _listen(self._uri)
        await self._runner.setup()
        for listener in listeners:
            await web.SockSite(self._runner, listener).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._page.done():
            self.show(pages.not_connected("The command has ended.", "Its terminal says why."))
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        try:
            parameters = callback_parameters(str(request.rel_url))
        except RemoteError as error:
            problem = Problem.of(error)
            return _html(pages.waiting_for_another(problem.message, problem.advice), 400)
        if not answers(parameters, self._state):
            say("An answer came that belongs to another authorization. It was ignored; still waiting.")
            message = "This answer belongs to another authorization, perhaps an earlier one. It was not used."
            advice = "Consent on the page that the running command opened; it is still waiting."
            return _html(pages.waiting_for_another(message, advice), 400)
        if self._answer is not None:
            message = "This answer came before, and a grant works only once."
            return _html(pages.waiting_for_another(message, "The first page shows how it ended."), 409)
        self._answer = parameters
        self._arrived.set()
        return _html(await asyncio.shield(self._page))


def _listen(uri: RedirectUri) -> list[socket.socket]:
    """Every address that the name may stand for: else another program could be there, and get the answer."""
    listeners: list[socket.socket] = []
    try:
        for address in uri.addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                listeners.append(socket.create_server((address, uri.port), family=family))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise Problem(
            f"port {uri.port} can't be listened on ({error.strerror})",
            "End the program that uses it, or register another redirect URI with the client and give it with "
            "--redirect-uri",
        ) from None
    return listeners


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers=pages.HEADERS)
