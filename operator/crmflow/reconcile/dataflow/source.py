"""The steps of a CRMDataflow that speak about its source: table, columns and delta column, as Platform's
explore shows them (platform.md 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crmflow.aep.models import Column, Table
from crmflow.observability.events import EventType
from crmflow.reconcile.conditions import FALSE, TRUE
from crmflow.reconcile.dataflow import remarks
from crmflow.reconcile.dataflow.conditions import SOURCE_READY
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.text import some
from crmflow.reconcile.outcome import DONE, Outcome, stalled, waiting
from crmflow.reconcile.remote import found


@dataclass(frozen=True)
class SourceView:
    """What explore shows of the spec's table."""

    table: Table | None
    """None if there is none of that name."""
    tables: Sequence[Table]
    columns: Mapping[str, Column]

    @property
    def dates(self) -> list[str]:
        """The columns that can be a delta column."""
        return [column.name for column in self.columns.values() if column.is_date]


async def explore(pass_: DataflowPass) -> SourceView | None:
    """What there is to read; None if the base connection is gone. Raises RemoteError."""
    explored, platform, connection_id = pass_.services.explored, pass_.platform, pass_.base_connection_id
    table = await found(explored.table(platform, connection_id, pass_.spec.source.table))
    if table is None:
        tables = await found(explored.tables(platform, connection_id))
        return None if tables is None else SourceView(None, tables, {})
    columns = await found(explored.columns(platform, connection_id, table, fresh=pass_.creates))
    if columns is None:
        return None
    return SourceView(table, (), {column.name: column for column in columns})


async def check_source(pass_: DataflowPass) -> Outcome:
    """Table, columns and delta column exist. Of a flow that exists they are only told about."""
    if pass_.source_answer is None:
        raise RuntimeError("the source is explored first")
    if not pass_.creates:
        return _look_at(pass_, pass_.source_answer.value)
    view = pass_.source_answer.get()
    if view is None:
        return waiting(
            "ConnectionNotReady",
            f"Base connection {pass_.base_connection_id} is gone; waiting until its resource has made it "
            "anew.",
        )
    name = pass_.spec.source.table
    if view.table is None:
        return _no_table(name, view)
    wanted = _wanted(pass_, view)
    missing = [column for column in wanted if column not in view.columns]
    if missing:
        return stalled(
            "ColumnNotFound",
            f'Table "{name}" has no column {some(missing)}. It has {some(list(view.columns))}.',
        )
    pass_.columns = tuple(view.columns[column] for column in wanted)
    return _check_delta_column(pass_, view)


def _look_at(pass_: DataflowPass, view: SourceView | None) -> Outcome:
    """Columns that appeared or vanished since the flow was created. Whether Zoho can be reached at all is
    for the connection's resource to say.
    """
    if view is None:
        remarks.keep(pass_, SOURCE_READY)
        return DONE
    pinned, table = pass_.status.columns, pass_.spec.source.table
    pass_.columns = tuple(view.columns[name] for name in pinned if name in view.columns)
    delta = pass_.spec.delta_column
    read = dict.fromkeys([*pinned, *([delta.name] if delta else [])])
    vanished = [name for name in read if name not in view.columns]
    if vanished:
        _say_vanished(pass_, table, view, vanished)
    elif pass_.spec.source.columns is None and (new := [c for c in view.columns if c not in pinned]):
        _say_appeared(pass_, table, new)
    return DONE


def _say_vanished(pass_: DataflowPass, table: str, view: SourceView, vanished: Sequence[str]) -> None:
    what = f"columns {some(vanished, 40)} of table" if view.table else "table"
    pass_.find(
        SOURCE_READY,
        FALSE,
        "ColumnsVanished",
        f'Platform no longer sees the {what} "{table}", which the flow reads. Restore them in Zoho CRM, or '
        "give the user of the grant access to them again; else delete the resource and create it anew "
        "without them.",
    )


def _say_appeared(pass_: DataflowPass, table: str, new: Sequence[str]) -> None:
    text = (
        f'Table "{table}" has columns that it did not have when the flow was created, and that the flow does '
        f"not read: {some(new, 40)}."
    )
    said = pass_.conditions.get(SOURCE_READY.name)
    if said is None or said.message != text:
        pass_.tell("ColumnsAppeared", "Explore", text, EventType.NORMAL)
    pass_.find(SOURCE_READY, TRUE, "ColumnsAppeared", text)


def _wanted(pass_: DataflowPass, view: SourceView) -> Sequence[str]:
    """The spec's columns, else those that are pinned already, else all."""
    made = pass_.status.source
    known = () if made and made.table != pass_.spec.source.table else pass_.status.columns
    pinned = tuple(name for name in known if name in view.columns)
    return pass_.spec.source.columns or pinned or tuple(view.columns)


def _no_table(name: str, view: SourceView) -> Outcome:
    return stalled(
        "TableNotFound",
        f'Platform sees no table "{name}" in Zoho CRM. Tables go by the API names of modules; there are '
        f"{some([table.name for table in view.tables])}.",
    )


def _check_delta_column(pass_: DataflowPass, view: SourceView) -> Outcome:
    delta, table = pass_.spec.delta_column, pass_.spec.source.table
    if delta is None or delta.name in view.dates:
        return DONE
    if delta.name not in view.columns:
        return stalled(
            "DeltaColumnNotFound",
            f'Table "{table}" has no column "{delta.name}" to tell changed records by. It has the date-time '
            f"columns {some(view.dates)}.",
        )
    return stalled(
        "DeltaColumnNotDateTime",
        f'Column "{delta.name}" of table "{table}" holds no date and time, so it can\'t tell changed '
        f"records. There are {some(view.dates)}.",
    )
