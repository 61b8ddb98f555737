"""Who is woken by what becomes known."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from kubernetes.aio import client

from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.core.decide import Priority
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key, ReconcileRequest
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.controller.watch import ResourceEventHandler, Watch
from tests.unit.runtime.fakes import JumpingClock, make_object, ready

KINDS = {kind.name: kind for kind in (CONNECTION, DATAFLOW)}
FLOW, LEADS = Key("CRMDataflow", "crm", "contacts"), Key("CRMDataflow", "crm", "leads")
ZOHO = Key("ZohoSourceConnection", "crm", "zoho-eu")


class Harness:
    """A cache, a queue and the handler between them."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.queue = WorkQueue(self.clock)
        self.cache = ObjectCache(KINDS)
        self.rechecked: list[Key] = []
        self.handler = ResourceEventHandler(self.cache, self.queue, self.rechecked.append, self.queue.forget)

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
def harness() -> Harness:
    return Harness()


def flow(name: str = "contacts", version: int = 1, **fields: Any) -> dict[str, Any]:
    return make_object(name=name, version=version, spec={"connectionRef": {"name": "zoho-eu"}}, **fields)


def connection(version: int = 1, **fields: Any) -> dict[str, Any]:
    spec = {
        "zoho": {"credentialsSecretRef": {"name": "zoho"}},
        "platform": {"credentialsSecretRef": {"name": "adobe"}},
    }
    return make_object("ZohoSourceConnection", "zoho-eu", version=version, spec=spec, **fields)


async def test_what_is_unfinished_comes_before_what_is_merely_seen_first(harness: Harness) -> None:
    harness.handler.seen(flow("leads", status=ready("True")))
    harness.handler.seen(flow())
    assert await harness.woken() == [FLOW, LEADS]


async def test_an_edit_does_not_wait_for_new_resources(harness: Harness) -> None:
    """Of which ten thousand may have been applied at once."""
    harness.handler.seen(flow(status=ready("True")))
    await harness.woken()
    harness.handler.seen(flow("leads"))
    harness.handler.seen(flow(version=2, generation=2, status=ready("True")))
    assert await harness.woken() == [FLOW, LEADS]


@pytest.mark.parametrize("deleting", [False, True], ids=["edited Secret", "a deletion goes on"])
async def test_a_new_resource_does_not_wait_for_what_a_change_elsewhere_wakes(
    harness: Harness, deleting: bool
) -> None:
    """Unless that is being deleted."""
    fields = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]} if deleting else {}
    harness.handler.seen(connection(status=ready("True"), **fields))
    await harness.woken()
    harness.handler.secret_changed("crm", "zoho")
    harness.handler.seen(flow())
    assert await harness.woken() == ([ZOHO, FLOW] if deleting else [FLOW, ZOHO])


async def test_our_own_status_write_wakes_nobody(harness: Harness) -> None:
    harness.handler.seen(flow())
    await harness.woken()
    harness.handler.seen(flow(version=2, status=ready("False")))
    assert await harness.woken() == []


async def test_what_the_watch_tells_once_more_is_not_even_looked_at(harness: Harness) -> None:
    """Of each own write it does."""
    written = flow(version=2, status=ready("True"))
    harness.handler.seen(written)
    await harness.woken()
    echo = {**written, "spec": None, "status": None}  # what would be read of it is not there
    harness.handler.seen(echo)
    assert await harness.woken() == []


async def test_a_connection_that_becomes_ready_wakes_its_dataflows(harness: Harness) -> None:
    for obj in (connection(), flow(), flow("leads")):
        harness.handler.seen(obj)
    await harness.woken()
    harness.handler.seen(connection(2, status=ready("True")))
    assert await harness.woken() == [FLOW, LEADS]


@pytest.mark.parametrize("secret", ["zoho", "adobe"])
async def test_a_secret_wakes_the_connections_that_name_it(harness: Harness, secret: str) -> None:
    harness.handler.seen(connection())
    harness.handler.seen(flow())
    await harness.woken()
    harness.handler.secret_changed("crm", "another")
    harness.handler.secret_changed("other", secret)
    assert await harness.woken() == []
    harness.handler.secret_changed("crm", secret)
    assert await harness.woken() == [ZOHO]
    assert harness.rechecked[-1] == ZOHO


async def test_a_connection_that_goes_wakes_its_dataflows(harness: Harness) -> None:
    """They say that it is gone, and no longer that its conditions say why it is not Ready."""
    harness.handler.seen(connection())
    harness.handler.seen(flow(status=ready("False")))
    await harness.woken()
    harness.handler.gone(connection())
    assert await harness.woken() == [FLOW]


async def test_a_dataflow_whose_deletion_begins_wakes_its_connection(harness: Harness) -> None:
    """Which may be waiting for it to go, and says whether it does."""
    harness.handler.seen(connection())
    harness.handler.seen(flow())
    await harness.woken()
    deleting = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["crmflow.io/finalizer"]}
    harness.handler.seen(flow(version=2, **deleting))
    assert set(await harness.woken()) == {FLOW, ZOHO}


async def test_the_last_dataflow_that_goes_wakes_its_connection(harness: Harness) -> None:
    harness.handler.seen(connection())
    harness.handler.seen(flow())
    await harness.woken()
    harness.handler.gone(flow())
    assert await harness.woken() == [ZOHO]
    assert harness.cache.get(FLOW) is None


def elsewhere(version: int, **fields: Any) -> dict[str, Any]:
    """The dataflow, reading through another connection."""
    return make_object(name="contacts", version=version, spec={"connectionRef": {"name": "us"}}, **fields)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(elsewhere(2, generation=2), id="edited"),
        pytest.param(elsewhere(2, uid="uid-2"), id="deleted and made anew, unseen"),
    ],
)
async def test_a_dataflow_that_turns_to_another_connection_wakes_the_one_before(
    harness: Harness, after: dict[str, Any]
) -> None:
    """As the dataflow's end would: the connection may be waiting for that."""
    harness.handler.seen(connection())
    harness.handler.seen(flow())
    await harness.woken()
    harness.handler.seen(after)
    assert set(await harness.woken()) == {FLOW, ZOHO}


async def test_who_wants_a_remote_object_is_woken_when_it_is_let_go(harness: Harness) -> None:
    harness.handler.seen(flow(status={**ready("True"), "flow": {"id": "f1"}}))
    spec = {"connectionRef": {"name": "zoho-eu"}, "flowId": "f1"}
    harness.handler.seen(make_object(name="leads", spec=spec, status=ready("False")))
    await harness.woken()
    harness.handler.seen(flow(version=2, status=ready("True")))
    assert await harness.woken() == [LEADS]


@pytest.mark.parametrize("recheck", [True, False])
async def test_what_a_listing_shows_wakes_after_everything_else(harness: Harness, recheck: bool) -> None:
    """A new run costs no complete comparison."""
    for obj in (flow(status=ready("True")), flow("leads", status=ready("True"))):
        harness.handler.seen(obj)
    await harness.woken()
    harness.rechecked.clear()
    harness.handler.listed(ReconcileRequest(FLOW, recheck))
    harness.queue.add(LEADS, Priority.RETRY)
    assert await harness.woken() == [LEADS, FLOW]
    assert harness.rechecked == ([FLOW] if recheck else [])


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
    harness: Harness, fields: dict[str, Any], recheck: bool
) -> None:
    harness.handler.seen(flow(status=ready("True")))
    await harness.woken()
    harness.handler.seen(flow(version=2, **{"status": ready("True"), **fields}))
    assert harness.rechecked == ([FLOW] if recheck else [])


async def test_an_object_that_went_is_not_visited_later(harness: Harness) -> None:
    harness.handler.seen(flow())
    await harness.woken()
    harness.queue.schedule(FLOW, harness.clock.now() + 10.0, Priority.POLL)
    harness.handler.gone(flow())
    harness.clock.jump(20.0)
    harness.queue.add(LEADS, Priority.POLL)
    assert await harness.woken() == [LEADS]


async def test_the_answer_to_dropping_the_last_finalizer_does_not_bring_the_object_back(
    harness: Harness,
) -> None:
    deleting: dict[str, Any] = {
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["crmflow.io/finalizer"],
    }
    harness.handler.seen(connection())
    harness.handler.seen(flow(**deleting))
    await harness.woken()
    harness.handler.gone(flow(version=3, **deleting))
    assert await harness.woken() == [ZOHO]
    harness.handler.seen(flow(version=3, **{**deleting, "finalizers": []}))
    assert harness.cache.get(FLOW) is None
    assert await harness.woken() == []


async def test_the_late_end_of_a_predecessor_does_not_touch_its_successor(harness: Harness) -> None:
    harness.handler.seen(flow(version=20, uid="new"))
    await harness.woken()
    harness.queue.schedule(FLOW, harness.clock.now() + 10.0, Priority.RETRY)
    harness.handler.gone(flow(version=15, uid="old"))
    assert harness.cache.get(FLOW) is not None
    harness.clock.jump(10.0)
    harness.queue.add(LEADS, Priority.POLL)
    assert await harness.woken() == [FLOW, LEADS]


async def test_who_wants_the_same_remote_object_is_woken_when_its_owner_goes(harness: Harness) -> None:
    owner, rival = connection(), connection()
    rival["metadata"] |= {"name": "rival", "uid": "uid-2"}
    for obj in (owner, rival):
        obj["spec"]["connectionId"] = "bc"
        harness.handler.seen(obj)
    await harness.woken()
    harness.handler.gone(owner)
    assert await harness.woken() == [Key("ZohoSourceConnection", "crm", "rival")]


async def test_what_is_readable_again_is_compared_completely(harness: Harness) -> None:
    """In its namespace alone, and everywhere if all are served as one."""
    for obj in (connection(status=ready("True")), flow(status=ready("True")), flow(namespace="other")):
        harness.handler.seen(obj)
    await harness.woken()
    harness.rechecked.clear()
    harness.handler.recheck_all("crm")
    assert await harness.woken() == harness.rechecked == [ZOHO, FLOW]
    harness.handler.recheck_all()
    assert len(await harness.woken()) == 3


async def test_a_watch_ends_with_its_task_and_leaves_no_thread(harness: Harness) -> None:
    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "watch crm"]

    nowhere = client.Configuration(host="http://127.0.0.1:1")
    watching = asyncio.create_task(Watch(nowhere, list(KINDS.values()), harness.handler).run("crm"))
    await asyncio.sleep(0)
    (thread,) = threads()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert watching.cancelled()
    await asyncio.to_thread(thread.join, 10)
    assert threads() == []
