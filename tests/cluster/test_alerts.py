"""Every alert fires in Prometheus when what it tells of happens, and resolves when that is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.landing_zone import STRIDE_SECONDS, STRIDE_TAKES, Contacts, Transfers, begin
from tests.kit.prometheus import OF_THE_LANDING_ZONE, Prometheus, families, panels
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

HOUR = 3600.0
USER = "/zoho/eu/production/users/data.pipeline@example.com"
VISIBILITY_LAG = 600.0
"""Seconds for which Zoho CRM does not show what was written: longer than a window waits after its end."""
CREDITS_OF_A_DAY = 50_000
"""Of every paid edition (zoho.md 5)."""


@pytest.fixture
def prometheus(tenant: Tenant, tmp_path: Path) -> Iterator[Prometheus]:
    """Scrapes the operator of the test."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with Prometheus(folder).running() as server:
        server.watch(tenant.operator.url)
        yield server


def advance(tenant: Tenant, prometheus: Prometheus, seconds: float) -> None:
    """Let time pass for everybody."""
    tenant.control.advance(seconds)
    prometheus.set_clock(tenant.control.get("/clock")["offset"])


def finish_run(tenant: Tenant, state: str = "success") -> None:
    tenant.control.finish_run(tenant.held("flows")[0]["id"], state=state)


def test_alerts_about_runs_polls_and_limits(tenant: Tenant, prometheus: Prometheus) -> None:
    tenant.make_ready()
    finish_run(tenant)
    metric = "crmflow_dataflow_ingested_until_timestamp_seconds"
    tenant.until(lambda: bool(prometheus.query(metric)), "the run in Prometheus")
    prometheus.wait_resolved()

    advance(tenant, prometheus, 4 * HOUR)
    prometheus.wait_firing("CrmflowDataflowNotFresh", "CrmflowRunsFailing")
    [alert] = prometheus.alerts["CrmflowDataflowNotFresh"]
    assert alert["labels"]["namespace"] == tenant.namespace
    assert (
        f"dataflow {tenant.namespace}/{tenant.name_of(DATAFLOW)} is 4h" in alert["annotations"]["description"]
    )
    finish_run(tenant)
    prometheus.wait_resolved()

    tenant.control.advance(60)
    finish_run(tenant, "failed")
    prometheus.wait_firing("CrmflowRunsFailing")
    assert prometheus.query('sum(crmflow_dataflow_runs_total{result="Failed"})')[0]["value"][1] == "1"
    tenant.control.advance(60)
    finish_run(tenant)
    prometheus.wait_resolved()

    tenant.control.fault(service="platform", method="GET", path="/flows$", status=500, body={}, times=None)
    prometheus.wait_firing("CrmflowPollsFailing")
    tenant.control.delete("/faults")
    prometheus.wait_resolved()

    tenant.control.switch("aep", rateLimitPerMinute=1)
    tenant.edit(CONNECTION, displayName="Renamed")
    _let_pauses_pass(tenant, lambda: "CrmflowThrottled" in prometheus.alerts)
    tenant.control.switch("aep", rateLimitPerMinute=None)
    _let_pauses_pass(tenant, lambda: "CrmflowThrottled" not in prometheus.alerts)


def test_alerts_about_credentials_and_resources(tenant: Tenant, prometheus: Prometheus) -> None:
    tenant.control.switch("zoho", inactiveUser="grant_ends")
    tenant.make_ready()
    finish_run(tenant)
    tenant.control.fault(service="zoho-accounts", path="/oauth/v2/token", status=503, body="", times=None)
    advance(tenant, prometheus, HOUR - 300)
    prometheus.wait_firing("CrmflowTokenEnding")
    assert prometheus.alerts["CrmflowTokenEnding"][0]["labels"]["service"] == "Zoho"
    tenant.control.delete("/faults")
    _let_pauses_pass(tenant, lambda: "CrmflowTokenEnding" not in prometheus.alerts)

    tenant.control.patch(USER, active=False)
    advance(tenant, prometheus, HOUR)
    lost = ("CrmflowAuthorizationLost", "CrmflowResourceNotReady", "CrmflowResourceStalled")
    prometheus.wait_firing(*lost)
    [alert] = prometheus.alerts["CrmflowAuthorizationLost"]
    assert alert["labels"]["name"] == tenant.name_of(CONNECTION)
    assert alert["labels"]["reason"] == "RefreshTokenRejected"
    tenant.control.patch(USER, active=True)
    advance(tenant, prometheus, HOUR)
    prometheus.wait_resolved(*lost)


def test_alerts_about_the_operator_itself(tenant: Tenant, prometheus: Prometheus) -> None:
    operator = tenant.operator
    operator.settings["CRMFLOW_LISTEN"] = operator.url.removeprefix("http://")  # where it is scraped
    prometheus.wait_resolved()
    operator.stop()
    prometheus.wait_firing("CrmflowDown")
    election = {"LEADER_ELECTION": "true", "LEASE_DURATION": "6s", "LEASE_RENEW_DEADLINE": "4s"}
    operator.settings |= {f"CRMFLOW_{name}": value for name, value in election.items()}
    operator.start(CRMFLOW_LEASE_RETRY_PERIOD="500ms", CRMFLOW_POD_NAME="one")
    prometheus.wait_resolved()
    tenant.until(lambda: tenant.metric("crmflow_leader") == 1, "it to lead")
    operator.kill()  # it keeps the Lease
    operator.settings["CRMFLOW_POD_NAME"] = "two"
    operator.spawn()
    prometheus.wait_firing("CrmflowNoLeader")
    prometheus.wait_resolved()


@pytest.mark.usefixtures("node")
def test_alerts_about_windows_of_the_landing_zone(
    zone: Tenant, contacts: Contacts, transfers: Transfers, prometheus: Prometheus
) -> None:
    windows = begin(zone)

    def ingest() -> None:
        windows.ingest()
        zone.until(lambda: "pendingWindows" not in zone.get(DATAFLOW)["status"], "it to be ingested", 60)
        advance(zone, prometheus, 0)

    ingest()
    prometheus.wait_resolved()

    transfers.hold_back()
    contacts.create(3)
    windows.open_next()
    transfers.wait_held_back()
    windows.pass_to_tick(1000)
    advance(zone, prometheus, 0)
    prometheus.wait_firing("CrmflowExtractionLate")
    _let_pauses_pass(zone, lambda: "CrmflowExtractionFailing" in prometheus.alerts)
    [alert] = prometheus.alerts["CrmflowExtractionFailing"]
    assert (alert["labels"]["namespace"], alert["labels"]["name"]) == (zone.namespace, zone.name_of(DATAFLOW))
    found = families(zone.operator.url)
    transfers.let_go()
    windows.wait_file()
    ingest()
    prometheus.wait_resolved()

    zone.control.switch("zoho", visibilityLag=VISIBILITY_LAG)
    windows.pass_to_end(before=1800)
    contacts.create(1)
    windows.pass_to_end(before=60)
    contacts.create(2)
    windows.open_next()
    windows.wait_file()
    zone.control.switch("zoho", visibilityLag=0)
    contacts.create(1)
    windows.open_next()
    prometheus.wait_firing("CrmflowIngestionIncomplete")
    found |= families(zone.operator.url)
    assert found.items() >= OF_THE_LANDING_ZONE.items()
    zone.until(lambda: not _empty_panels(prometheus), f"data in {_empty_panels(prometheus)}")
    windows.wait_file()
    ingest()
    prometheus.wait_resolved()

    spent = zone.metric("crmflow_zoho_credits_spent")
    zone.operator.stop()
    share = spent / 0.95 / CREDITS_OF_A_DAY
    zone.operator.start(CRMFLOW_ZOHO_CREDIT_RESERVE=f"{1 - share:.6f}")
    prometheus.watch(zone.operator.url)
    windows.open_next()
    prometheus.wait_firing("CrmflowZohoCreditsLow")
    advance(zone, prometheus, 25 * HOUR)
    prometheus.wait_resolved("CrmflowZohoCreditsLow")


def _empty_panels(prometheus: Prometheus) -> list[str]:
    """The titles of panels of the dashboard that show nothing."""
    return [title for title, expr in panels() if not prometheus.query(expr)]


def _let_pauses_pass(tenant: Tenant, met: Callable[[], bool]) -> None:
    """Until ``met``; who waits for some time to pass need not."""

    def step() -> bool:
        if met():
            return True
        tenant.control.advance(STRIDE_SECONDS)
        time.sleep(STRIDE_TAKES)
        return False

    tenant.until(step, "the end of pauses")
