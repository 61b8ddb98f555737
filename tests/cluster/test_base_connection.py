"""A base connection that stays true: how it signs in, is changed and is tested, what is said of it, and what
is left of it when the source is withdrawn. Each unknown of the contract is tried in all its positions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crmflow.reconcile.connection.testing import TEST_AGAIN_SECONDS
from crmflow.transport.http import DEFAULT_TIMEOUT
from tests.cluster.support import manifests
from tests.cluster.support.cluster import Object, condition
from tests.cluster.support.world import CONNECTION, World

WRONG_SECRET = "0123456789abcdef0123456789abcdef01234567"
CONNECTION_PATH = "/flowservice/connections"


def make_ready(world: World, **spec: Any) -> Object:
    """A connection that works."""
    world.apply_secrets()
    world.apply_connection(**spec)
    return world.wait_ready(CONNECTION)


def held_params(world: World) -> dict[str, str]:
    """The authentication parameters that Platform holds."""
    [held] = world.held("connections")
    params: dict[str, str] = held["auth"]["params"]
    return params


def edit_remotely(world: World, **body: Any) -> None:
    """Somebody edits the base connection in Platform."""
    [held] = world.held("connections")
    world.control.patch(f"/aep/sandboxes/prod/connections/{held['id']}", body=body)


def check_now(world: World, value: str = "now") -> Object:
    """Ask for a complete check, and wait until it is over."""
    world.request(CONNECTION, value)
    return world.wait_answer(CONNECTION, value)


def changes_since(world: World, mark: int) -> list[tuple[str, int]]:
    """Method and status of what changed base connections."""
    calls = world.calls_since(mark)
    return [
        (call["method"], call["status"])
        for call in calls
        if CONNECTION_PATH in call["path"] and call["method"] != "GET"
    ]


def verdict(obj: Object) -> tuple[str, str]:
    """Status and reason of ``Tested``."""
    found = condition(obj, "Tested")
    assert found is not None
    return found["status"], found["reason"]


def ready_status(obj: Object) -> str:
    found = condition(obj, "Ready")
    assert found is not None
    return str(found["status"])


# How it signs in


@pytest.mark.parametrize("name", ["Basic Authentication", "Basic Authentication for Zoho"])
def test_the_auth_spec_is_the_one_that_platform_has(world: World, name: str) -> None:
    world.control.switch("aep", authSpecName=name)
    make_ready(world)
    assert world.held("connections")[0]["auth"]["specName"] == name


@pytest.mark.parametrize("required", ["all", "tokenAndEndpoint", "none"])
def test_whatever_documented_parameters_are_required_are_given(world: World, required: str) -> None:
    world.control.switch("aep", requiredAuthParams=required)
    make_ready(world)
    assert len(held_params(world)) == 6


def test_a_required_parameter_that_nobody_gives_is_named_and_can_be_given(world: World) -> None:
    world.control.switch("aep", requiredAuthParams="undocumented")
    world.apply_secrets()
    world.apply_connection()
    needy = world.wait_reason(CONNECTION, "Synced", "AuthParamMissing")
    assert "useEncryptedEndpoints" in condition(needy, "Ready")["message"]
    assert world.held("connections") == []

    world.edit(CONNECTION, platform={"authParams": {"useEncryptedEndpoints": "true"}})
    world.wait_ready(CONNECTION)
    assert held_params(world)["useEncryptedEndpoints"] == "true"


def test_a_required_parameter_that_is_a_secret_comes_from_the_secret(world: World) -> None:
    world.control.switch("aep", requiredAuthParams="undocumented")
    world.apply_secrets()
    world.apply_connection()
    needy = world.wait_reason(CONNECTION, "Synced", "AuthParamMissing")
    key = "authParams.useEncryptedEndpoints"
    assert f'to the Secret "{manifests.ZOHO_SECRET}" as {key}' in condition(needy, "Ready")["message"]

    for value in ("first-value", "second-value"):
        world.cluster.patch("Secret", manifests.ZOHO_SECRET, world.namespace, {"stringData": {key: value}})
        world.cluster.wait(
            CONNECTION,
            manifests.CONNECTION,
            world.namespace,
            lambda _, value=value: any(
                held["auth"]["params"]["useEncryptedEndpoints"] == value for held in world.held("connections")
            ),
            what=value,
        )
    ready = world.wait_ready(CONNECTION)
    assert len(world.held("connections")) == 1
    for text in (json.dumps(ready), json.dumps(events(world)), world.operator.log):
        assert "-value" not in text


@pytest.mark.parametrize(
    ("wanted", "endpoint"), [("host", "crm.zoho.eu"), ("url", "https://crm.zoho.eu/crm/private")]
)
def test_the_endpoint_takes_the_form_that_the_connector_wants(
    world: World, wanted: str, endpoint: str
) -> None:
    world.control.switch("aep", endpointFormat=wanted)
    make_ready(world, platform={"authParams": {"endpoint": endpoint}})
    assert held_params(world)["endpoint"] == endpoint


# How it is changed


@pytest.mark.parametrize("shown", ["masked", "omitted", "echoed"])
def test_what_reads_show_of_secrets_changes_nothing(world: World, shown: str) -> None:
    world.control.switch("aep", secretsOnRead=shown)
    make_ready(world)
    mark = world.mark()
    check_now(world)
    assert changes_since(world, mark) == []

    params = held_params(world)
    edit_remotely(
        world, auth={"specName": "Basic Authentication", "params": {**params, "endpoint": "crm.zoho.eu"}}
    )
    repaired = check_now(world, "drift")
    assert repaired["status"]["lastDrift"]["fields"] == ["baseConnection.auth.params"]
    assert held_params(world) == params

    mark = world.mark()
    check_now(world, "again")
    assert changes_since(world, mark) == []


def test_a_secret_that_somebody_replaced_unseen_is_put_back_when_the_test_fails(world: World) -> None:
    make_ready(world)
    params = held_params(world)
    broken = {**params, "clientSecret": WRONG_SECRET}
    edit_remotely(world, auth={"specName": "Basic Authentication", "params": broken})
    assert ready_status(check_now(world)) == "True"
    assert held_params(world) == params


@pytest.mark.parametrize("position", ["replace", "merge"])
def test_new_credentials_reach_platform(world: World, position: str) -> None:
    world.control.switch("aep", patchAuthParams=position)
    before = make_ready(world)["status"]["token"]["secretHash"]
    grant = new_grant(world)
    world.apply_secrets(**grant)
    changed = world.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        world.namespace,
        lambda obj: obj["status"]["token"]["secretHash"] != before and ready_status(obj) == "True",
        what="new credentials",
    )
    assert verdict(changed) == ("True", "Succeeded")
    params = held_params(world)
    assert params["clientId"] == grant["clientId"]


@pytest.mark.parametrize("position", ["refused1300", "refused1445"])
def test_credentials_that_platform_does_not_take_are_a_persons_to_settle(world: World, position: str) -> None:
    world.control.switch("aep", patchAuthParams=position)
    make_ready(world)
    former = {key: world.emulators.info["zoho"][key] for key in ("clientId", "clientSecret", "refreshToken")}
    world.apply_secrets(**new_grant(world))
    stuck = world.wait_reason(CONNECTION, "Synced", "PatchNotSupported")
    assert condition(stuck, "Stalled")["status"] == "True"
    assert "another ZohoSourceConnection" in condition(stuck, "Ready")["message"]
    assert held_params(world)["clientId"] == former["clientId"]

    world.edit(CONNECTION, displayName="Renamed")
    world.wait_reason(CONNECTION, "Synced", "PatchNotSupported")
    assert world.held("connections")[0]["name"].startswith("Renamed [")

    world.apply_secrets(**former)
    world.wait_ready(CONNECTION)


def test_an_etag_that_is_stale_is_read_compared_and_sent_again(world: World) -> None:
    make_ready(world)
    stale = {
        "type": "https://ns.adobe.com/aep/errors/FLOW-1404-412",
        "title": "Version mismatch",
        "status": 412,
    }
    world.control.fault(
        service="platform", method="PATCH", path=CONNECTION_PATH, times=2, status=412, body=stale
    )
    mark = world.mark()
    world.edit(CONNECTION, displayName="Renamed", description="Of the sales organization")
    world.wait_ready(CONNECTION)
    assert changes_since(world, mark) == [("PATCH", 412), ("PATCH", 412), ("PATCH", 200)]
    [held] = world.held("connections")
    assert held["name"].startswith("Renamed [")
    assert held["description"].startswith("Of the sales organization\n")


@pytest.mark.parametrize("validated", ["never", "always"])
def test_a_blocked_address_is_named_whether_or_not_creation_tries_the_credentials(
    world: World, validated: str
) -> None:
    world.control.switch("aep", validateOnCreate=validated, testFailure="error")
    world.control.switch("zoho", ipBlock="source")
    world.apply_secrets()
    world.apply_connection()
    found = world.wait_reason(CONNECTION, "Synced" if validated == "always" else "Tested", "AddressBlocked")
    message = condition(found, "Ready")["message"]
    assert "Access denied from this IP address" in message
    assert "(1) Zoho's Allowed IPs lack Platform's addresses of region" in message
    assert ", ".join(found["status"]["ipAllowList"]["ranges"]) in message

    world.control.switch("zoho", ipBlock="none")
    check_now(world)
    world.wait_ready(CONNECTION)
    assert len(world.held("connections")) == 1


# How it is tested


@pytest.mark.parametrize(
    ("failure", "status", "reason", "ready_reason"),
    [
        ("result", "False", "ConnectionTestFailed", "ConnectionTestFailed"),
        ("error", "False", "AddressBlocked", "AddressBlocked"),
        ("unavailable", "Unknown", "Unavailable", "ProgressingWithRetry"),
        ("timeout", "Unknown", "Unavailable", "ProgressingWithRetry"),
    ],
)
def test_tested_says_a_failure_at_once_and_ready_after_three(
    world: World, failure: str, status: str, reason: str, ready_reason: str
) -> None:
    make_ready(world)
    world.wait_polls(2)  # the first listing wakes what it shows for the first time
    world.control.switch("aep", testFailure=failure)
    world.control.switch("zoho", ipBlock="source")

    first = check_now(world)
    assert verdict(first) == (status, reason)
    assert (ready_status(first), first["status"]["testFailures"]) == ("True", 1)
    world.control.advance(TEST_AGAIN_SECONDS + 1)
    second = wait_failures(world, 2)
    assert (ready_status(second), verdict(second)) == ("True", (status, reason))
    world.control.advance(TEST_AGAIN_SECONDS + 1)
    third = wait_failures(world, 3)
    assert (ready_status(third), verdict(third)) == ("False", (status, reason))
    assert condition(third, "Ready")["reason"] == ready_reason
    assert "Allowed IPs" in condition(third, "Ready")["message"]

    world.control.switch("zoho", ipBlock="none")
    check_now(world, "mended")
    healed = world.wait_ready(CONNECTION)
    assert verdict(healed) == ("True", "Succeeded")
    assert "testFailures" not in healed["status"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (400, ("False", "SourceRefused")),
        (422, ("False", "SourceRefused")),
        (500, ("Unknown", "Unavailable")),
        (502, ("Unknown", "Unavailable")),
    ],
)
def test_an_answer_to_a_test_that_nobody_knows_is_a_failure_too(
    world: World, answer: int, expected: tuple[str, str]
) -> None:
    make_ready(world)
    body = {"type": "https://example.com/errors/NEW-1", "title": "Something new", "status": answer}
    world.control.fault(service="platform", path="/test$", times=None, status=answer, body=body)
    found = check_now(world)
    assert (verdict(found), ready_status(found)) == (expected, "True")
    assert "Allowed IPs" in condition(found, "Tested")["message"]
    world.control.delete("/faults")
    healed = check_now(world, "healed")
    assert verdict(healed) == ("True", "Succeeded")
    assert "testFailures" not in healed["status"]


def test_whatever_wakes_a_failing_connection_only_its_schedule_tests_and_counts(world: World) -> None:
    make_ready(world)
    world.wait_polls(2)
    world.control.switch("aep", testFailure="error")
    world.control.switch("zoho", ipBlock="source")
    mark = world.mark()
    failing = check_now(world)
    due = failing["status"]["nextTestTime"]
    tests = count_tests(world, mark)

    visits = "crmflow_reconcile_total"
    for wake in (
        lambda: world.cluster.annotate("Secret", manifests.ZOHO_SECRET, world.namespace, touched="1"),
        lambda: world.cluster.annotate("Secret", manifests.PLATFORM_SECRET, world.namespace, touched="1"),
        lambda: edit_remotely(world, name="Renamed by hand"),
        lambda: rename(world),
    ):
        before = world.metric(visits, kind=CONNECTION, outcome="Degraded")
        wake()
        world.wait_metric(
            lambda before=before: world.metric(visits, kind=CONNECTION, outcome="Degraded") > before
        )
    world.operator.restart()
    world.wait_metric(lambda: world.metric(visits, kind=CONNECTION, outcome="Degraded") > 0)
    told = world.get(CONNECTION)
    assert count_tests(world, mark) == tests
    assert (told["status"]["testFailures"], told["status"]["nextTestTime"]) == (1, due)
    assert (ready_status(told), verdict(told)) == ("True", ("False", "AddressBlocked"))

    world.control.advance(TEST_AGAIN_SECONDS + 1)
    wait_failures(world, 2)
    assert count_tests(world, mark) > tests


def count_tests(world: World, mark: int) -> int:
    """How often Platform was asked to test a base connection."""
    return sum(call["path"].endswith("/test") for call in world.calls_since(mark))


def test_a_test_that_is_never_answered_has_no_result(world: World) -> None:
    make_ready(world)
    world.control.fault(service="platform", path="/test$", delay=DEFAULT_TIMEOUT + 2)
    world.request(CONNECTION, "now")
    found = world.wait_answer(CONNECTION, "now", seconds=DEFAULT_TIMEOUT + 30)
    assert verdict(found) == ("Unknown", "Timeout")
    assert ready_status(found) == "True"
    assert "Allowed IPs" in condition(found, "Tested")["message"]

    check_now(world, "again")
    world.wait_reason(CONNECTION, "Tested", "Succeeded", "True")


def wait_failures(world: World, count: int) -> Object:
    """Wait until so many tests in a row have failed."""
    return world.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        world.namespace,
        lambda obj: obj["status"].get("testFailures") == count,
        what=f"{count} failures",
    )


def test_a_ready_connection_is_tested_at_each_complete_check(world: World) -> None:
    make_ready(world)
    mark = world.mark()
    world.control.advance(3700)
    world.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        world.namespace,
        lambda _: any(call["path"].endswith("/test") for call in world.calls_since(mark)),
        what="test",
    )


# The addresses


def test_the_ranges_of_the_sandboxs_region_can_be_replaced_without_a_release(
    world: World, tmp_path: Path
) -> None:
    published = make_ready(world)["status"]["ipAllowList"]
    assert (published["region"], len(published["ranges"])) == ("NLD2", 7)

    path = tmp_path / "ip-allow-list.json"
    path.write_text(json.dumps({"source": "a test", "regions": {"NLD2": ["192.0.2.0/24"]}}))
    world.operator.stop()
    world.operator.start(CRMFLOW_IP_ALLOW_LIST=str(path))
    assert check_now(world, "1")["status"]["ipAllowList"] == {"region": "NLD2", "ranges": ["192.0.2.0/24"]}

    path.write_text(json.dumps({"source": "a test", "regions": {"VA7": ["198.51.100.0/24"]}}))
    assert check_now(world, "2")["status"]["ipAllowList"] == {"region": "NLD2"}

    path.write_text("no list")
    assert check_now(world, "3")["status"]["ipAllowList"] == {"region": "NLD2"}
    assert "can't be used" in world.operator.log

    world.control.patch("/aep/sandboxes/prod", region="VA7")
    assert check_now(world, "4")["status"]["ipAllowList"] == {"region": "VA7", "ranges": ["198.51.100.0/24"]}


# The source is withdrawn


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("connectionSpec", "ConnectionSpecWithdrawn"),
        ("flowSpec", "SourceWithdrawn"),
        ("both", "ConnectionSpecWithdrawn"),
    ],
)
def test_a_first_install_without_the_source_is_one_clear_message(
    world: World, what: str, reason: str
) -> None:
    world.control.post("/aep/source/withdraw", what=what)
    world.apply_secrets()
    world.apply_connection()
    world.apply_dataflow()
    refused = world.wait_reason(CONNECTION, "SourceOffered", reason)
    message = condition(refused, "Stalled")["message"]
    for part in ("deprecated at the end of June 2025", "no base connection is created", "Ask Adobe"):
        assert part in message

    mark = world.mark()
    for number in range(3):
        world.control.advance(3700)
        check_now(world, f"look {number}")
    assert changes_since(world, mark) == []
    assert world.held("connections") == []
    notes = [event["note"] for event in events(world) if event["regarding"]["kind"] == CONNECTION]
    assert len(notes) == 1

    world.control.post("/aep/source/restore")
    check_now(world, "restored")
    world.wait_ready(CONNECTION)


def events(world: World) -> list[Object]:
    return world.cluster.list("Event", world.namespace)


def rename(world: World) -> None:
    world.edit(CONNECTION, displayName="Renamed")


def vanish(world: World) -> None:
    [held] = world.held("connections")
    world.control.delete(f"/aep/sandboxes/prod/connections/{held['id']}")


def test_what_works_stays_ready_and_what_platform_refuses_to_change_is_told(world: World) -> None:
    make_ready(world)
    world.control.post("/aep/source/withdraw")
    rename(world)
    found = world.wait_reason(CONNECTION, "Synced", "SourceNotOffered")
    assert ready_status(found) == "True"
    assert condition(found, "SourceOffered")["reason"] == "ConnectionSpecWithdrawn"
    assert "as long as its test succeeds" in condition(found, "SourceOffered")["message"]
    assert verdict(found) == ("True", "Succeeded")

    world.control.post("/aep/source/restore")
    check_now(world)
    world.wait_reason(CONNECTION, "Synced", "Succeeded", "True")
    assert world.held("connections")[0]["name"].startswith("Renamed [")


def test_a_connector_that_stops_working_is_the_third_probe(world: World) -> None:
    make_ready(world)
    world.control.switch("aep", withdrawnConnections="refused")
    world.control.post("/aep/source/withdraw")
    for number in (1, 2, 3):
        found = check_now(world, f"look {number}")
        assert condition(found, "SourceOffered")["reason"] == "SourceNotOffered"
        assert verdict(found) == ("False", "SourceNotOffered")
        assert ready_status(found) == ("True" if number < 3 else "False")


def test_what_vanishes_after_the_withdrawal_is_not_attempted_again(world: World) -> None:
    make_ready(world)
    world.wait_polls(1)  # what no listing has shown yet may still be on its way into them
    world.control.post("/aep/source/withdraw")
    vanish(world)
    mark = world.mark()
    gone = world.wait_reason(CONNECTION, "Ready", "ConnectionSpecWithdrawn")
    assert "can't be made anew" in condition(gone, "Ready")["message"]
    check_now(world)
    assert changes_since(world, mark) == []


def new_grant(world: World) -> dict[str, str]:
    """The values of a Zoho Secret after another consent."""
    grant = world.control.post("/zoho/grants", dataCenter="EU", environment="production", exchange=True)
    return {key: grant[key] for key in ("clientId", "clientSecret", "refreshToken")}
