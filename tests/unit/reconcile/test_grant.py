"""What a connection makes of its grant at Zoho: scopes, the organization behind it, rotation, its end."""

from __future__ import annotations

import pytest

from crmflow.reconcile.outcome import OutcomeClass
from crmflow.transport.errors import ErrorClass
from crmflow.zoho.scopes import DEFAULT_SCOPES, SOURCE_SCOPES
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import NAMESPACE, World

NO_ORG_SCOPE = remote_error(ErrorClass.TERMINAL, "ScopeMissing", "lacks a scope")


@pytest.mark.parametrize("missing", SOURCE_SCOPES)
async def test_a_missing_scope_for_data_is_named(missing: str) -> None:
    world = World()
    world.zoho.granted = tuple(scope for scope in DEFAULT_SCOPES if scope != missing)
    resource = world.connection()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, "ScopeMissing")
    assert missing in result.outcome.message
    assert "kubectl crmflow authorize" in result.outcome.message
    assert all(scope not in result.outcome.message for scope in SOURCE_SCOPES if scope != missing)
    world.zoho.granted = DEFAULT_SCOPES
    assert (await resource.visit()).outcome.is_done


@pytest.mark.parametrize(
    "granted",
    [
        pytest.param((), id="Zoho did not say"),
        pytest.param(SOURCE_SCOPES, id="just enough"),
        pytest.param(("ZohoCRM.modules.ALL", "ZohoCRM.settings.all"), id="wider ones"),
    ],
)
async def test_a_grant_that_is_wide_enough_is_used(granted: tuple[str, ...]) -> None:
    world = World()
    world.zoho.granted = granted
    assert (await world.connection().visit()).outcome.is_done


async def test_the_spec_may_ask_for_more_scopes() -> None:
    world = World()
    world.zoho.granted = DEFAULT_SCOPES
    resource = world.connection()
    resource.spec["zoho"]["scopes"] = [*DEFAULT_SCOPES, "ZohoCRM.coql.READ"]
    result = await resource.visit()
    assert result.outcome.reason == "ScopeMissing"
    assert "the scope ZohoCRM.coql.READ." in result.outcome.message


async def test_a_missing_scope_for_verification_never_blocks() -> None:
    world = World()
    world.zoho.granted = SOURCE_SCOPES
    world.zoho.fail("organization", NO_ORG_SCOPE)
    resource = world.connection()
    assert (await resource.visit()).outcome.is_done
    status, reason, message = resource.condition("Authorized")
    assert (status, reason) == ("True", "Succeeded")
    assert "ZohoCRM.org.READ" in message
    assert "zohoOrganization" not in resource.status


async def test_an_organization_stays_pinned_when_it_can_no_longer_be_verified() -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    world.zoho.fail("organization", NO_ORG_SCOPE)
    assert (await resource.visit()).outcome.is_done
    assert resource.status["zohoOrganization"]["id"] == "org-1"


async def test_a_former_grant_is_dropped_once_the_new_one_is_tested() -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    world.access.dropped.clear()
    world.secrets.data[NAMESPACE, "zoho-oauth"]["refreshToken"] = "1000.new.new"
    world.platform.test_succeeds = False
    await resource.visit()
    assert world.access.dropped == []
    world.platform.test_succeeds = True
    await resource.visit(requested=True)
    assert world.access.dropped == ["former grants of crm/zoho-eu"]
    world.access.dropped.clear()
    await resource.visit()
    assert world.access.dropped == []


@pytest.mark.parametrize(
    ("policy", "dropped"),
    [
        pytest.param({}, "grants of crm/zoho-eu, revoked", id="Delete"),
        pytest.param({"deletionPolicy": "Orphan"}, "grants of crm/zoho-eu", id="Orphan: it goes on working"),
    ],
)
async def test_the_grant_goes_with_the_base_connection(policy: dict[str, str], dropped: str) -> None:
    world = World()
    resource = world.connection(**policy)
    await resource.visit()
    world.access.dropped.clear()
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert world.access.dropped == [dropped]


async def test_a_deletion_does_not_wait_for_zoho() -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    world.access.dropped.clear()
    world.access.fail("drop_grants", remote_error(message="not available"), times=1)
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    [event] = [event for event in result.events if event.reason == "RevocationFailed"]
    assert "Connected Apps" in event.note
    assert world.access.dropped == ["grants of crm/zoho-eu"]


async def test_a_refused_push_takes_nothing_from_a_connection_that_works() -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    world.zoho.token = "1000.eeee.ffff"
    refusal = remote_error(ErrorClass.TERMINAL, "SourceNotOffered", "invalid spec")
    world.platform.fail("patch_connection", refusal)
    result = await resource.visit(full=False)
    assert (result.step, result.outcome.is_done) == ("quiet", True)
    [event] = result.events
    assert event.reason == "TokenPushRefused"
    assert "OnCredentialChange" in event.note
    assert (await resource.visit()).events == [], "once per token is enough"


@pytest.mark.parametrize("full", [True, False])
async def test_where_no_push_was_noted_what_works_is_left_alone(full: bool) -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    world.zoho.pushed = None
    world.zoho.token = "1000.eeee.ffff"
    visit = await resource.visit(full=full)
    assert visit.outcome.is_done
    assert "test_connection" in visit.calls
    assert "patch_connection" not in visit.calls
    assert "test_connection" not in (await resource.visit(full=False)).calls, "once is enough"
    world.zoho.token = "1000.gggg.hhhh"
    assert "patch_connection" in (await resource.visit(full=False)).calls


async def test_where_no_push_was_noted_what_does_not_work_gets_the_token() -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    world.zoho.pushed = None
    world.platform.fail("test_connection", remote_error(ErrorClass.TERMINAL, "SourceRefused", "no"), times=1)
    assert "patch_connection" in (await resource.visit(full=False)).calls
    assert world.zoho.pushed == world.zoho.token


async def test_a_push_that_met_a_busy_platform_is_repeated() -> None:
    world = World()
    resource = world.connection()
    await resource.visit()
    world.zoho.token = "1000.eeee.ffff"
    world.platform.fail("patch_connection", remote_error(), times=1)
    assert not (await resource.visit(full=False)).outcome.is_done
    assert resource.condition("Ready")[0] == "True"
    assert "patch_connection" in (await resource.visit(full=False)).calls
