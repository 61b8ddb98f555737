"""The keyed priority queue."""

from __future__ import annotations

import asyncio

import pytest

from crmflow.reconcile.core.decide import Priority
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.queue import WorkQueue
from tests.unit.runtime.fakes import JumpingClock, settle

A, B, C, D = (Key("CRMDataflow", "crm", name) for name in "abcd")
BEGUN, CHANGE, NEW, WOKEN, FIRST_SIGHT, RETRY, POLL = Priority


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def queue(clock: JumpingClock) -> WorkQueue:
    return WorkQueue(clock)


def ready_now(queue: WorkQueue) -> list[Key]:
    """Every key that is handed out without waiting, in order; none is given back."""
    found = []
    while queue.depth:
        get = queue.get()
        try:
            get.send(None)
        except StopIteration as stop:
            found.append(stop.value)
        else:
            get.close()
            break
    return found


async def test_the_most_urgent_comes_first_and_equals_in_their_order(queue: WorkQueue) -> None:
    for key, priority in ((A, POLL), (B, RETRY), (C, CHANGE), (D, FIRST_SIGHT)):
        queue.add(key, priority)
    assert ready_now(queue) == [C, D, B, A]
    for key in (A, B, C, D):
        queue.done(key)
    for key in (B, A, D, C):
        queue.add(key, RETRY)
    assert ready_now(queue) == [B, A, D, C]


async def test_what_was_begun_comes_before_an_edit_and_a_new_resource_before_what_was_woken(
    queue: WorkQueue,
) -> None:
    for key, priority in ((A, WOKEN), (B, NEW), (C, CHANGE), (D, BEGUN)):
        queue.add(key, priority)
    assert ready_now(queue) == [D, C, B, A]


async def test_a_key_waits_once_at_its_most_urgent_priority(queue: WorkQueue) -> None:
    queue.add(B, RETRY)
    for priority in (POLL, CHANGE, RETRY, CHANGE):
        queue.add(A, priority)
    assert queue.depth == 2
    assert ready_now(queue) == [A, B]


async def test_a_key_that_is_worked_on_is_not_handed_out_again(queue: WorkQueue) -> None:
    queue.add(A, CHANGE)
    assert await queue.get() == A
    queue.add(A, CHANGE)
    queue.add(B, POLL)
    assert ready_now(queue) == [B]
    assert queue.depth == 0
    queue.done(A)
    assert ready_now(queue) == [A]
    queue.done(A)
    assert queue.depth == 0


async def test_what_came_while_a_key_was_worked_on_runs_once_at_its_most_urgent_priority(
    queue: WorkQueue,
) -> None:
    queue.add(A, CHANGE)
    await queue.get()
    for priority in (POLL, FIRST_SIGHT, RETRY):
        queue.add(A, priority)
    queue.add(B, RETRY)
    queue.done(A)
    assert ready_now(queue) == [A, B]


async def test_many_workers_never_share_a_key(queue: WorkQueue) -> None:
    working: set[Key] = set()
    done: list[Key] = []

    async def work() -> None:
        while (key := await queue.get()) is not None:
            assert key not in working
            working.add(key)
            await asyncio.sleep(0)
            working.discard(key)
            done.append(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(5)]
    for round_ in range(40):
        for key in (A, B, C, D):
            queue.add(key, Priority(round_ % 4))
        await asyncio.sleep(0)
    await settle()
    queue.close()
    await asyncio.gather(*workers)
    assert set(done) == {A, B, C, D}
    assert queue.depth == 0


async def test_a_later_visit_comes_when_its_time_has(queue: WorkQueue, clock: JumpingClock) -> None:
    queue.schedule(A, clock.now() + 10.0, RETRY)
    getting = asyncio.create_task(queue.get())
    clock.jump(9.9)
    await settle()
    assert not getting.done()
    clock.jump(0.1)
    assert await getting == A


async def test_a_new_schedule_replaces_the_old_one(queue: WorkQueue, clock: JumpingClock) -> None:
    queue.schedule(A, clock.now() + 10.0, RETRY)
    queue.schedule(A, clock.now() + 30.0, POLL)
    getting = asyncio.create_task(queue.get())
    clock.jump(29.0)
    await settle()
    assert not getting.done()
    clock.jump(1.0)
    assert await getting == A
    queue.done(A)
    queue.schedule(A, clock.now() + 30.0, POLL)
    queue.schedule(A, clock.now() + 1.0, RETRY)
    clock.jump(1.0)
    assert await queue.get() == A
    queue.done(A)
    clock.jump(100.0)
    queue.add(B, POLL)
    assert await queue.get() == B, "the replaced visit does not come any more"


async def test_a_scheduled_visit_keeps_its_priority(queue: WorkQueue, clock: JumpingClock) -> None:
    queue.schedule(A, clock.now() + 1.0, POLL)
    queue.schedule(B, clock.now() + 2.0, RETRY)
    clock.jump(5.0)
    assert [await queue.get(), await queue.get()] == [B, A]


async def test_a_visit_that_falls_due_while_the_key_is_worked_on_runs_afterwards(
    queue: WorkQueue, clock: JumpingClock
) -> None:
    queue.add(A, CHANGE)
    await queue.get()
    queue.schedule(A, clock.now() + 1.0, RETRY)
    clock.jump(2.0)
    getting = asyncio.create_task(queue.get())
    await settle()
    assert not getting.done()
    queue.done(A)
    assert await getting == A


async def test_a_forgotten_visit_does_not_come(queue: WorkQueue, clock: JumpingClock) -> None:
    queue.schedule(A, clock.now() + 1.0, RETRY)
    queue.forget(A)
    queue.schedule(B, clock.now() + 2.0, RETRY)
    clock.jump(5.0)
    assert await queue.get() == B
    assert queue.depth == 0


async def test_several_idle_workers_are_woken_one_per_visit(queue: WorkQueue, clock: JumpingClock) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await settle()
    for key, after in ((A, 1.0), (B, 2.0), (C, 3.0)):
        queue.schedule(key, clock.now() + after, RETRY)
    await settle()
    for count in (1, 2, 3):
        clock.jump(1.0)
        await settle()
        assert sum(worker.done() for worker in workers) == count
    assert {worker.result() for worker in workers} == {A, B, C}


async def test_closing_releases_every_worker(queue: WorkQueue) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    queue.add(A, CHANGE)
    await settle()
    queue.add(B, CHANGE)
    queue.close()
    assert sorted(map(str, await asyncio.gather(*workers))) == [str(A), "None", "None"]
    assert await queue.get() is None


async def test_the_time_that_keys_wait_is_told(clock: JumpingClock) -> None:
    waits: list[float] = []
    queue = WorkQueue(clock, waits.append)
    queue.add(A, RETRY)
    clock.jump(2.0)
    queue.add(A, CHANGE)
    queue.add(B, POLL)
    clock.jump(1.0)
    assert queue.oldest_wait == 3.0
    await queue.get()
    await queue.get()
    assert waits == [3.0, 1.0]
    assert queue.oldest_wait == 0.0


async def test_a_held_queue_gathers_and_hands_out_once_it_is_opened() -> None:
    clock, waits = JumpingClock(), []
    held = WorkQueue(clock, waits.append, held=True)
    held.add(A, Priority.POLL)
    held.add(B, Priority.CHANGE)
    held.schedule(C, clock.now() + 5, Priority.RETRY)
    taking = asyncio.create_task(held.get())
    clock.jump(3600)
    await settle()
    assert not taking.done()
    assert (held.depth, held.oldest_wait, held.stuck_for) == (0, 0.0, 0.0)

    held.open()
    assert await taking == B
    assert [await held.get(), await held.get()] == [C, A]
    assert waits == [0.0, 0.0, 0.0]  # nobody had to wait for a worker: there was to be none


async def test_a_held_queue_can_be_closed() -> None:
    held = WorkQueue(JumpingClock(), held=True)
    held.add(A, Priority.POLL)
    taking = asyncio.create_task(held.get())
    await settle()
    held.close()
    assert await taking is None
