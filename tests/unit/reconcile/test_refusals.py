"""What a connection advises when Zoho or Adobe refuses, by what it has proved; what it goes on without."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from crmflow.aep.models import Sandbox
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.outcome import OutcomeClass
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import NAMESPACE, Harness, Resource

STALLED = OutcomeClass.STALLED
BLIND = "Check spec.zoho.dataCenter and spec.zoho.environment."
AUTHORIZE = "kubectl crmflow authorize zoho-eu -n crm"


def refused(reason: str, advice: str = BLIND) -> RemoteError:
    return remote_error(ErrorClass.TERMINAL, reason, "not accepted", advice=advice)


async def authorized(harness: Harness, resource: Resource) -> str:
    """The message after a complete check; Ready and Authorized say the same."""
    result = await resource.visit(requested=True)
    assert result.outcome.outcome_class is STALLED
    assert resource.condition("Authorized")[2] == resource.condition("Ready")[2] == result.outcome.message
    return result.outcome.message


AT_ZOHO = [
    ("access_token", "InvalidClient", "whether the client still exists"),
    ("access_token", "InvalidClientSecret", "made anew in Zoho's API console"),
    ("access_token", "RefreshTokenRejected", "changed the password or was deactivated"),
    ("organization", "TokenRejected", "whether the user who consented was deactivated"),
    ("organization", "WrongDataCenter", "a grant of another account now"),
]


@pytest.mark.parametrize(("call", "reason", "advice"), AT_ZOHO)
async def test_what_has_worked_at_zoho_is_not_doubted(call: str, reason: str, advice: str) -> None:
    harness = Harness()
    resource = harness.connection()
    harness.zoho.fail(call, refused(reason))
    assert BLIND in await authorized(harness, resource), "nothing is proved yet"
    harness.zoho.heal()
    assert (await resource.visit()).outcome.is_done
    harness.zoho.fail(call, refused(reason))
    message = await authorized(harness, resource)
    assert advice in message
    assert "data center EU (Europe)" in message
    assert BLIND not in message
    harness.zoho.heal()
    assert (await resource.visit()).outcome.is_done


async def test_the_user_comes_before_the_addresses() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.zoho.fail("organization", refused("TokenRejected"))
    message = await authorized(harness, resource)
    assert message.index("was deactivated") < message.index("Allowed IPs")


async def test_an_environment_that_was_never_read_is_not_proved() -> None:
    harness = Harness()
    resource = harness.connection()
    harness.zoho.fail("organization", refused("PermissionDenied"))
    assert (await resource.visit()).outcome.is_done
    harness.zoho.heal()
    harness.zoho.fail("organization", refused("TokenRejected"))
    assert BLIND in await authorized(harness, resource)


AT_ADOBE = [
    ("PlatformTokenRejected", "still holds a credential of that organization"),
    ("OrganizationRejected", "still has its product profile"),
    ("SandboxNotFound", "no longer includes it"),
]


@pytest.mark.parametrize(("reason", "advice"), AT_ADOBE)
async def test_what_has_worked_at_adobe_is_not_doubted(reason: str, advice: str) -> None:
    blind = "Check spec.platform."
    harness = Harness()
    resource = harness.connection()
    harness.platform.fail("sandboxes.list", refused(reason, blind))
    assert blind in await authorized(harness, resource)
    harness.platform.heal()
    await resource.visit()
    harness.platform.fail("sandboxes.list", refused(reason, blind))
    message = await authorized(harness, resource)
    assert advice in message
    assert "sandbox prod of 1A2B@AdobeOrg" in message
    assert blind not in message


async def test_a_sandbox_that_is_gone_is_not_called_a_wrong_name() -> None:
    harness = Harness()
    resource = harness.connection()
    harness.platform.sandbox_list = []
    message = await authorized(harness, resource)
    assert "Check the name (not the title)" in message
    assert "cannot change after creation" in message
    assert "It includes no sandbox at all." in message
    harness.platform.sandbox_list = [Sandbox("prod", "active", "production", "VA7")]
    await resource.visit()
    harness.platform.sandbox_list = [Sandbox("dev", "active", "development", "VA7")]
    message = await authorized(harness, resource)
    assert 'Sandbox "prod" no longer exists' in message
    assert "title" not in message


@pytest.mark.parametrize("reason", ["RefreshTokenRejected", "GrantRejected", "GrantLost", "GrantIncomplete"])
async def test_a_grant_that_has_ended_names_the_command(reason: str) -> None:
    harness = Harness()
    harness.zoho.fail("access_token", refused(reason, "If so, consent again."))
    message = await authorized(harness, harness.connection())
    assert message.endswith(f'If so, consent again. Run "{AUTHORIZE}".')


# --- Checks that data does not need


@pytest.mark.parametrize("reason", ["PermissionDenied", "AccessRefused", "FeatureNotEnabled", "WrongHost"])
async def test_a_refused_look_at_the_organization_is_told_and_does_not_block(reason: str) -> None:
    harness = Harness()
    resource = harness.connection()
    harness.zoho.fail("organization", refused(reason))
    assert (await resource.visit()).outcome.is_done
    status, condition_reason, message = resource.condition("Authorized")
    assert (status, condition_reason) == ("True", "Succeeded")
    assert "To which organization the grant belongs was not verified: not accepted." in message
    assert "lead where the spec says" not in message, "that is what was not verified"
    assert resource.condition("Ready")[0] == "True"
    assert "zohoOrganization" not in resource.status
    assert (await resource.visit(requested=True)).outcome.is_done
    assert resource.condition("Authorized")[2] == message, "it does not change while nothing changes"
    harness.zoho.heal()
    assert (await resource.visit(requested=True)).outcome.is_done
    assert "not verified" not in resource.condition("Authorized")[2]
    assert resource.status["zohoOrganization"]["id"] == "org-1"


@pytest.mark.parametrize("error_class", [ErrorClass.NOT_FOUND, ErrorClass.BUG])
async def test_so_does_an_answer_that_makes_no_sense(error_class: ErrorClass) -> None:
    reason = {ErrorClass.NOT_FOUND: "NotFound", ErrorClass.BUG: "RequestRefused"}[error_class]
    harness = Harness()
    harness.zoho.fail("organization", remote_error(error_class, reason, "odd"))
    assert (await harness.connection().visit()).outcome.is_done


@pytest.mark.parametrize("reason", ["TokenRejected", "ApiAccessDisabled", "WrongDataCenter"])
async def test_what_concerns_every_call_still_blocks(reason: str) -> None:
    harness = Harness()
    harness.zoho.fail("organization", refused(reason))
    result = await harness.connection().visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, reason)


async def test_an_outage_is_waited_for_only_before_the_first_look() -> None:
    harness = Harness()
    resource = harness.connection()
    harness.zoho.fail("organization", remote_error(reason="RateLimited", message="no credits"))
    assert (await resource.visit()).outcome.outcome_class is OutcomeClass.TRANSIENT
    harness.zoho.heal()
    assert (await resource.visit()).outcome.is_done
    harness.zoho.fail("organization", remote_error(reason="RateLimited", message="no credits"))
    assert (await resource.visit(requested=True)).outcome.is_done
    assert "not verified: no credits." in resource.condition("Authorized")[2]
    assert resource.status["zohoOrganization"]["id"] == "org-1"
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["refreshToken"] = "1000.eeee.ffff"
    assert (await resource.visit()).outcome.outcome_class is OutcomeClass.TRANSIENT, "another grant"


async def test_no_sentence_is_built_of_scopes_that_are_not_missing() -> None:
    harness = Harness()
    harness.zoho.granted = ("ZohoCRM.modules.ALL", "ZohoCRM.settings.ALL", "ZohoCRM.org.READ")
    resource = harness.connection()
    harness.zoho.fail("organization", refused("ScopeMissing"))
    assert (await resource.visit()).outcome.is_done
    assert "was not verified: not accepted." in resource.condition("Authorized")[2]


async def test_a_later_refusal_is_not_hidden_behind_what_was_not_verified() -> None:
    harness = Harness()
    harness.zoho.fail("organization", refused("PermissionDenied"))
    harness.access.fail("platform", refused("PlatformCredentialsRejected", "Compare."))
    resource = harness.connection()
    await resource.visit()
    assert resource.condition("Authorized")[:2] == ("False", "PlatformCredentialsRejected")


async def test_a_credential_that_may_not_list_sandboxes_is_used() -> None:
    harness = Harness()
    harness.platform.fail("sandboxes.list", refused("PermissionDenied"))
    resource = harness.connection()
    assert (await resource.visit()).outcome.is_done
    message = resource.condition("Authorized")[2]
    assert "Whether the sandbox exists and is active was not verified: not accepted." in message


async def test_a_credential_that_may_not_look_at_the_offer_is_used() -> None:
    harness = Harness()
    harness.platform.fail("flowSpecs.list", refused("PermissionDenied", "Give it a role."))
    resource = harness.connection(transport="PlatformSource")  # else there is nothing to choose a way by
    assert (await resource.visit()).outcome.is_done
    status, reason, message = resource.condition("SourceOffered")
    assert (status, reason) == ("Unknown", "PermissionDenied")
    assert "was not verified" in message
    assert "Give it a role." in message
    assert resource.condition("Ready")[0] == "True"
    harness.platform.heal()
    harness.clock.time += 3600
    assert (await resource.visit(requested=True)).outcome.is_done
    assert resource.condition("SourceOffered")[:2] == ("True", "Succeeded")


async def test_all_that_was_not_verified_is_told() -> None:
    harness = Harness()
    harness.platform.fail("sandboxes.list", refused("PermissionDenied"))
    harness.zoho.fail("organization", refused("PermissionDenied"))
    resource = harness.connection()
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("Authorized")[2].count("was not verified") == 2


async def test_the_time_zone_of_the_organization_is_told() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    assert resource.status["zohoOrganization"]["timeZone"] == "America/Los_Angeles"


# --- Values in Secrets


def bom(value: str) -> str:
    return f"\ufeff{value}"


def twice(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("zoho-oauth", "clientId"),
        ("zoho-oauth", "clientSecret"),
        ("zoho-oauth", "refreshToken"),
        ("adobe-platform", "clientId"),
        ("adobe-platform", "clientSecret"),
    ],
)
async def test_a_value_that_cannot_be_right_is_named_before_anybody_is_asked(secret: str, key: str) -> None:
    harness = Harness()
    right = harness.secrets.data[NAMESPACE, secret][key]
    harness.secrets.data[NAMESPACE, secret][key] = bom(right)
    resource = harness.connection()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "SecretValueInvalid")
    assert result.calls == []
    message = resource.condition("Authorized")[2]
    assert f'In Secret "{secret}"' in message
    assert f"{key} begins with a byte order mark" in message
    assert right not in message
    harness.secrets.data[NAMESPACE, secret][key] = right
    assert (await resource.visit()).outcome.is_done


def _at_zoho(harness: Harness) -> None:
    harness.zoho.fail("access_token", refused("InvalidClient", "Check clientId."))


def _at_adobe(harness: Harness) -> None:
    harness.access.fail("platform", refused("PlatformCredentialsRejected", "Check clientId."))


@pytest.mark.parametrize(
    ("secret", "refuse"), [("zoho-oauth", _at_zoho), ("adobe-platform", _at_adobe)], ids=["Zoho", "Adobe"]
)
@pytest.mark.parametrize(
    ("spoil", "what"),
    [(lambda v: f'"{v}"', "surrounded by quotes"), (lambda v: twice(f"{v}-{v}"), "base64 twice")],
    ids=["quotes", "base64"],
)
async def test_a_value_that_looks_odd_is_named_once_it_is_refused(
    secret: str, refuse: Callable[[Harness], None], spoil: Callable[[str], str], what: str
) -> None:
    harness = Harness()
    data = harness.secrets.data[NAMESPACE, secret]
    data["clientId"] = spoil(data["clientId"])
    resource = harness.connection()
    assert (await resource.visit()).outcome.is_done, "it may be right"
    refuse(harness)
    message = await authorized(harness, resource)
    assert f'In Secret "{secret}", clientId' in message
    assert what in message
    assert message.index(what) < message.index("If that is not it:")
    assert data["clientId"] not in message


async def test_an_outage_is_no_reason_to_doubt_a_value() -> None:
    harness = Harness()
    data = harness.secrets.data[NAMESPACE, "zoho-oauth"]
    data["clientId"] = f'"{data["clientId"]}"'
    harness.zoho.fail("access_token", remote_error())
    resource = harness.connection()
    await resource.visit()
    assert "quotes" not in resource.condition("Authorized")[2]


async def test_keys_that_are_there_are_named_beside_those_that_are_not() -> None:
    harness = Harness()
    harness.secrets.data[NAMESPACE, "zoho-oauth"] = {"ClientID": "1000.X", "credentials.json": "{}"}
    message = await authorized(harness, harness.connection())
    assert "It has the keys ClientID, credentials.json." in message
    harness.secrets.data[NAMESPACE, "zoho-oauth"] = {}
    message = await authorized(harness, harness.connection())
    assert "It is empty." in message
