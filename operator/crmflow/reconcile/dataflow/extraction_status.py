"""What status keeps of an extraction, and the values that it is worked out with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from crmflow.api.crmdataflow import (
    CRMDataflowStatus,
    Extraction,
    LandingZoneFolder,
    PendingWindowStatus,
    WrittenFile,
)
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.extraction.cursor import Cursor
from crmflow.reconcile.extraction.names import FileKey, next_folder
from crmflow.reconcile.extraction.observed import StoredFile
from crmflow.reconcile.extraction.pending import PendingWindow
from crmflow.transfer.declaration import Window
from crmflow.transfer.report import ExitCode


def pending_of(status: CRMDataflowStatus) -> tuple[PendingWindow, ...]:
    """The windows that are on their way."""
    return tuple(_window(one) for one in status.pending_windows or ())


def to_status(pending: Iterable[PendingWindow]) -> tuple[PendingWindowStatus, ...] | None:
    """The same as status has them; None without any."""
    return tuple(_status(one) for one in pending) or None


def cursor_of(extraction: Extraction | None) -> Cursor | None:
    """Where the next window begins."""
    return None if extraction is None else Cursor(extraction.cursor, extraction.cursor_set_time)


def moved(extraction: Extraction | None, cursor: datetime, now: datetime) -> Extraction:
    """With the cursor at another place, as of ``now``."""
    if extraction is None:
        return Extraction(cursor=cursor, cursor_set_time=now, full_read_time=now)
    return extraction.model_copy(update={"cursor": cursor, "cursor_set_time": now})


def begin_anew(pass_: DataflowPass) -> None:
    """Nothing of what was ingested is there any more: everything is read again."""
    pass_.record(landing_zone=None, extraction=None, pending_windows=None)


def start_over(pass_: DataflowPass) -> None:
    """Everything is read again, into another folder."""
    zone = pass_.status.landing_zone
    begin_anew(pass_)
    pass_.record(landing_zone=next_place(zone))


def next_place(zone: LandingZoneFolder | None) -> LandingZoneFolder | None:
    """The folder of what takes the place of a flow with ``zone``; None if it had none."""
    return LandingZoneFolder(path=next_folder(zone.path)) if zone else None


def write_anew(pass_: DataflowPass) -> None:
    """Another flow takes what is pending, from a folder of its own: it takes every file that it finds, and
    those of the old folder that were ingested must not be among them.
    """
    zone = pass_.status.landing_zone
    if zone is None:
        return
    pass_.record(
        landing_zone=next_place(zone),
        pending_windows=to_status(
            replace(
                one, tick=None, attempt=one.attempt + 1, started=False, retry_at=None, failure=None, file=None
            )
            for one in pending_of(pass_.status)
        ),
    )


def _window(one: PendingWindowStatus) -> PendingWindow:
    window = Window(begin=one.start, end=one.end)
    return PendingWindow(
        window=window,
        tick=one.tick,
        rows=one.expected_rows or 0,
        first=one.first_extraction or 0,
        extraction=one.extraction or 0,
        attempt=one.attempt or 0,
        started=one.started or False,
        retry_at=one.retry_time,
        failure=_exit_code(one.exit_code),
        file=_file(window, one) if one.file else None,
        retried_run=one.retried_run,
        retries=one.retries or 0,
        retried_at=one.retry_request_time,
    )


def _file(window: Window, one: PendingWindowStatus) -> StoredFile | None:
    file = one.file
    if file is None:
        return None
    return StoredFile(
        FileKey(window, one.extraction or 0),
        file.completion_time,
        file.rows,
        file.deleted or 0,
        file.bytes or 0,
        file.count_before,
        file.count_after,
    )


def _exit_code(code: int | None) -> ExitCode | None:
    """One that only a later version knows counts as what time cures."""
    if code is None:
        return None
    return ExitCode(code) if code in set(ExitCode) else ExitCode.RETRY


def _status(one: PendingWindow) -> PendingWindowStatus:
    file = one.file
    return PendingWindowStatus(
        start=one.window.begin,
        end=one.window.end,
        tick=one.tick,
        expected_rows=one.rows,
        first_extraction=one.first or None,
        extraction=one.extraction or None,
        attempt=one.attempt or None,
        started=one.started or None,
        retry_time=one.retry_at,
        exit_code=one.failure,
        file=WrittenFile(
            completion_time=file.committed,
            rows=file.rows,
            deleted=file.deleted or None,
            bytes=file.bytes,
            count_before=file.count_before,
            count_after=file.count_after,
        )
        if file
        else None,
        retried_run=one.retried_run,
        retries=one.retries or None,
        retry_request_time=one.retried_at,
    )
