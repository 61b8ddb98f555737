"""The manifests that install the operator are what a cluster accepts and enforces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hack.install import NAMESPACE, ROOT, SERVICE_ACCOUNT
from hack.kubectl import Kubectl
from tests.chart.rendering import kustomized
from tests.chart.test_kustomize import COMPONENTS, TOGETHER, composed
from tests.chart.test_kustomize_resources import STAGES, write_guide
from tests.kit.cluster import Cluster, Object

BASE = ROOT / "deploy" / "base"


def _deployment() -> Object:
    manifest: Object = yaml.safe_load((BASE / "deployment.yaml").read_text())
    return manifest


def test_the_whole_base_is_accepted(kubectl: Kubectl) -> None:
    applied = kubectl("apply", "-k", str(BASE), "--dry-run=server")
    assert "deployment.apps/crmflow" in applied


def _tried(kubectl: Kubectl, folder: Path) -> list[str]:
    """What the API server would make of a folder of Kustomize. A field that it does not know is an error."""
    options = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--output=name")
    applied = kubectl("apply", "-k", str(folder), *options).split()
    assert len(applied) == len(kustomized(folder))
    return applied


@pytest.fixture(scope="module")
def served(cluster: Cluster, foreign_kinds: None) -> Iterator[None]:
    """The namespace that ``namespaced`` serves, and the kinds that monitoring needs."""
    with cluster.namespaces("crm-team"):
        yield


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("components", [*((one,) for one in COMPONENTS), *TOGETHER], ids="+".join)
def test_components_are_accepted_alone_and_together(
    kubectl: Kubectl, tmp_path: Path, components: tuple[str, ...]
) -> None:
    assert "deployment.apps/crmflow" in _tried(kubectl, composed(tmp_path, *components))


def test_the_stages_of_the_guide_are_accepted(kubectl: Kubectl, cluster: Cluster, tmp_path: Path) -> None:
    """The rules of the kinds hold for what a patch has made of a mapping."""
    folder = write_guide(tmp_path)
    with cluster.namespaces("crm"):
        for stage in STAGES:
            assert f"crmdataflow.crmflow.io/{stage}-contacts" in _tried(kubectl, folder / stage)


def test_the_pod_satisfies_the_restricted_profile_that_its_namespace_enforces(cluster: Cluster) -> None:
    labels = cluster.get("Namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "trial", "namespace": NAMESPACE},
        "spec": _deployment()["spec"]["template"]["spec"],
    }
    cluster.create(pod, dry_run=True)


def test_the_pod_runs_as_the_account_that_has_the_rights() -> None:
    assert _deployment()["spec"]["template"]["spec"]["serviceAccountName"] == SERVICE_ACCOUNT


def test_the_pod_cannot_write_to_its_image() -> None:
    (container,) = _deployment()["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
