"""The polls of a process: what the cluster knows of each sandbox, and who is reconciled after a poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.collection import AnyCollection
from crmflow.aep.flow_service import CONNECTIONS, FLOWS
from crmflow.aep.models import Listed, Run
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.core.conditions import Finding
from crmflow.reconcile.dataflow.runs import unread_runs
from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.ports import Absence
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key, ReconcileRequest
from crmflow.runtime.inventory.polled_sandbox import JITTER, PolledSandbox, Scope
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import connection_spec, dataflow_spec
from tests.unit.runtime.fakes import FakeKubernetes, JumpingClock, make_object, ready, recording, settle
from tests.unit.runtime.listings import FakeListings, listed
from tests.unit.runtime.process import KINDS, POLL, Process

SCOPE = Scope("org", "prod", "credential")
OTHER = Scope("org", "prod", "another credential")
ZOHO = Key("ZohoSourceConnection", "crm", "zoho-eu")
CONTACTS = Key("CRMDataflow", "crm", "contacts")
LABELS = {"organization": "org", "sandbox": "prod", "credential": "credential"}


def identity(key: Key) -> Identity:
    return Identity("test", *key, uid="uid-1")


NO_RUN = Finding("Unknown", "NoRunYet", "The flow has not run yet.")
FAILED = Finding(
    "False",
    "Failed",
    "Run r1 ended as failed. Look at the run in Platform under Sources, Dataflows.",
)


def flowing(runs: Finding = NO_RUN) -> dict[str, Any]:
    """The status of a dataflow that is Ready, and what it says of its runs."""
    status = ready("True")
    [is_ready] = status["conditions"]
    healthy = {"status": runs.status, "reason": runs.reason, "message": runs.message}
    status["conditions"].append({**is_ready, "type": "RunsHealthy", **healthy})
    return status


class Harness:
    """A process that polls one sandbox, a cache, and the calls that it makes."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.kubernetes = FakeKubernetes()
        self.client = FakeListings()
        self.cache = ObjectCache(KINDS)
        self.process = Process(self.clock, self.kubernetes, self.cache)
        self.in_use: list[PolledSandbox] = []
        self.woken = self.process.requests
        self._version = 0

    def use(
        self,
        scope: Scope,
        client: FakeListings,
        *connections: Key,
        refused_tokens: Callable[[], int] = lambda: 0,
    ) -> PolledSandbox:
        """Connections use a sandbox."""
        sandbox = self.process.sandboxes.open(scope, client, lambda: connections, refused_tokens)
        self.in_use.append(sandbox)
        return sandbox

    def leave(self, scope: Scope) -> None:
        """No connection uses it any more."""
        self.in_use = [sandbox for sandbox in self.in_use if sandbox.scope != scope]

    def put(
        self, key: Key, status: dict[str, Any] | None = None, *, paused: bool = False, **metadata: Any
    ) -> None:
        """The watch brings a resource."""
        self._version += 1
        spec = connection_spec() if key.kind == ZOHO.kind else dataflow_spec()
        spec["paused"] = paused
        obj = make_object(key.kind, key.name, version=self._version, spec=spec, status=status, **metadata)
        self.cache.put(obj)

    def hold(self, key: Key, remote_id: str, collection: AnyCollection = FLOWS, **fields: Any) -> Listed:
        slot = "connection" if collection is CONNECTIONS else "flow"
        return self.client.hold(collection, listed(remote_id, slot, identity=identity(key), **fields))

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        """While sandboxes are polled."""
        task = asyncio.create_task(self.process.poller.run(lambda: self.in_use))
        try:
            async with recording(self.process.events):
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
        return self.process.metric(name, labels)

    @property
    def events(self) -> list[tuple[str, str]]:
        """Reason and note of each event."""
        return [(body["reason"], body["note"]) for _, _, body in self.kubernetes.written_events]


@pytest.fixture
def harness() -> Harness:
    harness = Harness()
    harness.put(ZOHO, {**ready("True"), "baseConnection": {"id": "b1"}})
    harness.put(CONTACTS, {**flowing(), "flow": {"id": "f1"}})
    harness.hold(ZOHO, "b1", CONNECTIONS)
    harness.hold(CONTACTS, "f1")
    harness.use(SCOPE, harness.client, ZOHO)
    return harness


async def test_a_sandbox_is_polled_at_its_cadence(harness: Harness) -> None:
    async with harness.polling():
        assert harness.client.asked == []
        harness.clock.jump(POLL * (1 - JITTER) - 1)
        await settle()
        assert harness.client.asked == []
        for number in range(1, 4):
            await harness.poll()
            assert harness.client.listings == number
        assert harness.woken == []


async def test_a_refused_token_that_only_a_visit_has_met_is_over_with_the_next_poll(harness: Harness) -> None:
    """The refusal may not stand in the status yet: then nothing there says who has to look again."""
    refusals = 0
    harness.leave(SCOPE)
    harness.use(SCOPE, harness.client, ZOHO, refused_tokens=lambda: refusals)
    async with harness.polling():
        await harness.poll()
        assert harness.woken == []
        refusals = 1
        await harness.poll()
        assert {request.key for request in harness.woken} == {ZOHO, CONTACTS}
        harness.woken.clear()
        await harness.poll()
        assert harness.woken == []


async def test_a_sandbox_of_which_everything_is_paused_is_not_read(harness: Harness) -> None:
    pinned = {**ready("True"), "transport": "PlatformSource"}
    async with harness.polling():
        harness.put(CONTACTS, pinned)
        harness.put(ZOHO, ready("True"), paused=True)
        await harness.poll()
        assert harness.client.listings == 1, "a dataflow is not paused"
        harness.put(CONTACTS, pinned, paused=True)
        await harness.poll()
        assert harness.client.listings == 1
        harness.put(CONTACTS, pinned, paused=True, deletionTimestamp="2026-01-01T00:00:00Z")
        await harness.poll()
        assert harness.client.listings == 2
        harness.put(CONTACTS, pinned)
        await harness.poll()
        assert harness.client.listings == 3


async def test_the_cost_of_a_poll_is_a_metric(harness: Harness) -> None:
    async with harness.polling():
        await harness.poll()
        assert harness.metric("inventory_poll_calls", LABELS) == 5
        assert harness.metric("inventory_poll_pages", LABELS) == 5
        assert harness.metric("inventory_poll_wakes", LABELS) == 0
        assert harness.metric("orphans", LABELS) == 0
        harness.client.change(FLOWS, "f1", etag="v2")
        harness.client.held[CONNECTIONS].clear()
        await harness.poll()
        assert harness.metric("inventory_poll_calls", LABELS) == 6, "what is missing is asked for by id"
        assert harness.metric("inventory_poll_wakes", LABELS) == 2
        assert harness.woken == [ReconcileRequest(CONTACTS, True), ReconcileRequest(ZOHO, True)]


async def test_a_poll_that_fails_is_counted_and_the_next_one_comes(harness: Harness) -> None:
    async with harness.polling():
        harness.client.errors[FLOWS] = remote_error()
        await harness.poll()
        await harness.poll()
        assert harness.metric("inventory_poll_failures_total") == 2
        assert harness.metric("inventory_poll_calls", LABELS) is None
        harness.client.errors.clear()
        await harness.poll()
        assert harness.metric("inventory_poll_failures_total") == 2
        assert harness.metric("inventory_poll_calls", LABELS) == 5


async def test_an_exception_in_one_poll_ends_neither_the_others_nor_the_next(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    broken = FakeListings()
    broken.held = {}
    second = Key(ZOHO.kind, "crm", "a-broken")
    harness.put(second)
    harness.use(OTHER, broken, second)
    async with harness.polling():
        await harness.poll()
        await harness.poll()
        assert harness.client.listings == 2
        assert "polling sandbox prod failed" in caplog.text


async def test_a_sandbox_that_does_not_answer_keeps_no_other_waiting(harness: Harness) -> None:
    silent = FakeListings()
    silent.open.clear()
    second = Key(ZOHO.kind, "crm", "a-silent")
    harness.put(second)
    harness.in_use.clear()
    harness.use(OTHER, silent, second)
    harness.use(SCOPE, harness.client, ZOHO)
    async with harness.polling():
        for number in range(1, 4):
            await harness.poll()
            assert harness.client.listings == number
        asked = len(silent.asked)
        await harness.poll()
        assert len(silent.asked) == asked, "it is not asked again before it has answered"
        silent.open.set()
        await harness.poll()
        await harness.poll()
        assert len(silent.asked) > asked


async def test_a_mistake_over_one_finding_ends_no_poll(
    harness: Harness, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(harness.process.orphans, "report", fail)
    async with harness.polling():
        await harness.poll()
        await harness.poll()
        assert harness.client.listings == 2
        assert "polling sandbox prod failed" in caplog.text


# Scopes


async def test_a_scope_that_no_connection_uses_any_more_is_not_polled(harness: Harness) -> None:
    async with harness.polling():
        await harness.poll()
        harness.cache.remove(ZOHO)
        await harness.poll()
        assert harness.client.listings == 1


async def test_versions_that_are_seen_go_to_the_scopes_inventory(harness: Harness) -> None:
    [sandbox] = harness.in_use
    other = harness.use(OTHER, FakeListings(), Key(ZOHO.kind, "crm", "zoho-us"))
    sandbox.inventory.saw("f1", "v1")
    async with harness.polling():
        await harness.poll()
        assert harness.woken == []
        other.inventory.saw("f1", "v2")
        harness.client.change(FLOWS, "f1", etag="v2")
        await harness.poll()
        assert harness.woken == [ReconcileRequest(CONTACTS, True)]


# What the cluster knows


async def test_an_owner_is_who_records_the_object_in_status(harness: Harness) -> None:
    inventory = harness.in_use[0].inventory
    harness.put(
        CONTACTS,
        {**ready("True"), "flow": {"id": "f2"}, "sourceConnectionId": "s2", "targetConnectionId": "t2"},
    )
    holders = {name: inventory.recorded_by(name) for name in ("b1", "f1", "f2", "s2", "t2")}
    assert holders == {"b1": str(ZOHO), "f1": None, **dict.fromkeys(("f2", "s2", "t2"), str(CONTACTS))}


@pytest.mark.parametrize(
    ("state", "woken"),
    [("failed", []), ("success", [ReconcileRequest(CONTACTS, False)])],
    ids=["known", "new"],
)
async def test_the_last_run_in_status_is_no_news(
    harness: Harness, state: str, woken: list[ReconcileRequest]
) -> None:
    harness.put(
        CONTACTS, {**flowing(FAILED), "flow": {"id": "f1"}, "lastRun": {"id": "r1", "state": "failed"}}
    )
    harness.client.change(FLOWS, "f1", last_run=Run("r1", "f1", state, None, None))
    async with harness.polling():
        await harness.poll()
        assert harness.woken == woken


async def test_a_dataflow_of_another_connection_belongs_to_another_scope(harness: Harness) -> None:
    spec = dataflow_spec(connectionRef={"name": "zoho-us"})
    status = {**ready("True"), "flow": {"id": "f7"}}
    harness.cache.put(make_object(name="leads", version=99, spec=spec, status=status))
    harness.client.hold(FLOWS, listed("f7", last_run=Run("r1", "f7", "success", None, None)))
    async with harness.polling():
        await harness.poll()
        assert Key("CRMDataflow", "crm", "leads") not in {request.key for request in harness.woken}


@pytest.mark.parametrize(
    ("modified_at", "absence"),
    [(1.0, Absence.RESET), (-1.0, Absence.GONE)],
    ids=["changed since it was Ready", "changed before"],
)
async def test_when_all_was_there_is_when_a_resource_last_became_ready(
    harness: Harness, modified_at: float, absence: Absence
) -> None:
    became_ready = 1_767_225_600.0  # 2026-01-01, as the fake statuses say
    inventory = harness.in_use[0].inventory
    harness.client.sandbox_list = [
        replace(harness.client.sandbox_list[0], modified_at=became_ready + modified_at)
    ]
    for collection in (FLOWS, CONNECTIONS):
        harness.client.held[collection].clear()
    assert await inventory.absence(FLOWS, "f1") is absence


async def test_the_annotation_of_a_connection_accepts_a_loss(harness: Harness) -> None:
    inventory = harness.in_use[0].inventory
    for number in range(9):
        key = Key(CONTACTS.kind, "crm", f"flow-{number}")
        harness.put(key, {**ready("True"), "flow": {"id": f"x{number}"}})
    assert await inventory.absence(FLOWS, "x1") is Absence.MASS_DELETION
    harness.put(
        ZOHO,
        {**ready("True"), "baseConnection": {"id": "b1"}},
        annotations={"crmflow.io/accept-loss": "2026-01-31"},
    )
    assert await inventory.absence(FLOWS, "x1") is Absence.GONE


# Orphans


async def test_an_orphan_is_told_once_on_a_connection_of_its_sandbox(harness: Harness) -> None:
    lost = Key(CONTACTS.kind, "crm", "lost")
    harness.hold(lost, "f9")
    async with harness.polling():
        await harness.poll()
        await harness.poll()
        assert harness.metric("orphans", LABELS) == 1
        [(reason, note)] = harness.events
        assert reason == "OrphanFound"
        assert "f9 in sandbox prod" in note
        assert harness.kubernetes.written_events[0][2]["regarding"]["name"] == "zoho-eu"
        harness.hold(lost, "f10")
        await harness.poll()
        assert [note.split()[0] for _, note in harness.events] == ["f9", "f10"]
        assert harness.metric("orphans", LABELS) == 2
        assert harness.woken == [], "only a person collects them"


async def test_an_orphan_that_is_gone_and_comes_back_is_told_again(harness: Harness) -> None:
    item = harness.hold(Key(CONTACTS.kind, "crm", "lost"), "f9")
    async with harness.polling():
        await harness.poll()
        del harness.client.held[FLOWS]["f9"]
        await harness.poll()
        assert harness.metric("orphans", LABELS) == 0
        harness.client.hold(FLOWS, item)
        await harness.poll()
        assert len(harness.events) == 2


@pytest.mark.parametrize("scope", [None, OTHER], ids=["never reached", "reached with another credential"])
async def test_what_a_resource_of_another_scope_made_is_no_orphan(
    harness: Harness, scope: Scope | None
) -> None:
    """A paused connection reaches nothing, and two credentials may see one sandbox."""
    paused = Key(ZOHO.kind, "crm", "zoho-us")
    harness.put(paused, {**ready("True"), "baseConnection": {"id": "b2"}})
    harness.hold(paused, "b2", CONNECTIONS)
    if scope:
        harness.use(scope, harness.client, paused)
    async with harness.polling():
        await harness.poll()
        assert harness.events == []
        assert harness.metric("orphans", LABELS) == 0
        assert harness.woken == []


async def test_an_object_whose_resource_was_deleted_here_becomes_an_orphan(harness: Harness) -> None:
    async with harness.polling():
        await harness.poll()
        assert harness.events == []
        harness.cache.remove(CONTACTS)
        await harness.poll()
        assert [note.split()[0] for _, note in harness.events] == ["f1"]


async def test_the_metrics_of_a_scope_go_with_its_last_connection(harness: Harness) -> None:
    harness.use(OTHER, harness.client, ZOHO)
    async with harness.polling():
        await harness.poll()
        assert harness.metric("inventory_poll_calls", {**LABELS, "credential": OTHER[2]}) is not None
        harness.leave(OTHER)  # the connection has another credential now
        await harness.poll()
    assert harness.metric("inventory_poll_calls", LABELS) is not None
    for name in ("inventory_poll_calls", "inventory_poll_pages", "inventory_poll_wakes", "orphans"):
        assert harness.metric(name, {**LABELS, "credential": OTHER[2]}) is None


async def test_nothing_is_an_orphan_while_its_resource_may_be_one_that_is_not_seen(harness: Harness) -> None:
    """The namespace that it is in can't be served: the advice to delete the flow would be wrong."""
    harness.process.all_are_seen = False
    harness.hold(Key(CONTACTS.kind, "other", "lost"), "f9")
    async with harness.polling():
        await harness.poll()
        assert harness.events == []
        harness.process.all_are_seen = True
        await harness.poll()
        assert [reason for reason, _ in harness.events] == ["OrphanFound"]


async def test_a_sandbox_whose_connection_another_installation_serves_is_not_polled(harness: Harness) -> None:
    async with harness.polling():
        await harness.poll()
        harness.process.served_elsewhere = {ZOHO}
        await harness.poll()
        assert harness.client.listings == 1


# Refusals


REFUSED = remote_error(ErrorClass.TERMINAL, "PermissionDenied", "no role")


def stalled(reason: str) -> dict[str, Any]:
    """The status of a resource that needs a person for that reason."""
    status = flowing()
    [is_ready, runs] = status["conditions"]
    is_ready |= {"status": "False", "reason": reason}
    status["conditions"] = [is_ready, {**is_ready, "type": "Stalled", "status": "True"}, runs]
    return status


async def test_a_refused_poll_has_all_look_that_rely_on_it(harness: Harness) -> None:
    async with harness.polling():
        harness.client.errors[FLOWS] = REFUSED
        await harness.poll()
        assert harness.woken == [ReconcileRequest(ZOHO, False), ReconcileRequest(CONTACTS, False)]


async def test_while_it_stays_refused_only_who_is_still_ready_looks(harness: Harness) -> None:
    async with harness.polling():
        harness.client.errors[FLOWS] = REFUSED
        await harness.poll()
        harness.put(ZOHO, {**stalled("PermissionDenied"), "baseConnection": {"id": "b1"}})
        harness.woken.clear()
        await harness.poll()
        assert harness.woken == [ReconcileRequest(CONTACTS, False)]
        harness.put(CONTACTS, {**stalled("PermissionDenied"), "flow": {"id": "f1"}})
        harness.woken.clear()
        await harness.poll()
        assert harness.woken == []
        harness.client.errors[FLOWS] = remote_error(ErrorClass.TERMINAL, "SandboxNotFound")
        await harness.poll()
        assert harness.woken == [ReconcileRequest(ZOHO, False), ReconcileRequest(CONTACTS, False)], (
            "another reason is news"
        )


async def test_once_a_poll_is_answered_again_who_is_stalled_looks_at_once_and_once(harness: Harness) -> None:
    async with harness.polling():
        harness.client.errors[FLOWS] = REFUSED
        await harness.poll()
        harness.put(ZOHO, {**stalled("PermissionDenied"), "baseConnection": {"id": "b1"}})
        harness.woken.clear()
        harness.client.errors[FLOWS] = remote_error()  # an outage says nothing about the refusal
        await harness.poll()
        assert harness.woken == []
        harness.client.errors.clear()
        await harness.poll()
        assert harness.woken == [ReconcileRequest(ZOHO, False)]
        await harness.poll()
        assert harness.woken == [ReconcileRequest(ZOHO, False)]


async def test_an_outage_of_a_poll_wakes_nobody(harness: Harness) -> None:
    async with harness.polling():
        harness.client.errors[FLOWS] = remote_error()
        await harness.poll()
        await harness.poll()
        assert harness.woken == []


@pytest.mark.parametrize(
    "metadata", [{"paused": True}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}], ids=["paused", "deleted"]
)
async def test_who_looks_at_nothing_is_not_woken_by_a_refusal(
    harness: Harness, metadata: dict[str, Any]
) -> None:
    harness.put(CONTACTS, {**flowing(), "flow": {"id": "f1"}}, **metadata)
    async with harness.polling():
        harness.client.errors[FLOWS] = REFUSED
        await harness.poll()
        assert harness.woken == [ReconcileRequest(ZOHO, False)]


async def test_a_fault_of_a_poll_is_counted_too(harness: Harness) -> None:
    harness.client.held = {}
    async with harness.polling():
        await harness.poll()
        assert harness.metric("inventory_poll_failures_total") == 1


async def test_runs_that_are_refused_are_told_to_who_tells_of_runs(harness: Harness) -> None:
    async with harness.polling():
        harness.client.runs_error = REFUSED
        await harness.poll()
        assert harness.woken == [ReconcileRequest(CONTACTS, False)]
        unread = Finding("Unknown", "RunsUnreadable", unread_runs(REFUSED, None).message)
        harness.put(CONTACTS, {**flowing(unread), "flow": {"id": "f1"}})
        harness.woken.clear()
        await harness.poll()
        assert harness.woken == []
        harness.client.runs_error = None
        await harness.poll()
        assert harness.woken == [ReconcileRequest(CONTACTS, False)]


async def test_runs_are_unread_only_after_an_outage_has_lasted(harness: Harness) -> None:
    harness.client.runs_error = remote_error()
    async with harness.polling():
        for woken in ([], [], [ReconcileRequest(CONTACTS, False)]):
            await harness.poll()
            assert harness.woken == woken


async def test_a_resource_that_can_not_be_read_ends_no_poll(harness: Harness) -> None:
    """Its flow is still known to be its own, and what else the sandbox holds is still followed."""
    leads = Key("CRMDataflow", "crm", "leads")
    spec = {**dataflow_spec(), "schedule": {"frequency": "Month"}}
    status = {**flowing(), "flow": {"id": "f2"}, "lastRun": "none"}
    harness.cache.put(make_object(*leads[::2], spec=spec, status=status))
    harness.cache.put(
        make_object(leads.kind, "odd", spec={"connectionRef": {"name": ZOHO.name}}, status={"flow": ["f3"]})
    )
    harness.hold(leads, "f2")
    async with harness.polling():
        await harness.poll()
        harness.woken.clear()
        harness.client.change(FLOWS, "f1", etag="v2")
        harness.client.change(FLOWS, "f2", etag="v2")
        await harness.poll()
        assert {request.key for request in harness.woken} == {CONTACTS, leads}
        assert harness.events == [], "nor is its flow an orphan"
