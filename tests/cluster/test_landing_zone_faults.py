"""What may happen to services, credentials, pods and replicas while windows come through the landing zone.

It takes minutes: ``make transfer-faults`` runs it, ``make test`` does not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hack.node import Node
from tests.kit import canary
from tests.kit.cluster import Object
from tests.kit.landing_zone import NOTHING_LEFT, Contacts, Transfers, begin, files
from tests.kit.operator import Operator
from tests.kit.tenant import Tenant

pytestmark = pytest.mark.usefixtures("node")

THROTTLED = {"code": "TOO_MANY_REQUESTS", "details": {}, "message": "too many requests", "status": "error"}
FAULTS: dict[str, dict[str, Any]] = {
    "the blob service is busy": {"service": "blob", "method": "PUT", "azure": "ServerBusy", "times": 3},
    "the answer to a block is lost": {"service": "blob", "query": "comp=block&", "reset": "after"},
    "the answer to a commit is lost (409)": {"service": "blob", "query": "comp=blocklist", "reset": "after"},
    "the answer to a commit is lost (412)": {"service": "blob", "query": "comp=blocklist", "reset": "after"},
    "Zoho throttles": {
        "service": "zoho-api",
        "path": "/coql$",
        "skip": 2,
        "status": 429,
        "headers": {"Retry-After": "300"},
        "body": THROTTLED,
    },
    "Zoho is down": {"service": "zoho-api", "path": "/coql$", "skip": 2, "status": 503, "body": "<html/>"},
}
"""What may happen to requests of an extraction. The operator's own count of its rows comes first."""


def test_windows_survive_the_faults_of_both_services(
    zone: Tenant, contacts: Contacts, transfers: Transfers
) -> None:
    windows = begin(zone)
    for what, fault in FAULTS.items():
        contacts.edit()
        zone.control.switch("blob", existingBlob="ConditionNotMet" if "412" in what else "BlobAlreadyExists")
        zone.control.fault(**fault)
        windows.open_next()
        windows.wait_file()
        windows.ingest()
        zone.until(lambda: contacts.all_arrived, f"all rows although {what}")
        assert zone.control.get("/faults")["faults"] == [], f"it did not happen that {what}"
        contacts.check()
    assert len(files(zone)) == 1 + len(FAULTS)
    zone.until(lambda: transfers.left == NOTHING_LEFT, "Jobs, pods and Secrets to be gone")


def test_what_ends_in_the_middle_of_a_job_makes_nothing_twice(
    zone: Tenant, contacts: Contacts, transfers: Transfers, node: Node, tmp_path: Path
) -> None:
    """Whatever happens while a Job runs, its window is one file in the end, and each row is ingested once."""
    standby = _Standby(zone.operator, tmp_path)

    def restart(_: Object) -> None:
        zone.operator.kill()
        zone.operator.start()

    def evict(pod: Object) -> None:
        zone.cluster.evict(pod["metadata"]["name"], transfers.home)
        transfers.wait_pod(other_than=pod["metadata"]["name"])

    def end(path: str) -> Callable[[Object], None]:
        return lambda _: zone.control.post(path)

    acts: dict[str, Callable[[Object], None]] = {
        "the operator is killed": restart,
        "another replica leads": standby.take_over,
        "the pod is killed": node.kill,
        "the pod is evicted": evict,
        "Zoho's access token ends": end("/zoho/access-tokens/expire"),
        "the SAS ends": end("/aep/sandboxes/prod/landingzone/refresh"),
    }
    windows = begin(zone)
    secrets: list[str] = []
    try:
        for act in acts.values():
            contacts.edit()
            transfers.hold_back()
            windows.open_next()
            pod = transfers.wait_pod()
            secrets += transfers.credentials()
            act(pod)
            contacts.edit()
            transfers.let_go()
            windows.wait_file()
            canary.assert_no_secrets([*zone.emulators.secrets(), *secrets], transfers.texts())
            windows.ingest()
        windows.open_next()
        windows.wait_file()
        windows.ingest()
        zone.until(lambda: contacts.all_arrived, "all rows")
    finally:
        standby.close()
    contacts.check()
    assert len(files(zone)) == 1 + len(acts) + 1
    zone.until(lambda: transfers.left == NOTHING_LEFT, "Jobs, pods and Secrets to be gone")
    zone.check(*secrets)


class _Standby:
    """A second replica, which begins to lead when the first one goes."""

    def __init__(self, leader: Operator, directory: Path) -> None:
        self._leader = leader
        folder = directory / "standby"
        folder.mkdir()
        self._operator = Operator(folder, leader.kubeconfig, dict(leader.settings))

    def take_over(self, _: Object) -> None:
        """The first one is made a replica, too, and goes once both are there."""
        election = {"CRMFLOW_LEADER_ELECTION": "true"}
        self._leader.stop()
        self._leader.start(**election, CRMFLOW_POD_NAME="one")
        self._operator.start(**election, CRMFLOW_POD_NAME="two")
        self._leader.stop()

    def close(self) -> None:
        self._operator.close()
