"""The history of runs in status: of whatever happened between two polls, and over a restart."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.landing_zone import COLUMNS
from tests.kit.tenant import DATAFLOW, Tenant
from tests.kit.waiting import until


def run(tenant: Tenant, state: str = "success", **outcome: Any) -> str:
    """A run of the only flow, a minute after the one before; its id."""
    tenant.control.advance(60)
    made = tenant.control.post("/aep/runs", flowId=tenant.held("flows")[0]["id"], state=state, **outcome)
    return str(made["id"])


def history(tenant: Tenant) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = tenant.get(DATAFLOW)["status"].get("recentRuns", [])
    return runs


def counted(tenant: Tenant) -> dict[str, int]:
    """What ``status.totals`` has of runs, and of the records that they read."""
    totals = tenant.get(DATAFLOW)["status"].get("totals", {})
    runs = {name: count for name, count in totals.items() if name.startswith("runs")}
    return {**runs, "read": totals.get("records", {}).get("read", 0)}


@pytest.fixture(params=["PlatformSource", "LandingZone"])
def running(request: pytest.FixtureRequest) -> Tenant:
    """A tenant whose dataflow is Ready. Through the landing zone its own runs come a day later."""
    if request.param == "PlatformSource":
        tenant: Tenant = request.getfixturevalue("tenant")
        tenant.make_ready()
        return tenant
    zone: Tenant = request.getfixturevalue("zone")
    zone.apply_connection(transport="LandingZone")
    daily = {"frequency": "Day", "interval": 1, "backfill": False}
    zone.apply_dataflow(source={"columns": COLUMNS}, schedule=daily)
    zone.wait_ready(DATAFLOW, seconds=60)
    return zone


def test_the_last_ten_of_many_runs_that_nobody_saw_begin_or_end(running: Tenant) -> None:
    tenant = running
    slow = run(tenant, "inProgress")
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "Running", "Unknown")
    tenant.operator.stop()
    runs = [run(tenant, inputRecordCount=number) for number in range(120)]
    errors = [{"code": "CONNECTOR-1001-500", "message": "The copy failed."}]
    failed = run(tenant, "failed", errors=errors, inputRecordCount=0)
    tenant.operator.start()
    expected = [failed, *reversed(runs[-8:]), slow]
    until(lambda: [one["id"] for one in history(tenant)] == expected)
    newest, before, *_ = history(tenant)
    assert (newest["state"], newest["cause"]) == ("failed", "CONNECTOR-1001-500: The copy failed.")
    assert before["records"]["read"] == 119
    assert before["window"]["start"] < before["window"]["end"] <= before["completionTime"]
    assert counted(tenant) == {"runsSucceeded": 120, "runsFailed": 1, "read": sum(range(120))}
    tenant.control.post("/aep/runs", runId=slow, state="success", inputRecordCount=5)
    whole = {"runsSucceeded": 121, "runsFailed": 1, "read": sum(range(120)) + 5}
    until(lambda: counted(tenant) == whole)

    settled = tenant.get(DATAFLOW)
    tenant.operator.restart()
    tenant.wait_polls(2)
    assert tenant.get(DATAFLOW) == settled, "what is known is not written again"


def test_hundreds_of_runs_all_count_while_the_operator_looks_on(running: Tenant) -> None:
    tenant = running
    flow = tenant.held("flows")[0]["id"]
    for _ in range(300):
        tenant.control.advance(2)
        tenant.control.post("/aep/runs", flowId=flow, state="success", inputRecordCount=1)
    until(lambda: counted(tenant) == {"runsSucceeded": 300, "read": 300})
    tenant.wait_polls(2)
    assert counted(tenant) == {"runsSucceeded": 300, "read": 300}


def test_a_run_that_ends_after_later_ones_gets_its_end(running: Tenant) -> None:
    tenant = running
    slow = run(tenant, "inProgress")
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "Running", "Unknown")
    quick = run(tenant, inputRecordCount=1)
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")
    assert [one["id"] for one in history(tenant)] == [quick, slow]
    tenant.control.advance(3000)
    tenant.control.post("/aep/runs", runId=slow, state="failed")
    until(lambda: [one["state"] for one in history(tenant)] == ["success", "failed"])
    assert tenant.get(DATAFLOW)["status"]["lastRun"]["id"] == quick
