"""The steps of a run through the landing zone: the window into files, a flow that takes them, and its run."""

from __future__ import annotations

from datetime import timedelta

from crmflow.aep.collection import OfFlow
from crmflow.aep.flow_service import RUNS
from crmflow.aep.models import Run, RunState
from crmflow.api.crmdataflowrun import RunResult
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import WaitingError
from crmflow.reconcile.dataflow import steps
from crmflow.reconcile.dataflow.create import create
from crmflow.reconcile.dataflow.extract import extract, extract_first, find_folder
from crmflow.reconcile.dataflow.extracting import RETRY_LIMIT
from crmflow.reconcile.dataflow.extraction_acts import Acts
from crmflow.reconcile.dataflow.flow_state import settle
from crmflow.reconcile.dataflow.runs import last_run
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.ports import ResourceView
from crmflow.reconcile.run.conditions import COMPLETE
from crmflow.reconcile.run.own_flow import OwnFlow
from crmflow.reconcile.run.state import RunPass, failed, run_failed, succeeded

LOOK_SECONDS = 30.0
"""How often the run of the flow is looked at. Polls come much more rarely."""
BEGINS_WITHIN = timedelta(hours=2)
"""After its start time a flow is expected to have run. A run is queued, and shows some minutes later
(landing-zone.md E.3)."""
_MARGIN = timedelta(hours=1)


@step(COMPLETE)
async def read_files(pass_: RunPass, dataflow: ResourceView) -> RunResult:
    """The window is read, and a flow has taken its files; how that ended. Raises PassEndedError and
    RemoteError until it has.
    """
    own = OwnFlow(pass_, dataflow.spec)
    try:
        return await _run(own)
    finally:
        own.keep()


async def _run(own: OwnFlow) -> RunResult:
    inner = own.pass_
    view, sandbox = await steps.reach_sandbox(inner)
    upstream = await steps.find_way(inner, view, sandbox)
    if inner.recorded_id is None:
        await find_folder(inner, upstream)
        if await creation.find_predecessor(inner, upstream.sandbox, inner.objects.flow) is None:
            await extract_first(inner, upstream)
            if not inner.status.pending_windows:
                return succeeded("NothingNew", "Nothing had changed in the window, so nothing was ingested.")
        await create(inner, upstream, tuple(await Acts(inner, upstream).columns()))
    elif await sandbox.read(inner.objects.flow, inner.recorded_id) is None:
        return failed(
            "FlowDeleted",
            f"Flow {inner.recorded_id} of this run was deleted before the run had ended. Create another "
            "CRMDataflowRun.",
        )
    await settle(inner, upstream, None)
    await extract(inner, upstream)
    run = await _last_run(own, upstream)
    if not inner.status.pending_windows:
        return _success(own)
    ending = _failure(inner, run)
    if ending is not None:
        return ending
    under_way = f"Run {run.id} of flow {run.flow_id}" if run else f"The run of flow {inner.recorded_id}"
    raise WaitingError("Running", f"{under_way} is to ingest the files.", retry_after=LOOK_SECONDS)


async def _last_run(own: OwnFlow, upstream: Upstream) -> Run | None:
    """The flow's last run, which status shows. Raises RemoteError."""
    flow_id, since = own.pass_.recorded_id or "", (own.outer.status.start_time or own.outer.utcnow) - _MARGIN
    runs = await upstream.sandbox.platform.list(RUNS, OfFlow(flow_id, since.timestamp()))
    last = max(runs, key=lambda run: run.started_at or float("inf"), default=None)
    if last is not None:
        own.outer.record(run=last_run(last))
    return last


def _success(own: OwnFlow) -> RunResult:
    files, run = own.outer.status.files, own.outer.status.run
    records = run.records if run else None
    written = records.written if records else None
    read = f"{files.rows if files else 0} records were read from Zoho CRM"
    if written is None:
        return succeeded("Succeeded", f"{read} and ingested.")
    return succeeded("Succeeded", f"{read}, and {written} ingested.")


def _failure(inner: DataflowPass, run: Run | None) -> RunResult | None:
    """How the run has failed; None as long as more may come of it."""
    limit = RETRY_LIMIT if inner.spec.retry_limit is None else inner.spec.retry_limit
    pending = inner.status.pending_windows or ()
    has_failed = run is not None and run.is_final and run.state == RunState.FAILED
    if run is not None and has_failed and all((one.retries or 0) >= limit for one in pending):
        return run_failed(run)
    schedule = inner.status.schedule
    start = schedule.effective_start_time if schedule else None
    if run is None and start is not None and inner.utcnow - start >= BEGINS_WITHIN:
        return failed(
            "RunNotStarted",
            f"Flow {inner.recorded_id} was to run at {start:%Y-%m-%dT%H:%M:%SZ} and has not. Nothing was "
            "ingested. Create another CRMDataflowRun.",
        )
    return None
