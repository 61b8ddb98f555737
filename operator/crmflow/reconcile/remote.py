"""What is done alike with every kind of remote object: read, delete, leave to itself, find gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from crmflow.aep.listings import Collection
from crmflow.aep.models import PatchOperation
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.outcome import Outcome, stalled
from crmflow.reconcile.ownership import key_in, without_key, without_owner
from crmflow.reconcile.ports import Absence, Platform
from crmflow.transport.errors import ErrorClass, RemoteError

AnyPass = Pass[Any, Any]
T = TypeVar("T")


def reader(platform: Platform, collection: Collection) -> Callable[[str], Awaitable[Any]]:
    """The call that reads an object of ``collection``."""
    return {
        Collection.CONNECTIONS: platform.connection,
        Collection.SOURCE_CONNECTIONS: platform.source_connection,
        Collection.TARGET_CONNECTIONS: platform.target_connection,
        Collection.FLOWS: platform.flow,
    }[collection]


def patcher(platform: Platform, collection: Collection) -> Callable[..., Awaitable[Any]]:
    """The call that patches an object of ``collection``."""
    return {
        Collection.CONNECTIONS: platform.patch_connection,
        Collection.SOURCE_CONNECTIONS: platform.patch_source_connection,
        Collection.TARGET_CONNECTIONS: platform.patch_target_connection,
        Collection.FLOWS: platform.patch_flow,
    }[collection]


def _deleter(platform: Platform, collection: Collection) -> Callable[[str], Awaitable[None]]:
    return {
        Collection.CONNECTIONS: platform.delete_connection,
        Collection.SOURCE_CONNECTIONS: platform.delete_source_connection,
        Collection.TARGET_CONNECTIONS: platform.delete_target_connection,
        Collection.FLOWS: platform.delete_flow,
    }[collection]


async def found(call: Awaitable[T]) -> T | None:
    """The answer to a read, None for a 404."""
    try:
        return await call
    except RemoteError as error:
        if error.error_class is ErrorClass.NOT_FOUND:
            return None
        raise


async def read_object(pass_: AnyPass, collection: Collection, remote_id: str | None) -> Any:
    """The object, None if there is no id or a read of it is answered with 404."""
    return None if remote_id is None else await found(reader(pass_.platform, collection)(remote_id))


async def delete_object(pass_: AnyPass, collection: Collection, remote_id: str) -> None:
    """Delete an object of ours; one that is gone already counts as deleted (platform.md 12)."""
    try:
        await _deleter(pass_.platform, collection)(remote_id)
    except RemoteError as error:
        if error.error_class is not ErrorClass.NOT_FOUND:
            raise
    pass_.inventory.deleted(remote_id)


async def orphan_object(pass_: AnyPass, slot: str, collection: Collection, remote_id: str) -> None:
    """Leave the object in place, without our key in name and description. One that is not named by our key
    stays untouched, and so does what can't be reached any more.
    """
    pass_.tell("Orphaned", "Orphan", f"Left the {slot} {remote_id} in place: deletionPolicy is Orphan.")
    if pass_.platform_client is None:
        return
    is_ours = not pass_.adopts
    try:
        remote = await reader(pass_.platform, collection)(remote_id)
        if key_in(remote.name) == pass_.identity.key(slot):
            is_ours = True
            await patcher(pass_.platform, collection)(
                remote_id,
                remote.etag,
                [
                    PatchOperation("replace", "/name", without_key(remote.name)),
                    PatchOperation("add", "/description", without_owner(remote.description)),
                ],
            )
    except RemoteError as error:
        if error.error_class not in (ErrorClass.NOT_FOUND, ErrorClass.TERMINAL):
            raise
    if is_ours:
        pass_.inventory.deleted(remote_id)  # an older listing still shows it with our key


def kept_by(absence: Absence, what: str) -> Outcome | None:
    """Why an object that can't be read is not made anew; None if it may be."""
    match absence:
        case Absence.HIDDEN:
            return stalled(
                "HiddenByLabel",
                f"The {what} exists, but an access label hides it from the credential. Give the technical "
                "account's role that label, or take it off the object.",
            )
        case Absence.MASS_VANISH:
            return stalled(
                "MassVanish",
                f"The {what} is gone, and with it more than max(5, 10 %) of this sandbox's dataflows at "
                "once. "
                "Nothing is made anew until the sandbox shows that it was reset, or a person sets the "
                "annotation crmflow.io/accept-loss, to any new value, on a connection of this sandbox.",
            )
        case Absence.GONE | Absence.RESET:
            return None
