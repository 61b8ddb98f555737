"""A proxy as large companies have it: HTTPS goes through CONNECT, and is broken open with a certificate of
the company's own. Behind it the real hosts' names lead to the emulators.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.kit.loop_thread import LoopThread

CERTIFICATE = Path(__file__).with_name("remote-hosts.pem")
"""Key and certificate for the hosts that tests use. The certificate is its own authority."""


def authority() -> str:
    """The certificate (PEM) that a client behind the proxy has to trust."""
    text = CERTIFICATE.read_text()
    return text[text.index("-----BEGIN CERTIFICATE-----") :]


class ConnectProxy(LoopThread):
    """Serves in a thread of its own for the block. ``hosts`` says which plain URL each host stands for."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        super().__init__("proxy")
        self._hosts = {host: urlsplit(url) for host, url in hosts.items()}
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(CERTIFICATE)
        self.url = ""
        self.asked: set[str] = set()
        """Every request line's method and target."""

    async def start(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        self.asked.add(f"{method} {target}")
        host, _, port = target.partition(":")
        if method != "CONNECT" or port != "443" or host not in self._hosts:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.start_tls(self._tls)
        upstream = self._hosts[host]
        there, back = await asyncio.open_connection(upstream.hostname, upstream.port)
        await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
