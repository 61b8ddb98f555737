"""What differs on an object that is only observed: told, and left as it is."""

from __future__ import annotations

from crmflow.api.base import LastDrift
from crmflow.observability.events import EventType
from crmflow.reconcile.core.conditions import FALSE, ConditionType
from crmflow.reconcile.core.engine import AnyPass
from crmflow.reconcile.core.plan import Plan
from crmflow.sentences import every


def report(pass_: AnyPass, synced: ConditionType, plan: Plan) -> None:
    """Say in the condition ``synced`` what ``plan`` would change. Without anything, the condition is left to
    its step.
    """
    fields = plan.differences
    if not fields:
        return
    named = every(fields)
    message = (
        f"What exists differs from the resource in {named}, and managementPolicy Observe leaves it so. "
        "Change either, or set managementPolicy to Manage to have it put right."
    )
    known = pass_.conditions.get(synced.name)
    if known is None or known.message != message:
        pass_.record(last_drift=LastDrift(time=pass_.utcnow, fields=fields[:32]))
        pass_.record_event("DriftObserved", "Observe", f"What exists differs in {named}.", EventType.WARNING)
    pass_.set_condition(synced, FALSE, "Drifted", message)
