"""The steps of a run through Platform's own source: Platform is asked for a run, once, and it is followed.

``POST /runs`` and a re-trigger bear no mark of who asked (platform.md 7.2, 7.3). So what is asked for is
written into status first, with the runs that there were. Where the answer was lost, the run is looked for; it
is never asked for a second time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from crmflow.aep.collection import OfFlow, WithIds
from crmflow.aep.flow_service import FLOWS, RUNS
from crmflow.aep.models import Run, RunState
from crmflow.api.crmdataflow import CRMDataflowStatus, LastRun, RunWindow
from crmflow.api.crmdataflowrun import RunRequest, RunResult
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, WaitingError, explain, is_refusal
from crmflow.reconcile.core.reading import text_at
from crmflow.reconcile.dataflow import steps
from crmflow.reconcile.dataflow.recent_runs import recent_run
from crmflow.reconcile.dataflow.runs import last_run
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.transfer_orders import CURSOR
from crmflow.reconcile.external.flow import ENABLED
from crmflow.reconcile.extraction.rhythm import BEGINNING
from crmflow.reconcile.ports import Platform, ResourceView
from crmflow.reconcile.run.choose import RunAgain, RunOnDemand
from crmflow.reconcile.run.conditions import COMPLETE
from crmflow.reconcile.run.state import RunPass, failed, run_failed, succeeded

LOOK_SECONDS = 30.0
"""How often a run that is under way is looked at."""
SHOWS_WITHIN = timedelta(minutes=30)
"""A run that was asked for shows in listings by then, or it was never begun."""
CLOCKS_DIFFER = timedelta(minutes=5)
_MOST_KNOWN = 100


@step(COMPLETE)
async def request_run(
    pass_: RunPass, dataflow: ResourceView, choice: RunAgain | RunOnDemand
) -> RunResult | None:
    """Platform is asked for the run, which status tells before; how it ends if that is refused. Raises
    PassEndedError and RemoteError.
    """
    flow = dataflow.status.flow
    if (flow.state or "").lower() != ENABLED:
        raise _not_enabled(flow.id)
    platform = await _reach(pass_, dataflow)
    flow_id, again = flow.id, isinstance(choice, RunAgain)
    since = (pass_.utcnow - SHOWS_WITHIN).timestamp()
    known = [run.id for run in await platform.list(RUNS, OfFlow(flow_id, since))]
    pass_.record(
        dataflow_uid=dataflow.uid,
        transport=dataflow.status.transport,
        platform=dataflow.status.platform,
        start_time=pass_.utcnow,
        window=choice.run.window if isinstance(choice, RunAgain) else choice.window,
        request=RunRequest(
            flow_id=flow_id,
            retried_run=choice.run.id if isinstance(choice, RunAgain) else None,
            request_time=pass_.utcnow,
            known_runs=tuple(known[:_MOST_KNOWN]),
        ),
    )
    await pass_.journal.checkpoint()
    try:
        if isinstance(choice, RunAgain):
            made = await platform.retry_run(choice.run.id)
        else:
            begin, column = choice.window.start or BEGINNING, await _delta_column(platform, flow_id)
            made = await platform.start_run(flow_id, pass_.now, (begin, choice.window.end), column)
    except RemoteError as error:
        if error.maybe_applied:
            raise
        pass_.record(request=None, start_time=None, window=None)
        if error.reason == "FlowNotEnabled":
            raise _not_enabled(flow_id) from error
        if is_refusal(error) or error.error_class is ErrorClass.CONFLICT:
            what = "run it again" if again else "run the flow"
            return failed("Refused", f"Platform does not {what}: {explain(error)}")
        raise
    pass_.record(run=LastRun(id=made.id))
    pass_.record_event("RunRequested", "Run", f"Asked Platform for run {made.id} of flow {flow_id}.")
    return None


@step(COMPLETE)
async def follow_run(pass_: RunPass, dataflow: ResourceView) -> RunResult:
    """The run that was asked for has ended; how. Raises PassEndedError and RemoteError until then."""
    platform, request, known = await _reach(pass_, dataflow), pass_.status.request, pass_.status.run
    if request is None:
        raise ValueError("a run is followed once it was asked for")
    if known is not None:
        found = next(iter(await platform.list(RUNS, WithIds((known.id,)))), None)
    else:
        found = await _look_for(platform, request, pass_.status.window)
    if found is not None:
        pass_.record(run=last_run(found))
        if found.is_final:
            return _ending(found, pass_.status.window)
    if not _has_flow(dataflow.status, request.flow_id):
        return failed(
            "FlowReplaced",
            f"Flow {request.flow_id} was replaced before its run had ended. Create another CRMDataflowRun.",
        )
    if found is not None:
        raise WaitingError("Running", f"Run {found.id} is under way.", retry_after=LOOK_SECONDS)
    if pass_.utcnow - request.request_time < SHOWS_WITHIN:
        text = "Platform was asked for a run, which does not show yet."
        raise WaitingError("Requested", text, retry_after=LOOK_SECONDS)
    return failed(
        "RequestLost",
        f"The answer to a request of {request.request_time:%Y-%m-%dT%H:%M:%SZ} was lost, and no run of it "
        "has shown since. Look at the flow in Platform under Sources, Dataflows, and create another "
        "CRMDataflowRun if the run is not there.",
    )


def _not_enabled(flow_id: str) -> PassEndedError:
    text = f"Flow {flow_id} of the dataflow is on its way to be enabled; Platform runs no other."
    return WaitingError("DataflowNotReady", text, retry_after=LOOK_SECONDS / 2)


async def _reach(pass_: RunPass, dataflow: ResourceView) -> Platform:
    """Platform as the dataflow reaches it. Raises PassEndedError and RemoteError."""
    seen = DataflowPass(
        services=pass_.services,
        identity=pass_.identity,
        generation=pass_.generation,
        spec=dataflow.spec,
        status=dataflow.status,
        conditions=pass_.conditions,
        observed_generation=pass_.observed_generation,
        journal=pass_.journal,
    )
    _, sandbox = await steps.reach_sandbox(seen)
    return sandbox.platform


async def _delta_column(platform: Platform, flow_id: str) -> str:
    """The column by which a window is told: the one that the flow has from an earlier run on demand, which
    may not differ (1382). Raises RemoteError.
    """
    flow = await platform.get(FLOWS, flow_id)
    copies = (entry for entry in flow.transformations if str(entry.get("name", "")).lower() == "copy")
    return next((name for copy in copies if (name := text_at(copy, "params", "deltaColumn", "name"))), CURSOR)


async def _look_for(platform: Platform, request: RunRequest, window: RunWindow | None) -> Run | None:
    """The first run that has shown since the request and can be the one that was asked for. Raises
    RemoteError.
    """
    since = (request.request_time - CLOCKS_DIFFER).timestamp()
    runs = await platform.list(RUNS, OfFlow(request.flow_id, since))
    fitting = [run for run in runs if run.id not in request.known_runs and _fits(run, window)]
    return min(fitting, key=lambda run: run.started_at or float("inf"), default=None)


def _fits(run: Run, window: RunWindow | None) -> bool:
    shown = recent_run(run, of_files=False).window
    return shown is None or window is None or _same(shown, window)


def _same(one: RunWindow, other: RunWindow) -> bool:
    return (_begin(one), one.end) == (_begin(other), other.end)


def _begin(window: RunWindow) -> datetime:
    return window.start or BEGINNING


def _ending(run: Run, asked: RunWindow | None) -> RunResult:
    shown = recent_run(run, of_files=False).window
    if shown is not None and asked is not None and not _same(shown, asked):
        return failed(
            "WindowMisread",
            f"Platform has taken the window for {_begin(shown):%Y-%m-%dT%H:%M:%SZ} to "
            f"{shown.end:%Y-%m-%dT%H:%M:%SZ}, so run {run.id} has read something else. Please report it.",
        )
    metrics = run.metrics
    count = metrics.records_written if metrics else None
    records = "some records" if count is None else "1 record" if count == 1 else f"{count} records"
    match run.state:
        case RunState.SUCCESS:
            return succeeded("Succeeded", f"Run {run.id} ingested {records}.")
        case RunState.PARTIAL_SUCCESS:
            return succeeded(
                "PartiallySucceeded",
                f"Run {run.id} ingested {records} and refused others; kubectl crmflow errors shows them.",
            )
        case _:
            return run_failed(run)


def _has_flow(status: CRMDataflowStatus, flow_id: str) -> bool:
    """Whether the flow is still one of the dataflow's; the one that is being replaced is, too."""
    records = (status, status.predecessor)
    return any(one is not None and one.flow is not None and one.flow.id == flow_id for one in records)
