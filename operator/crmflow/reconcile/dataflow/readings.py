"""What a dataflow's spec and status tell for the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from crmflow.api.base import ManagementPolicy, Transport
from crmflow.api.crmdataflow import IngestedStatus, Ingestion, LastRun, PendingWindowStatus, Schedule, Totals
from crmflow.observability import resource_metrics as metrics
from crmflow.observability.resource_metrics import Family, Measurement
from crmflow.reconcile.core.reading import text_at
from crmflow.reconcile.dataflow.schedule import period_seconds
from crmflow.reconcile.dataflow.totals import after_runs

_RUNS = {
    "Succeeded": "runs_succeeded",
    "PartiallySucceeded": "runs_partially_succeeded",
    "Failed": "runs_failed",
}
_RECORDS = {"Written": "written", "Skipped": "skipped", "Failed": "failed"}


def readings(spec: Mapping[str, Any], status: Mapping[str, Any]) -> list[Measurement]:
    """All that can be read; a part that only another version understands is left out."""
    found: list[Measurement] = []
    for part in (_period, _progress, _totals, _windows):
        try:
            found += part(spec, status)
        except ValidationError:
            continue
    return found


def _period(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Measurement]:
    """Absent where nothing new is to be expected: no age is then too great."""
    takes_files = text_at(status, "transport") == Transport.LANDING_ZONE
    observes = spec.get("managementPolicy") == ManagementPolicy.OBSERVE
    if spec.get("paused") or (takes_files and observes):
        return
    if not Ingestion.model_validate(spec.get("ingestion") or {}).enabled:
        return
    yield from _told(metrics.PERIOD, period_seconds(Schedule.model_validate(spec.get("schedule"))))


def _progress(_: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Measurement]:
    raw, run = status.get("ingested"), status.get("lastRun")
    ingested = IngestedStatus.model_validate(raw) if raw else None
    last = LastRun.model_validate(run) if run else None
    if ingested is None and last is not None:  # recorded by a version that did not tell
        takes_files = text_at(status, "transport") == Transport.LANDING_ZONE
        ingested = after_runs(None, [last], takes_files=takes_files)
    if ingested is not None:
        yield from _told(metrics.INGESTED_UNTIL, _timestamp(ingested.until))
        yield from _told(metrics.LAST_SUCCESS, _timestamp(ingested.last_success_time))
    if last is not None and last.start_time and last.completion_time:
        length = (last.completion_time - last.start_time).total_seconds()
        yield Measurement(metrics.LAST_RUN_SECONDS, max(0.0, length))


def _totals(_: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Measurement]:
    """From 0, so that the first of each kind is an increase."""
    totals = Totals.model_validate(status.get("totals") or {})
    if status.get("flow"):
        for result, field in _RUNS.items():
            yield Measurement(metrics.RUNS, getattr(totals, field) or 0, (result,))
        for result, field in _RECORDS.items():
            yield Measurement(metrics.RECORDS, getattr(totals.records, field, None) or 0, (result,))
        yield Measurement(metrics.RECORDS_READ, getattr(totals.records, "read", None) or 0)
        yield Measurement(metrics.BYTES_WRITTEN, getattr(totals.bytes, "written", None) or 0)
    if text_at(status, "transport") == Transport.LANDING_ZONE:
        yield Measurement(metrics.WINDOWS, totals.windows or 0)
        yield Measurement(metrics.WINDOW_ROWS, totals.window_rows or 0)
        yield Measurement(metrics.WINDOW_BYTES, totals.window_bytes or 0)
        yield Measurement(metrics.DIFFERENCES, totals.differences or 0)


def _windows(_: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Measurement]:
    if text_at(status, "transport") != Transport.LANDING_ZONE:
        return
    pending = [PendingWindowStatus.model_validate(window) for window in status.get("pendingWindows") or ()]
    yield Measurement(metrics.PENDING_WINDOWS, len(pending))
    ticks = [window.tick for window in pending if window.file is None and window.tick is not None]
    yield from _told(metrics.EXTRACTION_DUE, _timestamp(min(ticks, default=None)))


def _told(family: Family, value: float | None) -> Iterator[Measurement]:
    if value is not None:
        yield Measurement(family, value)


def _timestamp(time: datetime | None) -> float | None:
    return time.timestamp() if time is not None else None
