"""The page about compatibility names the versions that the tests run."""

from __future__ import annotations

import json
import re

import pytest

from hack.controlplane.build import MODULE as CONTROL_PLANE
from hack.foreign_kinds import KINDS
from hack.helm.build import MODULE as HELM
from hack.install import ROOT

PAGE = (ROOT / "docs" / "compatibility.md").read_text()
_ETCD = re.search(r"go.etcd.io/etcd/server/v3 v(\S+)", (CONTROL_PLANE.folder / "go.mod").read_text())
_AZURITE = json.loads((ROOT / "hack" / "azurite" / "package.json").read_text())["dependencies"]["azurite"]

RUN = {
    "Kubernetes": CONTROL_PLANE.version,
    "etcd": _ETCD[1] if _ETCD else "",
    "Helm": HELM.version,
    "Azurite": _AZURITE,
    **{kind.module.split("/")[-1]: kind.version for kind in KINDS.values() if "argo-cd" not in kind.module},
    "Argo CD": KINDS["Application"].version,
}


@pytest.mark.parametrize("name", RUN)
def test_the_page_names_the_version_that_is_run(name: str) -> None:
    title = "Prometheus Operator" if name == "prometheus-operator" else name
    version = re.escape(RUN[name].removeprefix("v"))
    assert re.search(rf"{title}(?: \|)?[^|]*? {version}\b", PAGE), (title, RUN[name])


def test_the_oldest_cluster_is_that_of_the_chart() -> None:
    chart = (ROOT / "charts" / "crmflow" / "Chart.yaml").read_text()
    asked = re.search(r'kubeVersion: ">=([0-9.]+)\.0-0"', chart)
    assert asked
    assert f"The chart asks for {asked[1]} or later" in PAGE
