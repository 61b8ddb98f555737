"""What the operator shows of itself: metrics that Prometheus reads, and a log that can be followed."""

from __future__ import annotations

import json
from typing import Any

from crmflow.observability.metrics import Metrics
from tests.kit.prometheus import OF_THE_LANDING_ZONE, families
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant


def fail_once(tenant: Tenant, **fault: Any) -> None:
    tenant.control.post("/faults", service="platform", **fault)


def test_prometheus_reads_every_metric_and_finds_no_fault(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.edit(CONNECTION, displayName="Renamed")
    tenant.wait_ready(CONNECTION)
    flow = tenant.held("flows")[0]["id"]
    tenant.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body={"name": "renamed by somebody"})
    tenant.cluster.wait(
        DATAFLOW,
        tenant.name_of(DATAFLOW),
        tenant.namespace,
        lambda obj: "lastDrift" in obj["status"],
        what="the drift is repaired",
    )
    tenant.control.finish_run(flow)
    tenant.wait_metric(lambda: tenant.metric("crmflow_dataflow_runs_total", result="Succeeded") == 1)
    tenant.wait_ready(DATAFLOW)
    found = families(tenant.operator.url)
    described = {
        metric.name: metric.type.upper()
        for metric in Metrics().descriptions
        if metric.name not in OF_THE_LANDING_ZONE
    }
    assert {name: kind for name, kind in found.items() if name.startswith("crmflow_")} == described
    assert "process_resident_memory_bytes" in found

    for kind in (CONNECTION, DATAFLOW):
        assert tenant.metric("crmflow_reconcile_total", kind=kind, outcome="Done") >= 1
        assert tenant.metric("crmflow_first_reconcile_seconds_count", kind=kind) == 1
        assert tenant.metric("crmflow_objects", kind=kind) == 1
        assert tenant.metric("crmflow_ready_objects", kind=kind) == 1
    assert tenant.metric("crmflow_drift_repaired_total", kind=DATAFLOW) == 1
    assert tenant.metric("crmflow_drift_repaired_total", kind=CONNECTION) == 0
    assert tenant.metric("crmflow_leader") == 1
    for service in ("Zoho", "Adobe"):
        assert tenant.metric("crmflow_token_expiry_timestamp_seconds", service=service) > 0
        assert tenant.metric("crmflow_limiter_wait_seconds_count", service=service) > 0
    assert tenant.metric("crmflow_workqueue_wait_seconds_count") > 0


def test_a_failure_can_be_followed_through_the_log(tenant: Tenant) -> None:
    tenant.operator.stop()
    mark = len(tenant.operator.log)
    tenant.operator.start(CRMFLOW_LOG_FORMAT="json", CRMFLOW_LOG_LEVEL="DEBUG")
    fail_once(
        tenant,
        path="/connectionSpecs/",
        method="GET",
        status=500,
        body={"type": "https://ns.adobe.com/aep/errors/FLOW-1400-500", "title": "busy", "status": 500},
        headers={"x-request-id": "req-4711"},
    )
    tenant.make_ready()
    records = [json.loads(line) for line in tenant.operator.log[mark:].splitlines() if line.startswith("{")]
    key = f"{CONNECTION}/{tenant.namespace}/{tenant.name_of(CONNECTION)}"
    [failed] = [record for record in records if record.get("outcome") == "Transient"]
    assert failed["object"] == key
    assert failed["step"] == "decide_transport"
    assert failed["request_id"] == "req-4711"
    assert failed["reason"] == "Unavailable"
    done = [record for record in records if record.get("outcome") == "Done" and record["object"] == key]
    assert done
    calls = [record for record in records if record.get("logger") == "crmflow.http"]
    assert {"object", "step"} <= calls[0].keys()


def test_a_throttled_credential_asks_no_more_until_it_may(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.patch("/switches/aep", rateLimitPerMinute=1)
    tenant.edit(CONNECTION, displayName="Renamed")
    # Whichever service refuses first ends the calls to all of them.
    tenant.wait_metric(lambda: tenant.metric("crmflow_remote_calls_total", status="429") >= 1)
    mark, before = tenant.mark(), tenant.metric("crmflow_inventory_poll_failures_total")
    tenant.wait_metric(lambda: tenant.metric("crmflow_inventory_poll_failures_total") >= before + 3)
    assert [call["path"] for call in tenant.calls_since(mark) if "flowservice" in call["path"]] == []
    assert tenant.metric("crmflow_limiter_requests_per_second", service="Adobe") <= 10

    tenant.control.patch("/switches/aep", rateLimitPerMinute=None)
    tenant.control.advance(3700)
    tenant.wait_ready(CONNECTION)
    assert tenant.held("connections")[0]["name"].startswith("Renamed [")
