"""Of several namespaces that an installation is to serve, one that can't be served stops no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack import loopback
from tests.kit.bench import Bench
from tests.kit.cluster import condition
from tests.kit.shared_release import SharedRelease, shared_release
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

NOTICED = 40
"""Seconds within which a right that was taken or given is noticed."""
SERVED = "crmflow_namespace_served"


@pytest.fixture
def two(bench: Bench, tmp_path: Path) -> Iterator[SharedRelease]:
    """Two tenants; no right of the operator reaches beyond their namespaces."""
    with shared_release(bench, tmp_path, 2, instance="two", rbac={"clusterWideKinds": False}) as prepared:
        yield prepared


def is_served(tenant: Tenant) -> bool:
    return tenant.metric(SERVED, namespace=tenant.namespace) == 1


def works(tenant: Tenant, name: str) -> None:
    """An edit is seen, and carried out."""
    tenant.edit(CONNECTION, displayName=name)
    tenant.wait_ready(CONNECTION)
    assert any(held["name"].startswith(f"{name} [") for held in tenant.held("connections"))


def test_one_without_rights_at_the_start_stops_no_other(two: SharedRelease) -> None:
    healthy, faulty = two.tenants
    give_back = two.take_rights(faulty)
    two.pod.start()
    two.pod.wait_ready()
    healthy.make_ready()
    works(healthy, "Seen")
    assert is_served(healthy)
    assert not is_served(faulty)
    assert f'namespace \\"{faulty.namespace}\\" is not served' in two.pod.log
    assert loopback.get(f"{two.pod.url}/readyz").text == "ok\n"

    give_back()
    faulty.apply_secrets()
    faulty.apply_connection()
    faulty.wait_ready(CONNECTION, seconds=NOTICED)
    faulty.wait_metric(lambda: is_served(faulty), seconds=NOTICED)


def test_one_that_loses_its_rights_later_stops_no_other(two: SharedRelease) -> None:
    healthy, faulty = two.tenants
    two.pod.start()
    two.pod.wait_ready()
    healthy.make_ready()
    faulty.apply_secrets()
    faulty.apply_connection()
    faulty.wait_ready(CONNECTION)

    give_back = two.take_rights(faulty)
    healthy.wait_metric(lambda: not is_served(faulty), seconds=NOTICED)
    works(healthy, "Seen")
    healthy.apply_dataflow("second")
    healthy.cluster.wait_ready(DATAFLOW, "second", healthy.namespace)
    assert two.pod.alive
    assert two.pod.probe("readinessProbe")
    assert f'namespace \\"{faulty.namespace}\\" is not served' in two.pod.log

    faulty.edit(CONNECTION, displayName="While nobody looked")
    give_back()
    faulty.wait_ready(CONNECTION, seconds=NOTICED)
    healthy.wait_metric(lambda: is_served(faulty), seconds=NOTICED)
    works(faulty, "Seen again")


def test_one_that_is_missing_is_served_once_it_exists(two: SharedRelease) -> None:
    healthy, missing = two.tenants
    rights = two.rights_in(missing.namespace)
    cluster = healthy.cluster
    cluster.delete("Namespace", missing.namespace)
    cluster.wait_gone("Namespace", missing.namespace, seconds=30)
    two.pod.start()
    two.pod.wait_ready()
    healthy.make_ready()
    assert not is_served(missing)

    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": missing.namespace}})
    for right in rights:
        cluster.create(right)
    missing.apply_secrets()
    missing.apply_connection()
    missing.wait_ready(CONNECTION, seconds=NOTICED)
    missing.wait_metric(lambda: is_served(missing), seconds=NOTICED)


def test_one_that_is_deleted_and_made_anew_is_served_again(two: SharedRelease) -> None:
    healthy, again = two.tenants
    rights = two.rights_in(again.namespace)
    cluster = healthy.cluster
    two.pod.start()
    two.pod.wait_ready()
    for tenant in two.tenants:
        tenant.apply_secrets()
        tenant.apply_connection()
        tenant.wait_ready(CONNECTION)
    again.delete(CONNECTION)
    again.wait_gone(CONNECTION)
    cluster.delete("Namespace", again.namespace)
    cluster.wait_gone("Namespace", again.namespace, seconds=30)
    works(healthy, "Seen meanwhile")
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": again.namespace}})
    for right in rights:
        cluster.create(right)
    again.apply_secrets()
    again.apply_connection()
    again.wait_ready(CONNECTION, seconds=NOTICED)


def test_secrets_that_may_not_be_read_in_one_stop_no_other(two: SharedRelease) -> None:
    healthy, faulty = two.tenants
    role = two.release.fullname
    rules = healthy.cluster.get("Role", role, faulty.namespace)["rules"]
    healthy.cluster.patch(
        "Role", role, faulty.namespace, {"rules": [r for r in rules if r["resources"] != ["secrets"]]}
    )
    two.pod.start()
    two.pod.wait_ready()
    healthy.make_ready()
    assert not is_served(faulty)
    faulty.apply_secrets()
    faulty.apply_connection()
    refused = faulty.wait_reason(CONNECTION, "Stalled", "SecretForbidden", "True")
    assert "zoho-oauth" in condition(refused, "Ready")["message"]

    healthy.cluster.patch("Role", role, faulty.namespace, {"rules": rules})
    faulty.wait_ready(CONNECTION, seconds=NOTICED)
    faulty.wait_metric(lambda: is_served(faulty), seconds=NOTICED)
