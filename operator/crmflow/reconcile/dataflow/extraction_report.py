"""What a pass says of the windows of a dataflow: ``Extracted``, ``IngestionComplete``, and events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from crmflow.api.crmdataflow import LastWindow
from crmflow.observability.events import EventType
from crmflow.observability.redaction import sanitize
from crmflow.reconcile.core.conditions import FALSE, TRUE, UNKNOWN, Finding
from crmflow.reconcile.core.outcome import StalledError
from crmflow.reconcile.dataflow.conditions import EXTRACTED, INGESTION_COMPLETE
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.totals import with_difference, with_window
from crmflow.reconcile.extraction import completeness
from crmflow.reconcile.extraction.completeness import Reason
from crmflow.reconcile.extraction.cutting import CountedWindow
from crmflow.reconcile.extraction.observed import JobState, TransferJob
from crmflow.reconcile.extraction.pending import (
    AttemptFailed,
    Extracted,
    ExtractedAnew,
    Ingested,
    News,
    NothingNew,
    Observed,
    PendingWindow,
    Step,
    Why,
    is_stuck,
)
from crmflow.sentences import sentence, some
from crmflow.transfer.declaration import Window
from crmflow.transfer.report import ExitCode

NEEDS_PERSON = frozenset(ExitCode) - {ExitCode.DONE, ExitCode.RETRY}
FILES_SHOWN = 5

OBSERVED = Finding(UNKNOWN, "Observed", "managementPolicy is Observe: nothing is read from Zoho CRM.")
DISABLED = Finding(
    UNKNOWN, "Disabled", "spec.ingestion.enabled is false: nothing is read from Zoho CRM until it is true."
)
FOLDER_EMPTY = (
    "Platform makes no flow for a folder without files; it is made once something has changed in Zoho CRM."
)
NO_POD = (
    "Its Job has no Pod yet. What keeps Kubernetes from making one, such as a quota, stands in the events of "
    "the Job."
)
CURSOR_UNKNOWN = (
    "Neither status nor the files in the landing zone nor the runs of the flow tell up to when records have "
    "been read. Set the annotation crmflow.io/cursor to the time from which on changed records are to be "
    "read, such as 2026-11-04T10:15:00Z, or to backfill to read all."
)
_COMPLETENESS = {Reason.ROWS_MATCH: TRUE, Reason.ROWS_DIFFER: FALSE}
_WHY = {
    Why.RUN_FAILED: "the runs that took its file have failed",
    Why.NOT_TAKEN: "no run of the flow took its file in time",
    Why.FILE_OLD: "its file is about to be removed from the landing zone, and no run has ingested it",
    Why.FILE_GONE: "its file is gone from the landing zone",
}


def say(
    pass_: DataflowPass, seen: Observed, step: Step, blocked: Finding | None, uncounted: Finding | None
) -> None:
    """Say how far the windows are: ``blocked`` is why no Job is started for what waits for one, and
    ``uncounted`` why a window that is due was not begun. Raises PassEndedError where only a person can help.
    """
    pending = step.pending
    finding = _of_pending(pass_, seen, pending, blocked)
    finding = finding or uncounted or _of_what_was_read(pass_, step.news)
    if pass_.recorded_id is not None and not pass_.spec.ingestion.enabled:
        finding = DISABLED
    pass_.findings[EXTRACTED.name] = finding
    waiting = next((one for one in pending if one.file is None), None)
    if waiting is not None and waiting.failure in NEEDS_PERSON and _pauses(waiting, seen):
        raise StalledError(finding.reason, finding.message, silent=True)


def note_news(pass_: DataflowPass, news: Sequence[News], seen: Observed) -> None:
    """Record and tell what has become of windows."""
    for one in news:
        match one:
            case Extracted(pending, file):
                pass_.record(totals=with_window(pass_.status.totals, file))
                _note_window(pass_, pending.window, file.rows, file.deleted)
            case NothingNew(pending):
                _note_window(pass_, pending.window, 0, 0)
            case AttemptFailed(pending, _, needs_person):
                _tell_failure(pass_, seen.jobs[pending.job], needs_person=needs_person)
            case ExtractedAnew(pending, why, may_double):
                _tell_anew(pass_, pending, why, may_double=may_double)
            case Ingested():
                pass
    _compare(pass_, [one for one in news if isinstance(one, Ingested)])


def note_foreign_files(pass_: DataflowPass, names: Sequence[str]) -> None:
    """Files in the folder that no transfer has written are ingested, too."""
    if not names:
        return
    text = (
        f"The folder of this dataflow has files that crmflow has not written, and the flow takes them: "
        f"{some([sanitize(name, 80) for name in sorted(names)], FILES_SHOWN)}."
    )
    pass_.record_event("ForeignFiles", "Extract", text, EventType.WARNING)


def note_shown_late(pass_: DataflowPass, window: LastWindow, count: int) -> None:
    """``window`` was read, and Zoho CRM shows more records of it by now, so many in all: the others are in no
    file.
    """
    text = (
        f"{window.rows} of the records from {instant(window.start)} to {instant(window.end)} were read, and "
        f"Zoho CRM counts {count} by now: it has shown some only after the window was read, and they are in "
        "no file. The annotation crmflow.io/cursor has them read again."
    )
    _tell_difference(pass_, text)
    pass_.set_condition(INGESTION_COMPLETE, FALSE, Reason.ROWS_DIFFER, text)


def progress(pending: Sequence[PendingWindow], now: str) -> str:
    """How much of what a flow begins with is there."""
    done = sum(one.file is not None for one in pending)
    what = "1 file" if len(pending) == 1 else f"{len(pending)} files"
    so_far = f": {done} of {what} written" if pending else ""
    return f"The flow is made once the landing zone has what it begins with{so_far}. {now}"


def credits_spent(what: str, cost: int, allowance: int, at: datetime | None) -> Finding:
    """The organization's credits of the day, as far as they are ours, do not suffice for ``what``."""
    until = f"until {instant(at)}" if at else "as long as others are read"
    return Finding(
        FALSE,
        "CreditsSpent",
        f"{what} is expected to cost {cost} of Zoho's API credits; of the {allowance} that "
        f"crmflow spends in 24 hours for this organization, not so many are left {until}.",
    )


def run_ahead(name: str) -> Finding:
    """A CRMDataflowRun reads what the next window would begin with."""
    text = f'CRMDataflowRun "{name}" is reading what has changed; the next window begins where it ends.'
    return Finding(UNKNOWN, "RunAhead", text)


def empty_window(parts: Sequence[CountedWindow], now: datetime) -> LastWindow:
    """A window in which nothing has changed."""
    return LastWindow(start=parts[0].window.begin, end=parts[-1].window.end, rows=0, completion_time=now)


def instant(time: datetime) -> str:
    """A time in a message."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _of_pending(
    pass_: DataflowPass, seen: Observed, pending: Sequence[PendingWindow], blocked: Finding | None
) -> Finding | None:
    """What is said of the first window that has no file yet; None if all have."""
    one = next((one for one in pending if one.file is None), None)
    if one is None:
        if is_stuck(pending):
            text = f"{len(pending)} files wait for the flow to take them; until it does, no more are written."
            return Finding(FALSE, "IngestionStuck", text)
        return None
    if blocked is not None:
        return blocked
    if one.failure is not None and _pauses(one, seen):
        return _known_failure(pass_)
    return _of_job(seen.jobs.get(one.job), f"Reading what changed in {_span(one.window)}.")


def _of_job(job: TransferJob | None, reads: str) -> Finding:
    """How the Job is that ``reads`` a window; None if it was only just asked for."""
    if job is not None and job.state is JobState.RUNNING:
        if job.trouble:
            text = f"{reads} The Pod of its Job does not run: {sentence(job.trouble)}"
            return Finding(FALSE, "PodNotRunning", text)
        if not job.has_pod:
            return Finding(UNKNOWN, "Running", f"{reads} {NO_POD}")
    return Finding(UNKNOWN, "Running", reads)


def _pauses(one: PendingWindow, seen: Observed) -> bool:
    return one.retry_at is not None and seen.now < one.retry_at


def _of_what_was_read(pass_: DataflowPass, news: Sequence[News]) -> Finding:
    """What is said once every window has its file."""
    extraction = pass_.status.extraction
    last = extraction.last_window if extraction else None
    if last is None:
        since = f" Changes since {instant(extraction.cursor)} are read then." if extraction else ""
        return Finding(UNKNOWN, "NotDueYet", f"No window has been read yet.{since}")
    span = f"{instant(last.start)} to {instant(last.end)}"
    if not last.rows and not last.deleted:
        return Finding(TRUE, "NothingNew", f"Nothing had changed from {span}.")
    rows = "1 record" if last.rows == 1 else f"{last.rows} records"
    marked = f" and marked {last.deleted} as deleted" if last.deleted else ""
    if _is_late(pass_, news):
        text = f"Read {rows}{marked} of {span}, later than the run they were for: the next one takes them."
        return Finding(TRUE, "Late", text)
    return Finding(TRUE, "Succeeded", f"Read {rows}{marked} of {span}.")


def _is_late(pass_: DataflowPass, news: Iterable[News]) -> bool:
    """Whether the last file missed its tick; said until another one is written, or it is ingested."""
    if any(isinstance(one, Extracted) and one.is_late for one in news):
        return True
    said = pass_.conditions.get(EXTRACTED.name)
    return said is not None and said.reason == "Late" and not news


def _known_failure(pass_: DataflowPass) -> Finding:
    """What this pass or an earlier one has said of the attempt that failed."""
    finding = pass_.findings.get(EXTRACTED.name)
    if finding is not None:
        return finding
    said = pass_.conditions.get(EXTRACTED.name)
    if said is not None and said.status == FALSE:
        return Finding(said.status, said.reason, said.message)
    return Finding(FALSE, "Retrying", "Reading the window has failed; it is tried again.")


def _tell_failure(pass_: DataflowPass, job: TransferJob, *, needs_person: bool) -> None:
    told = job.report
    if told is None:
        text = f"The Job ended without saying why{f': {sentence(job.trouble)}' if job.trouble else '.'}"
        finding = Finding(FALSE, "Retrying", f"{text} It is tried again.")
    else:
        text = " ".join(sentence(part) for part in (told.message, told.advice) if part)
        reason = told.reason if needs_person else "Throttled" if told.retry_after else "Retrying"
        again = "" if needs_person else " It is tried again."
        finding = Finding(FALSE, reason, f"{text}{again}")
    if needs_person:
        pass_.record_event(finding.reason, "Extract", finding.message, EventType.WARNING)
    pass_.findings[EXTRACTED.name] = finding


def _tell_anew(pass_: DataflowPass, pending: PendingWindow, why: Why, *, may_double: bool) -> None:
    doubled = " Records may be ingested twice by that." if may_double else ""
    text = f"The window {_span(pending.window)} is read again: {_WHY[why]}.{doubled}"
    pass_.record_event("ExtractedAnew", "Extract", text, EventType.WARNING)


def _note_window(pass_: DataflowPass, window: Window, rows: int, deleted: int) -> None:
    extraction = pass_.status.extraction
    if extraction is None:
        return
    last = LastWindow(
        start=window.begin,
        end=window.end,
        rows=rows,
        deleted=deleted or None,
        completion_time=pass_.utcnow,
    )
    pass_.record(extraction=extraction.model_copy(update={"last_window": last}))


def _compare(pass_: DataflowPass, ingested: Sequence[Ingested]) -> None:
    """``IngestionComplete``: what the last run that has ingested files has read, and what they hold."""
    if ingested:
        verdict = completeness.compare(ingested[-1].files, ingested[-1].run)
        status = _COMPLETENESS.get(verdict.reason, UNKNOWN)
        if status == FALSE:
            _tell_difference(pass_, verdict.message)
        pass_.set_condition(INGESTION_COMPLETE, status, verdict.reason, verdict.message)
    else:
        carry_over_comparison(pass_)


def _tell_difference(pass_: DataflowPass, text: str) -> None:
    pass_.record_event(Reason.ROWS_DIFFER, "Compare", text, EventType.WARNING)
    pass_.record(totals=with_difference(pass_.status.totals))


def carry_over_comparison(pass_: DataflowPass) -> None:
    """What was found of the last run that took files goes on to hold."""
    said = pass_.conditions.get(INGESTION_COMPLETE.name)
    if said is not None and said.reason in set(Reason):
        pass_.set_condition(INGESTION_COMPLETE, said.status, said.reason, said.message)
    else:
        waiting = completeness.compare((), None)
        pass_.set_condition(INGESTION_COMPLETE, UNKNOWN, waiting.reason, waiting.message)


def _span(window: Window) -> str:
    return f"{instant(window.begin)} to {instant(window.end)}"
