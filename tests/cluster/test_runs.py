"""The last run in status, and whether the flow runs as its schedule says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.cluster import condition
from tests.kit.tenant import DATAFLOW, LISTED, Tenant
from tests.kit.waiting import until


def finish(tenant: Tenant, state: str = "success", **outcome: Any) -> str:
    """A run of the only flow; its id."""
    made = tenant.control.post("/aep/runs", flowId=tenant.held("flows")[0]["id"], state=state, **outcome)
    return str(made["id"])


def shows(tenant: Tenant, run: str) -> dict[str, Any]:
    """The last run in status, once it is this one and has ended."""

    def told(obj: Any) -> bool:
        last = obj["status"].get("lastRun", {})
        return last.get("id") == run and "records" in last

    obj = tenant.cluster.wait(DATAFLOW, tenant.name_of(DATAFLOW), tenant.namespace, told, what=f"run {run}")
    last: dict[str, Any] = obj["status"]["lastRun"]
    return last


@pytest.mark.parametrize("spelling", ["lower", "title", "upper", "other"])
@pytest.mark.parametrize("details", ["shown", "absent"])
def test_every_end_in_every_spelling(tenant: Tenant, spelling: str, details: str) -> None:
    tenant.control.switch("aep", runStatusSpelling=spelling, lastRunDetails=details)
    tenant.make_ready()
    ends = [
        ("inProgress", {}, "Unknown", "Running", "inProgress"),
        ("success", {}, "True", "Succeeded", "success"),
        ("partial", {"inputRecordCount": 100}, "False", "PartiallySucceeded", "partialSuccess"),
        ("success", {"inputRecordCount": 0}, "True", "NothingIngested", "success"),
        (
            "success",
            {"inputRecordCount": 150, "errors": [{"code": "MAPPER-3700-400", "message": "x" * 5000}]},
            "False",
            "SucceededWithWarnings",
            "success",
        ),
        ("success", {"inputRecordCount": 7, "skippedRecordCount": 7}, "False", "NothingIngested", "success"),
        ("failed", {}, "False", "Failed", "failed"),
    ]
    for state, outcome, status, reason, shown in ends:
        tenant.control.advance(60)
        run = finish(tenant, state, **outcome)
        obj = tenant.wait_reason(DATAFLOW, "RunsHealthy", reason, status)
        until(lambda run=run: tenant.get(DATAFLOW)["status"]["lastRun"]["id"] == run)  # type: ignore[misc]
        assert tenant.get(DATAFLOW)["status"]["lastRun"]["state"] == shown
        assert condition(obj, "Ready")["status"] == "True"

    def told() -> list[str]:
        return [event["reason"] for event in tenant.cluster.list("Event", tenant.namespace)]

    until(lambda: "RunFailed" in told())  # an event follows the status that it tells of
    assert told().count("RunFailed") == told().count("RunPartiallySucceeded") == 1


def test_counts_bytes_and_errors_are_in_status(tenant: Tenant) -> None:
    tenant.make_ready()
    secret = tenant.emulators.info["zoho"]["refreshToken"]
    run = finish(
        tenant,
        "partial",
        inputRecordCount=5_000_000_000,
        outputRecordCount=4_999_999_990,
        skippedRecordCount=3,
        failedRecordCount=7,
        inputBytes=10_000_000_000,
        outputBytes=-1,
        errors=[{"code": "INGEST-1555-400", "message": f"<b>Missing</b> {secret}"}],
    )
    last = shows(tenant, run)
    assert last["records"] == {"read": 5_000_000_000, "written": 4_999_999_990, "skipped": 3, "failed": 7}
    assert last["bytes"] == {"read": 10_000_000_000}
    assert last["errors"] == [{"code": "INGEST-1555-400", "message": "Missing ***"}]
    assert last["startTime"] < last["completionTime"]


@pytest.mark.parametrize("details", ["shown", "absent"])
def test_a_restart_loses_no_run_and_writes_none_again(tenant: Tenant, details: str) -> None:
    tenant.control.switch("aep", lastRunDetails=details)
    tenant.make_ready()
    shows(tenant, finish(tenant))
    before = tenant.get(DATAFLOW)
    tenant.operator.restart()
    tenant.wait_polls(3)
    assert tenant.get(DATAFLOW) == before

    open_run = finish(tenant, "inProgress")
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "Running", "Unknown")
    tenant.operator.stop()
    tenant.control.advance(3 * 3600)
    tenant.control.post("/aep/runs", runId=open_run, state="failed")
    tenant.operator.start()
    assert shows(tenant, open_run)["state"] == "failed"

    tenant.operator.stop()
    missed = finish(tenant)
    tenant.control.advance(2 * 86400)
    tenant.operator.start()
    shows(tenant, missed)


def test_a_run_costs_no_call_beside_the_listings(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.wait_polls(2)
    mark = tenant.mark()
    run = finish(tenant)
    shows(tenant, run)
    tenant.wait_polls(2)
    calls = {(call["method"], call["path"].rsplit("/", 1)[-1]) for call in tenant.calls_since(mark)}
    assert calls == {("GET", collection) for collection in LISTED}


def test_runs_that_can_not_be_listed_discard_nothing_else(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.fault(service="platform", method="GET", path="/runs$", times=1000, status=503)
    flow = tenant.held("flows")[0]
    tenant.control.patch(f"/aep/sandboxes/prod/flows/{flow['id']}", body={"name": "renamed"})
    until(lambda: tenant.held("flows")[0]["name"] == flow["name"])
    assert condition(tenant.wait_ready(DATAFLOW), "Ready")["status"] == "True"
    run = finish(tenant)
    tenant.control.delete("/faults")
    shows(tenant, run)


def test_an_overdue_run_is_told_and_heals(tenant: Tenant) -> None:
    tenant.make_ready()
    shows(tenant, finish(tenant))
    tenant.control.advance(3600 + 960)
    overdue = tenant.wait_reason(DATAFLOW, "RunsHealthy", "Overdue")
    assert condition(overdue, "Ready")["status"] == "True"
    finish(tenant)
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")


def test_a_disabled_flow_owes_no_run(tenant: Tenant) -> None:
    tenant.make_ready(ingestion={"enabled": False})
    tenant.control.advance(86400)
    tenant.wait_polls(4)
    found = condition(tenant.get(DATAFLOW), "RunsHealthy")
    assert (found["status"], found["reason"]) == ("Unknown", "NoRunYet")


def test_the_dataflow_that_crosses_profiles_limit_is_told(tenant: Tenant) -> None:
    datasets = [
        tenant.control.post("/aep/sandboxes/prod/dataSets", name=name, profile=True)["id"] for name in "ab"
    ]
    tenant.apply_secrets()
    tenant.apply_connection()
    schedule = {"frequency": "Minute", "interval": 30}
    for name, dataset in zip(("first", "second"), datasets, strict=True):
        tenant.apply_dataflow(name, schedule=schedule, target={"dataset": {"id": dataset}})
        tenant.cluster.wait_ready(DATAFLOW, name, tenant.namespace)
    until(lambda: tenant.metric("crmflow_profile_runs_per_day", sandbox="prod") == 96)

    def told() -> list[str]:
        events = tenant.cluster.list("Event", tenant.namespace)  # one that is told again is still one
        return [e["regarding"]["name"] for e in events if e["reason"] == "ProfileBatchesExceeded"]

    until(lambda: told() == ["second"])
    tenant.apply_dataflow("third", schedule=schedule, target={"dataset": {"id": datasets[0]}})
    tenant.cluster.wait_ready(DATAFLOW, "third", tenant.namespace)
    until(lambda: tenant.metric("crmflow_profile_runs_per_day", sandbox="prod") == 144)
    tenant.operator.restart()
    until(lambda: tenant.metric("crmflow_profile_runs_per_day", sandbox="prod") == 144)
    tenant.wait_polls(2)
    assert told() == ["second"], "the sandbox was over the limit before"


def test_a_dataset_that_is_gone_is_named(tenant: Tenant) -> None:
    tenant.make_ready()
    dataset = tenant.get(DATAFLOW)["status"]["dataset"]["id"]
    tenant.control.delete(f"/aep/sandboxes/prod/dataSets/{dataset}")
    tenant.control.advance(3700)
    gone = tenant.wait_reason(DATAFLOW, "Ready", "DatasetGone")
    assert "expired" in condition(gone, "TargetReady")["message"]
    tenant.edit(DATAFLOW, ingestion={"enabled": False})
    until(lambda: tenant.held("flows")[0]["state"] == "disabled")
    tenant.wait_reason(DATAFLOW, "Ready", "DatasetGone")
