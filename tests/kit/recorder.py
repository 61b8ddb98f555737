"""A server over TLS that notes who asks it, and answers as an API server answers /version."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.kit.servers import CERTIFICATE

_VERSION = json.dumps(
    {
        "major": "1",
        "minor": "36",
        "gitVersion": "v1.36.3",
        **dict.fromkeys(("gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"), "x"),
    }
).encode()


@dataclass
class Recorder:
    """Where it listens, and what was asked."""

    secure: int = 0
    """Its port with TLS."""
    plain: int = 0
    """Its port without."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """The server names that clients asked for."""

    def take(self) -> dict[str, Any] | None:
        """The newest request, and forget all; None if there was none."""
        newest = self.seen[-1] if self.seen else None
        self.seen.clear()
        self.names.clear()
        return newest


@contextmanager
def recorder() -> Iterator[Recorder]:
    """One that listens on loopback until the block is left."""
    record = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = sorted(
                (name.lower(), value)
                for name, value in self.headers.items()
                if name.lower() == "authorization" or name.lower().startswith("impersonate-")
            )
            certificate = (
                bool(self.connection.getpeercert()) if isinstance(self.connection, ssl.SSLSocket) else False
            )
            record.seen.append(
                {
                    "path": self.path.partition("?")[0].rstrip("/"),
                    "headers": headers,
                    "name": record.names[-1] if record.names else None,
                    "certificate": certificate,
                }
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(_VERSION)))
            self.end_headers()
            self.wfile.write(_VERSION)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that does not trust the certificate hangs up."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.load_verify_locations(CERTIFICATE)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.sni_callback = lambda _, name, __: record.names.append(name)
    with Quiet(("127.0.0.1", 0), Handler) as secure, Quiet(("127.0.0.1", 0), Handler) as plain:
        secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
        record.secure, record.plain = secure.server_address[1], plain.server_address[1]
        for server in (secure, plain):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield record
        finally:
            secure.shutdown()
            plain.shutdown()
