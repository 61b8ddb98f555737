"""A sandbox as listings show it, for the tests of the inventory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from crmflow.aep.listings import Collection, Listed
from crmflow.aep.models import Run, Sandbox
from crmflow.api.crmdataflow import Frequency, Schedule
from crmflow.observability import tally
from crmflow.reconcile.dataflow.runs import RunRecord, last_run
from crmflow.reconcile.identity import Identity
from crmflow.reconcile.offer import FLOW_SPEC_ID
from crmflow.runtime.claims import Claim, Known
from crmflow.runtime.inventory import SandboxInventory
from crmflow.runtime.keys import Key
from crmflow.transport.errors import RemoteError
from tests.unit.runtime.fakes import START, JumpingClock

GRACE = 60.0
FLOWS, CONNECTIONS = Collection.FLOWS, Collection.CONNECTIONS
IDENTITY = Identity("test", "CRMDataflow", "crm", "contacts", "uid-1")
KEY = Key("CRMDataflow", "crm", "contacts")


class FakeListings:
    """Answers with what it holds; counts what it is asked for, and can be held up or made to fail."""

    def __init__(self) -> None:
        self.held: dict[Collection, dict[str, Listed]] = {collection: {} for collection in Collection}
        self.unlisted: set[str] = set()
        """Ids that exist and that listings by specification lack."""
        self.sandbox_list = [Sandbox("prod", "active", "production", "VA7", START - 1_000_000.0)]
        self.runs: list[Run] = []
        self.runs_error: RemoteError | None = None
        self.asked: list[tuple[str, Any]] = []
        self.errors: dict[Collection, RemoteError] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def list_by_spec(self, collection: Collection, spec_id: str) -> Sequence[Listed]:
        self._ask(collection.value, spec_id, "flows.list")
        await self.open.wait()
        if collection in self.errors:
            raise self.errors[collection]
        return [item for item in self.held[collection].values() if item.id not in self.unlisted]

    async def list_by_ids(self, collection: Collection, ids: tuple[str, ...]) -> Sequence[Listed]:
        self._ask("ids", ids, "flows.list")
        return [item for item in self.held[collection].values() if item.id in ids]

    async def runs_since(self, since: float) -> Sequence[Run]:
        self._ask("runs", since, "runs.list")
        if self.runs_error is not None:
            raise self.runs_error
        return [run for run in reversed(self.runs) if (run.started_at or 0.0) > since]

    async def runs_by_ids(self, ids: tuple[str, ...]) -> Sequence[Run]:
        self._ask("runs by ids", ids, "runs.list")
        return [run for run in self.runs if run.id in ids]

    async def sandboxes(self) -> Sequence[Sandbox]:
        self._ask("sandboxes", None, "sandboxes")
        return self.sandbox_list

    def _ask(self, what: str, about: Any, operation: str) -> None:
        self.asked.append((what, about))
        tally.count(operation)

    def hold(self, collection: Collection, item: Listed) -> Listed:
        """Have the sandbox hold ``item``."""
        self.held[collection][item.id] = item
        return item

    def change(self, collection: Collection, remote_id: str, **fields: Any) -> None:
        """Have an object change."""
        self.held[collection][remote_id] = replace(self.held[collection][remote_id], **fields)

    @property
    def listings(self) -> int:
        """How many complete listings were begun."""
        return sum(1 for what, _ in self.asked if what == FLOWS.value)


def listed(remote_id: str, slot: str = "flow", *, identity: Identity = IDENTITY, **fields: Any) -> Listed:
    """An object of ``identity`` as a listing shows it."""
    item = Listed(
        id=remote_id,
        etag="v1",
        name=identity.remote_name("Contacts", slot),
        description=identity.description(None),
        state="enabled",
        created_at=START - 10_000.0,
    )
    return replace(item, **fields)


def record(run: Run | None) -> RunRecord:
    """What a resource says that has told of ``run``."""
    last = last_run(run) if run else None
    hourly = Schedule(frequency=Frequency.HOUR, interval=1)
    fresh = RunRecord(hourly, True, None, datetime.fromtimestamp(START, UTC), last, None)
    return replace(fresh, said=fresh.judge(last, datetime.fromtimestamp(START, UTC)))


class Stage:
    """An inventory over a fake sandbox, and what the cluster knows of it."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.client = FakeListings()
        self.known = Known()
        self.inventory = SandboxInventory(
            "prod",
            self.client,
            self.clock,
            START,
            GRACE,
            lambda: self.known,
            self.claimant,
            lambda: FLOW_SPEC_ID,
        )

    def claimant(self, remote_id: str) -> Key | None:
        """The resource that records the object."""
        return next((claim.key for claim in self.known.claims if claim.id == remote_id), None)

    def claim(self, *ids: str, collection: Collection = FLOWS, run: Run | None = None) -> None:
        """The sandbox holds flows, and a resource of its own records each of them."""
        claims, owners = list(self.known.claims), dict(self.known.owners)
        for remote_id in ids:
            identity = replace(IDENTITY, name=remote_id)
            key = Key("CRMDataflow", "crm", remote_id)
            self.client.hold(collection, listed(remote_id, identity=identity, last_run=run))
            claims.append(Claim(key, collection, remote_id, record(run)))
            owners[identity.key("flow")] = key
        self.known = replace(self.known, claims=tuple(claims), owners=owners)

    def lose(self, *ids: str) -> None:
        """Somebody deletes flows."""
        for remote_id in ids:
            del self.client.held[FLOWS][remote_id]

    async def poll(self) -> tuple[dict[str, bool], list[str]]:
        """Name of each resource that is woken, and whether it is to compare everything; ids of objects that
        nobody knows.
        """
        self.clock.jump(300.0)
        findings, unknown = await self.inventory.poll()
        return {finding.key.name: finding.recheck for finding in findings}, [item.id for item in unknown]
