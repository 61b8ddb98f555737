"""Zoho credentials that change, and Secrets that share one, on a real API server."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, Tenant

CLIENT = ("clientId", "clientSecret", "refreshToken")
NOTICED_SECONDS = 2.0


def new_grant(tenant: Tenant) -> dict[str, str]:
    """Somebody else's client and refresh token."""
    answer = tenant.control.post("/zoho/grants", dataCenter="EU", environment="production", exchange=True)
    return {key: answer[key] for key in CLIENT}


def seeded_grant(tenant: Tenant) -> dict[str, str]:
    """The client and refresh token that the manifests use."""
    return {key: str(tenant.emulators.info["zoho"][key]) for key in CLIENT}


def apply(tenant: Tenant, name: str, grant: dict[str, str]) -> None:
    """A connection with a Secret of its own."""
    tenant.cluster.apply(manifests.secret(tenant.namespace, name, grant))
    tenant.cluster.apply(
        manifests.connection(tenant.namespace, name, zoho={"credentialsSecretRef": {"name": name}})
    )


def refreshes(tenant: Tenant, mark: int) -> list[Object]:
    """The requests for access tokens."""
    return [call for call in tenant.calls_since(mark) if call["path"].endswith("/oauth/v2/token")]


def params(tenant: Tenant, name: str) -> Any:
    """What the base connection of ``name`` authenticates with; secrets are masked."""
    key = f"{tenant.namespace}/{name}"
    (held,) = [found for found in tenant.held("connections") if key in found["description"]]
    return held["auth"]["params"]


def test_secrets_with_the_same_refresh_token_share_tokens_and_budget(tenant: Tenant, home: str) -> None:
    names = ("first", "second", "third")
    tenant.apply_secrets()
    mark = tenant.mark()
    for name in names:
        apply(tenant, name, seeded_grant(tenant))
    for name in names:
        tenant.cluster.wait_ready(CONNECTION, name, tenant.namespace)
    assert len(refreshes(tenant, mark)) == 1
    assert len({params(tenant, name)["accessToken"] for name in names}) == 1

    (record,) = [
        secret
        for secret in tenant.cluster.list("Secret", home)
        if secret["metadata"]["labels"].get("crmflow.io/token-of") == "zoho"
    ]
    requests = base64.b64decode(record["data"]["requests"]).decode()
    assert len(json.loads(requests)) == 1
    holders = {
        value
        for key, value in record["metadata"]["annotations"].items()
        if key.startswith("holder.crmflow.io/")
    }
    assert holders == {f"{tenant.namespace}/{name}" for name in names}


def test_two_credentials_never_mix(tenant: Tenant) -> None:
    tenant.apply_secrets()
    grants = {"first": seeded_grant(tenant), "second": new_grant(tenant)}
    for name, grant in grants.items():
        apply(tenant, name, grant)
    for name in grants:
        tenant.cluster.wait_ready(CONNECTION, name, tenant.namespace)
    owners = {token["accessToken"]: token["clientId"] for token in live_tokens(tenant)}
    for name, grant in grants.items():
        held = params(tenant, name)
        assert held["clientId"] == owners[held["accessToken"]] == grant["clientId"]


def live_tokens(tenant: Tenant) -> list[Object]:
    tokens: list[Object] = tenant.control.state()["zoho"]["accessTokens"]
    return tokens


def test_a_changed_secret_is_noticed_within_two_seconds(tenant: Tenant) -> None:
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)
    took = []
    for _ in range(3):
        grant, mark = new_grant(tenant), tenant.mark()
        tenant.apply_secrets(**grant)
        begun = time.monotonic()
        while not any(call["body"]["client_id"] == grant["clientId"] for call in refreshes(tenant, mark)):
            assert time.monotonic() - begun < 20, "the change is not noticed"
            time.sleep(0.02)
        took.append(time.monotonic() - begun)
    assert min(took) < NOTICED_SECONDS, took


def test_new_credentials_are_verified_before_the_old_token_is_dropped(tenant: Tenant) -> None:
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)
    before = params(tenant, manifests.CONNECTION)

    mark = tenant.mark()
    good = seeded_grant(tenant)
    tenant.apply_secrets(refreshToken="1000." + "0" * 32 + "." + "0" * 32)
    refused = tenant.wait_reason(CONNECTION, "Authorized", "RefreshTokenRejected")
    assert condition(refused, "Authorized")["message"]
    assert params(tenant, manifests.CONNECTION) == before
    assert [call["method"] for call in platform_writes(tenant, mark)] == []
    assert before["accessToken"] in {token["accessToken"] for token in live_tokens(tenant)}

    tenant.apply_secrets(**good)
    tenant.wait_ready(CONNECTION)
    assert len([call for call in refreshes(tenant, mark) if call["responseBody"].get("access_token")]) == 0

    grant, mark = new_grant(tenant), tenant.mark()
    tenant.apply_secrets(**grant)
    tenant.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        tenant.namespace,
        lambda _: params(tenant, manifests.CONNECTION)["clientId"] == grant["clientId"],
        what="the new credentials in Platform",
    )
    calls = tenant.calls_since(mark)
    looked = next(number for number, call in enumerate(calls) if call["path"].endswith("/crm/v8/org"))
    pushed = next(number for number, call in enumerate(calls) if call in platform_writes(tenant, mark))
    assert looked < pushed


def platform_writes(tenant: Tenant, mark: int) -> list[Object]:
    """What was sent to change a base connection."""
    return [
        call
        for call in tenant.calls_since(mark)
        if call["service"] == "platform"
        and call["method"] in ("PATCH", "POST", "PUT", "DELETE")
        and "/connections" in call["path"]
        and not call["path"].endswith("/test")
    ]
