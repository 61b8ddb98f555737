"""Whether the windows of a dataflow have to be looked at: worked out from what is known already."""

from __future__ import annotations

from datetime import datetime, timedelta

from crmflow.reconcile.dataflow.conditions import EXTRACTED
from crmflow.reconcile.dataflow.extraction_status import pending_of
from crmflow.reconcile.dataflow.schedule import effective_start, period_seconds
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.external.flow import ENABLED
from crmflow.reconcile.extraction.pending import RUN_SHOWS_WITHIN, room
from crmflow.reconcile.extraction.rhythm import BEGINNING, Due, FullReads, Rhythm, next_window
from crmflow.settings import parse_duration


def is_extraction_due(pass_: DataflowPass, upstream: Upstream) -> bool:
    """Whether there is something to look at. Sets when there will be, if not. Costs no call."""
    status = pass_.status
    if status.extraction is None or wanted_cursor(pass_) is not None:
        return True
    rhythm = rhythm_of(pass_)
    pending = pending_of(status)
    if any(one.file is None for one in pending):
        return True
    if pending and _has_news(pass_, upstream):
        return True
    for file in (one.file for one in pending if one.file):
        tick = rhythm.next_tick(file.committed)
        shows = None if tick is None else tick + RUN_SHOWS_WITHIN
        if shows is not None and shows <= pass_.utcnow:
            return True
        pass_.look_again(shows)
    if not pass_.spec.ingestion.enabled or room(pending) == 0:
        return False
    following = next_window(rhythm, status.extraction.cursor, pass_.utcnow, full_reads(pass_))
    if isinstance(following, Due):
        return True
    pass_.look_again(following.at)
    return False


def _has_news(pass_: DataflowPass, upstream: Upstream) -> bool:
    """Whether the flow has another last run than status tells of."""
    last, known = upstream.sandbox.inventory.last_run(pass_.recorded_id or ""), pass_.status.last_run
    if last is None:
        return False
    return known is None or (last.id, last.state) != (known.id, known.state)


def rhythm_of(pass_: DataflowPass) -> Rhythm:
    """When the flow takes files; of one that is still to be made, when it would."""
    begun = pass_.status.schedule
    start = (begun and begun.effective_start_time) or effective_start(pass_.spec.schedule, pass_.now)
    seconds = period_seconds(pass_.spec.schedule)
    period = None if seconds is None else timedelta(seconds=seconds)
    return pass_.services.extraction_settings.rhythm(start, period)


def taking_since(pass_: DataflowPass) -> datetime | None:
    """Since when the flow takes files; None while it is disabled, or on its way to be."""
    flow = pass_.status.flow
    if flow is None or (flow.state or "").lower() != ENABLED or not pass_.spec.ingestion.enabled:
        return None
    return flow.state_since or BEGINNING


def may_be_taken(pass_: DataflowPass) -> bool:
    """Whether the flow has had a tick since a file was written that no run is known to have ingested."""
    files = [one.file for one in pending_of(pass_.status) if one.file]
    return any(rhythm_of(pass_).ticks(file.committed, pass_.utcnow) for file in files)


def full_reads(pass_: DataflowPass) -> FullReads | None:
    """How often the whole table is read, and until when it was."""
    extract, extraction = pass_.spec.extract, pass_.status.extraction
    if extract is None or extract.full_read_every is None or extraction is None:
        return None
    last = extraction.full_read_time or extraction.cursor_set_time
    return FullReads(timedelta(seconds=parse_duration(extract.full_read_every)), last)


def waits_for_a_file(pass_: DataflowPass) -> bool:
    """Whether Platform has refused to make the flow as long as its folder is empty."""
    said = pass_.conditions.get(EXTRACTED.name)
    return said is not None and said.reason == "FolderEmpty"


def wanted_cursor(pass_: DataflowPass) -> str | None:
    """Where the annotation says that extraction is to go on, if that is news."""
    value, extraction = pass_.requests.get("cursor"), pass_.status.extraction
    if not value or (extraction is not None and extraction.applied_cursor == value[:64]):
        return None
    return value
