"""Through the landing zone: connection, Jobs on a real node, files in Azurite, what Platform ingests."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hack.node import Node
from tests.kit import canary, manifests
from tests.kit.cluster import Object
from tests.kit.jobs import is_running
from tests.kit.landing_zone import COLUMNS, Contacts, Windows, files, grant_reads, pod_template
from tests.kit.operator import Operator
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, Tenant

pytestmark = pytest.mark.usefixtures("node")

NOTHING_LEFT: dict[str, list[str]] = {"Job": [], "Pod": [], "Secret": []}


@pytest.fixture
def template(operator: Operator, tmp_path: Path) -> None:
    """The installation can run transfers."""
    file = pod_template(tmp_path, operator.settings["CRMFLOW_CLOCK"])
    operator.settings["CRMFLOW_TRANSFER_TEMPLATE"] = file


@pytest.fixture
def zone(template: None, tenant: Tenant) -> Tenant:
    """A tenant whose grant allows our own reads."""
    grant_reads(tenant)
    return tenant


@pytest.fixture
def contacts(zone: Tenant) -> Contacts:
    return Contacts(zone)


@pytest.fixture
def transfers(zone: Tenant, home: str) -> Transfers:
    return Transfers(zone, home)


class Transfers:
    """The Jobs of transfers, in the operator's own namespace."""

    def __init__(self, tenant: Tenant, home: str) -> None:
        self._tenant = tenant
        self._cluster = tenant.cluster
        self.home = home

    @property
    def left(self) -> dict[str, list[str]]:
        """The names of what is there."""
        return {kind: [one["metadata"]["name"] for one in self._of(kind)] for kind in NOTHING_LEFT}

    def hold_back(self) -> None:
        """From now on the landing zone takes no file: who writes one tries again and again."""
        self._tenant.control.fault(service="blob", method="PUT", azure="ServerBusy", times=None)

    def let_go(self) -> None:
        """It takes them again."""
        self._tenant.control.delete("/faults")

    def wait_pod(self, *, other_than: str = "") -> Object:
        """Wait until a pod runs."""
        found: list[Object] = []

        def runs() -> bool:
            pods = [pod for pod in self._of("Pod") if pod["metadata"]["name"] != other_than]
            found[:] = [pod for pod in pods if is_running(pod)]
            return bool(found)

        self._tenant.until(runs, "a pod that runs", seconds=30)
        return found[0]

    def credentials(self) -> list[str]:
        """What the Secrets of Jobs hold, and what of it is a secret in any text."""
        values = [
            base64.b64decode(text).decode() for one in self._of("Secret") for text in one["data"].values()
        ]
        signatures = [sig for value in values for sig in parse_qs(urlsplit(value).query).get("sig", ())]
        return [*values, *signatures]

    def texts(self) -> dict[str, str]:
        """What somebody who may not read Secrets sees of Jobs, pods and Events in the namespace."""
        kinds = ("Job", "Pod", "Event")
        return {kind: json.dumps(self._cluster.list(kind, self.home), ensure_ascii=False) for kind in kinds}

    def _of(self, kind: str) -> list[Object]:
        label = ("app.kubernetes.io/name", "crmflow-transfer")
        return [
            one
            for one in self._cluster.list(kind, self.home)
            if label in one["metadata"].get("labels", {}).items()
        ]


def begin(tenant: Tenant) -> Windows:
    """All contacts there are, hour by hour."""
    tenant.apply_connection(transport="LandingZone")
    tenant.apply_dataflow(source={"columns": COLUMNS})
    return Windows(tenant, tenant.wait_ready(DATAFLOW, seconds=90))


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
    assert "pendingWindows" not in zone.get(DATAFLOW)["status"]

    contacts.create(20)
    windows.open_next()
    windows.wait_file()
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows")
    zone.wait_reason(DATAFLOW, "IngestionComplete", "RowsMatch", "True")
    contacts.check()


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
    assert transfers.left == NOTHING_LEFT
    assert (files(zone), zone.counts()) == ([], NOTHING)


def test_without_its_tenancy_entry_nothing_is_read_any_more(
    template: None, operator: Operator, tenant: Tenant, home: str, tmp_path: Path
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
