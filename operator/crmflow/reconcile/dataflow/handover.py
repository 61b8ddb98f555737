"""Where a flow that is being replaced ends and its successor begins, and how the one makes room for the
other (design.md 5).

Flows of Platform's own source can't be told where to begin: the successor starts with a coming run of the
predecessor, which goes on until that run is final. Where we read Zoho CRM ourselves, the predecessor is
disabled first, and the successor's windows begin where the runs of the predecessor have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from crmflow.aep.collection import OfFlow
from crmflow.aep.flow_service import RUNS
from crmflow.aep.models import Flow, Run, RunState
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import CRMDataflowStatus, Predecessor, ReadsFrom
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.act import carry_out
from crmflow.reconcile.core.conditions import TRUE
from crmflow.reconcile.core.engine import step, together
from crmflow.reconcile.core.outcome import WaitingError
from crmflow.reconcile.core.plan import Plan, patch
from crmflow.reconcile.dataflow.conditions import SYNCED
from crmflow.reconcile.dataflow.deletion import delete_predecessor
from crmflow.reconcile.dataflow.extracting import Extracting
from crmflow.reconcile.dataflow.extraction_due import rhythm_of
from crmflow.reconcile.dataflow.extraction_report import instant
from crmflow.reconcile.dataflow.extraction_status import moved, to_status
from crmflow.reconcile.dataflow.plan import ONCE, set_state
from crmflow.reconcile.dataflow.replacement_plan import Progress
from crmflow.reconcile.dataflow.schedule import START_MARGIN_SECONDS, flow_period, period_seconds
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream, fields_of
from crmflow.reconcile.external.flow import DISABLED, ENABLED, FLOW
from crmflow.reconcile.extraction.pending import RUN_SHOWS_WITHIN
from crmflow.reconcile.extraction.rhythm import Rhythm

MARGIN = timedelta(minutes=2)
"""A run that is to hand over has to be so far away: the successor must exist by then."""
RUNS_BACK = timedelta(days=30)
"""So far back a flow's last success is looked for before all of its runs are."""
LOOK_EVERY = timedelta(seconds=30)
"""How often a flow that is being disabled, or a run that is not final, is looked at."""


async def progress_of(pass_: DataflowPass, upstream: Upstream) -> Progress:
    """How far the flow has come that status records. Raises RemoteError."""
    status = pass_.status
    if status.transport is Transport.LANDING_ZONE:
        if status.extraction is None:
            return Progress(Transport.LANDING_ZONE, has_read=False)
        pending = (one.start for one in status.pending_windows or ())
        until = min((*pending, status.extraction.cursor))
        return Progress(Transport.LANDING_ZONE, has_read=True, until=until)
    succeeded = await _last_success(pass_, upstream)
    if succeeded is None:
        return Progress(Transport.PLATFORM_SOURCE, has_read=False)
    if succeeded.window is not None:
        return Progress(Transport.PLATFORM_SOURCE, has_read=True, until=_at(succeeded.window[1]))
    begun = _at(succeeded.started_at or succeeded.completed_at or 0.0)
    period = timedelta(seconds=period_seconds(pass_.spec.schedule) or 0.0)
    return Progress(Transport.PLATFORM_SOURCE, has_read=True, until=begun - period, is_exact=False)


@step(SYNCED)
async def make_room(pass_: DataflowPass, upstream: Upstream) -> None:
    """The predecessor lets the successor begin where the plan says. Raises PassEndedError and RemoteError."""
    status, plan = pass_.status, pass_.status.plan
    predecessor = status.predecessor
    if predecessor is None or plan is None or status.flow is not None:
        return
    if predecessor.transport is Transport.LANDING_ZONE and status.extraction is None:
        await _end_jobs(pass_)
    if plan.reads.begin is ReadsFrom.NEXT_RUN:
        await _agree_on_a_run(pass_, upstream, predecessor)
    elif plan.reads.begin is ReadsFrom.PREDECESSOR and status.extraction is None:
        await _stop(pass_, upstream, predecessor)
        until = await _end_of(pass_, upstream, predecessor)
        pass_.record(extraction=moved(None, until, pass_.utcnow))
        await pass_.journal.checkpoint()


@step(SYNCED)
async def end_predecessor(pass_: DataflowPass, upstream: Upstream) -> None:
    """The predecessor is gone, once the successor has taken its place, and its names are the successor's.
    Until then ``Synced`` says what is waited for. Raises RemoteError.
    """
    predecessor = pass_.status.predecessor
    if predecessor is None:
        if pass_.status.slot_revision is not None:
            await _take_the_names(pass_, upstream)
        return
    if not (predecessor.irreversible or is_reversible(pass_)):
        predecessor = predecessor.model_copy(update={"irreversible": True})
        pass_.record(predecessor=predecessor)
    old = await _old_flow(upstream, predecessor)
    if old is not None:
        waits = await _waits_for_a_run(pass_, upstream, old) or await _waits_for_its_state(
            pass_, upstream, old
        )
        if waits:
            text = f"The flow is what the spec says. {waits}"
            pass_.set_condition(SYNCED, TRUE, "Replacing", text)
            return
    try:
        await delete_predecessor(pass_, upstream.sandbox, pass_.status.predecessor or predecessor)
    except RemoteError as error:
        if error.error_class not in (ErrorClass.IN_USE, ErrorClass.WAIT):
            raise
        _look_soon(pass_)
        text = "Waiting until Platform lets go of what the flow replaces."
        pass_.set_condition(SYNCED, TRUE, "Replacing", text)
        return
    await _take_the_names(pass_, upstream)


def is_reversible(pass_: DataflowPass) -> bool:
    """Whether the successor can't have read anything yet."""
    status = pass_.status
    if status.predecessor is not None and status.predecessor.irreversible:
        return False
    if status.flow is None:
        return True
    start = status.schedule.effective_start_time if status.schedule else None
    is_platform = status.transport is Transport.PLATFORM_SOURCE
    return is_platform and start is not None and start.timestamp() > pass_.now + START_MARGIN_SECONDS


# Before there is a successor


async def _agree_on_a_run(pass_: DataflowPass, upstream: Upstream, predecessor: Predecessor) -> None:
    """Which run of the predecessor the successor begins with, if there is one to come."""
    known = predecessor.handover_time
    if known is not None and known - pass_.utcnow >= MARGIN / 2:
        return
    old = await _old_flow(upstream, predecessor)
    rhythm = _rhythm(pass_, old) if old is not None and old.state.lower() == ENABLED else None
    time = rhythm.next_tick(pass_.utcnow + MARGIN) if rhythm else None
    pass_.record(predecessor=predecessor.model_copy(update={"handover_time": time}))


async def _stop(pass_: DataflowPass, upstream: Upstream, predecessor: Predecessor) -> None:
    """The predecessor is disabled, and its runs are final. Raises PassEndedError."""
    old = await _old_flow(upstream, predecessor)
    if old is None or old.schedule.frequency == ONCE:
        return
    if old.state.lower() == ENABLED:
        await carry_out(pass_, upstream.sandbox, set_state(old, DISABLED))
    if old.state.lower() != DISABLED:
        raise WaitingError("Replacing", f"Waiting until flow {old.id} is disabled.", transition=True)
    if predecessor.disabled_time is None:
        predecessor = predecessor.model_copy(update={"disabled_time": pass_.utcnow})
        pass_.record(predecessor=predecessor)
    if pass_.services.foresees:
        return
    runs = await _runs(upstream, old.id, pass_.now - RUNS_BACK.total_seconds())
    if any(not run.is_final for run in runs):
        text = f"Waiting until the last run of flow {old.id} has ended."
        raise WaitingError("Replacing", text, retry_after=LOOK_EVERY.total_seconds())
    shows = _last_run_shows(_rhythm(pass_, old), predecessor.disabled_time or pass_.utcnow, runs)
    if shows is not None and shows > pass_.utcnow:
        text = f"Waiting until the last run of flow {old.id} shows, if there was one."
        raise WaitingError("Replacing", text, retry_after=shows.timestamp() - pass_.now)


async def _end_jobs(pass_: DataflowPass) -> None:
    """Nothing is read for the predecessor any more. Raises PassEndedError until then."""
    if not await pass_.services.transfers.delete_all(pass_.identity.uid):
        text = "Waiting until the Job ends that reads for the flow that is being replaced."
        raise WaitingError("Replacing", text, retry_after=2.0)


async def _end_of(pass_: DataflowPass, upstream: Upstream, predecessor: Predecessor) -> datetime:
    """Until when the predecessor, which has ended, has read. Raises RemoteError."""
    before = replace(pass_, status=_as_it_was(pass_, predecessor), findings={}, events=[])
    if predecessor.transport is Transport.LANDING_ZONE:
        pending = await Extracting(before, upstream, rhythm_of(before), None).not_ingested()
        before.record(pending_windows=to_status(pending))
    progress = await progress_of(before, upstream)
    planned = pass_.status.plan.reads.since if pass_.status.plan else None
    return progress.until or planned or pass_.utcnow


def _as_it_was(pass_: DataflowPass, predecessor: Predecessor) -> CRMDataflowStatus:
    return pass_.status.model_copy(update={**fields_of(predecessor), "predecessor": None})


# Beside a successor


async def _waits_for_a_run(pass_: DataflowPass, upstream: Upstream, old: Flow) -> str | None:
    """What the predecessor still has to read, or the successor to show; None if nothing."""
    predecessor, status = pass_.status.predecessor, pass_.status
    start = status.schedule.effective_start_time if status.schedule else None
    now = pass_.utcnow
    if predecessor is None or not pass_.spec.ingestion.enabled or start is None or pass_.services.foresees:
        return None
    if predecessor.handover_time is not None and predecessor.disabled_time is None:
        if now < start:
            pass_.look_again(start)
            return f"Flow {old.id}, which it replaces, goes on until its run at {instant(start)} has ended."
        rhythm = _rhythm(pass_, old)
        is_over = rhythm is None or rhythm.period is None or now >= start + rhythm.period
        if not is_over and not await _has_run(upstream, old.id, start):
            _look_soon(pass_)
            return f"Waiting until the run of flow {old.id} at {instant(start)} has ended."
    return None


async def _waits_for_its_state(pass_: DataflowPass, upstream: Upstream, old: Flow) -> str | None:
    """The predecessor is disabled, and the successor has shown that it reads; what is waited for if not."""
    if old.state.lower() == ENABLED and old.schedule.frequency != ONCE:
        await carry_out(pass_, upstream.sandbox, set_state(old, DISABLED))
        _look_soon(pass_)
        return f"Waiting until flow {old.id}, which it replaces, is disabled."
    predecessor = pass_.status.predecessor
    if predecessor is not None and predecessor.disabled_time is None:
        pass_.record(predecessor=predecessor.model_copy(update={"disabled_time": pass_.utcnow}))
    if not _has_shown(pass_):
        _look_soon(pass_)
        return f"Flow {old.id}, which it replaces, is kept until the first run of the new flow has ended."
    return None


def _has_shown(pass_: DataflowPass) -> bool:
    """Whether the first run of the successor is final, or none is to be expected any more."""
    status = pass_.status
    if not pass_.spec.ingestion.enabled or pass_.services.foresees:
        return True
    if status.last_run is not None and status.last_run.completion_time is not None:
        return True
    if status.transport is Transport.LANDING_ZONE:
        return status.extraction is not None and not status.pending_windows
    start = status.schedule.effective_start_time if status.schedule else None
    seconds = period_seconds(pass_.spec.schedule)
    if start is None:
        return True
    period = timedelta(seconds=seconds) if seconds is not None else timedelta(hours=1)
    return pass_.utcnow >= start + period


async def _take_the_names(pass_: DataflowPass, upstream: Upstream) -> None:
    """The successor's objects are found by the names that the predecessor's had. Raises RemoteError."""
    made = pass_.objects
    pass_.record(predecessor=None, slot_revision=None, plan=None)
    await pass_.journal.checkpoint()
    text = f"Flow {pass_.recorded_id} has taken the place of the one before."
    pass_.record_event("Replaced", "Replace", text)
    remotes = await together(*(upstream.sandbox.read(kind, kind.id_in(pass_.status)) for kind in made))
    spec, identity = pass_.spec, pass_.identity
    renamed = [
        action
        for kind, remote in zip(pass_.objects, remotes, strict=True)
        if remote is not None
        for action in patch(kind, kind.named(identity, spec.display_name, spec.description), remote)
    ]
    await carry_out(pass_, upstream.sandbox, Plan(tuple(renamed)))


# Runs and ticks


async def _old_flow(upstream: Upstream, predecessor: Predecessor) -> Flow | None:
    """The predecessor's flow; None if it is gone, provably. Raises PassEndedError and RemoteError."""
    flow_id = predecessor.flow.id if predecessor.flow else None
    flow = await upstream.sandbox.read(FLOW, flow_id)
    if flow is None and flow_id is not None:
        await upstream.sandbox.absence(FLOW, flow_id, f"flow {flow_id}")
    return flow


async def _last_success(pass_: DataflowPass, upstream: Upstream) -> Run | None:
    """The last run that read something into Platform; one of long ago only if there is no other."""
    if pass_.recorded_id is None:
        return None
    for since in (pass_.now - RUNS_BACK.total_seconds(), 0.0):
        runs = await _runs(upstream, pass_.recorded_id, since)
        succeeded = [run for run in runs if run.state in (RunState.SUCCESS, RunState.PARTIAL_SUCCESS)]
        if succeeded:
            return max(succeeded, key=lambda run: run.started_at or 0.0)
    return None


async def _has_run(upstream: Upstream, flow_id: str, start: datetime) -> bool:
    """Whether the flow's run of that time is final."""
    since = (start - timedelta(minutes=1)).timestamp()
    runs = [run for run in await _runs(upstream, flow_id, since) if (run.started_at or since) >= since]
    return bool(runs) and all(run.is_final for run in runs)


async def _runs(upstream: Upstream, flow_id: str, since: float) -> Sequence[Run]:
    return await upstream.sandbox.platform.list(RUNS, OfFlow(flow_id, max(since, 0.0)))


def _rhythm(pass_: DataflowPass, flow: Flow) -> Rhythm | None:
    """When a flow runs, as Platform has it."""
    schedule = flow.schedule
    period = flow_period(schedule.frequency, schedule.interval)
    if schedule.start_time is None or period is None:
        return None
    return pass_.services.extraction_settings.rhythm(_at(schedule.start_time), period)


def _last_run_shows(rhythm: Rhythm | None, disabled: datetime, runs: Sequence[Run]) -> datetime | None:
    """By when the run shows that was the last one before a flow was disabled; None if it does already."""
    if rhythm is None or rhythm.period is None or disabled < rhythm.start:
        return None
    tick = rhythm.start + ((disabled - rhythm.start) // rhythm.period) * rhythm.period
    if any((run.started_at or 0.0) >= tick.timestamp() for run in runs):
        return None
    return tick + RUN_SHOWS_WITHIN


def _look_soon(pass_: DataflowPass) -> None:
    pass_.look_again(pass_.utcnow + LOOK_EVERY)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
