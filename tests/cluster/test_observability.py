"""What the operator shows of itself: metrics that Prometheus reads, and a log that can be followed."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import httpx

from crmflow.observability.metrics import Metrics
from hack.promlint import find_promlint
from tests.cluster.support.world import CONNECTION, DATAFLOW, World


def scrape(world: World) -> str:
    return httpx.get(f"{world.operator.url}/metrics", timeout=5, trust_env=False).text


def fail_once(world: World, **fault: Any) -> None:
    world.control.post("/faults", service="platform", **fault)


def test_prometheus_reads_every_metric_and_finds_no_fault(world: World) -> None:
    world.make_ready()
    world.edit(CONNECTION, displayName="Renamed")
    world.wait_ready(CONNECTION)
    flow = world.held("flows")[0]["id"]
    world.control.patch(f"/aep/sandboxes/prod/flows/{flow}", body={"name": "renamed by somebody"})
    world.cluster.wait(
        DATAFLOW,
        world.name_of(DATAFLOW),
        world.namespace,
        lambda obj: "lastDrift" in obj["status"],
        what="the drift is repaired",
    )
    world.wait_ready(DATAFLOW)
    read = subprocess.run([find_promlint()], input=scrape(world), capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")
    found = dict(line.split() for line in read.stdout.splitlines())
    described = {metric.name: metric.type.upper() for metric in Metrics().descriptions}
    assert {name: kind for name, kind in found.items() if name.startswith("crmflow_")} == described
    assert "process_resident_memory_bytes" in found

    for kind in (CONNECTION, DATAFLOW):
        assert world.metric("crmflow_reconcile_total", kind=kind, outcome="Done") >= 1
        assert world.metric("crmflow_first_reconcile_seconds_count", kind=kind) == 1
        assert world.metric("crmflow_objects", kind=kind) == 1
        assert world.metric("crmflow_ready_objects", kind=kind) == 1
    assert world.metric("crmflow_drift_repaired_total", kind=DATAFLOW) == 1
    assert world.metric("crmflow_drift_repaired_total", kind=CONNECTION) == 0
    assert world.metric("crmflow_leader") == 1
    for service in ("Zoho", "Adobe"):
        assert world.metric("crmflow_token_expiry_timestamp_seconds", service=service) > 0
        assert world.metric("crmflow_limiter_wait_seconds_count", service=service) > 0
    assert world.metric("crmflow_workqueue_wait_seconds_count") > 0


def test_a_failure_can_be_followed_through_the_log(world: World) -> None:
    world.operator.stop()
    mark = len(world.operator.log)
    world.operator.start(CRMFLOW_LOG_FORMAT="json", CRMFLOW_LOG_LEVEL="DEBUG")
    fail_once(
        world,
        path="/connectionSpecs/",
        method="GET",
        status=500,
        body={"type": "https://ns.adobe.com/aep/errors/FLOW-1400-500", "title": "busy", "status": 500},
        headers={"x-request-id": "req-4711"},
    )
    world.make_ready()
    records = [json.loads(line) for line in world.operator.log[mark:].splitlines() if line.startswith("{")]
    key = f"{CONNECTION}/{world.namespace}/{world.name_of(CONNECTION)}"
    [failed] = [record for record in records if record.get("outcome") == "Transient"]
    assert failed["object"] == key
    assert failed["step"] == "check_offer"
    assert failed["request_id"] == "req-4711"
    assert failed["reason"] == "Unavailable"
    done = [record for record in records if record.get("outcome") == "Done" and record["object"] == key]
    assert done
    calls = [record for record in records if record.get("logger") == "crmflow.http"]
    assert {"object", "step"} <= calls[0].keys()


def test_a_throttled_credential_asks_no_more_until_it_may(world: World) -> None:
    world.make_ready()
    world.control.patch("/switches/aep", rateLimitPerMinute=1)
    world.edit(CONNECTION, displayName="Renamed")
    refused = {"service": "FlowService", "status": "429"}
    world.wait_metric(lambda: world.metric("crmflow_remote_calls_total", **refused) >= 1)
    mark, before = world.mark(), world.metric("crmflow_inventory_poll_failures_total")
    world.wait_metric(lambda: world.metric("crmflow_inventory_poll_failures_total") >= before + 3)
    assert [call["path"] for call in world.calls_since(mark) if "flowservice" in call["path"]] == []
    assert world.metric("crmflow_limiter_requests_per_second", service="Adobe") <= 10

    world.control.patch("/switches/aep", rateLimitPerMinute=None)
    world.control.advance(3700)
    world.wait_ready(CONNECTION)
    assert world.held("connections")[0]["name"].startswith("Renamed [")
