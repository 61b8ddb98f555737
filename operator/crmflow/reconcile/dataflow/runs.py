"""The runs of a flow: what status says of the last ones, and whether the flow runs as its schedule says.

``RunsHealthy`` is told beside ``Ready`` and never takes it away: the flow is what the spec says, also when a
run of it failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from crmflow.aep.models import Flow, Listed, Run, RunError, RunMetrics, RunState
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import (
    CRMDataflowStatus,
    Ingestion,
    LastRun,
    RunBytes,
    RunErrorStatus,
    RunRecords,
    Runs,
    Schedule,
)
from crmflow.http.errors import RemoteError
from crmflow.observability.events import EventType
from crmflow.observability.redaction import shorten
from crmflow.reconcile.core.conditions import FALSE, READY, TRUE, UNKNOWN, Conditions, Finding
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import explain
from crmflow.reconcile.core.reading import instant, text_at
from crmflow.reconcile.dataflow.conditions import RUNS_HEALTHY
from crmflow.reconcile.dataflow.recent_runs import (
    bytes_of,
    instant_of,
    merge,
    newest,
    open_runs,
    recorded_retries,
    recorded_runs,
    records_of,
)
from crmflow.reconcile.dataflow.requested_runs import note_requested_runs
from crmflow.reconcile.dataflow.run_retries import follow, in_words, is_given_up
from crmflow.reconcile.dataflow.schedule import period_seconds
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.totals import after_runs, recorded_totals, with_runs
from crmflow.reconcile.ports import Inventory

LATE_SHARE, LEAST_LATE_SECONDS = 0.1, 900.0
"""A run counts as overdue when it is late by this share of the schedule's period, and by no less than that:
it is queued, begins, and shows in listings a little later.
"""

ERROR_SHOWN = 256
"""Characters of an error's text in the condition; ``status.lastRun`` has more."""
GIVEN_UP = "RetriesExhausted"
_MAPPER = "MAPPER"
"""What the codes of transformations begin with: a value that can't be transformed is left out of its record
(platform.md 2.4).
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
    takes_files: bool = False
    """Whether the flow runs only if there is a new file."""
    oldest_file: datetime | None = None
    """When the first file was written that no run has taken yet."""
    recent: Any = ()
    """``status.recentRuns``, as it is there."""
    totals: Any = None
    """The same of ``status.totals``."""
    retries: Any = ()
    """``status.runRetries``, as it is there."""
    retry_limit: int = 0
    """How often failed runs are run again by the operator."""

    @classmethod
    def of_object(cls, spec: Mapping[str, Any], status: Mapping[str, Any]) -> RunRecord | None:
        """As the API server gives it; None of what this version can't read, which a pass says. Only what is
        needed is read: every poll does that for every flow.
        """
        conditions, last = Conditions.from_status(status), status.get("lastRun")
        try:
            return cls(
                schedule=Schedule.model_validate(spec.get("schedule")),
                enabled=Ingestion.model_validate(spec.get("ingestion") or {}).enabled,
                first_start=instant(text_at(status, "schedule", "effectiveStartTime")),
                ready_since=_ready_since(conditions),
                last=LastRun.model_validate(last) if last else None,
                said=_said(conditions),
                takes_files=text_at(status, "transport") == Transport.LANDING_ZONE,
                oldest_file=_oldest(status.get("pendingWindows")),
                recent=status.get("recentRuns"),
                totals=status.get("totals"),
                retries=status.get("runRetries"),
                retry_limit=Runs.model_validate(spec.get("runs") or {}).retry_limit or 0,
            )
        except ValidationError:
            return None

    @classmethod
    def of_pass(cls, pass_: DataflowPass) -> RunRecord:
        """As a pass found it."""
        status: CRMDataflowStatus = pass_.status
        return cls(
            schedule=pass_.spec.schedule,
            enabled=pass_.spec.ingestion.enabled,
            first_start=status.schedule.effective_start_time if status.schedule else None,
            ready_since=_ready_since(pass_.conditions),
            last=status.last_run,
            said=_said(pass_.conditions),
            takes_files=status.transport is Transport.LANDING_ZONE,
            oldest_file=min(
                (one.file.completion_time for one in status.pending_windows or () if one.file), default=None
            ),
            recent=status.recent_runs,
            totals=status.totals,
            retries=status.run_retries,
            retry_limit=_retry_limit(pass_),
        )

    def is_news(
        self, run: Run | None, now: datetime, unread: RemoteError | None = None, found: Sequence[Run] = ()
    ) -> bool:
        """True if a pass would write something else, since ``run`` is the last one now, runs were ``found``,
        or runs can't be read any more.
        """
        last = last_run(run) if run else self.last
        return last != self.last or self.judge(last, now, unread) != self.said or self._adds(found)

    def known(self, flow_id: str) -> Sequence[Run]:
        """The last run that status tells of, and those of which it knows no end."""
        last = [_run(flow_id, self.last)] if self.last else []
        return [
            *last,
            *(run for run in open_runs(flow_id, self.recent) if run.id not in {r.id for r in last}),
        ]

    def _adds(self, found: Sequence[Run]) -> bool:
        """Whether history or totals lack something of what was found. They are read only if there is
        something.
        """
        if not found:
            return False
        recorded, totals = recorded_runs(self.recent), recorded_totals(self.totals)
        runs = merge(recorded, found, of_files=self.takes_files)
        return newest(runs) != recorded or with_runs(totals, runs, recorded) != totals

    def judge(self, last: LastRun | None, now: datetime, unread: RemoteError | None = None) -> Finding:
        """``RunsHealthy``, and what becomes of failed runs; while runs are ``unread``, nothing is claimed."""
        finding = self._judge(last, now, unread)
        if unread is not None or last is None or not self.retries:
            return finding
        retries = recorded_retries(self.retries)
        message = f"{finding.message}{in_words(retries, self.retry_limit)}"
        if finding.status == TRUE and is_given_up(retries):
            return Finding(FALSE, GIVEN_UP, message)
        return replace(finding, message=message)

    def _judge(self, last: LastRun | None, now: datetime, unread: RemoteError | None) -> Finding:
        if unread is not None:
            return unread_runs(unread, last)
        if last is not None and not _run("", last).is_final:
            return Finding(UNKNOWN, "Running", f"Run {last.id} is under way.")
        due = self._due(last)
        if due is not None and now > due + self._tolerance():
            return Finding(FALSE, "Overdue", _overdue(last, due))
        if last is None:
            return Finding(UNKNOWN, "NoRunYet", "The flow has not run yet.")
        return _result(last)

    def has_said(self, last: LastRun | None, now: datetime, unread: RemoteError | None) -> bool:
        """Whether the condition tells of this run already, whatever became of its work since."""
        finding, said = self.judge(last, now, unread), self.said
        if said is None or (said.status, said.reason) != (finding.status, finding.reason):
            return False
        return finding.reason == GIVEN_UP or said.message.startswith(self._judge(last, now, unread).message)

    def _due(self, last: LastRun | None) -> datetime | None:
        """When the next run was to begin; None if none is to be expected. What lies before the resource
        became Ready does not count: the flow may have been disabled, or another one, until then.
        """
        if self.ready_since is None or not self.enabled:
            return None
        if self.takes_files:
            return self._due_for_files()
        period = timedelta(seconds=period_seconds(self.schedule) or 0.0)
        if last is None:
            if self.first_start is None:
                return None
            return self.first_start if self.first_start >= self.ready_since else self.ready_since + period
        if not period:
            return None
        begun = last.start_time or last.completion_time or self.ready_since
        return max(begun, self.ready_since) + period

    def _due_for_files(self) -> datetime | None:
        """When a run was to take the oldest file. Whether a flow without new files runs at all is not
        documented (landing-zone.md E.3), so none is expected.
        """
        seconds = period_seconds(self.schedule)
        if self.oldest_file is None or self.first_start is None or self.ready_since is None:
            return None
        since = max(self.oldest_file, self.ready_since)
        if since <= self.first_start or seconds is None:
            return self.first_start
        period = timedelta(seconds=seconds)
        return self.first_start + -((self.first_start - since) // period) * period

    def _tolerance(self) -> timedelta:
        share = LATE_SHARE * (period_seconds(self.schedule) or 0.0)
        return timedelta(seconds=max(share, LEAST_LATE_SECONDS))


@step(RUNS_HEALTHY)
async def record_runs(pass_: DataflowPass, inventory: Inventory, flow: Flow | Listed | None = None) -> None:
    """Record the last runs and say whether they are healthy; an event once, when they are not. ``flow`` is
    the flow, if it was read in this pass.
    """
    if pass_.recorded_id is None:
        return
    note_requested_runs(pass_)
    known = inventory.last_run(pass_.recorded_id)
    if known is None and pass_.status.last_run is None and flow is not None:
        known = flow.last_run  # a flow that was found, before the first listing of runs
    record = RunRecord.of_pass(pass_)
    last = last_run(known) if known else record.last
    recorded, found = pass_.status.recent_runs or (), list(inventory.found_runs(pass_.recorded_id))
    if known is not None and known.id not in {run.id for run in recorded} | {run.id for run in found}:
        found.append(known)
    runs = merge(recorded, found, of_files=record.takes_files)
    recent = newest(runs)
    retries = follow(pass_.status.run_retries or (), recent, record.retry_limit, pass_.utcnow)
    pass_.record(
        last_run=last,
        recent_runs=recent or None,
        run_retries=retries or None,
        totals=with_runs(pass_.status.totals, runs, recorded),
        ingested=after_runs(pass_.status.ingested, runs, takes_files=record.takes_files),
    )
    is_told = RUNS_HEALTHY.name in pass_.findings or record.has_said(
        last, pass_.utcnow, inventory.unread_runs
    )
    finding = tell_runs(pass_, inventory.unread_runs)
    if finding.status == FALSE and not is_told:
        pass_.record_event(f"Run{finding.reason}", "Run", finding.message, EventType.WARNING)


def tell_runs(pass_: DataflowPass, unread: RemoteError | None = None) -> Finding:
    """Say what status knows of the runs by now."""
    record = RunRecord.of_pass(pass_)
    finding = record.judge(record.last, pass_.utcnow, unread)
    pass_.set_condition(RUNS_HEALTHY, finding.status, finding.reason, finding.message)
    return finding


def _retry_limit(pass_: DataflowPass) -> int:
    """Files of the landing zone have retries of their own, which begin with the file."""
    reads_itself = pass_.status.transport is not Transport.LANDING_ZONE
    is_ours = reads_itself and pass_.spec.ingestion.enabled and not pass_.observes
    return (pass_.spec.retry_limit or 0) if is_ours else 0


def last_run(run: Run) -> LastRun:
    """A run as status shows it."""
    metrics = run.metrics or RunMetrics()
    return LastRun(
        id=run.id,
        state=run.state or None,
        start_time=instant_of(run.started_at),
        completion_time=instant_of(run.completed_at),
        records=records_of(metrics),
        bytes=bytes_of(metrics),
        errors=tuple(
            RunErrorStatus(code=error.code, message=error.message, records=error.record_count)
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
        errors=tuple(RunError(error.code, error.message, error.records) for error in last.errors or ()),
    )


def _result(last: LastRun) -> Finding:
    run, metrics = f"Run {last.id}", _run("", last).metrics or RunMetrics()
    read, written = metrics.records_read, metrics.records_written
    counts = ((metrics.records_skipped, "skipped"), (metrics.records_failed, "refused"))
    left = "".join(f" and {what} {count}" for count, what in counts if count)
    match last.state:
        case RunState.SUCCESS | RunState.PARTIAL_SUCCESS if written == 0 and read:
            text = f"{run} read {_records(read)}{left}{',' if left else ''} and ingested none.{_errors(last)}"
            return Finding(FALSE, "NothingIngested", text)
        case RunState.SUCCESS if not last.errors:
            if written == 0:
                text = f"{run} succeeded; there was nothing new to read."
                return Finding(TRUE, "NothingIngested", text)
            return Finding(TRUE, "Succeeded", f"{run} succeeded.")
        case RunState.SUCCESS | RunState.PARTIAL_SUCCESS if metrics.lost_none:
            text = f"{run} {_all(metrics)}{_although(last)}.{_errors(last)}"
            return Finding(FALSE, "SucceededWithWarnings", text)
        case RunState.SUCCESS | RunState.PARTIAL_SUCCESS:
            text = f"{run} ingested {_records(written)}{left}.{_errors(last)}"
            return Finding(FALSE, "PartiallySucceeded", text)
        case _:
            return Finding(FALSE, "Failed", f"{run} ended as {last.state or 'unknown'}.{_errors(last)}")


def _all(metrics: RunMetrics) -> str:
    """That a run ingested everything, in words that fit the number."""
    match metrics.records_written:
        case None:
            return "refused no record"
        case 0:
            return "had no record to ingest"
        case 1:
            return "ingested the only record"
        case count:
            return f"ingested all {count} records"


def _although(last: LastRun) -> str:
    """Why that is not all."""
    if not last.errors:
        return ", but Platform calls it a partial success"
    codes = {error.code.partition("-")[0].upper() for error in last.errors}
    if codes == {_MAPPER} and (last.records is None or last.records.written != 0):
        return (
            ", but some values could not be transformed and are null: correct them in Zoho CRM, or the "
            "mapping"
        )
    return ", but reports errors"


def unread_runs(error: RemoteError, last: LastRun | None) -> Finding:
    """Runs can't be listed, while the flow goes on."""
    known = f" The last run that is known is {last.id}, {last.state or 'unknown'}." if last else ""
    return Finding(
        UNKNOWN, "RunsUnreadable", f"The runs of the flow can't be listed. {explain(error)}{known}"
    )


def _overdue(last: LastRun | None, due: datetime) -> str:
    before = f"the last one, {last.id}, ended as {last.state or 'unknown'}" if last else "it has never run"
    return (
        f"A run was due at {due:%Y-%m-%dT%H:%M:%SZ}, and none has begun; {before}. Look at the flow in "
        "Platform under Sources, Dataflows."
    )


def _errors(last: LastRun) -> str:
    """Why, as far as it is known here, and where there is more."""
    if not last.errors:
        return " Look at the run in Platform under Sources, Dataflows."
    error = last.errors[0]
    shown = shorten(error.message, ERROR_SHOWN)
    has_more = len(last.errors) > 1 or shown != error.message
    text = ": ".join(filter(None, (error.code, shown.rstrip("."))))
    return f" {text}.{' status.lastRun shows the rest.' if has_more else ''}"


def _records(count: int | None) -> str:
    if count is None:
        return "some records"
    return "no record" if count == 0 else "1 record" if count == 1 else f"{count} records"


def _said(conditions: Conditions) -> Finding | None:
    condition = conditions.get(RUNS_HEALTHY.name)
    return Finding(condition.status, condition.reason, condition.message) if condition else None


def _oldest(pending: object) -> datetime | None:
    windows = pending if isinstance(pending, list) else []
    times = (instant(text_at(window, "file", "completionTime")) for window in windows)
    return min((time for time in times if time is not None), default=None)


def _ready_since(conditions: Conditions) -> datetime | None:
    ready = conditions.get(READY)
    if ready is None or ready.status != TRUE:
        return None
    return instant(ready.last_transition_time)
