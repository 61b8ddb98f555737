"""Taking over an object that was there before the resource, by the id that the spec names.

Adopted objects keep their name and description, so nothing remote says whose they are: within the cluster an
index of what specs and statuses name decides, and an object that bears a lookup key is left to its maker.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.reconcile.core import creation, deletion
from crmflow.reconcile.core.engine import AnyPass
from crmflow.reconcile.core.outcome import PassEndedError, StalledError
from crmflow.reconcile.core.ownership import Verdict, judge, key_in, owner_in
from crmflow.reconcile.core.sandbox import SandboxClient, forbid_recreation
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.external.remote_object import Remote, RemoteObject
from crmflow.reconcile.ports import Absence

T = TypeVar("T", bound=Remote)


@dataclass(frozen=True)
class Adoption(Generic[T]):
    """What a kind adopts, and the field of the spec that names it."""

    kind: RemoteObject[T]
    field: str


def check_claim(pass_: AnyPass, adoption: Adoption[Any], wanted: str) -> None:
    """The resource may have the object that its spec names, as far as the cluster knows. Raises
    PassEndedError.
    """
    recorded = pass_.recorded_id
    if recorded not in (None, wanted):
        raise StalledError(
            "AdoptionConflict",
            f"{adoption.field} names {wanted}, but this resource has the {adoption.kind.noun} {recorded} "
            "already. Delete the resource, and create one that names the other from the start.",
        )
    owner = pass_.services.lister.owner_of(wanted)
    if owner not in (None, str(pass_.identity)):
        raise _taken(adoption, wanted, str(owner))


async def find_adopted(pass_: AnyPass, sandbox: SandboxClient, adoption: Adoption[T], wanted: str) -> T:
    """The object that the spec names. Raises RemoteError and PassEndedError."""
    check_claim(pass_, adoption, wanted)
    recorded = pass_.recorded_id
    remote = await sandbox.read(adoption.kind, wanted)
    if remote is None:
        absence = await sandbox.inventory.absence(adoption.kind.collection, wanted)
        if absence is Absence.HIDDEN:
            forbid_recreation(absence, f"{adoption.kind.noun} {wanted}")
        raise _missing(adoption, wanted) if recorded is None else vanished(adoption, adoption.kind, wanted)
    if recorded is None and _is_anothers(pass_, adoption, remote):
        owner = owner_in(remote.description)
        raise _taken(adoption, wanted, str(owner or "another crmflow installation"))
    return remote


async def discard_begun(
    pass_: AnyPass, sandbox: SandboxClient, kinds: Sequence[RemoteObject[Any]], kept: Set[str]
) -> None:
    """What the resource had begun to make goes, since it stands for what exists instead. Raises RemoteError,
    and PassEndedError while an answer that was lost may still come to light.
    """
    if pass_.observes:
        return
    for kind in kinds:
        for remote_id in await deletion.remote_ids(pass_, sandbox, kind) - kept:
            if not sandbox.inventory.is_built_on(remote_id):
                await sandbox.delete(kind, remote_id)
        creation.forget(pass_, kind.slot)


def vanished(adoption: Adoption[Any], kind: RemoteObject[Any], remote_id: str) -> PassEndedError:
    """What had been adopted is gone, or part of it."""
    return StalledError(
        "AdoptedObjectMissing",
        f"The {kind.noun} {remote_id}, which this resource had adopted, was deleted from outside. What "
        f"was adopted is not made anew. {_instead(adoption)}",
    )


def not_adoptable(adoption: Adoption[Any], remote_id: str, why: str) -> PassEndedError:
    """The object exists, and is not what the kind stands for."""
    return StalledError(
        "NotAdoptable",
        f"The {adoption.kind.noun} {remote_id} can't be adopted: {why} {_instead(adoption)}",
    )


def _taken(adoption: Adoption[Any], remote_id: str, owner: str) -> PassEndedError:
    return StalledError(
        "AdoptionConflict",
        f"The {adoption.kind.noun} {remote_id} belongs to {owner}. It can be adopted once that has been "
        "deleted with deletionPolicy Orphan.",
    )


def _missing(adoption: Adoption[Any], remote_id: str) -> PassEndedError:
    return StalledError(
        "AdoptedObjectMissing",
        f"The {adoption.kind.noun} {remote_id} does not exist in this sandbox, or the credential may not see "
        f"it. IDs differ between sandboxes. {_instead(adoption)}",
    )


def _instead(adoption: Adoption[Any]) -> str:
    return (
        f"Delete this resource, and create one with another {adoption.field}, or without it to have the "
        f"{adoption.kind.noun} made."
    )


def _is_anothers(pass_: AnyPass, adoption: Adoption[Any], remote: Remote) -> bool:
    """True if the object bears a lookup key, and it is not that of this very resource."""
    key = key_in(remote.name)
    if key is None:
        return False
    ours = key == pass_.identity.key(adoption.kind.slot)
    is_own = ours and judge(pass_.identity, remote.description) is not Verdict.FOREIGN
    return not (is_own or _was_let_go_in_use(pass_, adoption, remote))


def _was_let_go_in_use(pass_: AnyPass, adoption: Adoption[Any], remote: Remote) -> bool:
    """True for a base connection that kept its key for its dataflows, and whose resource of this namespace is
    gone.
    """
    owner, own = owner_in(remote.description), pass_.identity
    return (
        adoption.kind is BASE_CONNECTION
        and owner is not None
        and (owner.instance, owner.namespace) == (own.instance, own.namespace)
        and pass_.services.lister.get(ZOHO_SOURCE_CONNECTION, owner.namespace, owner.name) is None
    )
