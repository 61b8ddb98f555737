"""What people do with charts: part of another chart, older values, null, labels, names, overrides."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.console import ToolError
from hack.generators.values import Value, read_values
from tests.chart.rendering import CHART, Object, environment, local_helm, objects, of_kind, one, parsed

RELEASED = sorted((Path(__file__).parent / "released").glob("*.yaml"))
"""Values of charts that came before."""
LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def rendered(chart: Path, *options: str, release: str = "crmflow") -> list[Object]:
    """What Helm makes of ``chart``."""
    text = local_helm()("template", release, str(chart), "--namespace=crmflow-system", *options)
    return parsed(text)


@cache
def plain() -> list[Object]:
    """The chart as it is."""
    return objects()


def options(**values: object) -> list[str]:
    """Helm's options for ``values``."""
    return [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]


# --- a part of another chart ------------------------------------------------------------------------------


@pytest.fixture
def umbrella(tmp_path: Path) -> Path:
    """A chart that depends on ours, twice: under its own name and under another."""
    shutil.copytree(CHART, tmp_path / "charts" / "crmflow")
    dependency = {"name": "crmflow", "version": "*", "repository": ""}
    chart = {
        "apiVersion": "v2",
        "name": "umbrella",
        "version": "1.0.0",
        "dependencies": [
            {**dependency, "condition": "crmflow.enabled"},
            {**dependency, "alias": "second", "condition": "second.enabled"},
        ],
    }
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(chart))
    off = {"crmflow": {"enabled": False}, "second": {"enabled": False, "crds": {"enabled": False}}}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(off))
    return tmp_path


def test_it_is_switched_by_the_condition_of_another_chart(umbrella: Path) -> None:
    assert rendered(umbrella) == []
    on = options(**{"crmflow.enabled": True, "crmflow.instance": "production", "global": {"team": "data"}})
    found = rendered(umbrella, *on, release="data")
    assert one("Deployment", found)["metadata"]["name"] == "data-crmflow"
    assert environment(one("Deployment", found))["CRMFLOW_INSTANCE"] == "production"
    assert len(of_kind("CustomResourceDefinition", found)) == 3


def test_it_can_be_there_twice_under_two_names(umbrella: Path) -> None:
    found = rendered(umbrella, *options(**{"crmflow.enabled": True, "second.enabled": True}), release="data")
    names = [(obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"]) for obj in found]
    assert len(names) == len(set(names))
    first, second = (obj["spec"]["selector"]["matchLabels"] for obj in of_kind("Deployment", found))
    assert first != second


def test_its_values_are_checked_there_too(umbrella: Path) -> None:
    with pytest.raises(ToolError, match="replica"):
        rendered(umbrella, *options(**{"crmflow.enabled": True, "crmflow.replica": 1}))


def test_alone_it_is_not_switched_off_by_the_condition() -> None:
    assert objects(enabled=True) == plain()
    with pytest.raises(ToolError, match=r"enabled: .* condition"):
        objects(enabled=False)


# --- values that are not there ----------------------------------------------------------------------------


def _with_values(folder: Path, values: str) -> Path:
    """The chart with other defaults: ``--reuse-values`` brings those of the chart that the release had."""
    shutil.copytree(CHART, folder / "crmflow")
    (folder / "crmflow" / "values.yaml").write_text(values)
    return folder / "crmflow"


def _paths(values: list[Value] | tuple[Value, ...]) -> Iterator[str]:
    for value in values:
        yield value.path
        if value.default:  # the parts of settings are the operator's, and have no default here
            yield from _paths(value.parts)


PATHS = list(_paths(read_values((CHART / "values.yaml").read_text())))
# Null of these means none, and that is what Kubernetes gets.
TAKEN_AWAY = {
    "strategy": lambda deployment: deployment["spec"].get("strategy"),
    "resources": lambda deployment: _container(deployment).get("resources"),
    "securityContext": lambda deployment: _container(deployment).get("securityContext"),
    "podSecurityContext": lambda deployment: deployment["spec"]["template"]["spec"].get("securityContext"),
}


def _container(deployment: Object) -> Object:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_values_of_an_older_chart_may_be_reused(tmp_path: Path, path: Path) -> None:
    assert rendered(_with_values(tmp_path, path.read_text())) == plain()


@pytest.mark.parametrize("path", PATHS)
def test_each_value_may_be_missing(tmp_path: Path, path: str) -> None:
    """From the values of an older chart, or because somebody has set it to null. Its default holds then."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    *way, last = path.split(".")
    group = values
    for name in way:
        group = group[name]
    taken = group.pop(last)
    found = rendered(_with_values(tmp_path, yaml.safe_dump(values)))
    assert found == rendered(CHART, *options(**{path: None}))
    if isinstance(taken, dict) and path in {*TAKEN_AWAY, "livenessProbe", "readinessProbe"}:
        deployment = one("Deployment", found)
        assert path not in TAKEN_AWAY or TAKEN_AWAY[path](deployment) in (None, {})
        for probe in ("livenessProbe", "readinessProbe"):
            assert set(_container(deployment)[probe]) >= {"httpGet"}
    else:
        assert found == plain()


@pytest.mark.parametrize("name", ["platformUrl", "imsUrl", "zohoAccountsUrl", "zohoApiUrl"])
def test_what_is_no_address_is_refused_before_it_is_installed(name: str) -> None:
    """Else each Pod would end with status 2."""
    for value in ("platform.adobe.io", "ftp://platform.adobe.io", "https://"):
        with pytest.raises(ToolError, match=name):
            objects(settings={name: value})
    assert objects(settings={name: "http://127.0.0.1:8081/x"})


def test_a_part_that_is_set_to_null_is_gone() -> None:
    """On OpenShift nobody may choose the user."""
    nothing: Object = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None}}
    pod = one("Deployment", objects(**nothing))["spec"]["template"]["spec"]
    assert set(pod["securityContext"]) == {"runAsNonRoot", "seccompProfile"}


# --- labels and names -------------------------------------------------------------------------------------

OURS = {
    "app.kubernetes.io/name": "other",
    "app.kubernetes.io/instance": "other",
    "app.kubernetes.io/version": "9",
    "app.kubernetes.io/managed-by": "Kustomize",
    "helm.sh/chart": "other-1",
    "crmflow.io/component": "other",
    "rbac.authorization.k8s.io/aggregate-to-view": "false",
}


@pytest.mark.parametrize("key", ["commonLabels", "podLabels"])
def test_labels_that_repeat_ours_change_nothing_that_pods_are_found_by(key: str) -> None:
    """Every object has each label once (``parsed`` sees to that), and selectors still find the Pods."""
    given = {"networkPolicy": {"enabled": True}, "serviceMonitor": {"enabled": True}}
    found = objects(**given, **{key: {**OURS, "team": "data"}})
    deployment, plain = (one("Deployment", some) for some in (found, objects(**given)))
    assert deployment["spec"]["selector"] == plain["spec"]["selector"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "data"
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert deployment["metadata"]["labels"]["crmflow.io/component"] == "operator"
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor"):
        assert one(kind, found)["spec"] == one(kind, objects(**given))["spec"]
    (view,) = [obj for obj in of_kind("ClusterRole", found) if obj["metadata"]["name"].endswith("-view")]
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"


def test_a_service_monitor_has_the_labels_that_prometheus_selects_by() -> None:
    wished = {"app.kubernetes.io/instance": "prometheus", "release": "prometheus"}
    found = objects(serviceMonitor={"enabled": True, "labels": wished})
    assert one("ServiceMonitor", found)["metadata"]["labels"].items() >= wished.items()


@pytest.mark.parametrize(
    ("release", "values"),
    [
        ("a" * 53, {}),
        ("a" * 53, {"nameOverride": "b" * 63}),
        ("my.release", {}),
        ("a" * 52 + "b", {"nameOverride": "c"}),
        ("1", {}),
        ("crmflow", {"fullnameOverride": "c" * 53, "watchNamespaces": ["d" * 63]}),
        ("crmflow", {"nameOverride": "b" * 63, "ipAllowList": {"regions": {"VA7": ["10.0.0.0/8"]}}}),
    ],
    ids=["long", "both long", "dots", "cut at a dash", "a digit", "whole", "part"],
)
def test_names_and_labels_are_such_as_kubernetes_accepts(release: str, values: dict[str, Any]) -> None:
    found = rendered(CHART, *options(**values, serviceMonitor={"enabled": True}), release=release)
    for obj in found:
        name = obj["metadata"]["name"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name), name
        assert len(name) <= 253
        for value in obj["metadata"]["labels"].values():
            assert LABEL.fullmatch(value), value
            assert len(value) <= 63
    service = one("Service", found)["metadata"]["name"]
    assert SERVICE_NAME.fullmatch(service), service
    assert len(service) <= 63


@pytest.mark.parametrize("key", ["nameOverride", "fullnameOverride"])
@pytest.mark.parametrize("name", ["b" * 70, "CRM Flow", "-crm", "crm-", "crm_flow"])
def test_a_name_that_kubernetes_refuses_is_refused_by_the_chart(key: str, name: str) -> None:
    with pytest.raises(ToolError, match=key):
        objects(**{key: name})


def test_a_version_with_build_metadata_makes_no_bad_label(tmp_path: Path) -> None:
    """Flux adds the revision to a chart's version, and people who package it anew add more."""
    chart = _with_values(tmp_path, (CHART / "values.yaml").read_text())
    meta = yaml.safe_load((chart / "Chart.yaml").read_text())
    revision = f"0.1.0+{'0123456789abcdef' * 4}"
    (chart / "Chart.yaml").write_text(
        yaml.safe_dump({**meta, "version": revision, "appVersion": "0.1.0+build.5"})
    )
    deployment = one("Deployment", rendered(chart))
    for value in deployment["metadata"]["labels"].values():
        assert LABEL.fullmatch(value)
        assert len(value) <= 63
    assert _container(deployment)["image"] == "crmflow:0.1.0_build.5"


# --- the Deployment ---------------------------------------------------------------------------------------


def test_pods_may_be_replaced_all_at_once() -> None:
    """The default's ``rollingUpdate`` belongs to another type."""
    for given in ({"type": "Recreate"}, {"type": "Recreate", "rollingUpdate": None}):
        assert one("Deployment", objects(strategy=given))["spec"]["strategy"] == {"type": "Recreate"}


def test_a_rolling_update_is_as_it_is_given() -> None:
    strategy = one("Deployment", objects(strategy={"rollingUpdate": {"maxSurge": "25%"}}))["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": "25%"}}


def test_a_strategy_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ToolError, match="strategy"):
        objects(strategy={"type": "BlueGreen"})


def test_a_variable_that_repeats_one_of_ours_takes_its_place() -> None:
    """The API server refuses a name twice in what is applied server-side, as Helm 4 does."""
    extra = [
        {"name": "SSL_CERT_FILE", "value": "/mine.pem"},
        {"name": "CRMFLOW_INSTANCE", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}},
        {"name": "NO_PROXY", "value": "a"},
        {"name": "NO_PROXY", "value": "$(CRMFLOW_POD_NAME)"},
    ]
    found = objects(
        instance="production",
        caBundle={"existingConfigMap": "ca"},
        proxy={"httpsProxy": "http://proxy.example.com:3128"},
        extraEnv=extra,
    )
    entries = _container(one("Deployment", found))["env"]
    names = [entry["name"] for entry in entries]
    assert len(names) == len(set(names))
    assert [entry for entry in entries if entry["name"] in {given["name"] for given in extra}] == [
        *extra[:2],
        extra[3],
    ]
    assert names.index("CRMFLOW_POD_NAME") < names.index("NO_PROXY")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CRMFLOW_WATCH_NAMESPACES", "watchNamespaces"), ("CRMFLOW_LEASE_NAME", "fullnameOverride")],
)
def test_a_variable_that_rights_depend_on_is_refused(variable: str, value: str) -> None:
    with pytest.raises(ToolError, match=f"{variable} .*{value}"):
        objects(extraEnv=[{"name": variable, "value": "x"}])


def test_several_replicas_without_an_election_are_refused() -> None:
    """Each would do everything, and their one name would not keep them apart."""
    off = [{"name": "CRMFLOW_LEADER_ELECTION", "value": "false"}]
    with pytest.raises(ToolError, match=r"CRMFLOW_LEADER_ELECTION .*replicas to 1"):
        objects(extraEnv=off)
    assert objects(extraEnv=off, replicas=1)
    assert objects(extraEnv=[{**off[0], "value": "true"}])


def test_a_variable_is_a_text() -> None:
    with pytest.raises(ToolError, match="extraEnv/0/value"):
        objects(extraEnv=[{"name": "A", "value": 1}])


def test_a_volume_that_repeats_one_of_ours_is_refused() -> None:
    volume = {"name": "ca", "emptyDir": {}}
    mount = {"name": "tmp", "mountPath": "/etc/crmflow/ca"}
    assert objects(extraVolumes=[volume], extraVolumeMounts=[{**mount, "name": "ca"}])
    for given in ({"extraVolumes": [volume]}, {"extraVolumeMounts": [mount]}):
        with pytest.raises(ToolError, match=f"{next(iter(given))}: .*ca"):
            objects(caBundle={"existingConfigMap": "company"}, **given)


def test_a_probe_may_be_changed_in_part() -> None:
    probes = {"httpGet": {"httpHeaders": [{"name": "X", "value": "y"}]}, "periodSeconds": 7}
    container = _container(one("Deployment", objects(livenessProbe=probes)))
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http", **probes["httpGet"]}
    assert container["livenessProbe"]["periodSeconds"] == 7
    assert container["livenessProbe"]["failureThreshold"] == 6


def test_what_a_pod_may_have_reaches_it() -> None:
    """Each as Kubernetes' own field of that name."""
    given: dict[str, Any] = {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "system-cluster-critical",
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "imagePullSecrets": [{"name": "registry"}],
    }
    template = one("Deployment", objects(**given, podAnnotations={"checksum/config": "1"}))["spec"][
        "template"
    ]
    assert {key: template["spec"][key] for key in given} == given
    assert template["metadata"]["annotations"] == {"checksum/config": "1"}
    lists: dict[str, Any] = {key: type(value)() for key, value in given.items()}
    assert objects(**lists, podAnnotations={}, extraEnv=[], watchNamespaces=[]) == plain()


def test_what_looks_like_a_number_stays_a_text() -> None:
    """Namespaces and other names may be digits alone. A name that is no text is refused by the API server."""
    text = local_helm()(
        "template",
        "7",
        str(CHART),
        "--namespace=2024",
        *options(
            watchNamespaces=["2025"],
            priorityClassName="1",
            serviceAccount={"name": "2"},
            imagePullSecrets=[{"name": "3"}],
            caBundle={"existingConfigMap": "4"},
            tenancy={"existingConfigMap": "5"},
            proxy={"existingSecret": "6"},
            image={"tag": "1.10"},
            networkPolicy={"enabled": True},
            serviceMonitor={"enabled": True},
        ),
    )

    def texts(value: object, key: str) -> Iterator[object]:
        if isinstance(value, dict):
            for name, part in value.items():
                yield from texts(part, name)
        elif isinstance(value, list):
            for part in value:
                yield from texts(part, key)
        elif key in {"name", "namespace", "serviceAccountName", "priorityClassName", "image"} or "/" in key:
            yield value

    found = [value for obj in parsed(text) for value in texts(obj, "")]
    assert found
    assert [value for value in found if not isinstance(value, str)] == []


def test_alerts_and_dashboard_are_those_of_the_files_and_found_by_labels() -> None:
    wished = {"release": "prometheus"}
    found = objects(
        prometheusRule={"enabled": True, "labels": wished},
        dashboard={"enabled": True, "annotations": {"grafana_folder": "Data"}},
    )
    rule = one("PrometheusRule", found)
    assert rule["metadata"]["labels"].items() >= wished.items()
    assert rule["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    (board,) = [obj for obj in of_kind("ConfigMap", found) if obj["metadata"]["name"].endswith("-dashboard")]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["metadata"]["annotations"] == {"grafana_folder": "Data"}
    written = (CHART / "files" / "dashboard.json").read_text()
    assert json.loads(board["data"]["crmflow.json"]) == json.loads(written)


def test_alerts_name_the_pages_where_people_find_them() -> None:
    found = objects(prometheusRule={"enabled": True, "runbooksUrl": "https://git.example.com/runbooks/"})
    rules = [rule for group in one("PrometheusRule", found)["spec"]["groups"] for rule in group["rules"]]
    assert [rule["annotations"]["runbook_url"] for rule in rules] == [
        f"https://git.example.com/runbooks/{rule['alert']}.md" for rule in rules
    ]
