"""When a new flow starts, and how its schedule is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmflow.api.crmdataflow import Frequency, Schedule
from crmflow.reconcile.dataflow.schedule import START_MARGIN_SECONDS, effective_start, schedule_params

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
EARLIEST = NOW + timedelta(seconds=START_MARGIN_SECONDS)
SECONDS = {"Minute": 60, "Hour": 3600, "Day": 86400, "Week": 604800}

instants = st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


def schedule(**fields: Any) -> Schedule:
    return Schedule(**{"frequency": "Hour", "interval": 1, **fields})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, EARLIEST, id="none"),
        pytest.param({"start_time": NOW + timedelta(days=9)}, NOW + timedelta(days=9), id="future"),
        pytest.param({"start_time": EARLIEST}, EARLIEST, id="just in time"),
        pytest.param({"start_time": NOW}, NOW + timedelta(hours=1), id="now"),
        pytest.param(
            {"start_time": datetime(2020, 1, 1, 0, 17, tzinfo=UTC)},
            NOW + timedelta(minutes=17),
            id="past, in phase",
        ),
        pytest.param(
            {"start_time": datetime(2026, 4, 30, 22, 30, tzinfo=UTC), "frequency": "Day"},
            datetime(2026, 5, 1, 22, 30, tzinfo=UTC),
            id="daily",
        ),
        pytest.param(
            {"start_time": datetime(2026, 4, 1, tzinfo=UTC), "frequency": "Week", "interval": 2},
            datetime(2026, 5, 13, tzinfo=UTC),
            id="every other week",
        ),
        pytest.param(
            {"start_time": datetime(2026, 5, 1, 11, 50, tzinfo=UTC), "frequency": "Minute", "interval": 15},
            datetime(2026, 5, 1, 12, 5, tzinfo=UTC),
            id="every quarter of an hour",
        ),
        pytest.param({"frequency": "Once", "interval": None}, EARLIEST, id="once, none"),
        pytest.param(
            {"frequency": "Once", "interval": None, "start_time": datetime(2020, 1, 1, tzinfo=UTC)},
            EARLIEST,
            id="once, past",
        ),
        pytest.param(
            {"frequency": "Once", "interval": None, "start_time": NOW + timedelta(days=1)},
            NOW + timedelta(days=1),
            id="once, future",
        ),
    ],
)
def test_the_effective_start(fields: dict[str, Any], expected: datetime) -> None:
    assert effective_start(schedule(**fields), NOW.timestamp()) == expected


@given(instants, instants, st.sampled_from(sorted(SECONDS)), st.integers(1, 200))
def test_the_start_is_the_next_tick_in_phase(
    wish: datetime, now: datetime, frequency: str, interval: int
) -> None:
    wish = wish.replace(microsecond=0)
    period = SECONDS[frequency] * interval
    start = effective_start(
        schedule(frequency=frequency, interval=interval, start_time=wish), now.timestamp()
    ).timestamp()
    earliest = now.timestamp() + START_MARGIN_SECONDS
    assert start >= earliest
    assert start >= wish.timestamp()
    assert (start - wish.timestamp()) % period == 0
    assert start == wish.timestamp() or start - period < earliest + 1


@given(st.one_of(st.none(), instants), instants, st.sampled_from(list(Frequency)))
def test_a_start_is_a_whole_second_to_come(
    wish: datetime | None, now: datetime, frequency: Frequency
) -> None:
    interval = None if frequency is Frequency.ONCE else 15
    start = effective_start(
        schedule(frequency=frequency, interval=interval, start_time=wish), now.timestamp()
    )
    assert start.microsecond == 0
    assert start.timestamp() >= now.timestamp() + START_MARGIN_SECONDS


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"frequency": "hour", "interval": 1, "backfill": True}),
        ({"backfill": True}, {"frequency": "hour", "interval": 1, "backfill": True}),
        ({"backfill": False}, {"frequency": "hour", "interval": 1, "backfill": False}),
        (
            {"frequency": "Minute", "interval": 15},
            {"frequency": "minute", "interval": 15, "backfill": True},
        ),
        ({"frequency": "Day", "interval": 2}, {"frequency": "day", "interval": 2, "backfill": True}),
        ({"frequency": "Week"}, {"frequency": "week", "interval": 1, "backfill": True}),
        ({"frequency": "Once", "interval": None}, {"frequency": "once"}),
    ],
)
def test_schedule_params(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert schedule_params(schedule(**fields), NOW) == {"startTime": int(NOW.timestamp()), **expected}
