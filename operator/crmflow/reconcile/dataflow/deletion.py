"""The steps that end a CRMDataflow: flow first, then source and target connection (platform.md 12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from crmflow.aep.models import PatchOperation
from crmflow.api.base import DeletionPolicy
from crmflow.reconcile import creation, reach
from crmflow.reconcile.dataflow.state import SLOTS, DataflowPass
from crmflow.reconcile.identity import Slot, plain_name
from crmflow.reconcile.outcome import DONE, Outcome, stalled, waiting
from crmflow.transport.errors import ErrorClass, RemoteError


async def reach_platform(pass_: DataflowPass) -> Outcome:
    """There is a way to Platform, unless nothing has to be done there."""
    if not _remote_ids(pass_) and not creation.intents(pass_):
        return DONE
    name = pass_.spec.connection_ref.name
    view = pass_.services.peers.connection(pass_.identity.namespace, name)
    if view is not None:
        outcome = await reach.reach_platform_for_deletion(pass_, name, view.spec)
    else:
        pass_.platform_client = pass_.services.access.held_platform(
            reach.holder(pass_.identity.namespace, name)
        )
        outcome = (
            DONE
            if pass_.platform_client
            else stalled(
                "ConnectionMissing",
                f'The remote objects can\'t be deleted without ZohoSourceConnection "{name}", which is '
                "gone. Create it again, or "
                "set spec.deletionPolicy to Orphan to leave them where they are.",
            )
        )
    return DONE if _orphans(pass_) else outcome


async def release_flow(pass_: DataflowPass) -> Outcome:
    """The flow is gone, or left without our key in its name."""
    return await _release(pass_, Slot.FLOW)


async def release_source_connection(pass_: DataflowPass) -> Outcome:
    """The source connection is gone, or left without our key in its name."""
    return await _release(pass_, Slot.SOURCE)


async def release_target_connection(pass_: DataflowPass) -> Outcome:
    """The target connection is gone, or left without our key in its name."""
    return await _release(pass_, Slot.TARGET)


async def _release(pass_: DataflowPass, slot: str) -> Outcome:
    recorded = _remote_ids(pass_).get(slot)
    if _orphans(pass_):
        if recorded is not None and pass_.platform_client is not None:
            await _orphan(pass_, slot, recorded)
        return DONE
    if recorded is None and slot not in creation.intents(pass_):
        return DONE
    try:
        lost = await creation.find_unrecorded(pass_, slot, SLOTS[slot])
    except creation.StillPendingError as pending:
        return pending.outcome
    for remote_id in {*lost, *([recorded] if recorded else [])}:
        try:
            await _deleter(pass_, slot)(remote_id)
        except RemoteError as error:
            if error.error_class is ErrorClass.IN_USE:
                return waiting(
                    "InUse", f"Waiting until Platform lets the {slot} go: {error.message}", transition=True
                )
            if error.error_class is not ErrorClass.NOT_FOUND:
                raise
    _forget(pass_, slot)
    return DONE


async def _orphan(pass_: DataflowPass, slot: str, remote_id: str) -> None:
    """Take our key out of the name. An object that can't be reached any more is left as it is."""
    get, patch = _reader(pass_, slot), _patcher(pass_, slot)
    try:
        remote = await get(remote_id)
        await patch(
            remote_id,
            remote.etag,
            [
                PatchOperation(
                    "replace",
                    "/name",
                    plain_name(pass_.spec.display_name or pass_.identity.default_display_name),
                ),
                PatchOperation("add", "/description", pass_.spec.description or ""),
            ],
        )
    except RemoteError as error:
        if error.error_class not in (ErrorClass.NOT_FOUND, ErrorClass.TERMINAL):
            raise
    pass_.tell("Orphaned", "Orphan", f"Left the {slot} {remote_id} in place, as spec.deletionPolicy asks.")


def _remote_ids(pass_: DataflowPass) -> dict[str, str]:
    ids = {
        Slot.FLOW: pass_.flow_id,
        Slot.SOURCE: pass_.status.source_connection_id,
        Slot.TARGET: pass_.status.target_connection_id,
    }
    return {slot: remote_id for slot, remote_id in ids.items() if remote_id is not None}


def _forget(pass_: DataflowPass, slot: str) -> None:
    creation.forget(pass_, slot)
    match slot:
        case Slot.FLOW:
            pass_.record(flow=None)
        case Slot.SOURCE:
            pass_.record(source_connection_id=None)
        case Slot.TARGET:
            pass_.record(target_connection_id=None)


def _deleter(pass_: DataflowPass, slot: str) -> Callable[[str], Awaitable[None]]:
    platform = pass_.platform
    return {
        Slot.FLOW: platform.delete_flow,
        Slot.SOURCE: platform.delete_source_connection,
        Slot.TARGET: platform.delete_target_connection,
    }[slot]


def _reader(pass_: DataflowPass, slot: str) -> Callable[[str], Awaitable[Any]]:
    platform = pass_.platform
    return {
        Slot.FLOW: platform.flow,
        Slot.SOURCE: platform.source_connection,
        Slot.TARGET: platform.target_connection,
    }[slot]


def _patcher(pass_: DataflowPass, slot: str) -> Callable[..., Awaitable[Any]]:
    platform = pass_.platform
    return {
        Slot.FLOW: platform.patch_flow,
        Slot.SOURCE: platform.patch_source_connection,
        Slot.TARGET: platform.patch_target_connection,
    }[slot]


def _orphans(pass_: DataflowPass) -> bool:
    return pass_.spec.deletion_policy is DeletionPolicy.ORPHAN
