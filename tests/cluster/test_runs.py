"""The last run in status, and whether the flow runs as its schedule says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.support.cluster import condition
from tests.cluster.support.world import DATAFLOW, LISTED, World


def finish(world: World, state: str = "success", **outcome: Any) -> str:
    """A run of the only flow; its id."""
    made = world.control.post("/aep/runs", flowId=world.held("flows")[0]["id"], state=state, **outcome)
    return str(made["id"])


def until(met: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shows(world: World, run: str) -> dict[str, Any]:
    """The last run in status, once it is this one and has ended."""

    def told(obj: Any) -> bool:
        last = obj["status"].get("lastRun", {})
        return last.get("id") == run and "records" in last

    obj = world.cluster.wait(DATAFLOW, world.name_of(DATAFLOW), world.namespace, told, what=f"run {run}")
    last: dict[str, Any] = obj["status"]["lastRun"]
    return last


@pytest.mark.parametrize("spelling", ["lower", "title", "upper", "other"])
@pytest.mark.parametrize("details", ["shown", "absent"])
def test_every_end_in_every_spelling(world: World, spelling: str, details: str) -> None:
    world.control.switch("aep", runStatusSpelling=spelling, lastRunDetails=details)
    world.make_ready()
    ends = [
        ("inProgress", {}, "Unknown", "Running", "inProgress"),
        ("success", {}, "True", "Succeeded", "success"),
        ("partial", {"inputRecordCount": 100}, "False", "PartiallySucceeded", "partialSuccess"),
        ("success", {"inputRecordCount": 0}, "True", "NothingIngested", "success"),
        ("success", {"inputRecordCount": 7, "skippedRecordCount": 7}, "False", "NothingIngested", "success"),
        ("failed", {}, "False", "Failed", "failed"),
    ]
    for state, outcome, status, reason, shown in ends:
        world.control.advance(60)
        run = finish(world, state, **outcome)
        obj = world.wait_reason(DATAFLOW, "RunsHealthy", reason, status)
        until(lambda run=run: world.get(DATAFLOW)["status"]["lastRun"]["id"] == run)  # type: ignore[misc]
        assert world.get(DATAFLOW)["status"]["lastRun"]["state"] == shown
        assert condition(obj, "Ready")["status"] == "True"

    def told() -> list[str]:
        return [event["reason"] for event in world.cluster.list("Event", world.namespace)]

    until(lambda: "RunFailed" in told())  # an event follows the status that it tells of
    assert told().count("RunFailed") == told().count("RunPartiallySucceeded") == 1


def test_counts_bytes_and_errors_are_in_status(world: World) -> None:
    world.make_ready()
    secret = world.emulators.info["zoho"]["refreshToken"]
    run = finish(
        world,
        "partial",
        inputRecordCount=5_000_000_000,
        outputRecordCount=4_999_999_990,
        skippedRecordCount=3,
        failedRecordCount=7,
        inputBytes=10_000_000_000,
        outputBytes=-1,
        errors=[{"code": "INGEST-1555-400", "message": f"<b>Missing</b> {secret}"}],
    )
    last = shows(world, run)
    assert last["records"] == {"read": 5_000_000_000, "written": 4_999_999_990, "skipped": 3, "failed": 7}
    assert last["bytes"] == {"read": 10_000_000_000}
    assert last["errors"] == [{"code": "INGEST-1555-400", "message": "Missing ***"}]
    assert last["startTime"] < last["completionTime"]


@pytest.mark.parametrize("details", ["shown", "absent"])
def test_a_restart_loses_no_run_and_writes_none_again(world: World, details: str) -> None:
    world.control.switch("aep", lastRunDetails=details)
    world.make_ready()
    shows(world, finish(world))
    before = world.get(DATAFLOW)
    world.operator.restart()
    world.wait_polls(3)
    assert world.get(DATAFLOW) == before

    open_run = finish(world, "inProgress")
    world.wait_reason(DATAFLOW, "RunsHealthy", "Running", "Unknown")
    world.operator.stop()
    world.control.advance(3 * 3600)
    world.control.post("/aep/runs", runId=open_run, state="failed")
    world.operator.start()
    assert shows(world, open_run)["state"] == "failed"

    world.operator.stop()
    missed = finish(world)
    world.control.advance(2 * 86400)
    world.operator.start()
    shows(world, missed)


def test_a_run_costs_no_call_beside_the_listings(world: World) -> None:
    world.make_ready()
    world.wait_polls(2)
    mark = world.mark()
    run = finish(world)
    shows(world, run)
    world.wait_polls(2)
    calls = {(call["method"], call["path"].rsplit("/", 1)[-1]) for call in world.calls_since(mark)}
    assert calls == {("GET", collection) for collection in LISTED}


def test_runs_that_can_not_be_listed_discard_nothing_else(world: World) -> None:
    world.make_ready()
    world.control.fault(service="platform", method="GET", path="/runs$", times=1000, status=503)
    flow = world.held("flows")[0]
    world.control.patch(f"/aep/sandboxes/prod/flows/{flow['id']}", body={"name": "renamed"})
    until(lambda: world.held("flows")[0]["name"] == flow["name"])
    assert condition(world.wait_ready(DATAFLOW), "Ready")["status"] == "True"
    run = finish(world)
    world.control.delete("/faults")
    shows(world, run)


def test_an_overdue_run_is_told_and_heals(world: World) -> None:
    world.make_ready()
    shows(world, finish(world))
    world.control.advance(3600 + 960)
    overdue = world.wait_reason(DATAFLOW, "RunsHealthy", "Overdue")
    assert condition(overdue, "Ready")["status"] == "True"
    finish(world)
    world.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")


def test_a_disabled_flow_owes_no_run(world: World) -> None:
    world.make_ready(ingestion={"enabled": False})
    world.control.advance(86400)
    world.wait_polls(4)
    found = condition(world.get(DATAFLOW), "RunsHealthy")
    assert (found["status"], found["reason"]) == ("Unknown", "NoRunYet")


def test_the_dataflow_that_crosses_profiles_limit_is_told(world: World) -> None:
    datasets = [
        world.control.post("/aep/sandboxes/prod/dataSets", name=name, profile=True)["id"] for name in "ab"
    ]
    world.apply_secrets()
    world.apply_connection()
    schedule = {"frequency": "Minute", "interval": 30}
    for name, dataset in zip(("first", "second"), datasets, strict=True):
        world.apply_dataflow(name, schedule=schedule, target={"dataset": {"id": dataset}})
        world.cluster.wait_ready(DATAFLOW, name, world.namespace)
    until(lambda: world.metric("crmflow_profile_runs_per_day", sandbox="prod") == 96)

    def told() -> list[str]:
        events = world.cluster.list("Event", world.namespace)  # one that is told again is still one
        return [e["regarding"]["name"] for e in events if e["reason"] == "ProfileBatchesExceeded"]

    until(lambda: told() == ["second"])
    world.apply_dataflow("third", schedule=schedule, target={"dataset": {"id": datasets[0]}})
    world.cluster.wait_ready(DATAFLOW, "third", world.namespace)
    until(lambda: world.metric("crmflow_profile_runs_per_day", sandbox="prod") == 144)
    world.operator.restart()
    until(lambda: world.metric("crmflow_profile_runs_per_day", sandbox="prod") == 144)
    world.wait_polls(2)
    assert told() == ["second"], "the sandbox was over the limit before"


def test_a_dataset_that_is_gone_is_named(world: World) -> None:
    world.make_ready()
    dataset = world.get(DATAFLOW)["status"]["dataset"]["id"]
    world.control.delete(f"/aep/sandboxes/prod/dataSets/{dataset}")
    world.control.advance(3700)
    gone = world.wait_reason(DATAFLOW, "Ready", "DatasetGone")
    assert "expired" in condition(gone, "TargetReady")["message"]
    world.edit(DATAFLOW, ingestion={"enabled": False})
    until(lambda: world.held("flows")[0]["state"] == "disabled")
    world.wait_reason(DATAFLOW, "Ready", "DatasetGone")
