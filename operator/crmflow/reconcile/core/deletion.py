"""What becomes of the remote objects of a resource that goes: deleted, or left in place without our key."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from crmflow.aep.models import PatchOperation
from crmflow.api.base import DeletionPolicy
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.engine import AnyPass
from crmflow.reconcile.core.outcome import PassEndedError
from crmflow.reconcile.core.ownership import key_in, without_key, without_owner
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.external.remote_object import DESCRIPTION, NAME, RemoteObject


def orphans(pass_: AnyPass) -> bool:
    """True if deleting the resource leaves what it has in Platform."""
    return pass_.deletion_policy is DeletionPolicy.ORPHAN


def has_remote(pass_: AnyPass, kind: RemoteObject[Any]) -> bool:
    """True if there is an object of the resource, or may be one."""
    return kind.id_in(pass_.status) is not None or kind.slot in creation.intents(pass_)


async def reach_for_deletion(pass_: AnyPass, reaching: Awaitable[SandboxClient]) -> SandboxClient | None:
    """The way to Platform; None if there is none and what is there may be left. Raises PassEndedError and
    RemoteError.
    """
    try:
        return await reaching
    except PassEndedError:
        if not orphans(pass_):
            raise
        return None


async def remote_ids(pass_: AnyPass, sandbox: SandboxClient | None, kind: RemoteObject[Any]) -> set[str]:
    """The objects of the resource: the one that is recorded, and what a lost create may have left. Raises
    RemoteError and PassEndedError.
    """
    lost = await creation.find_unrecorded(pass_, sandbox, kind)
    recorded = kind.id_in(pass_.status)
    return {*lost, *filter(None, [recorded])}


async def orphan(
    pass_: AnyPass, sandbox: SandboxClient | None, kind: RemoteObject[Any], remote_id: str
) -> None:
    """Leave the object in place, without our key in name and description. One that is not named by our key
    stays untouched, and so does what can't be reached any more. May raise RemoteError.
    """
    pass_.record_event(
        "Orphaned", "Orphan", f"Left the {kind.slot.name} {remote_id} in place: deletionPolicy is Orphan."
    )
    if sandbox is None:
        return
    try:
        remote = await sandbox.platform.get(kind.collection, remote_id)
        if key_in(remote.name) == pass_.identity.key(kind.slot):
            operations = (
                PatchOperation("replace", NAME, without_key(remote.name)),
                PatchOperation("add", DESCRIPTION, without_owner(remote.description)),
            )
            await sandbox.platform.patch(kind.collection, remote_id, remote.etag, operations)
    except RemoteError as error:
        if error.error_class not in (ErrorClass.NOT_FOUND, ErrorClass.TERMINAL):
            raise
    else:
        sandbox.inventory.let_go(remote_id)  # an older listing may still show it with our key
