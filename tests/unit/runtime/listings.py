"""A sandbox as listings show it, for the tests of the inventory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from crmflow.aep.collection import AnyCollection, OfSpec, Selection, StartedAfter, WithIds
from crmflow.aep.flow_service import FLOWS, INVENTORIED, RUNS
from crmflow.aep.models import Listed, Run, Sandbox
from crmflow.aep.sandboxes import SANDBOXES
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import Frequency, Schedule
from crmflow.http.errors import RemoteError
from crmflow.observability import call_counter
from crmflow.reconcile.dataflow.runs import RunRecord, last_run
from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.sources.ways import Sources
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.inventory.ownership import OwnedObject, Ownership, Recorded
from crmflow.runtime.inventory.sandbox import SandboxInventory
from tests.unit.runtime.fakes import START, JumpingClock

GRACE = 60.0
IDENTITY = Identity("test", "CRMDataflow", "crm", "contacts", "uid-1")
KEY = Key("CRMDataflow", "crm", "contacts")


class FakeListings:
    """Answers with what it holds; counts what it is asked for, and can be held up or made to fail."""

    def __init__(self) -> None:
        self.held: dict[AnyCollection, dict[str, Listed]] = {collection: {} for collection in INVENTORIED}
        self.unlisted: set[str] = set()
        """Ids that exist and that listings by specification lack."""
        self.sandbox_list = [Sandbox("prod", "active", "production", "VA7", START - 1_000_000.0)]
        self.runs: list[Run] = []
        self.runs_error: RemoteError | None = None
        self.ids_error: RemoteError | None = None
        self.asked: list[tuple[str, Any]] = []
        self.errors: dict[AnyCollection, RemoteError] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def list(self, collection: AnyCollection, selection: Selection = None) -> Sequence[Any]:
        call_counter.count(f"{collection}.list")
        match selection:
            case StartedAfter(since):
                self.asked.append(("runs", since))
                if self.runs_error is not None:
                    raise self.runs_error
                return [run for run in reversed(self.runs) if (run.started_at or 0.0) > since]
            case WithIds(ids) if collection is RUNS:
                self.asked.append(("runs by ids", ids))
                return [run for run in self.runs if run.id in ids]
            case WithIds(ids):
                self.asked.append(("ids", ids))
                if self.ids_error is not None:
                    error, self.ids_error = self.ids_error, None
                    raise error
                return [item for item in self.held[collection].values() if item.id in ids]
            case OfSpec(spec_id):
                self.asked.append((collection.name, spec_id))
                await self.open.wait()
                if collection in self.errors:
                    raise self.errors[collection]
                return [item for item in self.held[collection].values() if item.id not in self.unlisted]
        assert collection is SANDBOXES
        self.asked.append(("sandboxes", None))
        return self.sandbox_list

    def hold(self, collection: AnyCollection, item: Listed) -> Listed:
        """Have the sandbox hold ``item``."""
        self.held[collection][item.id] = item
        return item

    def change(self, collection: AnyCollection, remote_id: str, **fields: Any) -> None:
        """Have an object change."""
        self.held[collection][remote_id] = replace(self.held[collection][remote_id], **fields)

    @property
    def listings(self) -> int:
        """How many complete listings were begun."""
        return sum(1 for what, _ in self.asked if what == FLOWS.name)


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


class Harness:
    """An inventory over a fake sandbox, and what the cluster knows of it."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.client = FakeListings()
        self.owned = Ownership()
        self.all_there_at: float | None = None
        self.accepted: frozenset[str] = frozenset()
        self.ways = frozenset({Transport.PLATFORM_SOURCE})
        members: Any = self
        sources = Sources.new(self.clock)
        self.woken: list[Key] = []
        self.inventory = SandboxInventory(
            "prod",
            self.client,
            self.clock,
            members,
            START,
            GRACE,
            partial(sources.listed, "org", "prod"),
            self.woken.append,
        )

    # As ``ScopeMembers`` answers

    def ownership(self) -> Ownership:
        return self.owned

    def transports(self) -> frozenset[Transport]:
        return self.ways

    def recorded(self) -> Recorded:
        return Recorded(self.owned.objects, self.all_there_at)

    def accepted_losses(self) -> frozenset[str]:
        return self.accepted

    def owner_of(self, remote_id: str) -> Key | None:
        return next((owned.owner for owned in self.owned.objects if owned.id == remote_id), None)

    # What happens

    def own(self, *ids: str, collection: AnyCollection = FLOWS, run: Run | None = None) -> None:
        """The sandbox holds flows, and a resource of its own records each of them."""
        objects, lookup_keys = list(self.owned.objects), dict(self.owned.lookup_keys)
        for remote_id in ids:
            identity = replace(IDENTITY, name=remote_id)
            key = Key("CRMDataflow", "crm", remote_id)
            self.client.hold(collection, listed(remote_id, identity=identity, last_run=run))
            objects.append(OwnedObject(key, collection, remote_id, record(run)))
            lookup_keys[identity.key("flow")] = key
        self.owned = replace(self.owned, objects=tuple(objects), lookup_keys=lookup_keys)

    def lose(self, *ids: str) -> None:
        """Somebody deletes flows."""
        for remote_id in ids:
            del self.client.held[FLOWS][remote_id]

    async def poll(self) -> tuple[dict[str, bool], list[str]]:
        """Name of each resource that is to be reconciled, and whether it is to compare everything; ids of
        objects that nobody owns.
        """
        self.clock.jump(300.0)
        changes = await self.inventory.poll()
        requests = {request.key.name: request.recheck for request in changes.requests}
        return requests, [item.id for item in changes.unowned]
