"""What a run reports (platform.md 7.1)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tests.emulators.aep.resource import milliseconds
from tests.emulators.aep.switches import AepSwitches
from tests.emulators.blob.azurite import CONTAINER

Outcome = Literal["success", "failed", "partial", "inProgress", "queued"]


class RunError(BaseModel):
    """One entry of ``statusSummary.errors``."""

    model_config = ConfigDict(extra="forbid")

    code: str = "CONNECTOR-1001-500"
    message: str = "There was an error copying data from the source."
    recordCount: int | None = None


class RunOutcome(BaseModel):
    """How a run ends. Counts that are left out are derived from the rows of the source."""

    model_config = ConfigDict(extra="forbid")

    state: Outcome = Field("success", description="what the run comes to; inProgress: it has only begun")
    inputRecordCount: int | None = Field(None, ge=0)
    outputRecordCount: int | None = Field(None, ge=0)
    failedRecordCount: int | None = Field(None, ge=0)
    skippedRecordCount: int | None = Field(None, ge=0)
    inputBytes: int | None = Field(None, ge=-1)
    outputBytes: int | None = Field(None, ge=-1)
    durationSeconds: float = Field(42, ge=0)
    errors: list[RunError] = Field(default_factory=list)
    refusedRows: list[dict[str, Any]] = Field(
        default_factory=list, description="what the batch's diagnostics keep, each with its _errors"
    )


@dataclass(frozen=True)
class FileSummary:
    """The files that a run of files has read."""

    read: int
    failed: int
    warnings: int
    """Rows of which a value was dropped."""


@dataclass
class Measured:
    """What the source offered."""

    rows: int
    size: int
    batch: str | None
    started: float
    window: tuple[float, float] | None = None
    files: FileSummary | None = None


_STATUS = {
    "success": ("success", "SUCCESS", "COMPLETED"),
    "failed": ("failed", "FAILED", "FAILED"),
    "partial": ("success", "PARTIAL_SUCCESS", "PARTIAL_FAILURE"),
    "inProgress": ("inProgress", "IN_PROGRESS", "IN_PROGRESS"),
    "queued": ("queued", "QUEUED", "SCHEDULED"),
}


def status(outcome: RunOutcome, switches: AepSwitches) -> str:
    """The status in one of the spellings seen; a partial success is called success except in capitals."""
    lower, upper, other = _STATUS[outcome.state]
    match switches.runStatusSpelling:
        case "upper":
            return upper
        case "other":
            return other
        case "title":
            return lower[:1].upper() + lower[1:]
        case _:
            return lower


def metrics(outcome: RunOutcome, measured: Measured, switches: AepSwitches) -> dict[str, Any]:
    """The ``metrics`` of a run."""
    over = outcome.state not in ("inProgress", "queued")
    summary: dict[str, Any] = {
        "durationSummary": {} if _is_unborn(outcome, switches) else _duration(outcome, measured, over),
        "statusSummary": _status_summary(outcome, measured, switches),
    }
    if over:
        summary |= {
            "sizeSummary": _sizes(outcome, measured),
            "recordSummary": _records(outcome, measured),
            "fileSummary": _files(outcome, measured, switches),
        }
    return summary


def activities(outcome: RunOutcome, measured: Measured, switches: AepSwitches) -> list[dict[str, Any]]:
    """The two activities of a run: copy from the source, promotion into the dataset."""
    over = outcome.state not in ("inProgress", "queued")
    duration = _duration(outcome, measured, over)
    if measured.window is not None and switches.runWindows == "shown":
        start, end = measured.window
        duration["extensions"] = {"windowStart": milliseconds(start), "windowEnd": milliseconds(end)}
    shared = {"durationSummary": duration, "statusSummary": {"status": status(outcome, switches)}}
    copied = {
        "id": str(uuid.uuid4()),
        "name": "Copy Activity",
        "activityType": "copyActivity",
        **shared,
        "sourceInfo": [{"reference": {"type": "AdfRunId", "ids": [str(uuid.uuid4())]}}],
    }
    promoted = {
        "id": str(uuid.uuid4()),
        "name": "Promotion Activity",
        "activityType": "promotionActivity",
        **shared,
        "targetInfo": [{"reference": {"type": "Batch", "ids": [measured.batch] if measured.batch else []}}],
    }
    return [copied, promoted]


def _is_unborn(outcome: RunOutcome, switches: AepSwitches) -> bool:
    return outcome.state == "queued" and switches.queuedRunStart == "absent"


def _duration(outcome: RunOutcome, measured: Measured, over: bool) -> dict[str, Any]:
    duration: dict[str, Any] = {"startedAtUTC": milliseconds(measured.started)}
    if over:
        duration["completedAtUTC"] = milliseconds(measured.started + outcome.durationSeconds)
    return duration


def _sizes(outcome: RunOutcome, measured: Measured) -> dict[str, Any]:
    failed = outcome.state == "failed"
    known = -1 if failed else measured.size
    return {
        "inputBytes": known if outcome.inputBytes is None else outcome.inputBytes,
        "outputBytes": known if outcome.outputBytes is None else outcome.outputBytes,
    }


def _records(outcome: RunOutcome, measured: Measured) -> dict[str, Any]:
    read = measured.rows if outcome.inputRecordCount is None else outcome.inputRecordCount
    failed = outcome.failedRecordCount
    if failed is None:
        failed = {"failed": read, "partial": min(read, max(1, read // 50))}.get(outcome.state, 0)
    skipped = outcome.skippedRecordCount or 0
    written = outcome.outputRecordCount
    if written is None:
        written = 0 if outcome.state == "failed" else max(0, read - failed - skipped)
    return {
        "inputRecordCount": read,
        "outputRecordCount": written,
        "createdRecordCount": written,
        "updatedRecordCount": 0,
        "skippedRecordCount": skipped,
        "failedRecordCount": failed,
        "deletedRecordCount": 0,
        "warningRecordCount": measured.files.warnings if measured.files else 0,
    }


def _files(outcome: RunOutcome, measured: Measured, switches: AepSwitches) -> dict[str, Any]:
    files = measured.files
    if files is None:
        return {"inputFileCount": 0, "outputFileCount": int(measured.batch is not None)}
    return {
        "inputFileCount": files.read,
        "outputFileCount": int(outcome.state != "failed"),
        "skippedFileCount": 0,
        "failedFileCount": files.failed,
        "activityRefs": ["promotionActivity"],
        **_manifest(_metadata(measured, "input_files"), switches),
    }


def _manifest(link: str, switches: AepSwitches) -> dict[str, Any]:
    """By the tutorials' samples, or by the published description."""
    match switches.runManifest:
        case "link":
            return {"extensions": {"manifest": {"fileInfo": link}}}
        case "entries":
            return {"manifest": {"fileInfo": [{"path": link, "pathPrefix": CONTAINER}]}}
        case _:
            return {}


def _metadata(measured: Measured, path: str) -> str:
    return f"https://platform.adobe.io/data/foundation/export/batches/{measured.batch}/meta?path={path}"


def _status_summary(outcome: RunOutcome, measured: Measured, switches: AepSwitches) -> dict[str, Any]:
    errors = list(outcome.errors)
    if not errors and outcome.state == "failed":
        errors = [RunError()]
    if not errors and outcome.state == "partial":
        errors = [RunError(code="INGEST-1212-400", message="Some records could not be ingested.")]
    summary: dict[str, Any] = {
        "status": status(outcome, switches),
        "errors": [e.model_dump(include={"code", "message"}) for e in errors],
    }
    if errors and measured.files is not None:
        summary["extensions"] = {
            "manifest": {
                "failedRecords": _metadata(measured, "row_errors"),
                "sampleErrors": _metadata(measured, "row_error_samples.json"),
            },
            "errors": [e.model_dump(exclude_none=True) for e in errors],
            "type": "FlowRunError",
        }
    return summary
