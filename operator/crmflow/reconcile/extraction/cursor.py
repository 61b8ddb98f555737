"""Where extraction goes on when status has lost or never had its place: after a cluster was rebuilt or
restored from a backup, after a takeover or an adoption (design.md 11).

What remains is in the landing zone and in Platform: the files of the folder, which live for seven days, and
the runs of the flow. In doubt windows overlap, which the message says, and never leave a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.observed import FileRun, StoredFile
from crmflow.reconcile.extraction.pending import PendingWindow
from crmflow.reconcile.extraction.rhythm import BEGINNING, to_the_second

BACKFILL = "backfill"


class CursorSource(StrEnum):
    """What the cursor was found by."""

    STATUS = "Status"
    FOLDER = "Folder"
    RUNS = "Runs"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next window begins, as status has it."""

    time: datetime
    set_at: datetime
    """Files that were there before do not move it: somebody may have set it back on purpose."""


@dataclass(frozen=True, slots=True)
class Found:
    """The cursor to go on from."""

    time: datetime
    source: CursorSource
    pending: tuple[PendingWindow, ...]
    """With the windows of files that status did not know: what a run has taken leaves at once."""

    @property
    def may_overlap(self) -> bool:
        """True if rows may be ingested twice, which has to be said."""
        return self.source is not CursorSource.STATUS


def find_cursor(
    recorded: Cursor | None,
    pending: Sequence[PendingWindow],
    files: Iterable[StoredFile],
    runs: Sequence[FileRun],
    lead: timedelta,
) -> Found | None:
    """The cursor of a flow that exists; None if nothing tells of it (``CursorUnknown``). ``runs`` are in the
    order of their starts.
    """
    news = beyond(recorded, files)
    if news:
        newest = max(file.key.window.end for file in news)
        return Found(newest, CursorSource.FOLDER, (*pending, *_unknown(news, pending)))
    if recorded is not None:
        return Found(recorded.time, CursorSource.STATUS, tuple(pending))
    for run in reversed(runs):
        if (time := _read_until(run, lead)) is not None:
            return Found(time, CursorSource.RUNS, tuple(pending))
    return None


def beyond(recorded: Cursor | None, files: Iterable[StoredFile]) -> Sequence[StoredFile]:
    """The files by which extraction came further than is ``recorded``, and those beside them."""
    news = [file for file in files if recorded is None or file.committed > recorded.set_at]
    if recorded is not None and all(file.key.window.end <= recorded.time for file in news):
        return ()
    return news


def cursor_of_annotation(value: str) -> datetime:
    """What ``crmflow.io/cursor: TIME | backfill`` asks for. Raises ValueError with what it has to be."""
    if value.strip().lower() == BACKFILL:
        return BEGINNING
    try:
        time = datetime.fromisoformat(value.strip())
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or time < BEGINNING:
        raise ValueError(f"must be a time such as 2026-11-04T10:15:00Z, or {BACKFILL}")
    return to_the_second(time)


def _unknown(files: Iterable[StoredFile], pending: Sequence[PendingWindow]) -> Iterable[PendingWindow]:
    """The newest file of each window that is not pending, as a window that waits for a run."""
    known = {one.window for one in pending}
    newest: dict[FileKey, StoredFile] = {}
    for file in sorted(files, key=lambda file: file.key.extraction):
        newest[FileKey(file.key.window)] = file
    for file in sorted(newest.values(), key=lambda file: file.committed):
        key = file.key
        if key.window not in known:
            yield PendingWindow(key.window, None, file.rows, key.extraction, key.extraction, file=file)


def _read_until(run: FileRun, lead: timedelta) -> datetime | None:
    """Until when a run has certainly read. Its files say it by their names. Without a manifest it is the
    beginning of its window, less the lead: a file of it may have been late, and the one for its own tick not
    yet written. A run that read nothing tells nothing.
    """
    if not run.succeeded:
        return None
    if run.files:
        return max(key.window.end for key in run.files)
    if run.window is None or not run.records_read:
        return None
    return to_the_second(max(BEGINNING, run.window[0] - lead))
