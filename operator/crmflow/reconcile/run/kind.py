"""The CRMDataflowRun kind: which steps, in which order, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crmflow.api.base import Transport
from crmflow.api.crmdataflowrun import RunResult
from crmflow.api.kinds import CRM_DATAFLOW, CRM_DATAFLOW_RUN
from crmflow.observability.events import EventType
from crmflow.reconcile.core.conditions import FALSE, TRUE, ConditionType
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.outcome import PassEndedError, WaitingError, completed
from crmflow.reconcile.core.reading import text_at
from crmflow.reconcile.dataflow.conditions import EXTRACTED, INGESTION_COMPLETE
from crmflow.reconcile.dataflow.state import OBJECTS
from crmflow.reconcile.ports import ResourceView
from crmflow.reconcile.run.ask_platform import follow_run, request_run
from crmflow.reconcile.run.choose import ReadFiles, choose
from crmflow.reconcile.run.clean_up import clean_up, has_made
from crmflow.reconcile.run.conditions import COMPLETE, CONDITIONS, FAILED
from crmflow.reconcile.run.dataflow import find_dataflow, let_dataflow_note, take_turn
from crmflow.reconcile.run.own_flow import taken_over
from crmflow.reconcile.run.read_files import read_files
from crmflow.reconcile.run.state import RunPass


async def _reconcile(pass_: RunPass) -> None:
    """How the run ended is written with the conditions that tell of it, before what it was done with goes."""
    result = pass_.status.result
    if result is None:
        result = await _run(pass_)
        _record(pass_, result)
        if has_made(pass_):
            text = "The run has ended; what it made for itself is removed."
            raise WaitingError("CleaningUp", text, transition=True)
    _tell(pass_, result)
    await clean_up(pass_)
    raise PassEndedError(completed(result.reason, result.message, failed=result.failed))


async def _run(pass_: RunPass) -> RunResult:
    """Whatever the run is for is done; how it ended. Raises PassEndedError and RemoteError until it has."""
    dataflow = await find_dataflow(pass_)
    if isinstance(dataflow, RunResult):
        return dataflow
    if pass_.status.start_time is None:
        ended = await take_turn(pass_, dataflow) or await _begin(pass_, dataflow)
        if ended is not None:
            return ended
    if pass_.status.transport is Transport.LANDING_ZONE:
        return await read_files(pass_, dataflow)
    return await follow_run(pass_, dataflow)


async def _begin(pass_: RunPass, dataflow: ResourceView) -> RunResult | None:
    """What is to be done is chosen, recorded and, where Platform does it, asked for; how the run ends, if it
    ends with that.
    """
    lag = pass_.services.extraction_settings.lag
    choice = choose(pass_.spec, dataflow.spec, dataflow.status, pass_.utcnow, lag)
    if isinstance(choice, RunResult):
        return choice
    if not isinstance(choice, ReadFiles):
        return await request_run(pass_, dataflow, choice)
    pass_.record(
        dataflow_uid=dataflow.uid,
        start_time=pass_.utcnow,
        window=choice.window,
        **taken_over(dataflow.status),
    )
    await pass_.journal.checkpoint()
    return None


async def _finalize(pass_: RunPass) -> None:
    await let_dataflow_note(pass_)
    await clean_up(pass_)


def _record(pass_: RunPass, result: RunResult) -> None:
    pass_.record(result=result, completion_time=pass_.utcnow)
    kind = EventType.WARNING if result.failed else EventType.NORMAL
    pass_.record_event("Failed" if result.failed else "Completed", "Run", result.message, kind)
    _tell(pass_, result)


def _tell(pass_: RunPass, result: RunResult) -> None:
    """``Complete`` and ``Failed``, which hold from then on."""
    if result.failed:
        pass_.set_condition(FAILED, TRUE, result.reason, result.message)
    pass_.set_condition(COMPLETE, FALSE if result.failed else TRUE, result.reason, result.message)


def _absent(pass_: RunPass) -> frozenset[ConditionType]:
    """``Failed`` unless it has; what is only said of files."""
    absent = set()
    if pass_.status.result is None or not pass_.status.result.failed:
        absent.add(FAILED)
    if pass_.status.transport is not Transport.LANDING_ZONE:
        absent |= {EXTRACTED, INGESTION_COMPLETE}
    return frozenset(absent)


def _references(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    name = text_at(spec, "dataflowRef", "name")
    return [(CRM_DATAFLOW.kind, name)] if name else []


KIND = ManagedKind(
    api=CRM_DATAFLOW_RUN,
    conditions=CONDITIONS,
    make_pass=RunPass,
    reconcile=_reconcile,
    finalize=_finalize,
    ready_message=lambda _: "The run has ended.",
    references=_references,
    remote_objects=tuple(OBJECTS),
    time_to_live=lambda spec: spec.ttl_seconds_after_finished,
    ended_at=lambda status: text_at(status, "completionTime"),
    absent=_absent,
)
