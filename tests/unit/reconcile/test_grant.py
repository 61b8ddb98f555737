"""What a connection makes of its grant at Zoho: scopes, the organization behind it, rotation, its end."""

from __future__ import annotations

import pytest

from crmflow.http.errors import ErrorClass
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.zoho.scopes import DEFAULT_SCOPES, SOURCE_SCOPES
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import NAMESPACE, Harness

NO_ORG_SCOPE = remote_error(ErrorClass.TERMINAL, "ScopeMissing", "lacks a scope")


@pytest.mark.parametrize("missing", SOURCE_SCOPES)
async def test_a_missing_scope_for_data_is_named(missing: str) -> None:
    harness = Harness()
    harness.zoho.granted = tuple(scope for scope in DEFAULT_SCOPES if scope != missing)
    resource = harness.connection()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, "ScopeMissing")
    assert missing in result.outcome.message
    assert "kubectl crmflow authorize" in result.outcome.message
    assert all(scope not in result.outcome.message for scope in SOURCE_SCOPES if scope != missing)
    harness.zoho.granted = DEFAULT_SCOPES
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
    harness = Harness()
    harness.zoho.granted = granted
    assert (await harness.connection().visit()).outcome.is_done


async def test_the_spec_may_ask_for_more_scopes() -> None:
    harness = Harness()
    harness.zoho.granted = DEFAULT_SCOPES
    resource = harness.connection()
    resource.spec["zoho"]["scopes"] = [*DEFAULT_SCOPES, "ZohoCRM.settings.layouts.READ"]
    result = await resource.visit()
    assert result.outcome.reason == "ScopeMissing"
    assert "the scope ZohoCRM.settings.layouts.READ." in result.outcome.message


@pytest.mark.parametrize("named", [None, [*SOURCE_SCOPES]])
async def test_our_own_reads_need_their_scopes_whatever_the_spec_names(named: list[str] | None) -> None:
    harness = Harness()
    harness.zoho.granted = SOURCE_SCOPES
    resource = harness.connection()
    resource.spec["transport"] = "LandingZone"
    if named:
        resource.spec["zoho"]["scopes"] = named
    result = await resource.visit()
    assert result.outcome.reason == "ScopeMissing"
    assert "ZohoCRM.coql.READ, ZohoCRM.bulk.READ." in result.outcome.message
    assert ("spec.zoho.scopes, which is" in result.outcome.message) == bool(named)


async def test_a_missing_scope_for_verification_never_blocks() -> None:
    harness = Harness()
    harness.zoho.granted = SOURCE_SCOPES
    harness.zoho.fail("organization", NO_ORG_SCOPE)
    resource = harness.connection()
    assert (await resource.visit()).outcome.is_done
    status, reason, message = resource.condition("Authorized")
    assert (status, reason) == ("True", "Succeeded")
    assert "ZohoCRM.org.READ" in message
    assert "zohoOrganization" not in resource.status


async def test_an_organization_stays_pinned_when_it_can_no_longer_be_verified() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.zoho.fail("organization", NO_ORG_SCOPE)
    assert (await resource.visit()).outcome.is_done
    assert resource.status["zohoOrganization"]["id"] == "org-1"


async def test_a_former_grant_is_dropped_once_the_new_one_is_tested() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.access.dropped.clear()
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["refreshToken"] = "1000.new.new"
    harness.platform.test_succeeds = False
    await resource.visit()
    assert harness.access.dropped == []
    harness.platform.test_succeeds = True
    await resource.visit(requested=True)
    assert harness.access.dropped == ["former grants of crm/zoho-eu"]
    harness.access.dropped.clear()
    await resource.visit()
    assert harness.access.dropped == []


@pytest.mark.parametrize(
    ("policy", "dropped"),
    [
        pytest.param({}, "grants of crm/zoho-eu, revoked", id="Delete"),
        pytest.param({"deletionPolicy": "Orphan"}, "grants of crm/zoho-eu", id="Orphan: it goes on working"),
    ],
)
async def test_the_grant_goes_with_the_base_connection(policy: dict[str, str], dropped: str) -> None:
    harness = Harness()
    resource = harness.connection(**policy)
    await resource.visit()
    harness.access.dropped.clear()
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert harness.access.dropped == [dropped]


async def test_a_deletion_does_not_wait_for_zoho() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.access.dropped.clear()
    harness.access.fail("drop_grants", remote_error(message="not available"), times=1)
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    [event] = [event for event in result.events if event.reason == "RevocationFailed"]
    assert "Connected Apps" in event.note
    assert harness.access.dropped == ["grants of crm/zoho-eu"]


async def test_a_refused_push_takes_nothing_from_a_connection_that_works() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.zoho.token = "1000.eeee.ffff"
    refusal = remote_error(
        ErrorClass.TERMINAL, "SourceNotOffered", "invalid spec", advice="Look at the condition Tested."
    )
    harness.platform.fail("connections.patch", refusal)
    result = await resource.visit(full=False)
    assert (result.step, result.outcome.is_done) == ("quiet", True)
    [event] = result.events
    assert event.reason == "TokenPushRefused"
    assert 'does not take the new access token: "invalid spec". Platform refreshes' in event.note
    assert "OnCredentialChange" in event.note
    assert "Tested" not in event.note, "which is True"
    assert (await resource.visit()).events == [], "once per token is enough"


@pytest.mark.parametrize(
    "reason", ["PermissionDenied", "PlatformTokenRejected", "PlatformCredentialsRejected"]
)
async def test_a_push_that_is_refused_to_the_operator_is_no_matter_of_the_token(reason: str) -> None:
    """With Manage Sources withdrawn, listings may go on working while nothing can be written any more."""
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.zoho.token = "1000.eeee.ffff"
    harness.platform.fail("connections.patch", remote_error(ErrorClass.TERMINAL, reason, "no"))
    result = await resource.visit(full=False)
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, reason)
    assert resource.condition("Synced")[:2] == resource.condition("Ready")[:2] == ("False", reason)
    assert result.events == []
    harness.platform.heal()
    assert (await resource.visit()).outcome.is_done
    assert harness.platform.arguments["connections.patch"], "and the token has arrived"
    assert resource.condition("Ready")[0] == "True"


@pytest.mark.parametrize("full", [True, False])
async def test_where_no_push_was_noted_what_works_is_left_alone(full: bool) -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.zoho.pushed = None
    harness.zoho.token = "1000.eeee.ffff"
    visit = await resource.visit(full=full)
    assert visit.outcome.is_done
    assert "connections.test" in visit.calls
    assert "connections.patch" not in visit.calls
    assert "connections.test" not in (await resource.visit(full=False)).calls, "once is enough"
    harness.zoho.token = "1000.gggg.hhhh"
    assert "connections.patch" in (await resource.visit(full=False)).calls


async def test_where_no_push_was_noted_what_does_not_work_gets_the_token() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.zoho.pushed = None
    harness.platform.fail(
        "connections.test", remote_error(ErrorClass.TERMINAL, "SourceRefused", "no"), times=1
    )
    assert "connections.patch" in (await resource.visit(full=False)).calls
    assert harness.zoho.pushed == harness.zoho.token


async def test_a_push_that_met_a_busy_platform_is_repeated() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.zoho.token = "1000.eeee.ffff"
    harness.platform.fail("connections.patch", remote_error(), times=1)
    assert not (await resource.visit(full=False)).outcome.is_done
    assert resource.condition("Ready")[0] == "True"
    assert "connections.patch" in (await resource.visit(full=False)).calls
