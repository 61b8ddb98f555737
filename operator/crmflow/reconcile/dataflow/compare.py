"""The remote objects of a CRMDataflow, compared with the spec: restored where somebody changed or deleted
them, and left alone, with the fields named, where this version can't carry an edit out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import Any

from crmflow.aep.listings import Collection
from crmflow.aep.models import Created, Flow, SourceConnection, TargetConnection
from crmflow.api.base import LastDrift
from crmflow.api.crmdataflow import Frequency, Gap, MappingSetStatus, ScheduleStatus
from crmflow.observability.events import EventType
from crmflow.reconcile import creation
from crmflow.reconcile.dataflow import state
from crmflow.reconcile.dataflow.state import SLOTS, DataflowPass, Named, record_id, recorded_ids
from crmflow.reconcile.engine import together
from crmflow.reconcile.identity import Slot, mapping_set_name
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.remote import delete_object, kept_by, patcher, read_object

Remotes = Mapping[str, Any]
"""Slot → remote object, None where there is none."""


async def compare(pass_: DataflowPass) -> Outcome:
    """What exists is what the spec says."""
    ids = recorded_ids(pass_)
    objects = await together(*(read_object(pass_, SLOTS[slot], ids.get(slot)) for slot in SLOTS))
    remotes: Remotes = dict(zip(SLOTS, objects, strict=True))
    source, target, flow = remotes[Slot.SOURCE], remotes[Slot.TARGET], remotes[Slot.FLOW]
    if pass_.creates:
        return await _discard_outdated(pass_, source, target)
    lost = [slot for slot, remote in remotes.items() if remote is None]
    if not lost and await _is_cut_off(pass_, source):
        lost = [Slot.SOURCE]
    if lost:
        return await _give_up(pass_, lost, remotes)
    _complete_status(pass_, source, flow)
    await _recognise_mapping(pass_, flow)
    differing = [
        *_differing_source(pass_, source),
        *_differing_target(pass_, target),
        *state.differing(state.flow_fields(pass_), state.observed_flow_fields(pass_, flow)),
    ]
    if differing:
        return _not_supported(differing)
    for slot, collection in SLOTS.items():
        await creation.remove_duplicates(pass_, slot, collection, ids[slot])
    if not await _restore_names(pass_, remotes):
        pass_.flow = flow
    return DONE


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
    pass_.record(
        mapping_set=None,
        schedule=None,
        last_run=None,
        gap=None if was_reset else Gap(noticed_time=pass_.utcnow, since=_last_read(pass_)),
        last_drift=LastDrift(time=pass_.utcnow, fields=tuple(lost)),
    )
    why = "the sandbox was reset" if was_reset else f"its {' and '.join(lost)} was deleted from outside"
    pass_.tell("Vanished", "Repair", f"The dataflow is made anew: {why}.", EventType.WARNING)
    return DONE


async def _discard_outdated(
    pass_: DataflowPass, source: SourceConnection | None, target: TargetConnection | None
) -> Outcome:
    """Before there is a flow, source and target connection that do not fit, or are gone, are made anew. A
    flow that is still to be taken over keeps what it is built on.
    """
    outdated_source = _differing_source(pass_, source) if source else []
    outdated_target = _differing_target(pass_, target) if target else []
    in_use = [
        *(outdated_source if source and pass_.inventory.is_built_on(source.id) else []),
        *(outdated_target if target and pass_.inventory.is_built_on(target.id) else []),
    ]
    if in_use:
        return _not_supported(in_use)
    if source and outdated_source:
        await delete_object(pass_, Collection.SOURCE_CONNECTIONS, source.id)
        source = None
    if target and outdated_target:
        await delete_object(pass_, Collection.TARGET_CONNECTIONS, target.id)
        target = None
    record_id(pass_, Slot.SOURCE, source.id if source else None)
    record_id(pass_, Slot.TARGET, target.id if target else None)
    if source and not pass_.status.columns:
        pass_.record(columns=source.column_names)
    return DONE


def _differing_source(pass_: DataflowPass, source: SourceConnection) -> list[str]:
    return state.differing(state.source_fields(pass_), state.observed_source_fields(source))


def _differing_target(pass_: DataflowPass, target: TargetConnection) -> list[str]:
    return state.differing(state.target_fields(pass_), state.observed_target_fields(target))


def _not_supported(differing: list[str]) -> Outcome:
    return stalled(
        "UpdateNotSupported",
        f"Platform's objects differ from the spec in {', '.join(differing)}. This version can't change "
        "that on a dataflow that exists; the flow goes on as it is. Set it back, or delete the resource "
        "and create it anew.",
    )


def _complete_status(pass_: DataflowPass, source: SourceConnection, flow: Flow) -> None:
    """What status lacks of a flow that was found instead of created: the spec's values, and the remote's
    columns and effective start, where a gap ends.
    """
    if not pass_.status.columns:
        pass_.record(columns=source.column_names)
    wished, gap = pass_.spec.schedule, pass_.status.gap
    start = datetime.fromtimestamp(flow.schedule.start_time, UTC) if flow.schedule.start_time else None
    if pass_.status.schedule is None:
        pass_.record(
            schedule=ScheduleStatus(
                start_time=wished.start_time, backfill=wished.backfill, effective_start_time=start
            )
        )
    if gap is not None and gap.until is None:
        pass_.record(gap=gap.model_copy(update={"until": start}))


async def _recognise_mapping(pass_: DataflowPass, flow: Flow) -> None:
    """A flow that was found may have another mapping than status says: set back to it, the spec fits."""
    known = pass_.status.mapping_set
    if known is not None and known.id == flow.mapping_set_id:
        return
    wanted = state.mapping_hash(pass_)
    found = await pass_.platform.find_mapping_set(mapping_set_name(pass_.identity.instance, wanted))
    if found is not None and found.id == flow.mapping_set_id:
        pass_.record(mapping_set=MappingSetStatus(id=found.id, version=found.version, content_hash=wanted))


async def _restore_names(pass_: DataflowPass, remotes: Remotes) -> bool:
    """Patch names and descriptions that are not as they should be; True if any was."""
    patches: list[Awaitable[Created]] = []
    fields: list[str] = []
    for slot, remote in remotes.items():
        operations = Named.desired(pass_, slot).changes_from(remote.name, remote.description)
        if operations:
            patches.append(patcher(pass_.platform, SLOTS[slot])(remote.id, remote.etag, operations))
            fields += [f"{slot}{operation.path.replace('/', '.')}" for operation in operations]
    if not patches:
        return False
    await together(*patches)
    if pass_.was_ready:
        pass_.record(last_drift=LastDrift(time=pass_.utcnow, fields=tuple(fields)))
        pass_.tell("DriftRepaired", "Repair", f"Restored {', '.join(fields)}.")
    else:
        pass_.tell("Updated", "Update", f"Updated {', '.join(fields)}.")
    return True


def _last_read(pass_: DataflowPass) -> datetime | None:
    """When the lost flow last read; if it had no time to, its predecessor."""
    run, gap = pass_.status.last_run, pass_.status.gap
    if run is None:
        return gap.since if gap else None
    return run.start_time or run.completion_time
