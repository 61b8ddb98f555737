"""What Zoho and Adobe refuse while everything is Ready, and nobody has edited anything: the poll or the
refresh that meets it reaches whoever relies on it, and so does its end.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

LISTINGS = "/flowservice/(connections|sourceConnections|targetConnections|flows)$"
NO_ROLE: dict[str, Any] = {"status": 403, "title": "Forbidden", "detail": "Manage Sources is missing"}
ADVANCED = 3000.0
"""Seconds after which a Zoho token is due, and no complete check yet."""


FAILURES = "crmflow_inventory_poll_failures_total"


def set_secret(tenant: Tenant, secret: str) -> None:
    """Adobe has this secret for the credential."""
    client_id = tenant.emulators.info["platform"]["clientId"]
    tenant.control.post("/aep/credentials", clientId=client_id, clientSecret=secret)


def rotate(tenant: Tenant) -> None:
    """Adobe has another secret for the credential, and its tokens end."""
    set_secret(tenant, "another-secret")
    tenant.control.post("/aep/tokens/revoke")


def restore(tenant: Tenant) -> None:
    """Adobe has the secret again that the Secret holds."""
    set_secret(tenant, tenant.emulators.info["platform"]["clientSecret"])


def message(obj: Object, name: str) -> str:
    """The message of a condition."""
    found = condition(obj, name)
    assert found is not None
    return str(found["message"])


def test_a_rotated_adobe_secret_is_told_within_a_poll_and_heals_within_one(tenant: Tenant) -> None:
    tenant.make_ready()
    rotate(tenant)
    tenant.wait_reason(CONNECTION, "Authorized", "PlatformCredentialsRejected")
    tenant.wait_reason(CONNECTION, "Stalled", "PlatformCredentialsRejected", "True")
    tenant.cluster.wait_condition(DATAFLOW, manifests.DATAFLOW, tenant.namespace, "Ready", "False")

    restore(tenant)
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    tenant.check()


def test_a_refusal_that_a_restarted_operator_meets_first_heals_within_a_poll(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    rotate(tenant)
    tenant.operator.start()
    tenant.wait_reason(CONNECTION, "Authorized", "PlatformCredentialsRejected")
    restore(tenant)
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)


@pytest.mark.parametrize("path", [LISTINGS, "/flowservice/"], ids=["listings alone", "everything"])
def test_a_permission_that_is_withdrawn_is_told_within_a_poll_and_heals_within_one(
    tenant: Tenant, path: str
) -> None:
    tenant.make_ready()
    tenant.control.fault(service="platform", path=path, status=403, body=NO_ROLE, times=None)
    tenant.wait_reason(CONNECTION, "Stalled", "PermissionDenied", "True")
    tenant.cluster.wait_condition(DATAFLOW, manifests.DATAFLOW, tenant.namespace, "Ready", "False")
    mark = tenant.mark()
    tenant.wait_polls(3)
    beside = tenant.calls_beside_polls(mark)
    assert len(beside) <= 2 * len(tenant.calls_since(mark)) // 3, "who has said it looks no more"

    tenant.control.delete("/faults")
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    tenant.check()


def test_runs_that_can_not_be_listed_are_told_beside_ready(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.fault(service="platform", path="/runs$", status=403, body=NO_ROLE, times=None)
    told = tenant.wait_reason(DATAFLOW, "RunsHealthy", "RunsUnreadable", "Unknown")
    assert message(told, "RunsHealthy").startswith("The runs of the flow can't be listed. ")
    assert (condition(told, "Ready") or {})["status"] == "True"

    tenant.control.delete("/faults")
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "NoRunYet", "Unknown")
    tenant.check()


@pytest.mark.parametrize("push", ["OnRefresh", "OnCredentialChange"])
def test_a_revoked_grant_is_told_when_its_token_is_due(tenant: Tenant, push: str) -> None:
    tenant.apply_secrets()
    tenant.apply_connection(tokenPush=push, resyncInterval="24h")
    tenant.wait_ready(CONNECTION)
    tenant.control.post("/zoho/refresh-tokens/revoke")
    tenant.control.advance(ADVANCED)
    told = tenant.wait_reason(CONNECTION, "Authorized", "RefreshTokenRejected")
    command = f"kubectl crmflow authorize {manifests.CONNECTION} -n {tenant.namespace}"
    for name in ("Authorized", "Ready", "Stalled"):
        assert command in message(told, name)
    tenant.check()


def test_two_adobe_tokens_that_end_within_two_minutes_take_no_ready_away(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.post("/aep/tokens/revoke")
    tenant.wait_polls(2)
    assert tenant.metric(FAILURES) == 0, "one token is replaced at once"
    tenant.control.post("/aep/tokens/revoke")
    tenant.wait_metric(lambda: tenant.metric(FAILURES) > 3)
    mark = tenant.mark()
    tenant.wait_metric(lambda: tenant.metric(FAILURES) > 6)
    assert tenant.calls_since(mark) == [], "a dead token is not used"
    for kind in (CONNECTION, DATAFLOW):
        assert (condition(tenant.get(kind), "Ready") or {})["status"] == "True"

    tenant.control.advance(120.0)
    tenant.wait_polls(2)
    tenant.request(CONNECTION, "again")
    tenant.wait_answer(CONNECTION, "again")
    assert {call["status"] for call in tenant.calls_since(mark)} <= {200, 304}
    tenant.check()
