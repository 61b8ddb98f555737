"""When a flow starts, its schedule as Flow Service wants it (platform.md 6.1), and how many runs that makes a
day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from crmflow.api.crmdataflow import UNIT_SECONDS, Frequency, Ingestion, Schedule
from crmflow.reconcile.core.reading import at

PROFILE_BATCHES_PER_DAY = 90
"""Batches into Profile-enabled datasets that a sandbox takes in a day (platform.md 15); a soft limit."""
START_MARGIN_SECONDS = 60.0
"""A start in the past is refused (1360), and the request takes its time: never start sooner than this."""


def period_seconds(schedule: Schedule) -> float | None:
    """Seconds between two runs; None if there is only one."""
    return schedule.period_seconds


def flow_period(frequency: str, interval: int | None) -> timedelta | None:
    """Time between two runs of a flow, as Platform has it; None if there is only one, or the frequency is one
    that no contract names.
    """
    unit = next((unit for name, unit in UNIT_SECONDS.items() if name.lower() == frequency.lower()), None)
    return timedelta(seconds=unit * (interval or 1)) if unit else None


def effective_start(schedule: Schedule, now: float) -> datetime:
    """The first start that Platform accepts: ``startTime`` if it is still to come, else the schedule's next
    tick.

    A past ``startTime`` stays legal for ever, since manifests in Git grow old.
    """
    earliest = math.ceil(now + START_MARGIN_SECONDS)
    if schedule.start_time is None:
        return datetime.fromtimestamp(earliest, UTC)
    wished = math.ceil(schedule.start_time.timestamp())
    period = period_seconds(schedule)
    if wished >= earliest or period is None:
        return datetime.fromtimestamp(max(wished, earliest), UTC)
    return datetime.fromtimestamp(wished + math.ceil((earliest - wished) / period) * period, UTC)


def schedule_params(schedule: Schedule, start: datetime) -> dict[str, Any]:
    """``scheduleParams`` of a flow; interval and backfill are forbidden with ``once`` (1361, 1364)."""
    params: dict[str, Any] = {"startTime": int(start.timestamp()), "frequency": schedule.frequency.lower()}
    if schedule.frequency is not Frequency.ONCE:
        params["interval"] = schedule.interval
        params["backfill"] = True if schedule.backfill is None else schedule.backfill
    return params


def profile_runs_per_day(spec: Mapping[str, Any], status: Mapping[str, Any]) -> float:
    """Runs per day of a dataflow into a Profile-enabled dataset, each of which is at least one batch. A flow
    that is disabled, runs once or does not exist yet takes none, and none is known of one that this version
    can't read, whose own pass says so.
    """
    if not status.get("flow") or not at(status, "dataset", "profileEnabled"):
        return 0.0
    try:
        if not Ingestion.model_validate(spec.get("ingestion") or {}).enabled:
            return 0.0
        period = period_seconds(Schedule.model_validate(spec.get("schedule")))
    except ValidationError:
        return 0.0
    return UNIT_SECONDS[Frequency.DAY] / period if period else 0.0
