"""The runs of a dataflow that CRMDataflowRuns asked for: noted in its history, and its windows go on behind
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crmflow.api.base import Transport
from crmflow.api.crmdataflow import CRMDataflowStatus, LastRun, RecentRun
from crmflow.api.crmdataflowrun import CRMDataflowRunStatus
from crmflow.api.kinds import CRM_DATAFLOW, CRM_DATAFLOW_RUN
from crmflow.reconcile.dataflow.extraction_status import moved
from crmflow.reconcile.dataflow.recent_runs import in_short, newest
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.totals import is_counted, with_runs
from crmflow.reconcile.extraction.rhythm import BEGINNING
from crmflow.reconcile.ports import Lister, Referrer

MOST_NOTED = 10
"""So many of those that ended last are looked at: the history has no room for more."""


def note_requested_runs(pass_: DataflowPass) -> None:
    """Take the runs that have ended into the history, each once. Costs no call."""
    own = pass_.identity
    for name, status in ended_runs(pass_.services.lister, own.namespace, own.name, own.uid):
        _note(pass_, name, status)


def ended_runs(
    lister: Lister, namespace: str, dataflow: str, uid: str
) -> Iterator[tuple[str, CRMDataflowRunStatus]]:
    """Name and status of the CRMDataflowRuns of a dataflow that ended last, the newest last."""
    ended = sorted(
        (one for one in _requested(lister, namespace, dataflow) if one.ended), key=lambda one: one.ended or ""
    )
    for one in ended[-MOST_NOTED:]:
        status = _status(lister, namespace, one, uid)
        if status is not None:
            yield one.name, status


def to_note(dataflow: CRMDataflowStatus, name: str, status: CRMDataflowRunStatus) -> RecentRun | None:
    """The run that ``name`` has asked for, as the history of its dataflow is to have it. None if it has it,
    or had it once.
    """
    run, history = status.run, dataflow.recent_runs or ()
    known = {one.id: one.requested_by for one in history}
    if run is None or known.get(run.id) == name:
        return None
    noted = _in_short(name, run, status)
    return None if run.id not in known and is_counted(noted, dataflow.totals, history) else noted


def run_ahead(pass_: DataflowPass) -> str | None:
    """The CRMDataflowRun that is reading what the next window would begin with, if there is one."""
    extraction = pass_.status.extraction
    if extraction is None:
        return None
    own, lister = pass_.identity, pass_.services.lister
    for one in _requested(lister, own.namespace, own.name):
        status = _status(lister, own.namespace, one, own.uid) if one.ended is None else None
        if status is not None and _covers(status, pass_):
            return one.name
    return None


def _requested(lister: Lister, namespace: str, dataflow: str) -> Iterable[Referrer]:
    return (
        one
        for one in lister.referrers(CRM_DATAFLOW, namespace, dataflow)
        if one.kind == CRM_DATAFLOW_RUN.kind
    )


def _status(lister: Lister, namespace: str, one: Referrer, uid: str) -> CRMDataflowRunStatus | None:
    """What a run of this dataflow, and not of an earlier one of its name, says of itself."""
    view = lister.get(CRM_DATAFLOW_RUN, namespace, one.name)
    status: CRMDataflowRunStatus | None = view.status if view is not None else None
    return status if status is not None and status.dataflow_uid == uid else None


def _note(pass_: DataflowPass, name: str, status: CRMDataflowRunStatus) -> None:
    history = pass_.status.recent_runs or ()
    noted = to_note(pass_.status, name, status)
    if noted is None:
        return
    runs = [*(one for one in history if one.id != noted.id), noted]
    pass_.record(recent_runs=newest(runs), totals=with_runs(pass_.status.totals, runs, history))
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
