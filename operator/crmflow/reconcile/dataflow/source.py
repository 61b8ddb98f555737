"""The steps of a CRMDataflow that speak about its source: table, columns and delta column."""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.models import Column
from crmflow.api.crmdataflow import MAX_UNDELIVERED_COLUMNS, Frequency
from crmflow.observability.events import EventType
from crmflow.reconcile.core.conditions import FALSE, TRUE
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, StalledError, WaitingError, stalled
from crmflow.reconcile.core.prefetch import Prefetched
from crmflow.reconcile.dataflow.conditions import SOURCE_READY, carry_over
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.sources.view import SourceView
from crmflow.sentences import some


async def explore(pass_: DataflowPass, upstream: Upstream, *, creates: bool) -> SourceView | None:
    """What there is to read; None if the base connection is gone. It is asked anew for what is to be made,
    unless another dataflow was shown all that this one reads a moment ago, until files are written for it: a
    pass that only waits for those costs no credits. Raises RemoteError.
    """
    source, delta = pass_.spec.source, pass_.spec.delta_column

    def has_all(view: SourceView) -> bool:
        """A flow that reads all columns reads those of now."""
        columns = source.columns or ()
        is_dated = delta is None or view.is_date(delta.name)
        return bool(columns) and all(name in view.columns for name in columns) and is_dated

    reader = upstream.reader(pass_)
    return await upstream.connector.look(reader, source.table, suffices=has_all if creates else None)


@step(SOURCE_READY)
async def check_source(
    pass_: DataflowPass, upstream: Upstream, explored: Prefetched[SourceView | None]
) -> tuple[Column, ...]:
    """Table, columns and delta column exist. The columns that the flow is to read, as explore gives them."""
    view, delta = explored.get(), pass_.spec.delta_column
    if view is None:
        raise WaitingError(
            "ConnectionNotReady",
            f"Base connection {upstream.base_connection_id} is gone; waiting until its resource has made "
            "it anew.",
        )
    if view.refusal is not None:
        text = view.not_readable(view.refusal, upstream.name, upstream.base_connection_id or "")
        raise StalledError("TableNotReadable", text, silent=True)
    if view.table is None:
        raise PassEndedError(stalled("TableNotFound", view.no_table))
    wanted = _wanted(pass_, view)
    missing = [column for column in wanted if column not in view.columns]
    if missing:
        raise StalledError(view.lacks_columns, view.no_columns(missing, delta.name if delta else None))
    if delta is not None and not view.is_date(delta.name):
        is_there = delta.name in view.columns
        reason = "DeltaColumnNotDateTime" if is_there else "DeltaColumnNotFound"
        raise StalledError(reason, view.no_delta(delta.name))
    _note_fields(pass_, view, wanted)
    return tuple(view.columns[column] for column in wanted)


@step(SOURCE_READY)
async def look_at_source(
    pass_: DataflowPass, upstream: Upstream, explored: Prefetched[SourceView | None]
) -> tuple[Column, ...]:
    """Columns that appeared or vanished since the flow was created are told. Whether Zoho can be reached at
    all is for the connection's resource to say. Those that the flow reads, as explore gives them.
    """
    view = explored.value
    if view is None:
        carry_over(pass_, SOURCE_READY)
        return ()
    if view.refusal is not None:
        text = view.not_readable(view.refusal, upstream.name, upstream.base_connection_id or "")
        pass_.set_condition(SOURCE_READY, FALSE, "TableNotReadable", text)
        return ()
    if not pass_.status.columns:  # of a flow whose source connection does not tell
        pass_.record(columns=tuple(upstream.connector.read_columns(tuple(view.columns.values()))))
    pinned, delta = pass_.status.columns, pass_.spec.delta_column
    read = dict.fromkeys([*pinned, *([delta.name] if delta else [])])
    vanished = [name for name in read if name not in view.columns]
    if vanished:
        pass_.set_condition(SOURCE_READY, FALSE, "ColumnsVanished", view.vanished(vanished))
    elif _note_fields(pass_, view, pinned):
        pass
    elif pass_.spec.source.columns is None and (new := [c for c in view.columns if c not in pinned]):
        _say_appeared(pass_, new)
    return tuple(view.columns[name] for name in pinned if name in view.columns)


def _note_fields(pass_: DataflowPass, view: SourceView, columns: Sequence[str]) -> bool:
    """Record what no file can have, and tell of columns whose changes go unnoticed; True if there are any."""
    shown = view.not_delivered[:MAX_UNDELIVERED_COLUMNS]
    pass_.record(undelivered_columns=tuple(shown) or None)
    extract = pass_.spec.extract
    unnoticed = view.untracked(columns)
    is_read_again = extract is not None and extract.full_read_every is not None
    if not unnoticed or is_read_again or pass_.spec.schedule.frequency is Frequency.ONCE:
        return False
    pass_.set_condition(
        SOURCE_READY,
        TRUE,
        "FormulasNotTracked",
        f"Zoho CRM computes {some(unnoticed)}, and a record does not count as changed when that changes: a "
        "new value is read with the record's next change. Set extract.fullReadEvery to read the whole table "
        "again now and then.",
    )
    return True


def _say_appeared(pass_: DataflowPass, new: Sequence[str]) -> None:
    text = (
        f'Table "{pass_.spec.source.table}" has columns that it did not have when the flow was created, and '
        f"that the flow does not read: {some(new, 40)}."
    )
    said = pass_.conditions.get(SOURCE_READY.name)
    if said is None or said.message != text:
        pass_.record_event("ColumnsAppeared", "Explore", text, EventType.NORMAL)
    pass_.set_condition(SOURCE_READY, TRUE, "ColumnsAppeared", text)


def _wanted(pass_: DataflowPass, view: SourceView) -> Sequence[str]:
    """The spec's columns, else those that are pinned already, else all."""
    made = pass_.status.source
    known = () if made and made.table != pass_.spec.source.table else pass_.status.columns
    pinned = tuple(name for name in known if name in view.columns)
    return pass_.spec.source.columns or pinned or tuple(view.columns)
