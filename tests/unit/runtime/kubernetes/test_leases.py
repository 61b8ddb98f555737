"""The Lease on the wire: whole, in UTC, and guarded by its version."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from crmflow.runtime.kubernetes.errors import NotFoundError, StaleError
from crmflow.runtime.kubernetes.leases import Lease, Leases

PATH = "/apis/coordination.k8s.io/v1/namespaces/crmflow-system/leases"
BEGIN = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
LEASE = Lease("one", 10, BEGIN, BEGIN + timedelta(seconds=2), transitions=3)


class Server:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.requests: list[tuple[str, str]] = []
        self.refuses = False
        self.has_namespace = True

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path))
        if self.refuses:
            return web.json_response({"kind": "Status", "message": "modified"}, status=409)
        if not self.has_namespace:
            message = 'namespaces "crmflow-system" not found'
            return web.json_response({"kind": "Status", "message": message}, status=404)
        if request.method != "GET":
            self.stored = json.loads(await request.read())
            self.stored["metadata"]["resourceVersion"] = str(len(self.requests))
        if self.stored is None:
            return web.json_response({"kind": "Status", "message": "not found"}, status=404)
        return web.json_response(self.stored, status=201 if request.method == "POST" else 200)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def leases(server: Server) -> AsyncIterator[Leases]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with TestServer(app) as listening:
        api = client.ApiClient(client.Configuration(host=str(listening.make_url(""))))
        yield Leases(api, "crmflow-system", "crmflow")
        await api.close()  # type: ignore[no-untyped-call]


async def test_there_may_be_none_yet(leases: Leases) -> None:
    assert await leases.read() is None


async def test_a_namespace_that_does_not_exist_is_named_with_its_setting(
    leases: Leases, server: Server
) -> None:
    server.has_namespace = False
    with pytest.raises(NotFoundError, match=r'"crmflow-system" not found.*CRMFLOW_POD_NAMESPACE'):
        await leases.write(LEASE)


async def test_it_is_created_and_read_back_as_it_was(leases: Leases, server: Server) -> None:
    version = await leases.write(LEASE)
    assert server.requests == [("POST", PATH)]
    assert server.stored is not None
    assert server.stored["spec"] == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 10,
        "acquireTime": "2026-03-01T12:00:00.250000Z",
        "renewTime": "2026-03-01T12:00:02.250000Z",
        "leaseTransitions": 3,
    }
    assert await leases.read() == replace(LEASE, version=version)


async def test_exactly_the_version_that_was_read_is_replaced(leases: Leases, server: Server) -> None:
    await leases.write(replace(LEASE, version="41"))
    assert server.requests == [("PUT", f"{PATH}/crmflow")]
    server.refuses = True
    with pytest.raises(StaleError):
        await leases.write(replace(LEASE, version="41"))


async def test_a_whole_second_keeps_its_fraction(leases: Leases, server: Server) -> None:
    """The API server refuses a MicroTime without one."""
    await leases.write(replace(LEASE, renewed_at=BEGIN.replace(microsecond=0)))
    assert server.stored is not None
    assert server.stored["spec"]["renewTime"] == "2026-03-01T12:00:00.000000Z"


async def test_times_of_another_zone_are_written_in_utc(leases: Leases, server: Server) -> None:
    await leases.write(replace(LEASE, acquired_at=BEGIN.astimezone(timezone(timedelta(hours=5)))))
    assert server.stored is not None
    assert server.stored["spec"]["acquireTime"] == "2026-03-01T12:00:00.250000Z"


async def test_a_lease_that_somebody_emptied_is_held_by_nobody(leases: Leases, server: Server) -> None:
    server.stored = {"metadata": {"name": "crmflow", "resourceVersion": "7"}, "spec": {}}
    found = await leases.read()
    assert found is not None
    assert (found.holder, found.duration, found.version) == ("", 0, "7")
