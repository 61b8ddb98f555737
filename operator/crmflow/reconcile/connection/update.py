"""Changing a base connection in place: what is patched when, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import SecretStr

from crmflow.aep.models import BaseConnection as RemoteConnection
from crmflow.aep.models import PatchOperation
from crmflow.api.base import LastDrift
from crmflow.api.zohosourceconnection import TokenStatus
from crmflow.observability.events import REPAIR
from crmflow.reconcile import drift
from crmflow.reconcile.connection.auth_params import (
    Params,
    auth_params,
    auth_spec,
    differing_params,
    problem_with,
    shown_hash,
)
from crmflow.reconcile.connection.conditions import SYNCED
from crmflow.reconcile.connection.state import ComparableConnection, ConnectionPass
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.transport.errors import ErrorClass, RemoteError

PATCH_ATTEMPTS = 3
"""How often a patch is compared anew in one pass when somebody else is faster each time."""

Changes = Callable[[RemoteConnection], Sequence[PatchOperation]]


async def update_base_connection(pass_: ConnectionPass, remote: RemoteConnection) -> Outcome:
    """Name and description are those of the spec, unless it was adopted, and the authentication parameters
    are today's. Of one that is only observed the differences are told. May raise RemoteError.
    """
    if pass_.observes:
        drift.report(pass_, SYNCED, differing_params(pass_, remote))
        return DONE
    desired = ComparableConnection.desired(pass_)
    drifted = _was_changed_there(pass_, remote)

    def named(found: RemoteConnection) -> list[PatchOperation]:
        return [] if pass_.adopts else desired.changes_from(ComparableConnection.observed(found))

    if pass_.credentials_are_current and not drifted:
        _note_changes(pass_, remote.id, await patch(pass_, remote, named), drifted=pass_.was_ready)
        _note_shown(pass_, remote)
        return DONE
    outcome, operations = await _send(pass_, remote, named)
    _note_changes(pass_, remote.id, operations, drifted=drifted and pass_.was_ready)
    return outcome


async def resend_credentials(pass_: ConnectionPass, connection_id: str) -> bool:
    """Send today's parameters once more, as they may have been changed where nobody sees it; whether Platform
    took them. May raise RemoteError.
    """
    remote = await pass_.platform.connection(connection_id)
    try:
        outcome, _ = await _send(pass_, remote, lambda _: [])
    except RemoteError as error:
        if error.error_class is ErrorClass.TERMINAL:
            return False
        raise
    return outcome.is_done


def _was_changed_there(pass_: ConnectionPass, remote: RemoteConnection) -> bool:
    """Secrets can't be read back. What Platform shows of the other parameters tells by its hash whether it is
    what it showed after they were sent (platform.md 16.3).
    """
    sent = pass_.status.token
    return sent is not None and sent.shown_hash not in (None, shown_hash(pass_, remote.auth_params))


async def _send(
    pass_: ConnectionPass, remote: RemoteConnection, further: Changes
) -> tuple[Outcome, Sequence[PatchOperation]]:
    """Send the parameters and what ``further`` finds, in one request; the outcome, and what was changed."""
    params = await auth_params(pass_, remote)
    problem = problem_with(pass_, auth_spec(pass_.offer, remote.auth_spec_name), params)
    if problem is not None:
        return problem, ()
    whole = PatchOperation("replace", "/auth/params", params)
    try:
        operations = await patch(pass_, remote, lambda found: [*further(found), whole])
    except RemoteError as error:
        if error.reason != "PatchNotSupported":
            raise
        return _not_patched(remote.id, error), await patch(pass_, remote, further)
    await note_sent(pass_, params)
    pass_.record(token=TokenStatus(secret_hash=pass_.credentials_hash))
    _note_shown(pass_, await pass_.platform.connection(remote.id))
    return DONE, operations


async def patch(
    pass_: ConnectionPass, remote: RemoteConnection, changes: Changes
) -> Sequence[PatchOperation]:
    """Patch what ``changes`` finds; when somebody else was faster, read and compare again (platform.md 4.6).
    What was patched.
    """
    for attempt in range(1, PATCH_ATTEMPTS + 1):
        operations = changes(remote)
        if not operations:
            break
        try:
            await pass_.platform.patch_connection(remote.id, remote.etag, operations)
        except RemoteError as error:
            if error.error_class is not ErrorClass.CONFLICT or attempt == PATCH_ATTEMPTS:
                raise
            remote = await pass_.platform.connection(remote.id)
        else:
            return operations
    return ()


async def note_sent(pass_: ConnectionPass, params: Params) -> None:
    """The base connection has been given ``params``."""
    pass_.credentials_sent = True
    token = params["accessToken"]
    if pass_.zoho is not None and isinstance(token, SecretStr):
        await pass_.zoho.note_pushed(token)


def _not_patched(connection_id: str, error: RemoteError) -> Outcome:
    return stalled(
        error.reason,
        f"Platform takes no other authentication parameters for base connection {connection_id}, which goes "
        f'on with those it has: "{error.message}". Put the former credentials back into the Secret. Or '
        "declare another ZohoSourceConnection with the new ones, its dataflows on that, and delete this one.",
    )


def _note_shown(pass_: ConnectionPass, remote: RemoteConnection) -> None:
    if pass_.status.token is not None:
        now = shown_hash(pass_, remote.auth_params)
        pass_.record(token=pass_.status.token.model_copy(update={"shown_hash": now}))


def _note_changes(
    pass_: ConnectionPass, connection_id: str, operations: Sequence[PatchOperation], *, drifted: bool
) -> None:
    if not operations:
        return
    changed = ", ".join(operation.path for operation in operations)
    if drifted:
        named = tuple(f"baseConnection{operation.path.replace('/', '.')}" for operation in operations)
        pass_.record(last_drift=LastDrift(time=pass_.utcnow, fields=named))
        pass_.tell("DriftRepaired", REPAIR, f"Restored {changed} of base connection {connection_id}.")
    else:
        pass_.tell("Updated", "Update", f"Updated base connection {connection_id}: {changed}.")
