"""Whether what is missing was deleted one by one, went with a reset, or is so much at once that a person has
to say that it is meant.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from crmflow.aep.listings import Collection
from crmflow.aep.models import Sandbox
from crmflow.reconcile.brake import is_mass_vanish
from crmflow.reconcile.ports import Absence
from crmflow.runtime.claims import Claim, Known
from crmflow.runtime.snapshot import Snapshot

Sandboxes = Callable[[], Awaitable[Sequence[Sandbox]]]


class Losses:
    """What a sandbox has lost, and what a person has said of it."""

    def __init__(self, sandbox: str, sandboxes: Sandboxes, leader_since: float) -> None:
        self._sandbox = sandbox
        self._sandboxes = sandboxes
        self._leader_since = leader_since
        self._used_acceptances: set[str] = set()
        self._mass_vanish = False
        self._lost_in_reset: set[str] = set()

    def nothing_is_missing(self, known: Known) -> None:
        """A loss is over: a later one wants a word of its own."""
        self._mass_vanish = False
        self._used_acceptances = set(known.accepts_loss)

    def went_in_reset(self, remote_id: str) -> bool:
        """True if it was there before a reset that has been seen."""
        return remote_id in self._lost_in_reset

    async def judge(self, known: Known, missing: Sequence[Claim], snapshot: Snapshot) -> Absence:
        """Why the ``missing`` are gone. Raises RemoteError."""
        if await self._was_reset(known, snapshot):
            self._lost_in_reset = {claim.id for claim in known.claims}
            return Absence.RESET
        self._mass_vanish = self._mass_vanish or is_mass_vanish(_flows(missing), _flows(known.claims))
        if self._mass_vanish and not known.accepts_loss - self._used_acceptances:
            return Absence.MASS_VANISH
        return Absence.GONE

    async def _was_reset(self, known: Known, snapshot: Snapshot) -> bool:
        """Nothing of ours is left, and the sandbox says that it is being reset, or was changed since all was
        there.
        """
        if any(claim.id in snapshot.items[claim.collection] for claim in known.claims):
            return False
        sandbox = next((s for s in await self._sandboxes() if s.name == self._sandbox), None)
        if sandbox is None:
            return False
        since = self._leader_since if known.all_there_at is None else known.all_there_at
        return sandbox.state == "resetting" or (sandbox.modified_at or 0.0) > since


def _flows(claims: Sequence[Claim]) -> int:
    return sum(1 for claim in claims if claim.collection is Collection.FLOWS)
