"""Runs as Flow Service shows them (platform.md 7.1): spellings differ, and much may be left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from crmflow.aep import fields
from crmflow.aep.models import Run, RunError, RunMetrics, RunState
from crmflow.observability.redaction import sanitize

MOST_ERRORS = 5
"""Errors of a run that are kept; the rest stands in Platform."""
ERROR_LENGTH = 1024
"""Characters of an error's text that are kept: the beginning, and the cause at the end."""
_STATE_LENGTH = 64
_BATCH = re.compile(r"/batches/([A-Za-z0-9-]{1,64})/meta\b")
"""In a link to what a batch was made from."""

_STATES = {
    "inprogress": RunState.IN_PROGRESS,
    "queued": RunState.QUEUED,
    "scheduled": RunState.SCHEDULED,
    "success": RunState.SUCCESS,
    "completed": RunState.SUCCESS,
    "partialsuccess": RunState.PARTIAL_SUCCESS,
    "partialfailure": RunState.PARTIAL_SUCCESS,
    "failed": RunState.FAILED,
}
"""By their spelling in lower case without underscores."""


def run_of(raw: Mapping[str, Any]) -> Run:
    """An item of ``/runs``. A success that refused records is a partial one, whatever it calls itself. One
    with errors has refused some, unless its counts show that it did not.
    """
    metrics = fields.obj(raw, "metrics")
    summary, duration = fields.obj(metrics, "statusSummary"), fields.obj(metrics, "durationSummary")
    measured, errors = _metrics(metrics), tuple(_errors(summary))[:MOST_ERRORS]
    state = _state(fields.text(summary, "status") or fields.text(raw, "state"))
    refused = measured.records_failed if measured else None
    if state == RunState.SUCCESS and (refused or (errors and not (measured and measured.lost_none))):
        state = RunState.PARTIAL_SUCCESS
    return Run(
        id=fields.text(raw, "id"),
        flow_id=fields.text(raw, "flowId"),
        state=state,
        started_at=_seconds(duration.get("startedAtUTC")),
        completed_at=_seconds(duration.get("completedAtUTC")),
        metrics=measured,
        errors=errors,
        window=_window(raw),
        batches=_batches(raw, fields.obj(metrics, "fileSummary")),
    )


def last_run_of(flow: Mapping[str, Any]) -> Run | None:
    """The last run that a flow shows, in a listing as in a read (platform.md 4.4)."""
    raw = fields.obj(flow, "lastRunDetails")
    run_id = fields.text(raw, "id")
    if not run_id:
        return None
    return Run(
        id=run_id,
        flow_id=fields.text(flow, "id"),
        state=_state(fields.text(raw, "state")),
        started_at=_seconds(raw.get("startedAtUTC")),
        completed_at=_seconds(raw.get("completedAtUTC")),
    )


def _state(text: str) -> str:
    return _STATES.get(text.lower().replace("_", ""), sanitize(text, _STATE_LENGTH))


def _metrics(metrics: Mapping[str, Any]) -> RunMetrics | None:
    records, sizes = fields.obj(metrics, "recordSummary"), fields.obj(metrics, "sizeSummary")
    files = fields.obj(metrics, "fileSummary")
    if not records and not sizes:
        return None
    return RunMetrics(
        records_read=_count(records.get("inputRecordCount")),
        records_written=_count(records.get("outputRecordCount")),
        records_skipped=_count(records.get("skippedRecordCount")),
        records_failed=_count(records.get("failedRecordCount")),
        bytes_read=_count(sizes.get("inputBytes")),
        bytes_written=_count(sizes.get("outputBytes")),
        files_read=_count(files.get("inputFileCount")),
    )


def _window(raw: Mapping[str, Any]) -> tuple[float, float] | None:
    """The window that an activity shows; one that takes everything begins at 0."""
    for activity in _activities(raw):
        shown = fields.obj(activity, "durationSummary", "extensions")
        end = _seconds(shown.get("windowEnd"))
        if end is not None:
            return _seconds(shown.get("windowStart")) or 0.0, end
    return None


def _activities(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Adobe's own description misspells them."""
    return fields.objects(raw.get("activities") or raw.get("activites"))


def _batches(raw: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, ...]:
    """The batches that the manifest links to, else those that an activity names."""
    manifest = fields.obj(summary, "manifest") or fields.obj(summary, "extensions", "manifest")
    return tuple(dict.fromkeys(_linked(manifest.get("fileInfo")))) or tuple(_referred(raw))


def _linked(shown: Any) -> Iterator[str]:
    """A link itself is not followed: an answer does not decide where the token is sent."""
    links = (
        [shown] if isinstance(shown, str) else [fields.text(entry, "path") for entry in fields.objects(shown)]
    )
    for link in links:
        if match := _BATCH.search(link):
            yield match[1]


def _referred(raw: Mapping[str, Any]) -> Iterator[str]:
    for activity in _activities(raw):
        for target in fields.objects(activity.get("targetInfo")):
            reference = fields.obj(target, "reference")
            if fields.text(reference, "type") == "Batch":
                yield from fields.texts(reference.get("ids"))


def _errors(summary: Mapping[str, Any]) -> Iterator[RunError]:
    """The errors of the run, then those of its activities that say something else. Samples of refused records
    are left out: they hold customers' data.
    """
    seen: set[str] = set()
    extensions = fields.obj(summary, "extensions")
    for raw in (*fields.objects(summary.get("errors")), *fields.objects(extensions.get("errors"))):
        code = sanitize(fields.text(raw, "code"), 64)
        message = sanitize(fields.text(raw, "message"), ERROR_LENGTH, keep_end=True)
        if (code or message) not in seen and (code or message):
            seen.add(code or message)
            yield RunError(code, message, _count(raw.get("recordCount")))


def _count(value: Any) -> int | None:
    """A count; -1 stands for one that is not known."""
    number = fields.integer(value)
    return None if number is None or number < 0 else number


def _seconds(milliseconds: Any) -> float | None:
    """An instant; None for what is none, such as 0."""
    number = fields.number(milliseconds)
    return number / 1000 if number is not None and 0 < number < 1000 * fields.END_OF_TIME else None
