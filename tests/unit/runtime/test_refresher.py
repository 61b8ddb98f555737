"""Tokens renewed without anybody asking, and how the connections are told of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from crmflow.reconcile.connection.reconciler import RECONCILER as CONNECTION
from crmflow.reconcile.decide import Priority
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.keys import Key
from crmflow.runtime.refresher import PUSH_SPREAD, REFUSED_RETRY_SECONDS, RETRY_SECONDS, TokenRefresher
from crmflow.transport.errors import ErrorClass, RemoteError
from tests.unit.reconcile.fakes import remote_error
from tests.unit.runtime.fakes import JumpingClock, make_object

LIFE = 3600.0
HOLDERS = [f"crm/zoho-{number}" for number in range(20)]


class Credential:
    """A credential and its token in one."""

    def __init__(self, clock: JumpingClock) -> None:
        self.token = self
        self.refresh_at: float | None = None
        self.renewed = 0
        self.error: Exception | None = None
        self._clock = clock

    async def get(self) -> None:
        self.renewed += 1
        if self.error is not None:
            raise self.error
        self.refresh_at = self._clock.now() + LIFE * 2 / 3


class Queue:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.added: list[tuple[Key, Priority]] = []
        self.forward: dict[Key, float] = {}

    def add(self, key: Key, priority: Priority) -> None:
        self.added.append((key, priority))

    def bring_forward(self, key: Key, at: float, priority: Priority) -> None:
        assert priority is Priority.POLL
        self.forward[key] = at


class Desk:
    """One credential that many connections share."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.cache = ObjectCache({CONNECTION.kind.kind: CONNECTION})
        self.queue = Queue()
        self.credential = Credential(self.clock)
        self.in_use: dict[Any, Sequence[str]] = {self.credential: HOLDERS}
        self.sweeps = 0
        queue: Any = self.queue
        self.refresher = TokenRefresher(self.clock, self.cache, queue)
        for holder in HOLDERS:
            self.put(holder)

    def put(self, holder: str, **spec: Any) -> None:
        secrets = {name: {"credentialsSecretRef": {"name": name}} for name in ("zoho", "platform")}
        version = self.sweeps + len(spec) + 1
        name = holder.split("/")[1]
        self.cache.put(make_object(CONNECTION.kind.kind, name, version=version, spec=secrets | spec))

    def zoho_in_use(self) -> Mapping[Any, Sequence[str]]:
        return self.in_use

    async def sweep(self, exists: Callable[[str], bool]) -> None:
        self.sweeps += 1
        assert exists(HOLDERS[0])
        assert not exists("crm/gone")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.refresher.run(self))
        try:
            await self.settle()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def pass_time(self, seconds: float) -> None:
        self.clock.jump(seconds)
        await self.settle()

    @staticmethod
    async def settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_a_token_is_renewed_when_its_time_has_come_and_no_sooner(desk: Desk) -> None:
    async with desk.running():
        assert desk.credential.renewed == 1
        await desk.pass_time(LIFE * 2 / 3 - 1)
        assert desk.credential.renewed == 1
        await desk.pass_time(1)
        assert desk.credential.renewed == 2


async def test_a_token_that_only_paused_or_deleted_connections_use_is_left_alone(desk: Desk) -> None:
    for holder in HOLDERS:
        desk.put(holder, paused=True)
    async with desk.running():
        await desk.pass_time(LIFE)
        assert desk.credential.renewed == 0
        desk.put(HOLDERS[0], paused=False, tokenPush="OnRefresh")
        desk.refresher.used()
        await desk.settle()
        assert desk.credential.renewed == 1


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (remote_error(reason="Unreachable"), RETRY_SECONDS),
        (remote_error(reason="TokenThrottled", retry_after=600.0), 600.0),
        (remote_error(ErrorClass.TERMINAL, "RefreshTokenRejected"), REFUSED_RETRY_SECONDS),
        (ValueError("a bug"), RETRY_SECONDS),
    ],
)
async def test_a_failure_is_tried_again_after_a_while(desk: Desk, error: Exception, pause: float) -> None:
    desk.credential.error = error
    async with desk.running():
        await desk.pass_time(pause - 1)
        assert desk.credential.renewed == 1
        await desk.pass_time(1)
        assert desk.credential.renewed == 2
    is_refusal = isinstance(error, RemoteError) and error.error_class is ErrorClass.TERMINAL
    assert len(desk.queue.added) == (2 * len(HOLDERS) if is_refusal else 0)


async def test_a_new_token_is_given_on_within_a_tenth_of_its_life_not_all_at_once(desk: Desk) -> None:
    desk.refresher.renewed(HOLDERS, LIFE)
    instants = [at - desk.clock.now() for at in desk.queue.forward.values()]
    assert len(instants) == len(HOLDERS)
    assert all(0 <= instant <= PUSH_SPREAD * LIFE for instant in instants)
    assert max(instants) - min(instants) > PUSH_SPREAD * LIFE / 4


async def test_only_who_wants_each_token_is_given_it(desk: Desk) -> None:
    desk.put(HOLDERS[0], tokenPush="OnCredentialChange")
    desk.put(HOLDERS[1], paused=True)
    desk.refresher.renewed(HOLDERS[:3], LIFE)
    assert [key.name for key in desk.queue.forward] == ["zoho-2"]


async def test_the_store_is_tidied_every_hour(desk: Desk) -> None:
    async with desk.running():
        assert desk.sweeps == 0
        await desk.pass_time(3600)
        assert desk.sweeps == 1
