"""A resource that only observes: everything is read and compared, and nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.reconcile.harness import Harness
from tests.unit.reconcile.test_adoption import adopting, existing, writes


async def test_an_observed_connection_is_read_and_never_written() -> None:
    harness = Harness()
    resource = adopting(harness, managementPolicy="Observe")
    result = await resource.until_done()
    assert writes(result.calls) == []
    assert {
        "connections.get",
        "connections.test",
        "connections.exploreRoot",
        "sandboxes.list",
        "organization",
    } <= set(result.calls)
    assert resource.condition("Ready")[0] == resource.condition("Synced")[0] == "True"
    assert "only observed" in resource.condition("Ready")[2]
    assert "token" not in resource.status
    assert (await resource.visit(full=False)).step == "quiet"
    assert (await resource.visit()).calls.count("connections.test") == 1, "each full check tests"


async def test_drift_is_reported_once_and_heals() -> None:
    harness = Harness()
    params = {"accountsUrl": "https://accounts.zoho.com/", "clientId": "1000.OTHER", "accessToken": "****"}
    resource = adopting(
        harness,
        existing(auth_params=params),
        managementPolicy="Observe",
    )
    result = await resource.until_done()
    assert [event.reason for event in result.events] == ["Adopted", "DriftObserved"]
    status, reason, message = resource.condition("Synced")
    assert (status, reason) == ("False", "Drifted")
    assert "spec.zoho.dataCenter, spec.zoho.credentialsSecretRef" in message
    assert resource.condition("Ready")[0] == "True"
    fields = ["spec.zoho.dataCenter", "spec.zoho.credentialsSecretRef"]
    drift = resource.status["lastDrift"]
    assert drift["fields"] == fields

    harness.clock.time += 3600
    assert [event.reason for event in (await resource.visit()).events] == []
    assert resource.status["lastDrift"] == drift, "it is the same drift"

    harness.platform.connections["bc-9"] = existing()
    await resource.until_done()
    assert resource.condition("Synced")[0] == "True"
    assert resource.status["lastDrift"] == drift, "the record stays"


@pytest.mark.parametrize("shown", [{}, {"clientId": "****"}], ids=["omitted", "masked"])
async def test_what_a_read_does_not_show_is_no_drift(shown: dict[str, Any]) -> None:
    harness = Harness()
    resource = adopting(harness, existing(auth_params=shown), managementPolicy="Observe")
    await resource.until_done()
    assert resource.condition("Synced")[0] == "True"


async def test_a_change_of_credentials_is_not_pushed() -> None:
    harness = Harness()
    resource = adopting(harness, managementPolicy="Observe")
    await resource.until_done()
    harness.secrets.data["crm", "zoho-oauth"]["refreshToken"] = "1000.new.token"
    assert writes((await resource.visit()).calls) == []


async def test_managed_again_it_is_put_right() -> None:
    harness = Harness()
    resource = adopting(harness, managementPolicy="Observe")
    await resource.until_done()
    resource.edit(lambda spec: spec.update(managementPolicy="Manage"))
    assert writes((await resource.until_done()).calls) == ["connections.patch"]
    assert resource.condition("Synced")[0] == "True"


@pytest.mark.parametrize("policy", [{}, {"deletionPolicy": "Delete"}, {"deletionPolicy": "Orphan"}])
async def test_deleting_an_observed_connection_touches_nothing(policy: dict[str, str]) -> None:
    harness = Harness()
    resource = adopting(harness, managementPolicy="Observe", **policy)
    await resource.until_done()
    harness.secrets.data.clear()
    harness.access.held.clear()
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == []
    assert list(harness.platform.connections) == ["bc-9"]
