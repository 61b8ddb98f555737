"""What has come of all runs and windows of a dataflow, and how much of Zoho CRM is in Platform by now.

Both stand in status, so that metrics count nothing twice and miss nothing when the operator ends: a number
rises in the write that records the run or the window, after which neither is news any more. Of the runs that
have left the history, status keeps how late the last of them began: a listing may show them once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from crmflow.aep.models import RunState
from crmflow.api.base import Model
from crmflow.api.crmdataflow import (
    MAX_RECENT_RUNS,
    Extraction,
    IngestedStatus,
    LastRun,
    PendingWindowStatus,
    RecentRun,
    RunBytes,
    RunRecords,
    Totals,
)
from crmflow.reconcile.dataflow.recent_runs import began, is_final, newest
from crmflow.reconcile.extraction.observed import StoredFile
from crmflow.reconcile.extraction.rhythm import BEGINNING

_RESULTS = {RunState.SUCCESS: "runs_succeeded", RunState.PARTIAL_SUCCESS: "runs_partially_succeeded"}

AnyRun = LastRun | RecentRun
M = TypeVar("M", bound=Model)


def with_runs(
    totals: Totals | None, runs: Iterable[RecentRun], recorded: Iterable[RecentRun]
) -> Totals | None:
    """``totals`` and what is new of ``runs``, the history with what was found: all of a run, or what was not
    known of it. One counts once it has ended. Those that the history has no room for count as well.
    """
    until, before, runs = counted_until(totals, recorded), {run.id: run for run in recorded}, list(runs)
    for run in runs:
        known = before.get(run.id)
        if run == known or not is_final(run) or (known is None and not _is_after(run, until)):
            continue
        totals = _with_run(totals, run, known if known and is_final(known) else None)
    left = [began(run) for run in _leaving(runs) if is_final(run)]
    if totals is None or not left:
        return totals
    return totals.model_copy(update={"counted_until": max(left) if until is None else max(until, *left)})


def counted_until(totals: Totals | None, recorded: Iterable[RecentRun]) -> datetime | None:
    """Of the runs that began until then, all but those in the history have been counted. None if none has
    left the history. A status of an older version does not say it: then it is the oldest of a full history.
    """
    if totals is not None and totals.counted_until is not None:
        return totals.counted_until
    history = list(recorded)
    return began(history[-1]) if len(history) >= MAX_RECENT_RUNS else None


def is_counted(run: RecentRun, totals: Totals | None, recorded: Iterable[RecentRun]) -> bool:
    """Whether a run that is not in the history has been in it."""
    return not _is_after(run, counted_until(totals, recorded))


def recorded_totals(value: Any) -> Totals | None:
    """``status.totals`` as the API server gives it; None of what this version can't read."""
    try:
        return Totals.model_validate(value) if value else None
    except ValidationError:
        return None


def with_window(totals: Totals | None, file: StoredFile) -> Totals:
    """``totals`` and a window whose file was written."""
    return _more(totals, windows=1, window_rows=file.records, window_bytes=file.bytes)


def with_difference(totals: Totals | None) -> Totals:
    """``totals`` and a run whose numbers differ."""
    return _more(totals, differences=1)


def after_runs(
    ingested: IngestedStatus | None, runs: Iterable[AnyRun], *, takes_files: bool
) -> IngestedStatus | None:
    """What is ingested once ``runs`` are known. Which files a run took is told elsewhere."""
    for run in runs:
        if is_final(run) and run.state in _RESULTS:
            was = ingested or IngestedStatus()
            ingested = IngestedStatus(
                until=was.until if takes_files else _later(was.until, run.start_time),
                last_success_time=_later(was.last_success_time, run.completion_time),
            )
    return ingested


def after_windows(
    ingested: IngestedStatus | None, extraction: Extraction | None, pending: Sequence[PendingWindowStatus]
) -> IngestedStatus | None:
    """What is ingested while windows are ``pending``. One that reads the whole table once more tells nothing:
    what it is to bring anew was ingested before.
    """
    if extraction is None:
        return ingested
    open_since = [window.start for window in pending]
    if BEGINNING in open_since:
        return ingested
    until = min(open_since, default=extraction.cursor)
    return (ingested or IngestedStatus()).model_copy(update={"until": until})


def _is_after(run: RecentRun, until: datetime | None) -> bool:
    return until is None or began(run) > until


def _leaving(runs: Sequence[RecentRun]) -> Iterable[RecentRun]:
    stay = {run.id for run in newest(runs)}
    return (run for run in runs if run.id not in stay)


def _with_run(totals: Totals | None, run: RecentRun, known: RecentRun | None) -> Totals:
    totals = _more(totals, **({} if known else {_result(run): 1}))
    records = _plus(RunRecords, totals.records, run.records, known.records if known else None)
    size = _plus(RunBytes, totals.bytes, run.bytes, known.bytes if known else None)
    return totals.model_copy(update={"records": records, "bytes": size})


def _result(run: AnyRun) -> str:
    return next((field for state, field in _RESULTS.items() if run.state == state), "runs_failed")


def _more(totals: Totals | None, **more: int) -> Totals:
    was = totals or Totals()
    return was.model_copy(update={name: (getattr(was, name) or 0) + count for name, count in more.items()})


def _plus(model: type[M], total: M | None, more: M | None, known: M | None) -> M | None:
    """Field by field ``total`` and what ``more`` has beyond what is ``known``. What nobody told is absent."""
    if more is None:
        return total
    sums = {name: _sum(total, more, known, name) for name in model.model_fields}
    return model(**{name: value for name, value in sums.items() if value is not None})


def _sum(total: Model | None, more: Model, known: Model | None, name: str) -> int | None:
    was: int | None = getattr(total, name, None)
    new: int | None = getattr(more, name)
    already: int = getattr(known, name, None) or 0
    return was if new is None else max(0, (was or 0) + new - already)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)
