"""Resources that an older version left are taken over by this one without a word to the remote side.

``tests/upgrade`` holds what each stage left, recorded with the operator of its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from hack.controlplane import ControlPlane
from hack.emulators import Emulators
from hack.install import install
from hack.kubectl import Kubectl
from tests.kit.cluster import Cluster, Object
from tests.kit.operator import Operator
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, Tenant
from tests.upgrade.stage import INSTANCE, Stage, moved, recorded, served_from, store


@pytest.fixture(params=recorded(), ids=lambda stage: stage.name)
def stage(request: pytest.FixtureRequest) -> Stage:
    """A stage before this one."""
    found: Stage = request.param
    return found


@pytest.fixture
def namespace(cluster: Cluster, stage: Stage) -> Iterator[str]:
    """The tenant's namespace, whose name is in the remote names."""
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.namespace}})
    yield stage.namespace
    cluster.delete_namespace(stage.namespace)


@pytest.fixture
def left(
    stage: Stage,
    cluster: Cluster,
    controlplane: ControlPlane,
    kubectl: Kubectl,
    emulators: Emulators,
    operator: Operator,
    namespace: str,
    home: str,
    check_reconciled: Callable[..., None],
) -> Iterator[Tenant]:
    """Both sides as the stage left them, under its own kinds; no operator runs. Whatever happens, the next
    test finds the kinds of this version.
    """
    tenant = Tenant(cluster, emulators, operator, namespace, check_reconciled)
    tenant.control.put("/snapshot", **stage.remote)
    operator.settings |= {"CRMFLOW_INSTANCE": INSTANCE, "CRMFLOW_LEADER_ELECTION": "true"}
    for obj in stage.secrets + [moved(obj, home) for obj in stage.home]:
        cluster.create(obj)
    try:
        kubectl("apply", "--server-side", "--force-conflicts", "-f", str(stage.crds))
        assert controlplane.etcd_url
        resources = {kind: served_from(obj, home) for kind, obj in stage.resources.items()}
        for obj in resources.values():
            store(controlplane.etcd_url, obj)
        _wait_served(tenant, resources)
        yield tenant
    finally:
        install(kubectl)


def test_an_upgrade_writes_nothing_remote(stage: Stage, left: Tenant, kubectl: Kubectl) -> None:
    mark = left.mark()
    install(kubectl)
    left.operator.start()
    for kind, before in stage.resources.items():
        _wait_taken_over(left, kind)
        after = left.get(kind)
        assert before["spec"].items() <= after["spec"].items()  # the rest are new defaults
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
    left.wait_polls(2)
    written = [
        call for call in left.calls_since(mark) if call["service"] == "platform" and call["method"] != "GET"
    ]
    assert written == []
    remote = left.control.get("/snapshot")["states"]["aep"]["sandboxes"]
    assert remote == stage.remote["states"]["aep"]["sandboxes"]
    left.check()


def test_what_was_taken_over_can_be_changed_and_deleted(stage: Stage, left: Tenant, kubectl: Kubectl) -> None:
    install(kubectl)
    left.operator.start()
    left.edit(DATAFLOW, displayName="Edited after the upgrade")
    left.wait_ready(DATAFLOW)
    (flow,) = left.held("flows")
    assert flow["id"] == stage.resources[DATAFLOW]["status"]["flow"]["id"]
    assert flow["name"].startswith("Edited after the upgrade [")
    for kind in (DATAFLOW, CONNECTION):
        left.delete(kind)
    for kind in (DATAFLOW, CONNECTION):
        left.wait_gone(kind)
    assert left.counts() == NOTHING


def test_there_is_one_stored_version(kubectl: Kubectl) -> None:
    """So nothing has to be migrated, and a rollback can read what this version wrote."""
    for crd in kubectl.json("get", "customresourcedefinitions")["items"]:
        if crd["spec"]["group"] == "crmflow.io":
            assert crd["status"]["storedVersions"] == ["v1alpha1"]
            assert [version["name"] for version in crd["spec"]["versions"] if version["storage"]] == [
                "v1alpha1"
            ]


def _wait_served(tenant: Tenant, resources: Mapping[str, Object]) -> None:
    """A new schema holds within milliseconds, and no answer says when: until then today's adds defaults."""
    deadline = time.monotonic() + 10
    for kind, stored in resources.items():
        while (served := tenant.get(kind)) | {"metadata": None} != stored | {"metadata": None}:
            assert time.monotonic() < deadline, served
            time.sleep(0.05)
        assert served["metadata"].pop("resourceVersion")
        assert served["metadata"] == stored["metadata"]


def _wait_taken_over(tenant: Tenant, kind: str) -> None:
    deadline = time.monotonic() + 30
    while not tenant.metric("crmflow_reconcile_total", kind=kind, outcome="Done"):
        assert time.monotonic() < deadline, tenant.get(kind).get("status")
        time.sleep(0.05)
    tenant.wait_ready(kind)
