"""Where probes and metrics are served: on every address of IPv4 and IPv6, unless one is given."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from crmflow.runtime.probes import ProbeServer, listening_socket
from crmflow.settings import Settings


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


LOOPBACK = ["127.0.0.1", *(["[::1]"] if _has_ipv6() else [])]


async def _answering(listen: str, directory: Path) -> tuple[str, list[str]]:
    """The address as written down, and at which of loopback's it answers."""
    probes = ProbeServer(listen, lambda: b"", lambda: None, [])
    await probes.start(str(directory / "address"))
    address = (directory / "address").read_text()
    port = address.rpartition(":")[2]
    answering = []
    async with httpx.AsyncClient(trust_env=False) as http:
        for host in LOOPBACK:
            try:
                answer = await http.get(f"http://{host}:{port}/readyz")
            except httpx.ConnectError:
                continue
            answering.append(host)
            assert answer.text == "ok\n"
        direct = await http.get(f"http://{address}/healthz")
    assert direct.is_success
    await probes.stop()
    return address, answering


async def test_without_a_host_both_families_are_served(tmp_path: Path) -> None:
    """A kubelet asks at the Pod's first address, which is an IPv6 one in some clusters."""
    assert Settings().listen.startswith(":")
    address, answering = await _answering(":0", tmp_path)
    assert answering == LOOPBACK
    assert address.startswith("[::]:" if len(LOOPBACK) > 1 else "0.0.0.0:")


@pytest.mark.parametrize("host", LOOPBACK)
async def test_with_a_host_only_that_is_served(host: str, tmp_path: Path) -> None:
    address, answering = await _answering(f"{host}:0", tmp_path)
    assert answering == [host]
    assert address.startswith(f"{host}:")


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_a_system_without_ipv6_serves_ipv4(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = socket.create_server

    def without_ipv6(address: Any, *, family: int = socket.AF_INET, **options: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(code, "no IPv6")
        return create(address, family=family, **options)

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    address, answering = await _answering(":0", tmp_path)
    assert answering == ["127.0.0.1"]
    assert address.startswith("0.0.0.0:")


def test_a_port_that_is_taken_is_an_error() -> None:
    with listening_socket("", 0) as first, pytest.raises(OSError, match="in use"):
        listening_socket("", first.getsockname()[1])
