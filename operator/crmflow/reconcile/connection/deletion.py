"""The steps that end a ZohoSourceConnection: after its dataflows, and leaving nothing behind that was asked
to go.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.listings import Collection
from crmflow.api.base import DeletionPolicy
from crmflow.observability.events import EventType
from crmflow.reconcile import creation, reach
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.outcome import DONE, Outcome, explain, waiting
from crmflow.reconcile.remote import delete_object, orphan_object
from crmflow.transport.errors import ErrorClass, RemoteError

NAMES_SHOWN = 5


async def wait_for_dataflows(pass_: ConnectionPass) -> Outcome:
    """No dataflow of the cluster uses the base connection any more, and none needs the access that it gives
    in order to be deleted.
    """
    dataflows = pass_.services.peers.dataflows_of(pass_.identity.namespace, pass_.identity.name)
    staying = [dataflow.name for dataflow in dataflows if not dataflow.deleting]
    if staying and _has_remote(pass_) and not _orphans(pass_):
        return waiting(
            "InUse",
            f"Used by {_some(staying)}. Delete them first, or set spec.deletionPolicy to Orphan to leave the "
            "base connection in place.",
        )
    going = [dataflow.name for dataflow in dataflows if dataflow.deleting]
    if going:
        return waiting(
            "InUse",
            f"{_some(going)}, being deleted, still needs the access that this resource gives. If it does not "
            "go, its conditions say why.",
        )
    return DONE


async def reach_platform(pass_: ConnectionPass) -> Outcome:
    """There is a way to Platform, unless nothing has to be done there."""
    if not _has_remote(pass_) or pass_.observes:
        return DONE
    outcome = await reach.reach_platform_for_deletion(pass_, pass_.identity.name, pass_.spec)
    return DONE if _orphans(pass_) else outcome


async def release_base_connection(pass_: ConnectionPass) -> Outcome:
    """The base connection is gone, or left without our key in its name."""
    if not _has_remote(pass_):
        return DONE
    recorded = pass_.base_connection_id
    try:
        lost = await creation.find_unrecorded(pass_, Slot.CONNECTION, Collection.CONNECTIONS)
    except creation.NotCreatedError as not_found:
        return not_found.outcome
    for connection_id in {*lost, *([recorded] if recorded else [])}:
        if _orphans(pass_):
            await orphan_object(pass_, Slot.CONNECTION, Collection.CONNECTIONS, connection_id)
            continue
        try:
            await delete_object(pass_, Collection.CONNECTIONS, connection_id)
        except RemoteError as error:
            if error.error_class is not ErrorClass.IN_USE:
                raise
            flows = await pass_.inventory.readers_of(connection_id)
            users = f"flow {_listed(flows)} uses it." if flows else f"it is in use. {explain(error)}"
            return waiting(
                "InUse",
                f"Platform does not delete base connection {connection_id} while {users} Delete that first, "
                "or set spec.deletionPolicy to Orphan to leave the base connection in place.",
                transition=True,
            )
        pass_.tell("Deleted", "Delete", f"Deleted base connection {connection_id}.")
    return DONE


async def release_grant(pass_: ConnectionPass) -> Outcome:
    """A grant that the operator obtained itself is revoked, unless something that is left needs it: a base
    connection that was let go, or another resource. Zoho does not hold the deletion up.
    """
    who = reach.holder(pass_.identity.namespace, pass_.identity.name)
    access = pass_.services.access
    try:
        await access.drop_grants(who, revoke=not _orphans(pass_))
    except RemoteError as error:
        if error.service == "Kubernetes":
            raise
        await access.drop_grants(who, revoke=False)
        pass_.tell(
            "RevocationFailed",
            "Delete",
            f"The grant was not revoked: {explain(error)} "
            "End it under Connected Apps in the user's Zoho account.",
            EventType.WARNING,
        )
    return DONE


def _orphans(pass_: ConnectionPass) -> bool:
    return pass_.deletion_policy is DeletionPolicy.ORPHAN


def _has_remote(pass_: ConnectionPass) -> bool:
    return pass_.base_connection_id is not None or Slot.CONNECTION in creation.intents(pass_)


def _some(names: Sequence[str]) -> str:
    return ("CRMDataflow " if len(names) == 1 else "CRMDataflows ") + _listed(names)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(sorted(names)[:NAMES_SHOWN]) + more
