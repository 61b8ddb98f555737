"""The runs of a dataflow that CRMDataflowRuns asked for: noted in its history, and its windows go on behind
them.
"""

from __future__ import annotations

from collections.abc import Iterable

from crmflow.api.base import Transport
from crmflow.api.crmdataflow import LastRun, RecentRun
from crmflow.api.crmdataflowrun import CRMDataflowRunStatus
from crmflow.api.kinds import CRM_DATAFLOW, CRM_DATAFLOW_RUN
from crmflow.reconcile.dataflow.extraction_status import moved
from crmflow.reconcile.dataflow.recent_runs import in_short, newest
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.totals import with_runs
from crmflow.reconcile.extraction.rhythm import BEGINNING
from crmflow.reconcile.ports import Referrer

MOST_NOTED = 10
"""So many of those that ended last are looked at: the history has no room for more."""


def note_requested_runs(pass_: DataflowPass) -> None:
    """Take the runs that have ended into the history, each once. Costs no call."""
    ended = sorted((one for one in _requested(pass_) if one.ended), key=lambda one: one.ended or "")
    for one in ended[-MOST_NOTED:]:
        status = _status(pass_, one)
        if status is not None:
            _note(pass_, one.name, status)


def run_ahead(pass_: DataflowPass) -> str | None:
    """The CRMDataflowRun that is reading what the next window would begin with, if there is one."""
    extraction = pass_.status.extraction
    if extraction is None:
        return None
    for one in _requested(pass_):
        status = _status(pass_, one) if one.ended is None else None
        if status is not None and _covers(status, pass_):
            return one.name
    return None


def _requested(pass_: DataflowPass) -> Iterable[Referrer]:
    own = pass_.identity
    return (
        one
        for one in pass_.services.lister.referrers(CRM_DATAFLOW, own.namespace, own.name)
        if one.kind == CRM_DATAFLOW_RUN.kind
    )


def _status(pass_: DataflowPass, one: Referrer) -> CRMDataflowRunStatus | None:
    """What a run of this dataflow, and not of an earlier one of its name, says of itself."""
    view = pass_.services.lister.get(CRM_DATAFLOW_RUN, pass_.identity.namespace, one.name)
    status: CRMDataflowRunStatus | None = view.status if view is not None else None
    return status if status is not None and status.dataflow_uid == pass_.identity.uid else None


def _note(pass_: DataflowPass, name: str, status: CRMDataflowRunStatus) -> None:
    history, run = pass_.status.recent_runs or (), status.run
    if run is None or any((one.id, one.requested_by) == (run.id, name) for one in history):
        return
    noted = _in_short(name, run, status)
    others = [one for one in history if one.id != run.id]
    pass_.record(
        recent_runs=newest([*others, noted]),
        totals=with_runs(pass_.status.totals, [noted], history),
    )
    if status.window is not None and not status.result_failed and _covers(status, pass_):
        pass_.record(extraction=moved(pass_.status.extraction, status.window.end, pass_.utcnow))


def _covers(status: CRMDataflowRunStatus, pass_: DataflowPass) -> bool:
    """Whether the run reads what the next window of the dataflow would begin with."""
    extraction, window = pass_.status.extraction, status.window
    if extraction is None or window is None or status.transport is not Transport.LANDING_ZONE:
        return False
    return (window.start or BEGINNING) <= extraction.cursor < window.end


def _in_short(name: str, run: LastRun, status: CRMDataflowRunStatus) -> RecentRun:
    error = run.errors[0] if run.errors else None
    files = status.files
    return RecentRun(
        id=run.id,
        state=run.state,
        window=status.window,
        start_time=run.start_time,
        completion_time=run.completion_time,
        records=run.records,
        bytes=run.bytes,
        files=files.count if files else None,
        cause=in_short(error.code, error.message) or None if error else None,
        requested_by=name,
        retry_of=status.request.retried_run if status.request else None,
    )
