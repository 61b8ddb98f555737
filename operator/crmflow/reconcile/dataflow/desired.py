"""What the spec says of each remote object of a CRMDataflow, and which of it comes too late for its flow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crmflow.aep.models import Flow, MappingSetRef
from crmflow.api.crmdataflow import Frequency, ScheduleStatus, SourceStatus
from crmflow.reconcile.dataflow import values
from crmflow.reconcile.dataflow.mapping import known_mapping, wanted_mapping
from crmflow.reconcile.dataflow.schedule import effective_start
from crmflow.reconcile.dataflow.state import DataflowPass, Named
from crmflow.reconcile.dataflow.values import Values
from crmflow.reconcile.identity import Slot

SPEC_FIELDS = {
    values.BASE_CONNECTION: "spec.connectionRef",
    values.TABLE: "spec.source.table",
    values.COLUMNS: "spec.source.columns",
    values.SCHEMA: "spec.target.schema",
    values.DATASET: "spec.target.dataset",
}
"""The fields of the spec that decide about source and target connection, by path."""


def source(pass_: DataflowPass) -> Values:
    """The source connection."""
    columns = pass_.spec.source.columns or pass_.status.columns
    return {
        **_named(pass_, Slot.SOURCE),
        **values.source(pass_.base_connection_id, pass_.spec.source.table, columns),
    }


def target(pass_: DataflowPass) -> Values:
    """The target connection; as long as schema and dataset have not been looked up, its name alone."""
    schema, dataset = pass_.status.schema_, pass_.status.dataset
    if schema is None or dataset is None:
        return _named(pass_, Slot.TARGET)
    return {**_named(pass_, Slot.TARGET), **values.target(schema.id, schema.version, dataset.id)}


def flow(pass_: DataflowPass, remote: Flow, begin: ScheduleStatus | None) -> Values:
    """The flow; ``begin`` is its beginning, if it still can be moved."""
    wanted: dict[str, Any] = {
        **_named(pass_, Slot.FLOW),
        **values.recurrence(pass_.spec.schedule),
        **values.options(pass_.spec.ingestion),
    }
    mapping_set = pass_.status.mapping_set
    if mapping_set is not None and remote.schedule.frequency != "once":
        wanted[values.MAPPING] = MappingSetRef(mapping_set.id, mapping_set.version)
    if begin is not None and begin.effective_start_time is not None:
        wanted[values.START_TIME] = int(begin.effective_start_time.timestamp())
    if (
        begin is not None
        and begin.backfill is not None
        and pass_.spec.schedule.frequency is not Frequency.ONCE
    ):
        wanted[values.BACKFILL] = begin.backfill and not _follows_a_gap(pass_, begin)
    return wanted


def beginning(pass_: DataflowPass, remote: Flow) -> ScheduleStatus | None:
    """How the flow is to begin; None once it has begun, when nothing of that can be changed any more
    (platform.md 6.2).
    """
    begun, wished = pass_.status.schedule, pass_.spec.schedule
    if begun is None or has_begun(pass_, remote):
        return None
    start = begun.effective_start_time
    if _start_was_edited(pass_, begun) or start is None or start.timestamp() <= pass_.now:
        start = effective_start(wished, pass_.now)
    return ScheduleStatus(
        start_time=begun.start_time if wished.start_time is None else to_the_second(wished.start_time),
        backfill=begun.backfill if wished.backfill is None else wished.backfill,
        effective_start_time=start,
    )


def has_begun(pass_: DataflowPass, remote: Flow) -> bool:
    """True from the flow's start time on; a flow that shows none counts as begun."""
    start = remote.schedule.start_time
    return start is None or start <= pass_.now


def unpatchable(pass_: DataflowPass, remote: Flow) -> list[str]:
    """The fields of the spec that differ from what the flow was made for, and that only another flow can
    have: Platform accepts some of these changes, but the flow goes on as it is (platform.md 6.2, 6.3).
    """
    wanted, made = _wanted(pass_, remote), _made(pass_, remote)
    fields = [field for field, value in wanted.items() if made[field] != value]
    begun = pass_.status.schedule
    if begun is not None and has_begun(pass_, remote):
        if _start_was_edited(pass_, begun):
            fields.append("spec.schedule.startTime")
        if pass_.spec.schedule.backfill not in (None, True if begun.backfill is None else begun.backfill):
            fields.append("spec.schedule.backfill")
    return fields


def source_of(pass_: DataflowPass) -> SourceStatus:
    """What a flow that is made now reads from."""
    return SourceStatus(base_connection_id=pass_.base_connection_id, table=pass_.spec.source.table)


def to_the_second(time: datetime) -> datetime:
    """As status keeps it."""
    return time.astimezone(UTC).replace(microsecond=0)


def _wanted(pass_: DataflowPass, remote: Flow) -> dict[str, Any]:
    spec, status = pass_.spec, pass_.status
    wanted: dict[str, Any] = {
        "spec.connectionRef": pass_.base_connection_id,
        "spec.source.table": spec.source.table,
        "spec.source.columns": frozenset(spec.source.columns or status.columns),
        "spec.target.schema": pass_.target_ids[0],
        "spec.target.dataset": pass_.target_ids[1],
        "spec.schedule.frequency": spec.schedule.frequency is Frequency.ONCE,
    }
    if remote.schedule.frequency == "once":
        wanted["spec.mapping"] = wanted_mapping(pass_)
    elif spec.delta_column is not None:  # a one-time flow gets one from its first run on demand (7.2)
        wanted["spec.deltaColumn"] = spec.delta_column.name
    return wanted


def _made(pass_: DataflowPass, remote: Flow) -> dict[str, Any]:
    status = pass_.status
    return {
        "spec.connectionRef": status.source and status.source.base_connection_id,
        "spec.source.table": status.source and status.source.table,
        "spec.source.columns": frozenset(status.columns),
        "spec.target.schema": status.schema_ and status.schema_.id,
        "spec.target.dataset": status.dataset and status.dataset.id,
        "spec.schedule.frequency": remote.schedule.frequency == "once",
        "spec.mapping": known_mapping(pass_),
        "spec.deltaColumn": remote.delta_column,
    }


def _start_was_edited(pass_: DataflowPass, begun: ScheduleStatus) -> bool:
    wished = pass_.spec.schedule.start_time
    return wished is not None and to_the_second(wished) not in (begun.start_time, begun.effective_start_time)


def _follows_a_gap(pass_: DataflowPass, begin: ScheduleStatus) -> bool:
    """The successor of a flow that was deleted from outside reads nothing again, unless somebody asks for it
    after that.
    """
    begun, gap = pass_.status.schedule, pass_.status.gap
    return (
        gap is not None
        and begun is not None
        and gap.until == begun.effective_start_time
        and begin.backfill == begun.backfill
    )


def _named(pass_: DataflowPass, slot: str) -> Values:
    if pass_.adopts:
        return {}
    name = Named.desired(pass_, slot)
    return values.named(name.name, name.description)
