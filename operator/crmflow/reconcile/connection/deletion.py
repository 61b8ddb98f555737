"""The steps that end a ZohoSourceConnection: after its dataflows, and leaving nothing behind that was asked
to go.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.api.base import Transport
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.events import EventType
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.core import platform_access
from crmflow.reconcile.core.conditions import READY
from crmflow.reconcile.core.deletion import has_remote, orphan, orphans, reach_for_deletion, remote_ids
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, WaitingError, explain
from crmflow.reconcile.core.reading import instant
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.ports import Referrer
from crmflow.sentences import some

NAMES_SHOWN = 5
NAMESPACE_SECONDS = 5.0
"""A namespace that is deleted deletes one kind after the other: so long after the connection, its dataflows
are deleted, too, or stay.
"""


@step()
async def wait_for_dataflows(pass_: ConnectionPass) -> None:
    """No dataflow of the cluster uses the base connection any more, and none needs the access that it gives
    in order to be deleted.
    """
    dataflows = _dataflows(pass_)
    staying = _staying_dataflows(pass_)
    if staying and has_remote(pass_, BASE_CONNECTION) and not orphans(pass_):
        raise _in_use(
            f"Used by {_some(staying)}. Delete them first, or set spec.deletionPolicy to Orphan to leave the "
            "base connection in place."
        )
    going = [dataflow.name for dataflow in dataflows if dataflow.deleting]
    if going:
        raise _in_use(
            f"{_some(going)}, being deleted, still needs the access that this resource gives. If it does not "
            "go, its conditions say why."
        )
    left = _seconds_left(pass_)
    if staying and has_remote(pass_, BASE_CONNECTION) and left > 0:
        raise WaitingError(
            "InUse",
            f"Used by {_some(staying)}. The base connection is left in place in a moment, unless they are "
            "being deleted, too.",
            retry_after=left,
        )


@step()
async def reach_platform(pass_: ConnectionPass) -> SandboxClient | None:
    """The way to Platform; None if nothing has to be done there, or what is there may be left."""
    if not has_remote(pass_, BASE_CONNECTION) or pass_.observes:
        return None
    return await reach_for_deletion(
        pass_, platform_access.reach_platform_for_deletion(pass_, pass_.identity.name, pass_.spec)
    )


@step()
async def release_base_connection(pass_: ConnectionPass, sandbox: SandboxClient | None) -> None:
    """The base connection is gone, or left without our key in its name."""
    await release(pass_, sandbox)


async def release(pass_: ConnectionPass, sandbox: SandboxClient | None) -> None:
    """Let the base connection go. One that is left in place and that dataflows of the cluster go on with
    keeps the key: they need a resource of the same name, which finds it by that. Raises RemoteError and
    PassEndedError.
    """
    staying = _staying_dataflows(pass_)
    for connection_id in await remote_ids(pass_, sandbox, BASE_CONNECTION):
        if sandbox is not None and not orphans(pass_):
            await _delete(pass_, sandbox, connection_id)
        elif staying:
            pass_.record_event(
                "Orphaned",
                "Orphan",
                f"Left the connection {connection_id} in place, with its lookup key, as {_some(staying)} "
                f"{'goes' if len(staying) == 1 else 'go'} on through it: deletionPolicy is Orphan.",
            )
        else:
            await orphan(pass_, sandbox, BASE_CONNECTION, connection_id)


@step()
async def release_grant(pass_: ConnectionPass) -> None:
    """A grant that the operator obtained itself is revoked, unless something that is left needs it: a base
    connection that was let go, or another resource. Zoho does not hold the deletion up.
    """
    who = platform_access.connection_key(pass_.identity.namespace, pass_.identity.name)
    access = pass_.services.access
    try:
        await access.drop_grants(who, revoke=not orphans(pass_))
    except RemoteError as error:
        if error.service == "Kubernetes":
            raise
        await access.drop_grants(who, revoke=False)
        pass_.record_event(
            "RevocationFailed",
            "Delete",
            f"The grant was not revoked: {explain(error)} "
            "End it under Connected Apps in the user's Zoho account.",
            EventType.WARNING,
        )


async def _delete(pass_: ConnectionPass, sandbox: SandboxClient, connection_id: str) -> None:
    try:
        await sandbox.delete(BASE_CONNECTION, connection_id)
    except RemoteError as error:
        if error.error_class is not ErrorClass.IN_USE:
            raise
        flows = await sandbox.inventory.readers_of(connection_id)
        users = (
            f"flow {some(sorted(flows), NAMES_SHOWN)} uses it."
            if flows
            else f"it is in use. {explain(error)}"
        )
        raise _in_use(
            f"Platform does not delete base connection {connection_id} while {users} Delete that first, "
            "or set spec.deletionPolicy to Orphan to leave the base connection in place.",
            transition=True,
        ) from error
    pass_.record_event("Deleted", "Delete", f"Deleted base connection {connection_id}.")


def _in_use(text: str, *, transition: bool = False) -> PassEndedError:
    return WaitingError("InUse", text, transition=transition)


def _seconds_left(pass_: ConnectionPass) -> float:
    """How long dataflows that stay may still turn out to be deleted, too: whatever wakes the connection
    before, such as its Secrets being deleted, is no reason to go on.
    """
    ready = pass_.conditions.get(READY)
    since = instant(ready.last_transition_time) if ready and ready.reason == "InUse" else None
    return NAMESPACE_SECONDS if since is None else since.timestamp() + NAMESPACE_SECONDS - pass_.now


def _staying_dataflows(pass_: ConnectionPass) -> list[str]:
    """Those that stay and read through the base connection, as far as is known."""
    return [
        dataflow.name
        for dataflow in _dataflows(pass_)
        if not dataflow.deleting
        and (dataflow.transports is None or dataflow.takes(Transport.PLATFORM_SOURCE))
    ]


def _dataflows(pass_: ConnectionPass) -> Sequence[Referrer]:
    own = pass_.identity
    return pass_.services.lister.referrers(ZOHO_SOURCE_CONNECTION, own.namespace, own.name)


def _some(names: Sequence[str]) -> str:
    return ("CRMDataflow " if len(names) == 1 else "CRMDataflows ") + some(sorted(names), NAMES_SHOWN)
