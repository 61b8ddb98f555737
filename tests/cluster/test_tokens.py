"""Zoho's tokens over restarts, rotations and the end of a resource, on a real API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.support import manifests
from tests.cluster.support.cluster import Object, condition
from tests.cluster.support.world import COLLECTIONS, CONNECTION, World

HOUR = 3700.0


def token_requests(world: World, mark: int) -> list[Object]:
    """What the token endpoint was asked for."""
    calls = world.calls_since(mark)
    return [call for call in calls if call["path"].endswith("/oauth/v2/token") and call["method"] == "POST"]


def revocations(world: World, mark: int) -> list[Object]:
    """What was revoked."""
    return [call for call in world.calls_since(mark) if call["path"].endswith("/token/revoke")]


def apply_zoho_secret(world: World, **values: str) -> None:
    """The Zoho Secret holds just these keys."""
    world.cluster.apply(manifests.secret(world.namespace, manifests.ZOHO_SECRET, values))


def new_grant(world: World, **request: Any) -> dict[str, str]:
    """Another consent: the client and, unless it was exchanged, the grant token."""
    answer: dict[str, str] = world.control.post(
        "/zoho/grants", dataCenter="EU", environment="production", **request
    )
    return answer


def held_token(world: World) -> str:
    """The access token, or its hash, that the base connection holds."""
    return str(world.held("connections")[0]["auth"]["params"]["accessToken"])


def make_ready_with_grant_token(world: World) -> None:
    grant = new_grant(world)
    world.apply_secrets()
    apply_zoho_secret(
        world,
        clientId=grant["clientId"],
        clientSecret=grant["clientSecret"],
        grantToken=grant["grantToken"],
    )
    world.apply_connection()
    world.wait_ready(CONNECTION)


def test_a_grant_token_is_exchanged_at_once_and_lasts(world: World) -> None:
    mark = world.mark()
    make_ready_with_grant_token(world)
    assert [call["body"]["grant_type"] for call in token_requests(world, mark)] == ["authorization_code"]

    world.control.advance(HOUR)
    world.operator.restart()
    wait(world, lambda: len(token_requests(world, mark)) == 2)
    assert token_requests(world, mark)[-1]["body"]["grant_type"] == "refresh_token"
    world.wait_ready(CONNECTION)

    world.delete(CONNECTION)
    world.wait_gone(CONNECTION)
    assert len(revocations(world, mark)) == 1
    assert {collection: len(world.held(collection)) for collection in COLLECTIONS}["connections"] == 0


def test_a_lost_exchange_is_told_and_a_new_grant_heals(world: World) -> None:
    mark = world.mark()
    grant = new_grant(world)
    world.control.fault(service="zoho-accounts", path="/oauth/v2/token$", times=1, reset="after")
    world.apply_secrets()
    client = {"clientId": grant["clientId"], "clientSecret": grant["clientSecret"]}
    apply_zoho_secret(world, **client, grantToken=grant["grantToken"])
    world.apply_connection()
    lost = world.wait_reason(CONNECTION, "Authorized", "GrantLost")
    assert "authorize anew" in condition(lost, "Authorized")["message"]
    world.operator.restart()
    world.cluster.annotate(CONNECTION, manifests.CONNECTION, world.namespace, reconcile_requested_at="1")
    wait(world, lambda: "lastHandledReconcileAt" in world.get(CONNECTION)["status"])
    assert len(token_requests(world, mark)) == 1

    again = new_grant(world, clientId=grant["clientId"])
    apply_zoho_secret(world, **client, grantToken=again["grantToken"])
    world.wait_ready(CONNECTION)


def test_a_restart_asks_for_no_token(world: World) -> None:
    world.make_ready()
    mark = world.mark()
    for _ in range(3):
        world.operator.restart()
        world.wait_polls(1)
    tokens = [call for call in world.calls_since(mark) if "token" in call["path"]]
    assert tokens == []


@pytest.mark.parametrize(("push", "renewed"), [("OnRefresh", True), ("OnCredentialChange", False)])
def test_a_new_token_reaches_the_base_connection_if_the_spec_says_so(
    world: World, push: str, renewed: bool
) -> None:
    world.apply_secrets()
    world.apply_connection(tokenPush=push)
    world.wait_ready(CONNECTION)
    before = held_token(world)
    mark = world.mark()
    world.control.advance(0.71 * 3600)
    wait(world, lambda: len(token_requests(world, mark)) == 1)
    # Twice: Zoho's answer shows before the operator has taken it, and counts the spread from then on.
    for _ in range(2):
        world.control.advance(0.1 * 3600)
        world.wait_polls(1)
    if renewed:
        wait(world, lambda: held_token(world) != before)
    world.wait_polls(2)
    assert (held_token(world) != before) is renewed
    patches = [call for call in world.calls_since(mark) if call["method"] == "PATCH"]
    assert len(patches) == renewed
    assert all(call["headers"].get("If-Match") for call in patches)


def test_a_secret_that_changes_twenty_times_ends_at_the_last_value(world: World) -> None:
    world.make_ready()
    mark = world.mark()
    last = new_grant(world, exchange=True)
    for number in range(19):
        world.apply_secrets(refreshToken=f"1000.{number:032x}.{number:032x}")
    world.apply_secrets(**{key: last[key] for key in ("clientId", "clientSecret", "refreshToken")})
    wait(
        world,
        lambda: (
            world.held("connections")[0]["auth"]["params"]["clientId"] == last["clientId"]
            and world.get(CONNECTION)["status"]["token"]["secretHash"] != ""
        ),
    )
    world.wait_ready(CONNECTION)
    throttled = [call for call in token_requests(world, mark) if call["status"] == 400]
    assert throttled == []


def test_the_store_is_in_the_operators_namespace_and_keeps_nothing_of_the_users(
    world: World, home: str
) -> None:
    world.make_ready()
    stored = world.cluster.list("Secret", home)
    assert {secret["metadata"]["labels"]["crmflow.io/token-of"] for secret in stored} == {"zoho", "adobe"}
    for secret in stored:
        assert "refreshToken" not in secret["data"]
        assert "clientSecret" not in secret["data"]
    named = {secret["metadata"]["name"] for secret in world.cluster.list("Secret", world.namespace)}
    assert named == {manifests.ZOHO_SECRET, manifests.PLATFORM_SECRET}


def test_a_deletion_needs_no_secret_after_a_restart(world: World) -> None:
    world.make_ready()
    world.operator.stop()
    for name in (manifests.ZOHO_SECRET, manifests.PLATFORM_SECRET):
        world.cluster.delete("Secret", name, world.namespace)
    world.operator.start()
    for kind in ("CRMDataflow", CONNECTION):
        world.delete(kind)
    for kind in ("CRMDataflow", CONNECTION):
        world.wait_gone(kind)
    assert all(world.held(collection) == [] for collection in COLLECTIONS)


def wait(world: World, met: Callable[[], bool]) -> None:
    world.cluster.wait(CONNECTION, manifests.CONNECTION, world.namespace, lambda _: met(), what="that")
