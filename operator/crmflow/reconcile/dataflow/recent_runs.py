"""The history of a flow's runs in status: the last ten, whatever order they are found in.

A listing shows runs again and again, finished or not, and the latest listing need not have the latest run. So
what is found is merged into what is recorded: a run by its id, the better known of two, the newest first. A
run that still goes on stays in the history for its end, when ten newer ones have begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from crmflow.aep.models import Run, RunMetrics, is_final_state
from crmflow.api.crmdataflow import (
    MAX_RECENT_RUNS,
    LastRun,
    RecentRun,
    RecentRuns,
    RunBytes,
    RunRecords,
    RunRetries,
    RunRetry,
    RunWindow,
)
from crmflow.observability.redaction import shorten
from crmflow.reconcile.core.reading import instant, text_at

_CAUSE_LENGTH = 256
_ASKED = ("requested_by", "retry_of")
"""What no listing shows."""
_FROM_STATUS, _RETRIES = TypeAdapter(RecentRuns), TypeAdapter(RunRetries)
_WAITS, _UNTOLD = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
"""Stand for the start of a run that has not begun, which is the newest, and of one that has ended without any
time that is told.
"""
_MOST_OPEN = MAX_RECENT_RUNS // 2
"""So many runs that go on keep a place in the history that newer ones would have: Platform may never show the
end of some.
"""


def merge(recorded: Iterable[RecentRun], found: Iterable[Run], *, of_files: bool) -> tuple[RecentRun, ...]:
    """The history with all that was found, the newest first; ``of_files``: whether the flow takes files of
    the landing zone.
    """
    runs = {run.id: run for run in recorded}
    for listed in found:
        run = recent_run(listed, of_files=of_files)
        known = runs.get(run.id)
        if known is None:
            runs[run.id] = run
        elif _knowledge(run) >= _knowledge(known):
            runs[run.id] = run.model_copy(update={name: getattr(known, name) for name in _ASKED})
    return _ordered(runs.values())


def newest(runs: Iterable[RecentRun]) -> tuple[RecentRun, ...]:
    """As many as the history holds, the newest first."""
    ordered = _ordered(runs)
    going_on = [run for run in ordered if not is_final(run)][:_MOST_OPEN]
    others = [run for run in ordered if run not in going_on]
    return _ordered([*going_on, *others[: MAX_RECENT_RUNS - len(going_on)]])


def is_final(run: LastRun | RecentRun) -> bool:
    """True once nothing more comes of it."""
    return run.completion_time is not None or is_final_state(run.state or "")


def began(run: RecentRun) -> datetime:
    """When, as far as it is told: its order in the history."""
    return run.start_time or run.completion_time or (_UNTOLD if is_final(run) else _WAITS)


def recorded_runs(value: Any) -> tuple[RecentRun, ...]:
    """``status.recentRuns`` as the API server gives it; nothing of what this version can't read."""
    try:
        return _FROM_STATUS.validate_python(value or ())
    except ValidationError:
        return ()


def recorded_retries(value: Any) -> tuple[RunRetry, ...]:
    """The same of ``status.runRetries``."""
    try:
        return _RETRIES.validate_python(value or ())
    except ValidationError:
        return ()


def open_runs(flow_id: str, value: Any) -> list[Run]:
    """Those in ``status.recentRuns``, as the API server gives it, of which more is to come. Every poll asks
    that of every flow, so no more is read.
    """
    shown = value if isinstance(value, list) else []
    runs = [run for run in shown if isinstance(run, Mapping) and "completionTime" not in run]
    return [
        Run(str(run.get("id")), flow_id, str(run.get("state", "")), _start(run), None)
        for run in runs
        if run.get("id") and not is_final_state(str(run.get("state", "")))
    ]


def _start(run: Mapping[str, Any]) -> float | None:
    begun = instant(text_at(run, "startTime"))
    return begun.timestamp() if begun else None


def recent_run(run: Run, *, of_files: bool) -> RecentRun:
    """A run in short."""
    metrics = run.metrics or RunMetrics()
    records, size = records_of(metrics), bytes_of(metrics)
    return RecentRun(
        id=run.id,
        state=run.state or None,
        window=_window(run),
        start_time=instant_of(run.started_at),
        completion_time=instant_of(run.completed_at),
        records=records,
        bytes=size,
        files=metrics.files_read if of_files else None,
        cause=_cause(run),
    )


def records_of(metrics: RunMetrics) -> RunRecords | None:
    """What a run did with records; None if nothing is told, since an object without a field is null for the
    API server, once it is applied.
    """
    records = RunRecords(
        read=metrics.records_read,
        written=metrics.records_written,
        skipped=metrics.records_skipped,
        failed=metrics.records_failed,
    )
    return records if records != RunRecords() else None


def bytes_of(metrics: RunMetrics) -> RunBytes | None:
    """The same of bytes."""
    size = RunBytes(read=metrics.bytes_read, written=metrics.bytes_written)
    return size if size != RunBytes() else None


def instant_of(seconds: float | None) -> datetime | None:
    """To the second, as status keeps it."""
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None


def _ordered(runs: Iterable[RecentRun]) -> tuple[RecentRun, ...]:
    return tuple(sorted(runs, key=lambda run: (began(run), run.id), reverse=True))


def _knowledge(run: RecentRun) -> tuple[bool, bool, bool]:
    """What an object shows of its last run is less than what a listing of runs shows of it."""
    return is_final(run), run.records is not None or run.bytes is not None, run.window is not None


def _window(run: Run) -> RunWindow | None:
    if run.window is None:
        return None
    begin, end = run.window
    return RunWindow(start=instant_of(begin), end=datetime.fromtimestamp(int(end), UTC))


def _cause(run: Run) -> str | None:
    """On one line."""
    if not run.errors:
        return None
    error = run.errors[0]
    return in_short(error.code, error.message) or None


def in_short(code: str, message: str) -> str:
    """An error of a run on one line."""
    text = " ".join(": ".join(filter(None, (code, message))).split())
    return shorten(text, _CAUSE_LENGTH)
