"""The runs of a flow: what status says of the last one, and whether the flow runs as its schedule says.

``RunsHealthy`` is told beside ``Ready`` and never takes it away: the flow is what the spec says, also when a
run of it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crmflow.aep.models import Run, RunMetrics, RunState
from crmflow.aep.models import RunError as AepRunError
from crmflow.api.crmdataflow import (
    CRMDataflowStatus,
    Ingestion,
    LastRun,
    RunBytes,
    RunError,
    RunRecords,
    Schedule,
)
from crmflow.observability.events import EventType
from crmflow.reconcile.conditions import FALSE, READY, TRUE, UNKNOWN, Conditions, Finding
from crmflow.reconcile.dataflow.conditions import RUNS_HEALTHY
from crmflow.reconcile.dataflow.schedule import period_seconds
from crmflow.reconcile.dataflow.state import DataflowPass

LATE_SHARE, LEAST_LATE_SECONDS = 0.1, 900.0
"""A run counts as overdue when it is late by this share of the schedule's period, and by no less than that:
it is queued, begins, and shows in listings a little later.
"""


@dataclass(frozen=True)
class RunRecord:
    """What a resource says of the runs of its flow, and what is to be expected of them."""

    schedule: Schedule
    enabled: bool
    first_start: datetime | None
    """When the schedule was to begin."""
    ready_since: datetime | None
    """None while the resource is not Ready: then nothing is expected of the flow."""
    last: LastRun | None
    said: Finding | None

    @classmethod
    def of_object(cls, spec: Mapping[str, Any], status: Mapping[str, Any]) -> RunRecord:
        """As the API server gives it. Only what is needed is read: every poll does that for every flow."""
        conditions, last = Conditions.from_status(status), status.get("lastRun")
        begun = (status.get("schedule") or {}).get("effectiveStartTime")
        return cls(
            schedule=Schedule.model_validate(spec["schedule"]),
            enabled=Ingestion.model_validate(spec.get("ingestion") or {}).enabled,
            first_start=datetime.fromisoformat(begun) if begun else None,
            ready_since=_ready_since(conditions),
            last=LastRun.model_validate(last) if last else None,
            said=_said(conditions),
        )

    @classmethod
    def of_pass(cls, pass_: DataflowPass) -> RunRecord:
        """As a visit found it."""
        status: CRMDataflowStatus = pass_.status
        return cls(
            schedule=pass_.spec.schedule,
            enabled=pass_.spec.ingestion.enabled,
            first_start=status.schedule.effective_start_time if status.schedule else None,
            ready_since=_ready_since(pass_.conditions),
            last=status.last_run,
            said=_said(pass_.conditions),
        )

    def is_news(self, run: Run | None, now: datetime) -> bool:
        """True if a visit would write something else, since ``run`` is the last one now."""
        last = last_run(run) if run else self.last
        return last != self.last or self.judge(last, now) != self.said

    def known(self, flow_id: str) -> Run | None:
        """The run that status tells of."""
        return _run(flow_id, self.last) if self.last else None

    def judge(self, last: LastRun | None, now: datetime) -> Finding:
        """``RunsHealthy``."""
        if last is not None and not _run("", last).is_final:
            return Finding(UNKNOWN, "Running", f"Run {last.id} is under way.")
        due = self._due(last)
        if due is not None and now > due + self._tolerance():
            return Finding(FALSE, "Overdue", _overdue(last, due))
        if last is None:
            return Finding(UNKNOWN, "NoRunYet", "The flow has not run yet.")
        return _result(last)

    def _due(self, last: LastRun | None) -> datetime | None:
        """When the next run was to begin; None if none is to be expected. What lies before the resource
        became Ready does not count: the flow may have been disabled, or another one, until then.
        """
        if self.ready_since is None or not self.enabled:
            return None
        period = timedelta(seconds=period_seconds(self.schedule) or 0.0)
        if last is None:
            if self.first_start is None:
                return None
            return self.first_start if self.first_start >= self.ready_since else self.ready_since + period
        if not period:
            return None
        begun = last.start_time or last.completion_time or self.ready_since
        return max(begun, self.ready_since) + period

    def _tolerance(self) -> timedelta:
        share = LATE_SHARE * (period_seconds(self.schedule) or 0.0)
        return timedelta(seconds=max(share, LEAST_LATE_SECONDS))


def tell(pass_: DataflowPass) -> None:
    """Record the last run and find ``RunsHealthy``; an event once, when the runs are not healthy."""
    if pass_.flow_id is None:
        return
    known = pass_.inventory.last_run(pass_.flow_id)
    if known is None and pass_.status.last_run is None and pass_.flow is not None:
        known = pass_.flow.last_run  # a flow that was found, before the first listing of runs
    record = RunRecord.of_pass(pass_)
    last = last_run(known) if known else record.last
    finding = record.judge(last, pass_.utcnow)
    pass_.record(last_run=last)
    if finding.status == FALSE and finding != record.said and RUNS_HEALTHY.name not in pass_.findings:
        pass_.tell(f"Run{finding.reason}", "Run", finding.message, EventType.WARNING)
    pass_.find(RUNS_HEALTHY, finding.status, finding.reason, finding.message)


def last_run(run: Run) -> LastRun:
    """A run as status shows it."""
    metrics = run.metrics or RunMetrics()
    records = RunRecords(
        read=metrics.records_read,
        written=metrics.records_written,
        skipped=metrics.records_skipped,
        failed=metrics.records_failed,
    )
    size = RunBytes(read=metrics.bytes_read, written=metrics.bytes_written)
    return LastRun(
        id=run.id,
        state=run.state or None,
        start_time=_time(run.started_at),
        completion_time=_time(run.completed_at),
        # An object without a field is null for the API server, once it is applied.
        records=records if records != RunRecords() else None,
        bytes=size if size != RunBytes() else None,
        errors=tuple(
            RunError(code=error.code, message=error.message, records=error.record_count)
            for error in run.errors
        )
        or None,
    )


def _run(flow_id: str, last: LastRun) -> Run:
    """The other way."""
    records, size = last.records or RunRecords(), last.bytes or RunBytes()
    return Run(
        id=last.id,
        flow_id=flow_id,
        state=last.state or "",
        started_at=last.start_time.timestamp() if last.start_time else None,
        completed_at=last.completion_time.timestamp() if last.completion_time else None,
        metrics=RunMetrics(
            records.read, records.written, records.skipped, records.failed, size.read, size.written
        )
        if last.records or last.bytes
        else None,
        errors=tuple(AepRunError(error.code, error.message, error.records) for error in last.errors or ()),
    )


def _result(last: LastRun) -> Finding:
    records = last.records or RunRecords()
    match last.state:
        case RunState.SUCCESS if records.written == 0 and records.read:
            text = f"Run {last.id} read {records.read} records and ingested none."
            return Finding(FALSE, "NothingIngested", text)
        case RunState.SUCCESS if records.written == 0:
            text = f"Run {last.id} succeeded; there was nothing new to read."
            return Finding(TRUE, "NothingIngested", text)
        case RunState.SUCCESS:
            return Finding(TRUE, "Succeeded", f"Run {last.id} succeeded.")
        case RunState.PARTIAL_SUCCESS:
            refused = "" if records.failed is None else f" and refused {records.failed}"
            text = f"Run {last.id} ingested {_number(records.written)} records{refused}.{_first_error(last)}"
            return Finding(FALSE, "PartiallySucceeded", text)
        case _:
            text = f"Run {last.id} ended as {last.state or 'unknown'}.{_first_error(last)}"
            return Finding(FALSE, "Failed", text)


def _overdue(last: LastRun | None, due: datetime) -> str:
    before = f"the last one, {last.id}, ended as {last.state or 'unknown'}" if last else "it has never run"
    return (
        f"A run was due at {due:%Y-%m-%dT%H:%M:%SZ}, and none has begun; {before}. Look at the flow in "
        "Platform under Sources, Dataflows."
    )


def _first_error(last: LastRun) -> str:
    if not last.errors:
        return " Its errors stand in Platform under Sources, Dataflows."
    error = last.errors[0]
    return f" {error.code}: {error.message.rstrip('.')}. status.lastRun shows the rest."


def _number(count: int | None) -> str:
    return "some" if count is None else str(count)


def _said(conditions: Conditions) -> Finding | None:
    condition = conditions.get(RUNS_HEALTHY.name)
    return Finding(condition.status, condition.reason, condition.message) if condition else None


def _ready_since(conditions: Conditions) -> datetime | None:
    ready = conditions.get(READY)
    if ready is None or ready.status != TRUE:
        return None
    return datetime.fromisoformat(ready.last_transition_time)


def _time(seconds: float | None) -> datetime | None:
    """To the second, as status keeps it."""
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None
