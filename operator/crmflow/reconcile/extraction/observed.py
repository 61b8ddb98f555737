"""What is seen of a dataflow's extraction: Jobs, files of its folder, runs of its flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from crmflow.aep.models import Run, RunMetrics, RunState
from crmflow.reconcile.extraction.names import FileKey
from crmflow.transfer.report import ExitCode, Report, TransferResult

CLEAR_OF_BOUNDS = timedelta(seconds=10)
"""Whose clock Platform's bounds are on is not documented (landing-zone.md E.3)."""


class JobState(StrEnum):
    """How far a Job is. A Job whose pod is being ended still runs."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class TransferJob:
    """A Job, with what its pod's termination message says; a pod that is gone has left none."""

    state: JobState
    result: TransferResult | None = None
    exit_code: ExitCode | None = None
    """None also for a status that is none of ours, such as that of a process that was killed."""
    retry_after: timedelta | None = None
    """From now on, where a service has named it."""
    report: Report | None = None
    """The whole termination message."""
    trouble: str = ""
    """Why its pod does not run, or has ended without a report, in the words of Kubernetes."""
    has_pod: bool = True
    """Whether Kubernetes has made a pod for it."""

    @classmethod
    def ended(
        cls, state: JobState, report: Report | None, exit_code: int | None = None, trouble: str = ""
    ) -> TransferJob:
        """A Job that has ended; ``exit_code`` is what its process had, where there is no report."""
        if report is None:
            return cls(state, exit_code=_exit_code(exit_code), trouble=trouble)
        return cls(
            state,
            result=next((result for result in TransferResult if result == report.reason), None),
            exit_code=_exit_code(report.exit_code),
            retry_after=None if report.retry_after is None else timedelta(seconds=report.retry_after),
            report=report,
        )


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the landing zone, by its name and metadata."""

    key: FileKey
    committed: datetime
    """Its last-modified time, by which Platform picks files (landing-zone.md E.3)."""
    rows: int
    deleted: int = 0
    """Rows that mark deletions, beside ``rows``."""
    bytes: int = 0
    count_before: int | None = None
    """``COUNT(id)`` of the window before and after its extraction."""
    count_after: int | None = None

    @property
    def records(self) -> int:
        """What a run reads of it."""
        return self.rows + self.deleted

    @classmethod
    def of_blob(cls, name: str, last_modified: datetime, metadata: Mapping[str, str]) -> StoredFile | None:
        """None of a file that no transfer wrote (``ForeignFiles``)."""
        key = FileKey.of(name)
        numbers = {field: _number(metadata, field) for field in ("rows", "deleted", "bytes")}
        if key is None or any(number is None for number in numbers.values()):
            return None
        return cls(
            key=key,
            committed=last_modified,
            rows=numbers["rows"] or 0,
            deleted=numbers["deleted"] or 0,
            bytes=numbers["bytes"] or 0,
            count_before=_number(metadata, "countbefore"),
            count_after=_number(metadata, "countafter"),
        )


@dataclass(frozen=True, slots=True)
class FileRun:
    """A run of a flow of files (landing-zone.md K.4). A retry is a run of its own with the same window."""

    id: str
    succeeded: bool | None
    """True also if it refused some records; None while more may come of it."""
    window: tuple[datetime, datetime] | None
    """Files that were committed in it were taken. Which of its bounds belong to it is not documented."""
    files: frozenset[FileKey] | None = None
    """Those of its manifest that are ours; None if it shows none of ours, such as one of staged copies."""
    records_read: int | None = None
    records_skipped: int | None = None
    records_failed: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more comes of it."""
        return self.succeeded is not None

    def may_cover(self, committed: datetime) -> bool:
        """Whether that instant lies in its window or near a bound of it."""
        return self.window is not None and (
            self.window[0] - CLEAR_OF_BOUNDS <= committed <= self.window[1] + CLEAR_OF_BOUNDS
        )

    def surely_covers(self, committed: datetime) -> bool:
        """Whether it lies between the bounds, and clear of them."""
        return self.window is not None and (
            self.window[0] + CLEAR_OF_BOUNDS < committed < self.window[1] - CLEAR_OF_BOUNDS
        )


def _exit_code(status: int | None) -> ExitCode | None:
    return next((code for code in ExitCode if code == status), None)


def file_run(run: Run, manifest: Sequence[str] = ()) -> FileRun:
    """What a run of a flow of files tells; ``manifest`` are the paths of its files, as far as known."""
    succeeded = run.state in (RunState.SUCCESS, RunState.PARTIAL_SUCCESS)
    metrics = run.metrics or RunMetrics()
    return FileRun(
        id=run.id,
        succeeded=succeeded if run.is_final else None,
        window=None if run.window is None else (_instant(run.window[0]), _instant(run.window[1])),
        files=frozenset(filter(None, map(FileKey.of, manifest))) or None,
        records_read=metrics.records_read,
        records_skipped=metrics.records_skipped,
        records_failed=metrics.records_failed,
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _number(metadata: Mapping[str, str], name: str) -> int | None:
    value = metadata.get(name, "")
    return int(value) if value.isdecimal() else None
