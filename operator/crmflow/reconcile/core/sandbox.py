"""A sandbox as a pass has reached it, and what is done alike with every kind of remote object in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from crmflow.aep.errors import found
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.outcome import StalledError
from crmflow.reconcile.external.remote_object import Remote, RemoteObject
from crmflow.reconcile.ports import Absence, Inventory, Platform

R = TypeVar("R", bound=Remote)


@dataclass(frozen=True)
class SandboxClient:
    """The client of one sandbox, and what listings show of it."""

    platform: Platform
    inventory: Inventory

    async def read(self, kind: RemoteObject[R], remote_id: str | None) -> R | None:
        """The object; None if there is no id, or a read of it is answered with 404. May raise RemoteError."""
        return None if remote_id is None else await found(self.platform.get(kind.collection, remote_id))

    async def delete(self, kind: RemoteObject[Any], remote_id: str) -> None:
        """Delete an object of ours; one that is gone already counts as deleted (platform.md 12). May raise
        RemoteError.
        """
        try:
            await self.platform.delete(kind.collection, remote_id)
        except RemoteError as error:
            if error.error_class is not ErrorClass.NOT_FOUND:
                raise
        self.inventory.deleted(remote_id)

    async def absence(self, kind: RemoteObject[Any], remote_id: str, what: str) -> Absence:
        """Why a read of the object was answered with 404, if it may be made anew. Raises PassEndedError if it
        may not, and RemoteError.
        """
        absence = await self.inventory.absence(kind.collection, remote_id)
        forbid_recreation(absence, what)
        return absence


def forbid_recreation(absence: Absence, what: str) -> None:
    """Raises PassEndedError if an object that can't be read must not be made anew."""
    match absence:
        case Absence.HIDDEN:
            raise StalledError(
                "HiddenByLabel",
                f"The {what} exists, but an access label hides it from the credential. Give the technical "
                "account's role that label, or take it off the object.",
            )
        case Absence.MASS_DELETION:
            raise StalledError(
                "MassDeletion",
                f"The {what} is gone, and with it more than max(5, 10 %) of this sandbox's dataflows at "
                "once. "
                "Nothing is made anew until the sandbox shows that it was reset, or a person sets the "
                "annotation crmflow.io/accept-loss, to any new value, on a connection of this sandbox.",
            )
