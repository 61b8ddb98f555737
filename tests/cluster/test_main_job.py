"""The main job: two Secrets and two manifests in, both Ready, and exactly what they describe in Platform."""

from __future__ import annotations

import time

from tests.cluster.support.cluster import condition
from tests.cluster.support.world import CONNECTION, DATAFLOW, LISTED, NOTHING, ONE_OF_EACH, World


def test_both_become_ready_within_seconds(world: World) -> None:
    begun = time.monotonic()
    world.make_ready()
    assert time.monotonic() - begun < 10


def test_platform_holds_what_the_manifests_describe(world: World) -> None:
    world.make_ready()

    assert world.counts() == ONE_OF_EACH
    (base,) = world.held("connections")
    (source,) = world.held("sourceConnections")
    (target,) = world.held("targetConnections")
    (flow,) = world.held("flows")
    spec = world.get(DATAFLOW)["spec"]
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
        held for held in world.held("mappingSets") if held["id"] == transformations["Mapping"]["mappingId"]
    ]
    assert len(mappings["mappings"]) == len(spec["mapping"])


def test_status_names_what_was_made(world: World) -> None:
    world.make_ready()

    connection, dataflow = world.get(CONNECTION)["status"], world.get(DATAFLOW)["status"]
    assert connection["baseConnection"]["id"] == world.held("connections")[0]["id"]
    assert connection["zohoOrganization"]["type"] == "production"
    assert connection["tables"] > 5
    assert dataflow["flow"].items() >= {"id": world.held("flows")[0]["id"], "state": "enabled"}.items()
    assert dataflow["columns"] == ["Email", "First_Name", "Last_Name", "Modified_Time"]
    assert dataflow["deletionPolicy"] == "Delete"
    assert "intents" not in dataflow
    assert "intents" not in connection


def test_a_new_resource_costs_few_writes(world: World) -> None:
    """Finalizer, first status, intents, final status; one more for each wait it meets."""
    world.apply_secrets()
    world.apply_connection()
    # Else the dataflow may wait for the connection to be there, and then for it to be Ready.
    world.cluster.wait(
        CONNECTION, world.name_of(CONNECTION), world.namespace, lambda obj: "status" in obj, what="status"
    )
    world.apply_dataflow()
    world.wait_ready(DATAFLOW)

    def writes(kind: str) -> float:
        return sum(
            world.metric("crmflow_kubernetes_writes_total", kind=kind, write=w)
            for w in ("status", "finalizer")
        )

    assert writes(CONNECTION) <= 4
    waits = 2  # for the connection, and for the flow to be enabled
    assert writes(DATAFLOW) <= 4 + waits


def test_a_converged_world_is_left_alone(world: World) -> None:
    world.make_ready()
    before = world.get(CONNECTION), world.get(DATAFLOW)
    mark = world.mark()
    world.wait_polls(3)

    assert (world.get(CONNECTION), world.get(DATAFLOW)) == before
    calls = {(call["method"], call["path"].rsplit("/", 1)[-1]) for call in world.calls_since(mark)}
    assert calls == {("GET", collection) for collection in LISTED}


def test_the_last_run_shows(world: World) -> None:
    world.make_ready()
    flow = world.held("flows")[0]["id"]
    assert condition(world.get(DATAFLOW), "RunsHealthy")["reason"] == "NoRunYet"

    world.control.post("/aep/runs", flowId=flow)
    healthy = world.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")
    assert healthy["status"]["lastRun"]["state"] == "success"
    assert healthy["status"]["lastRun"]["completionTime"]

    world.control.post("/aep/runs", flowId=flow, state="failed")
    failed = world.wait_reason(DATAFLOW, "RunsHealthy", "Failed")
    assert condition(failed, "Ready")["status"] == "True"


def test_events_tell_what_was_made(world: World) -> None:
    world.make_ready()

    def reasons() -> list[tuple[str, str]]:
        events = world.cluster.list("Event", world.namespace)
        return sorted((event["regarding"]["kind"], event["reason"]) for event in events)

    _until(lambda: reasons() == [(DATAFLOW, "Created"), (CONNECTION, "Created")])


def test_one_refresh_serves_all_that_share_a_credential(world: World) -> None:
    world.make_ready()
    for number in range(5):
        world.cluster.apply(
            {
                **world.get(CONNECTION),
                "metadata": {"name": f"more-{number}", "namespace": world.namespace},
                "status": None,
            }
        )
    for number in range(5):
        world.cluster.wait_ready(CONNECTION, f"more-{number}", world.namespace)

    assert world.metric("crmflow_remote_calls_total", service="ZohoAccounts") == 1
    assert world.metric("crmflow_remote_calls_total", service="IMS") == 1


def test_delete_leaves_nothing(world: World) -> None:
    world.make_ready()
    world.delete(CONNECTION)
    held = world.wait_reason(CONNECTION, "Ready", "InUse")
    assert "contacts" in condition(held, "Ready")["message"]
    assert world.counts() == ONE_OF_EACH

    world.delete(DATAFLOW)
    world.wait_gone(DATAFLOW)
    world.wait_gone(CONNECTION)
    assert world.counts() == NOTHING


def _until(met: object, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not met():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)
