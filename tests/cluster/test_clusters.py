"""More than one cluster: a rebuilt one finds what its predecessor made, a second one leaves it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Emulators
from hack.install import install, operator_kubeconfig
from hack.kubectl import Kubectl
from tests.kit.cluster import Cluster
from tests.kit.operator import Operator
from tests.kit.tenant import COLLECTIONS, CONNECTION, DATAFLOW, ONE_OF_EACH, Tenant

NewCluster = Callable[..., Tenant]


@pytest.fixture
def another_cluster(tmp_path: Path, emulators: Emulators, namespace: str) -> Iterator[NewCluster]:
    """Starts an empty cluster of its own, with an operator that serves the same namespace and the same
    sandbox.
    """
    with ControlPlane(tmp_path / "another") as plane:
        tool = Kubectl(find_assets().binary("kubectl"), plane.kubeconfig)
        install(tool)
        cluster = Cluster(plane.kubeconfig)
        identity = operator_kubeconfig(tool, tmp_path / "another.kubeconfig")
        folder = tmp_path / "another-operator"
        folder.mkdir()
        settings = {**emulators.operator_settings(), "CRMFLOW_WATCH_NAMESPACES": namespace}
        operator = Operator(folder, identity, settings)

        def start(**changed: str) -> Tenant:
            cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            operator.start(**changed)
            return Tenant(cluster, emulators, operator, namespace, lambda *_: None)

        yield start
        operator.close()
        cluster.close()


def test_a_cluster_rebuilt_from_git_creates_nothing(tenant: Tenant, another_cluster: NewCluster) -> None:
    """etcd is emptied, the manifests are the same, and so is the instance."""
    tenant.make_ready()
    tenant.operator.stop()
    before = {collection: [held["id"] for held in tenant.held(collection)] for collection in COLLECTIONS}
    mark = tenant.mark()

    rebuilt = another_cluster()
    rebuilt.make_ready()

    assert {c: [held["id"] for held in tenant.held(c)] for c in COLLECTIONS} == before
    created = [
        call["path"]
        for call in tenant.calls_since(mark)
        if call["method"] == "POST" and call["status"] == 201 and "/data/foundation/" in call["path"]
    ]
    assert created == []
    assert len(tenant.held("mappingSets")) == 1


def test_two_clusters_share_a_sandbox_and_leave_each_other_alone(
    tenant: Tenant, another_cluster: NewCluster
) -> None:
    tenant.make_ready()
    ours = {collection: tenant.held(collection)[0] for collection in COLLECTIONS}

    other = another_cluster(CRMFLOW_INSTANCE="other")
    other.make_ready()
    assert tenant.counts() == dict.fromkeys(COLLECTIONS, 2)
    for each in (tenant, other):
        each.wait_polls(2)
        assert each.metric("crmflow_orphans", sandbox="prod") == 0
        assert each.metric("crmflow_inventory_poll_wakes", sandbox="prod") == 0

    other.delete(DATAFLOW)
    other.delete(CONNECTION)
    other.wait_gone(CONNECTION)
    assert tenant.counts() == ONE_OF_EACH
    for collection in COLLECTIONS:
        assert tenant.held(collection)[0]["etag"] == ours[collection]["etag"]
