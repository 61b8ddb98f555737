"""One look at the windows of a dataflow: what there is, where it goes on, what is next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from crmflow.api.crmdataflow import Extraction, Frequency, LastWindow
from crmflow.observability.events import EventType
from crmflow.reconcile.core.conditions import Finding
from crmflow.reconcile.core.outcome import StalledError
from crmflow.reconcile.dataflow import extraction_report as report
from crmflow.reconcile.dataflow.extraction_acts import Acts, folder_files
from crmflow.reconcile.dataflow.extraction_due import full_reads, waits_for_a_file, wanted_cursor
from crmflow.reconcile.dataflow.extraction_status import cursor_of, moved, pending_of, to_status
from crmflow.reconcile.dataflow.file_runs import file_runs
from crmflow.reconcile.dataflow.requested_runs import run_ahead
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.dataflow.totals import after_windows
from crmflow.reconcile.dataflow.transfer_orders import cursor_column, marks_deletions
from crmflow.reconcile.extraction.cursor import Found, cursor_of_annotation, find_cursor
from crmflow.reconcile.extraction.cutting import cut, cut_by
from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.observed import StoredFile
from crmflow.reconcile.extraction.pending import Observed, PendingWindow, Rules, advance, record, room
from crmflow.reconcile.extraction.rhythm import (
    Due,
    NotYet,
    Rhythm,
    first_window,
    next_window,
    to_the_second,
    with_empty_window,
)
from crmflow.transfer.declaration import Window
from crmflow.zoho import coql, deleted

RETRY_LIMIT = 3
"""How often Platform is asked to do a failed run again, unless ``spec.runs.retryLimit`` says so."""
COUNT = "Counting what has changed", 1
"""What it is called, and its credits; a window that is cut takes some more, which are not held back."""
LOOK_FOR_ROWS_EVERY = timedelta(minutes=5)


@dataclass
class Extracting:
    """One look at the windows of a dataflow, and what comes of it."""

    pass_: DataflowPass
    upstream: Upstream
    rhythm: Rhythm
    taking_since: datetime | None
    """Since when a flow takes files; None while there is none that does."""

    def __post_init__(self) -> None:
        self.acts = Acts(self.pass_, self.upstream)
        self._uncounted: Finding | None = None
        limit = self.pass_.spec.retry_limit
        self._rules = Rules(self.rhythm, RETRY_LIMIT if limit is None else limit)

    async def run(self) -> None:
        """Look, record what follows, do it, and say it. Raises RemoteError and PassEndedError."""
        pass_ = self.pass_
        try:
            seen = await self._look()
            await self._find_place(seen)
            following = advance(self._pending(), seen, self._rules)
            report.note_news(pass_, following.news, seen)
            pass_.record(pending_windows=to_status(following.pending))
            if await self._plan_window(seen):
                planned = advance(pending_of(pass_.status), seen, self._rules)
                following = following.then(planned)
            status = pass_.status
            waiting = status.pending_windows or ()
            pass_.record(ingested=after_windows(status.ingested, status.extraction, waiting))
            if following.actions:  # what is done must be known before; all else is written at the end
                await pass_.journal.checkpoint()
            blocked = await self.acts.carry_out(following, seen)
        finally:
            await self.acts.settle()
        report.say(pass_, seen, following, blocked, self._uncounted)

    async def not_ingested(self) -> tuple[PendingWindow, ...]:
        """What is still on its way. Nothing is recorded and nothing done. Raises RemoteError."""
        seen = await self._look()
        return tuple(advance(self._pending(), seen, self._rules).pending)

    def _pending(self) -> tuple[PendingWindow, ...]:
        """What is on its way. Who asks for a check, or edits the spec, may have cured what failed."""
        pending = pending_of(self.pass_.status)
        if not self.pass_.requested and self.pass_.observed_generation == self.pass_.generation:
            return pending
        return tuple(replace(one, retry_at=None) for one in pending)

    # What there is

    async def _look(self) -> Observed:
        """Jobs before files: one that has just ended has its file by then."""
        pass_, now = self.pass_, self.pass_.utcnow
        jobs = await pass_.services.transfers.jobs(pass_.identity.uid)
        files: dict[FileKey, StoredFile] = {}
        foreign: list[str] = []
        for blob in await folder_files(pass_, self.upstream):
            stored = StoredFile.of_blob(blob.path, blob.committed, blob.metadata)
            if stored is None:
                foreign.append(blob.path.rpartition("/")[2])
            else:
                files[stored.key] = stored
        if pass_.full:
            report.note_foreign_files(pass_, foreign)
        runs = await file_runs(pass_, self.upstream.sandbox.platform, files)
        return Observed(now, jobs, files, runs, self.taking_since, has_foreign_files=bool(foreign))

    # Where it goes on

    async def _find_place(self, seen: Observed) -> None:
        """There is a cursor. Raises PassEndedError where nothing tells where it was."""
        pass_, extraction = self.pass_, self.pass_.status.extraction
        wanted = wanted_cursor(pass_)
        if wanted is not None:
            self._set_by_annotation(wanted)
            return
        pending = pending_of(pass_.status)
        found = find_cursor(cursor_of(extraction), pending, seen.files.values(), seen.runs, self.rhythm.lead)
        if found is not None:
            self._go_on_from(found)
        elif pass_.recorded_id is None:
            await self._begin()
        else:
            raise StalledError("CursorUnknown", report.CURSOR_UNKNOWN)

    def _set_by_annotation(self, value: str) -> None:
        pass_ = self.pass_
        try:
            time = cursor_of_annotation(value)
        except ValueError as error:
            raise StalledError("CursorInvalid", f"The annotation crmflow.io/cursor {error}.") from None
        extraction = moved(pass_.status.extraction, time, pass_.utcnow)
        pass_.record(extraction=extraction.model_copy(update={"applied_cursor": value[:64]}))
        text = f"Windows are read from {report.instant(time)} on, as the annotation crmflow.io/cursor says."
        pass_.record_event("CursorSet", "Extract", text)

    def _go_on_from(self, found: Found) -> None:
        if not found.may_overlap:
            return
        pass_ = self.pass_
        pass_.record(
            extraction=moved(pass_.status.extraction, found.time, pass_.utcnow),
            pending_windows=to_status(found.pending),
        )
        where = {"Folder": "the files in the landing zone", "Runs": "the last run of the flow"}[found.source]
        pass_.record_event(
            "CursorFound",
            "Extract",
            f"Windows are read from {report.instant(found.time)} on, as {where} "
            f"{'say' if found.source == 'Folder' else 'says'}. Records may be ingested twice by that.",
            EventType.WARNING,
        )

    async def _begin(self) -> None:
        """The first window: the one that is asked for, else all, unless only changes are wanted."""
        if self.pass_.window is not None:
            await self._record_window(Due(self.pass_.window, None), {})
            return
        schedule = self.pass_.spec.schedule
        backfill = schedule.frequency is Frequency.ONCE or schedule.backfill is not False
        first = first_window(backfill=backfill, now=self.pass_.utcnow, lag=self.rhythm.lag)
        if first.window is None:
            self.pass_.record(extraction=moved(None, first.cursor, self.pass_.utcnow))
        else:
            await self._record_window(Due(first.window, None), {})

    # What is next

    async def _plan_window(self, seen: Observed) -> bool:
        """Record the window that is due, if one is; True if there is something to read in it."""
        pass_, extraction = self.pass_, self.pass_.status.extraction
        if extraction is None or room(pending_of(pass_.status)) == 0:
            return False
        if pass_.recorded_id is None:
            return waits_for_a_file(pass_) and await self._look_for_rows(extraction, seen)
        if not pass_.spec.ingestion.enabled:
            return False
        if (ahead := run_ahead(pass_)) is not None:
            self._uncounted = report.run_ahead(ahead)
            return False
        following = next_window(self.rhythm, extraction.cursor, seen.now, full_reads(pass_))
        if isinstance(following, NotYet):
            pass_.look_again(following.at)
            return False
        return await self._record_window(following, seen.files)

    async def _look_for_rows(self, extraction: Extraction, seen: Observed) -> bool:
        """Without a flow there are no ticks: what has changed is looked for now and then."""
        end = to_the_second(seen.now - self.rhythm.lag)
        if end - extraction.cursor < LOOK_FOR_ROWS_EVERY:
            return False
        return await self._record_window(Due(Window(begin=extraction.cursor, end=end), None), seen.files)

    async def _record_window(self, due: Due, files: Mapping[FileKey, StoredFile]) -> bool:
        """The parts of a window that have rows are pending, and the cursor stands behind them. Nothing of it
        is recorded before all is counted.
        """
        pass_ = self.pass_
        self._uncounted = await self.acts.credits_spent(*COUNT, pass_.utcnow)
        if self._uncounted is not None:
            return False
        last = _last_window(pass_.status.extraction)
        if last is not None and not last.rows and not last.deleted:
            due = with_empty_window(due, self.rhythm, Window(begin=last.start, end=last.end))
        pending = pending_of(pass_.status)
        parts = await cut_by(self._count, cut(due.window, room(pending)))
        if last is not None and last.rows:
            await self._count_again(last)
        known = len(pending)
        pending = record(parts, due.tick, files, pending)
        end = parts[-1].window.end
        extraction = moved(pass_.status.extraction, end, pass_.utcnow)
        if due.is_full:
            extraction = extraction.model_copy(update={"full_read_time": due.window.end})
        if len(pending) == known:
            empty = report.empty_window(parts, pass_.utcnow)
            extraction = extraction.model_copy(update={"last_window": empty})
        pass_.record(pending_windows=to_status(pending), extraction=extraction)
        return len(pending) > known

    async def _count_again(self, last: LastWindow) -> None:
        """Tell of rows that Zoho CRM has come to show only after the ``last`` window was read: they are in no
        file. Rows leave a window of the past and never enter it, so that there can't be more than were read.
        """
        count = await self._count_rows(Window(begin=last.start, end=last.end))
        if count > last.rows:
            report.note_shown_late(self.pass_, last, count)

    async def _count(self, window: Window) -> int:
        """How many rows a transfer would write, or at least whether it would write any."""
        module, rows = self.pass_.spec.source.table, await self._count_rows(window)
        if rows == 0 and marks_deletions(self.pass_):
            gone, _ = await self.acts.ask(lambda api: deleted.page(api, module, window.begin, 1))
            return sum(window.begin <= one.deleted_at < window.end for one in gone)
        return rows

    async def _count_rows(self, window: Window) -> int:
        module, cursor = self.pass_.spec.source.table, cursor_column(self.pass_)
        asked = coql.ModuleWindow(module, cursor, window.begin, window.end)
        return await self.acts.ask(lambda api: coql.count(api, asked))


def _last_window(extraction: Extraction | None) -> LastWindow | None:
    """The window that was read last, if the next one begins where it ends."""
    last = extraction.last_window if extraction else None
    return last if extraction and last and last.end == extraction.cursor else None
