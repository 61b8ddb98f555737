"""The API server takes what the chart renders, for every set of values."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from hack.install import NAMESPACE
from hack.kubectl import Kubectl
from tests.chart.rendering import VALUES, manifest, objects, one
from tests.kit.cluster import ApiError, Cluster

NAMESPACES = ("crm-team", "crm-team-2")


@pytest.fixture(scope="module", autouse=True)
def _prepared(cluster: Cluster, foreign_kinds: None) -> Iterator[None]:
    with cluster.namespaces(*NAMESPACES):
        yield


@pytest.mark.parametrize("name", VALUES)
def test_it_takes_every_object(kubectl: Kubectl, name: str) -> None:
    """With strict validation: a field that the API server does not know is an error."""
    text = manifest(values=name)
    applied = kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        stdin=text,
    )
    rendered = [obj for obj in yaml.safe_load_all(text) if obj]
    assert len(applied.splitlines()) == len(rendered)


@pytest.mark.parametrize("name", VALUES)
def test_its_pods_satisfy_the_restricted_profile(kubectl: Kubectl, cluster: Cluster, name: str) -> None:
    labels = cluster.get("Namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    template = one("Deployment", objects(values=name))["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "trial", "namespace": NAMESPACE},
        # A ServiceAccount and a priority class that exist here: neither is what is asked.
        "spec": {**template["spec"], "serviceAccountName": "crmflow", "priorityClassName": ""},
    }
    cluster.create(pod, dry_run=True)


def test_the_restricted_profile_is_enforced_here(cluster: Cluster) -> None:
    template = one("Deployment", objects(securityContext={"allowPrivilegeEscalation": True}))["spec"][
        "template"
    ]
    spec = {**template["spec"], "serviceAccountName": "crmflow"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "trial", "namespace": NAMESPACE},
        "spec": spec,
    }
    with pytest.raises(ApiError, match="violates PodSecurity"):
        cluster.create(pod, dry_run=True)


@pytest.mark.parametrize(("role", "may_edit"), [("view", False), ("edit", True), ("admin", True)])
def test_people_get_both_kinds_with_the_clusters_own_roles(
    kubectl: Kubectl, cluster: Cluster, role: str, may_edit: bool
) -> None:
    """No controller aggregates roles here, so the selectors are followed by hand."""
    aggregated = kubectl.json("get", "clusterrole", role)["aggregationRule"]["clusterRoleSelectors"]
    label = f"rbac.authorization.k8s.io/aggregate-to-{role}"
    assert {"matchLabels": {label: "true"}} in aggregated
    parts = [
        obj
        for obj in objects()
        if obj["kind"] == "ClusterRole" and obj["metadata"]["labels"].get(label) == "true"
    ]
    verbs = {verb for part in parts for rule in part["rules"] for verb in rule["verbs"]}
    assert {"get", "list", "watch"} <= verbs
    assert ({"create", "update", "patch", "delete"} <= verbs) == may_edit
    assert "secrets" not in json.dumps(parts)
