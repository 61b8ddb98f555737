"""Through the landing zone: connection, Jobs on a real node, files in Azurite, what Platform ingests."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmflow.transfer.declaration import DELETED_COLUMN
from hack.install import install
from hack.kubectl import Kubectl
from tests.kit import manifests
from tests.kit.landing_zone import (
    COLUMNS,
    MARKED,
    NOTHING_LEFT,
    STRIDE_SECONDS,
    STRIDE_TAKES,
    Contacts,
    Transfers,
    Windows,
    begin,
    files,
    grant_reads,
)
from tests.kit.operator import Operator
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, Tenant

KEPT = ["id", "Modified_Time"]
"""Columns of ingested rows that the emulator shows by itself."""
SECOND_PART: dict[str, Any] = {
    "service": "zoho-api",
    "method": "POST",
    "path": "/bulk/v8/read$",
    "skip": 1,
    "times": None,
    "status": 503,
    "body": "<html/>",
}
"""Zoho CRM makes none."""

pytestmark = pytest.mark.usefixtures("node")


def test_a_connection_through_the_landing_zone_has_no_base_connection(zone: Tenant) -> None:
    zone.apply_connection(transport="LandingZone")
    ready = zone.wait_ready(CONNECTION, seconds=40)
    types = {entry["type"] for entry in ready["status"]["conditions"]}
    assert types == {"Ready", "Authorized", "Synced", "LandingZoneReady"}
    assert ready["status"]["transport"] == "LandingZone"
    assert ready["status"]["landingZone"]["container"] == "dlz-user-container"
    assert zone.held("connections") == []


def test_what_platform_ingests_is_what_zoho_has(zone: Tenant, contacts: Contacts) -> None:
    windows = begin(zone)
    windows.ingest()
    zone.wait_reason(DATAFLOW, "IngestionComplete", "RowsMatch", "True")
    contacts.check()
    # The windows are told as soon as their run is read, and runs with the next listing.
    zone.until(lambda: "recentRuns" in zone.get(DATAFLOW)["status"], "the run")
    status = zone.get(DATAFLOW)["status"]
    assert "pendingWindows" not in status
    [run] = status["recentRuns"]
    assert (run["state"], run["files"]) == ("success", 1)
    assert run["records"]["written"] == status["extraction"]["lastWindow"]["rows"]
    assert run["bytes"]["read"] > 0
    assert run["window"]["end"] <= run["startTime"]

    contacts.create(20)
    windows.open_next()
    windows.wait_file()
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows")
    zone.wait_reason(DATAFLOW, "IngestionComplete", "RowsMatch", "True")
    contacts.check()


def test_runs_of_files_in_every_state(zone: Tenant, contacts: Contacts, transfers: Transfers) -> None:
    windows = begin(zone)
    windows.ingest()
    zone.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")

    transfers.hold_back()
    contacts.create(3)
    windows.open_next()
    transfers.wait_held_back()
    windows.pass_to_tick(60)
    transfers.let_go()
    windows.wait_file()
    zone.wait_reason(DATAFLOW, "Extracted", "Late", "True")

    zone.control.switch("aep", fileRuns="fail")
    windows.ingest()
    zone.wait_reason(DATAFLOW, "RunsHealthy", "Failed")
    zone.control.switch("aep", fileRuns="ingest")

    def arrive() -> bool:
        """The run is done again, which takes some minutes to show."""
        zone.control.advance(STRIDE_SECONDS)
        time.sleep(STRIDE_TAKES)
        return contacts.all_arrived

    zone.until(arrive, "all rows", seconds=60)
    zone.wait_reason(DATAFLOW, "RunsHealthy", "Succeeded", "True")

    flow = zone.get(DATAFLOW)["status"]["flow"]["id"]
    zone.control.advance(60)
    zone.control.post("/aep/runs", flowId=flow, state="partial", inputRecordCount=100)
    zone.wait_reason(DATAFLOW, "RunsHealthy", "PartiallySucceeded")
    zone.control.advance(60)
    zone.control.post("/aep/runs", flowId=flow, inputRecordCount=0)
    told = zone.wait_reason(DATAFLOW, "RunsHealthy", "NothingIngested", "True")
    states = [run["state"] for run in told["status"]["recentRuns"]]
    totals = told["status"]["totals"]
    assert (totals["runsPartiallySucceeded"], totals["runsFailed"]) == (1, states.count("failed"))
    assert totals["runsSucceeded"] == states.count("success")
    contacts.check()


@pytest.fixture
def small_parts(operator: Operator) -> int:
    """The rows of a part of Bulk Read, which reads whatever has as many."""
    operator.settings["CRMFLOW_BULK_READ_ROWS"] = "1500"
    return 1500


def test_a_first_load_in_three_parts_and_what_is_edited_while_windows_are_read(
    small_parts: int, zone: Tenant, contacts: Contacts, transfers: Transfers
) -> None:
    contacts.fill(3 * small_parts)
    zone.control.switch("zoho", bulkPageRows=small_parts)
    zone.control.switch("aep", keptColumns=[*KEPT, DELETED_COLUMN])
    mark, deleted = zone.mark(), []

    def edit_while_reading(held_back: str) -> None:
        calls = zone.calls_since
        zone.until(
            lambda: any(call["status"] == 503 and call["method"] == held_back for call in calls(mark)),
            "a call of the Job that is held back",
        )
        deleted.append(contacts.ids[1])
        contacts.edit()
        transfers.let_go()

    zone.control.fault(**SECOND_PART)
    zone.apply_connection(transport="LandingZone")
    zone.apply_dataflow(source={"columns": COLUMNS}, **MARKED)
    edit_while_reading("POST")
    windows = Windows(zone, zone.wait_ready(DATAFLOW, seconds=90))
    assert sum(call["path"].endswith("/result") for call in zone.calls_since(mark)) == 3
    (first,) = zone.get(DATAFLOW)["status"]["pendingWindows"]
    assert first["file"]["rows"] == 3 * small_parts
    windows.ingest()

    transfers.hold_back()
    windows.open_next()
    edit_while_reading("PUT")
    windows.wait_file()
    windows.ingest()
    windows.open_next()
    windows.wait_file()
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows")
    zone.wait_reason(DATAFLOW, "IngestionComplete", "RowsMatch", "True")
    contacts.check()
    assert contacts.marked == deleted
    assert len(files(zone)) == 3


@pytest.fixture
def standby(operator: Operator, tmp_path: Path) -> Iterator[Operator]:
    """A second replica, which leads some seconds after the first one died. Not started yet."""
    operator.settings |= {
        "CRMFLOW_LEADER_ELECTION": "true",
        "CRMFLOW_LEASE_DURATION": "4s",
        "CRMFLOW_LEASE_RENEW_DEADLINE": "3s",
        "CRMFLOW_LEASE_RETRY_PERIOD": "500ms",
        "CRMFLOW_POD_NAME": "one",
    }
    folder = tmp_path / "standby"
    folder.mkdir()
    replica = Operator(folder, operator.kubeconfig, {**operator.settings, "CRMFLOW_POD_NAME": "two"})
    yield replica
    replica.close()


def test_the_death_of_the_leader_in_the_middle_of_a_job_makes_nothing_twice(
    standby: Operator, zone: Tenant, contacts: Contacts, transfers: Transfers
) -> None:
    standby.settings |= {
        name: value for name, value in zone.operator.settings.items() if name != "CRMFLOW_POD_NAME"
    }
    windows = begin(zone)
    standby.start()
    contacts.edit()
    transfers.hold_back()
    windows.open_next()
    pod = transfers.wait_pod()
    zone.operator.kill()
    lease = zone.cluster.get
    zone.until(
        lambda: lease("Lease", "crmflow", transfers.home)["spec"]["holderIdentity"].startswith("two"),
        "the other replica to lead",
    )
    contacts.edit()
    transfers.let_go()
    windows.wait_file()
    (window,) = zone.get(DATAFLOW)["status"]["pendingWindows"]
    assert "attempt" not in window, f"{pod['metadata']['name']} was followed by another attempt"
    windows.ingest()
    windows.open_next()
    windows.wait_file()
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows")
    contacts.check()
    assert len(files(zone)) == 3
    zone.until(lambda: transfers.left == NOTHING_LEFT, "Jobs, pods and Secrets to be gone")


def test_an_upgrade_in_the_middle_of_a_job_makes_nothing_twice(
    zone: Tenant, contacts: Contacts, transfers: Transfers, kubectl: Kubectl
) -> None:
    """The new operator has another Pod template. It follows the Job of the old one to its end, since a
    template can't be changed; the next Job is by its own.
    """
    windows = begin(zone)
    contacts.edit()
    transfers.hold_back()
    windows.open_next()
    pod = transfers.wait_pod()
    transfers.wait_held_back()
    zone.operator.stop()
    install(kubectl)
    template = Path(zone.operator.settings["CRMFLOW_TRANSFER_TEMPLATE"])
    upgraded = json.loads(template.read_text())
    upgraded["metadata"] = {"labels": {"app.kubernetes.io/version": "next"}}
    upgraded["spec"] |= {"terminationGracePeriodSeconds": 5}
    template.write_text(json.dumps(upgraded))
    zone.operator.start()
    contacts.edit()
    zone.wait_polls(2)
    assert transfers.left["Pod"] == [pod["metadata"]["name"]]
    transfers.let_go()
    windows.wait_file()
    (window,) = zone.get(DATAFLOW)["status"]["pendingWindows"]
    assert "attempt" not in window, "the Job of the old version was followed by another attempt"
    windows.ingest()
    transfers.hold_back()
    windows.open_next()
    next_pod = transfers.wait_pod(other_than=pod["metadata"]["name"])
    assert next_pod["metadata"]["labels"]["app.kubernetes.io/version"] == "next"
    transfers.let_go()
    windows.wait_file()
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows")
    contacts.check()
    assert len(files(zone)) == 3
    zone.until(lambda: transfers.left == NOTHING_LEFT, "Jobs, pods and Secrets to be gone")


def test_deletion_in_the_middle_of_a_job_leaves_nothing(
    zone: Tenant, contacts: Contacts, transfers: Transfers
) -> None:
    windows = begin(zone)
    contacts.edit()
    transfers.hold_back()
    windows.open_next()
    transfers.wait_pod()
    zone.delete(DATAFLOW)
    zone.wait_gone(DATAFLOW)
    zone.until(lambda: transfers.left == NOTHING_LEFT, "the pod, which has ended, to be gone")
    assert (files(zone), zone.counts()) == ([], NOTHING)


def test_without_its_tenancy_entry_nothing_is_read_any_more(
    transfer_template: None, operator: Operator, tenant: Tenant, home: str, tmp_path: Path
) -> None:
    transfers, contacts = Transfers(tenant, home), Contacts(tenant)
    entry = {"namespaces": ["test-*"], "organizations": ["*@AdobeOrg"], "sandboxes": ["prod"]}
    tenancy = tmp_path / "tenancy.json"
    _allow(tenancy, entry)
    operator.stop()
    operator.start(CRMFLOW_TENANCY=str(tenancy))
    grant_reads(tenant)
    windows = begin(tenant)
    contacts.edit()
    transfers.hold_back()
    windows.open_next()
    transfers.wait_pod()
    _allow(tenancy, {**entry, "sandboxes": ["dev"]})
    tenant.wait_reason(CONNECTION, "Stalled", "SandboxNotAllowed", "True")
    tenant.until(lambda: transfers.left == NOTHING_LEFT, "the Job to be gone")
    tenant.cluster.wait_condition(DATAFLOW, manifests.DATAFLOW, tenant.namespace, "Ready", "False")
    assert len(tenant.held("flows")) == 1

    transfers.let_go()
    _allow(tenancy, entry)
    tenant.wait_ready(DATAFLOW, seconds=40)
    windows.wait_file()
    windows.ingest()
    tenant.until(lambda: contacts.all_arrived, "all rows")
    contacts.check()


def _allow(path: Path, *entries: dict[str, list[str]]) -> None:
    """Exchange the list, as a kubelet exchanges a mounted file."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"tenants": entries}))
    os.replace(new, path)
