"""A flow that was there before the resource, with its source connection, target connection and mapping."""

from __future__ import annotations

from crmflow.aep.models import Flow
from crmflow.api.crmdataflow import FlowStatus
from crmflow.reconcile.core.adoption import Adoption, check_claim, discard_begun, find_adopted, not_adoptable
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.dataflow.conditions import SYNCED
from crmflow.reconcile.dataflow.state import OBJECTS, DataflowPass, Upstream
from crmflow.reconcile.external.flow import FLOW
from crmflow.reconcile.external.source_connection import SOURCE_CONNECTION

ADOPTION = Adoption(FLOW, "spec.flowId")


@step(SYNCED)
async def adopt(pass_: DataflowPass, upstream: Upstream) -> None:
    """The flow that the spec names, if it names one, stands for the resource."""
    flow_id, sandbox = pass_.spec.flow_id, upstream.sandbox
    if flow_id is None:
        return
    if pass_.recorded_id is not None:
        check_claim(pass_, ADOPTION, flow_id)
        pass_.record(adopted=True)
        return
    flow = await find_adopted(pass_, sandbox, ADOPTION, flow_id)
    why = await _unfit(pass_, upstream, flow)
    if why is not None:
        raise not_adoptable(ADOPTION, flow.id, why)
    kept = {flow.id, *flow.source_connection_ids, *flow.target_connection_ids}
    await discard_begun(pass_, sandbox, tuple(OBJECTS), kept)
    pass_.record(
        flow=FlowStatus(id=flow.id),
        source_connection_id=flow.source_connection_ids[0],
        target_connection_id=flow.target_connection_ids[0],
        adopted=True,
        # of a creation that had begun: what the flow has instead is read from it
        source=None,
        mapping_set=None,
        schedule=None,
        columns=(),
        landing_zone=None,
        extraction=None,
        pending_windows=None,
    )
    pass_.record_event("Adopted", "Adopt", f"Adopted flow {flow.id} with its source and target connection.")


async def _unfit(pass_: DataflowPass, upstream: Upstream, flow: Flow) -> str | None:
    """Why the flow is not one that a CRMDataflow can stand for."""
    offer, source_connector = await upstream.offer(), upstream.connector
    if (mismatch := source_connector.flow_mismatch(flow.flow_spec_id, offer)) is not None:
        return mismatch
    if (len(flow.source_connection_ids), len(flow.target_connection_ids)) != (1, 1):
        return "it does not have exactly one source and one target connection."
    source = await upstream.sandbox.read(SOURCE_CONNECTION, flow.source_connection_ids[0])
    if source is None:
        return f"its source connection {flow.source_connection_ids[0]} is gone."
    other = source_connector.mismatch(source.connection_spec_id)
    return (
        f"it reads from {other}"
        if other is not None
        else await upstream.connector.unfit(upstream.sandbox.platform, pass_.spec, source)
    )
