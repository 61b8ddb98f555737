"""A base connection that stays true: how it signs in, is changed and is tested, what is said of it, and what
is left of it when the source is withdrawn. Each unknown of the contract is tried in all its positions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crmflow.http.client import DEFAULT_TIMEOUT
from crmflow.reconcile.connection.testing import TEST_AGAIN_SECONDS
from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, Tenant

WRONG_SECRET = "0123456789abcdef0123456789abcdef01234567"
CONNECTION_PATH = "/flowservice/connections"


def make_ready(tenant: Tenant, **spec: Any) -> Object:
    """A connection that works."""
    tenant.apply_secrets()
    tenant.apply_connection(**spec)
    return tenant.wait_ready(CONNECTION)


def held_params(tenant: Tenant) -> dict[str, str]:
    """The authentication parameters that Platform holds."""
    [held] = tenant.held("connections")
    params: dict[str, str] = held["auth"]["params"]
    return params


def edit_remotely(tenant: Tenant, **body: Any) -> None:
    """Somebody edits the base connection in Platform."""
    [held] = tenant.held("connections")
    tenant.control.patch(f"/aep/sandboxes/prod/connections/{held['id']}", body=body)


def check_now(tenant: Tenant, value: str = "now") -> Object:
    """Ask for a complete check, and wait until it is over."""
    tenant.request(CONNECTION, value)
    return tenant.wait_answer(CONNECTION, value)


def changes_since(tenant: Tenant, mark: int) -> list[tuple[str, int]]:
    """Method and status of what changed base connections."""
    calls = tenant.calls_since(mark)
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
def test_the_auth_spec_is_the_one_that_platform_has(tenant: Tenant, name: str) -> None:
    tenant.control.switch("aep", authSpecName=name)
    make_ready(tenant)
    assert tenant.held("connections")[0]["auth"]["specName"] == name


@pytest.mark.parametrize("required", ["all", "tokenAndEndpoint", "none"])
def test_whatever_documented_parameters_are_required_are_given(tenant: Tenant, required: str) -> None:
    tenant.control.switch("aep", requiredAuthParams=required)
    make_ready(tenant)
    assert len(held_params(tenant)) == 6


def test_a_required_parameter_that_nobody_gives_is_named_and_can_be_given(tenant: Tenant) -> None:
    tenant.control.switch("aep", requiredAuthParams="undocumented")
    tenant.apply_secrets()
    tenant.apply_connection()
    needy = tenant.wait_reason(CONNECTION, "Synced", "AuthParamMissing")
    assert "useEncryptedEndpoints" in condition(needy, "Ready")["message"]
    assert tenant.held("connections") == []

    tenant.edit(CONNECTION, platform={"authParams": {"useEncryptedEndpoints": "true"}})
    tenant.wait_ready(CONNECTION)
    assert held_params(tenant)["useEncryptedEndpoints"] == "true"


def test_a_required_parameter_that_is_a_secret_comes_from_the_secret(tenant: Tenant) -> None:
    tenant.control.switch("aep", requiredAuthParams="undocumented")
    tenant.apply_secrets()
    tenant.apply_connection()
    needy = tenant.wait_reason(CONNECTION, "Synced", "AuthParamMissing")
    key = "authParams.useEncryptedEndpoints"
    assert f'to the Secret "{manifests.ZOHO_SECRET}" as {key}' in condition(needy, "Ready")["message"]

    for value in ("first-value", "second-value"):
        tenant.cluster.patch("Secret", manifests.ZOHO_SECRET, tenant.namespace, {"stringData": {key: value}})
        tenant.cluster.wait(
            CONNECTION,
            manifests.CONNECTION,
            tenant.namespace,
            lambda _, value=value: any(
                held["auth"]["params"]["useEncryptedEndpoints"] == value
                for held in tenant.held("connections")
            ),
            what=value,
        )
    ready = tenant.wait_ready(CONNECTION)
    assert len(tenant.held("connections")) == 1
    for text in (json.dumps(ready), json.dumps(events(tenant)), tenant.operator.log):
        assert "-value" not in text


@pytest.mark.parametrize(
    ("wanted", "endpoint"), [("host", "crm.zoho.eu"), ("url", "https://crm.zoho.eu/crm/private")]
)
def test_the_endpoint_takes_the_form_that_the_connector_wants(
    tenant: Tenant, wanted: str, endpoint: str
) -> None:
    tenant.control.switch("aep", endpointFormat=wanted)
    make_ready(tenant, platform={"authParams": {"endpoint": endpoint}})
    assert held_params(tenant)["endpoint"] == endpoint


# How it is changed


@pytest.mark.parametrize("shown", ["masked", "omitted", "echoed"])
def test_what_reads_show_of_secrets_changes_nothing(tenant: Tenant, shown: str) -> None:
    tenant.control.switch("aep", secretsOnRead=shown)
    make_ready(tenant)
    mark = tenant.mark()
    check_now(tenant)
    assert changes_since(tenant, mark) == []

    params = held_params(tenant)
    edit_remotely(
        tenant, auth={"specName": "Basic Authentication", "params": {**params, "endpoint": "crm.zoho.eu"}}
    )
    repaired = check_now(tenant, "drift")
    assert repaired["status"]["lastDrift"]["fields"] == ["baseConnection.auth.params"]
    assert held_params(tenant) == params

    mark = tenant.mark()
    check_now(tenant, "again")
    assert changes_since(tenant, mark) == []


def test_a_secret_that_somebody_replaced_unseen_is_put_back_when_the_test_fails(tenant: Tenant) -> None:
    make_ready(tenant)
    params = held_params(tenant)
    broken = {**params, "clientSecret": WRONG_SECRET}
    edit_remotely(tenant, auth={"specName": "Basic Authentication", "params": broken})
    assert ready_status(check_now(tenant)) == "True"
    assert held_params(tenant) == params


@pytest.mark.parametrize("position", ["replace", "merge"])
def test_new_credentials_reach_platform(tenant: Tenant, position: str) -> None:
    tenant.control.switch("aep", patchAuthParams=position)
    before = make_ready(tenant)["status"]["token"]["secretHash"]
    grant = new_grant(tenant)
    tenant.apply_secrets(**grant)
    changed = tenant.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        tenant.namespace,
        lambda obj: obj["status"]["token"]["secretHash"] != before and ready_status(obj) == "True",
        what="new credentials",
    )
    assert verdict(changed) == ("True", "Succeeded")
    params = held_params(tenant)
    assert params["clientId"] == grant["clientId"]


@pytest.mark.parametrize("position", ["refused1300", "refused1445"])
def test_credentials_that_platform_does_not_take_are_a_persons_to_settle(
    tenant: Tenant, position: str
) -> None:
    tenant.control.switch("aep", patchAuthParams=position)
    make_ready(tenant)
    former = {key: tenant.emulators.info["zoho"][key] for key in ("clientId", "clientSecret", "refreshToken")}
    tenant.apply_secrets(**new_grant(tenant))
    stuck = tenant.wait_reason(CONNECTION, "Synced", "PatchNotSupported")
    assert condition(stuck, "Stalled")["status"] == "True"
    assert "another ZohoSourceConnection" in condition(stuck, "Ready")["message"]
    assert held_params(tenant)["clientId"] == former["clientId"]

    tenant.edit(CONNECTION, displayName="Renamed")
    tenant.wait_reason(CONNECTION, "Synced", "PatchNotSupported")
    assert tenant.held("connections")[0]["name"].startswith("Renamed [")

    tenant.apply_secrets(**former)
    tenant.wait_ready(CONNECTION)


def test_an_etag_that_is_stale_is_read_compared_and_sent_again(tenant: Tenant) -> None:
    make_ready(tenant)
    stale = {
        "type": "https://ns.adobe.com/aep/errors/FLOW-1404-412",
        "title": "Version mismatch",
        "status": 412,
    }
    tenant.control.fault(
        service="platform", method="PATCH", path=CONNECTION_PATH, times=2, status=412, body=stale
    )
    mark = tenant.mark()
    tenant.edit(CONNECTION, displayName="Renamed", description="Of the sales organization")
    tenant.wait_ready(CONNECTION)
    assert changes_since(tenant, mark) == [("PATCH", 412), ("PATCH", 412), ("PATCH", 200)]
    [held] = tenant.held("connections")
    assert held["name"].startswith("Renamed [")
    assert held["description"].startswith("Of the sales organization\n")


@pytest.mark.parametrize("validated", ["never", "always"])
def test_a_blocked_address_is_named_whether_or_not_creation_tries_the_credentials(
    tenant: Tenant, validated: str
) -> None:
    tenant.control.switch("aep", validateOnCreate=validated, testFailure="error")
    tenant.control.switch("zoho", ipBlock="source")
    tenant.apply_secrets()
    tenant.apply_connection()
    found = tenant.wait_reason(CONNECTION, "Synced" if validated == "always" else "Tested", "AddressBlocked")
    message = condition(found, "Ready")["message"]
    assert "Access denied from this IP address" in message
    assert "(1) Zoho's Allowed IPs lack Platform's addresses of region" in message
    assert ", ".join(found["status"]["ipAllowList"]["ranges"]) in message

    tenant.control.switch("zoho", ipBlock="none")
    check_now(tenant)
    tenant.wait_ready(CONNECTION)
    assert len(tenant.held("connections")) == 1


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
    tenant: Tenant, failure: str, status: str, reason: str, ready_reason: str
) -> None:
    make_ready(tenant)
    tenant.wait_polls(2)  # the first listing wakes what it shows for the first time
    tenant.control.switch("aep", testFailure=failure)
    tenant.control.switch("zoho", ipBlock="source")

    first = check_now(tenant)
    assert verdict(first) == (status, reason)
    assert (ready_status(first), first["status"]["testFailures"]) == ("True", 1)
    tenant.control.advance(TEST_AGAIN_SECONDS + 1)
    second = wait_failures(tenant, 2)
    assert (ready_status(second), verdict(second)) == ("True", (status, reason))
    tenant.control.advance(TEST_AGAIN_SECONDS + 1)
    third = wait_failures(tenant, 3)
    assert (ready_status(third), verdict(third)) == ("False", (status, reason))
    assert condition(third, "Ready")["reason"] == ready_reason
    assert "Allowed IPs" in condition(third, "Ready")["message"]

    tenant.control.switch("zoho", ipBlock="none")
    check_now(tenant, "mended")
    healed = tenant.wait_ready(CONNECTION)
    assert verdict(healed) == ("True", "Succeeded")
    assert "testFailures" not in healed["status"]


@pytest.mark.parametrize("code", ["1100-400", "1105-401"])
def test_a_refusal_of_the_source_is_no_permission_at_adobe_whatever_wraps_it(
    tenant: Tenant, code: str
) -> None:
    make_ready(tenant)
    tenant.control.switch("aep", testFailure="error", sourceRefusalCode=code)
    tenant.control.switch("zoho", ipBlock="source")
    found = check_now(tenant)
    assert (verdict(found), ready_status(found)) == (("False", "AddressBlocked"), "True")
    assert f"(FLOW-{code})" in condition(found, "Tested")["message"]
    tenant.control.switch("zoho", ipBlock="none")
    assert verdict(check_now(tenant, "healed")) == ("True", "Succeeded")


def test_a_listing_that_is_refused_after_its_test_is_not_explained_by_addresses(tenant: Tenant) -> None:
    make_ready(tenant)
    body = {"type": "https://ns.adobe.com/aep/errors/FLOW-1308-400", "title": "Bad Request", "detail": "No."}
    tenant.control.fault(service="platform", path="/explore", times=None, status=400, body=body)
    found = check_now(tenant)
    assert (verdict(found), ready_status(found)) == (("False", "SourceRefused"), "True")
    message = condition(found, "Tested")["message"]
    assert '"Bad Request: No"' in message
    assert "Allowed IPs" not in message
    tenant.control.delete("/faults")
    assert verdict(check_now(tenant, "healed")) == ("True", "Succeeded")


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
    tenant: Tenant, answer: int, expected: tuple[str, str]
) -> None:
    make_ready(tenant)
    body = {"type": "https://example.com/errors/NEW-1", "title": "Something new", "status": answer}
    tenant.control.fault(service="platform", path="/test$", times=None, status=answer, body=body)
    found = check_now(tenant)
    assert (verdict(found), ready_status(found)) == (expected, "True")
    assert "Allowed IPs" in condition(found, "Tested")["message"]
    tenant.control.delete("/faults")
    healed = check_now(tenant, "healed")
    assert verdict(healed) == ("True", "Succeeded")
    assert "testFailures" not in healed["status"]


def test_whatever_wakes_a_failing_connection_only_its_schedule_tests_and_counts(tenant: Tenant) -> None:
    make_ready(tenant)
    tenant.wait_polls(2)
    tenant.control.switch("aep", testFailure="error")
    tenant.control.switch("zoho", ipBlock="source")
    mark = tenant.mark()
    failing = check_now(tenant)
    due = failing["status"]["nextTestTime"]
    tests = count_tests(tenant, mark)

    visits = "crmflow_reconcile_total"
    for wake in (
        lambda: tenant.cluster.annotate("Secret", manifests.ZOHO_SECRET, tenant.namespace, touched="1"),
        lambda: tenant.cluster.annotate("Secret", manifests.PLATFORM_SECRET, tenant.namespace, touched="1"),
        lambda: edit_remotely(tenant, name="Renamed by hand"),
        lambda: rename(tenant),
    ):
        before = tenant.metric(visits, kind=CONNECTION, outcome="Degraded")
        wake()
        tenant.wait_metric(
            lambda before=before: tenant.metric(visits, kind=CONNECTION, outcome="Degraded") > before
        )
    tenant.operator.restart()
    tenant.wait_metric(lambda: tenant.metric(visits, kind=CONNECTION, outcome="Degraded") > 0)
    told = tenant.get(CONNECTION)
    assert count_tests(tenant, mark) == tests
    assert (told["status"]["testFailures"], told["status"]["nextTestTime"]) == (1, due)
    assert (ready_status(told), verdict(told)) == ("True", ("False", "AddressBlocked"))

    tenant.control.advance(TEST_AGAIN_SECONDS + 1)
    wait_failures(tenant, 2)
    assert count_tests(tenant, mark) > tests


def count_tests(tenant: Tenant, mark: int) -> int:
    """How often Platform was asked to test a base connection."""
    return sum(call["path"].endswith("/test") for call in tenant.calls_since(mark))


def test_a_test_that_is_never_answered_has_no_result(tenant: Tenant) -> None:
    make_ready(tenant)
    tenant.control.fault(service="platform", path="/test$", delay=DEFAULT_TIMEOUT + 2)
    tenant.request(CONNECTION, "now")
    found = tenant.wait_answer(CONNECTION, "now", seconds=DEFAULT_TIMEOUT + 30)
    assert verdict(found) == ("Unknown", "Timeout")
    assert ready_status(found) == "True"
    assert "Allowed IPs" in condition(found, "Tested")["message"]

    check_now(tenant, "again")
    tenant.wait_reason(CONNECTION, "Tested", "Succeeded", "True")


def wait_failures(tenant: Tenant, count: int) -> Object:
    """Wait until so many tests in a row have failed."""
    return tenant.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        tenant.namespace,
        lambda obj: obj["status"].get("testFailures") == count,
        what=f"{count} failures",
    )


def test_a_ready_connection_is_tested_at_each_complete_check(tenant: Tenant) -> None:
    make_ready(tenant)
    mark = tenant.mark()
    tenant.control.advance(3700)
    tenant.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        tenant.namespace,
        lambda _: any(call["path"].endswith("/test") for call in tenant.calls_since(mark)),
        what="test",
    )


# The addresses


def test_the_ranges_of_the_sandboxs_region_can_be_replaced_without_a_release(
    tenant: Tenant, tmp_path: Path
) -> None:
    published = make_ready(tenant)["status"]["ipAllowList"]
    assert (published["region"], len(published["ranges"])) == ("NLD2", 7)

    path = tmp_path / "ip-allow-list.json"
    path.write_text(json.dumps({"source": "a test", "regions": {"NLD2": ["192.0.2.0/24"]}}))
    tenant.operator.stop()
    tenant.operator.start(CRMFLOW_IP_ALLOW_LIST=str(path))
    assert check_now(tenant, "1")["status"]["ipAllowList"] == {"region": "NLD2", "ranges": ["192.0.2.0/24"]}

    path.write_text(json.dumps({"source": "a test", "regions": {"VA7": ["198.51.100.0/24"]}}))
    assert check_now(tenant, "2")["status"]["ipAllowList"] == {"region": "NLD2"}

    path.write_text("no list")
    assert check_now(tenant, "3")["status"]["ipAllowList"] == {"region": "NLD2"}
    assert "can't be used" in tenant.operator.log

    tenant.control.patch("/aep/sandboxes/prod", region="VA7")
    assert check_now(tenant, "4")["status"]["ipAllowList"] == {"region": "VA7", "ranges": ["198.51.100.0/24"]}


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
    tenant: Tenant, what: str, reason: str
) -> None:
    tenant.control.post("/aep/source/withdraw", what=what)
    tenant.apply_secrets()
    tenant.apply_connection(transport="PlatformSource")
    tenant.apply_dataflow()
    refused = tenant.wait_reason(CONNECTION, "SourceOffered", reason)
    message = condition(refused, "Stalled")["message"]
    for part in (
        "deprecated at the end of June 2025",
        "no base connection is created",
        "Set spec.transport to LandingZone, or ask Adobe",
    ):
        assert part in message

    mark = tenant.mark()
    for number in range(3):
        tenant.control.advance(3700)
        check_now(tenant, f"look {number}")
    assert changes_since(tenant, mark) == []
    assert tenant.held("connections") == []
    notes = [event["note"] for event in events(tenant) if event["regarding"]["kind"] == CONNECTION]
    assert len(notes) == 1

    tenant.control.post("/aep/source/restore")
    check_now(tenant, "restored")
    tenant.wait_ready(CONNECTION)


def events(tenant: Tenant) -> list[Object]:
    return tenant.cluster.list("Event", tenant.namespace)


def rename(tenant: Tenant) -> None:
    tenant.edit(CONNECTION, displayName="Renamed")


def vanish(tenant: Tenant) -> None:
    [held] = tenant.held("connections")
    tenant.control.delete(f"/aep/sandboxes/prod/connections/{held['id']}")


def test_what_works_stays_ready_and_what_platform_refuses_to_change_is_told(tenant: Tenant) -> None:
    make_ready(tenant)
    tenant.control.post("/aep/source/withdraw")
    rename(tenant)
    found = tenant.wait_reason(CONNECTION, "Synced", "SourceNotOffered")
    assert ready_status(found) == "True"
    assert condition(found, "SourceOffered")["reason"] == "ConnectionSpecWithdrawn"
    assert "as long as its test succeeds" in condition(found, "SourceOffered")["message"]
    assert verdict(found) == ("True", "Succeeded")

    tenant.control.post("/aep/source/restore")
    check_now(tenant)
    tenant.wait_reason(CONNECTION, "Synced", "Succeeded", "True")
    assert tenant.held("connections")[0]["name"].startswith("Renamed [")


def test_a_connector_that_stops_working_is_the_third_probe(tenant: Tenant) -> None:
    make_ready(tenant)
    tenant.control.switch("aep", withdrawnConnections="refused")
    tenant.control.post("/aep/source/withdraw")
    failures = 0  # a poll may look, too
    while failures < 3:
        found = check_now(tenant, f"look after {failures}")
        assert found["status"]["testFailures"] > failures
        failures = found["status"]["testFailures"]
        assert condition(found, "SourceOffered")["reason"] == "SourceNotOffered"
        assert verdict(found) == ("False", "SourceNotOffered")
        assert ready_status(found) == ("True" if failures < 3 else "False")


def test_what_vanishes_after_the_withdrawal_is_not_attempted_again(tenant: Tenant) -> None:
    make_ready(tenant)
    tenant.wait_polls(1)  # what no listing has shown yet may still be on its way into them
    tenant.control.post("/aep/source/withdraw")
    vanish(tenant)
    mark = tenant.mark()
    gone = tenant.wait_reason(CONNECTION, "Ready", "ConnectionSpecWithdrawn")
    assert "can't be made anew" in condition(gone, "Ready")["message"]
    check_now(tenant)
    assert changes_since(tenant, mark) == []


def new_grant(tenant: Tenant) -> dict[str, str]:
    """The values of a Zoho Secret after another consent."""
    grant = tenant.control.post("/zoho/grants", dataCenter="EU", environment="production", exchange=True)
    return {key: grant[key] for key in ("clientId", "clientSecret", "refreshToken")}
