"""``IngestionComplete``: whether what Zoho counted was written, and what was written was read by Platform
(design.md 11). It is no part of Ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from crmflow.reconcile.extraction.observed import FileRun, StoredFile


class Reason(StrEnum):
    """Of the condition. It is True with the first, False with the second, Unknown otherwise."""

    ROWS_MATCH = "RowsMatch"
    ROWS_DIFFER = "RowsDiffer"
    NOT_REPORTED = "NotReported"
    WAITING = "Waiting"


@dataclass(frozen=True, slots=True)
class Completeness:
    """The condition, and its text."""

    reason: Reason
    message: str


def compare(files: Sequence[StoredFile], run: FileRun | None) -> Completeness:
    """``files`` are those that ``run`` took, by its manifest or else by time; None if none has, yet."""
    for file in files:
        if _was_counted(file) and not _agrees(file):
            return Completeness(Reason.ROWS_DIFFER, _differs_from_zoho(file))
    if run is None or not run.is_final:
        return Completeness(Reason.WAITING, "No run has ingested the last file yet.")
    written = sum(file.records for file in files)
    if run.records_read is None:
        return Completeness(Reason.NOT_REPORTED, f"Run {run.id} does not tell how many records it read.")
    if run.files is not None and len(files) < len(run.files):
        text = f"Run {run.id} read {run.records_read}{_left_out(run)}; not all files that it took are there."
        return Completeness(Reason.NOT_REPORTED, text)
    read = f"{_rows(written)} written; run {run.id} read {run.records_read}{_left_out(run)}."
    if run.records_read != written:
        return Completeness(Reason.ROWS_DIFFER, read)
    if not files or not all(map(_was_counted, files)):
        return Completeness(Reason.NOT_REPORTED, f"{read} How many Zoho CRM had is not known.")
    return Completeness(Reason.ROWS_MATCH, read)


def _was_counted(file: StoredFile) -> bool:
    return file.count_before is not None and file.count_after is not None


def _agrees(file: StoredFile) -> bool:
    """Rows that are modified meanwhile leave the window, so the file may have as many as either count, or
    something between.
    """
    counts = (file.count_before or 0, file.count_after or 0)
    return min(counts) <= file.rows <= max(counts)


def _differs_from_zoho(file: StoredFile) -> str:
    return (
        f"{_rows(file.rows)} written to {file.key}; Zoho CRM counted {file.count_before} before it "
        f"was read and {file.count_after} after that."
    )


def _left_out(run: FileRun) -> str:
    """Records that Platform read and left out are no difference."""
    counts = ((run.records_failed, "refused"), (run.records_skipped, "skipped"))
    return "".join(f", {what} {count}" for count, what in counts if count)


def _rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count} rows were"
