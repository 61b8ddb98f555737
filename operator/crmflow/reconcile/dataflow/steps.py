"""The steps that make a CRMDataflow true, in their order."""

from __future__ import annotations

from crmflow.aep.listings import Collection
from crmflow.reconcile import reach
from crmflow.reconcile.ahead import ask
from crmflow.reconcile.dataflow import dataset, flow_state, remarks, runs, schema, source
from crmflow.reconcile.dataflow.mapping_sets import remember_mapping_set
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.engine import together
from crmflow.reconcile.outcome import DONE, Outcome, waiting
from crmflow.reconcile.remote import read_object

GONE_SECONDS = 1.0
"""Pause before a flow that was gone while it settled is looked for with everything else."""


async def find_connection(pass_: DataflowPass) -> Outcome:
    """The connection exists and is Ready, or is paused and was Ready before, and Platform can be reached
    through its credential.
    """
    name = pass_.spec.connection_ref.name
    view = pass_.services.peers.connection(pass_.identity.namespace, name)
    if view is None:
        return waiting(
            "ConnectionNotFound",
            f'ZohoSourceConnection "{name}" does not exist in namespace "{pass_.identity.namespace}". '
            "Create it, or correct "
            "spec.connectionRef.",
        )
    # The last step of a connection counts the tables: without a count it has never been Ready.
    serves = view.ready or (view.spec.paused and view.status.tables is not None)
    if not serves or view.status.base_connection is None:
        return waiting(
            "ConnectionNotReady", f'ZohoSourceConnection "{name}" is not Ready; its conditions say why.'
        )
    pass_.connection_view = view
    remember_mapping_set(pass_)
    if not pass_.full:
        remarks.keep_all(pass_)
    return reach.refusal(pass_, view.spec) or await reach.reach_platform(pass_, name, view.spec)


async def look(pass_: DataflowPass) -> Outcome:
    """What the next steps judge is read side by side."""
    explored = ask(source.explore(pass_))
    if not pass_.creates:
        pass_.source_answer, pass_.datasets_answer = await together(explored, ask(dataset.find_used(pass_)))
        return DONE
    pass_.source_answer, pass_.schemas_answer, pass_.datasets_answer = await together(
        explored, ask(schema.find(pass_)), ask(dataset.find(pass_))
    )
    return DONE


async def settle(pass_: DataflowPass) -> Outcome:
    """The flow is enabled, or disabled if the spec says so; one that is only observed is in either state."""
    if pass_.flow_id is None:
        raise RuntimeError("the flow is created first")
    flow = pass_.flow or await read_object(pass_, Collection.FLOWS, pass_.flow_id)
    if flow is None:
        text = f"Flow {pass_.flow_id} is gone; it is looked into."
        return waiting("FlowSettling", text, retry_after=GONE_SECONDS)
    pass_.flow = flow
    outcome = flow_state.settled(pass_, flow)
    if not outcome.is_done or pass_.observes or flow.state.lower() == flow_state.wanted(pass_):
        return outcome
    await pass_.platform.set_flow_state(flow.id, pass_.spec.ingestion.enabled, flow.etag)
    return flow_state.transition(pass_)


async def tell_runs(pass_: DataflowPass) -> Outcome:
    """The last run is in status, and whether the flow runs as it should."""
    runs.tell(pass_)
    return DONE
