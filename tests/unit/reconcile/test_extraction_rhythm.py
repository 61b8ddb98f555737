"""Ticks and windows, the cut by counts, credits and slots."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.reconcile.extraction import credits
from crmflow.reconcile.extraction.credits import Ledger
from crmflow.reconcile.extraction.cutting import CountedWindow, cut, cut_by
from crmflow.reconcile.extraction.rhythm import (
    BEGINNING,
    LAG,
    Due,
    First,
    FullReads,
    NotYet,
    Rhythm,
    default_lead,
    first_window,
    is_late,
    next_window,
)
from crmflow.reconcile.extraction.slots import Waiting, served
from crmflow.transfer.declaration import Way, Window

START = datetime(2026, 11, 4, 10, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PERIODS = [15 * MINUTE, 20 * MINUTE, HOUR, DAY, 7 * DAY]


def hourly() -> Rhythm:
    return Rhythm(START, HOUR, lead=15 * MINUTE)


@pytest.mark.parametrize(
    ("period", "minutes"), [(15 * MINUTE, 5), (30 * MINUTE, 10), (HOUR, 15), (DAY, 15), (7 * DAY, 15)]
)
def test_the_lead_is_a_third_of_the_period_within_bounds(period: timedelta, minutes: int) -> None:
    assert default_lead(period) == minutes * MINUTE


def test_a_lead_that_would_read_windows_after_their_tick_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than the lag"):
        Rhythm(START, HOUR, lead=LAG)


CURSOR = START - 15 * MINUTE
NEXT = START + 45 * MINUTE


@pytest.mark.parametrize(
    ("cursor", "now", "expected"),
    [
        pytest.param(CURSOR, START, NotYet(NEXT + LAG), id="on a tick"),
        pytest.param(CURSOR, NEXT + LAG - MINUTE, NotYet(NEXT + LAG), id="Zoho may not show all of it yet"),
        pytest.param(
            CURSOR, NEXT + LAG, Due(Window(begin=CURSOR, end=NEXT), START + HOUR), id="as soon as it may be"
        ),
        pytest.param(
            CURSOR,
            START + 3 * HOUR - MINUTE,
            Due(Window(begin=CURSOR, end=NEXT + 2 * HOUR), START + 3 * HOUR),
            id="two ticks were missed",
        ),
        pytest.param(NEXT, NEXT + LAG, NotYet(NEXT + HOUR + LAG), id="done for this tick"),
        pytest.param(
            START - 2 * HOUR,
            START - 13 * MINUTE,
            Due(Window(begin=START - 2 * HOUR, end=CURSOR), START),
            id="before the first tick",
        ),
        pytest.param(NEXT + MINUTE, START, NotYet(NEXT + HOUR + LAG), id="the cursor is ahead of the clock"),
    ],
)
def test_next_window(cursor: datetime, now: datetime, expected: Due | NotYet) -> None:
    assert next_window(hourly(), cursor, now) == expected


def test_a_flow_that_runs_once_has_no_second_window() -> None:
    once = Rhythm(START, None, lead=15 * MINUTE)
    assert next_window(once, CURSOR, START + DAY) == NotYet(None)
    assert (once.next_tick(START - MINUTE), once.next_tick(START)) == (START, None)


def test_the_first_window_reads_everything_or_begins_now() -> None:
    now = START + timedelta(microseconds=5)
    assert first_window(backfill=False, now=now) == First(None, START)
    end = START - LAG
    assert first_window(backfill=True, now=now) == First(Window(begin=BEGINNING, end=end), end)


def test_a_full_read_takes_the_place_of_the_window_that_is_due() -> None:
    now = NEXT + LAG
    due = next_window(hourly(), CURSOR, now, FullReads(DAY, last=NEXT - DAY))
    assert due == Due(Window(begin=BEGINNING, end=NEXT), START + HOUR, is_full=True)
    due = next_window(hourly(), CURSOR, now, FullReads(DAY, last=NEXT - DAY + MINUTE))
    assert due == Due(Window(begin=CURSOR, end=NEXT), START + HOUR)


def test_a_file_that_came_after_its_tick_is_late() -> None:
    assert is_late(START, START + timedelta(seconds=1))
    assert not is_late(START, START)


@given(st.sampled_from(PERIODS), st.lists(st.integers(1, 40 * 3600), max_size=40))
def test_windows_follow_each_other_and_end_before_their_tick(period: timedelta, steps: list[int]) -> None:
    """Whatever the times at which somebody looks."""
    rhythm = Rhythm(START, period, default_lead(period))
    cursor, now = START - HOUR, START - HOUR
    for step in steps:
        now += timedelta(seconds=step)
        found = next_window(rhythm, cursor, now)
        if isinstance(found, NotYet):
            assert found.at is not None
            assert found.at > now
            again = next_window(rhythm, cursor, found.at)
            assert isinstance(again, Due)
            continue
        assert found.window.begin == cursor
        assert found.window.end == found.tick - rhythm.lead <= now - LAG
        assert now < found.tick
        assert rhythm.ticks(now, found.tick) == 1
        cursor = found.window.end


class Table:
    """Instants of rows, which counts are asked of."""

    def __init__(self, instants: list[int]) -> None:
        self.instants = sorted(instants)
        self.asked = 0

    def count(self, window: Window) -> int:
        first, last = (int((at - BEGINNING).total_seconds()) for at in (window.begin, window.end))
        self.asked += 1
        return bisect_left(self.instants, last) - bisect_left(self.instants, first)

    def cut(self, window: Window, most_rows: int, most_parts: int = 10**9) -> tuple[CountedWindow, ...]:
        cutting = cut(window, most_parts, most_rows)
        asked = next(cutting)
        while True:
            try:
                asked = cutting.send(self.count(asked))
            except StopIteration as end:
                return tuple(end.value)


def _window(begin: int, end: int) -> Window:
    return Window(begin=BEGINNING + timedelta(seconds=begin), end=BEGINNING + timedelta(seconds=end))


@given(
    st.lists(st.integers(0, 5000) | st.integers(700, 730), max_size=300),
    st.integers(1, 50),
    st.integers(1, 5001),
)
def test_parts_are_the_window_and_small_enough(instants: list[int], most_rows: int, end: int) -> None:
    table, window = Table(instants), _window(0, end)
    parts = table.cut(window, most_rows)
    assert [part.window.begin for part in parts] == [window.begin, *(p.window.end for p in parts[:-1])]
    assert parts[-1].window.end == window.end
    asked = table.asked
    for part in parts:
        assert part.rows == table.count(part.window)
        assert part.rows <= most_rows or part.window.end - part.window.begin == timedelta(seconds=1)
    needed = -(-table.count(window) // most_rows)
    depth = end.bit_length() + 1
    assert asked <= 1 + 2 * max(0, needed) * depth


def test_a_small_window_takes_one_count_and_a_big_one_few() -> None:
    seconds = 20 * 365 * 86400
    table = Table(list(range(seconds // 2, seconds, seconds // 20_000)))
    assert len(table.cut(_window(0, seconds), 10_000)) == 1
    assert table.asked == 1
    table.asked = 0
    assert len(table.cut(_window(0, seconds), 1000)) <= 20
    assert table.asked <= 35


def test_as_many_parts_as_there_is_room_for() -> None:
    table = Table(list(range(1000)))
    whole = table.cut(_window(0, 1000), 100)
    assert table.cut(_window(0, 1000), 100, most_parts=3) == whole[:3]
    assert table.cut(_window(0, 1000), 100, most_parts=0) == ()


async def test_counts_are_asked_for_one_after_the_other() -> None:
    table = Table(list(range(1000)))

    async def count(window: Window) -> int:
        return table.count(window)

    assert await cut_by(count, cut(_window(0, 1000), 100, 100)) == table.cut(_window(0, 1000), 100)


@pytest.mark.parametrize(
    ("rows", "columns", "way", "cost"),
    [
        (1, 50, Way.COQL, 5),
        (10_000, 50, Way.COQL, 17),
        (39_999, 50, Way.COQL, 62),
        (40_000, 50, Way.BULK, 62),
        (1_000_000, 200, Way.BULK, 302),
        (1_000_000, 201, Way.COQL, 1502),
        (4000, 600, Way.COQL, 14),
    ],
)
def test_the_cheaper_way_is_chosen(rows: int, columns: int, way: Way, cost: int) -> None:
    assert credits.choose(rows, columns, credits.ROWS_OF_BULK) is way
    assert credits.cost(way, rows, columns) == cost


@pytest.mark.parametrize(
    ("edition", "allowed"), [("enterprise", 40_000), ("free", 4000), ("", 4000), ("standard", 40_000)]
)
def test_a_fifth_of_the_floor_stays_for_others(edition: str, allowed: int) -> None:
    assert credits.allowance(edition) == allowed


def test_credits_come_back_after_a_day() -> None:
    ledger = Ledger().with_spent(600, START).with_spent(300, START + HOUR)
    now = START + 2 * HOUR
    assert ledger.affordable_at(100, 1000, now) == now
    assert ledger.affordable_at(101, 1000, now) == START + DAY
    assert ledger.affordable_at(800, 1000, now) == START + HOUR + DAY
    assert ledger.affordable_at(5000, 1000, now) == START + HOUR + DAY, "alone, it may take more than a day's"
    assert ledger.affordable_at(100, 1000, now, reserved=200) == START + DAY
    assert ledger.affordable_at(100, 1000, now, reserved=1000) is None


@given(st.lists(st.tuples(st.integers(0, 3600), st.integers(0, 500)), max_size=200), st.integers(1, 600))
def test_no_24_hours_see_more_than_what_is_allowed(steps: list[tuple[int, int]], allowed: int) -> None:
    ledger, now, spent = Ledger(), START, list[tuple[datetime, int]]()
    for seconds, wanted in steps:
        now += timedelta(seconds=seconds)
        if ledger.affordable_at(wanted, allowed, now) != now or wanted > allowed:
            continue
        ledger = ledger.with_spent(wanted, now)
        spent.append((now, wanted))
        assert sum(amount for at, amount in spent if at > now - DAY) <= allowed
        assert len(ledger.entries) <= 24 * 4 + 1


def test_the_oldest_tick_gets_the_slot() -> None:
    waiting = [Waiting(START + HOUR, "a"), Waiting(START, "c"), Waiting(START, "b")]
    assert served(waiting, running=2) == (Waiting(START, "b"), Waiting(START, "c"))
    assert served(waiting, running=4) == ()
    assert served(waiting, running=9) == ()
