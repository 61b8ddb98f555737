"""The one clock: its offset file, and that a jump ends what waits for time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC
from pathlib import Path

import pytest

from crmflow.clock import Clock, SystemTime

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


class System:
    """The system's two clocks; ``step`` sets the one that people see."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.steady = 1_760_000_000.0, 50.0
        monkeypatch.setattr("crmflow.clock.time.time", lambda: self.wall)
        monkeypatch.setattr("crmflow.clock.time.clock_gettime", lambda _: self.steady)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def step(self, seconds: float) -> None:
        self.wall += seconds


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    return System(monkeypatch)


def test_a_clock_that_is_set_back_takes_nothing_from_what_was_waited(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    due = clock.now() + 60.0
    system.pass_(30.0)
    system.step(-HOUR)
    assert clock.now() == due - 30.0
    system.pass_(30.0)
    assert clock.now() == due
    assert clock.utcnow().timestamp() == SystemTime(clock).now() == system.wall, "what others read is right"
    assert clock.ahead == HOUR
    assert [record.getMessage() for record in caplog.records] == [
        "the system's clock was set back by 3600 s; what is scheduled comes when it would have come"
    ]


def test_a_clock_that_was_fast_and_is_set_right_twice_is_followed(system: System) -> None:
    clock = Clock()
    clock.now()
    system.step(2 * HOUR)
    assert clock.now() == system.wall, "a step forward is followed: what is due comes"
    system.step(-2 * HOUR)
    before = clock.now()
    assert clock.ahead == 2 * HOUR
    system.step(HOUR)
    assert clock.now() == before
    system.step(2 * HOUR)
    assert clock.now() == system.wall
    assert clock.ahead == 0.0


def test_what_ntp_corrects_bit_by_bit_is_no_step(system: System, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    last = clock.now()
    for _ in range(1000):
        system.pass_(1.0)
        system.step(-0.0005)
        assert clock.now() >= last
        last = clock.now()
    assert clock.ahead == 0.0
    assert last == system.wall
    assert caplog.records == []


def test_a_small_step_back_stands_still_for_a_moment(system: System) -> None:
    clock = Clock()
    last = clock.now()
    system.step(-0.5)
    assert clock.now() == last
    system.pass_(1.0)
    assert clock.now() == last + 0.5


def test_a_machine_that_slept_has_its_time_back(system: System) -> None:
    """The steady clock counts the sleep, too."""
    clock = Clock()
    before = clock.now()
    system.pass_(8 * HOUR)
    assert clock.now() == before + 8 * HOUR
    assert clock.ahead == 0.0
