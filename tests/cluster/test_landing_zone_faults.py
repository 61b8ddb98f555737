"""What may happen to services, credentials and pods while windows come through the landing zone: each row is
ingested once.

The first test has the runs' manifests, the second one does without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hack.node import Node
from tests.kit import canary
from tests.kit.cluster import Object
from tests.kit.landing_zone import NOTHING_LEFT, Contacts, Transfers, Windows, begin, check_files, files
from tests.kit.operator import Operator
from tests.kit.tenant import DATAFLOW, Tenant

pytestmark = pytest.mark.usefixtures("node")

Fault = dict[str, Any]

BULK_ROWS, PART_ROWS = 8, 4
"""From how many rows on a window is read by Bulk Read, and how many are in a part."""
NEAR = 10
"""Seconds to a bound of a run in which times do not tell whether it took a file."""


def refused(code: str) -> Fault:
    """What Zoho CRM answers."""
    return {"code": code, "details": {}, "message": "refused", "status": "error"}


QUERY: Fault = {"service": "zoho-api", "path": "/coql$", "skip": 2}
"""Of the Job: two counts, the operator's and its own, come first."""
BULK: Fault = {"service": "zoho-api", "path": "/bulk/v8/read$", "method": "POST"}
BULK_JOB: Fault = {"service": "zoho-api", "path": r"/bulk/v8/read/\d+$", "status": 200}
BULK_FILE: Fault = {"service": "zoho-api", "path": "/bulk/v8/read/.*/result$"}
COMMIT_IS_LOST: Fault = {"service": "blob", "query": "comp=blocklist", "reset": "after"}

PASSING: list[Fault] = [
    {"service": "blob", "method": "PUT", "azure": "ServerBusy", "times": 3},
    {"service": "blob", "query": "comp=block&", "reset": "after"},
    {**QUERY, "status": 429, "headers": {"Retry-After": "60"}, "body": refused("TOO_MANY_REQUESTS")},
    {**QUERY, "status": 503, "body": "<html/>"},
    COMMIT_IS_LOST,
]
SPENT: list[Fault] = [{**QUERY, "times": 10, "status": 429, "body": refused("API_LIMIT_EXCEEDED")}]
"""A Job gives up before."""
BULK_FAULTS: list[Fault] = [
    {**BULK_JOB, "body": {"data": [{"id": "1", "state": "FAILURE"}]}},
    {**BULK, "skip": 2, "status": 400, "body": refused("EXPIRED_VALUE")},
    {**BULK_FILE, "status": 404, "body": refused("RESOURCE_NOT_FOUND")},
    {**BULK_FILE, "status": 410, "body": ""},
]
"""One after the other: the first attempt has its job fail, the second one the place of the next part lost."""


def test_windows_survive_the_faults_of_all_services(
    operator: Operator, zone: Tenant, contacts: Contacts, transfers: Transfers
) -> None:
    operator.stop()
    operator.start(CRMFLOW_BULK_READ_ROWS=str(BULK_ROWS))
    windows = begin(zone)
    zone.control.switch("zoho", bulkPageRows=PART_ROWS)

    def survive(faults: list[Fault]) -> None:
        for fault in faults:
            zone.control.fault(**fault)
        windows.open_next()
        windows.wait_file()
        assert zone.control.get("/faults")["faults"] == [], "it did not happen"
        windows.ingest()
        zone.until(lambda: contacts.all_arrived, "all rows", seconds=60)
        contacts.check()

    for faults in (PASSING, SPENT):
        contacts.edit()
        survive(faults)
    zone.control.switch("blob", existingBlob="ConditionNotMet")  # 412 where it was 409
    contacts.create(BULK_ROWS)
    survive([*BULK_FAULTS, COMMIT_IS_LOST])
    _commit_on_a_tick(zone, contacts, transfers, windows)
    check_files(zone)
    zone.until(lambda: transfers.left == NOTHING_LEFT, "Jobs, pods and Secrets to be gone")


def test_what_ends_in_the_middle_of_a_job_makes_nothing_twice(
    zone: Tenant, contacts: Contacts, transfers: Transfers, node: Node
) -> None:
    """Whatever happens while a Job runs, its window is one file in the end, and each row is ingested once."""

    def restart(_: Object) -> None:
        zone.operator.kill()
        zone.operator.start()

    def evict(pod: Object) -> None:
        zone.cluster.evict(pod["metadata"]["name"], transfers.home)
        transfers.wait_pod(other_than=pod["metadata"]["name"])

    def end_credentials(_: Object) -> None:
        zone.control.post("/zoho/access-tokens/expire")
        zone.control.post("/aep/sandboxes/prod/landingzone/refresh")

    acts: list[Callable[[Object], None]] = [restart, node.kill, evict, end_credentials]
    zone.control.switch("aep", runManifest="absent")
    windows = begin(zone)
    secrets: list[str] = []
    for act in acts:
        contacts.edit()
        transfers.hold_back()
        windows.open_next()
        transfers.wait_held_back()
        secrets += transfers.credentials()
        act(transfers.wait_pod())
        contacts.edit()
        transfers.let_go()
        windows.wait_file()
        canary.assert_no_secrets([*zone.emulators.secrets(), *secrets], transfers.texts())
        windows.ingest()
    _commit_on_a_tick(zone, contacts, transfers, windows)
    check_files(zone)
    zone.until(lambda: transfers.left == NOTHING_LEFT, "Jobs, pods and Secrets to be gone")
    zone.check(*secrets)


def _commit_on_a_tick(zone: Tenant, contacts: Contacts, transfers: Transfers, windows: Windows) -> None:
    """A file is committed in the seconds in which Platform looks for files."""
    contacts.edit()
    transfers.hold_back("comp=blocklist")
    windows.open_next()
    transfers.wait_held_back()
    before = set(files(zone))
    windows.pass_to_tick(1 - NEAR)
    transfers.let_go()
    zone.until(lambda: len(files(zone)) > len(before), "the file", seconds=60)
    (file,) = set(files(zone)) - before
    assert abs(windows.from_tick(file)) < NEAR
    for _ in range(2):
        windows.ingest()
        zone.until(lambda: "pendingWindows" not in zone.get(DATAFLOW)["status"], "it to be ingested", 60)
    zone.wait_reason(DATAFLOW, "IngestionComplete", "RowsMatch", "True")
    assert contacts.all_arrived
    contacts.check()
