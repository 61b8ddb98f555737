"""New flows are read many at a time, and who waits for one is woken once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from crmflow.aep.flow_service import FLOWS
from crmflow.http.errors import ErrorClass
from crmflow.runtime.inventory.settling import SettlingFlows
from tests.fakes.failing import remote_error
from tests.unit.runtime.fakes import JumpingClock, settle
from tests.unit.runtime.listings import FakeListings, listed

CREATING = "enabled-finalizing"


class Harness:
    """Flows in transition, and the one who waits for them."""

    def __init__(self) -> None:
        self.clock, self.client = JumpingClock(), FakeListings()
        self.told: list[str] = []
        self.flows = SettlingFlows(self.client, self.clock)

    def watch(self, *flow_ids: str) -> None:
        for flow_id in flow_ids:
            self.client.hold(FLOWS, listed(flow_id, state=CREATING))
            self.flows.watch(flow_id, partial(self.told.append, flow_id))

    def enable(self, flow_id: str) -> None:
        self.client.change(FLOWS, flow_id, state="enabled", etag="v2")

    async def later(self, seconds: float) -> list[tuple[str, ...]]:
        """Which ids were asked for while so much time passed."""
        before = len(self.client.asked)
        for _ in range(round(seconds / 0.5)):
            self.clock.jump(0.5)
            await settle()
        return [ids for _, ids in self.client.asked[before:]]


@pytest.fixture
def harness() -> Harness:
    return Harness()


async def test_a_hundred_new_flows_are_one_call(harness: Harness) -> None:
    ids = [f"f{number:03}" for number in range(100)]
    harness.watch(*ids)
    for flow_id in ids:
        harness.enable(flow_id)
    assert await harness.later(1) == [tuple(ids)]
    assert harness.told == ids
    assert await harness.later(60) == [], "nothing is left to wait for"


async def test_who_waits_is_told_once_and_given_what_was_listed(harness: Harness) -> None:
    harness.watch("f1", "f2")
    await harness.later(1)
    assert harness.told == []
    harness.enable("f2")
    await harness.later(2)
    assert harness.told == ["f2"]
    item = harness.flows.take("f2")
    assert item is not None
    assert (item.state, item.etag) == ("enabled", "v2")
    assert harness.flows.take("f2") is None
    assert harness.flows.take("f1") is None


async def test_what_takes_long_is_read_rarely(harness: Harness) -> None:
    harness.watch("f1")
    assert len(await harness.later(300)) < 20


async def test_what_was_read_or_written_by_itself_is_not_waited_for(harness: Harness) -> None:
    """A listing that is under way may show what was before a write."""
    harness.watch("f1", "f2")
    harness.enable("f1")
    harness.enable("f2")
    harness.flows.forget("f1")
    await harness.later(1)
    assert harness.told == ["f2"]
    harness.flows.forget("f2")
    assert harness.flows.take("f2") is None


async def test_a_write_while_the_listing_is_under_way_makes_it_worthless(harness: Harness) -> None:
    answered, asked = asyncio.Event(), harness.client.list

    async def slow(*arguments: object) -> object:
        found = [replace(item) for item in await asked(*arguments)]  # type: ignore[arg-type]
        await answered.wait()
        return found

    harness.client.list = slow  # type: ignore[method-assign,assignment]
    harness.watch("f1")
    harness.enable("f1")
    await harness.later(1)
    harness.flows.forget("f1")
    harness.flows.watch("f1", partial(harness.told.append, "f1"))
    answered.set()
    await settle()
    assert harness.told == []


async def test_an_outage_ends_nothing(harness: Harness) -> None:
    harness.client.ids_error = remote_error(ErrorClass.TRANSIENT)
    harness.watch("f1")
    harness.enable("f1")
    await harness.later(3)
    assert harness.told == ["f1"]
