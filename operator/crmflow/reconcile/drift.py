"""What differs on an object that is only observed: told, and left as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crmflow.api.base import LastDrift
from crmflow.observability.events import EventType
from crmflow.reconcile.conditions import FALSE, ConditionType
from crmflow.reconcile.engine import Pass


def report(pass_: Pass[Any, Any], synced: ConditionType, fields: Sequence[str]) -> None:
    """Say in the condition ``synced`` in which ``fields`` of the spec the remote objects differ. Without any,
    the condition is left to its step.
    """
    if not fields:
        return
    named = ", ".join(fields)
    message = (
        f"What exists differs from the resource in {named}, and managementPolicy Observe leaves it so. "
        "Change either, or set managementPolicy to Manage to have it put right."
    )
    known = pass_.conditions.get(synced.name)
    if known is None or known.message != message:
        pass_.record(last_drift=LastDrift(time=pass_.utcnow, fields=tuple(fields)[:32]))
        pass_.tell("DriftObserved", "Observe", f"What exists differs in {named}.", EventType.WARNING)
    pass_.find(synced, FALSE, "Drifted", message)
