"""Kustomize renders the same objects as the chart."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
import yaml

from hack.controlplane import find_assets
from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.chart.rendering import VALUES, Object, objects

DEPLOY = ROOT / "deploy"

# A folder of Kustomize, and the values of the chart that ask for the same.
PAIRS: dict[str, dict[str, Any]] = {
    "base": {},
    "overlays/namespaced": {
        "instance": "crm-team",
        "watchNamespaces": ["crm-team"],
        "rbac": {"aggregateClusterRoles": False},
    },
    "overlays/network-policy": {"networkPolicy": {"enabled": True}},
    "overlays/service-monitor": {"serviceMonitor": {"enabled": True}},
    "overlays/tenancy": yaml.safe_load(VALUES["tenancy"].read_text()),
    "overlays/proxy": {
        "proxy": {"httpsProxy": "http://proxy.example.com:3128"},
        "caBundle": {"existingConfigMap": "crmflow-ca"},
    },
}
HELMS_LABELS = {"app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"}


def kustomized(folder: str) -> list[Object]:
    kubectl = Kubectl(find_assets().binary("kubectl"), None)
    return list(yaml.safe_load_all(kubectl("kustomize", str(DEPLOY / folder))))


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
            (container,) = obj["spec"]["template"]["spec"]["containers"]
            container["env"].sort(key=lambda entry: entry["name"])
        if obj["kind"] == "ConfigMap":
            obj["data"] = {name: json.loads(content) for name, content in obj["data"].items()}
        result[obj["kind"], metadata.get("namespace", ""), metadata["name"]] = obj
    return result


def test_every_folder_is_compared() -> None:
    folders = {
        path.parent.relative_to(DEPLOY).as_posix()
        for path in (DEPLOY / "overlays").glob("*/kustomization.yaml")
    }
    assert folders | {"base"} == set(PAIRS)


@pytest.mark.parametrize("folder", PAIRS)
def test_it_renders_the_same(folder: str) -> None:
    """The kinds stand apart in crds/, which test_render.py compares."""
    from_helm = compared(objects("--set=crds.enabled=false", **PAIRS[folder]))
    from_kustomize = compared(kustomized(folder))
    assert from_kustomize.keys() == from_helm.keys()
    for name, obj in from_helm.items():
        assert from_kustomize[name] == obj
