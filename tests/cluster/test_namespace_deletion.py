"""A namespace goes within half a minute, whatever in it goes first; and where it does not, it says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cluster.support import manifests
from tests.cluster.support.by_hand import ByHand, hold_namespace
from tests.cluster.support.cluster import Object, condition
from tests.cluster.support.world import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, World

SECONDS = 30


def delete_secrets(world: World) -> None:
    for name in (manifests.ZOHO_SECRET, manifests.PLATFORM_SECRET):
        world.cluster.delete("Secret", name, world.namespace)


FIRST: dict[str, Callable[[World], None]] = {
    "all at once": lambda world: None,
    "Secrets": delete_secrets,
    "connection": lambda world: world.delete(CONNECTION),
    "dataflow": lambda world: world.delete(DATAFLOW),
    "connection, then Secrets": lambda world: (world.delete(CONNECTION), delete_secrets(world))[0],
    "Secrets, then dataflow": lambda world: (delete_secrets(world), world.delete(DATAFLOW))[0],
}


@pytest.mark.parametrize("first", FIRST)
def test_a_namespace_goes_whatever_goes_first(world: World, first: str) -> None:
    world.make_ready()
    FIRST[first](world)
    world.cluster.delete("Namespace", world.namespace)
    world.cluster.wait_gone("Namespace", world.namespace, seconds=SECONDS)
    assert world.counts() == NOTHING


def test_a_namespace_goes_whose_objects_stay(world: World) -> None:
    world.make_ready()
    for kind in (CONNECTION, DATAFLOW):
        world.edit(kind, deletionPolicy="Orphan")
        world.wait_ready(kind)
    world.cluster.delete("Namespace", world.namespace)
    world.cluster.wait_gone("Namespace", world.namespace, seconds=SECONDS)
    assert world.counts() == ONE_OF_EACH
    assert all("crmflow" not in world.held(collection)[0]["name"] for collection in ONE_OF_EACH)


def test_a_namespace_goes_whose_connection_stays_and_whose_dataflow_does_not(world: World) -> None:
    """An adopted connection is let go at once; its dataflow still needs the access that it gives."""
    made = ByHand(world.emulators).connection()
    world.apply_secrets()
    world.apply_connection(connectionId=made)
    world.apply_dataflow()
    world.wait_ready(DATAFLOW)
    world.operator.restart()  # nothing is remembered
    world.cluster.delete("Namespace", world.namespace)
    world.cluster.wait_gone("Namespace", world.namespace, seconds=SECONDS)
    assert world.counts() == {**NOTHING, "connections": 1}


def test_a_namespace_with_paused_and_unfinished_resources_goes(world: World) -> None:
    world.apply_connection()  # its Secrets do not exist
    world.apply_dataflow(paused=True)
    world.wait_reason(CONNECTION, "Ready", "SecretNotFound")
    world.cluster.delete("Namespace", world.namespace)
    world.cluster.wait_gone("Namespace", world.namespace, seconds=SECONDS)


def test_a_namespace_that_is_held_leads_to_the_reason_and_to_the_way_out(world: World) -> None:
    made = hold_namespace(world)
    told = world.cluster.wait_namespace_condition(world.namespace, "NamespaceFinalizersRemaining")
    assert "crmflow.io/finalizer in " in told["message"]
    content = world.cluster.wait_namespace_condition(world.namespace, "NamespaceContentRemaining")
    assert "zohosourceconnections.crmflow.io has 1 resource instances" in content["message"]

    world.edit(CONNECTION, deletionPolicy="Orphan")
    world.cluster.wait_gone("Namespace", world.namespace, seconds=SECONDS)
    assert [held["id"] for held in world.held("connections")] == [made]


@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "flows"])
def test_a_create_whose_answer_was_lost_holds_a_namespace_until_it_shows(
    world: World, collection: str
) -> None:
    """It was made, and listings don't show it yet: it is found and removed long before the grace is over."""
    lose_answer(world, collection, "after")
    world.cluster.delete("Namespace", world.namespace)
    assert world.counts()[collection] == 1
    world.control.switch("aep", indexLagSeconds=0)
    world.cluster.wait_gone("Namespace", world.namespace, seconds=SECONDS)
    assert world.counts() == NOTHING


@pytest.mark.parametrize("collection", ["connections", "flows"])
def test_a_create_that_never_arrived_holds_a_namespace_for_the_grace_and_says_so(
    world: World, collection: str
) -> None:
    kind = lose_answer(world, collection, "before")
    world.cluster.delete("Namespace", world.namespace)
    told = world.cluster.wait_namespace_condition(world.namespace, "NamespaceFinalizersRemaining")
    assert "crmflow.io/finalizer in " in told["message"]
    held = world.cluster.wait(
        kind,
        world.name_of(kind),
        world.namespace,
        lambda obj: "goes on by itself" in condition(obj, "Ready")["message"],
        what="reason",
    )
    assert condition(held, "Ready")["reason"] == "CreatePending"
    if kind == DATAFLOW:
        world.cluster.wait(
            CONNECTION,
            manifests.CONNECTION,
            world.namespace,
            lambda obj: "If it does not go, its conditions say why" in condition(obj, "Ready")["message"],
            what="reference to the dataflow",
        )
    world.control.advance(61)
    world.cluster.wait_gone("Namespace", world.namespace, seconds=SECONDS)
    assert world.counts() == NOTHING


def lose_answer(world: World, collection: str, reset: str) -> str:
    """Have the answer to one create lost, ``after`` or ``before`` it was made, and wait until that is
    noticed; the kind of its resource.
    """
    world.control.switch("aep", indexLagSeconds=3600)
    world.control.fault(service="platform", method="POST", path=f"/{collection}$", reset=reset)
    kind = CONNECTION if collection == "connections" else DATAFLOW
    world.apply_secrets()
    world.apply_connection()
    if kind == DATAFLOW:
        world.wait_ready(CONNECTION)
        world.apply_dataflow()
    world.wait_reason(kind, "Synced", "CreatePending")
    return kind


def test_a_namespace_goes_whose_secrets_went_while_the_operator_was_away(world: World) -> None:
    world.make_ready()
    world.operator.stop()
    delete_secrets(world)
    world.cluster.delete("Namespace", world.namespace)
    world.operator.start()
    world.cluster.wait_gone("Namespace", world.namespace, seconds=SECONDS)
    assert world.counts() == NOTHING


def test_a_namespace_without_credentials_leads_to_both_ways_out(world: World) -> None:
    world.make_ready()
    world.operator.stop()
    delete_secrets(world)
    world.control.advance(24 * 3600.0)  # the token that the operator keeps has ended, too
    world.cluster.delete("Namespace", world.namespace)
    world.operator.start()
    for kind in (DATAFLOW, CONNECTION):
        stuck: Object = world.cluster.wait(
            kind,
            world.name_of(kind),
            world.namespace,
            lambda obj: (condition(obj, "Ready") or {}).get("reason") in ("CredentialsMissing", "InUse"),
            what="reason",
        )
        if kind == DATAFLOW:
            message = condition(stuck, "Ready")["message"]
            assert "Restore it, or set spec.deletionPolicy to Orphan" in message
    for kind in (DATAFLOW, CONNECTION):
        world.edit(kind, deletionPolicy="Orphan")
    world.cluster.wait_gone("Namespace", world.namespace, seconds=SECONDS)
