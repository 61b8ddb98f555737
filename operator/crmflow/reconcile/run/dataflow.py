"""The steps of a run that come before all others: its dataflow, and its turn among the runs of that."""

from __future__ import annotations

from datetime import timedelta

from crmflow.api.crmdataflowrun import RunResult
from crmflow.api.kinds import CRM_DATAFLOW, CRM_DATAFLOW_RUN
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import WaitingError
from crmflow.reconcile.dataflow.requested_runs import ended_runs, to_note
from crmflow.reconcile.ports import ResourceView
from crmflow.reconcile.run.choose import has_run
from crmflow.reconcile.run.conditions import COMPLETE
from crmflow.reconcile.run.state import RunPass, failed

NOTED_SECONDS = 2.0
"""When to look again whether the dataflow has taken note of a run: its end has woken it."""
NOTED_WITHIN = timedelta(minutes=1)
"""A dataflow that is Stalled or paused may never take note of a run; its deletion waits no longer."""
TURN_SECONDS = 15.0
"""When to look again whether another run has ended, which wakes nobody but their dataflow."""


@step(COMPLETE)
async def find_dataflow(pass_: RunPass) -> ResourceView | RunResult:
    """The dataflow, or how the run ends without it. Raises PassEndedError."""
    own, name = pass_.identity, pass_.spec.dataflow_ref.name
    found = pass_.services.lister.get(CRM_DATAFLOW, own.namespace, name)
    view = None if found is None or found.deleting else found
    has_begun = pass_.status.start_time is not None
    if has_begun and (view is None or view.uid != pass_.status.dataflow_uid):
        return failed(
            "DataflowDeleted", f'CRMDataflow "{name}" was deleted before the run had ended. Its data stays.'
        )
    if view is None:
        raise WaitingError(
            "DataflowNotFound",
            f'CRMDataflow "{name}" does not exist in namespace "{own.namespace}". Create it, or create '
            "another CRMDataflowRun with the right spec.dataflowRef.",
        )
    if view.spec.paused:
        text = f'CRMDataflow "{name}" is paused: nothing is read from or written to Zoho and Platform for it.'
        raise WaitingError("DataflowPaused", text, retry_after=TURN_SECONDS)
    return view


@step(COMPLETE)
async def take_turn(pass_: RunPass, dataflow: ResourceView) -> RunResult | None:
    """Nothing else is being run for the dataflow, and this run is none that was carried out before; how it
    ends if it is. Raises PassEndedError.
    """
    own, status = pass_.identity, dataflow.status
    if has_run(pass_.spec, own.name, status.recent_runs or ()):
        return failed(
            "AlreadyRan",
            f"status.recentRuns of the dataflow has a run that {own.name} asked for, of the same window: it "
            "was made anew. Give another run another name, such as with metadata.generateName and kubectl "
            "create.",
        )
    if (first := _older_run(pass_)) is not None:
        text = f'CRMDataflowRun "{first}" of the same dataflow comes first.'
        raise WaitingError("WaitingForRun", text, retry_after=TURN_SECONDS)
    if unnoted := _unnoted(pass_, dataflow):
        text = (
            f'CRMDataflowRun "{unnoted[0]}" has ended, and the dataflow has yet to take note of what it has '
            "read. Should that last, the conditions of the dataflow say why."
        )
        raise WaitingError("WaitingForRun", text, retry_after=NOTED_SECONDS)
    if status.flow is None or status.transport is None:
        text = f'CRMDataflow "{pass_.spec.dataflow_ref.name}" has no flow yet; its conditions say why.'
        raise WaitingError("DataflowNotReady", text)
    return None


@step()
async def let_dataflow_note(pass_: RunPass) -> None:
    """The dataflow has taken note of a run that has ended and is being deleted: what was read would count for
    nothing else, and be read again. A dataflow that does not is waited for no longer than
    ``NOTED_WITHIN``. Raises PassEndedError.
    """
    found = pass_.services.lister.get(CRM_DATAFLOW, pass_.identity.namespace, pass_.spec.dataflow_ref.name)
    ended = pass_.status.completion_time
    if found is None or ended is None or pass_.utcnow - ended >= NOTED_WITHIN:
        return
    if pass_.identity.name in _unnoted(pass_, found):
        text = "The dataflow is to take note of what the run has read."
        raise WaitingError("WaitingForDataflow", text, retry_after=NOTED_SECONDS)


def _older_run(pass_: RunPass) -> str | None:
    """The oldest run of the same dataflow that has not ended, if that is another one."""
    own = pass_.identity
    runs = sorted(
        (one.created, one.name)
        for one in pass_.services.lister.referrers(CRM_DATAFLOW, own.namespace, pass_.spec.dataflow_ref.name)
        if one.kind == CRM_DATAFLOW_RUN.kind and one.ended is None
    )
    name = runs[0][1] if runs else own.name
    return name if name != own.name else None


def _unnoted(pass_: RunPass, dataflow: ResourceView) -> list[str]:
    """The runs that have ended, and that the dataflow does not have in its history yet."""
    lister, namespace = pass_.services.lister, pass_.identity.namespace
    ended = ended_runs(lister, namespace, pass_.spec.dataflow_ref.name, dataflow.uid)
    return [name for name, status in ended if to_note(dataflow.status, name, status) is not None]
