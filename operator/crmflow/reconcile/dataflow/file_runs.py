"""The runs of a flow that files wait for, with what Platform tells of the files that each has taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from crmflow.aep.collection import OfFlow
from crmflow.aep.flow_service import RUNS
from crmflow.aep.models import Run
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.outcome import is_refusal
from crmflow.reconcile.dataflow.extraction_status import cursor_of, pending_of
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.extraction.cursor import beyond
from crmflow.reconcile.extraction.names import FileKey
from crmflow.reconcile.extraction.observed import FileRun, StoredFile, file_run
from crmflow.reconcile.extraction.taking import took
from crmflow.reconcile.ports import Platform

RUNS_MARGIN = timedelta(hours=1)
"""So long before the oldest file that waits, runs are listed from: clocks differ."""


async def file_runs(
    pass_: DataflowPass, platform: Platform, files: Mapping[FileKey, StoredFile]
) -> Sequence[FileRun]:
    """Those that may have taken what waits, or that tell how far the flow has read, in the order of their
    starts. Costs no call where nothing waits. May raise RemoteError.
    """
    waiting = _waiting(pass_, files)
    if pass_.recorded_id is None or not (waiting or pass_.status.extraction is None):
        return ()
    oldest = min((file.committed for file in waiting), default=None)
    since = 0.0 if oldest is None else (oldest - RUNS_MARGIN).timestamp()
    listed = await platform.list(RUNS, OfFlow(pass_.recorded_id, since))
    runs = sorted(listed, key=lambda run: run.started_at or 0.0)
    found = [file_run(run) for run in runs]
    asked = _concerned(found, waiting)
    return [
        file_run(run, await _manifest(platform, run)) if number in asked else found[number]
        for number, run in enumerate(runs)
    ]


def _waiting(pass_: DataflowPass, files: Mapping[FileKey, StoredFile]) -> Collection[StoredFile]:
    """The files of windows that no run has ingested yet, as far as is known."""
    pending, cursor = pending_of(pass_.status), cursor_of(pass_.status.extraction)
    recorded = {one.key: one.file for one in pending if one.file}
    written = {key: file for key, file in files.items() if any(one.wrote(key) for one in pending)}
    unknown = {file.key: file for file in beyond(cursor, files.values())}
    return {**recorded, **written, **unknown}.values()


def _concerned(runs: Sequence[FileRun], waiting: Collection[StoredFile]) -> Collection[int]:
    """Whose manifests are worth a call: those that may have ingested what waits; of a flow whose folder is
    empty the last one, which tells how far it has read.
    """
    ingested = [number for number, run in enumerate(runs) if run.succeeded and run.records_read != 0]
    if not waiting:
        return ingested[-1:]
    return [number for number in ingested if any(took(runs[number], file) is not False for file in waiting)]


async def _manifest(platform: Platform, run: Run) -> Sequence[str]:
    """The paths of the run's files; none where Platform does not tell them (any more), or not to us."""
    try:
        return [path for batch in run.batches for path in await platform.batch_files(batch)]
    except RemoteError as error:
        if not is_refusal(error):
            raise
        return ()
