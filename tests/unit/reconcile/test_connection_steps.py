"""The steps of a ZohoSourceConnection: what they call, what they say when something is wrong, what they
change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from crmflow.aep.models import FlowSpec, Sandbox
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.sources.offer import FLOW_SPEC_NAME, ZOHO_CONNECTION_SPEC_ID
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import NAMESPACE, Harness

FIRST_PASS = [
    "access_token",
    "organization",
    "sandboxes.list",
    "connectionSpecs.get",
    "flowSpecs.list",
    "access_token",
    "checkpoint",
    "connections.create",
    "connections.get",
    "connections.test",
    "connections.exploreRoot",
]
QUIET_PASS = [
    "access_token",
    "organization",
    "sandboxes.list",
    "connectionSpecs.get",
    "flowSpecs.list",
    "connections.get",
    "connections.test",
    "connections.exploreRoot",
]


async def test_a_new_connection_is_created_tested_and_explored() -> None:
    harness = Harness()
    resource = harness.connection(description="Sales")
    result = await resource.visit()
    assert result.outcome.is_done
    assert result.calls == FIRST_PASS
    [(connection_id, remote)] = harness.platform.connections.items()
    assert remote.name == resource.identity.remote_name("Zoho EU", "connection")
    assert remote.description.splitlines() == ["Sales", f"managed by crmflow test crm/zoho-eu {resource.uid}"]
    assert remote.connection_spec_id == ZOHO_CONNECTION_SPEC_ID
    assert remote.auth_spec_name == "Zoho OAuth"
    assert _revealed(remote.auth_params) == {
        "endpoint": "crm.zoho.eu/crm/private",
        "accountsUrl": "https://accounts.zoho.eu",
        "clientId": "1000.CLIENT",
        "clientSecret": "zoho-client-secret",
        "accessToken": "1000.aaaa.bbbb",
        "refreshToken": "1000.cccc.dddd",
    }
    assert resource.status["baseConnection"] == {"id": connection_id, "state": "enabled"}
    assert resource.status["tables"] == 2
    assert resource.status["zohoOrganization"]["id"] == "org-1"
    assert "intents" not in resource.status
    assert [event.reason for event in result.events] == ["Created"]
    for name in ("Ready", "Authorized", "SourceOffered", "Synced", "Tested"):
        assert resource.condition(name)[0] == "True", name
    assert connection_id in resource.condition("Ready")[2]


async def test_secrets_are_sent_as_values_that_do_not_print() -> None:
    harness = Harness()
    await harness.connection().visit()
    [(body,)] = harness.platform.arguments["connections.create"]
    params = body["auth"]["params"]
    assert {key for key, value in params.items() if isinstance(value, SecretStr)} == {
        "clientSecret",
        "accessToken",
        "refreshToken",
    }
    assert "dddd" not in repr(body)


async def test_a_converged_connection_is_read_and_left_alone() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    second = await resource.visit()
    harness.clock.time += 3600
    third = await resource.visit()
    assert third.calls == QUIET_PASS
    shared = ("connectionSpecs.get", "flowSpecs.list", "connections.exploreRoot")
    assert second.calls == [call for call in QUIET_PASS if call not in shared], "just asked"
    assert (second.events, third.events) == ([], [])


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        pytest.param(lambda spec: spec.update(displayName="New"), ["/name"], id="displayName"),
        pytest.param(lambda spec: spec.pop("displayName"), ["/name"], id="displayName removed"),
        pytest.param(lambda spec: spec.update(description="New"), ["/description"], id="description"),
        pytest.param(
            lambda spec: spec["platform"].update(authParams={"endpoint": "crm.zoho.eu/other"}),
            ["/auth/params"],
            id="authParams",
        ),
    ],
)
async def test_an_edit_patches_exactly_what_differs(
    change: Callable[[dict[str, Any]], Any], paths: list[str]
) -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    resource.edit(change)
    result = await resource.visit()
    assert result.outcome.is_done
    [(_, _, operations)] = harness.platform.arguments["connections.patch"]
    assert [operation.path for operation in operations] == paths
    assert "connections.test" in result.calls
    assert [event.note for event in result.events] == [f"Updated base connection bc-1: {', '.join(paths)}."]
    assert "connections.patch" not in (await resource.visit()).calls


async def test_auth_params_go_before_the_operators_own_but_never_replace_credentials() -> None:
    harness = Harness()
    await harness.connection(
        platform={
            "organization": "1A2B@AdobeOrg",
            "sandbox": "prod",
            "credentialsSecretRef": {"name": "adobe-platform"},
            "authParams": {"endpoint": "crm.zoho.eu/other", "clientSecret": "forged", "extra": "x"},
        }
    ).visit()
    params = _revealed(harness.platform.arguments["connections.create"][0][0]["auth"]["params"])
    assert params["endpoint"] == "crm.zoho.eu/other"
    assert params["extra"] == "x"
    assert params["clientSecret"] == "zoho-client-secret"


@pytest.mark.parametrize("key", ["clientId", "clientSecret", "refreshToken"])
async def test_rotated_credentials_are_pushed_once_and_tested(key: str) -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    before = resource.status["token"]["secretHash"]
    harness.secrets.data[NAMESPACE, "zoho-oauth"][key] = "rotated-value"
    result = await resource.visit()
    assert [call for call in result.calls if call in ("connections.patch", "connections.test")] == [
        "connections.patch",
        "connections.test",
    ]
    [(_, _, [operation])] = harness.platform.arguments["connections.patch"]
    assert _revealed(operation.value)[key] == "rotated-value"
    assert resource.status["token"]["secretHash"] != before
    assert "connections.patch" not in (await resource.visit()).calls


async def test_a_connection_that_is_found_after_a_lost_answer_gets_todays_credentials() -> None:
    harness = Harness()
    resource = harness.connection()
    lost = remote_error(reason="Timeout", maybe_applied=True)
    harness.platform.fail("connections.create", lost, after=True, times=1)
    await resource.visit()
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    assert (await resource.visit()).outcome.is_done
    [remote] = harness.platform.connections.values()
    assert _revealed(remote.auth_params)["clientSecret"] == "rotated-value"


def _no_zoho_secret(harness: Harness) -> None:
    del harness.secrets.data[NAMESPACE, "zoho-oauth"]


def _no_adobe_secret(harness: Harness) -> None:
    del harness.secrets.data[NAMESPACE, "adobe-platform"]


def _no_refresh_token(harness: Harness) -> None:
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["refreshToken"] = " \n"


def _no_adobe_client_secret(harness: Harness) -> None:
    del harness.secrets.data[NAMESPACE, "adobe-platform"]["clientSecret"]


def _forbidden_secret(harness: Harness) -> None:
    harness.secrets.fail(
        "read", remote_error(ErrorClass.TERMINAL, "SecretForbidden", "may not read", advice="Give rights.")
    )


def _wrong_data_center(harness: Harness) -> None:
    harness.zoho.fail(
        "access_token",
        remote_error(
            ErrorClass.TERMINAL, "InvalidClient", "unknown client", advice="Check spec.zoho.dataCenter."
        ),
    )


def _revoked_token(harness: Harness) -> None:
    harness.zoho.fail(
        "access_token",
        remote_error(
            ErrorClass.TERMINAL, "RefreshTokenRejected", "not accepted", advice="If so, consent again."
        ),
    )


def _throttled_token(harness: Harness) -> None:
    harness.zoho.fail("access_token", remote_error(reason="TokenThrottled", retry_after=600.0))


def _no_api_access(harness: Harness) -> None:
    harness.zoho.fail(
        "organization",
        remote_error(
            ErrorClass.TERMINAL, "ApiAccessDisabled", "no access", advice="Switch on Zoho CRM API Access."
        ),
    )


def _wrong_environment(harness: Harness) -> None:
    harness.zoho.org = replace(harness.zoho.org, type="sandbox")


def _adobe_refuses(harness: Harness) -> None:
    harness.access.fail(
        "platform",
        remote_error(
            ErrorClass.TERMINAL, "PlatformCredentialsRejected", "refused", advice="Check clientSecret."
        ),
    )


def _no_sandbox(harness: Harness) -> None:
    harness.platform.sandbox_list = [Sandbox("dev", "active", "development", "VA7")]


def _sandbox_resetting(harness: Harness) -> None:
    harness.platform.sandbox_list = [Sandbox("prod", "resetting", "production", "VA7")]


def _connection_spec_withdrawn(harness: Harness) -> None:
    harness.platform.connection_specs.clear()


def _flow_spec_missing(harness: Harness) -> None:
    harness.platform.flow_specs.clear()


def _source_withdrawn(harness: Harness) -> None:
    harness.platform.flow_specs[FLOW_SPEC_NAME] = FlowSpec(
        "id", FLOW_SPEC_NAME, "1.0", ("another",), ("lake",)
    )


def _create_refused(harness: Harness) -> None:
    harness.platform.fail(
        "connections.create", remote_error(ErrorClass.TERMINAL, "SourceRefused", "no", advice="Check it.")
    )


def _test_fails(harness: Harness) -> None:
    harness.platform.test_succeeds = False


def _test_refused(harness: Harness) -> None:
    harness.platform.fail(
        "connections.test",
        remote_error(ErrorClass.TERMINAL, "SourceRefused", "no", advice="Check Zoho's Allowed IPs."),
    )


def _explore_refused(harness: Harness) -> None:
    harness.platform.fail(
        "connections.exploreRoot",
        remote_error(ErrorClass.TERMINAL, "SourceRefused", "no", advice="Check it."),
    )


def _explore_fails(harness: Harness) -> None:
    harness.platform.fail("connections.exploreRoot", remote_error(message="explore timed out"))


Break = Callable[[Harness], None]
WAITING, STALLED, TRANSIENT = OutcomeClass.WAITING, OutcomeClass.STALLED, OutcomeClass.TRANSIENT

BAD_INPUT = [
    (_no_zoho_secret, WAITING, "SecretNotFound", "Authorized", 'Secret "zoho-oauth"', 0),
    (_no_adobe_secret, WAITING, "SecretNotFound", "Authorized", "Create it with the keys clientId and", 0),
    (_no_refresh_token, STALLED, "SecretKeyMissing", "Authorized", "lacks a value for refreshToken", 0),
    (_no_adobe_client_secret, STALLED, "SecretKeyMissing", "Authorized", "clientSecret. It needs", 0),
    (_forbidden_secret, STALLED, "SecretForbidden", "Authorized", "Give rights.", 0),
    (_wrong_data_center, STALLED, "InvalidClient", "Authorized", "Check spec.zoho.dataCenter.", 0),
    (
        _revoked_token,
        STALLED,
        "RefreshTokenRejected",
        "Authorized",
        'again. Run "kubectl crmflow authorize zoho-eu -n crm".',
        0,
    ),
    (_throttled_token, TRANSIENT, "TokenThrottled", "Authorized", "not available", 0),
    (_no_api_access, STALLED, "ApiAccessDisabled", "Authorized", "Switch on Zoho CRM API Access.", 0),
    (
        _wrong_environment,
        STALLED,
        "EnvironmentMismatch",
        "Authorized",
        "choose the Production environment",
        0,
    ),
    (_adobe_refuses, STALLED, "PlatformCredentialsRejected", "Authorized", "Check clientSecret.", 0),
    (_no_sandbox, STALLED, "SandboxNotFound", "Authorized", "add the sandbox to the role", 0),
    (_sandbox_resetting, WAITING, "SandboxNotActive", "Authorized", "waiting until it is active", 0),
    (_connection_spec_withdrawn, STALLED, "ConnectionSpecWithdrawn", "SourceOffered", "deprecated", 0),
    (_flow_spec_missing, STALLED, "FlowSpecMissing", "SourceOffered", FLOW_SPEC_NAME, 0),
    (_source_withdrawn, STALLED, "SourceWithdrawn", "SourceOffered", "no longer lists the Zoho", 0),
    (_create_refused, STALLED, "SourceRefused", "Synced", "Likely causes, in this order", 0),
    (_test_fails, STALLED, "ConnectionTestFailed", "Tested", "Allowed IPs", 1),
    (_test_refused, STALLED, "SourceRefused", "Tested", "Allowed IPs", 1),
    (_explore_refused, STALLED, "SourceRefused", "Tested", "Likely causes, in this order", 1),
    (_explore_fails, TRANSIENT, "Unavailable", "Tested", "explore timed out", 1),
]


@pytest.mark.parametrize(
    ("break_it", "outcome_class", "reason", "condition", "message", "created"),
    BAD_INPUT,
    ids=[row[0].__name__.strip("_") for row in BAD_INPUT],
)
async def test_bad_input_is_a_condition_that_heals(
    break_it: Break, outcome_class: OutcomeClass, reason: str, condition: str, message: str, created: int
) -> None:
    broken, sound = Harness(), Harness()
    break_it(broken)
    resource = broken.connection(transport="PlatformSource")  # Auto takes the other way where there is none
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (outcome_class, reason)
    assert message in resource.condition("Ready")[2]
    status = "Unknown" if outcome_class is TRANSIENT else "False"
    assert resource.condition(condition) == (status, reason, resource.condition("Ready")[2])
    abnormal = "Stalled" if outcome_class is STALLED else "Reconciling"
    assert resource.condition(abnormal)[0] == "True"
    assert len(broken.platform.connections) == created
    assert "intents" not in resource.status

    _cure(broken, sound)
    broken.clock.time += 700  # longer than the offer is remembered
    assert (await resource.visit()).outcome.is_done
    assert resource.condition(condition)[0] == "True"
    assert len(broken.platform.connections) == 1
    assert broken.timeline.count("connections.create") == (2 if break_it is _create_refused else 1)


@pytest.mark.parametrize("reported", ["production", "Production", ""])
async def test_the_environment_is_compared_without_case_and_only_if_zoho_tells_it(reported: str) -> None:
    harness = Harness()
    harness.zoho.org = replace(harness.zoho.org, type=reported)
    assert (await harness.connection().visit()).outcome.is_done


async def test_another_organization_later_is_refused_and_the_first_one_stays_pinned() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.zoho.org = replace(harness.zoho.org, id="org-2")
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "OrganizationChanged")
    assert "org-2" in result.outcome.message
    assert "create another ZohoSourceConnection" in result.outcome.message
    assert resource.status["zohoOrganization"]["id"] == "org-1"
    assert result.calls == ["access_token", "organization"]


async def test_a_withdrawn_source_leaves_an_existing_connection_alone_but_says_so() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    harness.clock.time += 1
    harness.platform.flow_specs.clear()
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("SourceOffered")[:2] == ("False", "FlowSpecMissing")
    assert resource.condition("Ready")[0] == "True"


async def test_a_paused_connection_is_not_looked_at() -> None:
    harness = Harness()
    resource = harness.connection(paused=True)
    result = await resource.visit()
    assert result.calls == []
    assert resource.condition("Ready")[:2] == ("False", "Paused")
    resource.edit(lambda spec: spec.update(paused=False))
    assert (await resource.visit()).outcome.is_done


async def test_an_unexpected_exception_is_a_bug_outcome_without_its_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = Harness()
    monkeypatch.setattr(harness.platform, "sandbox_list", None)
    result = await harness.connection().visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.BUG, "InternalError")
    assert "verify_sandbox" in result.outcome.message
    assert "NoneType" not in result.outcome.message


def _revealed(params: Any) -> dict[str, str]:
    return {
        key: value.get_secret_value() if isinstance(value, SecretStr) else value
        for key, value in params.items()
    }


def _cure(broken: Harness, sound: Harness) -> None:
    """Make everything outside as it is in ``sound``, except for what AEP holds."""
    for failing in (broken.platform, broken.zoho, broken.access, broken.secrets):
        failing.heal()
    broken.secrets.data = sound.secrets.data
    broken.zoho.org = sound.zoho.org
    for name in ("sandbox_list", "connection_specs", "flow_specs", "test_succeeds"):
        setattr(broken.platform, name, getattr(sound.platform, name))
