"""A namespace goes within half a minute, whatever in it goes first; and where it does not, it says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kit import manifests
from tests.kit.by_hand import ByHand, hold_namespace
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, Tenant

SECONDS = 30


def delete_secrets(tenant: Tenant) -> None:
    for name in (manifests.ZOHO_SECRET, manifests.PLATFORM_SECRET):
        tenant.cluster.delete("Secret", name, tenant.namespace)


FIRST: dict[str, Callable[[Tenant], None]] = {
    "all at once": lambda tenant: None,
    "Secrets": delete_secrets,
    "connection": lambda tenant: tenant.delete(CONNECTION),
    "dataflow": lambda tenant: tenant.delete(DATAFLOW),
    "connection, then Secrets": lambda tenant: (tenant.delete(CONNECTION), delete_secrets(tenant))[0],
    "Secrets, then dataflow": lambda tenant: (delete_secrets(tenant), tenant.delete(DATAFLOW))[0],
}


@pytest.mark.parametrize("first", FIRST)
def test_a_namespace_goes_whatever_goes_first(tenant: Tenant, first: str) -> None:
    tenant.make_ready()
    FIRST[first](tenant)
    tenant.cluster.delete("Namespace", tenant.namespace)
    tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)
    assert tenant.counts() == NOTHING


def test_a_namespace_goes_whose_objects_stay(tenant: Tenant) -> None:
    tenant.make_ready()
    for kind in (CONNECTION, DATAFLOW):
        tenant.edit(kind, deletionPolicy="Orphan")
        tenant.wait_ready(kind)
    tenant.cluster.delete("Namespace", tenant.namespace)
    tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)
    assert tenant.counts() == ONE_OF_EACH
    names = [tenant.held(collection)[0]["name"] for collection in ONE_OF_EACH]
    assert not [name for name in names if "crmflow" in name]


def test_a_namespace_goes_whose_connection_stays_and_whose_dataflow_does_not(tenant: Tenant) -> None:
    """An adopted connection is let go at once; its dataflow still needs the access that it gives."""
    made = ByHand(tenant.emulators).connection()
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made)
    tenant.apply_dataflow()
    tenant.wait_ready(DATAFLOW)
    tenant.operator.restart()  # nothing is remembered
    tenant.cluster.delete("Namespace", tenant.namespace)
    tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)
    assert tenant.counts() == {**NOTHING, "connections": 1}


def test_a_namespace_with_paused_and_unfinished_resources_goes(tenant: Tenant) -> None:
    tenant.apply_connection()  # its Secrets do not exist
    tenant.apply_dataflow(paused=True)
    tenant.wait_reason(CONNECTION, "Ready", "SecretNotFound")
    tenant.cluster.delete("Namespace", tenant.namespace)
    tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)


def test_a_namespace_that_is_held_leads_to_the_reason_and_to_the_way_out(tenant: Tenant) -> None:
    made = hold_namespace(tenant)
    told = tenant.cluster.wait_namespace_condition(tenant.namespace, "NamespaceFinalizersRemaining")
    assert "crmflow.io/finalizer in " in told["message"]
    content = tenant.cluster.wait_namespace_condition(tenant.namespace, "NamespaceContentRemaining")
    assert "zohosourceconnections.crmflow.io has 1 resource instances" in content["message"]

    tenant.edit(CONNECTION, deletionPolicy="Orphan")
    tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)
    assert [held["id"] for held in tenant.held("connections")] == [made]


@pytest.mark.parametrize("collection", ["connections", "sourceConnections", "flows"])
def test_a_create_whose_answer_was_lost_holds_a_namespace_until_it_shows(
    tenant: Tenant, collection: str
) -> None:
    """It was made, and listings don't show it yet: it is found and removed long before the grace is over."""
    lose_answer(tenant, collection, "after")
    tenant.cluster.delete("Namespace", tenant.namespace)
    assert tenant.counts()[collection] == 1
    tenant.control.switch("aep", indexLagSeconds=0)
    tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)
    assert tenant.counts() == NOTHING


@pytest.mark.parametrize("collection", ["connections", "flows"])
def test_a_create_that_never_arrived_holds_a_namespace_for_the_grace_and_says_so(
    tenant: Tenant, collection: str
) -> None:
    kind = lose_answer(tenant, collection, "before")
    tenant.cluster.delete("Namespace", tenant.namespace)
    told = tenant.cluster.wait_namespace_condition(tenant.namespace, "NamespaceFinalizersRemaining")
    assert "crmflow.io/finalizer in " in told["message"]
    held = tenant.cluster.wait(
        kind,
        tenant.name_of(kind),
        tenant.namespace,
        lambda obj: "goes on by itself" in condition(obj, "Ready")["message"],
        what="reason",
    )
    assert condition(held, "Ready")["reason"] == "CreatePending"
    if kind == DATAFLOW:
        tenant.cluster.wait(
            CONNECTION,
            manifests.CONNECTION,
            tenant.namespace,
            lambda obj: "If it does not go, its conditions say why" in condition(obj, "Ready")["message"],
            what="reference to the dataflow",
        )
    tenant.control.advance(61)
    tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)
    assert tenant.counts() == NOTHING


def lose_answer(tenant: Tenant, collection: str, reset: str) -> str:
    """Have the answer to one create lost, ``after`` or ``before`` it was made, and wait until that is
    noticed; the kind of its resource.
    """
    tenant.control.switch("aep", indexLagSeconds=3600)
    tenant.control.fault(service="platform", method="POST", path=f"/{collection}$", reset=reset)
    kind = CONNECTION if collection == "connections" else DATAFLOW
    tenant.apply_secrets()
    tenant.apply_connection()
    if kind == DATAFLOW:
        tenant.wait_ready(CONNECTION)
        tenant.apply_dataflow()
    tenant.wait_reason(kind, "Synced", "CreatePending")
    return kind


def test_a_namespace_goes_whose_secrets_went_while_the_operator_was_away(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    delete_secrets(tenant)
    tenant.cluster.delete("Namespace", tenant.namespace)
    tenant.operator.start()
    tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)
    assert tenant.counts() == NOTHING


def test_a_namespace_without_credentials_leads_to_both_ways_out(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    delete_secrets(tenant)
    tenant.control.advance(24 * 3600.0)  # the token that the operator keeps has ended, too
    tenant.cluster.delete("Namespace", tenant.namespace)
    tenant.operator.start()
    for kind in (DATAFLOW, CONNECTION):
        stuck: Object = tenant.cluster.wait(
            kind,
            tenant.name_of(kind),
            tenant.namespace,
            lambda obj: (condition(obj, "Ready") or {}).get("reason") in ("CredentialsMissing", "InUse"),
            what="reason",
        )
        if kind == DATAFLOW:
            message = condition(stuck, "Ready")["message"]
            assert "Restore it, or set spec.deletionPolicy to Orphan" in message
    for kind in (DATAFLOW, CONNECTION):
        tenant.edit(kind, deletionPolicy="Orphan")
    tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)
