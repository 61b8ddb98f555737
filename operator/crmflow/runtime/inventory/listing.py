"""The latest complete listing of a sandbox: four collections, page by page, shared by all who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from crmflow.aep.collection import AnyCollection, OfSpec
from crmflow.aep.flow_service import INVENTORIED
from crmflow.aep.models import Listed
from crmflow.api.base import Transport
from crmflow.clock import Clock
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.outcome import is_refusal
from crmflow.runtime.inventory.own_writes import OwnWrites
from crmflow.runtime.inventory.run_ledger import ListingClient
from crmflow.runtime.inventory.snapshot import NO_LISTING, Snapshot
from crmflow.single_flight import SingleFlight

Selections = Mapping[AnyCollection, Sequence[OfSpec]]
"""What is listed of each collection: what was made from one of these specifications."""

JUST_NOW_SECONDS = 5.0
"""So many creates may share a listing, as long as none of them is about a lost answer."""


class Listing:
    """Lists a sandbox when somebody needs a newer snapshot than there is. A page that fails discards the
    whole listing; the one before is kept.
    """

    def __init__(
        self,
        client: ListingClient,
        clock: Clock,
        own_writes: OwnWrites,
        transports: Callable[[], frozenset[Transport]],
        selections: Callable[[frozenset[Transport]], Selections],
    ) -> None:
        """``transports`` gives the ways in use, ``selections`` what is listed for them."""
        self._client = client
        self._clock = clock
        self._own_writes = own_writes
        self._transports = transports
        self._selections = selections
        self._included: set[Transport] = set()
        self._flight: SingleFlight[None] = SingleFlight()
        self._refusal: tuple[float, RemoteError] | None = None
        self.latest = NO_LISTING

    def include(self, transport: Transport) -> None:
        """The objects of that way are to be shown by the next answer, whoever uses it."""
        self._included.add(transport)

    @property
    def is_complete(self) -> bool:
        """Whether the latest listing shows what is to be shown."""
        return self.latest.shows(self._included)

    async def since(self, begun_after: float) -> Snapshot:
        """A complete listing that began no earlier than ``begun_after``. Raises RemoteError."""
        while self.latest.begun_at < begun_after or not self.is_complete:
            await self._flight.run(self, self._list)
        return self.latest

    async def ensure(self) -> None:
        """There is a listing, and Platform has not refused another one since. Raises RemoteError."""
        await self.confirm()
        await self.since(0.0)

    async def confirm(self) -> None:
        """Platform does not refuse listings, as far as is known; a refusal is tried again, once for all who
        ask at the same time. Raises RemoteError.
        """
        if self._refusal is not None:
            refused_at, error = self._refusal
            if self._clock.now() - refused_at < JUST_NOW_SECONDS:
                raise error
            await self.since(self._clock.now())

    def discard(self) -> None:
        """The latest listing was found to lack what exists: it may answer nothing."""
        self.latest = NO_LISTING

    async def _list(self) -> None:
        begun_at = self._clock.now()
        transports = self._transports() | self._included
        wanted = [
            (collection, selection)
            for collection, selections in self._selections(transports).items()
            for selection in selections
        ]
        try:
            listings = await asyncio.gather(*(self._client.list(*one) for one in wanted))
        except RemoteError as error:
            if is_refusal(error):
                self._refusal = (self._clock.now(), error)
            raise
        self._refusal = None
        items: dict[AnyCollection, dict[str, Listed]] = {collection: {} for collection in INVENTORIED}
        for (collection, _), listing in zip(wanted, listings, strict=True):
            items[collection] |= {item.id: item for item in listing}
        self._included -= transports  # who still needs it says so again, and members count by themselves
        self.latest = Snapshot(begun_at, items, transports)
        self._own_writes.settle(self.latest)
