"""What differs from the spec is patched: edits are carried out, and what somebody changed in Platform is put
right. Of a flow that is only observed it is told.
"""

from __future__ import annotations

from dataclasses import replace

from crmflow.aep.models import Column, Flow
from crmflow.api.base import LastDrift
from crmflow.observability.events import REPAIR
from crmflow.reconcile.core import drift
from crmflow.reconcile.core.act import act, converge
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.ownership import key_in
from crmflow.reconcile.core.plan import Effect, Plan
from crmflow.reconcile.dataflow.conditions import SYNCED
from crmflow.reconcile.dataflow.flow_state import transition
from crmflow.reconcile.dataflow.observe import read_again
from crmflow.reconcile.dataflow.plan import Declared, Existing, plan_changes
from crmflow.reconcile.dataflow.state import OBJECTS, SUCCESSOR, DataflowPass, Upstream, objects_at
from crmflow.sentences import every


@step(SYNCED)
async def update(
    pass_: DataflowPass,
    upstream: Upstream,
    existing: Existing,
    declared: Declared,
    columns: tuple[Column, ...],
) -> Flow | None:
    """Flow, source and target connection are what the spec says. The flow, as long as nothing was patched;
    then everything has been compared by now. After a patch it is compared once more. Raises PassEndedError
    where the flow is being enabled or disabled.
    """
    declared = replace(declared, columns=columns, now=pass_.now)
    if pass_.observes:
        drift.report(pass_, SYNCED, plan_changes(declared, pass_.status, existing))
        pass_.checked = True
        return existing.flow

    async def replan() -> Plan:
        nonlocal existing
        existing = await read_again(upstream.sandbox, existing)
        return plan_changes(declared, pass_.status, existing)

    is_renamed = _bears_names_of_a_successor(pass_, existing)
    plan = plan_changes(declared, pass_.status, existing)
    if shared := plan.of(Effect.SHARE):
        await act(pass_, upstream.sandbox, shared)
        plan = plan_changes(declared, pass_.status, existing)
    done = await converge(pass_, upstream.sandbox, plan, replan)
    patches = (*plan.of(Effect.PATCH), *done.of(Effect.PATCH))
    fields = list(dict.fromkeys(action.kind.differs_in(path) for action in patches for path in action.fields))
    pass_.checked = not fields
    if not fields:
        if done.of(Effect.SET_STATE):
            raise transition(pass_)
        return existing.flow
    if pass_.was_ready and not is_renamed:
        pass_.record(last_drift=LastDrift(time=pass_.utcnow, fields=tuple(fields)))
        pass_.record_event("DriftRepaired", REPAIR, f"Restored {every(fields)}.")
    else:
        pass_.record_event("Updated", "Update", f"Updated {every(fields)}.")
    return None


def _bears_names_of_a_successor(pass_: DataflowPass, existing: Existing) -> bool:
    """It has taken the place of a flow, and its names were not all given to it: nobody else has done that."""
    return existing.kinds is OBJECTS and any(
        key_in(remote.name) == pass_.identity.key(kind.slot)
        for kind, remote in zip(objects_at(SUCCESSOR), existing.objects().values(), strict=True)
    )
