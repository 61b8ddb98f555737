"""The main job: two Secrets and two manifests in, both Ready, and exactly what they describe in Platform."""

from __future__ import annotations

import time

from tests.kit.cluster import condition
from tests.kit.tenant import CONNECTION, DATAFLOW, LISTED, NOTHING, ONE_OF_EACH, Tenant
from tests.kit.waiting import until


def test_both_become_ready_within_seconds(tenant: Tenant) -> None:
    begun = time.monotonic()
    tenant.make_ready()
    assert time.monotonic() - begun < 10


def test_platform_holds_what_the_manifests_describe(tenant: Tenant) -> None:
    tenant.make_ready()

    assert tenant.counts() == ONE_OF_EACH
    (base,) = tenant.held("connections")
    (source,) = tenant.held("sourceConnections")
    (target,) = tenant.held("targetConnections")
    (flow,) = tenant.held("flows")
    spec = tenant.get(DATAFLOW)["spec"]
    assert base["name"].startswith("Zoho CRM Europe [crmflow:test:")
    assert base["auth"]["params"]["accountsUrl"] == "https://accounts.zoho.eu"
    assert base["auth"]["params"]["endpoint"] == "crm.zoho.eu/crm/private"
    assert source["baseConnectionId"] == base["id"]
    assert source["params"]["tableName"] == "Contacts"
    assert [column["name"] for column in source["params"]["columns"]] == spec["source"]["columns"]
    assert target["params"]["dataSetId"] == spec["target"]["dataset"]["id"]
    assert target["data"]["schema"]["id"] == spec["target"]["schema"]["id"]
    assert flow["sourceConnectionIds"] == [source["id"]]
    assert flow["targetConnectionIds"] == [target["id"]]
    assert flow["state"] == "enabled"
    transformations = {entry["name"]: entry["params"] for entry in flow["transformations"]}
    assert transformations["Copy"]["deltaColumn"]["name"] == "Modified_Time"
    (mappings,) = [
        held for held in tenant.held("mappingSets") if held["id"] == transformations["Mapping"]["mappingId"]
    ]
    assert len(mappings["mappings"]) == len(spec["mapping"])


def test_status_names_what_was_made(tenant: Tenant) -> None:
    tenant.make_ready()

    connection, dataflow = tenant.get(CONNECTION)["status"], tenant.get(DATAFLOW)["status"]
    assert connection["baseConnection"]["id"] == tenant.held("connections")[0]["id"]
    assert connection["zohoOrganization"]["type"] == "production"
    assert connection["tables"] > 5
    assert dataflow["flow"].items() >= {"id": tenant.held("flows")[0]["id"], "state": "enabled"}.items()
    assert dataflow["columns"] == ["Email", "First_Name", "Last_Name", "Modified_Time"]
    assert dataflow["deletionPolicy"] == "Delete"
    assert "intents" not in dataflow
    assert "intents" not in connection


def test_a_new_resource_costs_few_writes(tenant: Tenant) -> None:
    """Finalizer, first status, intents, final status; one more for each wait it meets."""
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)
    tenant.apply_dataflow()
    tenant.wait_ready(DATAFLOW)

    def writes(kind: str) -> float:
        return sum(
            tenant.metric("crmflow_kubernetes_writes_total", kind=kind, write=w)
            for w in ("status", "finalizer")
        )

    assert writes(CONNECTION) <= 4
    waits = tenant.metric("crmflow_reconcile_total", kind=DATAFLOW, outcome="Waiting")
    assert writes(DATAFLOW) <= 4 + waits


def test_a_converged_world_is_left_alone(tenant: Tenant) -> None:
    tenant.make_ready()
    before = tenant.get(CONNECTION), tenant.get(DATAFLOW)
    mark = tenant.mark()
    tenant.wait_polls(3)

    assert (tenant.get(CONNECTION), tenant.get(DATAFLOW)) == before
    calls = {(call["method"], call["path"].rsplit("/", 1)[-1]) for call in tenant.calls_since(mark)}
    assert calls == {("GET", collection) for collection in LISTED}


def test_the_last_run_shows(tenant: Tenant) -> None:
    tenant.make_ready()
    flow = tenant.held("flows")[0]["id"]
    assert condition(tenant.get(DATAFLOW), "RunsHealthy")["reason"] == "NoRunYet"

    tenant.control.post("/aep/runs", flowId=flow)
    healthy = tenant.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")
    assert healthy["status"]["lastRun"]["state"] == "success"
    assert healthy["status"]["lastRun"]["completionTime"]

    tenant.control.post("/aep/runs", flowId=flow, state="failed")
    failed = tenant.wait_reason(DATAFLOW, "RunsHealthy", "Failed")
    assert condition(failed, "Ready")["status"] == "True"


def test_events_tell_what_was_made(tenant: Tenant) -> None:
    tenant.make_ready()

    def reasons() -> list[tuple[str, str]]:
        events = tenant.cluster.list("Event", tenant.namespace)
        return sorted((event["regarding"]["kind"], event["reason"]) for event in events)

    until(lambda: reasons() == [(DATAFLOW, "Created"), (CONNECTION, "Created")])


def test_one_refresh_serves_all_that_share_a_credential(tenant: Tenant) -> None:
    tenant.make_ready()
    for number in range(5):
        tenant.cluster.apply(
            {
                **tenant.get(CONNECTION),
                "metadata": {"name": f"more-{number}", "namespace": tenant.namespace},
                "status": None,
            }
        )
    for number in range(5):
        tenant.cluster.wait_ready(CONNECTION, f"more-{number}", tenant.namespace)

    assert tenant.metric("crmflow_remote_calls_total", service="ZohoAccounts") == 1
    assert tenant.metric("crmflow_remote_calls_total", service="IMS") == 1


def test_delete_leaves_nothing(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.delete(CONNECTION)
    held = tenant.wait_reason(CONNECTION, "Ready", "InUse")
    assert "contacts" in condition(held, "Ready")["message"]
    assert tenant.counts() == ONE_OF_EACH

    tenant.delete(DATAFLOW)
    tenant.wait_gone(DATAFLOW)
    tenant.wait_gone(CONNECTION)
    assert tenant.counts() == NOTHING
