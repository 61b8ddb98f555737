"""The test of a base connection: when it is made, how often it may fail, and what is said of a failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from crmflow.aep.models import Sandbox
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.connection.testing import TEST_AGAIN_SECONDS
from crmflow.reconcile.core.decide import STALLED_NET_SECONDS, Streak
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.sources import causes
from crmflow.reconcile.sources.causes import Evidence
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import NAMESPACE, Harness, Resource, Result

BLOCKED = "Error from the source: AUTHENTICATION_FAILURE: Access denied from this IP address"
GRANT = "Error from the source: INVALID_TOKEN: invalid oauth token"
PROFILE = "Error from the source: NO_PERMISSION: permission denied"


def refused(message: str = "no", reason: str = "SourceRefused") -> RemoteError:
    return remote_error(ErrorClass.TERMINAL, reason, message)


async def ready(harness: Harness, **spec: Any) -> Resource:
    resource = harness.connection(**spec)
    await resource.visit()
    assert resource.condition("Ready")[0] == "True"
    return resource


async def when_due(resource: Resource) -> Result:
    """The next visit, once the test that failed is due again."""
    due = resource.status.get("nextTestTime")
    if due is not None:
        resource.harness.clock.time = datetime.fromisoformat(due).timestamp()
    return await resource.visit()


async def test_three_failures_in_a_row_take_ready_away_and_tested_says_each_at_once() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.test_succeeds = False
    for failures in (1, 2):
        result = await when_due(resource)
        assert result.outcome.outcome_class is OutcomeClass.DEGRADED
        assert result.pause == TEST_AGAIN_SECONDS
        assert resource.condition("Tested")[:2] == ("False", "ConnectionTestFailed")
        assert resource.condition("Ready")[:2] == ("True", "ConnectionTestFailed")
        assert resource.status["testFailures"] == failures
        assert "connections.exploreRoot" not in result.calls
    result = await when_due(resource)
    assert result.outcome.outcome_class is OutcomeClass.STALLED
    for condition in ("Ready", "Tested"):
        assert resource.condition(condition)[:2] == ("False", "ConnectionTestFailed")
    assert resource.condition("Stalled")[0] == "True"
    assert result.pause is not None
    assert result.pause > 3000

    assert (await when_due(resource)).calls.count("connections.test") > 0
    assert resource.status["testFailures"] == 3
    harness.platform.test_succeeds = True
    assert (await when_due(resource)).outcome.is_done
    assert resource.condition("Tested")[0] == resource.condition("Ready")[0] == "True"
    assert resource.status.keys().isdisjoint({"testFailures", "nextTestTime"})


async def test_whatever_wakes_it_a_failed_test_is_repeated_and_counted_only_when_it_is_due() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.test_succeeds = False
    for failures, pause in ((1, TEST_AGAIN_SECONDS), (2, TEST_AGAIN_SECONDS), (3, STALLED_NET_SECONDS)):
        result = await when_due(resource)
        failed_at, told, decided = harness.clock.time, resource.status, result.outcome.outcome_class
        for share in (0.0, 0.3, 0.6, 0.89):
            harness.clock.time = failed_at + share * pause
            result = await resource.visit(full=share > 0.3)
            assert "connections.test" not in result.calls
            assert result.outcome.outcome_class is decided
            assert resource.status == told, "nothing to be written"
            assert result.pause is not None
            assert 0.9 * pause <= result.pause + share * pause <= pause + 1
        assert resource.status["testFailures"] == failures


async def test_a_restart_or_jitter_neither_tests_sooner_nor_misses_the_test() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.test_succeeds = False
    await resource.visit()
    resource.streak = Streak()
    harness.clock.time += 0.91 * TEST_AGAIN_SECONDS
    assert "connections.test" in (await resource.visit()).calls, "jitter brings visits forward"
    harness.clock.time -= 5000
    assert "connections.test" in (await resource.visit()).calls, "the clock was put back"


def _rotate(harness: Harness, _: Resource) -> None:
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"


def _give_parameter(_: Harness, resource: Resource) -> None:
    resource.edit(lambda spec: spec["platform"].update(authParams={"usePeerVerification": "true"}))


def _change_remotely(harness: Harness, _: Resource) -> None:
    [(remote_id, remote)] = harness.platform.connections.items()
    params = {**remote.auth_params, "endpoint": "crm.zoho.eu/other"}
    harness.platform.connections[remote_id] = replace(remote, auth_params=params)


@pytest.mark.parametrize("change", [_rotate, _give_parameter, _change_remotely])
async def test_other_credentials_are_tested_at_once(change: Callable[[Harness, Resource], None]) -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.test_succeeds = False
    await resource.visit()
    assert "connections.test" not in (await resource.visit()).calls
    change(harness, resource)
    harness.platform.test_succeeds = True
    result = await resource.visit()
    assert result.calls.count("connections.test") == 1
    assert result.outcome.is_done


async def test_a_request_for_a_check_is_a_test_that_counts() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.test_succeeds = False
    for failures in (1, 2, 3):
        await resource.visit(requested=True)
        assert resource.status["testFailures"] == failures
    assert resource.condition("Ready")[0] == "False"


async def test_a_newer_access_token_alone_is_no_reason_to_test_sooner() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.test_succeeds = False
    await resource.visit()
    harness.zoho.token = "1000.eeee.ffff"
    result = await resource.visit()
    assert "connections.patch" in result.calls
    assert "connections.test" not in result.calls
    assert resource.status["testFailures"] == 1


@pytest.mark.parametrize("repeats", [False, True])
async def test_an_edit_that_leaves_the_credentials_alone_does_not_take_ready_away(repeats: bool) -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.test_succeeds = False
    await resource.visit()
    resource.edit(lambda spec: spec.update(displayName="Renamed"))
    result = await (when_due(resource) if repeats else resource.visit())
    assert result.outcome.outcome_class is OutcomeClass.DEGRADED
    assert resource.condition("Ready")[0] == "True"
    assert resource.status["observedGeneration"] == 2


async def test_credentials_that_an_edit_brings_and_that_fail_are_not_ready() -> None:
    harness = Harness()
    resource = await ready(harness)
    _give_parameter(harness, resource)
    harness.platform.test_succeeds = False
    await resource.visit()
    assert resource.condition("Ready")[:2] == ("False", "ConnectionTestFailed")


async def test_a_refusal_to_list_the_tables_counts_like_a_failed_test() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.fail("connections.exploreRoot", refused(GRANT))
    harness.clock.time += 1
    for failures in (1, 2, 3):
        assert resource.condition("Ready")[0] == "True"
        await when_due(resource)
        assert resource.condition("Tested")[:2] == ("False", "SourceRefused")
        assert resource.status["testFailures"] == failures
    assert resource.condition("Ready")[0] == "False"
    harness.platform.heal()
    assert [event.reason for event in (await when_due(resource)).events] == ["TestSucceeded"]
    assert "testFailures" not in resource.status


async def test_failures_count_only_in_a_row() -> None:
    harness = Harness()
    resource = await ready(harness)
    for succeeds in (False, False, True, False, False):
        harness.platform.test_succeeds = succeeds
        await when_due(resource)
    assert resource.condition("Ready")[0] == "True"
    assert resource.condition("Tested")[0] == "False"


async def test_what_was_never_ready_is_stalled_by_the_first_failure_and_looked_at_again_soon() -> None:
    harness = Harness()
    harness.platform.test_succeeds = False
    resource = harness.connection()
    pauses = [(await when_due(resource)).pause for _ in range(3)]
    assert all(pause is not None and pause <= TEST_AGAIN_SECONDS for pause in pauses[:2])
    assert pauses[2] is not None
    assert pauses[2] > 3000
    assert resource.condition("Stalled")[1] == "ConnectionTestFailed"
    assert harness.timeline.count("connections.create") == 1


async def test_the_first_failure_of_a_ready_connection_is_an_event_and_so_is_its_end() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.test_succeeds = False
    first, second = await resource.visit(), await when_due(resource)
    assert [event.reason for event in first.events] == ["ConnectionTestFailed"]
    assert second.events == []
    harness.platform.test_succeeds = True
    assert [event.reason for event in (await when_due(resource)).events] == ["TestSucceeded"]
    assert (await resource.visit()).events == []


async def test_a_failing_connection_is_not_quiet() -> None:
    harness = Harness()
    resource = await ready(harness)
    assert (await resource.visit(full=False)).step == "quiet"
    harness.platform.test_succeeds = False
    await resource.visit()
    assert (await resource.visit(full=False)).outcome.outcome_class is OutcomeClass.DEGRADED


@pytest.mark.parametrize("rotated", [False, True])
async def test_what_may_have_been_changed_unseen_is_sent_again_before_a_failure_counts(rotated: bool) -> None:
    harness = Harness()
    resource = await ready(harness)
    if rotated:
        harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    harness.platform.fail("connections.test", refused(GRANT), times=1)
    result = await resource.visit()
    calls = [call for call in result.calls if call in ("connections.patch", "connections.test")]
    if rotated:  # they have just been sent
        assert calls == ["connections.patch", "connections.test"]
        assert resource.condition("Tested")[:2] == ("False", "SourceRefused")
    else:
        assert calls == ["connections.test", "connections.patch", "connections.test"]
        assert result.outcome.is_done
        assert [event.reason for event in result.events] == ["Updated"]
        assert "testFailures" not in resource.status


async def test_an_update_that_platform_refuses_does_not_hide_why_the_test_fails() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.test_succeeds = False
    harness.platform.fail("connections.patch", refused("PATCH not supported", "PatchNotSupported"))
    for _ in range(4):
        await when_due(resource)
    assert resource.condition("Ready")[1] == "ConnectionTestFailed"


@pytest.mark.parametrize(
    ("message", "reason", "first"),
    [
        (BLOCKED, "AddressBlocked", "Zoho's Allowed IPs lack Platform's addresses of region VA7"),
        (GRANT, "SourceRefused", "The grant lacks a scope"),
        (PROFILE, "SourceRefused", "The user's profile lacks Zoho CRM API Access"),
        ("something else", "SourceRefused", "Zoho's Allowed IPs"),
        (None, "ConnectionTestFailed", "Zoho's Allowed IPs"),
    ],
)
async def test_a_failure_quotes_platform_and_names_the_likeliest_cause_first(
    message: str | None, reason: str, first: str
) -> None:
    harness = Harness()
    harness.platform.test_succeeds = False
    if message:
        harness.platform.fail("connections.test", refused(message))
    resource = harness.connection()
    await resource.visit()
    status, found, text = resource.condition("Tested")
    assert (status, found) == ("False", reason)
    assert f'"{message}"' in text or message is None
    assert f"(1) {first}" in text
    assert "(3) " in text
    assert "Setup, Users & Control, Security Control, Allowed IPs" in text
    assert "20.42.2.0/23" in text


ADDRESSES, PROFILE_CAUSE, GRANT_CAUSE = (
    "Zoho's Allowed IPs",
    "The user's profile lacks",
    "The grant lacks a scope that the connector needs",
)
LOST_GRANT = "The grant was revoked, its user was deactivated"
LIMIT_CAUSE = "The API credits of the Zoho CRM organization are used up"
REST_401 = (
    "Invalid request: The request could not be processed. Error from flow provider: Rest call failed with "
    "client error, status code 401 Unauthorized, please check your activity settings"
)
GUESS = "in this order, which is a guess"
OWN = "The operator itself reaches Zoho CRM with the same grant"


@pytest.mark.parametrize(
    ("text", "reason", "first", "is_guess"),
    [
        (REST_401, "SourceRefused", GRANT_CAUSE, False),
        (
            "ERROR [HY000] [Microsoft][Zoho] (60) API Connection Failed (Unauthorized Access). Check "
            "credentials and try again. 401",
            "SourceRefused",
            GRANT_CAUSE,
            False,
        ),
        ("[Microsoft][Zoho] (1017) Error in the driver", "SourceRefused", GRANT_CAUSE, False),
        ("The request was blocked because the access token has expired", "SourceRefused", GRANT_CAUSE, False),
        ("access_token is missing", "SourceRefused", GRANT_CAUSE, False),
        ("OAUTH_SCOPE_MISMATCH: invalid oauth scope", "SourceRefused", GRANT_CAUSE, False),
        ("401 Unauthorized: you have no permission", "SourceRefused", GRANT_CAUSE, False),
        ("The request was blocked", "SourceRefused", ADDRESSES, True),
        (
            "[Microsoft][Zoho] (30) Error with HTTP request, response code: 400. Message: Unknown error from "
            "server",
            "SourceRefused",
            ADDRESSES,
            True,
        ),
        ("status code 403 Forbidden", "SourceRefused", PROFILE_CAUSE, False),
        ("401 Unauthorized: access denied from IP 20.42.2.7", "AddressBlocked", ADDRESSES, False),
        ("Your IP address is not in the allow list", "AddressBlocked", ADDRESSES, False),
        ("The description of the zip file", "SourceRefused", ADDRESSES, True),
        ("IP_NOT_ALLOWED", "AddressBlocked", ADDRESSES, False),
        ("status401", "SourceRefused", GRANT_CAUSE, False),
        ("Error 14013", "SourceRefused", ADDRESSES, True),
        ("The user is inactive", "SourceRefused", GRANT_CAUSE, False),
        ("You are not authorized", "SourceRefused", GRANT_CAUSE, False),
        ("The session has expired", "SourceRefused", GRANT_CAUSE, False),
        ("The certificate of the server has expired", "SourceRefused", ADDRESSES, True),
        ("LIMIT_REACHED: API credits exceeded", "SourceRefused", LIMIT_CAUSE, False),
        ("response code: 429", "SourceRefused", LIMIT_CAUSE, False),
    ],
)
async def test_the_drivers_words_rank_the_causes_and_where_they_name_none_the_order_is_a_guess(
    text: str, reason: str, first: str, is_guess: bool
) -> None:
    harness = Harness()
    harness.platform.fail("connections.test", refused(text))
    resource = harness.connection()
    await resource.visit()
    status, found, message = resource.condition("Tested")
    assert (status, found) == ("False", reason)
    assert f"(1) {first}" in message
    assert (GUESS in message) is is_guess
    assert f'"{text}"' in message
    for cause in (ADDRESSES, PROFILE_CAUSE, GRANT_CAUSE):
        assert message.count(cause) == 1


async def test_a_failure_without_a_reason_says_that_the_order_is_a_guess() -> None:
    harness = Harness()
    harness.platform.test_succeeds = False
    resource = harness.connection()
    await resource.visit()
    assert GUESS in resource.condition("Tested")[2]


def _own_call_refused(harness: Harness) -> None:
    harness.zoho.fail("organization", remote_error(ErrorClass.TERMINAL, "AccessRefused", "403 no reason"))


def _own_call_lacks_a_scope(harness: Harness) -> None:
    harness.zoho.fail("organization", remote_error(ErrorClass.TERMINAL, "ScopeMissing", "ZohoCRM.org.READ"))


async def test_the_operators_own_call_is_claimed_only_when_this_pass_made_it() -> None:
    harness = Harness()
    harness.platform.test_succeeds = False
    resource = harness.connection()
    await resource.visit()
    assert OWN in resource.condition("Tested")[2]
    _own_call_lacks_a_scope(harness)
    await when_due(resource)
    message = resource.condition("Tested")[2]
    assert "operator" not in message
    assert f"(1) {ADDRESSES}" in message


def test_what_keeps_out_the_operator_too_is_no_matter_of_platforms_addresses() -> None:
    own = remote_error(ErrorClass.TERMINAL, "AccessRefused", "Zoho CRM refuses the call.")
    message = causes.of_a_test(Evidence("zoho-eu", "crm", own_call=own))
    assert OWN not in message
    assert GUESS not in message
    assert 'The operator\'s own call to Zoho CRM was refused, too: "Zoho CRM refuses the call".' in message
    assert f"(1) {LOST_GRANT}" in message
    assert f"(3) {ADDRESSES}" in message


def test_a_grant_that_works_elsewhere_is_not_called_revoked() -> None:
    message = causes.of_a_test(Evidence("zoho-eu", "crm", own_call=True), "401 Unauthorized")
    assert OWN in message
    assert f"(1) {GRANT_CAUSE}" in message
    assert LOST_GRANT not in message
    assert "deactivated" in causes.of_a_test(Evidence("zoho-eu", "crm"), "401 Unauthorized")


def test_a_call_that_failed_for_the_moment_is_no_refusal() -> None:
    message = causes.of_a_test(Evidence("zoho-eu", "crm", own_call=remote_error(message="not available")))
    assert "operator" not in message
    assert GUESS in message
    assert f"(1) {ADDRESSES}" in message


async def test_which_grant_an_observed_base_connection_has_is_not_known() -> None:
    evidence = Evidence("zoho-eu", "crm", has_params=True, is_withdrawn=True)
    message = causes.of_a_test(evidence)
    assert "operator" not in message
    assert "(1) Adobe has withdrawn the source" in message
    assert "(5) The connector does not take spec.platform.authParams" in message


LISTING = [
    refused(REST_401),
    refused("1308: [Microsoft][Zoho] access denied from this IP address"),
    refused("BadRequestError: No.", "RequestRefused"),
    remote_error(ErrorClass.NOT_FOUND, "NotFound", "Resource not found"),
]


@pytest.mark.parametrize("error", LISTING, ids=lambda error: f"{error.reason} {error.message[:4]}")
async def test_a_refused_listing_is_not_what_the_test_that_just_succeeded_has_disproved(
    error: RemoteError,
) -> None:
    """It went through the same addresses and with the same credentials."""
    harness = Harness()
    resource = await ready(harness)
    harness.clock.time += 1
    harness.platform.fail("connections.exploreRoot", error)
    for failures in (1, 2):
        assert (await when_due(resource)).outcome.outcome_class is OutcomeClass.DEGRADED
        assert resource.status["testFailures"] == failures
    status, reason, message = resource.condition("Tested")
    assert (status, reason) == ("False", "SourceRefused")
    assert f'"{error.message.rstrip(".")}"' in message
    assert "(1) The grant lacks a scope" in message
    assert '"kubectl crmflow authorize zoho-eu -n crm"' in message
    assert "(2) The connector at Adobe fails" in message
    assert "Allowed IPs" not in message
    await when_due(resource)
    assert resource.condition("Ready")[:2] == ("False", "SourceRefused")
    harness.platform.heal()
    assert (await when_due(resource)).outcome.is_done


async def test_a_test_that_is_answered_with_404_is_a_failure_while_the_base_connection_exists() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.clock.time += 1
    missing = remote_error(ErrorClass.NOT_FOUND, "NotFound", "Resource with given id does not exist")
    harness.platform.fail("connections.test", missing)
    assert (await resource.visit()).outcome.outcome_class is OutcomeClass.DEGRADED
    assert resource.condition("Tested")[:2] == ("False", "SourceRefused")
    assert '"Resource with given id does not exist"' in resource.condition("Tested")[2]


async def test_a_permission_that_platform_denies_is_no_matter_of_the_source() -> None:
    harness = Harness()
    resource = await ready(harness)
    for call in ("connections.test", "connections.exploreRoot"):
        harness.clock.time += 1
        harness.platform.fail(call, refused("Not entitled to this operation", "PermissionDenied"))
        await resource.visit()
        assert resource.condition("Stalled")[1] == "PermissionDenied"
        harness.platform.heal()
        assert (await resource.visit()).outcome.is_done


async def test_an_update_that_the_source_refuses_has_the_tolerance_of_a_test() -> None:
    """Platform may try what it is given, and Zoho may be down for a moment."""
    harness = Harness()
    resource = await ready(harness)
    _rotate(harness, resource)
    harness.platform.fail("connections.patch", refused(REST_401))
    for failures in (1, 2):
        result = await when_due(resource)
        assert result.outcome.outcome_class is OutcomeClass.DEGRADED
        assert result.pause == TEST_AGAIN_SECONDS
        assert resource.condition("Ready")[:2] == ("True", "SourceRefused")
        assert resource.condition("Tested")[:2] == ("False", "SourceRefused")
        assert resource.status["testFailures"] == failures
        await resource.visit()  # whatever wakes it before is not counted
        assert resource.status["testFailures"] == failures
    await when_due(resource)
    for condition in ("Ready", "Synced", "Tested"):
        assert resource.condition(condition)[:2] == ("False", "SourceRefused")
    assert resource.condition("Stalled")[0] == "True"
    harness.platform.heal()
    assert (await resource.visit()).outcome.is_done
    assert resource.status.keys().isdisjoint({"testFailures", "nextTestTime"})


async def test_what_an_update_failed_at_is_forgotten_with_what_it_was_to_change() -> None:
    harness = Harness()
    resource = await ready(harness)
    former = dict(harness.secrets.data[NAMESPACE, "zoho-oauth"])
    _rotate(harness, resource)
    harness.platform.fail("connections.patch", refused(REST_401))
    for _ in range(3):
        await when_due(resource)
    assert resource.condition("Ready")[0] == "False"
    harness.secrets.data[NAMESPACE, "zoho-oauth"] = former
    result = await resource.visit()
    assert "connections.test" in result.calls
    assert result.outcome.is_done
    assert resource.condition("Tested")[0] == "True"


async def test_a_create_that_the_source_refuses_is_tried_again_soon() -> None:
    harness = Harness()
    harness.platform.fail("connections.create", refused(REST_401))
    resource = harness.connection()
    result = await resource.visit()
    assert result.outcome.outcome_class is OutcomeClass.STALLED
    assert result.pause is not None
    assert result.pause <= TEST_AGAIN_SECONDS
    assert resource.condition("Synced")[:2] == ("False", "SourceRefused")


@pytest.mark.parametrize(("region", "ranges"), [("VA7", 22), ("NLD2", 7), ("GBR9", None), ("", None)])
async def test_the_addresses_of_the_sandboxs_region_are_in_status(region: str, ranges: int | None) -> None:
    harness = Harness()
    harness.platform.sandbox_list = [Sandbox("prod", "active", "production", region)]
    harness.platform.test_succeeds = False
    resource = harness.connection()
    await resource.visit()
    text = resource.condition("Tested")[2]
    if not region:
        assert "ipAllowList" not in resource.status
        assert "lack Platform's addresses: enter them" in text
    elif ranges is None:
        assert resource.status["ipAllowList"] == {"region": region}
        assert f"Adobe publishes none for region {region}: ask Adobe" in text
    else:
        assert resource.status["ipAllowList"]["region"] == region
        assert len(resource.status["ipAllowList"]["ranges"]) == ranges
        assert ", ".join(resource.status["ipAllowList"]["ranges"]) in text


@pytest.mark.parametrize("reason", ["Timeout", "Unavailable"])
async def test_a_test_without_a_result_is_unknown_at_once_and_counts_too(reason: str) -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.fail("connections.test", remote_error(ErrorClass.TRANSIENT, reason, "no answer in time"))
    for _ in range(2):
        result = await when_due(resource)
        assert result.outcome.outcome_class is OutcomeClass.DEGRADED
        assert resource.condition("Tested")[:2] == ("Unknown", reason)
        assert resource.condition("Ready")[0] == "True"
        assert "connections.patch" not in result.calls
    text = resource.condition("Tested")[2]
    assert "no answer in time" in text
    assert "Allowed IPs" in text
    await when_due(resource)
    assert resource.condition("Ready")[:2] == ("False", "ProgressingWithRetry")
    assert "nextTestTime" not in resource.status, "like all that may pass soon"
    assert resource.condition("Stalled")[0] == ""
    harness.platform.heal()
    assert (await resource.visit()).outcome.is_done


async def test_a_test_that_could_not_be_asked_for_is_no_failure_of_the_connection() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.fail(
        "connections.test", remote_error(ErrorClass.TRANSIENT, "RateLimited", retry_after=9.0)
    )
    result = await resource.visit()
    assert result.outcome.outcome_class is OutcomeClass.TRANSIENT
    assert resource.condition("Tested")[0] == "True"
    assert "testFailures" not in resource.status


async def test_a_connector_that_is_gone_speaks_for_the_source_too() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.fail("connections.test", refused("connector type not supported", "SourceNotOffered"))
    for _ in range(3):
        await when_due(resource)
    for condition in ("SourceOffered", "Tested", "Ready"):
        status, reason, text = resource.condition(condition)
        assert (status, reason) == ("False", "SourceNotOffered")
        assert "connector type not supported" in text
        assert "deprecated at the end of June 2025" in text


async def test_a_withdrawn_source_is_the_first_cause_of_a_failing_test() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.clock.time += 1
    harness.platform.flow_specs.clear()
    harness.platform.test_succeeds = False
    await resource.visit()
    assert "(1) Adobe has withdrawn the source, see SourceOffered. (2)" in resource.condition("Tested")[2]
