"""Helm installs, upgrades, rolls back and uninstalls the operator on an empty cluster, and the operator then
runs with exactly what is installed: arguments, environment, ServiceAccount and rights.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Emulators
from hack.helm import Helm, find_helm
from hack.install import NAMESPACE, ROOT
from hack.kubectl import Kubectl
from tests.kit.cluster import Cluster
from tests.kit.pod import Pod
from tests.kit.release import emulated
from tests.kit.tenant import COLLECTIONS, CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, Tenant
from tests.rights.audit import AuditLog

CHART = str(ROOT / "charts" / "crmflow")
KINDS = {
    "crmdataflowruns.crmflow.io",
    "crmdataflows.crmflow.io",
    "zohosourceconnections.crmflow.io",
}


class Installation:
    """The release ``crmflow`` on a cluster that Helm found empty."""

    def __init__(self, plane: ControlPlane, emulators: Emulators, directory: Path) -> None:
        self.kubectl = Kubectl(find_assets().binary("kubectl"), plane.kubeconfig)
        self.cluster = Cluster(plane.kubeconfig)
        self.emulators = emulators
        self.pods: list[Pod] = []
        self.namespace = f"tenant-{uuid.uuid4().hex[:6]}"
        self._plane = plane
        self._directory = directory
        self._helm = Helm(find_helm(), directory / "helm", plane.kubeconfig)
        self._values = emulated(emulators, directory)

    def helm(self, command: str, *arguments: str, **values: object) -> str:
        """``helm COMMAND crmflow ARGUMENTS``, with ``values`` on top of what leads to the emulators."""
        given = {**self._values, **values} if command in ("install", "upgrade") else {}
        options = [f"--set-json={key}={json.dumps(value)}" for key, value in given.items()]
        return self._helm(command, "crmflow", *arguments, f"--namespace={NAMESPACE}", *options)

    def run_pods(self) -> None:
        """Put the Pods of the Deployment, as it is now, in place of those that run."""
        self.stop_pods()
        replicas = self.kubectl.json("get", "deployment", "crmflow", f"--namespace={NAMESPACE}")["spec"][
            "replicas"
        ]
        self.pods = [
            Pod(self.kubectl, NAMESPACE, "crmflow", self._directory, f"crmflow-{number}")
            for number in range(replicas)
        ]
        for pod in self.pods:
            pod.start()
        for pod in self.pods:
            pod.wait_ready()
            assert pod.probe("livenessProbe")

    def stop_pods(self) -> None:
        """As when the Deployment is gone."""
        for pod in self.pods:
            assert pod.stop() == 0, pod.log[-2000:]
        self.pods = []

    def audit(self) -> AuditLog:
        """What the operator asks the API server for from now on."""
        return AuditLog(self._plane.audit_log, NAMESPACE, "crmflow")

    def kinds(self) -> set[str]:
        """The names of our CustomResourceDefinitions."""
        return {
            obj["metadata"]["name"]
            for obj in self.cluster.list("CustomResourceDefinition")
            if obj["spec"]["group"] == "crmflow.io"
        }

    def tenant(self) -> Tenant:
        """A tenant's namespace."""
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        return Tenant(self.cluster, self.emulators, self.pods[0], self.namespace, lambda *_: None)

    def close(self) -> None:
        """Leave the cluster as empty as it was."""
        for pod in self.pods:
            pod.close()
        self._helm("uninstall", "crmflow", f"--namespace={NAMESPACE}", "--ignore-not-found")
        if self.kinds():
            self.cluster.delete_namespace(self.namespace)
        self.kubectl("delete", "crd", "--ignore-not-found", *KINDS)
        self.kubectl("delete", "secret,lease", "--all", f"--namespace={NAMESPACE}")
        self.cluster.close()


@pytest.fixture(scope="module")
def empty_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without our kinds."""
    with ControlPlane(tmp_path_factory.mktemp("empty")) as plane:
        yield plane


@pytest.fixture
def installation(tmp_path: Path, empty_cluster: ControlPlane, emulators: Emulators) -> Iterator[Installation]:
    """Nothing yet."""
    prepared = Installation(empty_cluster, emulators, tmp_path)
    yield prepared
    prepared.close()


def _remote(tenant: Tenant) -> dict[str, list[object]]:
    return {collection: [held["id"] for held in tenant.held(collection)] for collection in COLLECTIONS}


def _variable(name: str) -> Callable[[Pod], str | None]:
    return lambda pod: pod.environment.get(name)


def test_a_release_lives_from_install_to_uninstall(installation: Installation) -> None:
    notes = installation.helm("install", CHART, "--create-namespace")
    assert "STATUS: deployed" in notes
    assert "serves all namespaces" in " ".join(notes.split())
    assert installation.kinds() == KINDS
    audit = installation.audit()
    installation.run_pods()
    assert len(installation.pods) == 2
    tenant = installation.tenant()
    tenant.make_ready()
    before = _remote(tenant)
    resources = [tenant.get(kind) for kind in (CONNECTION, DATAFLOW)]
    workers = _variable("CRMFLOW_WORKERS")
    assert [workers(pod) for pod in installation.pods] == [None, None]

    settings = {**installation._values["settings"], "workers": 3}
    assert "REVISION: 2" in installation.helm("upgrade", CHART, settings=settings, replicas=1)
    installation.run_pods()
    assert [workers(pod) for pod in installation.pods] == ["3"]

    installation.helm("rollback", "1")
    installation.run_pods()
    assert [workers(pod) for pod in installation.pods] == [None, None]

    tenant = installation.tenant()
    tenant.edit(CONNECTION, displayName="After the rollback")
    tenant.wait_ready(CONNECTION)
    assert _remote(tenant) == before, "an upgrade makes nothing anew"
    assert [tenant.get(kind)["metadata"]["uid"] for kind in (CONNECTION, DATAFLOW)] == [
        obj["metadata"]["uid"] for obj in resources
    ]
    assert audit.forbidden() == []


def test_uninstalling_keeps_kinds_resources_and_what_they_made(installation: Installation) -> None:
    installation.helm("install", CHART, "--create-namespace", replicas=1)
    installation.run_pods()
    tenant = installation.tenant()
    tenant.make_ready()
    before = _remote(tenant)

    said = installation.helm("uninstall")
    installation.stop_pods()
    for kind in KINDS:
        assert kind in said
    assert installation.kinds() == KINDS
    assert _remote(tenant) == before
    kept = installation.kubectl(
        "get", "deploy,sa,role,rolebinding,svc,pdb", f"--namespace={NAMESPACE}", "-o", "name"
    )
    assert kept.split() == ["serviceaccount/default"]
    assert "crmflow" not in installation.kubectl("get", "clusterrole,clusterrolebinding", "-o", "name")
    assert tenant.get(DATAFLOW)["metadata"]["finalizers"] == ["crmflow.io/finalizer"]

    installation.helm("install", CHART, replicas=1)  # and everything is taken up again
    installation.run_pods()
    tenant = installation.tenant()
    tenant.edit(DATAFLOW, displayName="After a new installation")
    tenant.wait_ready(DATAFLOW)
    assert _remote(tenant) == before


def test_everything_goes_when_resources_go_first(installation: Installation) -> None:
    installation.helm("install", CHART, "--create-namespace", crds={"keep": False}, replicas=1)
    installation.run_pods()
    tenant = installation.tenant()
    tenant.make_ready()
    assert tenant.counts() == ONE_OF_EACH

    tenant.delete(DATAFLOW)
    tenant.delete(CONNECTION)
    tenant.wait_gone(DATAFLOW)
    tenant.wait_gone(CONNECTION)
    installation.helm("uninstall")
    installation.stop_pods()
    assert tenant.counts() == NOTHING
    for name in KINDS:  # Helm does not wait until they are gone
        installation.cluster.wait_gone("CustomResourceDefinition", name, seconds=30)
    assert installation.kinds() == set()
