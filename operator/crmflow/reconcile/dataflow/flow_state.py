"""The state of a flow: transitions are waited for and never fought (platform.md 4.4)."""

from __future__ import annotations

from crmflow.aep.models import Flow, Listed
from crmflow.api.crmdataflow import FlowStatus
from crmflow.observability.redaction import sanitize
from crmflow.reconcile.core.act import carry_out
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, StalledError, WaitingError
from crmflow.reconcile.dataflow.conditions import SYNCED
from crmflow.reconcile.dataflow.plan import plan_state, wanted_state
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.external.flow import DISABLED, ENABLED, FLOW

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
GONE_SECONDS = 1.0
"""Pause before a flow that was gone while it settled is looked for with everything else."""
WATCHED_SECONDS = 15.0
"""When a new flow is read by itself that no listing has shown settled: it may lag behind."""
UNKNOWN_STATE_SECONDS = 600.0
"""How long a state that no contract names counts as one that passes."""


@step(SYNCED)
async def settle(pass_: DataflowPass, upstream: Upstream, known: Flow | None) -> Flow | Listed:
    """The flow is enabled, or disabled if the spec says so; one that is only observed is in either state.
    ``known``: the flow, if nothing has changed since it was read.

    A new flow is waited for by listings of many. What they show is believed where nothing is left to be done.
    """
    flow_id, inventory = pass_.recorded_id or "", upstream.sandbox.inventory
    listed = None if known else inventory.settled(flow_id)
    if listed is not None and listed.state.lower() == wanted_state(pass_.spec):
        note_state(pass_, flow_id, listed.state)
        return listed
    if pass_.is_flow_new and not pass_.services.foresees and inventory.watch(flow_id, str(pass_.identity)):
        raise transition(pass_, is_watched=True)
    flow = known or await upstream.sandbox.read(FLOW, pass_.recorded_id)
    if flow is None:
        raise flow_gone(flow_id)
    check_settled(pass_, flow)
    plan = plan_state(pass_.spec, flow)
    if pass_.observes or not plan.actions:
        return flow
    await carry_out(pass_, upstream.sandbox, plan)
    raise transition(pass_)


def check_settled(pass_: DataflowPass, flow: Flow) -> None:
    """The flow is enabled or disabled, and can be changed; raises PassEndedError if not."""
    note_state(pass_, flow.id, flow.state)
    state = flow.state.lower()
    if state in (ENABLED, DISABLED):
        return
    if state == "draft":
        raise StalledError(
            "FlowIsDraft",
            f"Flow {flow.id} is a draft, which does not run. Publish it in Platform under Sources, "
            "Dataflows, or delete it there so that it is made anew.",
        )
    if state not in TRANSITIONAL_STATES and _is_old(pass_):
        raise StalledError(
            "FlowStateUnknown",
            f'Flow {flow.id} has been in the state "{sanitize(flow.state, 64)}", which crmflow does not '
            "know, for more than 10 minutes. Look at it in Platform under Sources, Dataflows; nothing is "
            "changed until it is enabled or disabled.",
        )
    raise transition(pass_)


def transition(pass_: DataflowPass, *, is_watched: bool = False) -> PassEndedError:
    """Waiting until the flow is as it should be. One that ``is_watched`` is read by itself only if that does
    not wake its resource for a while.
    """
    text = f"Waiting for Platform to have the flow {wanted_state(pass_.spec)}."
    pause = WATCHED_SECONDS if is_watched else None
    return WaitingError("FlowSettling", text, transition=True, retry_after=pause)


def flow_gone(flow_id: str) -> PassEndedError:
    """A flow that was there a moment ago can't be read."""
    text = f"Flow {flow_id} is gone; it is looked into."
    return WaitingError("FlowSettling", text, retry_after=GONE_SECONDS)


def note_state(pass_: DataflowPass, flow_id: str, state: str) -> None:
    """Record the state, and since when it has been seen."""
    known = pass_.status.flow
    is_same = known is not None and known.id == flow_id and known.state == state
    since = known.state_since if known is not None and is_same else None
    if since is None and (not is_same or state.lower() not in (ENABLED, DISABLED)):
        since = pass_.utcnow
    pass_.record(flow=FlowStatus(id=flow_id, state=state, state_since=since))


def _is_old(pass_: DataflowPass) -> bool:
    flow = pass_.status.flow
    since = flow.state_since if flow else None
    return since is not None and pass_.now - since.timestamp() >= UNKNOWN_STATE_SECONDS
