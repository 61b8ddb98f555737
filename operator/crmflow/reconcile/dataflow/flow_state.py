"""The state of a flow: transitions are waited for and never fought (platform.md 4.4)."""

from __future__ import annotations

from crmflow.aep.models import Flow
from crmflow.api.crmdataflow import FlowStatus
from crmflow.observability.redaction import sanitise
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.outcome import DONE, Outcome, stalled, waiting

SETTLED_STATES = frozenset({"enabled", "disabled"})
TRANSITIONAL_STATES = frozenset(
    {
        "initializing",
        "pending",
        "updating",
        "enabling",
        "disabling",
        "enabled-finalizing",
        "delete-finalizing",
    }
)
UNKNOWN_STATE_SECONDS = 600.0
"""How long a state that no contract names counts as one that passes."""


def settled(pass_: DataflowPass, flow: Flow) -> Outcome:
    """Done once the flow is enabled or disabled, and can be changed."""
    note_state(pass_, flow.id, flow.state)
    state = flow.state.lower()
    if state in SETTLED_STATES:
        return DONE
    if state == "draft":
        return stalled(
            "FlowIsDraft",
            f"Flow {flow.id} is a draft, which does not run. Publish it in Platform under Sources, "
            "Dataflows, or delete it there so that it is made anew.",
        )
    if state not in TRANSITIONAL_STATES and _is_old(pass_):
        return stalled(
            "FlowStateUnknown",
            f'Flow {flow.id} has been in the state "{sanitise(flow.state, 64)}", which crmflow does not '
            "know, for more than 10 minutes. Look at it in Platform under Sources, Dataflows; nothing is "
            "changed until it is enabled or disabled.",
        )
    return transition(pass_)


def transition(pass_: DataflowPass) -> Outcome:
    """Waiting until the flow is as it should be."""
    return waiting("FlowSettling", f"Waiting for Platform to have the flow {wanted(pass_)}.", transition=True)


def wanted(pass_: DataflowPass) -> str:
    """The state that the spec asks for."""
    return "enabled" if pass_.spec.ingestion.enabled else "disabled"


def note_state(pass_: DataflowPass, flow_id: str, state: str) -> None:
    """Record the state, and since when it has been seen."""
    known = pass_.status.flow
    is_same = known is not None and known.id == flow_id and known.state == state
    since = known.state_since if known is not None and is_same else None
    if since is None and (not is_same or state.lower() not in SETTLED_STATES):
        since = pass_.utcnow
    pass_.record(flow=FlowStatus(id=flow_id, state=state, state_since=since))


def _is_old(pass_: DataflowPass) -> bool:
    flow = pass_.status.flow
    since = flow.state_since if flow else None
    return since is not None and pass_.now - since.timestamp() >= UNKNOWN_STATE_SECONDS
