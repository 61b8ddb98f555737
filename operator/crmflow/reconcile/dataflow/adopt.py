"""A flow that was there before the resource, with its source connection, target connection and mapping."""

from __future__ import annotations

from crmflow.aep.listings import Collection
from crmflow.aep.models import Flow, SourceConnection
from crmflow.api.crmdataflow import FlowStatus
from crmflow.reconcile.adoption import Adoption, discard_begun, find_adopted, not_adoptable, refused
from crmflow.reconcile.dataflow.state import SLOTS, DataflowPass, recorded_ids
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.offer import FLOW_SPEC_ID, FLOW_SPEC_NAME, ZOHO_CONNECTION_SPEC_ID
from crmflow.reconcile.outcome import DONE, Outcome
from crmflow.reconcile.remote import read_object

ADOPTION = Adoption(Slot.FLOW, Collection.FLOWS, "flow", "spec.flowId")


async def adopt(pass_: DataflowPass) -> Outcome:
    """The flow that the spec names, if it names one, stands for the resource."""
    if pass_.spec.flow_id is None:
        return DONE
    if pass_.flow_id is not None:
        outcome = refused(pass_, ADOPTION)
        if outcome is None:
            pass_.record(adopted=True)
        return outcome or DONE
    flow: Flow | Outcome = await find_adopted(pass_, ADOPTION)
    if isinstance(flow, Outcome):
        return flow
    why = await _unfit(pass_, flow)
    if why is not None:
        return not_adoptable(ADOPTION, flow.id, why)
    kept = {flow.id, *flow.source_connection_ids, *flow.target_connection_ids}
    pending = await discard_begun(pass_, SLOTS, recorded_ids(pass_), kept)
    if pending is not None:
        return pending
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
    )
    pass_.tell("Adopted", "Adopt", f"Adopted flow {flow.id} with its source and target connection.")
    return DONE


async def _unfit(pass_: DataflowPass, flow: Flow) -> str | None:
    """Why the flow is not one that a CRMDataflow can stand for."""
    platform = pass_.connection.spec.platform
    offer = await pass_.services.offers.get(pass_.platform, platform.organization, platform.sandbox)
    if flow.flow_spec_id != (offer.flow_spec.id if offer.flow_spec else FLOW_SPEC_ID):
        return f"its flow specification {flow.flow_spec_id} is not {FLOW_SPEC_NAME}."
    if (len(flow.source_connection_ids), len(flow.target_connection_ids)) != (1, 1):
        return "it does not have exactly one source and one target connection."
    source: SourceConnection | None = await read_object(
        pass_, Collection.SOURCE_CONNECTIONS, flow.source_connection_ids[0]
    )
    if source is None:
        return f"its source connection {flow.source_connection_ids[0]} is gone."
    if source.connection_spec_id != ZOHO_CONNECTION_SPEC_ID:
        return f"it reads from another source, connection specification {source.connection_spec_id}."
    return None
