"""What happens to resources after they are Ready: edits, pauses, restarts, lost answers, ways to an end."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.cluster.support import manifests
from tests.cluster.support.cluster import condition
from tests.cluster.support.world import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, World


def test_names_and_descriptions_are_changed_in_place(world: World) -> None:
    world.make_ready()
    ids = {collection: world.held(collection)[0]["id"] for collection in ONE_OF_EACH}

    world.edit(CONNECTION, displayName="Zoho, new", description="Owned by the CRM team.")
    world.edit(DATAFLOW, displayName="People", description="Owned by the CRM team.")
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)

    assert {collection: world.held(collection)[0]["id"] for collection in ONE_OF_EACH} == ids
    assert world.held("connections")[0]["name"].startswith("Zoho new [crmflow:")
    for collection in ("sourceConnections", "targetConnections", "flows"):
        (held,) = world.held(collection)
        assert held["name"].startswith("People [crmflow:")
        assert held["description"].startswith("Owned by the CRM team.\nmanaged by crmflow test ")


def test_a_flow_is_disabled_and_enabled(world: World) -> None:
    world.make_ready(ingestion={"enabled": False})
    assert world.held("flows")[0]["state"] == "disabled"

    world.edit(DATAFLOW, ingestion={"enabled": True})
    world.wait_ready(DATAFLOW)
    assert world.held("flows")[0]["state"] == "enabled"

    world.edit(DATAFLOW, ingestion={"enabled": False})
    world.wait_ready(DATAFLOW)
    assert world.held("flows")[0]["state"] == "disabled"
    assert len(world.held("flows")) == 1


def test_paused_resources_touch_nothing(world: World) -> None:
    mark = world.mark()
    world.apply_secrets()
    world.apply_connection(paused=True)
    world.apply_dataflow(paused=True)
    world.wait_reason(CONNECTION, "Ready", "Paused")
    world.wait_reason(DATAFLOW, "Ready", "Paused")
    assert world.calls_since(mark) == []
    assert world.counts() == NOTHING

    world.edit(CONNECTION, paused=False)
    world.edit(DATAFLOW, paused=False)
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)


def test_a_paused_resource_stays_ready_until_it_is_edited(world: World) -> None:
    world.make_ready()
    world.edit(DATAFLOW, paused=True)
    paused = world.wait_reason(DATAFLOW, "Ready", "Paused")
    assert paused["status"]["observedGeneration"] < paused["metadata"]["generation"]
    mark = world.mark()
    world.edit(DATAFLOW, displayName="Not to be seen")
    world.wait_reason(DATAFLOW, "Ready", "Paused")
    assert world.calls_beside_polls(mark) == []  # the connection goes on, and with it the polls

    world.delete(DATAFLOW)
    world.wait_gone(DATAFLOW)
    assert world.counts() == {**NOTHING, "connections": 1}


def test_orphaned_objects_stay_without_our_key(world: World) -> None:
    world.make_ready()
    world.edit(CONNECTION, deletionPolicy="Orphan")
    world.edit(DATAFLOW, deletionPolicy="Orphan")
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)

    world.delete(DATAFLOW)
    world.delete(CONNECTION)
    world.wait_gone(DATAFLOW)
    world.wait_gone(CONNECTION)
    assert world.counts() == ONE_OF_EACH
    for collection in ONE_OF_EACH:
        assert "crmflow" not in world.held(collection)[0]["name"]
        assert "managed by" not in world.held(collection)[0].get("description", "")


def test_an_orphan_that_nobody_heard_of_loses_our_key_too(world: World) -> None:
    """The answer to a create was lost, and the listings do not show yet what it made."""
    world.apply_secrets()
    world.apply_connection()
    world.wait_ready(CONNECTION)
    world.control.switch("aep", indexLagSeconds=20)
    world.control.fault(service="platform", method="POST", path="/flows$", reset="after")
    world.apply_dataflow(deletionPolicy="Orphan")
    world.wait_reason(DATAFLOW, "Synced", "CreatePending")
    world.delete(DATAFLOW)
    world.cluster.wait(
        DATAFLOW,
        manifests.DATAFLOW,
        world.namespace,
        lambda obj: "deletionTimestamp" in obj["metadata"],
        what="deletion",
    )
    assert "crmflow:" in world.held("flows")[0]["name"]
    world.control.advance(25)
    world.wait_gone(DATAFLOW)
    for collection in ("flows", "sourceConnections", "targetConnections"):
        assert [held["name"] for held in world.held(collection)] == ["Contacts of Zoho CRM"]


def test_orphan_is_the_way_out_of_a_deletion_without_credentials(world: World) -> None:
    world.make_ready()
    world.operator.stop()
    world.cluster.delete("Secret", manifests.PLATFORM_SECRET, world.namespace)
    world.control.advance(24 * 3600.0)  # the last token has ended, too
    world.operator.start()
    world.delete(DATAFLOW)
    stuck = world.wait_reason(DATAFLOW, "Ready", "CredentialsMissing")
    assert "deletionPolicy to Orphan" in condition(stuck, "Ready")["message"]

    world.edit(DATAFLOW, deletionPolicy="Orphan")
    world.wait_gone(DATAFLOW)
    world.delete(CONNECTION)
    world.wait_reason(CONNECTION, "Ready", "CredentialsMissing")
    world.control.delete(f"/aep/sandboxes/prod/flows/{world.held('flows')[0]['id']}")
    world.apply_secrets()
    world.wait_gone(CONNECTION)


def test_a_base_connection_that_others_use_is_kept_until_they_are_gone(world: World) -> None:
    world.make_ready()
    world.edit(DATAFLOW, deletionPolicy="Orphan")
    world.wait_ready(DATAFLOW)
    world.delete(DATAFLOW)
    world.wait_gone(DATAFLOW)

    world.delete(CONNECTION)
    held = world.wait_reason(CONNECTION, "Ready", "InUse")
    assert "Orphan" in condition(held, "Ready")["message"]
    assert len(world.held("connections")) == 1
    world.control.delete(f"/aep/sandboxes/prod/flows/{world.held('flows')[0]['id']}")
    world.wait_gone(CONNECTION)
    assert world.held("connections") == []


def test_sigterm_in_the_middle_loses_nothing(world: World) -> None:
    """The operator is told to stop while Platform takes its time over the source connection."""
    world.apply_secrets()
    world.control.fault(
        service="platform", method="POST", path="/(source|target)Connections$", times=2, delay=2
    )
    world.apply_connection()
    world.apply_dataflow()
    _until(lambda: world.metric("crmflow_remote_calls_total", operation="mappingSets.create") == 1)
    assert world.operator.stop() == 0

    stopped = world.get(DATAFLOW)["status"]
    assert world.held("sourceConnections")[0]["id"] == stopped["sourceConnectionId"]
    world.operator.start()
    world.wait_ready(DATAFLOW)
    assert world.counts() == ONE_OF_EACH


@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "targetConnections", "flows"])
def test_a_lost_answer_to_a_create_makes_no_second_object(world: World, collection: str) -> None:
    world.control.fault(service="platform", method="POST", path=f"/{collection}$", reset="after")
    world.make_ready()
    assert world.counts() == ONE_OF_EACH


@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "targetConnections", "flows"])
def test_a_create_that_never_arrived_is_made_after_the_grace(world: World, collection: str) -> None:
    world.control.fault(service="platform", method="POST", path=f"/{collection}$", reset="before")
    world.apply_secrets()
    world.apply_connection()
    world.apply_dataflow()
    kind = CONNECTION if collection == "connections" else DATAFLOW
    world.wait_reason(kind, "Synced", "CreatePending")
    world.control.advance(61)
    world.wait_ready(CONNECTION)
    world.wait_ready(DATAFLOW)
    assert world.counts() == ONE_OF_EACH


def test_an_outage_does_not_take_ready_away_at_once(world: World) -> None:
    world.make_ready()
    world.control.fault(service="platform", path="/flows/", times=None, status=503)
    world.cluster.annotate(DATAFLOW, manifests.DATAFLOW, world.namespace, reconcile_requested_at="now")
    failures = "crmflow_reconcile_total"
    _until(lambda: world.metric(failures, kind=DATAFLOW, outcome="Transient") >= 2)
    assert condition(world.get(DATAFLOW), "Ready")["status"] == "True"

    world.control.advance(301)
    world.control.advance(301)
    lost = world.wait_reason(DATAFLOW, "Ready", "ProgressingWithRetry")
    assert condition(lost, "Synced")["reason"] == "Unavailable"

    world.control.delete("/faults")
    world.control.advance(301)
    world.wait_ready(DATAFLOW)


def test_a_restart_changes_nothing(world: World) -> None:
    world.make_ready()
    before = world.get(CONNECTION), world.get(DATAFLOW)
    mark = world.mark()
    world.operator.restart()
    for kind in (CONNECTION, DATAFLOW):
        _until(lambda kind=kind: world.metric("crmflow_reconcile_total", kind=kind, outcome="Done") >= 1)
    world.wait_polls(2)

    assert (world.get(CONNECTION), world.get(DATAFLOW)) == before
    changes = [
        call for call in world.calls_since(mark) if call["method"] != "GET" and call["service"] == "platform"
    ]
    assert changes == []


@pytest.mark.parametrize("kind", [CONNECTION, DATAFLOW])
def test_a_request_has_everything_checked_at_once_and_is_echoed(world: World, kind: str) -> None:
    world.make_ready()
    mark = world.mark()
    world.request(kind, "ticket 4711")
    world.wait_answer(kind, "ticket 4711")
    reads = {call["path"].rsplit("/", 2)[-2] for call in world.calls_since(mark) if call["method"] == "GET"}
    checked = {"connections"} if kind == CONNECTION else {"flows", "sourceConnections", "targetConnections"}
    assert checked <= reads
    world.wait_ready(kind)


def test_a_paused_resource_answers_a_request_once_it_is_resumed(world: World) -> None:
    world.make_ready()
    world.edit(DATAFLOW, paused=True)
    world.wait_reason(DATAFLOW, "Ready", "Paused")
    world.request(DATAFLOW, "one")
    world.request(CONNECTION, "one")
    world.wait_answer(CONNECTION, "one")
    assert "lastHandledReconcileAt" not in world.get(DATAFLOW)["status"]
    world.edit(DATAFLOW, paused=False)
    world.wait_answer(DATAFLOW, "one")


def _until(met: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)
