"""The step that has Platform run failed runs again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crmflow.api.crmdataflow import RunRetry
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.events import EventType
from crmflow.reconcile.core.act import carry_out
from crmflow.reconcile.core.outcome import explain
from crmflow.reconcile.core.plan import Action, Effect, Plan
from crmflow.reconcile.dataflow import run_retries
from crmflow.reconcile.dataflow.runs import tell_runs
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.external.flow import FLOW

_NEVER = ("RunNotRetryable",)
"""Reasons of refusals that asking again does not change: the run goes on, or was run again already."""


def plan_retry(one: RunRetry, others: tuple[RunRetry, ...]) -> Plan:
    """What has Platform do the work of ``one`` again; status learns the new run."""

    def learn(run_id: str) -> Mapping[str, Any]:
        return {"run_retries": _with(others, run_retries.answered(one, run_id))}

    reason = f"Run {one.run} has not done its work."
    return Plan((Action(Effect.RUN_AGAIN, FLOW, (), reason, run_retries.latest(one), learn=learn),))


async def run_failed_again(pass_: DataflowPass, upstream: Upstream) -> None:
    """Ask for the first run that is due, once status says so. What Platform answers is told by RunsHealthy
    and never takes Ready away: the flow is what the spec says. Raises PassEndedError.
    """
    due = run_retries.due(pass_.status.run_retries or (), pass_.utcnow)
    if due is not None and not pass_.services.foresees:
        asked = run_retries.requested(due, pass_.utcnow)
        _keep(pass_, asked)
        await pass_.journal.checkpoint()
        try:
            await carry_out(pass_, upstream.sandbox, plan_retry(asked, pass_.status.run_retries or ()))
        except RemoteError as error:
            _note_failure(pass_, asked, error)
        else:
            pass_.record_event("RunRetried", "Retry", f"Asked Platform to do run {due.run} again.")
        tell_runs(pass_)
    pass_.look_again(run_retries.next_look(pass_.status.run_retries or ()))


def _note_failure(pass_: DataflowPass, asked: RunRetry, error: RemoteError) -> None:
    """A request that may have been carried out stays recorded: the run shows, or it does not."""
    if error.maybe_applied:
        return
    cause = explain(error)
    if error.reason in _NEVER or error.error_class is ErrorClass.NOT_FOUND:
        _keep(pass_, run_retries.refused(asked, cause))
        text = f"Platform does not run {asked.run} again: {cause}"
        pass_.record_event("RetryRefused", "Retry", text, EventType.WARNING)
    else:
        _keep(pass_, run_retries.postponed(asked, cause, pass_.utcnow))


def _keep(pass_: DataflowPass, one: RunRetry) -> None:
    pass_.record(run_retries=_with(pass_.status.run_retries or (), one))


def _with(retries: tuple[RunRetry, ...], one: RunRetry) -> tuple[RunRetry, ...]:
    return tuple(one if known.run == one.run else known for known in retries)
