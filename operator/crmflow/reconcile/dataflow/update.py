"""What differs from the spec is patched: edits are carried out, and what somebody changed in Platform is put
right.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.models import Flow, PatchOperation
from crmflow.api.base import LastDrift
from crmflow.api.crmdataflow import ScheduleStatus
from crmflow.observability.events import REPAIR
from crmflow.reconcile import drift
from crmflow.reconcile.dataflow import desired, flow_state, values
from crmflow.reconcile.dataflow.conditions import SYNCED
from crmflow.reconcile.dataflow.mapping_sets import ensure_mapping_set, moves_mapping
from crmflow.reconcile.dataflow.state import SLOTS, DataflowPass
from crmflow.reconcile.dataflow.values import Values
from crmflow.reconcile.engine import together
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.outcome import DONE, Outcome
from crmflow.reconcile.remote import patcher


async def update(pass_: DataflowPass) -> Outcome:
    """Flow, source and target connection are what the spec says. Unless something was patched, everything has
    been compared by now; after a patch it is compared once more.
    """
    if not pass_.remotes:  # everything was created in this very pass
        return DONE
    if pass_.observes:
        _observe(pass_)
        return DONE
    if moves_mapping(pass_):
        await ensure_mapping_set(pass_)
    begin = desired.beginning(pass_, pass_.remotes[Slot.FLOW])
    _plan(pass_, begin)
    wanted = _wanted(pass_, begin)
    paths = {slot: values.differing(wanted[slot], _observed(pass_, slot)) for slot in SLOTS}
    paths = {slot: found for slot, found in paths.items() if found}
    pass_.checked = not paths
    if paths:
        await together(*(_patch(pass_, slot, found, wanted[slot]) for slot, found in paths.items()))
        _tell(pass_, [_named(slot, path) for slot, found in paths.items() for path in found])
        pass_.flow = None
    return DONE


def _observe(pass_: DataflowPass) -> None:
    """Nothing is patched: what differs is told."""
    flow: Flow = pass_.remotes[Slot.FLOW]
    wanted = _wanted(pass_, desired.beginning(pass_, flow))
    fields = desired.unpatchable(pass_, flow)
    for slot in SLOTS:
        paths = values.differing(wanted[slot], _observed(pass_, slot))
        fields += [desired.SPEC_FIELDS.get(path) or _named(slot, path) for path in paths]
    if moves_mapping(pass_):
        fields.append("spec.mapping")
    if flow.state.lower() != flow_state.wanted(pass_):
        fields.append("spec.ingestion.enabled")
    drift.report(pass_, SYNCED, list(dict.fromkeys(fields)))
    pass_.checked = True


def _named(slot: str, path: str) -> str:
    return slot + path.replace("/", ".")


def _wanted(pass_: DataflowPass, begin: ScheduleStatus | None) -> dict[str, Values]:
    return {
        Slot.FLOW: desired.flow(pass_, pass_.remotes[Slot.FLOW], begin),
        Slot.SOURCE: desired.source(pass_),
        Slot.TARGET: desired.target(pass_),
    }


def _observed(pass_: DataflowPass, slot: str) -> Values:
    remote = pass_.remotes[slot]
    match slot:
        case Slot.FLOW:
            return values.observed_flow(remote)
        case Slot.SOURCE:
            return values.observed_source(remote)
        case _:
            return values.observed_target(remote)


async def _patch(pass_: DataflowPass, slot: str, paths: Sequence[str], wanted: Values) -> None:
    remote = pass_.remotes[slot]
    operations: list[PatchOperation]
    match slot:
        case Slot.FLOW:
            operations = values.flow_patch(paths, wanted, remote)
        case Slot.SOURCE:
            operations = values.source_patch(paths, wanted, pass_.columns)
        case _:
            schema = pass_.status.schema_
            operations = values.target_patch(paths, wanted, schema.version if schema else "")
    await patcher(pass_.platform, SLOTS[slot])(remote.id, remote.etag, operations)


def _plan(pass_: DataflowPass, begin: ScheduleStatus | None) -> None:
    """Record how a flow is to begin that has not yet."""
    begun, gap = pass_.status.schedule, pass_.status.gap
    if begin is None or begin == begun:
        return
    if gap is not None and begun is not None and gap.until == begun.effective_start_time:
        pass_.record(gap=gap.model_copy(update={"until": begin.effective_start_time}))
    pass_.record(schedule=begin)


def _tell(pass_: DataflowPass, fields: Sequence[str]) -> None:
    if pass_.was_ready:
        pass_.record(last_drift=LastDrift(time=pass_.utcnow, fields=tuple(fields)))
        pass_.tell("DriftRepaired", REPAIR, f"Restored {', '.join(fields)}.")
    else:
        pass_.tell("Updated", "Update", f"Updated {', '.join(fields)}.")
