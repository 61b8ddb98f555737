"""The API server takes what the chart renders, for every set of values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hack.install import NAMESPACE
from hack.kubectl import Kubectl
from tests.chart.rendering import VALUES, manifest, objects, one
from tests.cluster.support.cluster import ApiError, Cluster

NAMESPACES = ("crm-team", "crm-team-2")


def _service_monitors() -> dict[str, Any]:
    """What the chart uses of the Prometheus Operator's kind; everything else is refused."""
    text = {"type": "string"}
    relabelings = {
        "type": "array",
        "items": {"type": "object", "properties": {"action": text, "regex": text}},
    }
    endpoint = dict.fromkeys(("port", "path", "interval", "scrapeTimeout"), text)
    endpoint |= dict.fromkeys(("relabelings", "metricRelabelings"), relabelings)
    selector = {"matchLabels": {"type": "object", "additionalProperties": text}}
    spec = {
        "selector": {"type": "object", "properties": selector},
        "endpoints": {"type": "array", "items": {"type": "object", "properties": endpoint}},
    }
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "required": [*spec], "properties": spec}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "names": {"kind": "ServiceMonitor", "plural": "servicemonitors"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


@pytest.fixture(scope="module", autouse=True)
def _prepared(kubectl: Kubectl, cluster: Cluster) -> Iterator[None]:
    cluster.apply(_service_monitors())
    kubectl(
        "wait", "--for=condition=Established", "crd/servicemonitors.monitoring.coreos.com", "--timeout=30s"
    )
    for name in NAMESPACES:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield
    for name in NAMESPACES:
        cluster.delete("Namespace", name)
    cluster.delete("CustomResourceDefinition", "servicemonitors.monitoring.coreos.com")


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
