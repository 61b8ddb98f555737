"""Taking over an object that was there before the resource, by the id that the spec names.

Adopted objects keep their name and description, so nothing remote says whose they are: within the cluster an
index of what specs and statuses name decides, and an object that bears a lookup key is left to its maker.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from crmflow.aep.listings import Collection
from crmflow.reconcile import creation
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.outcome import Outcome, stalled
from crmflow.reconcile.ownership import Verdict, judge, key_in, owner_in
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.remote import delete_object, kept_by, read_object

AnyPass = Pass[Any, Any]


@dataclass(frozen=True)
class Adoption:
    """What a kind adopts, and how messages call it."""

    slot: str
    collection: Collection
    what: str
    field: str


def refused(pass_: AnyPass, adoption: Adoption) -> Outcome | None:
    """Why this resource can't have the object that its spec names, as far as the cluster knows."""
    wanted, recorded = pass_.spec.adopts, pass_.recorded_id
    if recorded not in (None, wanted):
        return stalled(
            "AdoptionConflict",
            f"{adoption.field} names {wanted}, but this resource has the {adoption.what} {recorded} already. "
            "Delete the resource, and create one that names the other from the start.",
        )
    owner = pass_.services.peers.owner_of(wanted)
    if owner not in (None, str(pass_.identity)):
        return _taken(adoption, wanted, str(owner))
    return None


async def find_adopted(pass_: AnyPass, adoption: Adoption) -> Any | Outcome:
    """The object that the spec names, or why this resource can't have it. May raise RemoteError."""
    outcome = refused(pass_, adoption)
    if outcome is not None:
        return outcome
    wanted, recorded = pass_.spec.adopts, pass_.recorded_id
    remote = await read_object(pass_, adoption.collection, wanted)
    if remote is None:
        absence = await pass_.inventory.absence(adoption.collection, wanted)
        hidden = kept_by(absence, f"{adoption.what} {wanted}") if absence is Absence.HIDDEN else None
        if hidden is not None:
            return hidden
        return _missing(adoption, wanted) if recorded is None else vanished(adoption, adoption.slot, wanted)
    if recorded is None and _is_anothers(pass_, adoption, remote):
        return _taken(adoption, wanted, str(owner_in(remote.description) or "another crmflow installation"))
    return remote


async def discard_begun(
    pass_: AnyPass, collections: Mapping[str, Collection], recorded: Mapping[str, str], kept: Set[str]
) -> Outcome | None:
    """What the resource had begun to make, by slot, goes, since it stands for what exists instead; why not
    yet, while an answer that was lost may still come to light. Raises RemoteError.
    """
    if pass_.observes:
        return None
    for slot, collection in collections.items():
        try:
            lost = await creation.find_unrecorded(pass_, slot, collection)
        except creation.NotCreatedError as not_found:
            return not_found.outcome
        begun = {*lost, *([recorded[slot]] if slot in recorded else [])}
        for remote_id in begun - kept:
            if not pass_.inventory.is_built_on(remote_id):
                await delete_object(pass_, collection, remote_id)
        creation.forget(pass_, slot)
    return None


def vanished(adoption: Adoption, slot: str, remote_id: str) -> Outcome:
    """What had been adopted is gone, or part of it."""
    what = adoption.what if slot == adoption.slot else f"{slot} connection"
    return stalled(
        "AdoptedObjectMissing",
        f"The {what} {remote_id}, which this resource had adopted, was deleted from outside. What was "
        f"adopted is not made anew. {_instead(adoption)}",
    )


def not_adoptable(adoption: Adoption, remote_id: str, why: str) -> Outcome:
    """The object exists, and is not what the kind stands for."""
    return stalled(
        "NotAdoptable",
        f"The {adoption.what} {remote_id} can't be adopted: {why} {_instead(adoption)}",
    )


def _taken(adoption: Adoption, remote_id: str, owner: str) -> Outcome:
    return stalled(
        "AdoptionConflict",
        f"The {adoption.what} {remote_id} belongs to {owner}. It can be adopted once that has been deleted "
        "with deletionPolicy Orphan.",
    )


def _missing(adoption: Adoption, remote_id: str) -> Outcome:
    return stalled(
        "AdoptedObjectMissing",
        f"The {adoption.what} {remote_id} does not exist in this sandbox, or the credential may not see it. "
        f"IDs differ between sandboxes. {_instead(adoption)}",
    )


def _instead(adoption: Adoption) -> str:
    return (
        f"Delete this resource, and create one with another {adoption.field}, or without it to have the "
        f"{adoption.what} made."
    )


def _is_anothers(pass_: AnyPass, adoption: Adoption, remote: Any) -> bool:
    """True if the object bears a lookup key, and it is not that of this very resource."""
    key = key_in(remote.name)
    if key is None:
        return False
    ours = key == pass_.identity.key(adoption.slot)
    return not ours or judge(pass_.identity, remote.description) is Verdict.FOREIGN
