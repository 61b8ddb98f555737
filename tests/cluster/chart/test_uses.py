"""What people do with charts, on a real API server: Helm applies server-side, which refuses more."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.console import ToolError
from hack.helm import Helm
from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.chart.rendering import CHART
from tests.chart.test_uses import OURS, RELEASED
from tests.kit.cluster import Cluster, Object
from tests.kit.plugin import Plugin
from tests.kit.release import Release, installed

UPGRADE = ROOT / "docs" / "guides" / "upgrade.md"


def _upgrade(release: Release, chart: Path, *options: str, **values: object) -> None:
    given = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
    release.helm("upgrade", release.name, str(chart), f"--namespace={release.namespace}", *options, *given)


def _deployment(kubectl: Kubectl, release: Release) -> Object:
    found: Object = kubectl.json("get", "deployment", release.fullname, f"--namespace={release.namespace}")
    return found


@pytest.mark.parametrize("older", RELEASED, ids=lambda path: path.stem)
def test_an_upgrade_may_reuse_the_values_of_an_older_chart(
    helm: Helm, kubectl: Kubectl, tmp_path: Path, older: Path
) -> None:
    """The release keeps its own and the older chart's defaults; those of this chart are not among them."""
    chart = tmp_path / "crmflow"
    shutil.copytree(CHART, chart)
    shutil.copy(older, chart / "values.yaml")
    with installed(helm, kubectl, {"instance": "first", "replicas": 1}, chart=chart) as release:
        before = _deployment(kubectl, release)["spec"]
        _upgrade(release, CHART, "--reuse-values", **{"settings.workers": 7})
        after = _deployment(kubectl, release)["spec"]
    (container,) = after["template"]["spec"]["containers"]
    assert {"name": "CRMFLOW_WORKERS", "value": "7"} in container["env"]
    container["env"].remove({"name": "CRMFLOW_WORKERS", "value": "7"})
    assert after == before


def test_the_strategy_may_change_and_change_back(helm: Helm, kubectl: Kubectl) -> None:
    """The API server fills in parts of a rolling update, and refuses them for the other type."""
    with installed(helm, kubectl, {"replicas": 1}) as release:
        for type_ in ("Recreate", "RollingUpdate", "Recreate"):
            _upgrade(release, CHART, "--reuse-values", **{"strategy.type": type_})
            assert _deployment(kubectl, release)["spec"]["strategy"]["type"] == type_
        _upgrade(release, CHART, "--reset-values", "--set=crds.enabled=false")
        assert _deployment(kubectl, release)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 1
    with installed(helm, kubectl, {"strategy": {"type": "Recreate"}}) as release:
        assert _deployment(kubectl, release)["spec"]["strategy"] == {"type": "Recreate"}


def test_a_strategy_that_nobody_owned_is_changed_as_the_guide_says(helm: Helm, kubectl: Kubectl) -> None:
    """Parts that Kubernetes has filled in itself go with no release: a person takes them away once."""
    row = next(line for line in UPGRADE.read_text().splitlines() if "rollingUpdate: Forbidden" in line)
    (patch,) = re.findall(r"-p '(.*?)'", row)
    with installed(helm, kubectl, {"strategy": None}) as release:
        with pytest.raises(ToolError, match="rollingUpdate: Forbidden"):
            _upgrade(release, CHART, "--reuse-values", **{"strategy.type": "Recreate"})
        kubectl("patch", "deployment", release.fullname, f"--namespace={release.namespace}", "-p", patch)
        _upgrade(release, CHART, "--reuse-values", **{"strategy.type": "Recreate"})
        assert _deployment(kubectl, release)["spec"]["strategy"] == {"type": "Recreate"}


def test_labels_and_variables_that_repeat_ours_are_accepted(helm: Helm, kubectl: Kubectl) -> None:
    values: dict[str, Any] = {
        "commonLabels": {**OURS, "team": "data"},
        "podLabels": OURS,
        "instance": "first",
        "extraEnv": [{"name": "CRMFLOW_INSTANCE", "value": "second"}],
    }
    with installed(helm, kubectl, values) as release:
        deployment = _deployment(kubectl, release)
        _upgrade(release, CHART, "--reuse-values")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    instances = [entry["value"] for entry in container["env"] if entry["name"] == "CRMFLOW_INSTANCE"]
    assert instances == ["second"]
    assert deployment["metadata"]["labels"]["team"] == "data"


LONGEST: list[tuple[str, dict[str, Any]]] = [
    ("a" * 53, {}),
    ("a" * 53, {"nameOverride": "b" * 63, "ipAllowList": {"regions": {"VA7": ["10.0.0.0/8"]}}}),
    ("a.b", {}),
    ("1", {}),
]


@pytest.mark.parametrize(("name", "values"), LONGEST, ids=["long", "both long", "dots", "a digit"])
def test_names_are_accepted(
    helm: Helm, kubectl: Kubectl, namespace: str, name: str, values: dict[str, Any]
) -> None:
    given = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
    text = helm("template", name, str(CHART), f"--namespace={namespace}", "--set=crds.enabled=false", *given)
    options = ("--server-side", "--dry-run=server", "--validate=strict", "--output=name")
    applied = kubectl("apply", *options, "-f", "-", stdin=text)
    assert len(applied.split()) == len([obj for obj in yaml.safe_load_all(text) if obj])


def test_two_releases_share_a_cluster(helm: Helm, kubectl: Kubectl, cluster: Cluster) -> None:
    """Of one name, in two namespaces, each for namespaces of its own; nothing of one is the other's."""
    with cluster.namespaces("crm-one", "crm-two"):
        for tenant in ("crm-one", "crm-two"):
            helm(
                "install",
                "crmflow",
                str(CHART),
                f"--namespace={tenant}-system",
                "--create-namespace",
                "--set=crds.enabled=false",
                f"--set=watchNamespaces={{{tenant}}}",
            )
        try:
            for tenant in ("crm-one", "crm-two"):
                bound = kubectl.json("get", "clusterrolebinding", f"{tenant}-system-crmflow")
                assert [subject["namespace"] for subject in bound["subjects"]] == [f"{tenant}-system"]
        finally:
            for tenant in ("crm-one", "crm-two"):
                helm("uninstall", "crmflow", f"--namespace={tenant}-system")
                cluster.delete("Namespace", f"{tenant}-system")


@pytest.fixture
def umbrella(tmp_path: Path) -> Path:
    """A chart that depends on ours under another name."""
    shutil.copytree(CHART, tmp_path / "umbrella" / "charts" / "crmflow")
    dependency = {"name": "crmflow", "version": "*", "alias": "zoho", "condition": "zoho.enabled"}
    chart = {"apiVersion": "v2", "name": "data", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "umbrella" / "Chart.yaml").write_text(yaml.safe_dump(chart))
    return tmp_path / "umbrella"


def test_the_doctor_finds_the_operator_whatever_it_is_called(
    helm: Helm, kubectl: Kubectl, kubeconfig: Path, umbrella: Path, plugin: Plugin
) -> None:
    values = {
        "zoho.enabled": True,
        "zoho.crds.enabled": False,
        "zoho.instance": "x",
        "zoho.commonLabels": OURS,
    }
    with (
        installed(helm, kubectl, values, chart=umbrella) as part,
        installed(helm, kubectl, {"nameOverride": "zoho"}) as renamed,
    ):
        found = plugin.run(["doctor", "-o", "json", f"--kubeconfig={kubeconfig}"], {})
    (installation, *_) = found.json()["sections"]
    told = " ".join(check["message"] for check in installation["checks"] if check["check"] == "operator")
    for release in (part, renamed):
        assert f"Deployment {release.namespace}/{release.name}-zoho" in told
