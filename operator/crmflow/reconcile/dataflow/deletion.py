"""The steps that end a CRMDataflow: flow first, then source and target connection (platform.md 12)."""

from __future__ import annotations

from crmflow.api.base import DeletionPolicy
from crmflow.reconcile import creation, reach
from crmflow.reconcile.dataflow.state import SLOTS, DataflowPass, record_id, recorded_ids
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.outcome import DONE, Outcome, explain, stalled, waiting
from crmflow.reconcile.remote import delete_object, orphan_object
from crmflow.transport.errors import ErrorClass, RemoteError


async def reach_platform(pass_: DataflowPass) -> Outcome:
    """There is a way to Platform, unless nothing has to be done there."""
    if pass_.observes or not (recorded_ids(pass_) or creation.intents(pass_)):
        return DONE
    name = pass_.spec.connection_ref.name
    view = pass_.services.peers.connection(pass_.identity.namespace, name)
    if view is not None:
        outcome = await reach.reach_platform_for_deletion(pass_, name, view.spec)
    else:
        outcome = (
            DONE
            if await reach.use_held_platform(pass_, name, None)
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
    collection = SLOTS[slot]
    recorded = recorded_ids(pass_).get(slot)
    if recorded is None and slot not in creation.intents(pass_):
        return DONE
    try:
        lost = await creation.find_unrecorded(pass_, slot, collection)
    except creation.NotCreatedError as not_found:
        return not_found.outcome
    for remote_id in {*lost, *([recorded] if recorded else [])}:
        if _orphans(pass_):
            await orphan_object(pass_, slot, collection, remote_id)
            continue
        try:
            await delete_object(pass_, collection, remote_id)
        except RemoteError as error:
            if error.error_class is not ErrorClass.IN_USE:
                raise
            text = f"Waiting until Platform lets the {slot} go: {explain(error)}"
            return waiting("InUse", text, transition=True)
    creation.forget(pass_, slot)
    record_id(pass_, slot, None)
    return DONE


def _orphans(pass_: DataflowPass) -> bool:
    return pass_.deletion_policy is DeletionPolicy.ORPHAN
