"""Following one namespace, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from crmflow.runtime.controller.initial_sync import InitialSync
from crmflow.runtime.controller.namespace_watch import CHECK_SECONDS, PAUSE_SECONDS, NamespaceWatch
from crmflow.runtime.controller.served_namespaces import Operation
from crmflow.runtime.kubernetes.errors import KubernetesError
from tests.unit.runtime.fakes import JumpingClock, serving, settle

FORBIDDEN = KubernetesError("403 Forbidden", 403)


class Harness:
    """A namespace that may be listed or not, and a watch that can be made to end."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.served = serving("crm")
        self.refusal: KubernetesError | None = None
        self.broken: KubernetesError | None = None
        self.listings = 0
        self.watches: list[asyncio.Future[None]] = []
        self.namespace_watch = NamespaceWatch("crm", self.served, cast(InitialSync, self), self, self.clock)

    async def may_list(self, namespace: str | None) -> bool:
        if self.broken is not None:
            raise self.broken
        if self.refusal is not None:
            self.served.note_refused(namespace, Operation.LIST, self.refusal)
            return False
        self.served.note_allowed(namespace, Operation.LIST)
        return True

    async def sync_namespace(self, namespace: str | None) -> bool:
        self.listings += 1
        return await self.may_list(namespace)

    async def run(self, namespace: str | None) -> None:
        assert namespace == "crm"
        self.watches.append(asyncio.get_running_loop().create_future())
        await self.watches[-1]

    @property
    def watching(self) -> bool:
        return bool(self.watches) and not self.watches[-1].done()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.namespace_watch.run())
        try:
            await settle()
            yield
            assert not task.done(), "it goes on"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left behind"

    async def after(self, seconds: float) -> None:
        self.clock.jump(seconds)
        await settle()


@pytest.fixture
def harness() -> Harness:
    return Harness()


async def test_a_namespace_is_listed_once_and_watched(harness: Harness) -> None:
    async with harness.following():
        for _ in range(4):
            await harness.after(CHECK_SECONDS)
        assert (harness.listings, len(harness.watches), harness.watching) == (1, 1, True)
    assert not harness.watching


async def test_what_is_refused_is_tried_again_until_it_is_allowed(harness: Harness) -> None:
    harness.refusal = FORBIDDEN
    async with harness.following():
        for _ in range(6):
            await harness.after(PAUSE_SECONDS[1])
        assert harness.watches == []
        harness.refusal = None
        await harness.after(PAUSE_SECONDS[1])
        assert harness.watching
        assert harness.served.refused("crm") == {}


async def test_a_right_that_is_taken_ends_the_watch_and_is_told(harness: Harness) -> None:
    async with harness.following():
        harness.refusal = FORBIDDEN
        await harness.after(CHECK_SECONDS)
        assert not harness.watching
        assert harness.served.refused("crm") == {Operation.LIST: "403 Forbidden"}
        harness.refusal = None
        await harness.after(PAUSE_SECONDS[0])
        assert (harness.watching, harness.listings) == (True, 2)


async def test_a_watch_that_ends_is_begun_anew_with_a_listing(harness: Harness) -> None:
    async with harness.following():
        await harness.after(CHECK_SECONDS)
        harness.watches[-1].set_exception(RuntimeError("410"))
        await settle()
        await harness.after(PAUSE_SECONDS[0])
        assert (harness.watching, harness.listings) == (True, 2)
        assert harness.served.refused("crm") == {}


async def test_a_right_to_watch_that_is_missing_is_told_until_a_watch_holds(harness: Harness) -> None:
    async with harness.following():
        harness.watches[-1].set_exception(FORBIDDEN)
        await settle()
        assert harness.served.refused("crm") == {Operation.WATCH: "403 Forbidden"}
        await harness.after(PAUSE_SECONDS[0])
        assert harness.watching
        assert harness.served.refused("crm") == {Operation.WATCH: "403 Forbidden"}
        await harness.after(CHECK_SECONDS)
        assert harness.served.refused("crm") == {}


async def test_an_api_server_that_does_not_answer_changes_nothing(harness: Harness) -> None:
    async with harness.following():
        harness.broken = KubernetesError("the API server can't be reached")
        for _ in range(3):
            await harness.after(CHECK_SECONDS)
        assert (harness.watching, len(harness.watches)) == (True, 1)
