"""What extraction needs from outside, as protocols: it knows no Kubernetes and no HTTP.

``runtime/`` provides the real ones, tests provide fakes. Coroutines may raise RemoteError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import SecretStr

from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.extraction.credits import Ledger
from crmflow.reconcile.extraction.observed import TransferJob
from crmflow.reconcile.extraction.pending import JobKey
from crmflow.reconcile.extraction.slots import Waiting
from crmflow.transfer.declaration import Declaration


@dataclass(frozen=True)
class TransferCredentials:
    """What a transfer signs in with. Neither can get another one of its kind."""

    access_token: SecretStr
    sas_uri: SecretStr


@dataclass(frozen=True)
class TransferOrder:
    """A Job that is to be made."""

    identity: Identity
    """The dataflow."""
    job: JobKey
    declaration: Declaration
    organization: str
    """The organization and environment of Zoho CRM whose slots and credits it takes, as
    :func:`~crmflow.reconcile.extraction.names.organization_label` writes it."""
    credits: int
    """What it is expected to cost."""
    credentials: TransferCredentials = field(repr=False)


class Transfers(Protocol):
    """The Jobs that copy windows. They run in the operator's own namespace, whoever they are for."""

    @property
    def obstacle(self) -> str | None:
        """Why there can be none in this installation, for people; None if there can."""
        ...

    async def jobs(self, uid: str) -> Mapping[JobKey, TransferJob]:
        """The Jobs of a dataflow, with what their pods have said at their end."""
        ...

    def may_start(self, organization: str, waiting: Waiting, credits: int = 0) -> bool:
        """Whether a slot of the organization is free, and nobody waits who is to be served before. Who is
        allowed holds the slot and the ``credits`` that it is expected to cost, and who is not counts as
        waiting, until it starts a Job or says that it wants none. Once a slot is free, the dataflow that is
        to have it is reconciled.
        """
        ...

    def waits_no_more(self, uid: str) -> None:
        """The dataflow wants no slot now: nothing is due, it is paused, credits are spent."""
        ...

    def reserved_credits(self, organization: str, besides: str = "") -> int:
        """What the Jobs that run are expected to cost, and those that may be started by now; without what is
        held by the dataflow ``besides``, by its uid, which asks for itself.
        """
        ...

    async def start(self, order: TransferOrder) -> None:
        """Make the Job and its Secret; one of that name is this one, whoever made it. To be called again
        after any failure.
        """
        ...

    async def supply(self, uid: str, credentials: TransferCredentials) -> None:
        """Give the Jobs of a dataflow that run what is good now. Costs no call where they have it."""
        ...

    async def delete(self, uid: str, job: JobKey) -> None:
        """Delete a Job and its Secret, in the background; one that is gone is no error."""
        ...

    async def delete_all(self, uid: str) -> bool:
        """Delete all Jobs and Secrets of a dataflow; True once none is left and no pod runs any more."""
        ...


class CreditLedgers(Protocol):
    """What this installation has spent of the credits of organizations; it outlives the process."""

    async def ledger(self, organization: str, allowance: int) -> Ledger:
        """What was spent in the last 24 hours. ``allowance`` may be, which is shown beside it."""
        ...

    async def spend(self, organization: str, credits: int) -> None: ...
