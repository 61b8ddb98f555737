"""The test of a base connection: when it is made, how often it may fail, and what is said of a failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from crmflow.aep.models import Sandbox
from crmflow.reconcile.connection.testing import TEST_AGAIN_SECONDS
from crmflow.reconcile.decide import STALLED_NET_SECONDS, Streak
from crmflow.reconcile.outcome import OutcomeClass
from crmflow.transport.errors import ErrorClass, RemoteError
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import NAMESPACE, Resource, Result, World

BLOCKED = "Error from the source: AUTHENTICATION_FAILURE: Access denied from this IP address"
GRANT = "Error from the source: INVALID_TOKEN: invalid oauth token"
PROFILE = "Error from the source: NO_PERMISSION: permission denied"


def refused(message: str = "no", reason: str = "SourceRefused") -> RemoteError:
    return remote_error(ErrorClass.TERMINAL, reason, message)


async def ready(world: World, **spec: Any) -> Resource:
    resource = world.connection(**spec)
    await resource.visit()
    assert resource.condition("Ready")[0] == "True"
    return resource


async def when_due(resource: Resource) -> Result:
    """The next visit, once the test that failed is due again."""
    due = resource.status.get("nextTestTime")
    if due is not None:
        resource.world.clock.time = datetime.fromisoformat(due).timestamp()
    return await resource.visit()


async def test_three_failures_in_a_row_take_ready_away_and_tested_says_each_at_once() -> None:
    world = World()
    resource = await ready(world)
    world.platform.test_succeeds = False
    for failures in (1, 2):
        result = await when_due(resource)
        assert result.outcome.outcome_class is OutcomeClass.DEGRADED
        assert result.pause == TEST_AGAIN_SECONDS
        assert resource.condition("Tested")[:2] == ("False", "ConnectionTestFailed")
        assert resource.condition("Ready")[:2] == ("True", "ConnectionTestFailed")
        assert resource.status["testFailures"] == failures
        assert "tables" not in result.calls
    result = await when_due(resource)
    assert result.outcome.outcome_class is OutcomeClass.STALLED
    for condition in ("Ready", "Tested"):
        assert resource.condition(condition)[:2] == ("False", "ConnectionTestFailed")
    assert resource.condition("Stalled")[0] == "True"
    assert result.pause is not None
    assert result.pause > 3000

    assert (await when_due(resource)).calls.count("test_connection") > 0
    assert resource.status["testFailures"] == 3
    world.platform.test_succeeds = True
    assert (await when_due(resource)).outcome.is_done
    assert resource.condition("Tested")[0] == resource.condition("Ready")[0] == "True"
    assert resource.status.keys().isdisjoint({"testFailures", "nextTestTime"})


async def test_whatever_wakes_it_a_failed_test_is_repeated_and_counted_only_when_it_is_due() -> None:
    world = World()
    resource = await ready(world)
    world.platform.test_succeeds = False
    for failures, pause in ((1, TEST_AGAIN_SECONDS), (2, TEST_AGAIN_SECONDS), (3, STALLED_NET_SECONDS)):
        result = await when_due(resource)
        failed_at, told, decided = world.clock.time, resource.status, result.outcome.outcome_class
        for share in (0.0, 0.3, 0.6, 0.89):
            world.clock.time = failed_at + share * pause
            result = await resource.visit(full=share > 0.3)
            assert "test_connection" not in result.calls
            assert result.outcome.outcome_class is decided
            assert resource.status == told, "nothing to be written"
            assert result.pause is not None
            assert 0.9 * pause <= result.pause + share * pause <= pause + 1
        assert resource.status["testFailures"] == failures


async def test_a_restart_or_jitter_neither_tests_sooner_nor_misses_the_test() -> None:
    world = World()
    resource = await ready(world)
    world.platform.test_succeeds = False
    await resource.visit()
    resource.streak = Streak()
    world.clock.time += 0.91 * TEST_AGAIN_SECONDS
    assert "test_connection" in (await resource.visit()).calls, "jitter brings visits forward"
    world.clock.time -= 5000
    assert "test_connection" in (await resource.visit()).calls, "the clock was put back"


def _rotate(world: World, _: Resource) -> None:
    world.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"


def _give_parameter(_: World, resource: Resource) -> None:
    resource.edit(lambda spec: spec["platform"].update(authParams={"usePeerVerification": "true"}))


def _change_remotely(world: World, _: Resource) -> None:
    [(remote_id, remote)] = world.platform.connections.items()
    params = {**remote.auth_params, "endpoint": "crm.zoho.eu/other"}
    world.platform.connections[remote_id] = replace(remote, auth_params=params)


@pytest.mark.parametrize("change", [_rotate, _give_parameter, _change_remotely])
async def test_other_credentials_are_tested_at_once(change: Callable[[World, Resource], None]) -> None:
    world = World()
    resource = await ready(world)
    world.platform.test_succeeds = False
    await resource.visit()
    assert "test_connection" not in (await resource.visit()).calls
    change(world, resource)
    world.platform.test_succeeds = True
    result = await resource.visit()
    assert result.calls.count("test_connection") == 1
    assert result.outcome.is_done


async def test_a_request_for_a_check_is_a_test_that_counts() -> None:
    world = World()
    resource = await ready(world)
    world.platform.test_succeeds = False
    for failures in (1, 2, 3):
        await resource.visit(requested=True)
        assert resource.status["testFailures"] == failures
    assert resource.condition("Ready")[0] == "False"


async def test_a_newer_access_token_alone_is_no_reason_to_test_sooner() -> None:
    world = World()
    resource = await ready(world)
    world.platform.test_succeeds = False
    await resource.visit()
    world.zoho.token = "1000.eeee.ffff"
    result = await resource.visit()
    assert "patch_connection" in result.calls
    assert "test_connection" not in result.calls
    assert resource.status["testFailures"] == 1


@pytest.mark.parametrize("repeats", [False, True])
async def test_an_edit_that_leaves_the_credentials_alone_does_not_take_ready_away(repeats: bool) -> None:
    world = World()
    resource = await ready(world)
    world.platform.test_succeeds = False
    await resource.visit()
    resource.edit(lambda spec: spec.update(displayName="Renamed"))
    result = await (when_due(resource) if repeats else resource.visit())
    assert result.outcome.outcome_class is OutcomeClass.DEGRADED
    assert resource.condition("Ready")[0] == "True"
    assert resource.status["observedGeneration"] == 2


async def test_credentials_that_an_edit_brings_and_that_fail_are_not_ready() -> None:
    world = World()
    resource = await ready(world)
    _give_parameter(world, resource)
    world.platform.test_succeeds = False
    await resource.visit()
    assert resource.condition("Ready")[:2] == ("False", "ConnectionTestFailed")


async def test_a_refusal_to_list_the_tables_counts_like_a_failed_test() -> None:
    world = World()
    resource = await ready(world)
    world.platform.fail("tables", refused(GRANT))
    world.clock.time += 1
    for failures in (1, 2, 3):
        assert resource.condition("Ready")[0] == "True"
        await when_due(resource)
        assert resource.condition("Tested")[:2] == ("False", "SourceRefused")
        assert resource.status["testFailures"] == failures
    assert resource.condition("Ready")[0] == "False"
    world.platform.heal()
    assert [event.reason for event in (await when_due(resource)).events] == ["TestSucceeded"]
    assert "testFailures" not in resource.status


async def test_failures_count_only_in_a_row() -> None:
    world = World()
    resource = await ready(world)
    for succeeds in (False, False, True, False, False):
        world.platform.test_succeeds = succeeds
        await when_due(resource)
    assert resource.condition("Ready")[0] == "True"
    assert resource.condition("Tested")[0] == "False"


async def test_what_was_never_ready_is_stalled_by_the_first_failure_and_looked_at_again_soon() -> None:
    world = World()
    world.platform.test_succeeds = False
    resource = world.connection()
    pauses = [(await when_due(resource)).pause for _ in range(3)]
    assert all(pause is not None and pause <= TEST_AGAIN_SECONDS for pause in pauses[:2])
    assert pauses[2] is not None
    assert pauses[2] > 3000
    assert resource.condition("Stalled")[1] == "ConnectionTestFailed"
    assert world.timeline.count("create_connection") == 1


async def test_the_first_failure_of_a_ready_connection_is_an_event_and_so_is_its_end() -> None:
    world = World()
    resource = await ready(world)
    world.platform.test_succeeds = False
    first, second = await resource.visit(), await when_due(resource)
    assert [event.reason for event in first.events] == ["ConnectionTestFailed"]
    assert second.events == []
    world.platform.test_succeeds = True
    assert [event.reason for event in (await when_due(resource)).events] == ["TestSucceeded"]
    assert (await resource.visit()).events == []


async def test_a_failing_connection_is_not_quiet() -> None:
    world = World()
    resource = await ready(world)
    assert (await resource.visit(full=False)).step == "quiet"
    world.platform.test_succeeds = False
    await resource.visit()
    assert (await resource.visit(full=False)).outcome.outcome_class is OutcomeClass.DEGRADED


@pytest.mark.parametrize("rotated", [False, True])
async def test_what_may_have_been_changed_unseen_is_sent_again_before_a_failure_counts(rotated: bool) -> None:
    world = World()
    resource = await ready(world)
    if rotated:
        world.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    world.platform.fail("test_connection", refused(GRANT), times=1)
    result = await resource.visit()
    calls = [call for call in result.calls if call in ("patch_connection", "test_connection")]
    if rotated:  # they have just been sent
        assert calls == ["patch_connection", "test_connection"]
        assert resource.condition("Tested")[:2] == ("False", "SourceRefused")
    else:
        assert calls == ["test_connection", "patch_connection", "test_connection"]
        assert result.outcome.is_done
        assert [event.reason for event in result.events] == ["Updated"]
        assert "testFailures" not in resource.status


async def test_an_update_that_platform_refuses_does_not_hide_why_the_test_fails() -> None:
    world = World()
    resource = await ready(world)
    world.platform.test_succeeds = False
    world.platform.fail("patch_connection", refused("PATCH not supported", "PatchNotSupported"))
    for _ in range(4):
        await when_due(resource)
    assert resource.condition("Ready")[1] == "ConnectionTestFailed"


@pytest.mark.parametrize(
    ("message", "reason", "first"),
    [
        (BLOCKED, "AddressBlocked", "Zoho's Allowed IPs lack Platform's addresses of region VA7"),
        (GRANT, "SourceRefused", "The grant was revoked"),
        (PROFILE, "SourceRefused", "The user's profile lacks Zoho CRM API Access"),
        ("something else", "SourceRefused", "Zoho's Allowed IPs"),
        (None, "ConnectionTestFailed", "Zoho's Allowed IPs"),
    ],
)
async def test_a_failure_quotes_platform_and_names_the_likeliest_cause_first(
    message: str | None, reason: str, first: str
) -> None:
    world = World()
    world.platform.test_succeeds = False
    if message:
        world.platform.fail("test_connection", refused(message))
    resource = world.connection()
    await resource.visit()
    status, found, text = resource.condition("Tested")
    assert (status, found) == ("False", reason)
    assert f'"{message}"' in text or message is None
    assert f"(1) {first}" in text
    assert "(3) " in text
    assert "Setup, Users & Control, Security Control, Allowed IPs" in text
    assert "20.42.2.0/23" in text


@pytest.mark.parametrize(("region", "ranges"), [("VA7", 22), ("NLD2", 7), ("GBR9", None), ("", None)])
async def test_the_addresses_of_the_sandboxs_region_are_in_status(region: str, ranges: int | None) -> None:
    world = World()
    world.platform.sandbox_list = [Sandbox("prod", "active", "production", region)]
    world.platform.test_succeeds = False
    resource = world.connection()
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
    world = World()
    resource = await ready(world)
    world.platform.fail("test_connection", remote_error(ErrorClass.TRANSIENT, reason, "no answer in time"))
    for _ in range(2):
        result = await when_due(resource)
        assert result.outcome.outcome_class is OutcomeClass.DEGRADED
        assert resource.condition("Tested")[:2] == ("Unknown", reason)
        assert resource.condition("Ready")[0] == "True"
        assert "patch_connection" not in result.calls
    text = resource.condition("Tested")[2]
    assert "no answer in time" in text
    assert "Allowed IPs" in text
    await when_due(resource)
    assert resource.condition("Ready")[:2] == ("False", "ProgressingWithRetry")
    assert "nextTestTime" not in resource.status, "like all that may pass soon"
    assert resource.condition("Stalled")[0] == ""
    world.platform.heal()
    assert (await resource.visit()).outcome.is_done


async def test_a_test_that_could_not_be_asked_for_is_no_failure_of_the_connection() -> None:
    world = World()
    resource = await ready(world)
    world.platform.fail("test_connection", remote_error(ErrorClass.TRANSIENT, "RateLimited", retry_after=9.0))
    result = await resource.visit()
    assert result.outcome.outcome_class is OutcomeClass.TRANSIENT
    assert resource.condition("Tested")[0] == "True"
    assert "testFailures" not in resource.status


async def test_a_connector_that_is_gone_speaks_for_the_source_too() -> None:
    world = World()
    resource = await ready(world)
    world.platform.fail("test_connection", refused("connector type not supported", "SourceNotOffered"))
    for _ in range(3):
        await when_due(resource)
    for condition in ("SourceOffered", "Tested", "Ready"):
        status, reason, text = resource.condition(condition)
        assert (status, reason) == ("False", "SourceNotOffered")
        assert "connector type not supported" in text
        assert "deprecated at the end of June 2025" in text


async def test_a_withdrawn_source_is_the_first_cause_of_a_failing_test() -> None:
    world = World()
    resource = await ready(world)
    world.clock.time += 1
    world.platform.flow_specs.clear()
    world.platform.test_succeeds = False
    await resource.visit()
    assert "(1) Adobe has withdrawn the source, see SourceOffered. (2)" in resource.condition("Tested")[2]
