"""More than one cluster: a rebuilt one finds what its predecessor made, a second one leaves it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Emulators
from hack.install import install, operator_kubeconfig
from hack.kubectl import Kubectl
from tests.cluster.support.cluster import Cluster
from tests.cluster.support.operator import Operator
from tests.cluster.support.world import COLLECTIONS, CONNECTION, DATAFLOW, ONE_OF_EACH, World

NewCluster = Callable[..., World]


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

        def start(**changed: str) -> World:
            cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            operator.start(**changed)
            return World(cluster, emulators, operator, namespace, lambda *_: None)

        yield start
        operator.close()
        cluster.close()


def test_a_cluster_rebuilt_from_git_creates_nothing(world: World, another_cluster: NewCluster) -> None:
    """etcd is emptied, the manifests are the same, and so is the instance."""
    world.make_ready()
    world.operator.stop()
    before = {collection: [held["id"] for held in world.held(collection)] for collection in COLLECTIONS}
    mark = world.mark()

    rebuilt = another_cluster()
    rebuilt.make_ready()

    assert {c: [held["id"] for held in world.held(c)] for c in COLLECTIONS} == before
    created = [
        call["path"]
        for call in world.calls_since(mark)
        if call["method"] == "POST" and call["status"] == 201 and "/data/foundation/" in call["path"]
    ]
    assert created == []
    assert len(world.held("mappingSets")) == 1


def test_two_clusters_share_a_sandbox_and_leave_each_other_alone(
    world: World, another_cluster: NewCluster
) -> None:
    world.make_ready()
    ours = {collection: world.held(collection)[0] for collection in COLLECTIONS}

    other = another_cluster(CRMFLOW_INSTANCE="other")
    other.make_ready()
    assert world.counts() == dict.fromkeys(COLLECTIONS, 2)
    for tenant in (world, other):
        tenant.wait_polls(2)
        assert tenant.metric("crmflow_orphans", sandbox="prod") == 0
        assert tenant.metric("crmflow_inventory_poll_wakes", sandbox="prod") == 0

    other.delete(DATAFLOW)
    other.delete(CONNECTION)
    other.wait_gone(CONNECTION)
    assert world.counts() == ONE_OF_EACH
    for collection in COLLECTIONS:
        assert world.held(collection)[0]["etag"] == ours[collection]["etag"]
