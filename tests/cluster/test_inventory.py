"""Created once, found again: lookups by key, takeover, conflicts, duplicates, repair, and the brake."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.support import manifests
from tests.cluster.support.cluster import Object, condition
from tests.cluster.support.world import COLLECTIONS, CONNECTION, DATAFLOW, LISTED, ONE_OF_EACH, World

FLOW_SERVICE = "/data/foundation/flowservice"


def rebuild(world: World) -> None:
    """The cluster is rebuilt from Git: its resources are gone, and nobody deleted what they had made."""
    world.operator.stop()
    for kind in (DATAFLOW, CONNECTION):
        name = world.name_of(kind)
        world.cluster.patch(kind, name, world.namespace, {"metadata": {"finalizers": None}})
        world.cluster.delete(kind, name, world.namespace)
        world.wait_gone(kind)
    world.operator.start()
    world.apply_connection()
    world.apply_dataflow()


def creates(calls: list[Object]) -> list[str]:
    """The paths of the calls that create something in Platform."""
    services = (FLOW_SERVICE, "/data/foundation/conversion/mappingSets")
    return [
        call["path"]
        for call in calls
        if call["method"] == "POST" and call["path"].startswith(services) and "validate" not in call["path"]
    ]


def ids(world: World) -> dict[str, list[str]]:
    """The ids of what Platform holds."""
    return {collection: [held["id"] for held in world.held(collection)] for collection in COLLECTIONS}


def reasons(world: World, reason: str) -> list[Object]:
    """The events of that reason."""
    return [event for event in world.cluster.list("Event", world.namespace) if event["reason"] == reason]


def test_a_rebuilt_cluster_finds_everything_and_creates_nothing(world: World) -> None:
    world.make_ready()
    before, mark = ids(world), world.mark()
    rebuild(world)
    world.wait_ready(CONNECTION)
    ready = world.wait_ready(DATAFLOW)

    assert creates(world.calls_since(mark)) == []
    assert ids(world) == before
    assert len(world.held("mappingSets")) == 1
    assert ready["status"]["columns"] == ["Email", "First_Name", "Last_Name", "Modified_Time"]
    assert ready["status"]["schedule"]["effectiveStartTime"]
    uid = world.get(DATAFLOW)["metadata"]["uid"]
    for collection in ("sourceConnections", "targetConnections", "flows"):
        assert world.held(collection)[0]["description"].endswith(uid)
    assert len(reasons(world, "TakenOver")) == 4


def test_an_edit_made_while_the_cluster_was_away_is_carried_out(world: World) -> None:
    world.make_ready()
    world.operator.stop()
    for kind in (DATAFLOW, CONNECTION):
        world.cluster.patch(kind, world.name_of(kind), world.namespace, {"metadata": {"finalizers": None}})
        world.delete(kind)
    world.operator.start()
    world.apply_connection(displayName="Renamed")
    world.apply_dataflow(schedule={"interval": 3})
    world.wait_ready(CONNECTION)
    assert world.held("connections")[0]["name"].startswith("Renamed [")
    world.wait_ready(DATAFLOW)
    assert world.held("flows")[0]["scheduleParams"]["interval"] == 3
    assert world.counts() == ONE_OF_EACH


def test_two_installations_leave_each_other_alone(world: World) -> None:
    world.make_ready()
    before = {collection: world.held(collection) for collection in COLLECTIONS}
    world.operator.stop()
    for kind in (DATAFLOW, CONNECTION):
        world.cluster.patch(kind, world.name_of(kind), world.namespace, {"metadata": {"finalizers": None}})
        world.delete(kind)
    world.operator.start(CRMFLOW_INSTANCE="other")
    world.apply_connection()
    world.apply_dataflow()
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)
    assert world.counts() == dict.fromkeys(COLLECTIONS, 2)

    world.delete(DATAFLOW)
    world.delete(CONNECTION)
    world.wait_gone(CONNECTION)
    assert {collection: world.held(collection) for collection in COLLECTIONS} == before


def test_orphaned_and_applied_again(world: World) -> None:
    world.make_ready()
    for kind in (DATAFLOW, CONNECTION):
        world.edit(kind, deletionPolicy="Orphan")
        world.wait_ready(kind)
    for kind in (DATAFLOW, CONNECTION):
        world.delete(kind)
        world.wait_gone(kind)
    world.apply_connection()
    world.apply_dataflow()
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)
    assert world.counts() == dict.fromkeys(COLLECTIONS, 2)


def test_recreated_while_its_deletion_is_in_flight(world: World) -> None:
    world.make_ready()
    world.control.fault(service="platform", method="DELETE", path="/flows/", delay=1)
    world.delete(DATAFLOW)
    world.wait_gone(DATAFLOW)
    world.apply_dataflow()
    world.wait_ready(DATAFLOW)
    assert world.counts() == ONE_OF_EACH


@pytest.mark.parametrize(
    "description", ["", "managed by crmflow test elsewhere/zoho-eu 1"], ids=["none", "another"]
)
def test_a_hit_that_is_not_ours_is_a_conflict(world: World, description: str) -> None:
    world.make_ready()
    base = world.held("connections")[0]["id"]
    world.operator.stop()
    edit_remote(world, "connections", base, description=description)
    world.operator.start()
    world.wait_ready(CONNECTION)  # an edit of what we know is drift

    world.operator.stop()
    edit_remote(world, "connections", base, description=description)
    rebuild_connection(world)
    conflict = world.wait_reason(CONNECTION, "Ready", "Conflict")
    assert base in condition(conflict, "Ready")["message"]
    assert len(world.held("connections")) == 1


def rebuild_connection(world: World) -> None:
    """Only the connection loses what it knew."""
    world.cluster.patch(
        CONNECTION, world.name_of(CONNECTION), world.namespace, {"metadata": {"finalizers": None}}
    )
    world.delete(CONNECTION)
    world.operator.start()
    world.apply_connection()


@pytest.mark.parametrize("lag", [0, 5, 30, 90])
@pytest.mark.parametrize("collection", ["connections", "flows"])
def test_a_lost_answer_under_index_lag(world: World, collection: str, lag: int) -> None:
    """At most one object while the lag is below the grace; else the second is removed within one poll."""
    world.control.switch("aep", indexLagSeconds=lag)
    world.control.fault(service="platform", method="POST", path=f"/{collection}$", reset="after")
    world.apply_secrets()
    world.apply_connection()
    world.apply_dataflow()
    kind = CONNECTION if collection == "connections" else DATAFLOW
    for _ in range(12):
        ready = condition(world.get(kind), "Ready") or {}
        if ready.get("status") == "True":
            break
        time.sleep(0.5)
        world.control.advance(11)
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)
    world.control.advance(100)
    _until(lambda: world.counts() == ONE_OF_EACH)
    if lag < 60 or collection == "flows":  # a source connection takes no second flow
        assert reasons(world, "DuplicateRemoved") == []
    else:
        _until(lambda: len(reasons(world, "DuplicateRemoved")) == 1)
    world.wait_ready(kind)


def test_soft_deleted_objects_in_listings_are_not_there(world: World) -> None:
    world.control.switch("aep", softDeletedInLists=True)
    world.make_ready()
    world.delete(DATAFLOW)
    world.wait_gone(DATAFLOW)
    world.apply_dataflow()
    world.wait_ready(DATAFLOW)
    world.wait_polls(2)
    assert live(world) == ONE_OF_EACH


def live(world: World) -> dict[str, int]:
    """What Platform holds and has not deleted."""
    return {c: sum(1 for held in world.held(c) if held["state"] != "deleted") for c in COLLECTIONS}


REPAIRS: list[tuple[str, str, dict[str, Any], str]] = [
    ("connections", CONNECTION, {"name": "renamed"}, "baseConnection.name"),
    ("connections", CONNECTION, {"description": "x"}, "baseConnection.description"),
    ("sourceConnections", DATAFLOW, {"name": "renamed"}, "source.name"),
    ("targetConnections", DATAFLOW, {"description": ""}, "target.description"),
    ("flows", DATAFLOW, {"name": "renamed", "description": "by hand"}, "flow.description"),
]


@pytest.mark.parametrize(("collection", "kind", "edit", "field"), REPAIRS, ids=[r[3] for r in REPAIRS])
def test_a_remote_edit_is_restored_within_a_poll(
    world: World, collection: str, kind: str, edit: dict[str, Any], field: str
) -> None:
    world.make_ready()
    world.wait_polls(1)
    before = world.held(collection)[0]
    edit_remote(world, collection, before["id"], **edit)
    world.wait_polls(1)

    _until(lambda: all(world.held(collection)[0].get(key) == before.get(key) for key in edit))
    repaired = world.cluster.wait(
        kind, world.name_of(kind), world.namespace, lambda o: "lastDrift" in o["status"], what="drift"
    )
    assert field in repaired["status"]["lastDrift"]["fields"]
    _until(lambda: reasons(world, "DriftRepaired") != [])  # an event follows the status that it tells of
    assert field.split(".", 1)[1] in reasons(world, "DriftRepaired")[0]["note"]
    world.wait_ready(kind)
    world.wait_ready(DATAFLOW)


@pytest.mark.parametrize("collection", ["sourceConnections", "targetConnections", "flows"])
def test_what_was_deleted_is_made_anew_from_the_next_tick(world: World, collection: str) -> None:
    world.make_ready()
    world.control.post("/aep/runs", flowId=world.held("flows")[0]["id"])
    world.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")
    before = ids(world)
    world.control.delete(f"/aep/sandboxes/prod/{collection}/{before[collection][0]}")
    world.wait_polls(1)

    _until(lambda: world.counts() == ONE_OF_EACH and not set(ids(world)["flows"]) & set(before["flows"]))
    # Status tells of the new flow a moment after Platform holds it.
    _until(lambda: "until" in world.wait_ready(DATAFLOW)["status"].get("gap", {}))
    gap = world.wait_ready(DATAFLOW)["status"]["gap"]
    assert str(world.held("flows")[0]["scheduleParams"]["backfill"]).lower() == "false"
    assert gap["since"] <= gap["until"]
    assert reasons(world, "Vanished")
    assert ids(world)["connections"] == before["connections"]


def test_a_base_connection_that_was_deleted_takes_its_dataflows_along(world: World) -> None:
    world.make_ready()
    before = ids(world)
    world.control.delete(f"/aep/sandboxes/prod/connections/{before['connections'][0]}")
    world.wait_polls(1)
    _until(lambda: world.counts() == ONE_OF_EACH and ids(world)["flows"] != before["flows"], seconds=20)
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)
    assert world.held("sourceConnections")[0]["baseConnectionId"] == world.held("connections")[0]["id"]


def test_a_one_time_flow_that_has_run_is_not_run_again_by_itself(world: World) -> None:
    world.make_ready(schedule={"frequency": "Once", "interval": None, "backfill": None}, deltaColumn=None)
    flow = world.held("flows")[0]["id"]
    world.control.post("/aep/runs", flowId=flow)
    world.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")
    world.control.delete(f"/aep/sandboxes/prod/flows/{flow}")
    world.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert world.held("flows") == []


def test_a_flow_that_a_label_hides_is_not_made_again(world: World) -> None:
    world.make_ready()
    flow = world.held("flows")[0]["id"]
    world.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body={"labels": ["core/C12"]})
    world.control.switch("aep", callerLacksLabels=["core/C12"])
    hidden = world.wait_reason(DATAFLOW, "Ready", "HiddenByLabel")
    assert "label" in condition(hidden, "Ready")["message"]
    assert world.counts() == ONE_OF_EACH

    world.control.switch("aep", callerLacksLabels=[])
    world.cluster.annotate(DATAFLOW, manifests.DATAFLOW, world.namespace, reconcile_requested_at="now")
    world.wait_ready(DATAFLOW)


def test_an_empty_listing_is_no_loss(world: World) -> None:
    world.make_ready()
    before, mark = ids(world), world.mark()
    for collection in COLLECTIONS:
        world.control.fault(
            service="platform",
            method="GET",
            path=f"/{collection}$",
            times=2,
            status=200,
            body={"items": [], "_links": {}},
        )
    world.wait_polls(4)
    assert ids(world) == before
    assert creates(world.calls_since(mark)) == []
    assert condition(world.get(DATAFLOW), "Ready")["status"] == "True"


def test_a_page_that_fails_discards_the_listing(world: World) -> None:
    world.make_ready()
    mark = world.mark()
    world.control.fault(service="platform", method="GET", path="/flows$", times=3, status=503)
    _until(lambda: world.metric("crmflow_inventory_poll_failures_total") >= 2)
    world.wait_polls(2)
    assert creates(world.calls_since(mark)) == []
    assert condition(world.get(DATAFLOW), "Ready")["status"] == "True"


def test_listings_of_many_pages_whose_tokens_end(world: World) -> None:
    """A page token that has ended fails the listing; nothing is decided on half of one."""
    many(world, 3)
    world.control.switch("aep", maximumPageSize=1)
    world.wait_polls(6)
    assert world.metric("crmflow_inventory_poll_failures_total") == 0
    assert world.metric("crmflow_inventory_poll_calls", sandbox="prod") == 1 + 3 + 3 + 3 + 1

    mark = world.mark()
    world.control.switch("aep", pageTokenSeconds=0)
    _until(lambda: world.metric("crmflow_inventory_poll_failures_total") >= 2)
    assert creates(world.calls_since(mark)) == []
    assert len(world.held("flows")) == 3

    world.control.switch("aep", pageTokenSeconds=None)
    failures = world.metric("crmflow_inventory_poll_failures_total")
    world.wait_polls(6)
    assert world.metric("crmflow_inventory_poll_failures_total") <= failures + 1


def test_somebody_else_writing_at_the_same_time_is_no_trouble(world: World) -> None:
    """412: read again, compare again."""
    world.make_ready()
    world.control.fault(
        service="platform",
        method="PATCH",
        path="/flows/",
        status=412,
        body={"type": "https://ns.adobe.com/aep/errors/FLOW-1404-412", "title": "Stale", "status": 412},
    )
    world.edit(DATAFLOW, displayName="After all")
    world.wait_ready(DATAFLOW)
    assert world.held("flows")[0]["name"].startswith("After all [")


def many(world: World, count: int) -> list[str]:
    """So many dataflows, Ready."""
    world.apply_secrets()
    world.apply_connection()
    names = [f"flow-{number:02}" for number in range(count)]
    for name in names:
        world.apply_dataflow(name)
    for name in names:
        world.cluster.wait_ready(DATAFLOW, name, world.namespace, seconds=60)
    return names


def lose(world: World, names: list[str]) -> None:
    """Somebody deletes the flows of these dataflows."""
    for name in names:
        flow = world.cluster.get(DATAFLOW, name, world.namespace)["status"]["flow"]["id"]
        world.control.delete(f"/aep/sandboxes/prod/flows/{flow}")


def test_a_mass_vanish_waits_for_a_person(world: World) -> None:
    names = many(world, 8)
    lose(world, names[:6])

    def stalled(name: str) -> bool:
        ready = condition(world.cluster.get(DATAFLOW, name, world.namespace), "Ready")
        return ready is not None and ready["reason"] == "MassVanish"

    _until(lambda: all(map(stalled, names[:6])), seconds=30)
    assert len(world.held("flows")) == 2

    world.cluster.annotate(CONNECTION, manifests.CONNECTION, world.namespace, accept_loss="ticket-4711")
    for name in names[:6]:
        world.cluster.annotate(DATAFLOW, name, world.namespace, reconcile_requested_at="now")
    _until(lambda: len(world.held("flows")) == 8, seconds=30)
    for name in names:
        world.cluster.wait_ready(DATAFLOW, name, world.namespace)


def test_a_few_losses_are_simply_repaired(world: World) -> None:
    names = many(world, 8)
    lose(world, names[:3])
    _until(lambda: len(world.held("flows")) == 8, seconds=30)
    for name in names:
        world.cluster.wait_ready(DATAFLOW, name, world.namespace)


def test_a_sandbox_reset_is_recognised_and_filled_again(world: World) -> None:
    names = many(world, 7)
    world.control.advance(5)
    world.control.post("/aep/sandboxes/prod/reset", reseed=True)
    _until(lambda: len(world.held("flows")) == 7, seconds=40)
    for name in names:
        ready = world.cluster.wait_ready(DATAFLOW, name, world.namespace, seconds=30)
        assert "gap" not in ready["status"]
    assert {str(flow["scheduleParams"]["backfill"]).lower() for flow in world.held("flows")} == {"true"}
    assert len(world.held("connections")) == 1


def test_orphans_are_told_and_left(world: World) -> None:
    world.make_ready()
    world.operator.stop()
    world.cluster.patch(
        DATAFLOW, world.name_of(DATAFLOW), world.namespace, {"metadata": {"finalizers": None}}
    )
    world.delete(DATAFLOW)
    world.wait_gone(DATAFLOW)
    # The installation has to know another resource of the scope, to tell its own keys from others'.
    world.operator.start()
    world.control.advance(61)
    _until(lambda: world.metric("crmflow_orphans", sandbox="prod") == 3)
    _until(lambda: len(reasons(world, "OrphanFound")) == 3)
    assert world.counts() == ONE_OF_EACH


def test_one_polls_cost_is_a_metric(world: World) -> None:
    world.make_ready()
    world.wait_polls(2)
    listings = len(LISTED)
    assert world.metric("crmflow_inventory_poll_calls", sandbox="prod") == listings
    assert world.metric("crmflow_inventory_poll_pages", sandbox="prod") == listings
    assert world.metric("crmflow_inventory_poll_wakes", sandbox="prod") == 0


def edit_remote(world: World, collection: str, remote_id: str, **body: Any) -> None:
    """Somebody edits an object in Platform."""
    world.control.patch(f"/aep/sandboxes/prod/{collection}/{remote_id}", body=body)


def _until(met: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)
