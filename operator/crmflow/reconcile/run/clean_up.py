"""The steps that end a run: what it made for itself goes. What was ingested stays."""

from __future__ import annotations

from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.observability.events import EventType
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.dataflow import deletion
from crmflow.reconcile.run.own_flow import OwnFlow
from crmflow.reconcile.run.state import RunPass

NOTHING = {
    "flow": None,
    "source_connection_id": None,
    "target_connection_id": None,
    "landing_zone": None,
    "extraction": None,
    "pending_windows": None,
    "schedule": None,
    "intents": None,
}
"""What status records of what a run has made, once nothing of it is left."""


def has_made(pass_: RunPass) -> bool:
    """Whether the run has made something for itself that is still to go."""
    status = pass_.status
    return status.source is not None and any(getattr(status, name) is not None for name in NOTHING)


@step()
async def clean_up(pass_: RunPass) -> None:
    """Jobs, files, flow, source and target connection of the run are gone. Raises PassEndedError and
    RemoteError until then.
    """
    if not has_made(pass_):
        return
    own = OwnFlow(pass_)
    inner = own.pass_
    try:
        await deletion.end_transfers(inner)
        if _connection_is_gone(inner.identity.namespace, pass_, inner.spec.connection_ref.name):
            text = "What the run has made in Platform was left there, since the connection is gone."
            pass_.record_event("ObjectsLeft", "Delete", text, EventType.WARNING)
        else:
            sandbox = await deletion.reach_platform(inner)
            for kind in inner.objects:
                await deletion.release(inner, sandbox, kind)
            await deletion.remove_files(inner, sandbox)
    finally:
        own.keep()
    pass_.record(**NOTHING)


def _connection_is_gone(namespace: str, pass_: RunPass, name: str) -> bool:
    return pass_.services.lister.get(ZOHO_SOURCE_CONNECTION, namespace, name) is None
