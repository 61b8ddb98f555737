"""Who is woken by what becomes known."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.reconcile.connection.reconciler import RECONCILER as CONNECTION
from crmflow.reconcile.dataflow.reconciler import RECONCILER as DATAFLOW
from crmflow.reconcile.decide import Priority
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.claims import Finding
from crmflow.runtime.keys import Key
from crmflow.runtime.queue import WorkQueue
from crmflow.runtime.watch import Observer
from tests.unit.runtime.fakes import JumpingClock, make_object, ready

RECONCILERS = {reconciler.kind.kind: reconciler for reconciler in (CONNECTION, DATAFLOW)}
FLOW, LEADS = Key("CRMDataflow", "crm", "contacts"), Key("CRMDataflow", "crm", "leads")
ZOHO = Key("ZohoSourceConnection", "crm", "zoho-eu")


class Stage:
    """A cache, a queue and the observer between them."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.queue = WorkQueue(self.clock)
        self.cache = ObjectCache(RECONCILERS)
        self.rechecked: list[Key] = []
        self.observer = Observer(
            self.cache, self.queue, RECONCILERS, self.rechecked.append, self.queue.forget
        )

    async def woken(self) -> list[Key]:
        """The keys that wait, most urgent first."""
        found = []
        while self.queue.depth:
            key = await self.queue.get()
            assert key is not None
            self.queue.done(key)
            found.append(key)
        return found


@pytest.fixture
def stage() -> Stage:
    return Stage()


def flow(name: str = "contacts", version: int = 1, **fields: Any) -> dict[str, Any]:
    return make_object(name=name, version=version, spec={"connectionRef": {"name": "zoho-eu"}}, **fields)


def connection(version: int = 1, **fields: Any) -> dict[str, Any]:
    spec = {
        "zoho": {"credentialsSecretRef": {"name": "zoho"}},
        "platform": {"credentialsSecretRef": {"name": "adobe"}},
    }
    return make_object("ZohoSourceConnection", "zoho-eu", version=version, spec=spec, **fields)


async def test_what_is_unfinished_comes_before_what_is_merely_seen_first(stage: Stage) -> None:
    stage.observer.seen(flow("leads", status=ready("True")))
    stage.observer.seen(flow())
    assert await stage.woken() == [FLOW, LEADS]


async def test_our_own_status_write_wakes_nobody(stage: Stage) -> None:
    stage.observer.seen(flow())
    await stage.woken()
    stage.observer.seen(flow(version=2, status=ready("False")))
    assert await stage.woken() == []


async def test_a_connection_that_becomes_ready_wakes_its_dataflows(stage: Stage) -> None:
    for obj in (connection(), flow(), flow("leads")):
        stage.observer.seen(obj)
    await stage.woken()
    stage.observer.seen(connection(2, status=ready("True")))
    assert await stage.woken() == [FLOW, LEADS]


@pytest.mark.parametrize("secret", ["zoho", "adobe"])
async def test_a_secret_wakes_the_connections_that_name_it(stage: Stage, secret: str) -> None:
    stage.observer.seen(connection())
    stage.observer.seen(flow())
    await stage.woken()
    stage.observer.secret_changed("crm", "another")
    stage.observer.secret_changed("other", secret)
    assert await stage.woken() == []
    stage.observer.secret_changed("crm", secret)
    assert await stage.woken() == [ZOHO]
    assert stage.rechecked[-1] == ZOHO


async def test_the_last_dataflow_that_goes_wakes_its_connection(stage: Stage) -> None:
    stage.observer.seen(connection())
    stage.observer.seen(flow())
    await stage.woken()
    stage.observer.gone(flow())
    assert await stage.woken() == [ZOHO]
    assert stage.cache.get(FLOW) is None


@pytest.mark.parametrize("recheck", [True, False])
async def test_what_a_listing_shows_wakes_after_everything_else(stage: Stage, recheck: bool) -> None:
    """A new run costs no complete comparison."""
    for obj in (flow(status=ready("True")), flow("leads", status=ready("True"))):
        stage.observer.seen(obj)
    await stage.woken()
    stage.rechecked.clear()
    stage.observer.listed(Finding(FLOW, recheck))
    stage.queue.add(LEADS, Priority.RETRY)
    assert await stage.woken() == [LEADS, FLOW]
    assert stage.rechecked == ([FLOW] if recheck else [])


@pytest.mark.parametrize(
    ("fields", "recheck"),
    [
        pytest.param({"generation": 2}, True, id="spec edited"),
        pytest.param({"annotations": {"crmflow.io/reconcile-requested-at": "1"}}, True, id="asked"),
        pytest.param({"annotations": {"others.io/x": "1"}}, False, id="another's annotation"),
        pytest.param({"status": {**ready("True"), "tables": 1}}, False, id="status"),
    ],
)
async def test_who_asks_for_attention_is_compared_completely(
    stage: Stage, fields: dict[str, Any], recheck: bool
) -> None:
    stage.observer.seen(flow(status=ready("True")))
    await stage.woken()
    stage.observer.seen(flow(version=2, **{"status": ready("True"), **fields}))
    assert stage.rechecked == ([FLOW] if recheck else [])


async def test_an_object_that_went_is_not_visited_later(stage: Stage) -> None:
    stage.observer.seen(flow())
    await stage.woken()
    stage.queue.schedule(FLOW, stage.clock.now() + 10.0, Priority.POLL)
    stage.observer.gone(flow())
    stage.clock.jump(20.0)
    stage.queue.add(LEADS, Priority.POLL)
    assert await stage.woken() == [LEADS]


async def test_the_answer_to_dropping_the_last_finalizer_does_not_bring_the_object_back(stage: Stage) -> None:
    deleting: dict[str, Any] = {
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["crmflow.io/finalizer"],
    }
    stage.observer.seen(connection())
    stage.observer.seen(flow(**deleting))
    await stage.woken()
    stage.observer.gone(flow(version=3, **deleting))
    assert await stage.woken() == [ZOHO]
    stage.observer.seen(flow(version=3, **{**deleting, "finalizers": []}))
    assert stage.cache.get(FLOW) is None
    assert await stage.woken() == []


async def test_the_late_end_of_a_predecessor_does_not_touch_its_successor(stage: Stage) -> None:
    stage.observer.seen(flow(version=20, uid="new"))
    await stage.woken()
    stage.queue.schedule(FLOW, stage.clock.now() + 10.0, Priority.RETRY)
    stage.observer.gone(flow(version=15, uid="old"))
    assert stage.cache.get(FLOW) is not None
    stage.clock.jump(10.0)
    stage.queue.add(LEADS, Priority.POLL)
    assert await stage.woken() == [FLOW, LEADS]


async def test_who_wants_the_same_remote_object_is_woken_when_its_owner_goes(stage: Stage) -> None:
    owner, rival = connection(), connection()
    rival["metadata"] |= {"name": "rival", "uid": "uid-2"}
    for obj in (owner, rival):
        obj["spec"]["connectionId"] = "bc"
        stage.observer.seen(obj)
    await stage.woken()
    stage.observer.gone(owner)
    assert await stage.woken() == [Key("ZohoSourceConnection", "crm", "rival")]
