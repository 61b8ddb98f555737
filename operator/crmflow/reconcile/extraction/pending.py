"""Windows on their way, each from the moment it is decided until a run of Platform has ingested its file
(design.md 11; landing-zone.md E.3, K.4, K.6).

A window is recorded before its Job exists, and leaves the record when it was empty, or when a run that took
its file has ended with success. In between:

| what is seen                          | what follows                                            |
|---------------------------------------|---------------------------------------------------------|
| no Job, and never one                 | start it; its name makes a second one impossible        |
| no Job, but there was one             | the next attempt: blocks of two must not mix            |
| the file                              | extracted                                               |
| the Job failed                        | the next attempt, after a pause or with another token   |
| the Job ended without a file          | nothing was new: the window is done                     |
| a run with the file failed            | re-trigger it, as often as ``retryLimit`` says          |
| it failed once more                   | extract anew: the next n, in a file of its own          |
| no run took it in two ticks; six days | the same, and rows may be ingested twice                |

``advance`` is a function from what is recorded and seen to what is to be recorded and done. The caller writes
the record first and acts then. Whatever it dies between, the same is done again or found done: a Job by its
name, a commit by its file, and a re-triggered run by the new run that shows within ``RETRY_SHOWS_WITHIN``.
Windows are extracted one after the other, so the newest file of a folder tells how far extraction came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from crmflow.reconcile.extraction.cutting import CountedWindow
from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.observed import FileRun, JobState, StoredFile, TransferJob
from crmflow.reconcile.extraction.rhythm import Rhythm, is_late
from crmflow.reconcile.extraction.taking import took
from crmflow.transfer.declaration import Window
from crmflow.transfer.report import ExitCode, TransferResult

MOST_PENDING = 100
"""More are not recorded: then extraction stops (``IngestionStuck``)."""
TICKS_TO_TAKE = 2
SIX_DAYS = timedelta(days=6)
"""Files live seven (landing-zone.md E.1)."""
RUN_SHOWS_WITHIN = timedelta(minutes=10)
"""A run shows two or three minutes after its start (landing-zone.md E.3)."""
RETRY_SHOWS_WITHIN = timedelta(minutes=30)
"""A run that was re-triggered; after that the request counts as never sent."""
BACKOFF = timedelta(seconds=30), timedelta(minutes=15)
"""First and longest pause before another attempt."""
CURE_NET = timedelta(hours=1)
"""Cures at Zoho or Adobe send no event."""

_RENEWABLE = frozenset({ExitCode.ZOHO_TOKEN, ExitCode.SAS})


@dataclass(frozen=True, slots=True)
class PendingWindow:
    """One entry of ``status.pendingWindows``."""

    window: Window
    tick: datetime | None
    """When Platform is to take its file; None before there is a flow."""
    rows: int = 0
    """How many Zoho CRM counted when it was planned: what its transfer is expected to cost depends on it."""
    first: int = 0
    extraction: int = 0
    """n, part of the file's name, and n of the first extraction: a window that is read again because the
    cursor was set back begins with a higher one."""
    attempt: int = 0
    """The n-th Job of this extraction, part of the Job's name and of the ids of its blocks."""
    started: bool = False
    """Whether the attempt's Job was seen."""
    retry_at: datetime | None = None
    """The next attempt begins no sooner."""
    failure: ExitCode | None = None
    """How the attempt before this one ended."""
    file: StoredFile | None = None
    """None until it is extracted."""
    retried_run: str | None = None
    """The failed run that Platform was last asked to do again, how often that was, and when."""
    retries: int = 0
    retried_at: datetime | None = None

    @property
    def key(self) -> FileKey:
        """Of the file that is or will be there."""
        return FileKey(self.window, self.extraction)

    @property
    def job(self) -> JobKey:
        """Of the Job that is or will be there."""
        return JobKey(self.key, self.attempt)

    @property
    def turn(self) -> datetime:
        """The oldest comes first."""
        return self.tick or self.window.end

    def wrote(self, key: FileKey) -> bool:
        """Whether a file of that name is of one of its extractions."""
        return key.window == self.window and key.extraction >= self.first

    @property
    def times_anew(self) -> int:
        """How often it was extracted anew."""
        return self.extraction - self.first


@dataclass(frozen=True, slots=True)
class JobKey:
    """What names a Job of this dataflow."""

    file: FileKey
    attempt: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What is there. Files have to be listed after Jobs, or the file of a Job that just ended is missing."""

    now: datetime
    """Before anything else was read."""
    jobs: Mapping[JobKey, TransferJob]
    files: Mapping[FileKey, StoredFile]
    runs: Sequence[FileRun]
    """Of the flow, in the order of their starts, back to the oldest file that is pending."""
    taking_since: datetime | None
    """Since when the flow exists and is enabled; None while it isn't."""
    has_foreign_files: bool = False
    """Whether the folder has files that no transfer has written, which runs take, too."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the declaration says."""

    rhythm: Rhythm
    retry_limit: int
    """``spec.runs.retryLimit``."""


@dataclass(frozen=True, slots=True)
class StartTransfer:
    """Make the Job of this attempt; one of that name is this one. It may have to wait for a slot, for
    credits, or for the end of a pause: then it is not done, and comes again.
    """

    pending: PendingWindow


@dataclass(frozen=True, slots=True)
class DeleteTransfer:
    """Delete a Job whose result is recorded, or that nobody waits for."""

    job: JobKey


@dataclass(frozen=True, slots=True)
class RenewCredential:
    """The remote refused the credential that the Job had: renew it before the next attempt."""

    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class ReTrigger:
    """Ask Platform to do a failed run again (platform.md 7.3)."""

    run_id: str


Action = StartTransfer | DeleteTransfer | RenewCredential | ReTrigger


class Why(StrEnum):
    """Why a window is extracted anew."""

    RUN_FAILED = "RunFailed"
    NOT_TAKEN = "NotTaken"
    FILE_OLD = "FileOld"
    FILE_GONE = "FileGone"


@dataclass(frozen=True, slots=True)
class Extracted:
    """The window's file is in the landing zone."""

    pending: PendingWindow
    file: StoredFile

    @property
    def is_late(self) -> bool:
        """After the tick it was for: the next one takes it (``Late``)."""
        tick = self.pending.tick
        return tick is not None and not self.pending.times_anew and is_late(tick, self.file.committed)


@dataclass(frozen=True, slots=True)
class NothingNew:
    """The window had no row, so there is no file."""

    pending: PendingWindow


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The Job failed; ``needs_person`` if another attempt alone will not help."""

    pending: PendingWindow
    exit_code: ExitCode
    needs_person: bool


@dataclass(frozen=True, slots=True)
class Ingested:
    """A run that took the window's file has ended with success. ``files`` are all that it took, and that are
    known.
    """

    pending: PendingWindow
    run: FileRun
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, slots=True)
class ExtractedAnew:
    """The window is extracted again; ``may_double`` if its rows may be ingested twice by that."""

    pending: PendingWindow
    why: Why
    may_double: bool


News = Extracted | NothingNew | AttemptFailed | Ingested | ExtractedAnew


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be recorded, then done, and what is to be told."""

    pending: tuple[PendingWindow, ...]
    actions: tuple[Action, ...]
    news: tuple[News, ...]

    def then(self, later: Step) -> Step:
        """Both, where ``later`` follows from what this one has recorded and what was recorded after it."""
        actions = dict.fromkeys((*self.actions, *later.actions))
        return Step(later.pending, tuple(actions), (*self.news, *later.news))


def record(
    parts: Iterable[CountedWindow],
    tick: datetime | None,
    files: Iterable[FileKey],
    pending: Sequence[PendingWindow],
) -> tuple[PendingWindow, ...]:
    """``pending`` and the parts of a new window that have rows, for ``tick``. A window that has a file
    already, since the cursor was set back, gets another one.
    """
    taken = [*files, *(one.key for one in pending)]
    new = [(part, _unused(part.window, taken)) for part in parts if part.rows]
    return (
        *pending,
        *(PendingWindow(part.window, tick, part.rows, first=n, extraction=n) for part, n in new),
    )


def room(pending: Sequence[PendingWindow]) -> int:
    """How many windows may be recorded now. None while one is still to be extracted: what comes after it is
    read in one window with what changes meanwhile.
    """
    if any(one.file is None for one in pending):
        return 0
    return max(0, MOST_PENDING - len(pending))


def is_stuck(pending: Sequence[PendingWindow]) -> bool:
    """True if Platform has to ingest before more is extracted (``IngestionStuck``)."""
    return len(pending) >= MOST_PENDING


def advance(pending: Sequence[PendingWindow], seen: Observed, rules: Rules) -> Step:
    """What follows for every window from what is seen."""
    progress = _Progress(tuple(pending), seen, rules)
    kept = tuple(after for one in pending if (after := progress.of(one)) is not None)
    actions = [*progress.actions, *_deletions(kept, seen), *_start(kept, seen)]
    return Step(kept, tuple(dict.fromkeys(actions)), tuple(progress.news))


@dataclass
class _Progress:
    """One walk over the windows. ``of`` gives what becomes of one; None: it is done."""

    before: tuple[PendingWindow, ...]
    seen: Observed
    rules: Rules
    actions: list[Action] = field(default_factory=list)
    news: list[News] = field(default_factory=list)

    def __post_init__(self) -> None:
        recorded = {one.key: one.file for one in self.before if one.file is not None}
        self._files = {**recorded, **self.seen.files}

    def of(self, one: PendingWindow) -> PendingWindow | None:
        run = self._ingested_by(one)
        if run is not None:
            files = tuple(file for file in self._files.values() if self._took(run, file))
            if one.file is None and (file := self._newest_file(one)) is not None:
                self.news.append(Extracted(one, file))  # nobody has looked since it was written
            self.news.append(Ingested(one, run, files))
            return None
        return self._extraction(one) if one.file is None else self._ingestion(one, one.file)

    def _ingested_by(self, one: PendingWindow) -> FileRun | None:
        """The run that has ingested any file of the window; None unless that is certain."""
        files = [file for key, file in self._files.items() if one.wrote(key)]
        for run in (run for run in self.seen.runs if run.succeeded):
            if any(map(one.wrote, run.files or ())) or any(self._took(run, file) for file in files):
                return run
        return None

    def _took(self, run: FileRun, file: StoredFile) -> bool | None:
        return took(run, file, () if self.seen.has_foreign_files else self._files.values())

    def _extraction(self, one: PendingWindow) -> PendingWindow | None:
        job = self.seen.jobs.get(one.job)
        if job is not None and job.state is JobState.RUNNING:
            return one if one.started else replace(one, started=True)
        file = self._newest_file(one)
        if file is not None:
            self.news.append(Extracted(one, file))
            return replace(one, extraction=file.key.extraction, file=file, retry_at=None, failure=None)
        if job is None:
            return replace(one, attempt=one.attempt + 1, started=False) if one.started else one
        if job.state is JobState.FAILED:
            return self._another_attempt(one, job)
        if job.result in (TransferResult.WRITTEN, TransferResult.ALREADY_WRITTEN):
            return self._anew(one, Why.FILE_GONE, may_double=True)
        self.news.append(NothingNew(one))
        return None

    def _newest_file(self, one: PendingWindow) -> StoredFile | None:
        """Of the window, from the extraction that is recorded on: a record that was restored from a backup
        is behind.
        """
        files = [file for key, file in self.seen.files.items() if key.window == one.window]
        newest = max(files, key=lambda file: file.key.extraction, default=None)
        return newest if newest is not None and newest.key.extraction >= one.extraction else None

    def _another_attempt(self, one: PendingWindow, job: TransferJob) -> PendingWindow:
        exit_code, now = job.exit_code or ExitCode.RETRY, self.seen.now
        pause = _pause(one.attempt)
        renewable = exit_code in _RENEWABLE and one.failure is not exit_code
        if renewable:
            self.actions.append(RenewCredential(exit_code))
            pause = timedelta()
        needs_person = exit_code is not ExitCode.RETRY and not renewable
        if needs_person:
            pause = CURE_NET
        self.news.append(AttemptFailed(one, exit_code, needs_person))
        return replace(
            one,
            attempt=one.attempt + 1,
            started=False,
            failure=exit_code,
            retry_at=now + max(pause, job.retry_after or timedelta()),
        )

    def _ingestion(self, one: PendingWindow, file: StoredFile) -> PendingWindow:
        now, taking_since = self.seen.now, self.seen.taking_since
        if taking_since is None:
            return one
        if now - file.committed >= SIX_DAYS:
            return self._anew(one, Why.FILE_OLD, may_double=True)
        last = next((run for run in reversed(self.seen.runs) if self._took(run, file) is not False), None)
        if last is not None and not last.is_final:
            return one
        is_there = one.key in self.seen.files
        if last is not None and not last.succeeded and is_there and self._took(last, file):
            return self._retried(one, file, last)
        ticks = self.rules.rhythm.ticks(max(file.committed, taking_since), now - RUN_SHOWS_WITHIN)
        if ticks >= TICKS_TO_TAKE << one.times_anew:
            return self._anew(one, Why.NOT_TAKEN if is_there else Why.FILE_GONE, may_double=True)
        return one

    def _retried(self, one: PendingWindow, file: StoredFile, run: FileRun) -> PendingWindow:
        """What follows from the failure of ``run``. It may have had several files, recorded at different
        times: they count its retries alike, by the runs that failed, so that none has it done again after
        another one was extracted anew.
        """
        now = self.seen.now
        asked = next((each for each in (one, *self.before) if each.retried_run == run.id), None)
        if asked is not None and asked.retried_at is not None:
            one = replace(
                one, retried_run=run.id, retried_at=asked.retried_at, retries=max(one.retries, asked.retries)
            )
            if now < asked.retried_at + RETRY_SHOWS_WITHIN:
                return one
        shown = sum(each.succeeded is False and each.window == run.window for each in self.seen.runs) - 1
        retries = max(one.retries, shown)
        if retries < self.rules.retry_limit:
            self.actions.append(ReTrigger(run.id))
            return replace(one, retried_run=run.id, retried_at=now, retries=retries + 1)
        if self.rules.rhythm.ticks(file.committed, now) < (1 << one.times_anew):
            return one
        return self._anew(one, Why.RUN_FAILED, may_double=retries > shown)

    def _anew(self, one: PendingWindow, why: Why, *, may_double: bool) -> PendingWindow:
        """Under another name: what exists is never written again (landing-zone.md K.6). A flow that runs once
        takes no second file.
        """
        if self.rules.rhythm.period is None and self.seen.taking_since is not None:
            return one
        self.news.append(ExtractedAnew(one, why, may_double))
        others = [*self.seen.files, one.key]
        return PendingWindow(one.window, one.tick, one.rows, one.first, _unused(one.window, others))


def _start(kept: Sequence[PendingWindow], seen: Observed) -> list[Action]:
    """The transfer of the first window that has no file, unless it is under way or has to wait."""
    waiting = [one for one in kept if one.file is None]
    if not waiting or any(one.started for one in waiting):
        return []
    first = min(waiting, key=lambda one: one.turn)
    pauses = first.retry_at is not None and seen.now < first.retry_at
    return [] if pauses else [StartTransfer(first)]


def _deletions(kept: Sequence[PendingWindow], seen: Observed) -> list[Action]:
    """Of Jobs that are recorded, and of those that nobody waits for."""
    awaited = {one.job for one in kept if one.file is None}
    return [DeleteTransfer(job) for job in seen.jobs if job not in awaited]


def _pause(attempt: int) -> timedelta:
    first, longest = BACKOFF
    return min(longest, first * 2.0 ** min(attempt, 16))


def _unused(window: Window, files: Iterable[FileKey]) -> int:
    """The next n of ``window``."""
    return 1 + max((key.extraction for key in files if key.window == window), default=-1)
