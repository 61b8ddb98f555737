"""The remote objects of a CRMDataflow as they are: made anew where somebody deleted them, and left alone,
with the fields named, where only another flow could do what the spec says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from crmflow.aep.listings import Collection
from crmflow.aep.models import Flow, SourceConnection, TargetConnection
from crmflow.api.base import LastDrift
from crmflow.api.crmdataflow import (
    DatasetStatus,
    Frequency,
    Gap,
    ScheduleStatus,
    SchemaStatus,
    SourceStatus,
)
from crmflow.observability.events import REPAIR, EventType
from crmflow.reconcile import creation
from crmflow.reconcile.adoption import vanished
from crmflow.reconcile.dataflow import dataset, desired, schema, values
from crmflow.reconcile.dataflow.adopt import ADOPTION
from crmflow.reconcile.dataflow.flow_state import settled
from crmflow.reconcile.dataflow.mapping import plain_content_type
from crmflow.reconcile.dataflow.mapping_sets import doubt_mapping_set, recognise_mapping_set
from crmflow.reconcile.dataflow.state import SLOTS, DataflowPass, record_id, recorded_ids
from crmflow.reconcile.dataflow.values import Values
from crmflow.reconcile.engine import together
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.reconcile.ownership import Verdict, judge, key_in
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.remote import delete_object, kept_by, read_object

Remotes = Mapping[str, Any]
"""Slot → remote object, None where there is none."""


async def compare(pass_: DataflowPass) -> Outcome:
    """What exists is whole, and nothing but a patch is needed to make it what the spec says."""
    if pass_.creates:
        return DONE
    ids = recorded_ids(pass_)
    objects = await together(*(read_object(pass_, SLOTS[slot], ids.get(slot)) for slot in SLOTS))
    remotes: Remotes = dict(zip(SLOTS, objects, strict=True))
    source, target, flow = remotes[Slot.SOURCE], remotes[Slot.TARGET], remotes[Slot.FLOW]
    lost = [slot for slot, remote in remotes.items() if remote is None]
    if not lost and not pass_.adopts and await _is_cut_off(pass_, source):
        lost = [Slot.SOURCE]
    if lost:
        return await _give_up(pass_, lost, remotes)
    _complete_status(pass_, source, target, flow)
    await recognise_mapping_set(pass_, flow)
    pass_.target_ids = await schema.resolve(pass_), await dataset.resolve(pass_)
    too_late = desired.unpatchable(pass_, flow)
    if too_late and not pass_.observes:
        return replacement_required(too_late)
    if not too_late:
        _note_names(pass_)
    if not pass_.adopts:
        for slot, collection in SLOTS.items():
            await creation.remove_duplicates(pass_, slot, collection, ids[slot])
    pass_.remotes, pass_.flow = remotes, flow
    return settled(pass_, flow)


async def _is_cut_off(pass_: DataflowPass, source: SourceConnection) -> bool:
    """The source connection hangs on a base connection that is gone: the flow can't read any more."""
    base = pass_.connection.status.base_connection
    if base is None or source.base_connection_id == base.id:
        return False
    await pass_.inventory.ensure()
    return pass_.inventory.item(Collection.CONNECTIONS, source.base_connection_id) is None


async def _give_up(pass_: DataflowPass, lost: list[str], remotes: Remotes) -> Outcome:
    """Part of the flow was deleted from outside: what is left of it goes too, and it is made anew.

    A new flow begins with the next tick, since reading everything again is for a person to ask for; only
    after a reset of the whole sandbox, where the data is gone as well, it does what ``schedule.backfill``
    says.
    """
    ids = recorded_ids(pass_)
    absences = []
    for slot in lost:
        if remotes[slot] is None:
            absences.append(await pass_.inventory.absence(SLOTS[slot], ids[slot]))
            kept = kept_by(absences[-1], f"{slot} {ids[slot]}")
            if kept is not None:
                return kept
    if pass_.adopts:
        return vanished(ADOPTION, lost[0], ids[lost[0]])
    was_reset = Absence.RESET in absences
    if pass_.spec.schedule.frequency is Frequency.ONCE and pass_.status.last_run and not was_reset:
        return stalled(
            "ReplacementRequired",
            f"The {' and '.join(lost)} of this one-time dataflow was deleted from outside after it had run. "
            "It is not run again by itself: delete the resource and create it anew to do so.",
        )
    for slot, collection in SLOTS.items():
        if remotes[slot] is not None:
            await delete_object(pass_, collection, ids[slot])
        record_id(pass_, slot, None)
    if pass_.status.source is not None and pass_.status.source.table != pass_.spec.source.table:
        pass_.record(columns=())  # else the successor reads what the lost flow read
    if was_reset:
        doubt_mapping_set(pass_)
    pass_.record(
        source=None,
        mapping_set=None,
        schedule=None,
        last_run=None,
        gap=None if was_reset else Gap(noticed_time=pass_.utcnow, since=_last_read(pass_)),
        last_drift=LastDrift(time=pass_.utcnow, fields=tuple(lost)),
    )
    why = "the sandbox was reset" if was_reset else f"its {' and '.join(lost)} was deleted from outside"
    pass_.tell("Vanished", REPAIR, f"The dataflow is made anew: {why}.", EventType.WARNING)
    return DONE


async def discard_outdated(pass_: DataflowPass) -> Outcome:
    """Before there is a flow, source and target connection that do not fit, or are gone, are made anew. A
    flow that is still to be taken over keeps what it is built on.
    """
    if not pass_.creates:
        return DONE
    ids = recorded_ids(pass_)
    source, target = await together(
        *(read_object(pass_, SLOTS[slot], ids.get(slot)) for slot in (Slot.SOURCE, Slot.TARGET))
    )
    source = source if _is_ours(pass_, Slot.SOURCE, source) else None
    target = target if _is_ours(pass_, Slot.TARGET, target) else None
    outdated_source = _outdated(desired.source(pass_), values.observed_source(source)) if source else []
    outdated_target = _outdated(desired.target(pass_), values.observed_target(target)) if target else []
    in_use = [
        *(outdated_source if source and pass_.inventory.is_built_on(source.id) else []),
        *(outdated_target if target and pass_.inventory.is_built_on(target.id) else []),
    ]
    if in_use:
        return replacement_required(in_use)
    if source and outdated_source:
        await delete_object(pass_, Collection.SOURCE_CONNECTIONS, source.id)
        source = None
        pass_.record(source=None, columns=())
    if target and outdated_target:
        await delete_object(pass_, Collection.TARGET_CONNECTIONS, target.id)
        target = None
    record_id(pass_, Slot.SOURCE, source.id if source else None)
    record_id(pass_, Slot.TARGET, target.id if target else None)
    if source and not pass_.status.columns:
        pass_.record(columns=source.column_names)
    return DONE


def _is_ours(pass_: DataflowPass, slot: str, remote: SourceConnection | TargetConnection | None) -> bool:
    """False for what has been let go since a listing showed it: it bears neither our key nor our line."""
    if remote is None:
        return False
    has_key = key_in(remote.name) == pass_.identity.key(slot)
    return has_key or judge(pass_.identity, remote.description) is not Verdict.FOREIGN


def _outdated(wanted: Values, observed: Values) -> list[str]:
    """The fields of the spec that a source or target connection does not fit."""
    differing = values.differing(wanted, observed)
    return [desired.SPEC_FIELDS[path] for path in differing if path in desired.SPEC_FIELDS]


def replacement_required(fields: Sequence[str]) -> Outcome:
    """Only another flow can have what the spec says."""
    return stalled(
        "ReplacementRequired",
        f"{', '.join(fields)} can't be changed on a flow that exists, which goes on as it is. Set it back, "
        "or delete the resource and create it anew.",
    )


def _complete_status(
    pass_: DataflowPass, source: SourceConnection, target: TargetConnection, flow: Flow
) -> None:
    """What status lacks of a flow that was found instead of created: the spec's values, and what the remote
    objects were made for, where a gap ends.
    """
    if pass_.status.source is None:
        known = pass_.status.dataset
        profile_enabled = known.profile_enabled if known and known.id == target.dataset_id else None
        pass_.record(
            source=SourceStatus(base_connection_id=source.base_connection_id, table=source.table_name),
            columns=source.column_names,
            schema_=SchemaStatus(id=target.schema_id, version=plain_content_type(target.schema_version)),
            dataset=DatasetStatus(id=target.dataset_id, profile_enabled=profile_enabled),
        )
    wished, gap, begun = pass_.spec.schedule, pass_.status.gap, pass_.status.schedule
    start = datetime.fromtimestamp(flow.schedule.start_time, UTC) if flow.schedule.start_time else None
    if begun is None:
        pass_.record(
            schedule=ScheduleStatus(
                start_time=wished.start_time, backfill=wished.backfill, effective_start_time=start
            )
        )
    elif begun.effective_start_time != start and desired.has_begun(pass_, flow):
        pass_.record(schedule=begun.model_copy(update={"effective_start_time": start}))
    if gap is not None and gap.until is None:
        pass_.record(gap=gap.model_copy(update={"until": start}))


def _last_read(pass_: DataflowPass) -> datetime | None:
    """When the lost flow last read; if it had no time to, its predecessor."""
    run, gap = pass_.status.last_run, pass_.status.gap
    if run is None:
        return gap.since if gap else None
    return run.start_time or run.completion_time


def _note_names(pass_: DataflowPass) -> None:
    """Title and name of the spec are known to mean what the flow uses: they need not be looked up again."""
    spec, status = pass_.spec.target, pass_.status
    if status.schema_ is not None and status.dataset is not None:
        pass_.record(
            schema_=status.schema_.model_copy(update={"title": spec.schema_.title}),
            dataset=status.dataset.model_copy(update={"name": spec.dataset.name}),
        )
