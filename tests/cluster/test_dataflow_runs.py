"""CRMDataflowRuns: one run of a dataflow beside its schedule, through both ways into Platform."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.cluster.test_replacement import until_replaced
from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.landing_zone import COLUMNS, NOTHING_LEFT, Contacts, Transfers, Windows, begin, files
from tests.kit.runs import ONCE, DataflowRuns
from tests.kit.tenant import DATAFLOW, ONE_OF_EACH, Tenant
from tests.kit.waiting import until


@pytest.fixture
def runs(tenant: Tenant) -> DataflowRuns:
    """Of the tenant's dataflow."""
    return DataflowRuns(tenant)


@pytest.fixture
def zone_runs(zone: Tenant) -> DataflowRuns:
    """The same through the landing zone."""
    return DataflowRuns(zone)


def fail(tenant: Tenant) -> str:
    """A run of the only flow fails; its id."""
    flow = tenant.held("flows")[0]["id"]
    return str(tenant.control.post("/aep/runs", flowId=flow, state="failed")["id"])


def starts(tenant: Tenant, mark: int) -> list[Object]:
    """The requests for runs."""
    return [
        call
        for call in tenant.calls_since(mark)
        if call["method"] == "POST" and re.search(r"/runs(/[^/]+/action)?$", call["path"])
    ]


def instant(tenant: Tenant, before: timedelta = timedelta()) -> str:
    now = datetime.fromtimestamp(tenant.control.get("/clock")["now"], UTC) - before
    return f"{now:%Y-%m-%dT%H:%M:%SZ}"


def everything(tenant: Tenant) -> dict[str, str]:
    """The window until an hour ago."""
    return {"start": "2000-01-01T00:00:00Z", "end": instant(tenant, timedelta(hours=1))}


def recent(tenant: Tenant) -> list[Object]:
    told: list[Object] = tenant.get(DATAFLOW)["status"].get("recentRuns", [])
    return told


# The landing zone


def pass_until_ingested(tenant: Tenant, runs: DataflowRuns, name: str) -> Object:
    """Let time pass until the flow of a run has run."""
    runs.wait_flow(name)
    tenant.control.advance(15 * 60)
    return runs.wait(name, "Complete", "Succeeded", seconds=90)


@pytest.mark.usefixtures("node")
def test_a_window_is_read_again_into_a_flow_of_its_own(
    zone: Tenant, zone_runs: DataflowRuns, contacts: Contacts, transfers: Transfers
) -> None:
    windows = begin(zone)
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows")
    zone.until(lambda: "pendingWindows" not in zone.get(DATAFLOW)["status"], "the windows")
    zone.until(lambda: "records" in zone.get(DATAFLOW)["status"].get("totals", {}), "the run")
    before, held = zone.get(DATAFLOW)["status"], zone.counts()
    zone_runs.create(
        "again", window={"start": "2000-01-01T00:00:00Z", "end": instant(zone, timedelta(hours=1))}
    )
    told = pass_until_ingested(zone, zone_runs, "again")["status"]
    read = told["files"]["rows"]
    assert read == told["run"]["records"]["written"] > 0
    assert condition({"status": told}, "IngestionComplete")["reason"] == "RowsMatch"
    assert sum(Counter(contacts.ingested).values()) == len(contacts.ids) + read
    # What it made for itself is gone, and the dataflow is as it was.
    assert zone.counts() == held
    assert not {"flow", "sourceConnectionId", "landingZone", "pendingWindows"} & told.keys()
    assert transfers.left == NOTHING_LEFT
    assert len(files(zone)) == 1
    zone.until(lambda: [one.get("requestedBy") for one in recent(zone)][:1] == ["again"], "the history")
    after = zone.get(DATAFLOW)["status"]
    assert after["extraction"]["cursor"] == before["extraction"]["cursor"]
    assert after["totals"]["records"]["written"] == before["totals"]["records"]["written"] + read
    # The same manifest once more, as from Git.
    window = zone_runs.get("again")["spec"]["window"]
    zone_runs.delete("again")
    zone_runs.wait_gone("again")
    zone_runs.create("again", window=window)
    zone_runs.wait("again", "Failed", "AlreadyRan")


@pytest.mark.usefixtures("node")
def test_what_changed_until_now_is_ingested_now_and_not_again_by_the_next_window(
    zone: Tenant, zone_runs: DataflowRuns, contacts: Contacts
) -> None:
    windows = begin(zone)
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows")
    contacts.create(7)
    zone.control.advance(5 * 60)
    zone_runs.create("now")
    pass_until_ingested(zone, zone_runs, "now")
    assert contacts.all_arrived
    contacts.check()
    contacts.create(3)
    windows.open_next()
    windows.wait_file()
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows of the next window")
    contacts.check()


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("gone", ["run", "dataflow"])
def test_what_is_deleted_in_the_middle_leaves_nothing(
    gone: str, zone: Tenant, zone_runs: DataflowRuns, contacts: Contacts, transfers: Transfers
) -> None:
    windows = begin(zone)
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows")
    rows = len(contacts.ingested)
    transfers.hold_back()
    zone_runs.create(
        "again", window={"start": "2000-01-01T00:00:00Z", "end": instant(zone, timedelta(hours=1))}
    )
    transfers.wait_held_back()
    if gone == "run":
        zone_runs.delete("again")
        zone_runs.wait_gone("again")
    else:
        zone.delete(DATAFLOW)
        zone_runs.wait("again", "Failed", "DataflowDeleted")
        zone.wait_gone(DATAFLOW, seconds=40)
        assert zone.counts()["flows"] == 0
        assert files(zone) == []
    transfers.let_go()
    zone.until(lambda: transfers.left == NOTHING_LEFT, "the end of Job and Pod")
    assert len(contacts.ingested) == rows


@pytest.mark.usefixtures("node")
def test_what_a_run_reads_while_its_dataflow_is_replaced_is_ingested_once(
    zone: Tenant, zone_runs: DataflowRuns, contacts: Contacts, transfers: Transfers
) -> None:
    zone.apply_connection(transport="LandingZone")
    only_changes = {"schedule": {"backfill": False}, "replacementPolicy": "Automatic"}
    zone.apply_dataflow(source={"columns": COLUMNS}, **only_changes)
    zone.wait_ready(DATAFLOW, seconds=90)
    before = contacts.held
    contacts.create(5)
    zone.control.advance(5 * 60)
    transfers.hold_back()
    zone_runs.create("now")
    transfers.wait_held_back()
    old = zone.get(DATAFLOW)["status"]["flow"]["id"]
    zone.edit(DATAFLOW, source={"columns": [*COLUMNS, "Created_Time"]})
    zone.until(lambda: len(zone.held("flows")) > 1 or _is_another(zone, old), "the successor", seconds=60)
    transfers.let_go()
    pass_until_ingested(zone, zone_runs, "now")
    until_replaced(zone, old, advance=True)
    contacts.create(3)
    windows = Windows(zone, zone.wait_ready(DATAFLOW, seconds=60))
    windows.open_next()
    windows.wait_file()
    windows.ingest()
    zone.until(lambda: len(contacts.ingested) >= 8, "all rows of the next window")
    assert Counter(contacts.ingested) == Counter(contacts.held - before)
    zone.until(lambda: transfers.left == NOTHING_LEFT, "the end of Jobs and Pods")


def _is_another(tenant: Tenant, flow: str) -> bool:
    return bool(tenant.get(DATAFLOW)["status"].get("flow", {}).get("id") != flow)


# Platform's own source


def test_kubectl_waits_for_a_run_as_the_guide_says(
    tenant: Tenant, runs: DataflowRuns, kubectl: Kubectl
) -> None:
    tenant.make_ready(**ONCE)
    guide = (ROOT / "docs" / "guides" / "run-a-dataflow.md").read_text()
    manifest = re.search(r"<<EOF\n(.*?)EOF\n", guide, re.DOTALL)[1].replace("crm-demo", tenant.namespace)
    wait = re.search(r"kubectl (wait cdfr/contacts-now .*)\n", guide)[1].replace("crm-demo", tenant.namespace)
    tenant.cluster.apply(manifests.load(manifest))
    tenant.control.post("/aep/runs", runId=runs.wait_requested("contacts-now"), state="success")
    tenant.control.advance(60)
    assert "condition met" in kubectl(*wait.split())


def test_the_latest_failed_run_is_run_again(tenant: Tenant, runs: DataflowRuns) -> None:
    tenant.make_ready()
    failed = fail(tenant)
    tenant.until(lambda: [one["id"] for one in recent(tenant)] == [failed], "the failed run")
    mark = tenant.mark()
    runs.create("again")
    made = runs.wait_requested("again")
    tenant.control.post("/aep/runs", runId=made, state="success")
    tenant.control.advance(60)
    told = runs.wait("again", "Complete", "Succeeded")["status"]
    assert told["request"]["retriedRun"] == failed
    assert len(starts(tenant, mark)) == 1
    tenant.until(lambda: [one.get("requestedBy") for one in recent(tenant)] == ["again", None], "the history")
    runs.create("more")
    runs.wait("more", "Failed", "NothingToRunAgain")


def test_a_one_time_dataflow_reads_a_window(tenant: Tenant, runs: DataflowRuns) -> None:
    tenant.make_ready(**ONCE)
    mark = tenant.mark()
    window = {"start": instant(tenant, timedelta(days=2)), "end": instant(tenant, timedelta(days=1))}
    runs.create("window", window=window)
    runs.wait_requested("window")
    [sent] = starts(tenant, mark)
    assert sent["body"]["params"]["deltaColumn"] == {"name": "Modified_Time"}
    made = runs.get("window")["status"]["run"]["id"]
    tenant.control.post("/aep/runs", runId=made, state="success")
    tenant.control.advance(60)
    told = runs.wait("window", "Complete", "Succeeded")["status"]
    assert told["window"] == window
    assert condition(tenant.get(DATAFLOW), "Ready")["status"] == "True"


@pytest.mark.parametrize("shown", ["shown", "absent"])
def test_a_request_whose_answer_is_lost_is_never_sent_again(
    shown: str, tenant: Tenant, runs: DataflowRuns
) -> None:
    tenant.control.switch("aep", runWindows=shown)
    tenant.make_ready(**ONCE)
    tenant.control.fault(service="platform", method="POST", path="/runs$", times=1, reset="after")
    mark = tenant.mark()
    runs.create("lost", window={"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"})
    until(lambda: len(starts(tenant, mark)) == 1, what="the request")
    tenant.operator.restart()
    tenant.control.advance(60)
    made = runs.wait_requested("lost")
    assert [run["id"] for run in tenant.held("runs")] == [made]
    tenant.control.post("/aep/runs", runId=made, state="failed")
    tenant.control.advance(60)
    runs.wait("lost", "Failed", "RunFailed")
    assert len(starts(tenant, mark)) == 1


def test_a_run_in_milliseconds_is_told(tenant: Tenant, runs: DataflowRuns) -> None:
    tenant.control.switch("aep", runTimes="milliseconds")
    tenant.make_ready(**ONCE)
    runs.create("window", window={"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"})
    tenant.control.post("/aep/runs", runId=runs.wait_requested("window"), state="success")
    tenant.control.advance(60)
    runs.wait("window", "Failed", "WindowMisread")


def test_runs_of_a_dataflow_come_one_after_the_other_and_go_by_their_time_to_live(
    tenant: Tenant, runs: DataflowRuns
) -> None:
    runs.create("first", ttlSecondsAfterFinished=600)
    runs.wait_reason("first", "DataflowNotFound")
    tenant.make_ready(**ONCE)
    first = runs.wait_requested("first")
    runs.create("second")
    runs.wait_reason("second", "WaitingForRun")
    tenant.control.post("/aep/runs", runId=first, state="success")
    tenant.control.advance(60)
    runs.wait("first", "Complete", "Succeeded")
    tenant.control.advance(660)
    runs.wait_gone("first")
    runs.wait_requested("second")


@pytest.mark.parametrize("gone", ["run", "dataflow"])
def test_what_platform_runs_for_something_that_is_deleted_ends_by_itself(
    gone: str, tenant: Tenant, runs: DataflowRuns
) -> None:
    tenant.make_ready(**ONCE)
    mark = tenant.mark()
    runs.create("now")
    made = runs.wait_requested("now")
    if gone == "run":
        runs.delete("now")
        runs.wait_gone("now")
        tenant.control.post("/aep/runs", runId=made, state="success")
        tenant.control.advance(60)
        tenant.until(lambda: [one["state"] for one in recent(tenant)] == ["success"], "the history")
        assert tenant.get(DATAFLOW)["status"]["totals"]["runsSucceeded"] == 1
    else:
        tenant.delete(DATAFLOW)
        runs.wait("now", "Failed", "DataflowDeleted")
        tenant.wait_gone(DATAFLOW)
    assert len(starts(tenant, mark)) == 1


@pytest.mark.parametrize("ends", ["in time", "never"])
def test_a_dataflow_that_is_replaced_in_the_middle_runs_nothing_twice(
    ends: str, tenant: Tenant, runs: DataflowRuns
) -> None:
    tenant.make_ready(replacementPolicy="Automatic")
    tenant.control.advance(120)  # the flow has begun
    old = tenant.held("flows")[0]["id"]
    failed = fail(tenant)
    tenant.until(lambda: [one["id"] for one in recent(tenant)] == [failed], "the failed run")
    mark = tenant.mark()
    runs.create("again")
    made = runs.wait_requested("again")
    tenant.edit(DATAFLOW, deltaColumn={"name": "Created_Time"})
    tenant.wait_reason(DATAFLOW, "Synced", "Replacing", "True")
    new = tenant.get(DATAFLOW)["status"]["flow"]["id"]
    if ends == "in time":
        tenant.control.post("/aep/runs", runId=made, state="success")
    tenant.control.advance(3600)
    for flow in (old, new):
        tenant.control.post("/aep/runs", flowId=flow, state="success")
    until_replaced(tenant, old)
    tenant.control.advance(60)
    if ends == "in time":
        runs.wait("again", "Complete", "Succeeded")
        tenant.until(lambda: "again" in [one.get("requestedBy") for one in recent(tenant)], "the history")
    else:
        runs.wait("again", "Failed", "FlowReplaced")
    assert len(starts(tenant, mark)) == 1
    assert tenant.counts() == ONE_OF_EACH
