"""The election: who leads, who stops by itself and when, on a clock that the tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from crmflow.runtime.kubernetes.errors import KubernetesError, StaleError
from crmflow.runtime.kubernetes.leader import (
    Elector,
    LeadershipLostError,
    LeaseTimes,
    NotLeadingError,
)
from crmflow.runtime.kubernetes.leases import Lease
from tests.unit.runtime.fakes import JumpingClock, settle

STEP = 0.125
TIMES = LeaseTimes()


class FakeLeases:
    """One Lease with optimistic locking. ``down`` makes every call fail."""

    def __init__(self) -> None:
        self.stored: Lease | None = None
        self.down = False
        self.lose_answers = False
        self.withhold_answers = False
        self.writes = 0
        self.slow = 0.0
        """Seconds that each call takes."""
        self.clock = JumpingClock()

    async def read(self) -> Lease | None:
        await self._take_time()
        if self.down:
            raise KubernetesError("the API server can't be reached")
        return self.stored

    async def _take_time(self) -> None:
        if self.slow:
            await self.clock.sleep(min(self.slow, TIMES.request))
        if self.slow > TIMES.request:
            raise KubernetesError("the API server can't be reached: TimeoutError")

    async def write(self, lease: Lease) -> str:
        await self._take_time()
        if self.down:
            raise KubernetesError("the API server can't be reached")
        if lease.version != (self.stored.version if self.stored else None):
            raise StaleError("the object has been modified", 409)
        self.writes += 1
        self.stored = replace(lease, version=str(self.writes))
        if self.withhold_answers:
            await asyncio.Event().wait()
        if self.lose_answers:
            raise KubernetesError("timed out")
        return str(self.writes)

    @property
    def holder(self) -> str:
        return self.stored.holder if self.stored else ""


class Replicas:
    """Processes that share one Lease and one clock."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.leases = FakeLeases()
        self.leases.clock = self.clock

    def elector(self, name: str, leases: FakeLeases | None = None) -> Elector:
        return Elector(leases or self.leases, name, self.clock, self.clock)

    @asynccontextmanager
    async def running(self, elector: Elector) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(elector.run())
        await settle()
        yield task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def until(self, done: Callable[[], bool], limit: float = 60.0) -> float:
        """Let time pass in small steps until ``done``; how many seconds it took."""
        for steps in range(int(limit / STEP)):
            if done():
                return steps * STEP
            self.clock.jump(STEP)
            await settle()
        raise AssertionError(f"not within {limit} s")


@pytest.fixture
def replicas() -> Replicas:
    return Replicas()


async def test_the_first_one_leads_at_once_and_keeps_leading(replicas: Replicas) -> None:
    first = replicas.elector("first")
    with pytest.raises(NotLeadingError):
        first.check()
    async with replicas.running(first):
        assert first.elected.is_set()
        for _ in range(30):
            replicas.clock.jump(TIMES.retry_period)
            await settle()
            first.check()
        assert replicas.leases.writes == 31
        assert replicas.leases.stored is not None
        assert replicas.leases.stored.transitions == 0


async def test_a_second_one_waits_and_writes_nothing(replicas: Replicas) -> None:
    first, second = replicas.elector("first"), replicas.elector("second")
    async with replicas.running(first), replicas.running(second):
        for _ in range(30):
            replicas.clock.jump(TIMES.retry_period)
            await settle()
            assert (first.is_leading, second.is_leading) == (True, False)
        assert replicas.leases.holder == "first"


async def test_after_a_release_the_next_one_leads_within_three_seconds(replicas: Replicas) -> None:
    first, second = replicas.elector("first"), replicas.elector("second")
    async with replicas.running(second), replicas.running(first):
        assert (first.is_leading, second.is_leading) == (False, True)  # the second was there first
        await second.release()
        assert replicas.leases.holder == ""
        assert await replicas.until(lambda: first.is_leading) <= 3
        assert not second.is_leading


async def test_after_a_kill_the_next_one_leads_once_the_lease_has_run_out(replicas: Replicas) -> None:
    first, second = replicas.elector("first"), replicas.elector("second")
    async with replicas.running(first):
        pass
    async with replicas.running(second):
        took = await replicas.until(lambda: second.is_leading)
        assert TIMES.duration - TIMES.retry_period <= took <= TIMES.duration + TIMES.retry_period
        assert replicas.leases.stored is not None
        assert replicas.leases.stored.transitions == 1


async def test_a_leader_that_is_cut_off_stops_before_another_begins(replicas: Replicas) -> None:
    cut_off = FakeLeases()
    first, second = replicas.elector("first", cut_off), replicas.elector("second")
    async with replicas.running(first) as leading:
        replicas.leases.stored, replicas.leases.writes = cut_off.stored, cut_off.writes
        cut_off.down = True
        async with replicas.running(second):
            stopped = await replicas.until(lambda: not first.is_leading)
            assert stopped <= TIMES.renew_deadline + STEP
            assert not second.is_leading
            assert (
                await replicas.until(lambda: second.is_leading)
                >= TIMES.duration - TIMES.renew_deadline - STEP
            )
        assert leading.done()
        with pytest.raises(LeadershipLostError, match="in time"):
            await leading


@pytest.mark.parametrize("slow", [0.5, 2.5, 4.5])
async def test_a_slow_api_server_has_one_leader_that_stays(replicas: Replicas, slow: float) -> None:
    replicas.leases.slow = slow
    first, second = replicas.elector("first"), replicas.elector("second")
    async with replicas.running(first) as leading:
        await replicas.until(lambda: first.is_leading)
        async with replicas.running(second) as waiting:
            for _ in range(int(120 / STEP)):
                replicas.clock.jump(STEP)
                await settle()
                first.check()
                assert not second.is_leading
            assert not leading.done()
            assert not waiting.done()


async def test_an_api_server_that_is_too_slow_for_the_lease_is_named(replicas: Replicas) -> None:
    first = replicas.elector("first")
    async with replicas.running(first) as leading:
        replicas.leases.slow = 60.0
        took = await replicas.until(lambda: not first.is_leading)
        assert took <= TIMES.renew_deadline
        await replicas.until(leading.done)
        with pytest.raises(LeadershipLostError, match=r"CRMFLOW_LEASE_RENEW_DEADLINE.*TimeoutError"):
            await leading


async def test_one_connection_that_hangs_costs_one_try(replicas: Replicas) -> None:
    first = replicas.elector("first")
    async with replicas.running(first) as leading:
        replicas.leases.slow = 60.0
        replicas.clock.jump(TIMES.retry_period)
        await settle()
        replicas.leases.slow = 0.0  # the next request goes over a new connection
        for _ in range(int(30 / STEP)):
            replicas.clock.jump(STEP)
            await settle()
            first.check()
        assert not leading.done()


async def test_a_short_interruption_costs_nothing(replicas: Replicas) -> None:
    first = replicas.elector("first")
    async with replicas.running(first) as leading:
        replicas.leases.down = True
        replicas.clock.jump(TIMES.retry_period)
        await settle()
        replicas.leases.down = False
        for _ in range(10):
            replicas.clock.jump(TIMES.retry_period)
            await settle()
            first.check()
        assert not leading.done()


async def test_a_renewal_whose_answer_was_lost_is_read_back(replicas: Replicas) -> None:
    first = replicas.elector("first")
    async with replicas.running(first) as leading:
        replicas.leases.lose_answers = True
        replicas.clock.jump(TIMES.retry_period)
        await settle()
        replicas.leases.lose_answers = False
        for _ in range(10):
            replicas.clock.jump(TIMES.retry_period)
            await settle()
        assert first.is_leading
        assert not leading.done()


async def test_a_frozen_leader_sends_nothing_when_it_goes_on(replicas: Replicas) -> None:
    first, second = replicas.elector("first"), replicas.elector("second")
    async with replicas.running(first):
        pass  # frozen: none of its tasks runs
    async with replicas.running(second):
        await replicas.until(lambda: second.is_leading)
        with pytest.raises(NotLeadingError):
            first.check()


async def test_a_frozen_leader_that_nobody_replaced_goes_on(replicas: Replicas) -> None:
    first = replicas.elector("first")
    async with replicas.running(first) as leading:
        replicas.clock.jump(60)
        assert not first.is_leading
        await settle()
        first.check()
        assert not leading.done()


@pytest.mark.parametrize("taken", [True, False])
async def test_a_lease_that_was_taken_or_deleted_is_lost_with_the_next_renewal(
    replicas: Replicas, taken: bool
) -> None:
    first = replicas.elector("first")
    async with replicas.running(first) as leading:
        assert replicas.leases.stored is not None
        replicas.leases.stored = (
            replace(replicas.leases.stored, holder="somebody", version="900") if taken else None
        )
        replicas.clock.jump(TIMES.retry_period)
        await settle()
        assert not first.is_leading
        with pytest.raises(LeadershipLostError, match="taken"):
            await leading


async def test_an_edit_of_the_lease_by_others_does_not_end_the_leader(replicas: Replicas) -> None:
    first = replicas.elector("first")
    async with replicas.running(first) as leading:
        assert replicas.leases.stored is not None
        replicas.leases.stored = replace(replicas.leases.stored, version="900")
        replicas.clock.jump(TIMES.retry_period)
        await settle()
        first.check()
        assert not leading.done()


async def test_the_time_that_an_api_server_is_away_does_not_prolong_the_wait(replicas: Replicas) -> None:
    first, second = replicas.elector("first"), replicas.elector("second")
    async with replicas.running(first):
        pass
    async with replicas.running(second):
        replicas.leases.down = True
        for _ in range(int(TIMES.duration)):
            replicas.clock.jump(1)
            await settle()
        replicas.leases.down = False
        assert await replicas.until(lambda: second.is_leading) <= TIMES.retry_period + STEP


async def test_only_a_leader_releases(replicas: Replicas) -> None:
    first, second = replicas.elector("first"), replicas.elector("second")
    async with replicas.running(first), replicas.running(second):
        await second.release()
        assert replicas.leases.holder == "first"


async def test_a_release_that_fails_is_left_to_run_out(replicas: Replicas) -> None:
    first = replicas.elector("first")
    async with replicas.running(first):
        replicas.leases.down = True
        await first.release()
        assert not first.is_leading
        assert replicas.leases.holder == "first"


@pytest.mark.parametrize("fault", ["withhold_answers", "lose_answers"])
async def test_a_release_follows_a_renewal_that_was_not_answered(replicas: Replicas, fault: str) -> None:
    first = replicas.elector("first")
    async with replicas.running(first):
        setattr(replicas.leases, fault, True)
        await replicas.until(lambda: replicas.leases.writes == 2)
    setattr(replicas.leases, fault, False)
    await first.release()
    assert replicas.leases.holder == ""


async def test_a_release_takes_nothing_from_somebody_else(replicas: Replicas) -> None:
    first = replicas.elector("first")
    async with replicas.running(first):
        pass
    assert replicas.leases.stored
    replicas.leases.stored = replace(replicas.leases.stored, holder="second", version="other")
    await first.release()
    assert replicas.leases.holder == "second"
    assert not first.is_leading


async def test_a_lease_that_may_not_be_read_is_said_at_the_start(replicas: Replicas) -> None:
    replicas.leases.down = True
    with pytest.raises(KubernetesError):
        await replicas.elector("first").look()
