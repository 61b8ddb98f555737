"""What happens to resources after they are Ready: edits, pauses, restarts, lost answers, ways to an end."""

from __future__ import annotations

import pytest

from tests.kit import manifests
from tests.kit.cluster import condition
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, Tenant
from tests.kit.waiting import until


def test_names_and_descriptions_are_changed_in_place(tenant: Tenant) -> None:
    tenant.make_ready()
    ids = {collection: tenant.held(collection)[0]["id"] for collection in ONE_OF_EACH}

    tenant.edit(CONNECTION, displayName="Zoho, new", description="Owned by the CRM team.")
    tenant.edit(DATAFLOW, displayName="People", description="Owned by the CRM team.")
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)

    assert {collection: tenant.held(collection)[0]["id"] for collection in ONE_OF_EACH} == ids
    assert tenant.held("connections")[0]["name"].startswith("Zoho new [crmflow:")
    for collection in ("sourceConnections", "targetConnections", "flows"):
        (held,) = tenant.held(collection)
        assert held["name"].startswith("People [crmflow:")
        assert held["description"].startswith("Owned by the CRM team.\nmanaged by crmflow test ")


def test_a_flow_is_disabled_and_enabled(tenant: Tenant) -> None:
    tenant.make_ready(ingestion={"enabled": False})
    assert tenant.held("flows")[0]["state"] == "disabled"

    tenant.edit(DATAFLOW, ingestion={"enabled": True})
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("flows")[0]["state"] == "enabled"

    tenant.edit(DATAFLOW, ingestion={"enabled": False})
    tenant.wait_ready(DATAFLOW)
    assert tenant.held("flows")[0]["state"] == "disabled"
    assert len(tenant.held("flows")) == 1


def test_paused_resources_touch_nothing(tenant: Tenant) -> None:
    mark = tenant.mark()
    tenant.apply_secrets()
    tenant.apply_connection(paused=True)
    tenant.apply_dataflow(paused=True)
    tenant.wait_reason(CONNECTION, "Ready", "Paused")
    tenant.wait_reason(DATAFLOW, "Ready", "Paused")
    assert tenant.calls_since(mark) == []
    assert tenant.counts() == NOTHING

    tenant.edit(CONNECTION, paused=False)
    tenant.edit(DATAFLOW, paused=False)
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)


def test_a_paused_resource_stays_ready_until_it_is_edited(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.edit(DATAFLOW, paused=True)
    paused = tenant.wait_reason(DATAFLOW, "Ready", "Paused")
    assert paused["status"]["observedGeneration"] < paused["metadata"]["generation"]
    mark = tenant.mark()
    tenant.edit(DATAFLOW, displayName="Not to be seen")
    tenant.wait_reason(DATAFLOW, "Ready", "Paused")
    assert tenant.calls_beside_polls(mark) == []  # the connection goes on, and with it the polls

    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    assert tenant.counts() == {**NOTHING, "connections": 1}


def test_orphaned_objects_stay_without_our_key(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.edit(CONNECTION, deletionPolicy="Orphan")
    tenant.edit(DATAFLOW, deletionPolicy="Orphan")
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)

    tenant.delete(DATAFLOW)
    tenant.delete(CONNECTION)
    tenant.wait_gone(DATAFLOW)
    tenant.wait_gone(CONNECTION)
    assert tenant.counts() == ONE_OF_EACH
    for collection in ONE_OF_EACH:
        assert "crmflow" not in tenant.held(collection)[0]["name"]
        assert "managed by" not in tenant.held(collection)[0].get("description", "")


def test_an_orphan_that_nobody_heard_of_loses_our_key_too(tenant: Tenant) -> None:
    """The answer to a create was lost, and the listings do not show yet what it made."""
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)
    tenant.control.switch("aep", indexLagSeconds=20)
    tenant.control.fault(service="platform", method="POST", path="/flows$", reset="after")
    tenant.apply_dataflow(deletionPolicy="Orphan")
    tenant.wait_reason(DATAFLOW, "Synced", "CreatePending")
    tenant.delete(DATAFLOW)
    tenant.cluster.wait(
        DATAFLOW,
        manifests.DATAFLOW,
        tenant.namespace,
        lambda obj: "deletionTimestamp" in obj["metadata"],
        what="deletion",
    )
    assert "crmflow:" in tenant.held("flows")[0]["name"]
    tenant.control.advance(25)
    tenant.wait_gone(DATAFLOW)
    for collection in ("flows", "sourceConnections", "targetConnections"):
        assert [held["name"] for held in tenant.held(collection)] == ["Contacts of Zoho CRM"]


def test_orphan_is_the_way_out_of_a_deletion_without_credentials(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    tenant.cluster.delete("Secret", manifests.PLATFORM_SECRET, tenant.namespace)
    tenant.control.advance(24 * 3600.0)  # the last token has ended, too
    tenant.operator.start()
    tenant.delete(DATAFLOW)
    stuck = tenant.wait_reason(DATAFLOW, "Ready", "CredentialsMissing")
    assert "deletionPolicy to Orphan" in condition(stuck, "Ready")["message"]

    tenant.edit(DATAFLOW, deletionPolicy="Orphan")
    tenant.wait_gone(DATAFLOW)
    tenant.delete(CONNECTION)
    tenant.wait_reason(CONNECTION, "Ready", "CredentialsMissing")
    tenant.control.delete(f"/aep/sandboxes/prod/flows/{tenant.held('flows')[0]['id']}")
    tenant.apply_secrets()
    tenant.wait_gone(CONNECTION)


def test_a_base_connection_that_others_use_is_kept_until_they_are_gone(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.edit(DATAFLOW, deletionPolicy="Orphan")
    tenant.wait_ready(DATAFLOW)
    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)

    tenant.delete(CONNECTION)
    held = tenant.wait_reason(CONNECTION, "Ready", "InUse")
    assert "Orphan" in condition(held, "Ready")["message"]
    assert len(tenant.held("connections")) == 1
    tenant.control.delete(f"/aep/sandboxes/prod/flows/{tenant.held('flows')[0]['id']}")
    tenant.wait_gone(CONNECTION)
    assert tenant.held("connections") == []


def test_sigterm_in_the_middle_loses_nothing(tenant: Tenant) -> None:
    """The operator is told to stop while Platform takes its time over the source connection."""
    tenant.apply_secrets()
    tenant.control.fault(
        service="platform", method="POST", path="/(source|target)Connections$", times=2, delay=2
    )
    tenant.apply_connection()
    tenant.apply_dataflow()
    until(lambda: tenant.metric("crmflow_remote_calls_total", operation="mappingSets.create") == 1)
    assert tenant.operator.stop() == 0

    stopped = tenant.get(DATAFLOW)["status"]
    assert tenant.held("sourceConnections")[0]["id"] == stopped["sourceConnectionId"]
    tenant.operator.start()
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == ONE_OF_EACH


@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "targetConnections", "flows"])
def test_a_lost_answer_to_a_create_makes_no_second_object(tenant: Tenant, collection: str) -> None:
    tenant.control.fault(service="platform", method="POST", path=f"/{collection}$", reset="after")
    tenant.make_ready()
    assert tenant.counts() == ONE_OF_EACH


@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "targetConnections", "flows"])
def test_a_create_that_never_arrived_is_made_after_the_grace(tenant: Tenant, collection: str) -> None:
    tenant.control.fault(service="platform", method="POST", path=f"/{collection}$", reset="before")
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.apply_dataflow()
    kind = CONNECTION if collection == "connections" else DATAFLOW
    tenant.wait_reason(kind, "Synced", "CreatePending")
    tenant.control.advance(61)
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == ONE_OF_EACH


def test_an_outage_does_not_take_ready_away_at_once(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.fault(service="platform", path="/flows/", times=None, status=503)
    tenant.cluster.annotate(DATAFLOW, manifests.DATAFLOW, tenant.namespace, reconcile_requested_at="now")
    failures = "crmflow_reconcile_total"
    until(lambda: tenant.metric(failures, kind=DATAFLOW, outcome="Transient") >= 2)
    assert condition(tenant.get(DATAFLOW), "Ready")["status"] == "True"

    tenant.control.advance(301)
    tenant.control.advance(301)
    lost = tenant.wait_reason(DATAFLOW, "Ready", "ProgressingWithRetry")
    assert condition(lost, "Synced")["reason"] == "Unavailable"

    tenant.control.delete("/faults")
    tenant.control.advance(301)
    tenant.wait_ready(DATAFLOW)


def test_a_restart_changes_nothing(tenant: Tenant) -> None:
    tenant.make_ready()
    before = tenant.get(CONNECTION), tenant.get(DATAFLOW)
    mark = tenant.mark()
    tenant.operator.restart()
    for kind in (CONNECTION, DATAFLOW):
        until(lambda kind=kind: tenant.metric("crmflow_reconcile_total", kind=kind, outcome="Done") >= 1)
    tenant.wait_polls(2)

    assert (tenant.get(CONNECTION), tenant.get(DATAFLOW)) == before
    changes = [
        call for call in tenant.calls_since(mark) if call["method"] != "GET" and call["service"] == "platform"
    ]
    assert changes == []


@pytest.mark.parametrize("kind", [CONNECTION, DATAFLOW])
def test_a_request_has_everything_checked_at_once_and_is_echoed(tenant: Tenant, kind: str) -> None:
    tenant.make_ready()
    mark = tenant.mark()
    tenant.request(kind, "ticket 4711")
    tenant.wait_answer(kind, "ticket 4711")
    reads = {call["path"].rsplit("/", 2)[-2] for call in tenant.calls_since(mark) if call["method"] == "GET"}
    checked = {"connections"} if kind == CONNECTION else {"flows", "sourceConnections", "targetConnections"}
    assert checked <= reads
    tenant.wait_ready(kind)


def test_a_paused_resource_answers_a_request_once_it_is_resumed(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.edit(DATAFLOW, paused=True)
    tenant.wait_reason(DATAFLOW, "Ready", "Paused")
    tenant.request(DATAFLOW, "one")
    tenant.request(CONNECTION, "one")
    tenant.wait_answer(CONNECTION, "one")
    assert "lastHandledReconcileAt" not in tenant.get(DATAFLOW)["status"]
    tenant.edit(DATAFLOW, paused=False)
    tenant.wait_answer(DATAFLOW, "one")
