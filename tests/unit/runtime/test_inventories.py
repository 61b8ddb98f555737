"""The inventories of a process: what the cluster knows of each sandbox, and what comes of a poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.listings import Collection, Listed
from crmflow.aep.models import Run
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.conditions import Finding as Finding_
from crmflow.reconcile.connection.reconciler import RECONCILER as CONNECTION
from crmflow.reconcile.dataflow.reconciler import RECONCILER as DATAFLOW
from crmflow.reconcile.identity import Identity
from crmflow.reconcile.offer import Offers
from crmflow.reconcile.ports import Absence
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.claims import Finding
from crmflow.runtime.events import EventWriter
from crmflow.runtime.inventories import Installation, Inventories
from crmflow.runtime.inventory import Scope
from crmflow.runtime.keys import Key
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import connection_spec, dataflow_spec
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object, ready, settle
from tests.unit.runtime.listings import FLOWS, FakeListings, listed

POLL = 300.0
SCOPE: Scope = ("org", "prod", "credential")
OTHER: Scope = ("org", "prod", "another credential")
ZOHO = Key("ZohoSourceConnection", "crm", "zoho-eu")
CONTACTS = Key("CRMDataflow", "crm", "contacts")
RECONCILERS = {reconciler.kind.kind: reconciler for reconciler in (CONNECTION, DATAFLOW)}
LABELS = {"organization": "org", "sandbox": "prod", "credential": "credential"}


def identity(key: Key) -> Identity:
    return Identity("test", *key, uid="uid-1")


NO_RUN = Finding_("Unknown", "NoRunYet", "The flow has not run yet.")
FAILED = Finding_(
    "False",
    "Failed",
    "Run r1 ended as failed. Its errors stand in Platform under Sources, Dataflows.",
)


def flowing(runs: Finding_ = NO_RUN) -> dict[str, Any]:
    """The status of a dataflow that is Ready, and what it says of its runs."""
    status = ready("True")
    [is_ready] = status["conditions"]
    healthy = {"status": runs.status, "reason": runs.reason, "message": runs.message}
    status["conditions"].append({**is_ready, "type": "RunsHealthy", **healthy})
    return status


class Stage:
    """Inventories over one sandbox, a cache, and the calls that they make."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.metrics = Metrics()
        self.kubernetes = FakeKubernetes()
        self.client = FakeListings()
        self.woken: list[Finding] = []
        self.cache = ObjectCache(RECONCILERS)
        self.inventories = Inventories(
            Installation("test", 60.0, POLL),
            self.clock,
            self.cache,
            RECONCILERS,
            Offers(self.clock),
            EventWriter(self.kubernetes.port, self.clock, self.metrics, "test"),
            self.metrics,
            self.woken.append,
        )
        self._version = 0

    def put(
        self, key: Key, status: dict[str, Any] | None = None, *, paused: bool = False, **metadata: Any
    ) -> None:
        """The watch brings a resource."""
        self._version += 1
        spec = connection_spec() if key.kind == ZOHO.kind else dataflow_spec()
        spec["paused"] = paused
        obj = make_object(key.kind, key.name, version=self._version, spec=spec, status=status, **metadata)
        self.cache.put(obj)

    def hold(self, key: Key, remote_id: str, collection: Collection = FLOWS, **fields: Any) -> Listed:
        slot = "connection" if collection is Collection.CONNECTIONS else "flow"
        return self.client.hold(collection, listed(remote_id, slot, identity=identity(key), **fields))

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        """While the inventories poll."""
        task = asyncio.create_task(self.inventories.run())
        try:
            await settle()
            yield
            assert not task.done(), "polling goes on"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def poll(self) -> None:
        """Let the time of one poll pass."""
        self.clock.jump(POLL)
        await settle()

    def metric(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        return self.metrics.registry.get_sample_value(f"crmflow_{name}", labels or {})

    @property
    def events(self) -> list[tuple[str, str]]:
        """Reason and note of each event."""
        return [(body["reason"], body["note"]) for _, _, body in self.kubernetes.written_events]


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.put(ZOHO, {**ready("True"), "baseConnection": {"id": "b1"}})
    stage.put(CONTACTS, {**flowing(), "flow": {"id": "f1"}})
    stage.hold(ZOHO, "b1", Collection.CONNECTIONS)
    stage.hold(CONTACTS, "f1")
    stage.inventories.use(SCOPE, ZOHO, stage.client)
    return stage


async def test_a_sandbox_is_polled_at_its_cadence(stage: Stage) -> None:
    async with stage.polling():
        assert stage.client.asked == []
        stage.clock.jump(POLL - 1)
        await settle()
        assert stage.client.asked == []
        for number in range(1, 4):
            await stage.poll()
            assert stage.client.listings == number
        assert stage.woken == []


async def test_a_sandbox_of_which_everything_is_paused_is_not_read(stage: Stage) -> None:
    async with stage.polling():
        stage.put(ZOHO, ready("True"), paused=True)
        await stage.poll()
        assert stage.client.listings == 1, "a dataflow is not paused"
        stage.put(CONTACTS, ready("True"), paused=True)
        await stage.poll()
        assert stage.client.listings == 1
        stage.put(CONTACTS, ready("True"), paused=True, deletionTimestamp="2026-01-01T00:00:00Z")
        await stage.poll()
        assert stage.client.listings == 2
        stage.put(CONTACTS, ready("True"))
        await stage.poll()
        assert stage.client.listings == 3


async def test_the_cost_of_a_poll_is_a_metric(stage: Stage) -> None:
    async with stage.polling():
        await stage.poll()
        assert stage.metric("inventory_poll_calls", LABELS) == 5
        assert stage.metric("inventory_poll_pages", LABELS) == 5
        assert stage.metric("inventory_poll_wakes", LABELS) == 0
        assert stage.metric("orphans", LABELS) == 0
        stage.client.change(FLOWS, "f1", etag="v2")
        stage.client.held[Collection.CONNECTIONS].clear()
        await stage.poll()
        assert stage.metric("inventory_poll_calls", LABELS) == 6, "what is missing is asked for by id"
        assert stage.metric("inventory_poll_wakes", LABELS) == 2
        assert stage.woken == [Finding(CONTACTS, True), Finding(ZOHO, True)]


async def test_connections_of_one_scope_share_their_inventory(stage: Stage) -> None:
    second = Key(ZOHO.kind, "crm", "zoho-us")
    stage.put(second)
    first = stage.inventories.use(SCOPE, ZOHO, stage.client)
    assert stage.inventories.use(SCOPE, second, stage.client) is first
    assert stage.inventories.use(OTHER, second, stage.client) is not first


async def test_a_poll_that_fails_is_counted_and_the_next_one_comes(stage: Stage) -> None:
    async with stage.polling():
        stage.client.errors[FLOWS] = remote_error()
        await stage.poll()
        await stage.poll()
        assert stage.metric("inventory_poll_failures_total") == 2
        assert stage.metric("inventory_poll_calls", LABELS) is None
        stage.client.errors.clear()
        await stage.poll()
        assert stage.metric("inventory_poll_failures_total") == 2
        assert stage.metric("inventory_poll_calls", LABELS) == 5


async def test_an_exception_in_one_poll_ends_neither_the_others_nor_the_next(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    broken = FakeListings()
    broken.held = {}
    second = Key(ZOHO.kind, "crm", "a-broken")
    stage.put(second)
    stage.inventories.use(OTHER, second, broken)
    async with stage.polling():
        await stage.poll()
        await stage.poll()
        assert stage.client.listings == 2
        assert "polling sandbox prod failed" in caplog.text


# Scopes


async def test_a_scope_that_no_connection_uses_any_more_is_not_polled(stage: Stage) -> None:
    async with stage.polling():
        await stage.poll()
        stage.cache.remove(ZOHO)
        await stage.poll()
        assert stage.client.listings == 1


async def test_a_connection_that_changes_its_credential_changes_its_scope(stage: Stage) -> None:
    other = FakeListings()
    stage.inventories.use(OTHER, ZOHO, other)
    async with stage.polling():
        await stage.poll()
        assert (stage.client.listings, other.listings) == (0, 1)


async def test_versions_that_are_seen_go_to_the_scopes_inventory(stage: Stage) -> None:
    stage.inventories.saw(OTHER, "f1", "v9")  # nobody uses it: no error
    stage.inventories.saw(SCOPE, "f1", "v1")
    async with stage.polling():
        await stage.poll()
        assert stage.woken == []
        stage.inventories.saw(OTHER, "f1", "v2")
        stage.client.change(FLOWS, "f1", etag="v2")
        await stage.poll()
        assert stage.woken == [Finding(CONTACTS, True)]


# What the cluster knows


async def test_claims_are_what_status_records(stage: Stage) -> None:
    inventory = stage.inventories.use(SCOPE, ZOHO, stage.client)
    stage.put(
        CONTACTS,
        {**ready("True"), "flow": {"id": "f2"}, "sourceConnectionId": "s2", "targetConnectionId": "t2"},
    )
    holders = {name: inventory.holder_of(name) for name in ("b1", "f1", "f2", "s2", "t2")}
    assert holders == {"b1": str(ZOHO), "f1": None, **dict.fromkeys(("f2", "s2", "t2"), str(CONTACTS))}


@pytest.mark.parametrize(
    ("state", "woken"), [("failed", []), ("success", [Finding(CONTACTS, False)])], ids=["known", "new"]
)
async def test_the_last_run_in_status_is_no_news(stage: Stage, state: str, woken: list[Finding]) -> None:
    stage.put(CONTACTS, {**flowing(FAILED), "flow": {"id": "f1"}, "lastRun": {"id": "r1", "state": "failed"}})
    stage.client.change(FLOWS, "f1", last_run=Run("r1", "f1", state, None, None))
    async with stage.polling():
        await stage.poll()
        assert stage.woken == woken


async def test_a_dataflow_of_another_connection_belongs_to_another_scope(stage: Stage) -> None:
    spec = dataflow_spec(connectionRef={"name": "zoho-us"})
    status = {**ready("True"), "flow": {"id": "f7"}}
    stage.cache.put(make_object(name="leads", version=99, spec=spec, status=status))
    stage.client.hold(FLOWS, listed("f7", last_run=Run("r1", "f7", "success", None, None)))
    async with stage.polling():
        await stage.poll()
        assert Key("CRMDataflow", "crm", "leads") not in {finding.key for finding in stage.woken}


@pytest.mark.parametrize(
    ("modified_at", "absence"),
    [(1.0, Absence.RESET), (-1.0, Absence.GONE)],
    ids=["changed since it was Ready", "changed before"],
)
async def test_when_all_was_there_is_when_a_resource_last_became_ready(
    stage: Stage, modified_at: float, absence: Absence
) -> None:
    became_ready = 1_767_225_600.0  # 2026-01-01, as the fake statuses say
    inventory = stage.inventories.use(SCOPE, ZOHO, stage.client)
    stage.client.sandbox_list = [
        replace(stage.client.sandbox_list[0], modified_at=became_ready + modified_at)
    ]
    for collection in (FLOWS, Collection.CONNECTIONS):
        stage.client.held[collection].clear()
    assert await inventory.absence(FLOWS, "f1") is absence


async def test_the_annotation_of_a_connection_accepts_a_loss(stage: Stage) -> None:
    inventory = stage.inventories.use(SCOPE, ZOHO, stage.client)
    for number in range(9):
        key = Key(CONTACTS.kind, "crm", f"flow-{number}")
        stage.put(key, {**ready("True"), "flow": {"id": f"x{number}"}})
    assert await inventory.absence(FLOWS, "x1") is Absence.MASS_VANISH
    stage.put(
        ZOHO,
        {**ready("True"), "baseConnection": {"id": "b1"}},
        annotations={"crmflow.io/accept-loss": "2026-01-31"},
    )
    assert await inventory.absence(FLOWS, "x1") is Absence.GONE


# Orphans


async def test_an_orphan_is_told_once_on_a_connection_of_its_sandbox(stage: Stage) -> None:
    lost = Key(CONTACTS.kind, "crm", "lost")
    stage.hold(lost, "f9")
    async with stage.polling():
        await stage.poll()
        await stage.poll()
        assert stage.metric("orphans", LABELS) == 1
        [(reason, note)] = stage.events
        assert reason == "OrphanFound"
        assert "f9 in sandbox prod" in note
        assert stage.kubernetes.written_events[0][2]["regarding"]["name"] == "zoho-eu"
        stage.hold(lost, "f10")
        await stage.poll()
        assert [note.split()[0] for _, note in stage.events] == ["f9", "f10"]
        assert stage.metric("orphans", LABELS) == 2
        assert stage.woken == [], "only a person collects them"


async def test_an_orphan_that_is_gone_and_comes_back_is_told_again(stage: Stage) -> None:
    item = stage.hold(Key(CONTACTS.kind, "crm", "lost"), "f9")
    async with stage.polling():
        await stage.poll()
        del stage.client.held[FLOWS]["f9"]
        await stage.poll()
        assert stage.metric("orphans", LABELS) == 0
        stage.client.hold(FLOWS, item)
        await stage.poll()
        assert len(stage.events) == 2


@pytest.mark.parametrize("scope", [None, OTHER], ids=["never reached", "reached with another credential"])
async def test_what_a_resource_of_another_scope_made_is_no_orphan(stage: Stage, scope: Scope | None) -> None:
    """A paused connection reaches nothing, and two credentials may see one sandbox."""
    paused = Key(ZOHO.kind, "crm", "zoho-us")
    stage.put(paused, {**ready("True"), "baseConnection": {"id": "b2"}})
    stage.hold(paused, "b2", Collection.CONNECTIONS)
    if scope:
        stage.inventories.use(scope, paused, stage.client)
    async with stage.polling():
        await stage.poll()
        assert stage.events == []
        assert stage.metric("orphans", LABELS) == 0
        assert stage.woken == []


async def test_an_object_whose_resource_was_deleted_here_becomes_an_orphan(stage: Stage) -> None:
    async with stage.polling():
        await stage.poll()
        assert stage.events == []
        stage.cache.remove(CONTACTS)
        await stage.poll()
        assert [note.split()[0] for _, note in stage.events] == ["f1"]


async def test_the_metrics_of_a_scope_go_with_its_last_connection(stage: Stage) -> None:
    stage.inventories.use(OTHER, ZOHO, stage.client)
    async with stage.polling():
        await stage.poll()
        assert stage.metric("inventory_poll_calls", {**LABELS, "credential": OTHER[2]}) is not None
        stage.inventories.use(SCOPE, ZOHO, stage.client)  # the connection has another credential now
        await stage.poll()
    assert stage.metric("inventory_poll_calls", LABELS) is not None
    for name in ("inventory_poll_calls", "inventory_poll_pages", "inventory_poll_wakes", "orphans"):
        assert stage.metric(name, {**LABELS, "credential": OTHER[2]}) is None
