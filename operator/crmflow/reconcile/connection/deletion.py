"""The steps that end a ZohoSourceConnection: after its dataflows, and leaving nothing behind that was asked
to go.
"""

from __future__ import annotations

from crmflow.aep.listings import Collection
from crmflow.api.base import DeletionPolicy
from crmflow.reconcile import creation, reach
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.outcome import DONE, Outcome, explain, waiting
from crmflow.reconcile.remote import delete_object, orphan_object
from crmflow.transport.errors import ErrorClass, RemoteError


async def wait_for_dataflows(pass_: ConnectionPass) -> Outcome:
    """No dataflow of the cluster uses the base connection any more."""
    if _orphans(pass_) or not _has_remote(pass_):
        return DONE
    names = pass_.services.peers.dataflows_of(pass_.identity.namespace, pass_.identity.name)
    if not names:
        return DONE
    return waiting(
        "InUse",
        f"Used by {_some(names)}. Delete them first, or set spec.deletionPolicy to Orphan to leave the base "
        "connection in place.",
    )


async def reach_platform(pass_: ConnectionPass) -> Outcome:
    """There is a way to Platform, unless nothing has to be done there."""
    if not _has_remote(pass_):
        return DONE
    outcome = await reach.reach_platform_for_deletion(pass_, pass_.identity.name, pass_.spec)
    return DONE if _orphans(pass_) else outcome


async def release_base_connection(pass_: ConnectionPass) -> Outcome:
    """The base connection is gone, or left without our key in its name."""
    if not _has_remote(pass_):
        return DONE
    recorded = pass_.base_connection_id
    if _orphans(pass_):
        if recorded is not None:
            await orphan_object(pass_, Collection.CONNECTIONS, recorded, "base connection")
        return DONE
    try:
        lost = await creation.find_unrecorded(pass_, Slot.CONNECTION, Collection.CONNECTIONS)
    except creation.NotCreatedError as not_found:
        return not_found.outcome
    for connection_id in {*lost, *([recorded] if recorded else [])}:
        try:
            await delete_object(pass_, Collection.CONNECTIONS, connection_id)
        except RemoteError as error:
            if error.error_class is not ErrorClass.IN_USE:
                raise
            return waiting(
                "InUse",
                f"Platform does not delete base connection {connection_id} while dataflows use it. "
                f"{explain(error)} Or set spec.deletionPolicy to Orphan to leave it in place.",
                transition=True,
            )
        pass_.tell("Deleted", "Delete", f"Deleted base connection {connection_id}.")
    return DONE


def _orphans(pass_: ConnectionPass) -> bool:
    return pass_.spec.deletion_policy is DeletionPolicy.ORPHAN


def _has_remote(pass_: ConnectionPass) -> bool:
    return pass_.base_connection_id is not None or Slot.CONNECTION in creation.intents(pass_)


def _some(names: object) -> str:
    listed = sorted(map(str, names)) if isinstance(names, (list, tuple, set)) else [str(names)]
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return ("CRMDataflow " if len(listed) == 1 else "CRMDataflows ") + ", ".join(listed[:5]) + more
