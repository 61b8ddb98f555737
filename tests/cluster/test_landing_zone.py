"""Through the landing zone: connection, Jobs on a real node, files in Azurite, what Platform ingests."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.kit import manifests
from tests.kit.landing_zone import NOTHING_LEFT, Contacts, Transfers, begin, files, grant_reads
from tests.kit.operator import Operator
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, Tenant

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
    assert "pendingWindows" not in zone.get(DATAFLOW)["status"]

    contacts.create(20)
    windows.open_next()
    windows.wait_file()
    windows.ingest()
    zone.until(lambda: contacts.all_arrived, "all rows")
    zone.wait_reason(DATAFLOW, "IngestionComplete", "RowsMatch", "True")
    contacts.check()


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
