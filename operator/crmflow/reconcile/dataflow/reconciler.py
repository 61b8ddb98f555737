"""The CRMDataflow reconciler: which steps, in which order, speak for which condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.reconcile.dataflow import deletion, runs, steps
from crmflow.reconcile.dataflow.adopt import adopt
from crmflow.reconcile.dataflow.compare import compare, discard_outdated
from crmflow.reconcile.dataflow.conditions import (
    CONDITIONS,
    MAPPING_VALID,
    RUNS_HEALTHY,
    SOURCE_READY,
    SYNCED,
    TARGET_READY,
)
from crmflow.reconcile.dataflow.create import create
from crmflow.reconcile.dataflow.dataset import check_dataset, create_dataset
from crmflow.reconcile.dataflow.flow_state import note_state
from crmflow.reconcile.dataflow.mapping_sets import validate_mapping
from crmflow.reconcile.dataflow.remarks import report_losses
from crmflow.reconcile.dataflow.schema import check_schema
from crmflow.reconcile.dataflow.source import check_source
from crmflow.reconcile.dataflow.state import SLOTS, DataflowPass, Named, recorded_ids
from crmflow.reconcile.dataflow.update import update
from crmflow.reconcile.engine import Step
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.kind import Reconciler

STEPS = (
    Step(steps.find_connection, SOURCE_READY),
    Step(steps.tell_runs, RUNS_HEALTHY),  # also where a later step stops the pass: the flow goes on
    Step(adopt, SYNCED, only_full=True),
    Step(compare, SYNCED, only_full=True),
    Step(steps.look, SOURCE_READY, only_full=True),
    Step(check_source, SOURCE_READY, only_full=True),
    Step(check_schema, TARGET_READY, only_full=True),
    Step(check_dataset, TARGET_READY, only_full=True),
    Step(validate_mapping, MAPPING_VALID, only_full=True),
    Step(create_dataset, TARGET_READY, only_full=True),
    Step(discard_outdated, SYNCED, only_full=True),
    Step(create, SYNCED, only_full=True),
    Step(update, SYNCED, only_full=True),
    Step(steps.settle, SYNCED),
    Step(steps.tell_runs, RUNS_HEALTHY),
    Step(report_losses),
)

DELETION_STEPS = (
    Step(deletion.reach_platform),
    Step(deletion.release_flow),
    Step(deletion.release_source_connection),
    Step(deletion.release_target_connection),
)


async def _quiet(pass_: DataflowPass) -> bool:
    """The listing shows flow, source and target connection as they should be, and hanging together; adopted
    ones may be called anything.
    """
    if not (await steps.find_connection(pass_)).is_done:
        return False
    await pass_.inventory.ensure()
    ids, inventory = recorded_ids(pass_), pass_.inventory
    base = pass_.connection.status.base_connection
    items = {slot: inventory.item(SLOTS[slot], remote_id) for slot, remote_id in ids.items()}
    flow, source = items.get(Slot.FLOW), items.get(Slot.SOURCE)
    if base is None or flow is None or source is None or items.get(Slot.TARGET) is None:
        return False
    for slot, item in items.items():
        desired = Named.desired(pass_, slot)
        if item is None:
            return False
        if pass_.adopts:
            continue
        if (item.name, item.description) != (desired.name, desired.description):
            return False
        if len(inventory.with_key(SLOTS[slot], pass_.identity.key(slot))) > 1:
            return False
    wanted = "enabled" if pass_.spec.ingestion.enabled else "disabled"
    if flow.state.lower() != wanted or source.parents != (base.id,):
        return False
    if set(flow.parents) != {ids[Slot.SOURCE], ids[Slot.TARGET]}:
        return False
    note_state(pass_, flow.id, flow.state)
    runs.tell(pass_)
    return True


def _claimed(status: Mapping[str, Any]) -> dict[str, str]:
    ids = {
        Slot.FLOW: (status.get("flow") or {}).get("id"),
        Slot.SOURCE: status.get("sourceConnectionId"),
        Slot.TARGET: status.get("targetConnectionId"),
    }
    return {slot: remote_id for slot, remote_id in ids.items() if remote_id}


def _references(spec: dict[str, Any]) -> list[tuple[str, str]]:
    name = spec.get("connectionRef", {}).get("name")
    return [("ZohoSourceConnection", name)] if isinstance(name, str) else []


def _ready_message(pass_: DataflowPass) -> str:
    state = "runs" if pass_.spec.ingestion.enabled else "is disabled, as spec.ingestion.enabled asks"
    if pass_.observes:
        return f"Flow {pass_.flow_id} is only observed: Synced tells whether it is what the spec says."
    return f"Flow {pass_.flow_id} {state} and is what the spec says."


RECONCILER = Reconciler(
    kind=CRM_DATAFLOW,
    conditions=CONDITIONS,
    make_pass=DataflowPass,
    steps=STEPS,
    deletion_steps=DELETION_STEPS,
    ready_message=_ready_message,
    references=_references,
    slots=SLOTS,
    claimed=_claimed,
    adopts=lambda spec: spec.get("flowId"),
    quiet=_quiet,
)
