"""Created once, found again: lookups by key, takeover, conflicts, duplicates, repair, and the brake."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import COLLECTIONS, CONNECTION, DATAFLOW, LISTED, ONE_OF_EACH, Tenant
from tests.kit.waiting import until

FLOW_SERVICE = "/data/foundation/flowservice"


def rebuild(tenant: Tenant) -> None:
    """The cluster is rebuilt from Git: its resources are gone, and nobody deleted what they had made."""
    tenant.operator.stop()
    for kind in (DATAFLOW, CONNECTION):
        name = tenant.name_of(kind)
        tenant.cluster.patch(kind, name, tenant.namespace, {"metadata": {"finalizers": None}})
        tenant.cluster.delete(kind, name, tenant.namespace)
        tenant.wait_gone(kind)
    tenant.operator.start()
    tenant.apply_connection()
    tenant.apply_dataflow()


def creates(calls: list[Object]) -> list[str]:
    """The paths of the calls that create something in Platform."""
    services = (FLOW_SERVICE, "/data/foundation/conversion/mappingSets")
    return [
        call["path"]
        for call in calls
        if call["method"] == "POST" and call["path"].startswith(services) and "validate" not in call["path"]
    ]


def ids(tenant: Tenant) -> dict[str, list[str]]:
    """The ids of what Platform holds."""
    return {collection: [held["id"] for held in tenant.held(collection)] for collection in COLLECTIONS}


def reasons(tenant: Tenant, reason: str) -> list[Object]:
    """The events of that reason."""
    return [event for event in tenant.cluster.list("Event", tenant.namespace) if event["reason"] == reason]


def test_a_rebuilt_cluster_finds_everything_and_creates_nothing(tenant: Tenant) -> None:
    tenant.make_ready()
    before, mark = ids(tenant), tenant.mark()
    rebuild(tenant)
    tenant.wait_ready(CONNECTION)
    ready = tenant.wait_ready(DATAFLOW)

    assert creates(tenant.calls_since(mark)) == []
    assert ids(tenant) == before
    assert len(tenant.held("mappingSets")) == 1
    assert ready["status"]["columns"] == ["Email", "First_Name", "Last_Name", "Modified_Time"]
    assert ready["status"]["schedule"]["effectiveStartTime"]
    uid = tenant.get(DATAFLOW)["metadata"]["uid"]
    for collection in ("sourceConnections", "targetConnections", "flows"):
        assert tenant.held(collection)[0]["description"].endswith(uid)
    assert len(reasons(tenant, "TakenOver")) == 4


def test_an_edit_made_while_the_cluster_was_away_is_carried_out(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    for kind in (DATAFLOW, CONNECTION):
        tenant.cluster.patch(kind, tenant.name_of(kind), tenant.namespace, {"metadata": {"finalizers": None}})
        tenant.delete(kind)
    tenant.operator.start()
    tenant.apply_connection(displayName="Renamed")
    tenant.apply_dataflow(schedule={"interval": 3})
    tenant.wait_ready(CONNECTION)
    assert tenant.held("connections")[0]["name"].startswith("Renamed [")
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("flows")[0]["scheduleParams"]["interval"] == 3
    assert tenant.counts() == ONE_OF_EACH


def test_two_installations_leave_each_other_alone(tenant: Tenant) -> None:
    tenant.make_ready()
    before = {collection: tenant.held(collection) for collection in COLLECTIONS}
    tenant.operator.stop()
    for kind in (DATAFLOW, CONNECTION):
        tenant.cluster.patch(kind, tenant.name_of(kind), tenant.namespace, {"metadata": {"finalizers": None}})
        tenant.delete(kind)
    tenant.operator.start(CRMFLOW_INSTANCE="other")
    tenant.apply_connection()
    tenant.apply_dataflow()
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == dict.fromkeys(COLLECTIONS, 2)

    tenant.delete(DATAFLOW)
    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)
    assert {collection: tenant.held(collection) for collection in COLLECTIONS} == before


def test_orphaned_and_applied_again(tenant: Tenant) -> None:
    tenant.make_ready()
    for kind in (DATAFLOW, CONNECTION):
        tenant.edit(kind, deletionPolicy="Orphan")
        tenant.wait_ready(kind)
    for kind in (DATAFLOW, CONNECTION):
        tenant.delete(kind)
        tenant.wait_gone(kind)
    tenant.apply_connection()
    tenant.apply_dataflow()
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == dict.fromkeys(COLLECTIONS, 2)


def test_recreated_while_its_deletion_is_in_flight(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.fault(service="platform", method="DELETE", path="/flows/", delay=1)
    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    tenant.apply_dataflow()
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == ONE_OF_EACH


@pytest.mark.parametrize(
    "description", ["", "managed by crmflow test elsewhere/zoho-eu 1"], ids=["none", "another"]
)
def test_a_hit_that_is_not_ours_is_a_conflict(tenant: Tenant, description: str) -> None:
    tenant.make_ready()
    base = tenant.held("connections")[0]["id"]
    tenant.operator.stop()
    edit_remote(tenant, "connections", base, description=description)
    tenant.operator.start()
    tenant.wait_ready(CONNECTION)  # an edit of what we know is drift

    tenant.operator.stop()
    edit_remote(tenant, "connections", base, description=description)
    rebuild_connection(tenant)
    conflict = tenant.wait_reason(CONNECTION, "Ready", "Conflict")
    assert base in condition(conflict, "Ready")["message"]
    assert len(tenant.held("connections")) == 1


def rebuild_connection(tenant: Tenant) -> None:
    """Only the connection loses what it knew."""
    tenant.cluster.patch(
        CONNECTION, tenant.name_of(CONNECTION), tenant.namespace, {"metadata": {"finalizers": None}}
    )
    tenant.delete(CONNECTION)
    tenant.operator.start()
    tenant.apply_connection()


@pytest.mark.parametrize("lag", [0, 5, 30, 90])
@pytest.mark.parametrize("collection", ["connections", "flows"])
def test_a_lost_answer_under_index_lag(tenant: Tenant, collection: str, lag: int) -> None:
    """At most one object while the lag is below the grace; else the second is removed within one poll."""
    tenant.control.switch("aep", indexLagSeconds=lag)
    tenant.control.fault(service="platform", method="POST", path=f"/{collection}$", reset="after")
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.apply_dataflow()
    kind = CONNECTION if collection == "connections" else DATAFLOW
    for _ in range(12):
        ready = condition(tenant.get(kind), "Ready") or {}
        if ready.get("status") == "True":
            break
        time.sleep(0.5)
        tenant.control.advance(11)
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    tenant.control.advance(100)
    until(lambda: tenant.counts() == ONE_OF_EACH)
    if lag < 60 or collection == "flows":  # a source connection takes no second flow
        assert reasons(tenant, "DuplicateRemoved") == []
    else:
        until(lambda: len(reasons(tenant, "DuplicateRemoved")) == 1)
    tenant.wait_ready(kind)


def test_soft_deleted_objects_in_listings_are_not_there(tenant: Tenant) -> None:
    tenant.control.switch("aep", softDeletedInLists=True)
    tenant.make_ready()
    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    tenant.apply_dataflow()
    tenant.wait_ready(DATAFLOW)
    tenant.wait_polls(2)
    assert live(tenant) == ONE_OF_EACH


def live(tenant: Tenant) -> dict[str, int]:
    """What Platform holds and has not deleted."""
    return {c: sum(1 for held in tenant.held(c) if held["state"] != "deleted") for c in COLLECTIONS}


REPAIRS: list[tuple[str, str, dict[str, Any], str]] = [
    ("connections", CONNECTION, {"name": "renamed"}, "baseConnection.name"),
    ("connections", CONNECTION, {"description": "x"}, "baseConnection.description"),
    ("sourceConnections", DATAFLOW, {"name": "renamed"}, "source.name"),
    ("targetConnections", DATAFLOW, {"description": ""}, "target.description"),
    ("flows", DATAFLOW, {"name": "renamed", "description": "by hand"}, "flow.description"),
]


@pytest.mark.parametrize(("collection", "kind", "edit", "field"), REPAIRS, ids=[r[3] for r in REPAIRS])
def test_a_remote_edit_is_restored_within_a_poll(
    tenant: Tenant, collection: str, kind: str, edit: dict[str, Any], field: str
) -> None:
    tenant.make_ready()
    tenant.wait_polls(1)
    before = tenant.held(collection)[0]
    edit_remote(tenant, collection, before["id"], **edit)
    tenant.wait_polls(1)

    until(lambda: all(tenant.held(collection)[0].get(key) == before.get(key) for key in edit))
    repaired = tenant.cluster.wait(
        kind, tenant.name_of(kind), tenant.namespace, lambda o: "lastDrift" in o["status"], what="drift"
    )
    assert field in repaired["status"]["lastDrift"]["fields"]
    until(lambda: reasons(tenant, "DriftRepaired") != [])  # an event follows the status that it tells of
    assert field.split(".", 1)[1] in reasons(tenant, "DriftRepaired")[0]["note"]
    tenant.wait_ready(kind)
    tenant.wait_ready(DATAFLOW)


@pytest.mark.parametrize("collection", ["sourceConnections", "targetConnections", "flows"])
def test_what_was_deleted_is_made_anew_from_the_next_tick(tenant: Tenant, collection: str) -> None:
    tenant.make_ready()
    tenant.control.post("/aep/runs", flowId=tenant.held("flows")[0]["id"])
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")
    before = ids(tenant)
    tenant.control.delete(f"/aep/sandboxes/prod/{collection}/{before[collection][0]}")
    tenant.wait_polls(1)

    until(lambda: tenant.counts() == ONE_OF_EACH and not set(ids(tenant)["flows"]) & set(before["flows"]))
    # Status tells of the new flow a moment after Platform holds it.
    until(lambda: "until" in tenant.wait_ready(DATAFLOW)["status"].get("gap", {}))
    gap = tenant.wait_ready(DATAFLOW)["status"]["gap"]
    assert str(tenant.held("flows")[0]["scheduleParams"]["backfill"]).lower() == "false"
    assert gap["since"] <= gap["until"]
    assert reasons(tenant, "Vanished")
    assert ids(tenant)["connections"] == before["connections"]


def test_a_base_connection_that_was_deleted_takes_its_dataflows_along(tenant: Tenant) -> None:
    tenant.make_ready()
    before = ids(tenant)
    tenant.control.delete(f"/aep/sandboxes/prod/connections/{before['connections'][0]}")
    tenant.wait_polls(1)
    until(lambda: tenant.counts() == ONE_OF_EACH and ids(tenant)["flows"] != before["flows"], seconds=20)
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("sourceConnections")[0]["baseConnectionId"] == tenant.held("connections")[0]["id"]


def test_a_one_time_flow_that_has_run_is_not_run_again_by_itself(tenant: Tenant) -> None:
    tenant.make_ready(schedule={"frequency": "Once", "interval": None, "backfill": None}, deltaColumn=None)
    flow = tenant.held("flows")[0]["id"]
    tenant.control.post("/aep/runs", flowId=flow)
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")
    tenant.control.delete(f"/aep/sandboxes/prod/flows/{flow}")
    tenant.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert tenant.held("flows") == []


def test_a_flow_that_a_label_hides_is_not_made_again(tenant: Tenant) -> None:
    tenant.make_ready()
    flow = tenant.held("flows")[0]["id"]
    tenant.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body={"labels": ["core/C12"]})
    tenant.control.switch("aep", callerLacksLabels=["core/C12"])
    hidden = tenant.wait_reason(DATAFLOW, "Ready", "HiddenByLabel")
    assert "label" in condition(hidden, "Ready")["message"]
    assert tenant.counts() == ONE_OF_EACH

    tenant.control.switch("aep", callerLacksLabels=[])
    tenant.cluster.annotate(DATAFLOW, manifests.DATAFLOW, tenant.namespace, reconcile_requested_at="now")
    tenant.wait_ready(DATAFLOW)


def test_an_empty_listing_is_no_loss(tenant: Tenant) -> None:
    tenant.make_ready()
    before, mark = ids(tenant), tenant.mark()
    for collection in COLLECTIONS:
        tenant.control.fault(
            service="platform",
            method="GET",
            path=f"/{collection}$",
            times=2,
            status=200,
            body={"items": [], "_links": {}},
        )
    tenant.wait_polls(4)
    assert ids(tenant) == before
    assert creates(tenant.calls_since(mark)) == []
    assert condition(tenant.get(DATAFLOW), "Ready")["status"] == "True"


def test_a_page_that_fails_discards_the_listing(tenant: Tenant) -> None:
    tenant.make_ready()
    mark = tenant.mark()
    tenant.control.fault(service="platform", method="GET", path="/flows$", times=3, status=503)
    until(lambda: tenant.metric("crmflow_inventory_poll_failures_total") >= 2)
    tenant.wait_polls(2)
    assert creates(tenant.calls_since(mark)) == []
    assert condition(tenant.get(DATAFLOW), "Ready")["status"] == "True"


def test_listings_of_many_pages_whose_tokens_end(tenant: Tenant) -> None:
    """A page token that has ended fails the listing; nothing is decided on half of one."""
    many(tenant, 3)
    tenant.control.switch("aep", maximumPageSize=1)
    tenant.wait_polls(6)
    assert tenant.metric("crmflow_inventory_poll_failures_total") == 0
    assert tenant.metric("crmflow_inventory_poll_calls", sandbox="prod") == 1 + 3 + 3 + 3 + 1

    mark = tenant.mark()
    tenant.control.switch("aep", pageTokenSeconds=0)
    until(lambda: tenant.metric("crmflow_inventory_poll_failures_total") >= 2)
    assert creates(tenant.calls_since(mark)) == []
    assert len(tenant.held("flows")) == 3

    tenant.control.switch("aep", pageTokenSeconds=None)
    failures = tenant.metric("crmflow_inventory_poll_failures_total")
    tenant.wait_polls(6)
    assert tenant.metric("crmflow_inventory_poll_failures_total") <= failures + 1


def test_somebody_else_writing_at_the_same_time_is_no_trouble(tenant: Tenant) -> None:
    """412: read again, compare again."""
    tenant.make_ready()
    tenant.control.fault(
        service="platform",
        method="PATCH",
        path="/flows/",
        status=412,
        body={"type": "https://ns.adobe.com/aep/errors/FLOW-1404-412", "title": "Stale", "status": 412},
    )
    tenant.edit(DATAFLOW, displayName="After all")
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("flows")[0]["name"].startswith("After all [")


def many(tenant: Tenant, count: int) -> list[str]:
    """So many dataflows, Ready."""
    tenant.apply_secrets()
    tenant.apply_connection()
    names = [f"flow-{number:02}" for number in range(count)]
    for name in names:
        tenant.apply_dataflow(name)
    for name in names:
        tenant.cluster.wait_ready(DATAFLOW, name, tenant.namespace, seconds=60)
    return names


def lose(tenant: Tenant, names: list[str]) -> None:
    """Somebody deletes the flows of these dataflows at once: no poll sees a part of it."""
    dataflows = [tenant.cluster.get(DATAFLOW, name, tenant.namespace) for name in names]
    flows = ",".join(dataflow["status"]["flow"]["id"] for dataflow in dataflows)
    tenant.control.delete(f"/aep/sandboxes/prod/flows/{flows}")


def test_a_mass_deletion_waits_for_a_person(tenant: Tenant) -> None:
    names = many(tenant, 8)
    lose(tenant, names[:6])

    def stalled(name: str) -> bool:
        ready = condition(tenant.cluster.get(DATAFLOW, name, tenant.namespace), "Ready")
        return ready is not None and ready["reason"] == "MassDeletion"

    until(lambda: all(map(stalled, names[:6])), seconds=30)
    assert len(tenant.held("flows")) == 2

    tenant.cluster.annotate(CONNECTION, manifests.CONNECTION, tenant.namespace, accept_loss="ticket-4711")
    for name in names[:6]:
        tenant.cluster.annotate(DATAFLOW, name, tenant.namespace, reconcile_requested_at="now")
    until(lambda: len(tenant.held("flows")) == 8, seconds=30)
    for name in names:
        tenant.cluster.wait_ready(DATAFLOW, name, tenant.namespace)


def test_a_few_losses_are_simply_repaired(tenant: Tenant) -> None:
    names = many(tenant, 8)
    lose(tenant, names[:3])
    until(lambda: len(tenant.held("flows")) == 8, seconds=30)
    for name in names:
        tenant.cluster.wait_ready(DATAFLOW, name, tenant.namespace)


def test_a_sandbox_reset_is_recognized_and_filled_again(tenant: Tenant) -> None:
    names = many(tenant, 7)
    tenant.control.advance(5)
    tenant.control.post("/aep/sandboxes/prod/reset", reseed=True)
    until(lambda: len(tenant.held("flows")) == 7, seconds=40)
    for name in names:
        ready = tenant.cluster.wait_ready(DATAFLOW, name, tenant.namespace, seconds=30)
        assert "gap" not in ready["status"]
    assert {str(flow["scheduleParams"]["backfill"]).lower() for flow in tenant.held("flows")} == {"true"}
    assert len(tenant.held("connections")) == 1


def test_orphans_are_told_and_left(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    tenant.cluster.patch(
        DATAFLOW, tenant.name_of(DATAFLOW), tenant.namespace, {"metadata": {"finalizers": None}}
    )
    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    # The installation has to know another resource of the scope, to tell its own keys from others'.
    tenant.operator.start()
    tenant.control.advance(61)
    until(lambda: tenant.metric("crmflow_orphans", sandbox="prod") == 3)
    until(lambda: len(reasons(tenant, "OrphanFound")) == 3)
    assert tenant.counts() == ONE_OF_EACH


def test_one_polls_cost_is_a_metric(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.wait_polls(2)
    listings = len(LISTED)
    assert tenant.metric("crmflow_inventory_poll_calls", sandbox="prod") == listings
    assert tenant.metric("crmflow_inventory_poll_pages", sandbox="prod") == listings
    assert tenant.metric("crmflow_inventory_poll_wakes", sandbox="prod") == 0


def edit_remote(tenant: Tenant, collection: str, remote_id: str, **body: Any) -> None:
    """Somebody edits an object in Platform."""
    tenant.control.patch(f"/aep/sandboxes/prod/{collection}/{remote_id}", body=body)
