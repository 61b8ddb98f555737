"""Whether the source is offered: asked once per sandbox, and what is said when it is not."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from crmflow.http.errors import RemoteError
from crmflow.reconcile.sources.offer import FLOW_SPEC_NAME
from crmflow.reconcile.sources.platform_source import PlatformSource
from crmflow.reconcile.sources.shared_reads import MAX_AGE_SECONDS
from tests.fakes.failing import Timeline, remote_error
from tests.fakes.platform import FakePlatform
from tests.unit.reconcile.fakes import FakeClock

ONE_READ = ["connectionSpecs.get", "flowSpecs.list"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform(Timeline())


async def test_what_is_offered_is_remembered_for_a_while(clock: FakeClock, platform: FakePlatform) -> None:
    source = PlatformSource(clock)
    first = await source.offer(platform, "org", "prod")
    assert first.obstacle is None
    clock.time += MAX_AGE_SECONDS
    assert await source.offer(platform, "org", "prod") is first
    assert platform.timeline == ONE_READ
    clock.time += 1
    await source.offer(platform, "org", "prod")
    assert platform.timeline == ONE_READ * 2


async def test_each_sandbox_has_its_own_offer(clock: FakeClock, platform: FakePlatform) -> None:
    source = PlatformSource(clock)
    for organization, sandbox in (("org", "prod"), ("org", "dev"), ("other", "prod")):
        await source.offer(platform, organization, sandbox)
    assert len(platform.timeline) == 6


async def test_many_who_ask_at_once_cost_one_read(clock: FakeClock, platform: FakePlatform) -> None:
    source = PlatformSource(clock)
    await asyncio.gather(*(source.offer(platform, "org", "prod", fresh=True) for _ in range(50)))
    assert platform.timeline == ONE_READ


async def test_a_fresh_answer_is_asked_for_anew(clock: FakeClock, platform: FakePlatform) -> None:
    source = PlatformSource(clock)
    await source.offer(platform, "org", "prod")
    clock.time += 1
    await source.offer(platform, "org", "prod", fresh=True)
    assert platform.timeline == ONE_READ * 2


async def test_a_failed_read_is_not_remembered(clock: FakeClock, platform: FakePlatform) -> None:
    source = PlatformSource(clock)
    platform.fail("flowSpecs.list", remote_error(), times=1)
    with pytest.raises(RemoteError):
        await source.offer(platform, "org", "prod")
    assert (await source.offer(platform, "org", "prod")).obstacle is None


async def test_each_way_of_being_withdrawn_is_named(clock: FakeClock, platform: FakePlatform) -> None:
    async def withdrawn() -> tuple[str, str]:
        found = (await PlatformSource(clock).offer(platform, "org", "prod")).obstacle
        assert found is not None
        return found

    spec = platform.flow_specs[FLOW_SPEC_NAME]
    platform.flow_specs[FLOW_SPEC_NAME] = replace(spec, source_connection_spec_ids=())
    assert (await withdrawn())[0] == "SourceWithdrawn"
    platform.flow_specs.clear()
    reason, message = await withdrawn()
    assert reason == "FlowSpecMissing"
    assert "deprecated at the end of June 2025" in message
    platform.connection_specs.clear()
    assert (await withdrawn())[0] == "ConnectionSpecWithdrawn"
