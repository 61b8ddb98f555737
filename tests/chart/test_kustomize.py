"""Kustomize renders the same objects as the chart."""

from __future__ import annotations

import json
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from crmflow.reconcile.extraction.names import APP, APP_LABEL
from hack.install import ROOT
from tests.chart.rendering import TRANSFER, VALUES, Object, kustomized, objects, of_kind, one

DEPLOY = ROOT / "deploy"

# A component, and the values of the chart that ask for the same. proxy is last: it opens the policy's port.
COMPONENTS: dict[str, dict[str, Any]] = {
    "namespaced": {
        "instance": "crm-team",
        "watchNamespaces": ["crm-team"],
        "rbac": {"aggregateClusterRoles": False},
    },
    "network-policy": {"networkPolicy": {"enabled": True}},
    "service-monitor": {"serviceMonitor": {"enabled": True}},
    "monitoring": {"prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}},
    "tenancy": yaml.safe_load(VALUES["tenancy"].read_text()),
    "proxy": {
        "proxy": {"httpsProxy": "http://proxy.example.com:3128"},
        "caBundle": {"existingConfigMap": "crmflow-ca"},
    },
}
TOGETHER = [*combinations(COMPONENTS, 2), tuple(COMPONENTS)]
"""Every two of them, and all."""
HELMS_LABELS = {"app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"}


def composed(folder: Path, *components: str, **more: object) -> Path:
    """A folder of somebody who takes the base with ``components``."""
    (folder / "deploy").symlink_to(DEPLOY)
    kustomization = {
        "resources": ["deploy/base"],
        "components": [f"deploy/components/{component}" for component in components],
        **more,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


def compared(rendered: list[Object]) -> dict[tuple[str, str, str], Object]:
    """The objects by kind, namespace and name, without what only one of the tools has a reason for: Helm's
    own labels, and the namespace, which Helm leaves to --create-namespace.
    """
    result = {}
    for obj in map(deepcopy, rendered):
        if obj["kind"] == "Namespace":
            continue
        metadata = obj["metadata"]
        metadata["labels"] = {k: v for k, v in metadata["labels"].items() if k not in HELMS_LABELS}
        if obj["kind"] == "Deployment":
            pod = obj["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            for part in (pod.get("volumes", []), container.get("volumeMounts", []), container["env"]):
                part.sort(key=lambda entry: entry["name"])  # their order means nothing
        if obj["kind"] == "ServiceMonitor":  # several releases may be in one namespace, several bases can't
            del obj["spec"]["selector"]
        if obj["kind"] == "ConfigMap":
            obj["data"] = {name: json.loads(content) for name, content in obj["data"].items()}
        result[obj["kind"], metadata.get("namespace", ""), metadata["name"]] = obj
    return result


def _same(from_kustomize: list[Object], values: dict[str, Any]) -> None:
    """The kinds stand apart in crds/, which test_render.py compares."""
    expected = compared(objects("--set=crds.enabled=false", **values))
    found = compared(from_kustomize)
    assert found.keys() == expected.keys()
    for name, obj in expected.items():
        assert found[name] == obj


def test_every_component_is_compared() -> None:
    """Each stands alone in an overlay, too."""
    for folder in ("components", "overlays"):
        found = {path.parent.name for path in (DEPLOY / folder).glob("*/kustomization.yaml")}
        assert found == set(COMPONENTS)


def test_the_base_renders_the_same_as_the_chart() -> None:
    _same(kustomized(DEPLOY / "base"), {})


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_renders_the_same_as_the_chart(component: str) -> None:
    _same(kustomized(DEPLOY / "overlays" / component), COMPONENTS[component])


@pytest.mark.parametrize("components", TOGETHER, ids="+".join)
def test_components_together_render_the_same_as_the_chart(
    tmp_path: Path, components: tuple[str, ...]
) -> None:
    values = {key: value for component in components for key, value in COMPONENTS[component].items()}
    _same(kustomized(composed(tmp_path, *components)), values)


def test_components_touch_nothing_else_in_the_build(tmp_path: Path) -> None:
    """Patches and labels of a component reach everything that is built with it, unless it takes care."""
    others: list[Object] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "crmflow-notes", "namespace": "a"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "crmflow-auditors"},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "other"},
            "spec": {"podSelector": {}},
        },
    ]
    (tmp_path / "others.yaml").write_text(yaml.safe_dump_all(others))
    folder = composed(tmp_path, *COMPONENTS, resources=["deploy/base", "others.yaml"])
    rendered = kustomized(folder)
    assert [obj for obj in others if obj not in rendered] == []


@pytest.mark.parametrize("components", [(), tuple(COMPONENTS)], ids=["base", "all"])
def test_it_can_be_renamed_and_moved(tmp_path: Path, components: tuple[str, ...]) -> None:
    """Prefix, namespace and labels of somebody's own reach everything that names something else."""
    rendered = kustomized(
        composed(
            tmp_path,
            *(component for component in components if component != "namespaced"),
            namePrefix="acme-",
            namespace="acme-system",
            labels=[{"pairs": {"team": "data"}, "includeSelectors": True}],
        )
    )
    names = {(obj["kind"], obj["metadata"]["name"]) for obj in rendered}
    assert ("Namespace", "acme-system") in names
    assert {obj["metadata"].get("namespace", "acme-system") for obj in rendered} == {"acme-system"}
    for binding in of_kind("RoleBinding", rendered) + of_kind("ClusterRoleBinding", rendered):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in names
        for subject in binding["subjects"]:
            assert (subject["kind"], subject["name"]) in names
            assert subject["namespace"] == "acme-system"
    deployment = one("Deployment", rendered)
    template = deployment["spec"]["template"]
    assert ("ServiceAccount", template["spec"]["serviceAccountName"]) in names
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()
    assert one("Service", rendered)["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    volumes = {volume["name"]: volume["configMap"]["name"] for volume in template["spec"]["volumes"]}
    assert ("ConfigMap", volumes["transfer"]) in names
    if components:
        assert ("ConfigMap", volumes["tenancy"]) in names
        assert volumes["ca"] == "crmflow-ca"  # somebody else's


@pytest.mark.parametrize("selectors", [True, False])
@pytest.mark.parametrize("label", ["team", "app.kubernetes.io/instance", "app.kubernetes.io/name"])
def test_metrics_are_found_whatever_labels_a_build_sets(tmp_path: Path, label: str, selectors: bool) -> None:
    """Kustomize knows the selectors of Kubernetes' own kinds alone."""
    labels = [{"pairs": {label: "acme"}, "includeSelectors": selectors}]
    rendered = kustomized(composed(tmp_path, "service-monitor", "network-policy", labels=labels))
    service = one("Service", rendered)
    pods = one("Deployment", rendered)["spec"]["template"]["metadata"]["labels"]
    found = one("ServiceMonitor", rendered)["spec"]["selector"]["matchLabels"]
    assert found.items() <= service["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= pods.items()
    policy = one("NetworkPolicy", rendered)["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= pods.items()
    assert one("NetworkPolicy", rendered, TRANSFER)["spec"]["podSelector"] == {
        "matchExpressions": [{"key": APP_LABEL, "operator": "In", "values": [APP]}]
    }


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_can_follow_a_change_of_names(tmp_path: Path, name: str) -> None:
    """A folder that renames and relabels, and one above it that takes the component."""
    low = tmp_path / "low"
    low.mkdir()
    composed(low, namePrefix="acme-", labels=[{"pairs": {"app.kubernetes.io/name": "acme"}}])
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "deploy").symlink_to(DEPLOY)
    (tmp_path / "top" / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": ["../low"], "components": [f"deploy/components/{name}"]})
    )
    rendered = kustomized(tmp_path / "top")
    assert one("Deployment", rendered)["metadata"]["name"] == "acme-crmflow"
    if name == "namespaced":
        rules = [rule for role in of_kind("ClusterRole", rendered) for rule in role["rules"]]
        assert not [rule for rule in rules if "secrets" in rule["resources"]]
