"""Through the landing zone: connection, Jobs on a real node, files in Azurite, what Platform ingests."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crmflow.zoho.scopes import LANDING_ZONE_SCOPES, VERIFICATION_SCOPES
from tests.emulators.aep import seed_data as ids
from tests.kit.cluster import Object
from tests.kit.operator import Operator
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

pytestmark = pytest.mark.usefixtures("node")

RECORDS = "/zoho/eu/production/modules/Contacts/records"
LAG, LEAD, SHOWS = timedelta(minutes=2), timedelta(minutes=15), timedelta(minutes=10)
"""Of an hourly dataflow; and after a tick, until its run is listed and final."""
ROWS = f"/aep/sandboxes/prod/dataSets/{ids.CONTACTS_DATASET}/rows"


@pytest.fixture
def template(operator: Operator, tmp_path: Path) -> None:
    """The installation can run transfers."""
    environment = [{"name": "CRMFLOW_CLOCK", "value": operator.settings["CRMFLOW_CLOCK"]}]
    file = tmp_path / "transfer.json"
    file.write_text(json.dumps({"spec": {"containers": [{"image": "crmflow:1", "env": environment}]}}))
    operator.settings["CRMFLOW_TRANSFER_TEMPLATE"] = str(file)


@pytest.fixture
def zone(template: None, tenant: Tenant) -> Tenant:
    """A tenant whose grant allows our own reads."""
    scopes = ["ZohoCRM.modules.READ", "ZohoCRM.settings.ALL", *VERIFICATION_SCOPES, *LANDING_ZONE_SCOPES]
    grant = tenant.control.post("/zoho/grants", dataCenter="EU", scopes=scopes, exchange=True)
    tenant.apply_secrets(**{name: grant[name] for name in ("clientId", "clientSecret", "refreshToken")})
    return tenant


def test_a_connection_through_the_landing_zone_has_no_base_connection(zone: Tenant) -> None:
    zone.apply_connection(transport="LandingZone")
    ready = zone.wait_ready(CONNECTION, seconds=40)
    types = {entry["type"] for entry in ready["status"]["conditions"]}
    assert types == {"Ready", "Authorized", "Synced", "LandingZoneReady"}
    assert ready["status"]["transport"] == "LandingZone"
    assert ready["status"]["landingZone"]["container"] == "dlz-user-container"
    assert zone.held("connections") == []


def held_by_zoho(tenant: Tenant) -> list[dict[str, str]]:
    """What Zoho CRM holds now, as the ingested rows would show it."""
    records = tenant.control.get(RECORDS)["records"]
    return [{"id": one["id"], "Modified_Time": utc(one["Modified_Time"])} for one in records]


def ingested(tenant: Tenant) -> list[dict[str, str]]:
    """The rows that runs of the flow have written into the dataset."""
    return [row["values"] for row in tenant.control.get(ROWS)["rows"]]


def utc(instant: str) -> str:
    return datetime.fromisoformat(instant).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_order(rows: list[dict[str, str]]) -> list[tuple[str, str]]:
    return sorted((row["id"], row["Modified_Time"]) for row in rows)


def wait_written(tenant: Tenant, until: datetime) -> Object:
    """Wait until the window that ends at ``until`` has its file; the dataflow then."""
    end = f"{until:%Y-%m-%dT%H:%M:%SZ}"

    def is_there(obj: Object) -> bool:
        pending = obj["status"].get("pendingWindows", ())
        return any(one["end"] == end and "file" in one for one in pending)

    what = f"file of the window until {end}"
    return tenant.cluster.wait(
        DATAFLOW, tenant.name_of(DATAFLOW), tenant.namespace, is_there, what=what, seconds=30
    )


def pass_time_until(tenant: Tenant, time: datetime) -> None:
    """Let all clocks show ``time``."""
    now = datetime.fromtimestamp(tenant.control.get("/clock")["now"], UTC)
    tenant.control.advance((time - now).total_seconds())


def first_tick(dataflow: Object) -> datetime:
    return datetime.fromisoformat(dataflow["status"]["schedule"]["effectiveStartTime"])


def test_what_platform_ingests_is_what_zoho_has(zone: Tenant) -> None:
    zone.apply_connection(transport="LandingZone")
    zone.apply_dataflow(source={"columns": ["id", "Email", "First_Name", "Last_Name", "Modified_Time"]})
    first = first_tick(zone.wait_ready(DATAFLOW, seconds=90))
    before = held_by_zoho(zone)
    pass_time_until(zone, first + SHOWS)
    zone.wait_reason(DATAFLOW, "IngestionComplete", "RowsMatch", "True")
    assert in_order(ingested(zone)) == in_order(before)
    assert "pendingWindows" not in zone.get(DATAFLOW)["status"]

    zone.control.post(RECORDS, count=20, now=True)
    tick = first + timedelta(hours=1)
    pass_time_until(zone, tick - LEAD + LAG)
    wait_written(zone, tick - LEAD)
    pass_time_until(zone, tick + SHOWS)
    tenant_has_all = lambda: in_order(ingested(zone)) == in_order(held_by_zoho(zone))  # noqa: E731
    zone.until(tenant_has_all, "all rows")
    zone.wait_reason(DATAFLOW, "IngestionComplete", "RowsMatch", "True")
