"""What becomes of a connection when Zoho refuses what it allowed before, or only what no data needs."""

from __future__ import annotations

import pytest

from tests.kit.cluster import condition
from tests.kit.tenant import CONNECTION, DATAFLOW, ONE_OF_EACH, Tenant

USER = "/zoho/eu/production/users/data.pipeline@example.com"
HOUR = 3700.0


@pytest.mark.parametrize("refusal", ["no_permission", "forbidden_html"])
def test_data_flows_though_the_organization_may_not_be_read(tenant: Tenant, refusal: str) -> None:
    tenant.control.switch("zoho", orgRefusal=refusal)
    tenant.make_ready()
    authorized = condition(tenant.get(CONNECTION), "Authorized")
    assert authorized["status"] == "True"
    assert "was not verified" in authorized["message"]
    said = {"no_permission": "Crm_Implied_View_Organization", "forbidden_html": '403 "Forbidden"'}
    assert said[refusal] in authorized["message"]
    assert tenant.counts() == ONE_OF_EACH

    tenant.control.switch("zoho", orgRefusal="none")
    tenant.request(CONNECTION, "look again")
    answered = tenant.wait_answer(CONNECTION, "look again")
    assert "was not verified" not in condition(answered, "Authorized")["message"]
    assert answered["status"]["zohoOrganization"]["timeZone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("what_zoho_does", "reason"),
    [("api_refuses", "TokenRejected"), ("grant_ends", "RefreshTokenRejected")],
)
def test_a_user_who_is_deactivated_is_looked_for_first(
    tenant: Tenant, what_zoho_does: str, reason: str
) -> None:
    tenant.control.switch("zoho", inactiveUser=what_zoho_does)
    tenant.make_ready()
    tenant.control.patch(USER, active=False)
    tenant.control.advance(HOUR)
    refused = condition(tenant.wait_reason(CONNECTION, "Authorized", reason), "Authorized")["message"]
    assert "deactivated" in refused
    assert "data center EU (Europe)" in refused
    assert "Check spec.zoho" not in refused

    tenant.control.patch(USER, active=True)
    tenant.control.advance(HOUR)
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    assert tenant.counts() == ONE_OF_EACH
