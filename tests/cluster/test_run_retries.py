"""Failed runs are run again: by the limit, over a lost answer and a restart, and where Platform refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.cluster import condition
from tests.kit.tenant import DATAFLOW, Tenant
from tests.kit.waiting import until

PAUSE = 360


def fail(tenant: Tenant) -> str:
    """A run of the only flow fails; its id."""
    flow = tenant.held("flows")[0]["id"]
    return str(tenant.control.post("/aep/runs", flowId=flow, state="failed")["id"])


def retries(tenant: Tenant) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = tenant.get(DATAFLOW)["status"].get("runRetries", [])
    return told


def wait_state(tenant: Tenant, state: str) -> dict[str, Any]:
    until(lambda: [one["state"] for one in retries(tenant)] == [state], what=f"a retry that is {state}")
    return retries(tenant)[0]


def requests(tenant: Tenant, mark: Any) -> list[Any]:
    return [call for call in tenant.calls_since(mark) if call["path"].endswith("/action")]


def test_a_failed_run_is_run_again_until_it_succeeds(tenant: Tenant) -> None:
    tenant.make_ready(runs={"retryLimit": 2})
    mark, failed = tenant.mark(), fail(tenant)
    due = wait_state(tenant, "Due")
    assert due["run"] == failed
    assert requests(tenant, mark) == []
    for count, state in ((1, "failed"), (2, "success")):
        tenant.control.advance(PAUSE * count)
        running = wait_state(tenant, "Running")
        assert (running["retries"], len(running["runs"])) == (count, count)
        tenant.control.advance(60)
        tenant.control.post("/aep/runs", runId=running["runs"][-1], state=state)
        if state == "failed":
            wait_state(tenant, "Due")
    wait_state(tenant, "Succeeded")
    assert len(requests(tenant, mark)) == 2
    obj = tenant.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")
    assert condition(obj, "Ready")["status"] == "True"
    told = [event["reason"] for event in tenant.cluster.list("Event", tenant.namespace)]
    assert "RunRetried" in told

    settled = tenant.get(DATAFLOW)
    tenant.operator.restart()
    tenant.wait_polls(2)
    assert tenant.get(DATAFLOW) == settled


@pytest.mark.parametrize("start", ["shown", "absent"])
def test_a_request_whose_answer_is_lost_is_not_sent_a_second_time(tenant: Tenant, start: str) -> None:
    """Whether a run that waits shows a start: else no listing shows it before it begins."""
    tenant.control.switch("aep", queuedRunStart=start)
    tenant.make_ready(runs={"retryLimit": 1})
    fail(tenant)
    wait_state(tenant, "Due")
    tenant.control.fault(service="platform", method="POST", path="/action$", times=1, reset="after")
    mark = tenant.mark()
    tenant.control.advance(PAUSE)
    until(lambda: len(requests(tenant, mark)) == 1)
    until(lambda: retries(tenant)[0]["state"] in ("Requested", "Running"))
    tenant.operator.restart()
    made = next(run["id"] for run in tenant.held("runs") if run["state"] == "queued")
    tenant.control.advance(600)
    tenant.control.post("/aep/runs", runId=made, state="success")
    assert wait_state(tenant, "Succeeded")["runs"] == [made]
    assert len(requests(tenant, mark)) == 1


def test_what_platform_does_not_run_again_is_said(tenant: Tenant) -> None:
    tenant.control.switch("aep", retryOfOnce="refused")
    once = {"frequency": "Once", "interval": None, "backfill": None}
    tenant.make_ready(runs={"retryLimit": 3}, schedule=once, deltaColumn=None)
    failed = fail(tenant)
    wait_state(tenant, "Due")
    tenant.control.advance(PAUSE)
    wait_state(tenant, "Refused")
    obj = tenant.get(DATAFLOW)
    assert f"Platform does not run {failed} again" in condition(obj, "RunsHealthy")["message"]
    assert condition(obj, "Ready")["status"] == "True"
