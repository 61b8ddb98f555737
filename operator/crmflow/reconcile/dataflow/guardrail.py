"""Profile's limit on batches: how much of it each flow takes by its schedule, and who crosses it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from crmflow.api.crmdataflow import Ingestion, Schedule
from crmflow.reconcile.dataflow.schedule import period_seconds

PROFILE_BATCHES_PER_DAY = 90
"""Batches into Profile-enabled datasets that a sandbox takes in a day (platform.md 15); a soft limit."""

_DAY_SECONDS = 86400.0

K = TypeVar("K", bound=Hashable)


def profile_runs_per_day(spec: Mapping[str, Any], status: Mapping[str, Any]) -> float:
    """Runs per day of a dataflow into a Profile-enabled dataset, each of which is at least one batch. A flow
    that is disabled, runs once or does not exist yet takes none.
    """
    if not status.get("flow") or not (status.get("dataset") or {}).get("profileEnabled"):
        return 0.0
    if not Ingestion.model_validate(spec.get("ingestion") or {}).enabled:
        return 0.0
    period = period_seconds(Schedule.model_validate(spec["schedule"]))
    return _DAY_SECONDS / period if period else 0.0


def crossing(before: Mapping[K, float], now: Mapping[K, float]) -> tuple[K, float] | None:
    """The one that takes a sandbox over the limit, and the runs per day up to it; None if nobody newly does.
    ``now`` is in order of age.

    What was there before comes first, so that it is the newcomer, or the one that runs more often, who is
    named. With nothing known of before, as after a restart, the answer is that of the first time.
    """
    if sum(before.values()) > PROFILE_BATCHES_PER_DAY:
        return None
    total = sum(min(load, before.get(key, 0.0)) for key, load in now.items())
    for key, load in now.items():
        total += max(0.0, load - before.get(key, 0.0))
        if total > PROFILE_BATCHES_PER_DAY:
            return key, total
    return None
