"""The one clock: its offset file, and that a jump ends what waits for time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC
from pathlib import Path

import pytest

from crmflow.clock import Clock

HOUR = 3600.0


@pytest.fixture
def offset(tmp_path: Path) -> Path:
    return tmp_path / "offset"


def jump(offset: Path, seconds: float) -> None:
    """What the emulators' control API does."""
    offset.write_text(str(seconds))


def test_without_a_file_it_is_the_systems_clock() -> None:
    before = time.time()
    assert before <= Clock().now() <= time.time()


def test_the_same_instant_is_an_aware_datetime(offset: Path) -> None:
    offset.write_text(str(HOUR))
    now = Clock(offset).utcnow()
    assert now.tzinfo is UTC
    assert now.timestamp() == pytest.approx(time.time() + HOUR, abs=5.0)


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", 3600.0), ("-60.5\n", -60.5), ("", 0.0), ("nonsense", 0.0)]
)
def test_the_file_holds_an_offset_in_seconds(offset: Path, text: str, seconds: float) -> None:
    offset.write_text(text)
    assert Clock(offset).now() == pytest.approx(time.time() + seconds, abs=5.0)


def test_the_file_may_appear_later_and_change(offset: Path) -> None:
    clock = Clock(offset)
    assert clock.now() == pytest.approx(time.time(), abs=5.0)
    offset.write_text(str(HOUR))
    assert clock.now() == pytest.approx(time.time() + HOUR, abs=5.0)
    offset.write_text(str(2 * HOUR))
    assert clock.now() == pytest.approx(time.time() + 2 * HOUR, abs=5.0)


@pytest.mark.parametrize("variable", [None, ""])
def test_the_environment_may_name_no_file(monkeypatch: pytest.MonkeyPatch, variable: str | None) -> None:
    monkeypatch.delenv("CRMFLOW_CLOCK", raising=False)
    if variable is not None:
        monkeypatch.setenv("CRMFLOW_CLOCK", variable)
    assert Clock.from_environment().now() == pytest.approx(time.time(), abs=5.0)


def test_the_environment_names_the_file(monkeypatch: pytest.MonkeyPatch, offset: Path) -> None:
    offset.write_text(str(HOUR))
    monkeypatch.setenv("CRMFLOW_CLOCK", str(offset))
    assert Clock.from_environment().now() == pytest.approx(time.time() + HOUR, abs=5.0)


async def test_a_jump_ends_a_sleep_early(offset: Path) -> None:
    clock = Clock(offset)
    sleep = asyncio.create_task(clock.sleep(HOUR))
    until = asyncio.create_task(clock.sleep_until(clock.now() + HOUR))
    await asyncio.sleep(0)
    assert not sleep.done()
    jump(offset, HOUR)
    await asyncio.wait_for(asyncio.gather(sleep, until), 5.0)


async def test_a_jump_ends_only_what_it_goes_past(offset: Path) -> None:
    clock = Clock(offset)
    long, short = (asyncio.create_task(clock.sleep(seconds)) for seconds in (HOUR, HOUR / 2))
    await asyncio.sleep(0)
    jump(offset, HOUR / 2)
    await asyncio.wait_for(short, 5.0)
    assert not long.done()
    long.cancel()


@pytest.mark.parametrize("seconds", [0.0, -5.0])
async def test_what_has_passed_is_not_waited_for(seconds: float) -> None:
    await asyncio.wait_for(Clock().sleep(seconds), 5.0)


async def test_waiting_ends_with_the_event(offset: Path) -> None:
    for clock in (Clock(), Clock(offset)):
        for until in (None, clock.now() + HOUR):
            event = asyncio.Event()
            waiting = asyncio.create_task(clock.wait(event, until))
            await asyncio.sleep(0)
            assert not waiting.done()
            event.set()
            assert await asyncio.wait_for(waiting, 5.0) is True


async def test_waiting_ends_with_a_jump_past_its_time(offset: Path) -> None:
    clock = Clock(offset)
    waiting = asyncio.create_task(clock.wait(asyncio.Event(), clock.now() + HOUR))
    await asyncio.sleep(0)
    jump(offset, HOUR)
    assert await asyncio.wait_for(waiting, 5.0) is False


async def test_waiting_past_its_time_does_not_wait() -> None:
    clock = Clock()
    assert await clock.wait(asyncio.Event(), clock.now() - 1.0) is False
    event = asyncio.Event()
    event.set()
    assert await clock.wait(event, clock.now() - 1.0) is True
