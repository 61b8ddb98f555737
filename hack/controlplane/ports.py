"""Free ports that stay free until their server has taken them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free loopback port, kept from everybody else for the length of the block.

    The reservation is a socket that is bound with SO_REUSEPORT and never listens: only a server of the same
    user that asks for SO_REUSEPORT too can bind the port, and all connections go to that one.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation.getsockname()[1]
