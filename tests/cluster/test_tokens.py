"""Zoho's tokens over restarts, rotations and the end of a resource, on a real API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import COLLECTIONS, CONNECTION, Tenant

HOUR = 3700.0


def token_requests(tenant: Tenant, mark: int) -> list[Object]:
    """What the token endpoint was asked for."""
    calls = tenant.calls_since(mark)
    return [call for call in calls if call["path"].endswith("/oauth/v2/token") and call["method"] == "POST"]


def revocations(tenant: Tenant, mark: int) -> list[Object]:
    """What was revoked."""
    return [call for call in tenant.calls_since(mark) if call["path"].endswith("/token/revoke")]


def apply_zoho_secret(tenant: Tenant, **values: str) -> None:
    """The Zoho Secret holds just these keys."""
    tenant.cluster.apply(manifests.secret(tenant.namespace, manifests.ZOHO_SECRET, values))


def new_grant(tenant: Tenant, **request: Any) -> dict[str, str]:
    """Another consent: the client and, unless it was exchanged, the grant token."""
    answer: dict[str, str] = tenant.control.post(
        "/zoho/grants", dataCenter="EU", environment="production", **request
    )
    return answer


def held_token(tenant: Tenant) -> str:
    """The access token, or its hash, that the base connection holds."""
    return str(tenant.held("connections")[0]["auth"]["params"]["accessToken"])


def make_ready_with_grant_token(tenant: Tenant) -> None:
    grant = new_grant(tenant)
    tenant.apply_secrets()
    apply_zoho_secret(
        tenant,
        clientId=grant["clientId"],
        clientSecret=grant["clientSecret"],
        grantToken=grant["grantToken"],
    )
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)


def test_a_grant_token_is_exchanged_at_once_and_lasts(tenant: Tenant) -> None:
    mark = tenant.mark()
    make_ready_with_grant_token(tenant)
    assert [call["body"]["grant_type"] for call in token_requests(tenant, mark)] == ["authorization_code"]

    tenant.control.advance(HOUR)
    tenant.operator.restart()
    wait(tenant, lambda: len(token_requests(tenant, mark)) == 2)
    assert token_requests(tenant, mark)[-1]["body"]["grant_type"] == "refresh_token"
    tenant.wait_ready(CONNECTION)

    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)
    assert len(revocations(tenant, mark)) == 1
    assert {collection: len(tenant.held(collection)) for collection in COLLECTIONS}["connections"] == 0


def test_a_lost_exchange_is_told_and_a_new_grant_heals(tenant: Tenant) -> None:
    mark = tenant.mark()
    grant = new_grant(tenant)
    tenant.control.fault(service="zoho-accounts", path="/oauth/v2/token$", times=1, reset="after")
    tenant.apply_secrets()
    client = {"clientId": grant["clientId"], "clientSecret": grant["clientSecret"]}
    apply_zoho_secret(tenant, **client, grantToken=grant["grantToken"])
    tenant.apply_connection()
    lost = tenant.wait_reason(CONNECTION, "Authorized", "GrantLost")
    assert "authorize anew" in condition(lost, "Authorized")["message"]
    tenant.operator.restart()
    tenant.cluster.annotate(CONNECTION, manifests.CONNECTION, tenant.namespace, reconcile_requested_at="1")
    wait(tenant, lambda: "lastHandledReconcileAt" in tenant.get(CONNECTION)["status"])
    assert len(token_requests(tenant, mark)) == 1

    again = new_grant(tenant, clientId=grant["clientId"])
    apply_zoho_secret(tenant, **client, grantToken=again["grantToken"])
    tenant.wait_ready(CONNECTION)


def test_a_restart_asks_for_no_token(tenant: Tenant) -> None:
    tenant.make_ready()
    mark = tenant.mark()
    for _ in range(3):
        tenant.operator.restart()
        tenant.wait_polls(1)
    tokens = [call for call in tenant.calls_since(mark) if "token" in call["path"]]
    assert tokens == []


@pytest.mark.parametrize(("push", "renewed"), [("OnRefresh", True), ("OnCredentialChange", False)])
def test_a_new_token_reaches_the_base_connection_if_the_spec_says_so(
    tenant: Tenant, push: str, renewed: bool
) -> None:
    tenant.apply_secrets()
    tenant.apply_connection(tokenPush=push)
    tenant.wait_ready(CONNECTION)
    before = held_token(tenant)
    mark = tenant.mark()
    tenant.control.advance(0.71 * 3600)
    wait(tenant, lambda: len(token_requests(tenant, mark)) == 1)
    # Twice: Zoho's answer shows before the operator has taken it, and counts the spread from then on.
    for _ in range(2):
        tenant.control.advance(0.1 * 3600)
        tenant.wait_polls(1)
    if renewed:
        wait(tenant, lambda: held_token(tenant) != before)
    tenant.wait_polls(2)
    assert (held_token(tenant) != before) is renewed
    patches = [call for call in tenant.calls_since(mark) if call["method"] == "PATCH"]
    assert len(patches) == renewed
    assert all(call["headers"].get("If-Match") for call in patches)


def test_a_secret_that_changes_twenty_times_ends_at_the_last_value(tenant: Tenant) -> None:
    tenant.make_ready()
    mark = tenant.mark()
    last = new_grant(tenant, exchange=True)
    for number in range(19):
        tenant.apply_secrets(refreshToken=f"1000.{number:032x}.{number:032x}")
    tenant.apply_secrets(**{key: last[key] for key in ("clientId", "clientSecret", "refreshToken")})
    wait(
        tenant,
        lambda: (
            tenant.held("connections")[0]["auth"]["params"]["clientId"] == last["clientId"]
            and tenant.get(CONNECTION)["status"]["token"]["secretHash"] != ""
        ),
    )
    tenant.wait_ready(CONNECTION)
    throttled = [call for call in token_requests(tenant, mark) if call["status"] == 400]
    assert throttled == []


def test_the_store_is_in_the_operators_namespace_and_keeps_nothing_of_the_users(
    tenant: Tenant, home: str
) -> None:
    tenant.make_ready()
    stored = tenant.cluster.list("Secret", home)
    assert {secret["metadata"]["labels"]["crmflow.io/token-of"] for secret in stored} == {"zoho", "adobe"}
    for secret in stored:
        assert "refreshToken" not in secret["data"]
        assert "clientSecret" not in secret["data"]
    named = {secret["metadata"]["name"] for secret in tenant.cluster.list("Secret", tenant.namespace)}
    assert named == {manifests.ZOHO_SECRET, manifests.PLATFORM_SECRET}


def test_a_deletion_needs_no_secret_after_a_restart(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    for name in (manifests.ZOHO_SECRET, manifests.PLATFORM_SECRET):
        tenant.cluster.delete("Secret", name, tenant.namespace)
    tenant.operator.start()
    for kind in ("CRMDataflow", CONNECTION):
        tenant.delete(kind)
    for kind in ("CRMDataflow", CONNECTION):
        tenant.wait_gone(kind)
    assert all(tenant.held(collection) == [] for collection in COLLECTIONS)


def wait(tenant: Tenant, met: Callable[[], bool]) -> None:
    tenant.cluster.wait(CONNECTION, manifests.CONNECTION, tenant.namespace, lambda _: met(), what="that")
