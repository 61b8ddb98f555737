"""Reads that many resources need."""

from __future__ import annotations

import asyncio
import gc

import pytest

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.created_names import CreatedNames
from crmflow.reconcile.sources.shared_reads import (
    MAX_AGE_SECONDS,
    RECENT_SECONDS,
    UNUSED_SECONDS,
    Shared,
)
from tests.fakes.failing import remote_error
from tests.unit.reconcile.fakes import FakeClock


class Service:
    """Answers once it is let go on; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.errors: list[RemoteError] = []
        self.begun, self.open = asyncio.Event(), asyncio.Event()

    async def ask(self) -> int:
        self.asked += 1
        self.begun.set()
        await self.open.wait()
        if self.errors:
            raise self.errors.pop(0)
        return self.asked


async def _at_once(shared: Shared[int], service: Service, count: int) -> list[int | BaseException]:
    callers = [asyncio.create_task(shared.get("key", service.ask)) for _ in range(count)]
    await asyncio.sleep(0)
    service.open.set()
    return await asyncio.gather(*callers, return_exceptions=True)


@pytest.mark.parametrize("count", [2, 12, 100])
async def test_an_outage_costs_one_call_however_many_wait(count: int) -> None:
    """Each of them asking anew would be one time-out after the other."""
    shared, service = Shared[int](FakeClock()), Service()
    service.errors = [remote_error(ErrorClass.TRANSIENT)] * count
    outcomes = await _at_once(shared, service, count)
    assert service.asked == 1
    assert all(isinstance(outcome, RemoteError) for outcome in outcomes)
    service.errors.clear()
    assert await shared.get("key", service.ask) == 2, "the next one asks again"


async def test_a_refusal_is_for_the_one_who_asked() -> None:
    """Others may ask with another credential."""
    shared, service = Shared[int](FakeClock()), Service()
    service.errors = [remote_error(ErrorClass.TERMINAL)]
    outcomes = await _at_once(shared, service, 3)
    assert [type(outcome) for outcome in outcomes] == [RemoteError, int, int]
    assert service.asked == 2


async def test_a_caller_that_gives_up_leaves_the_answer_to_the_others() -> None:
    shared, service = Shared[int](FakeClock()), Service()
    first, second = (asyncio.create_task(shared.get("key", service.ask)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    service.open.set()
    assert await second == 1
    assert service.asked == 1


async def test_what_was_asked_before_is_not_fresh() -> None:
    """A call that was under way already may show what was there before."""
    clock = FakeClock()
    shared, service = Shared[int](clock), Service()
    early = asyncio.create_task(shared.get("key", service.ask))
    await service.begun.wait()
    clock.time += 1
    fresh = [asyncio.create_task(shared.get("key", service.ask, fresh=True)) for _ in range(5)]
    await asyncio.sleep(0)
    service.open.set()
    assert await early == 1
    assert await asyncio.gather(*fresh) == [2] * 5


async def test_good_news_of_a_moment_ago_serve_others_and_bad_news_do_not() -> None:
    clock = FakeClock()
    shared, service = Shared[int](clock), Service()
    service.open.set()
    assert await shared.get("key", service.ask, suffices=lambda _: False) == 1, "its own, bad as it is"
    clock.time += RECENT_SECONDS - 1
    assert await shared.get("key", service.ask, suffices=lambda answer: answer == 1) == 1
    assert await shared.get("key", service.ask, suffices=lambda answer: answer > 1) == 2
    clock.time += RECENT_SECONDS + 1
    assert await shared.get("key", service.ask, suffices=lambda _: True) == 3, "it is too old"
    assert await shared.get("key", service.ask) == 3


async def test_what_nobody_uses_is_forgotten() -> None:
    """Connections come and go: the memory of them must not grow for ever."""
    clock = FakeClock()
    shared, service = Shared[int](clock), Service()
    service.open.set()
    for key in ("used", "unused"):
        await shared.get(key, service.ask)
    for _ in range(3):
        clock.time += UNUSED_SECONDS / 2
        assert shared.known("used") is not None
        await shared.get("other", service.ask)
    assert shared.known("unused") is None
    assert clock.time > MAX_AGE_SECONDS


async def test_a_creation_locks_its_name_only_while_it_lasts() -> None:
    names: CreatedNames[str] = CreatedNames()
    order: list[str] = []

    async def create(who: str) -> None:
        async with names.lock("dataset"):
            order.append(f"{who} begins")
            await asyncio.sleep(0)
            order.append(f"{who} ends")

    await asyncio.gather(create("a"), create("b"))
    assert order == ["a begins", "a ends", "b begins", "b ends"]
    gc.collect()
    assert not names._locks, "nothing is left of it, however many names there were"
