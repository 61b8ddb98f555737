"""The steps that have windows of Zoho CRM written into the landing zone (design.md 11).

Each pass looks at Jobs, files and runs, works out what follows (``reconcile/extraction``), writes that into
the status, and only then acts. What it says are the conditions ``Extracted`` and ``IngestionComplete``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from crmflow.aep.models import Column
from crmflow.api.crmdataflow import LandingZoneFolder
from crmflow.http.errors import RemoteError
from crmflow.observability.events import EventType
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.conditions import FALSE
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, WaitingError, explain, is_refusal
from crmflow.reconcile.dataflow import extraction_report as report
from crmflow.reconcile.dataflow.conditions import EXTRACTED
from crmflow.reconcile.dataflow.extracting import Extracting
from crmflow.reconcile.dataflow.extraction_acts import JOB_LOOK, Acts, folder_files
from crmflow.reconcile.dataflow.extraction_due import rhythm_of, taking_since, waits_for_a_file
from crmflow.reconcile.dataflow.extraction_status import pending_of, start_over
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.dataflow.transfer_orders import cursor_column
from crmflow.reconcile.extraction.names import folder
from crmflow.reconcile.extraction.rhythm import BEGINNING, to_the_second
from crmflow.zoho import coql

JOB_END_SECONDS = 2.0
"""When to look again whether a Job that is being ended has ended."""


async def fill_folder(pass_: DataflowPass, upstream: Upstream, columns: Sequence[Column]) -> None:
    """The landing zone has what a flow is to begin with, unless one exists that is still to be taken over.
    Raises PassEndedError and RemoteError.
    """
    if pass_.observes:
        return
    await find_folder(pass_, upstream)
    if await creation.find_predecessor(pass_, upstream.sandbox, pass_.objects.flow) is None:
        await _declare_files(pass_, upstream, tuple(upstream.connector.read_columns(columns)))
        await extract_first(pass_, upstream)


@step(EXTRACTED)
async def _declare_files(pass_: DataflowPass, upstream: Upstream, columns: tuple[str, ...]) -> None:
    """What the files of a flow that is still to be made are about. When that is edited meanwhile, they are
    begun anew in another folder: all files of one have the same columns.
    """
    source = upstream.connector.source_status(pass_.spec, upstream.origin(pass_))
    status = pass_.status
    was = status.source
    is_other = was is not None and (was, set(status.columns)) != (source, set(columns))
    if status.extraction is not None and is_other:
        if not await pass_.services.transfers.delete_all(pass_.identity.uid):
            text = "Waiting until the Job ends that reads what was declared before."
            raise WaitingError("Extracting", text, retry_after=JOB_END_SECONDS)
        start_over(pass_)
    pass_.record(source=source, columns=columns)


@step(EXTRACTED)
async def find_folder(pass_: DataflowPass, upstream: Upstream) -> None:
    """The files have a place: that of what a resource of this name has made before, else a new one."""
    if pass_.status.landing_zone is not None:
        return
    zone = upstream.status.landing_zone
    if zone is None:
        text = f'ZohoSourceConnection "{upstream.name}" is still to open the landing zone.'
        raise WaitingError("ConnectionNotReady", text)
    found = await creation.find_predecessor(pass_, upstream.sandbox, pass_.objects.source)
    source = await upstream.sandbox.read(pass_.objects.source, found)
    files = source.files if source is not None else None
    path = files.path.strip("/") if files else f"{zone.container}/{folder(pass_.identity, 0)}"
    pass_.record(landing_zone=LandingZoneFolder(path=path))


async def count_since(pass_: DataflowPass, upstream: Upstream, since: datetime | None) -> int:
    """How many records a flow has to read that begins with what changed ``since``; None: with all. Takes one
    credit. Raises RemoteError.
    """
    acts, end = Acts(pass_, upstream), to_the_second(pass_.utcnow)
    begin = min(since or BEGINNING, end - timedelta(seconds=1))
    asked = coql.ModuleWindow(pass_.spec.source.table, cursor_column(pass_), begin, end)
    try:
        return await acts.ask(lambda api: coql.count(api, asked))
    finally:
        await acts.settle()


@step(EXTRACTED)
async def extract_first(pass_: DataflowPass, upstream: Upstream) -> None:
    """What a flow is to begin with is there before it is made. Raises PassEndedError until then."""
    await Extracting(pass_, upstream, rhythm_of(pass_), None).run()
    if pass_.status.extraction is None:
        raise WaitingError(
            "Extracting",
            report.progress((), pass_.findings[EXTRACTED.name].message),
            retry_after=JOB_LOOK.total_seconds(),
        )
    pending = pending_of(pass_.status)
    if not pending and waits_for_a_file(pass_):
        raise _folder_empty(pass_, report.FOLDER_EMPTY)
    if any(one.file is None for one in pending):
        raise WaitingError(
            "Extracting",
            report.progress(pending, pass_.findings[EXTRACTED.name].message),
            # A slot that becomes free wakes the dataflow.
            retry_after=None if pass_.waits_for_slot else JOB_LOOK.total_seconds(),
        )


@step(EXTRACTED)
async def check_folder(pass_: DataflowPass, upstream: Upstream, refused: RemoteError) -> None:
    """A flow was ``refused``: whether for want of a file in its folder, which is not documented. Then the
    first one is waited for. Raises PassEndedError if so, and RemoteError.
    """
    if refused.maybe_applied or not is_refusal(refused):
        return
    if not pending_of(pass_.status) and not await folder_files(pass_, upstream):
        raise _folder_empty(pass_, f"{report.FOLDER_EMPTY} {explain(refused)}")


@step(EXTRACTED)
async def extract(pass_: DataflowPass, upstream: Upstream) -> None:
    """The windows of a flow that exists are where they should be by now."""
    await Extracting(pass_, upstream, rhythm_of(pass_), taking_since(pass_)).run()


@step(EXTRACTED)
async def stop_extraction(pass_: DataflowPass) -> None:
    """Nothing is extracted for a flow that is only observed."""
    pass_.findings[EXTRACTED.name] = report.OBSERVED
    report.carry_over_comparison(pass_)
    if pass_.status.extraction is None:
        return
    await pass_.services.transfers.delete_all(pass_.identity.uid)
    said = pass_.conditions.get(EXTRACTED.name)
    if said is None or said.reason != report.OBSERVED.reason:
        text = "managementPolicy is Observe: no more windows are read, and the flow finds no new files."
        pass_.record_event("ExtractionStopped", "Observe", text, EventType.WARNING)


def _folder_empty(pass_: DataflowPass, text: str) -> PassEndedError:
    pass_.set_condition(EXTRACTED, FALSE, "FolderEmpty", text)
    return WaitingError("FolderEmpty", text, retry_after=JOB_LOOK.total_seconds())
