"""The manifests that install the operator are what a cluster accepts and enforces."""

from __future__ import annotations

import yaml

from hack.install import NAMESPACE, ROOT, SERVICE_ACCOUNT
from hack.kubectl import Kubectl
from tests.cluster.support.cluster import Cluster, Object

BASE = ROOT / "deploy" / "base"


def _deployment() -> Object:
    manifest: Object = yaml.safe_load((BASE / "deployment.yaml").read_text())
    return manifest


def test_the_whole_base_is_accepted(kubectl: Kubectl) -> None:
    applied = kubectl("apply", "-k", str(BASE), "--dry-run=server")
    assert "deployment.apps/crmflow" in applied


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
