"""Tokens renewed without anybody asking, and how the connections are told of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.core.decide import Priority
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.credentials.refresher import (
    FLUSH_SECONDS,
    LOOK_SECONDS,
    PUSH_SPREAD,
    REFUSED_RETRY_SECONDS,
    RETRY_SECONDS,
    TokenRefresher,
)
from crmflow.runtime.credentials.zoho import Renewal
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import dataflow_spec
from tests.unit.runtime.fakes import JumpingClock, make_object, ready

LIFE = 3600.0
HOLDERS = [f"crm/zoho-{number}" for number in range(20)]


class Credential:
    """A credential and its token in one."""

    def __init__(self, clock: JumpingClock) -> None:
        self.token = self
        self.refresh_at: float | None = None
        self.lifetime = LIFE
        self.asked = 0
        self.renewals = 0
        self.renewal = Renewal()
        self.used_by: Sequence[str] = HOLDERS
        self.error: Exception | None = None
        self._clock = clock

    async def get(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        self.renewals += 1
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
        self.cache = ObjectCache({kind.name: kind for kind in (CONNECTION, DATAFLOW)})
        self.queue = Queue()
        self.credential = Credential(self.clock)
        self.sweeps = 0
        self.flushes = 0
        self.flush_error: Exception | None = None
        self.kept: set[str] = set()
        """Whose tokens the last sweep was to keep, of those that it asked for."""
        self.unseen: set[str] = set()
        """Namespaces."""
        queue: Any = self.queue
        self.served_elsewhere: set[Key] = set()
        self.rechecked: list[Key] = []
        self.refresher = TokenRefresher(
            self.clock,
            self.cache,
            queue,
            partial(Key.named, CONNECTION.name),
            recheck=self.rechecked.append,
            sees=lambda namespace: namespace not in self.unseen,
            is_served_elsewhere=lambda key: key in self.served_elsewhere,
        )
        for holder in HOLDERS:
            self.put(holder)

    def put(self, holder: str, status: Mapping[str, Any] | None = None, **spec: Any) -> None:
        secrets = {name: {"credentialsSecretRef": {"name": name}} for name in ("zoho", "platform")}
        version = self.sweeps + len(spec) + (2 if status else 1)
        name = holder.split("/")[1]
        obj = make_object(CONNECTION.name, name, version=version, spec=secrets | spec, status=status)
        self.cache.put(obj)

    def zoho_in_use(self) -> Sequence[Any]:
        return [self.credential]

    async def flush(self) -> None:
        self.flushes += 1
        if self.flush_error is not None:
            raise self.flush_error

    async def sweep(self, exists: Callable[[str], bool]) -> None:
        self.sweeps += 1
        asked = (HOLDERS[0], "crm/zoho-eu", "other/gone", "no holder")
        self.kept = {holder for holder in asked if exists(holder)}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.refresher.run(self))
        try:
            await self.settle()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def renewed_by_a_pass(self) -> None:
        """A pass is given a new token, which the refresher notices."""
        await self.credential.get()
        async with self.running():
            pass

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
        assert desk.credential.asked == 1
        await desk.pass_time(LIFE * 2 / 3 - 1)
        assert desk.credential.asked == 1
        await desk.pass_time(1)
        assert desk.credential.asked == 2


async def test_a_token_that_only_paused_or_deleted_connections_use_is_left_alone(desk: Desk) -> None:
    for holder in HOLDERS:
        desk.put(holder, paused=True)
    async with desk.running():
        await desk.pass_time(LIFE)
        assert desk.credential.asked == 0
        desk.put(HOLDERS[0], paused=False, tokenPush="OnRefresh")
        await desk.pass_time(LOOK_SECONDS)
        assert desk.credential.asked == 1


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
        assert desk.credential.asked == 1
        await desk.pass_time(1)
        assert desk.credential.asked == 2
    is_refusal = isinstance(error, RemoteError) and error.error_class is ErrorClass.TERMINAL
    assert len(desk.queue.added) == (2 * len(HOLDERS) if is_refusal else 0)


async def test_a_new_token_is_given_on_within_a_tenth_of_its_life_not_all_at_once(desk: Desk) -> None:
    await desk.renewed_by_a_pass()
    instants = [at - desk.clock.now() for at in desk.queue.forward.values()]
    assert len(instants) == len(HOLDERS)
    assert all(0 <= instant <= PUSH_SPREAD * LIFE for instant in instants)
    assert max(instants) - min(instants) > PUSH_SPREAD * LIFE / 4


async def test_a_token_is_announced_once(desk: Desk) -> None:
    async with desk.running():
        assert len(desk.queue.forward) == len(HOLDERS)
        desk.queue.forward.clear()
        await desk.pass_time(LIFE / 2)
        assert desk.queue.forward == {}
        await desk.pass_time(LIFE / 2)
        assert len(desk.queue.forward) == len(HOLDERS)


async def test_only_who_wants_each_token_is_given_it(desk: Desk) -> None:
    desk.put(HOLDERS[0], tokenPush="OnCredentialChange")
    desk.put(HOLDERS[1], paused=True)
    desk.credential.used_by = HOLDERS[:3]
    await desk.renewed_by_a_pass()
    assert [key.name for key in desk.queue.forward] == ["zoho-2"]


async def test_a_refusal_has_everybody_check_everything_and_an_outage_nobody(desk: Desk) -> None:
    """A poll of a connection that passes no tokens on does not ask Zoho, and would not hear of it."""
    desk.credential.error = remote_error()
    async with desk.running():
        assert desk.rechecked == []
        desk.credential.error = remote_error(ErrorClass.TERMINAL, "RefreshTokenRejected")
        await desk.pass_time(RETRY_SECONDS)
        assert len(desk.rechecked) == len(HOLDERS)
        assert {key for key, _ in desk.queue.added} == set(desk.rechecked)


async def test_a_refusal_wakes_nobody_who_is_paused(desk: Desk) -> None:
    desk.put(HOLDERS[0], paused=True)
    desk.credential.error = remote_error(ErrorClass.TERMINAL, "RefreshTokenRejected")
    async with desk.running():
        assert "zoho-0" not in {key.name for key, _ in desk.queue.added}
        assert len(desk.rechecked) == len(desk.queue.added) == len(HOLDERS) - 1


async def test_a_token_that_came_meanwhile_is_renewed_in_its_own_time(desk: Desk) -> None:
    """A visit got one, for which the pause after the refusal is no reason to wait."""
    desk.credential.error = remote_error(ErrorClass.TERMINAL, "InvalidClient")
    async with desk.running():
        assert desk.credential.asked == 1
        desk.credential.error = None
        await desk.credential.get()
        await desk.pass_time(LIFE * 2 / 3)
        assert desk.credential.asked == 3


async def test_a_new_token_wakes_at_once_whoever_was_stalled_without(desk: Desk) -> None:
    stalled = ready("True")
    stalled["conditions"][0]["type"] = "Stalled"
    desk.put(HOLDERS[0], stalled, tokenPush="OnCredentialChange")
    desk.put(HOLDERS[1], stalled, paused=True)
    await desk.renewed_by_a_pass()
    assert desk.queue.added == [(Key(CONNECTION.name, "crm", "zoho-0"), Priority.RETRY)]


async def test_the_store_is_tidied_every_hour(desk: Desk) -> None:
    async with desk.running():
        assert desk.sweeps == 0
        await desk.pass_time(3600)
        assert (desk.sweeps, desk.kept) == (1, {HOLDERS[0]})


async def test_what_is_noted_is_stored_every_half_minute_and_at_the_end(desk: Desk) -> None:
    async with desk.running():
        before = desk.flushes
        await desk.pass_time(FLUSH_SECONDS)
        assert desk.flushes == before + 1
    assert desk.flushes == before + 2


async def test_a_store_that_takes_nothing_is_left_alone_for_a_minute(desk: Desk) -> None:
    desk.flush_error = remote_error()
    async with desk.running():
        assert desk.flushes == 1
        await desk.pass_time(RETRY_SECONDS - 1)
        assert desk.flushes == 1
        await desk.pass_time(LOOK_SECONDS)
        assert desk.flushes == 2


async def test_a_connection_that_went_before_its_dataflows_keeps_its_token_for_them(desk: Desk) -> None:
    obj = make_object(DATAFLOW.name, "contacts", spec=dataflow_spec())
    desk.cache.put(obj)
    async with desk.running():
        await desk.pass_time(3600)
        assert desk.kept == {HOLDERS[0], "crm/zoho-eu"}
        desk.cache.remove(Key.of(obj), "uid-1")
        await desk.pass_time(3600)
        assert desk.kept == {HOLDERS[0]}


async def test_the_token_of_a_connection_that_may_be_there_unseen_is_kept(desk: Desk) -> None:
    """Its namespace can't be served at present, or is served by another installation: the token may be the
    last one, and the only way to delete what the connection has made.
    """
    desk.unseen = {"crm"}
    async with desk.running():
        await desk.pass_time(3600)
        assert desk.kept == {HOLDERS[0], "crm/zoho-eu"}


async def test_a_token_of_connections_that_another_installation_serves_is_not_renewed(desk: Desk) -> None:
    desk.served_elsewhere = {Key(CONNECTION.name, *holder.split("/")) for holder in HOLDERS}
    async with desk.running():
        await desk.pass_time(60)
        assert desk.credential.asked == 0
