"""A resource that only observes: everything is read and compared, and nothing is changed."""

from __future__ import annotations

from typing import Any, cast

import pytest

from crmflow.reconcile.ports import Platform
from crmflow.reconcile.read_only import READS, ReadOnlyError, read_only
from tests.unit.reconcile.test_adoption import adopting, existing, writes
from tests.unit.reconcile.world import World

WRITES = {
    "create_connection",
    "create_dataset",
    "create_flow",
    "create_mapping_set",
    "create_schema",
    "create_source_connection",
    "create_target_connection",
    "delete_connection",
    "delete_flow",
    "delete_source_connection",
    "delete_target_connection",
    "enable_schema_for_profile",
    "patch_connection",
    "patch_flow",
    "patch_source_connection",
    "patch_target_connection",
    "set_flow_state",
    "set_primary_identity",
}


def test_every_call_is_known_as_a_read_or_as_a_write() -> None:
    methods = {name for name in vars(Platform) if not name.startswith("_")}
    assert methods == READS | WRITES
    assert not READS & WRITES


@pytest.mark.parametrize("name", sorted(WRITES))
def test_no_write_can_be_reached_through_a_read_only_sandbox(name: str) -> None:
    platform = World().platform
    with pytest.raises(ReadOnlyError):
        getattr(read_only(cast(Platform, platform)), name)


async def test_an_observed_connection_is_read_and_never_written() -> None:
    world = World()
    resource = adopting(world, managementPolicy="Observe")
    result = await resource.until_done()
    assert writes(result.calls) == []
    assert {"connection", "test_connection", "tables", "sandboxes", "organization"} <= set(result.calls)
    assert resource.condition("Ready")[0] == resource.condition("Synced")[0] == "True"
    assert "only observed" in resource.condition("Ready")[2]
    assert "token" not in resource.status
    assert (await resource.visit(full=False)).step == "quiet"
    assert (await resource.visit()).calls.count("test_connection") == 1, "each full check tests"


async def test_drift_is_reported_once_and_heals() -> None:
    world = World()
    params = {"accountsUrl": "https://accounts.zoho.com/", "clientId": "1000.OTHER", "accessToken": "****"}
    resource = adopting(
        world,
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

    world.clock.time += 3600
    assert [event.reason for event in (await resource.visit()).events] == []
    assert resource.status["lastDrift"] == drift, "it is the same drift"

    world.platform.connections["bc-9"] = existing()
    await resource.until_done()
    assert resource.condition("Synced")[0] == "True"
    assert resource.status["lastDrift"] == drift, "the record stays"


@pytest.mark.parametrize("shown", [{}, {"clientId": "****"}], ids=["omitted", "masked"])
async def test_what_a_read_does_not_show_is_no_drift(shown: dict[str, Any]) -> None:
    world = World()
    resource = adopting(world, existing(auth_params=shown), managementPolicy="Observe")
    await resource.until_done()
    assert resource.condition("Synced")[0] == "True"


async def test_a_change_of_credentials_is_not_pushed() -> None:
    world = World()
    resource = adopting(world, managementPolicy="Observe")
    await resource.until_done()
    world.secrets.data["crm", "zoho-oauth"]["refreshToken"] = "1000.new.token"
    assert writes((await resource.visit()).calls) == []


async def test_managed_again_it_is_put_right() -> None:
    world = World()
    resource = adopting(world, managementPolicy="Observe")
    await resource.until_done()
    resource.edit(lambda spec: spec.update(managementPolicy="Manage"))
    assert writes((await resource.until_done()).calls) == ["patch_connection"]
    assert resource.condition("Synced")[0] == "True"


@pytest.mark.parametrize("policy", [{}, {"deletionPolicy": "Delete"}, {"deletionPolicy": "Orphan"}])
async def test_deleting_an_observed_connection_touches_nothing(policy: dict[str, str]) -> None:
    world = World()
    resource = adopting(world, managementPolicy="Observe", **policy)
    await resource.until_done()
    world.secrets.data.clear()
    world.access.held.clear()
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert result.calls == []
    assert list(world.platform.connections) == ["bc-9"]
