"""Windows from their record until they are ingested: the table, and any order of what may happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmflow.reconcile.extraction.cursor import Cursor, find_cursor
from crmflow.reconcile.extraction.cutting import CountedWindow
from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.observed import FileRun, JobState, StoredFile, TransferJob
from crmflow.reconcile.extraction.pending import (
    MOST_PENDING,
    SIX_DAYS,
    Action,
    DeleteTransfer,
    ExtractedAnew,
    JobKey,
    Observed,
    PendingWindow,
    RenewCredential,
    ReTrigger,
    Rules,
    StartTransfer,
    Step,
    Why,
    advance,
    is_stuck,
    record,
    room,
)
from crmflow.reconcile.extraction.rhythm import Due, Rhythm, next_window
from crmflow.transfer.declaration import Window
from crmflow.transfer.report import ExitCode, TransferResult

NOON = datetime(2026, 11, 4, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = Rules(Rhythm(NOON, HOUR, lead=15 * MINUTE), retry_limit=1)
WINDOW = Window(begin=NOON - 75 * MINUTE, end=NOON - 15 * MINUTE)
FILE = FileKey(WINDOW)
EMPTY = PendingWindow(WINDOW, NOON)
STORED = StoredFile(FILE, NOON - 10 * MINUTE, rows=5)
EXTRACTED = replace(EMPTY, started=True, file=STORED)
STARTED = replace(EMPTY, started=True)


def look(
    pending: PendingWindow,
    now: datetime,
    *,
    job: TransferJob | None = None,
    file: StoredFile | None = None,
    runs: tuple[FileRun, ...] = (),
    rules: Rules = RULES,
    taking: bool = True,
) -> Step:
    files = {file.key: file} if file else {}
    jobs = {pending.job: job} if job else {}
    return advance([pending], Observed(now, jobs, files, runs, NOON - DAY if taking else None), rules)


def run(*, number: int = 1, hour: int = 0, **more: object) -> FileRun:
    """A run of the tick so many hours after noon."""
    fields = {"succeeded": True, **more}
    tick = NOON + hour * HOUR
    return FileRun(f"r{number}", window=(tick - HOUR, tick), **fields)  # type: ignore[arg-type]


FAILED = run(succeeded=False)
UNDER_WAY = run(succeeded=None)


def job(state: JobState = JobState.RUNNING, **more: object) -> TransferJob:
    return TransferJob(state, **more)  # type: ignore[arg-type]


def failed(exit_code: ExitCode | None) -> TransferJob:
    return job(JobState.FAILED, exit_code=exit_code)


DONE = job(JobState.SUCCEEDED, result=TransferResult.NOTHING_NEW)
DELETE = DeleteTransfer(EMPTY.job)


@pytest.mark.parametrize(
    ("before", "of_job", "file", "after", "actions"),
    [
        pytest.param(EMPTY, None, None, EMPTY, [StartTransfer(EMPTY)], id="start"),
        pytest.param(EMPTY, job(), None, STARTED, [], id="it runs"),
        pytest.param(STARTED, job(), STORED, STARTED, [], id="it has written and will end"),
        pytest.param(
            STARTED,
            job(JobState.SUCCEEDED),
            STORED,
            replace(EXTRACTED),
            [DELETE],
            id="its pod is gone, its file there",
        ),
        pytest.param(STARTED, failed(None), STORED, EXTRACTED, [DELETE], id="it has died after the commit"),
        pytest.param(STARTED, DONE, None, None, [DELETE], id="nothing new"),
        pytest.param(
            STARTED, job(JobState.SUCCEEDED), None, None, [DELETE], id="gone without a file: nothing new"
        ),
        pytest.param(
            STARTED,
            None,
            None,
            replace(EMPTY, attempt=1),
            [StartTransfer(replace(EMPTY, attempt=1))],
            id="somebody deleted it: blocks of two must not mix",
        ),
        pytest.param(
            STARTED,
            job(JobState.SUCCEEDED, result=TransferResult.WRITTEN),
            None,
            replace(EMPTY, extraction=1),
            [DELETE, StartTransfer(replace(EMPTY, extraction=1))],
            id="somebody deleted the file",
        ),
    ],
)
def test_extraction(
    before: PendingWindow,
    of_job: TransferJob | None,
    file: StoredFile | None,
    after: PendingWindow | None,
    actions: list[Action],
) -> None:
    step = look(before, NOON, job=of_job, file=file)
    assert step.pending == (() if after is None else (after,))
    assert set(step.actions) == set(actions)


def test_an_attempt_that_failed_is_tried_again_after_a_pause() -> None:
    step = look(STARTED, NOON, job=failed(ExitCode.RETRY))
    again = step.pending[0]
    assert (again.attempt, again.extraction, again.started) == (1, 0, False)
    assert step.actions == (DELETE,)
    assert again.retry_at is not None
    assert not look(again, again.retry_at - MINUTE / 60).actions
    assert look(again, again.retry_at).actions == (StartTransfer(again),)


def test_a_pause_that_a_service_names_is_kept() -> None:
    step = look(STARTED, NOON, job=job(JobState.FAILED, exit_code=ExitCode.RETRY, retry_after=HOUR))
    assert step.pending[0].retry_at == NOON + HOUR


@pytest.mark.parametrize("exit_code", [ExitCode.ZOHO_TOKEN, ExitCode.SAS])
def test_a_credential_is_renewed_once(exit_code: ExitCode) -> None:
    step = look(STARTED, NOON, job=failed(exit_code))
    again = step.pending[0]
    assert set(step.actions) == {RenewCredential(exit_code), DELETE, StartTransfer(again)}
    step = look(replace(again, started=True), NOON, job=failed(exit_code))
    assert [type(action) for action in step.actions] == [DeleteTransfer]
    assert [getattr(news, "needs_person", None) for news in step.news] == [True]
    assert step.pending[0].retry_at == NOON + HOUR


OTHERS = frozenset({FileKey(Window(begin=WINDOW.end, end=NOON))})
NOT_TAKEN = NOON + HOUR + 11 * MINUTE
"""Two ticks, and the time in which a run shows."""
RETRIED = replace(EXTRACTED, retried_run="r1", retries=1, retried_at=NOON + 10 * MINUTE)


@pytest.mark.parametrize(
    ("before", "now", "runs", "after"),
    [
        pytest.param(EXTRACTED, NOON, [], EXTRACTED, id="before its tick"),
        pytest.param(EXTRACTED, NOON + HOUR, [UNDER_WAY], EXTRACTED, id="a run has it"),
        pytest.param(EXTRACTED, NOON + DAY, [UNDER_WAY], EXTRACTED, id="for as long as that takes"),
        pytest.param(EXTRACTED, NOON + HOUR, [run()], None, id="ingested, by time"),
        pytest.param(EXTRACTED, NOON + HOUR, [run(files=frozenset({FILE}))], None, id="by its manifest"),
        pytest.param(EXTRACTED, NOON + HOUR, [run(files=OTHERS)], EXTRACTED, id="by others' manifest"),
        pytest.param(EXTRACTED, NOON + HOUR, [run(records_read=0)], EXTRACTED, id="a run without files"),
        pytest.param(EXTRACTED, NOT_TAKEN - 2 * MINUTE, [], EXTRACTED, id="the second run may yet show"),
        pytest.param(EXTRACTED, NOT_TAKEN, [], Why.NOT_TAKEN, id="two ticks without a run"),
        pytest.param(RETRIED, NOON + 30 * MINUTE, [FAILED], RETRIED, id="the new run may yet show"),
        pytest.param(RETRIED, NOON + HOUR, [FAILED, run(number=2, succeeded=None)], RETRIED, id="it runs"),
        pytest.param(RETRIED, NOON + HOUR, [FAILED, run(number=2)], None, id="it has helped"),
        pytest.param(
            RETRIED, NOON + HOUR, [FAILED, run(number=2, succeeded=False)], Why.RUN_FAILED, id="it has not"
        ),
        pytest.param(EXTRACTED, STORED.committed + SIX_DAYS, [UNDER_WAY], Why.FILE_OLD, id="six days"),
    ],
)
def test_ingestion(
    before: PendingWindow, now: datetime, runs: list[FileRun], after: PendingWindow | Why | None
) -> None:
    step = look(before, now, file=STORED, runs=tuple(runs))
    anew = [news for news in step.news if isinstance(news, ExtractedAnew)]
    if isinstance(after, Why):
        assert [news.why for news in anew] == [after]
        assert anew[0].may_double is (after is not Why.RUN_FAILED)
        assert step.pending == (replace(EMPTY, extraction=1),)
        assert step.actions == (StartTransfer(step.pending[0]),)
    else:
        assert step.pending == (() if after is None else (after,))
        assert not step.actions
        assert not anew


def test_a_failed_run_is_asked_for_once_for_all_its_files() -> None:
    other = FileKey(Window(begin=WINDOW.end, end=NOON - 12 * MINUTE))
    second = replace(EXTRACTED, window=other.window, file=replace(STORED, key=other))
    seen = Observed(
        NOON + 10 * MINUTE, {}, {FILE: STORED, other: replace(STORED, key=other)}, [FAILED], NOON - DAY
    )
    step = advance([EXTRACTED, second], seen, RULES)
    assert step.actions == (ReTrigger("r1"),)
    assert {one.retried_run for one in step.pending} == {"r1"}
    later = replace(seen, now=seen.now + MINUTE)
    assert not advance([step.pending[0], second], later, RULES).actions, "a file that was recorded late"
    assert advance(
        step.pending, replace(seen, now=seen.now + HOUR), replace(RULES, retry_limit=2)
    ).actions == (ReTrigger("r1"),), "the request was lost"


def test_a_file_that_was_recorded_late_counts_the_retries_of_its_run() -> None:
    """Another file of it was extracted anew: that it is done again would double that one."""
    step = look(EXTRACTED, NOON + HOUR, file=STORED, runs=(FAILED, run(number=2, succeeded=False)))
    assert [(news.why, news.may_double) for news in step.news if isinstance(news, ExtractedAnew)] == [
        (Why.RUN_FAILED, False)
    ]


@pytest.mark.parametrize("seconds", [-5, 0, 5])
def test_a_file_near_the_bound_of_a_run_is_not_taken_for_ingested(seconds: int) -> None:
    """Not even where the runs on both sides of it have succeeded: neither may have seen it."""
    on_tick = replace(STORED, committed=NOON + timedelta(seconds=seconds))
    pending = replace(EXTRACTED, file=on_tick)
    runs = (run(), run(number=2, hour=1))
    assert look(pending, NOON + HOUR, file=on_tick, runs=runs).pending == (pending,)
    manifest = replace(runs[1], files=frozenset({FILE}))
    assert look(pending, NOON + HOUR, file=on_tick, runs=(runs[0], manifest)).pending == ()


@pytest.mark.parametrize("named", [0, 1])
def test_whichever_of_its_files_a_run_took_the_window_is_ingested(named: int) -> None:
    """Also while it is extracted anew, since no run had taken the first one in time."""
    first, second = STORED, replace(STORED, key=FileKey(WINDOW, 1), committed=NOON + 2.5 * HOUR)
    again = replace(EMPTY, extraction=1, started=True)
    seen = Observed(NOON + 3 * HOUR, {again.job: job()}, {FILE: first, second.key: second}, (), NOON - DAY)
    by_manifest = run(hour=3, files=frozenset({FileKey(WINDOW, named)}))
    assert not advance([again], replace(seen, runs=[by_manifest]), RULES).pending
    by_time = run(hour=3 * named)
    assert not advance([again], replace(seen, runs=[by_time]), RULES).pending


def test_what_nobody_takes_waits_longer_each_time() -> None:
    again = replace(STORED, key=FileKey(WINDOW, 1))
    pending = replace(EXTRACTED, extraction=1, file=again)
    assert look(pending, NOT_TAKEN + HOUR, file=again).pending == (pending,)
    assert look(pending, NOT_TAKEN + 2 * HOUR, file=again).pending[0].extraction == 2


def test_a_disabled_flow_is_expected_to_take_nothing() -> None:
    assert look(EXTRACTED, NOON + 7 * DAY, runs=(FAILED,), taking=False).pending == (EXTRACTED,)


def test_a_flow_that_runs_once_gets_no_second_file() -> None:
    once = Rules(Rhythm(NOON, None, lead=15 * MINUTE), retry_limit=0)
    step = look(EXTRACTED, NOON + DAY, file=STORED, runs=(FAILED,), rules=once)
    assert step.pending == (EXTRACTED,)
    assert not step.actions


def test_a_window_that_is_read_again_on_purpose_was_not_ingested_before() -> None:
    parts = [CountedWindow(WINDOW, 5), CountedWindow(Window(begin=WINDOW.end, end=NOON), 0)]
    (again,) = record(parts, NOON, [FILE], [])
    assert again.key == FileKey(WINDOW, 1), "an empty part is not recorded"
    before = run(files=frozenset({FILE}))
    assert look(again, NOON, runs=(before,)).actions == (StartTransfer(again),)


def test_there_is_room_for_a_hundred_windows_and_one_extraction() -> None:
    assert room([EXTRACTED] * 3) == MOST_PENDING - 3
    assert room([EXTRACTED, EMPTY]) == 0
    assert is_stuck([EXTRACTED] * MOST_PENDING)
    assert room([EXTRACTED] * MOST_PENDING) == 0


def test_the_oldest_tick_is_extracted_first_and_alone() -> None:
    younger = replace(EMPTY, window=Window(begin=WINDOW.end, end=NOON), tick=NOON + HOUR)
    seen = Observed(NOON, {}, {}, (), NOON - DAY)
    assert advance([younger, EMPTY], seen, RULES).actions == (StartTransfer(EMPTY),)
    running = replace(seen, jobs={EMPTY.job: job()})
    assert not advance([younger, EMPTY], running, RULES).actions


class Crash(Exception):
    """The operator dies here."""


@dataclass
class World:
    """Zoho's rows, a landing zone that commits once, Jobs with pods that outlive them, and Platform's ticks
    (landing-zone.md K.4), with an operator that reads, records and acts.
    """

    random: Random
    rows: frozenset[int]
    """Minutes after noon at which rows were modified."""
    manifests: bool
    bounds: str = "(]"
    """Which bounds of a run's window belong to it; with "()" neither does."""
    now: datetime = NOON + 50 * MINUTE
    """A window is due."""
    cursor: Cursor | None = field(default_factory=lambda: Cursor(NOON, NOON))
    pending: tuple[PendingWindow, ...] = ()
    files: dict[FileKey, StoredFile] = field(default_factory=dict)
    jobs: dict[JobKey, TransferJob] = field(default_factory=dict)
    pods: list[JobKey] = field(default_factory=list)
    runs: list[tuple[FileRun, frozenset[FileKey], datetime]] = field(default_factory=list)
    """With their files and the time of their end."""
    ingested: Counter[int] = field(default_factory=Counter)
    said: set[Window] = field(default_factory=set)
    """Windows whose rows may be doubled, as it was told."""
    lost_status: bool = False
    runs_fail: bool = False
    backups: list[tuple[Cursor | None, tuple[PendingWindow, ...]]] = field(default_factory=list)

    def in_window(self, window: Window) -> frozenset[int]:
        return frozenset(row for row in self.rows if window.begin <= NOON + row * MINUTE < window.end)

    # Zoho and the landing zone

    def commit(self, key: JobKey) -> TransferResult:
        rows = self.in_window(key.file.window)
        if not rows:
            return TransferResult.NOTHING_NEW
        if key.file in self.files:
            return TransferResult.ALREADY_WRITTEN
        self.files[key.file] = StoredFile(key.file, self.now, len(rows))
        return TransferResult.WRITTEN

    def pod(self, ending: Callable[[JobKey], TransferJob]) -> None:
        if self.pods:
            key = self.pods.pop(self.random.randrange(len(self.pods)))
            found = ending(key)
            if key in self.jobs:
                self.jobs[key] = found

    def pod_ends(self) -> None:
        told = self.random.random() < 0.7
        self.pod(
            lambda key: job(
                JobState.SUCCEEDED, result=self.commit(key) if told else self.commit(key) and None
            )
        )

    def pod_dies(self) -> None:
        self.pod(lambda _: failed(self.random.choice([None, *list(ExitCode)[1:]])))

    def pod_dies_after_the_commit(self) -> None:
        self.pod(lambda key: failed(ExitCode.RETRY if self.commit(key) else None))

    def job_is_deleted(self) -> None:
        if self.jobs:
            del self.jobs[self.random.choice(list(self.jobs))]

    # Platform

    def time_passes(self, step: timedelta) -> None:
        end = self.now + step
        while (tick := RULES.rhythm.next_tick(self.now)) is not None and tick <= end:
            self.now = tick
            self.platform_runs(tick, self.picked(tick))
        self.now = end

    def picked(self, tick: datetime) -> list[FileKey]:
        """What a run of this tick takes."""
        begin = tick - HOUR
        return [
            key
            for key, file in self.files.items()
            if begin < file.committed < tick
            or (file.committed == begin and self.bounds[0] == "[")
            or (file.committed == tick and self.bounds[1] == "]")
        ]

    def platform_runs(self, tick: datetime, files: list[FileKey]) -> None:
        if not files:
            return
        ends = self.now + 5 * MINUTE
        succeeded = not (self.runs_fail and self.random.random() < 0.7)
        if succeeded:
            for key in files:
                self.ingested.update(self.in_window(key.window))
        manifest = frozenset(files) if self.manifests else None
        rows = sum(self.files[key].rows for key in files)
        found = FileRun(f"r{len(self.runs)}", succeeded, (tick - HOUR, tick), manifest, rows)
        self.runs.append((found, frozenset(files), ends))

    def visible_runs(self) -> list[FileRun]:
        return [
            run if self.now >= ends else replace(run, succeeded=None, files=None)
            for run, _, ends in self.runs
            if self.now >= ends - 3 * MINUTE
        ]

    # The operator

    def reconcile(self, between: Callable[[], None], dies_at: int = -1) -> None:
        now, jobs = self.now, dict(self.jobs)
        between()
        files = dict(self.files)
        between()
        self.find_cursor(files)
        assert self.cursor is not None
        step = advance(self.pending, Observed(now, jobs, files, self.visible_runs(), NOON), RULES)
        pending, cursor = step.pending, self.cursor
        due = next_window(RULES.rhythm, cursor.time, now)
        if room(pending) and isinstance(due, Due):
            rows = len(self.in_window(due.window))
            pending = record([CountedWindow(due.window, rows)], due.tick, files, pending)
            cursor = Cursor(due.window.end, now)
        for number, act in enumerate(
            [lambda: self.write(pending, cursor, step), *map(self.deed, step.actions)]
        ):
            if number == dies_at:
                return
            act()

    def find_cursor(self, files: dict[FileKey, StoredFile]) -> None:
        found = find_cursor(self.cursor, self.pending, files.values(), self.visible_runs(), RULES.rhythm.lead)
        if found is None:  # CursorUnknown: a person sets it
            self.cursor = Cursor(NOON, self.now)
            return
        assert self.lost_status or not found.may_overlap
        if found.may_overlap:
            self.cursor, self.pending = Cursor(found.time, self.now), found.pending

    def write(self, pending: tuple[PendingWindow, ...], cursor: Cursor, step: Step) -> None:
        self.pending, self.cursor = pending, cursor
        self.backups.append((cursor, pending))
        self.said |= {
            news.pending.window for news in step.news if isinstance(news, ExtractedAnew) and news.may_double
        }

    def deed(self, action: Action) -> Callable[[], None]:
        return lambda: self.act(action)

    def act(self, action: Action) -> None:
        match action:
            case StartTransfer(pending):
                if pending.job not in self.jobs:
                    self.jobs[pending.job] = job()
                    self.pods.append(pending.job)
            case DeleteTransfer(key):
                self.jobs.pop(key, None)
            case ReTrigger(run_id):
                run, files, _ = next(entry for entry in self.runs if entry[0].id == run_id)
                assert run.window is not None
                self.platform_runs(run.window[1], list(files))

    def status_is_lost(self) -> None:
        self.lost_status, self.cursor, self.pending = True, None, ()

    def backup_is_restored(self) -> None:
        if self.backups:
            self.lost_status = True
            self.cursor, self.pending = self.random.choice(self.backups)

    # What happens

    def happens(self, what: str) -> None:
        match what:
            case "reconcile":
                self.reconcile(lambda: self.happens(self.random.choice(ELSEWHERE)))
            case "die":
                self.reconcile(lambda: None, dies_at=self.random.randrange(4))
            case "minutes":
                self.time_passes(self.random.randrange(1, 20) * MINUTE)
            case "hours":
                due = (self.now - NOON) // HOUR * HOUR + NOON + 50 * MINUTE
                due += self.random.randrange(3) * HOUR
                self.time_passes(max(due - self.now, MINUTE))
            case "tick":  # exactly
                tick = RULES.rhythm.next_tick(self.now)
                assert tick is not None
                self.time_passes(tick - self.now)
            case _:
                getattr(self, what)()

    def settle(self) -> None:
        """Everything works from now on."""
        self.runs_fail = False
        end = self.now + 60 * HOUR
        while self.now < end:
            self.reconcile(lambda: None)
            self.pod(lambda key: job(JobState.SUCCEEDED, result=self.commit(key)))
            self.time_passes(4 * MINUTE)


ELSEWHERE = ["pod_ends", "pod_dies", "pod_dies_after_the_commit", "minutes"]
OPERATOR = ["reconcile", "reconcile", "reconcile", "die", "hours", "hours", "job_is_deleted"]
DISASTERS = ["status_is_lost", "backup_is_restored"]

ROWS = st.frozensets(st.integers(0, 600), min_size=1, max_size=30)


def check(world: World, events: list[str]) -> None:
    for event in events:
        world.happens(event)
    world.settle()
    assert not world.pending
    assert not world.jobs
    missing = {row for row in world.rows if not world.ingested[row]}
    assert not missing, f"lost: {missing}"
    doubled = {row for row, count in world.ingested.items() if count > 1}
    told = frozenset[int]().union(*(world.in_window(window) for window in world.said))
    assert world.lost_status or doubled <= told, f"doubled without a word: {doubled - told}"


@settings(max_examples=100)
@given(
    st.randoms(use_true_random=False),
    ROWS,
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from([*OPERATOR, *ELSEWHERE]), min_size=15, max_size=40),
)
def test_nothing_is_lost_and_nothing_doubled_without_a_word(
    random: Random, rows: frozenset[int], manifests: bool, runs_fail: bool, events: list[str]
) -> None:
    """Whatever dies between whatever: the operator, pods, Jobs and runs."""
    check(World(random, rows, manifests, runs_fail=runs_fail), events)


@settings(max_examples=100)
@given(
    st.randoms(use_true_random=False),
    ROWS,
    st.booleans(),
    st.lists(st.sampled_from([*OPERATOR, *ELSEWHERE, *DISASTERS]), min_size=15, max_size=40),
)
def test_a_status_that_is_lost_or_old_leaves_no_gap(
    random: Random, rows: frozenset[int], manifests: bool, events: list[str]
) -> None:
    check(World(random, rows, manifests), events)


@settings(max_examples=200)
@given(
    st.randoms(use_true_random=False),
    ROWS,
    st.booleans(),
    st.sampled_from(["(]", "[)", "[]", "()"]),
    st.lists(st.sampled_from([*OPERATOR, *ELSEWHERE, "tick", "tick", "pod_ends"]), min_size=15, max_size=40),
)
def test_what_a_run_has_taken_is_not_read_anew(
    random: Random, rows: frozenset[int], manifests: bool, bounds: str, events: list[str]
) -> None:
    """Whichever bounds of its window belong to it, and when a file is committed in the second of a tick."""
    world = World(random, rows, manifests, bounds=bounds)
    check(world, events)
    doubled = {row for row, count in world.ingested.items() if count > 1}
    assert not doubled
