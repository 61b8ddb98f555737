"""The proxies change nothing, and what they cut off is cut off where it should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.faults.calls import BLOB, KUBERNETES, Call, Caller
from tests.faults.gate import Gate
from tests.faults.points import Fault, FaultPoint
from tests.faults.proxy import Everybody, Proxies, Upstream

CREATE = Call("platform", "POST", "/things")


class Remote:
    """An upstream that remembers what reached it."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.may_end = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.bodies.append(await request.read())
        if "watch" in request.query:
            return await self._stream(request)
        return web.json_response({"path": request.raw_path}, status=201, headers={"etag": '"7"'})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        await self.may_end.wait()
        await response.write(b"last\n")
        return response


@pytest.fixture
async def remote() -> AsyncIterator[tuple[Remote, str]]:
    remote = Remote()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", remote.answer)
    async with TestServer(application) as server:
        yield remote, str(server.make_url("")).rstrip("/")


@pytest.fixture
def gate() -> Gate:
    return Gate(lambda _: None)


@pytest.fixture
def proxies(remote: tuple[Remote, str], gate: Gate) -> Iterator[Proxies]:
    upstream = Upstream(remote[1])
    with Proxies({"platform": upstream, KUBERNETES: upstream}, gate) as proxies:
        yield proxies


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        yield client


async def test_a_request_and_its_answer_stay_as_they_are(
    remote: tuple[Remote, str], proxies: Proxies, client: httpx.AsyncClient
) -> None:
    path = "/schemas/https%3A%2F%2Fns.adobe.com?property=name%3D%3Da%20b"
    headers = {"authorization": "Bearer t", "content-type": "application/apply-patch+yaml"}
    answer = await client.put(proxies.urls["platform"] + path, content=b"body", headers=headers)

    (seen,) = remote[0].seen
    assert (seen.method, seen.raw_path, remote[0].bodies) == ("PUT", path, [b"body"])
    assert headers.items() <= {name.lower(): value for name, value in seen.headers.items()}.items()
    assert (answer.status_code, answer.json(), answer.headers["etag"]) == (201, {"path": path}, '"7"')


async def test_a_watch_is_passed_on_as_it_comes(
    remote: tuple[Remote, str], proxies: Proxies, client: httpx.AsyncClient
) -> None:
    async with client.stream("GET", proxies.urls[KUBERNETES] + "/things?watch=true") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "first"
        remote[0].may_end.set()
        assert await anext(lines) == "last"


async def test_everything_passes_the_gate_but_reads_of_kubernetes(
    proxies: Proxies, gate: Gate, client: httpx.AsyncClient
) -> None:
    for service in ("platform", KUBERNETES):
        await client.get(proxies.urls[service] + "/things")
        await client.post(proxies.urls[service] + "/things")
    assert [(call.service, call.method) for call in gate.calls] == [
        ("platform", "GET"),
        ("platform", "POST"),
        (KUBERNETES, "POST"),
    ]
    assert gate.reads == {Call(KUBERNETES, "GET", "/things"): 1}


@pytest.mark.parametrize(("fault", "reached"), [(Fault.KILLED_BEFORE, 0), (Fault.KILLED_AFTER, 1)])
async def test_a_crash_leaves_the_call_unanswered(
    remote: tuple[Remote, str],
    proxies: Proxies,
    gate: Gate,
    client: httpx.AsyncClient,
    fault: Fault,
    reached: int,
) -> None:
    gate.begin(FaultPoint(CREATE, 1, fault))
    with pytest.raises(httpx.TransportError):
        await client.post(proxies.urls["platform"] + "/things")
    assert len(remote[0].seen) == reached
    assert gate.struck


async def test_a_failure_is_answered_in_the_services_place(
    remote: tuple[Remote, str], proxies: Proxies, gate: Gate, client: httpx.AsyncClient
) -> None:
    gate.begin(FaultPoint(CREATE, 1, Fault.UNAVAILABLE))
    url = proxies.urls["platform"] + "/things"
    answers = [(await client.post(url)).status_code for _ in range(2)]
    assert answers[0] == 503
    assert answers[1] < 300
    assert len(remote[0].seen) == 1


async def test_an_answer_that_is_lost_kills_nobody(
    remote: tuple[Remote, str], proxies: Proxies, gate: Gate, client: httpx.AsyncClient
) -> None:
    gate.begin(FaultPoint(CREATE, 1, Fault.LOST))
    with pytest.raises(httpx.TransportError):
        await client.post(proxies.urls["platform"] + "/things")
    assert len(remote[0].seen) == 1


async def test_nobody_behind_it_is_nobody_in_front_of_it(gate: Gate, client: httpx.AsyncClient) -> None:
    nobody = Upstream("http://127.0.0.1:1")
    with Proxies({"platform": nobody}, gate) as proxies, pytest.raises(httpx.TransportError):
        await client.get(proxies.urls["platform"] + "/things")
    assert gate.quiet_for(0)


async def test_who_asks_through_a_proxy_of_their_own_is_known(remote: tuple[Remote, str], gate: Gate) -> None:
    signed = "/account/dlz-user-container/a%20b.csv?comp=block&sig=a%2Fb%3D"
    everybody = {caller: Everybody(caller, {remote[1]: BLOB}) for caller in Caller}
    with Proxies(everybody, gate) as proxies:
        for caller in Caller:
            proxy = proxies.urls[caller]
            async with httpx.AsyncClient(trust_env=False, timeout=5, proxy=proxy) as client:
                answer = await client.put(remote[1] + signed, content=b"rows")
                assert answer.json() == {"path": signed}
    assert [str(call) for call in gate.calls] == [
        "blob PUT /{account}/dlz-user-container/{file}?comp=block",
        "job blob PUT /{account}/dlz-user-container/{file}?comp=block",
    ]
    assert remote[0].bodies == [b"rows", b"rows"]
