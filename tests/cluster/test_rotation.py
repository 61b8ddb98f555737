"""Zoho credentials that change, and Secrets that share one, on a real API server."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from tests.cluster.support import manifests
from tests.cluster.support.cluster import Object, condition
from tests.cluster.support.world import CONNECTION, World

CLIENT = ("clientId", "clientSecret", "refreshToken")
NOTICED_SECONDS = 2.0


def new_grant(world: World) -> dict[str, str]:
    """Somebody else's client and refresh token."""
    answer = world.control.post("/zoho/grants", dataCenter="EU", environment="production", exchange=True)
    return {key: answer[key] for key in CLIENT}


def seeded_grant(world: World) -> dict[str, str]:
    """The client and refresh token that the manifests use."""
    return {key: str(world.emulators.info["zoho"][key]) for key in CLIENT}


def apply(world: World, name: str, grant: dict[str, str]) -> None:
    """A connection with a Secret of its own."""
    world.cluster.apply(manifests.secret(world.namespace, name, grant))
    world.cluster.apply(
        manifests.connection(world.namespace, name, zoho={"credentialsSecretRef": {"name": name}})
    )


def refreshes(world: World, mark: int) -> list[Object]:
    """The requests for access tokens."""
    return [call for call in world.calls_since(mark) if call["path"].endswith("/oauth/v2/token")]


def params(world: World, name: str) -> Any:
    """What the base connection of ``name`` authenticates with; secrets are masked."""
    key = f"{world.namespace}/{name}"
    (held,) = [found for found in world.held("connections") if key in found["description"]]
    return held["auth"]["params"]


def test_secrets_with_the_same_refresh_token_share_tokens_and_budget(world: World, home: str) -> None:
    names = ("first", "second", "third")
    world.apply_secrets()
    mark = world.mark()
    for name in names:
        apply(world, name, seeded_grant(world))
    for name in names:
        world.cluster.wait_ready(CONNECTION, name, world.namespace)
    assert len(refreshes(world, mark)) == 1
    assert len({params(world, name)["accessToken"] for name in names}) == 1

    (record,) = [
        secret
        for secret in world.cluster.list("Secret", home)
        if secret["metadata"]["labels"].get("crmflow.io/token-of") == "zoho"
    ]
    requests = base64.b64decode(record["data"]["requests"]).decode()
    assert len(json.loads(requests)) == 1
    holders = {
        value
        for key, value in record["metadata"]["annotations"].items()
        if key.startswith("holder.crmflow.io/")
    }
    assert holders == {f"{world.namespace}/{name}" for name in names}


def test_two_credentials_never_mix(world: World) -> None:
    world.apply_secrets()
    grants = {"first": seeded_grant(world), "second": new_grant(world)}
    for name, grant in grants.items():
        apply(world, name, grant)
    for name in grants:
        world.cluster.wait_ready(CONNECTION, name, world.namespace)
    owners = {token["accessToken"]: token["clientId"] for token in live_tokens(world)}
    for name, grant in grants.items():
        held = params(world, name)
        assert held["clientId"] == owners[held["accessToken"]] == grant["clientId"]


def live_tokens(world: World) -> list[Object]:
    tokens: list[Object] = world.control.state()["zoho"]["accessTokens"]
    return tokens


def test_a_changed_secret_is_noticed_within_two_seconds(world: World) -> None:
    world.apply_secrets()
    world.apply_connection()
    world.wait_ready(CONNECTION)
    took = []
    for _ in range(3):
        grant, mark = new_grant(world), world.mark()
        world.apply_secrets(**grant)
        begun = time.monotonic()
        while not any(call["body"]["client_id"] == grant["clientId"] for call in refreshes(world, mark)):
            assert time.monotonic() - begun < 20, "the change is not noticed"
            time.sleep(0.02)
        took.append(time.monotonic() - begun)
    assert min(took) < NOTICED_SECONDS, took


def test_new_credentials_are_verified_before_the_old_token_is_dropped(world: World) -> None:
    world.apply_secrets()
    world.apply_connection()
    world.wait_ready(CONNECTION)
    before = params(world, manifests.CONNECTION)

    mark = world.mark()
    good = seeded_grant(world)
    world.apply_secrets(refreshToken="1000." + "0" * 32 + "." + "0" * 32)
    refused = world.wait_reason(CONNECTION, "Authorized", "RefreshTokenRejected")
    assert condition(refused, "Authorized")["message"]
    assert params(world, manifests.CONNECTION) == before
    assert [call["method"] for call in platform_writes(world, mark)] == []
    assert before["accessToken"] in {token["accessToken"] for token in live_tokens(world)}

    world.apply_secrets(**good)
    world.wait_ready(CONNECTION)
    assert len([call for call in refreshes(world, mark) if call["responseBody"].get("access_token")]) == 0

    grant, mark = new_grant(world), world.mark()
    world.apply_secrets(**grant)
    world.cluster.wait(
        CONNECTION,
        manifests.CONNECTION,
        world.namespace,
        lambda _: params(world, manifests.CONNECTION)["clientId"] == grant["clientId"],
        what="the new credentials in Platform",
    )
    calls = world.calls_since(mark)
    looked = next(number for number, call in enumerate(calls) if call["path"].endswith("/crm/v8/org"))
    pushed = next(number for number, call in enumerate(calls) if call in platform_writes(world, mark))
    assert looked < pushed


def platform_writes(world: World, mark: int) -> list[Object]:
    """What was sent to change a base connection."""
    return [
        call
        for call in world.calls_since(mark)
        if call["service"] == "platform"
        and call["method"] in ("PATCH", "POST", "PUT", "DELETE")
        and "/connections" in call["path"]
        and not call["path"].endswith("/test")
    ]
