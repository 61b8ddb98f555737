"""A reserved port is free for the server that it is meant for, and for nobody else."""

from __future__ import annotations

import socket

import pytest

from hack.controlplane.ports import reserved_port


def _listen(port: int, *, share: bool) -> socket.socket:
    server = socket.socket()
    if share:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        server.bind(("127.0.0.1", port))
        server.listen()
    except OSError:
        server.close()
        raise
    return server


def test_others_cannot_take_it() -> None:
    with reserved_port() as port, pytest.raises(OSError, match="in use"):
        _listen(port, share=False)


def test_its_server_gets_every_connection() -> None:
    with reserved_port() as port, _listen(port, share=True) as server:
        server.settimeout(5)
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                server.accept()[0].close()


def test_it_is_free_after_the_block() -> None:
    with reserved_port() as port:
        pass
    _listen(port, share=False).close()
