"""What the chart renders, for each set of values and for what people get wrong."""

from __future__ import annotations

import json
import os
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from crmflow import __version__
from crmflow.aep.egress import IpAllowList
from crmflow.reconcile.core.tenancy import TenancyList, Tenant
from crmflow.reloading import read_model
from crmflow.runtime.transfers.template import PodTemplate
from crmflow.settings import PREFIX, Settings
from hack.console import ToolError
from hack.generators.values import BY_OTHER_VALUES
from hack.install import ROOT
from tests.chart.rendering import (
    CHART,
    TRANSFER,
    VALUES,
    environment,
    local_helm,
    manifest,
    objects,
    of_kind,
    one,
)

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.mark.parametrize("name", VALUES)
def test_it_is_what_it_was(name: str) -> None:
    """``make snapshots`` takes them anew. The kinds are compared with crds/ instead."""
    snapshot = SNAPSHOTS / f"{name}.yaml"
    rendered = manifest("--set=crds.enabled=false", values=name)
    if os.environ.get("SNAPSHOTS") == "write":
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(rendered)
    assert rendered == snapshot.read_text()


KINDS = ("zohosourceconnections", "crmdataflows", "crmdataflowruns")


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_helm_has_nothing_against_it(name: str) -> None:
    assert "0 chart(s) failed" in local_helm()("lint", "--strict", str(CHART), f"--values={VALUES[name]}")


def test_it_has_the_version_of_the_operator() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_its_kinds_are_those_of_the_repository() -> None:
    rendered = of_kind("CustomResourceDefinition", objects())
    written = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    assert sorted(crd["metadata"]["name"] for crd in rendered) == [crd["metadata"]["name"] for crd in written]
    by_name = {crd["metadata"]["name"]: crd["spec"] for crd in rendered}
    for crd in written:
        assert by_name[crd["metadata"]["name"]] == crd["spec"]


def test_the_kinds_are_kept_unless_somebody_says_otherwise() -> None:
    for crd in of_kind("CustomResourceDefinition", objects()):
        assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    for crd in of_kind("CustomResourceDefinition", objects(crds={"keep": False})):
        assert "annotations" not in crd["metadata"]
    assert of_kind("CustomResourceDefinition", objects(crds={"enabled": False})) == []


REFUSED: list[tuple[str, Any, str]] = [
    ("replica", 2, "replica"),  # misspelled
    ("image", {"repo": "x"}, "repo"),
    ("image", {"digest": "sha256:abc"}, "digest"),
    ("image", {"pullPolicy": "Sometimes"}, "pullPolicy"),
    ("replicas", -1, "replicas"),
    ("instance", "Not_A_Name", "instance"),
    ("watchNamespaces", "crm-team", "watchNamespaces"),
    ("watchNamespaces", ["a", "a"], "watchNamespaces"),
    ("watchNamespaces", ["crm-*"], "watchNamespaces"),
    ("settings", {"pollInterval": "5 minutes"}, "pollInterval"),
    ("settings", {"workers": 0}, "workers"),
    ("settings", {"watchNamespaces": "a"}, "watchNamespaces"),  # has a value of its own
    ("proxy", {"httpsProxy": "proxy.example.com:3128"}, "httpsProxy"),
    ("ipAllowList", {"regions": {"VA7": []}}, "VA7"),
    ("tenancy", {"tenants": [{"namespaces": ["a"], "organizations": ["b"]}]}, "sandboxes"),
    ("tenancy", {"tenants": [{"namespaces": [], "organizations": ["b"], "sandboxes": ["c"]}]}, "namespaces"),
    ("settings", {"tenancy": "/etc/tenancy.json"}, "tenancy"),  # has a value of its own
    ("extraEnv", {"TZ": "UTC"}, "extraEnv"),
    ("serviceMonitor", {"interval": "often"}, "interval"),
    ("networkPolicy", {"apiServer": {"ports": ["https"]}}, "ports"),
]


@pytest.mark.parametrize(
    ("key", "value", "named"), REFUSED, ids=[f"{key}-{i}" for i, (key, *_) in enumerate(REFUSED)]
)
def test_a_wrong_value_is_refused_by_name(key: str, value: object, named: str) -> None:
    with pytest.raises(ToolError, match=named):
        objects(**{key: value})


def test_a_service_monitor_without_service_is_refused() -> None:
    with pytest.raises(ToolError, match=r"needs service\.enabled"):
        objects(serviceMonitor={"enabled": True}, service={"enabled": False})


def test_it_can_be_part_of_another_chart() -> None:
    assert objects(**{"global": {"team": "data"}}) == objects()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, f"crmflow:{__version__}"),
        ({"tag": "1.2.3"}, "crmflow:1.2.3"),
        ({"repository": "r.example.com/c", "tag": "1.2.3"}, "r.example.com/c:1.2.3"),
        ({"tag": "1.2.3", "digest": f"sha256:{'0' * 64}"}, f"crmflow@sha256:{'0' * 64}"),
    ],
)
def test_the_digest_wins_over_the_tag(image: dict[str, str], expected: str) -> None:
    deployment = one("Deployment", objects(image=image))
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == expected


def test_every_setting_reaches_the_operator() -> None:
    properties = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"][
        "properties"
    ]
    # The times of the Lease depend on each other, and so do those of windows.
    lease = {"leaseDuration": "9s", "leaseRenewDeadline": "7s", "leaseRetryPeriod": "3s"}
    windows = {"extractionLag": "5s", "extractionLead": "9s"}
    settings = {name: _example(schema) for name, schema in properties.items()} | lease | windows
    variables = environment(one("Deployment", objects(settings=settings)))
    read = Settings.from_environment({k: value for k, value in variables.items() if isinstance(value, str)})
    assert set(Settings.model_fields) - BY_OTHER_VALUES <= read.model_fields_set
    for name, value in variables.items():
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() in Settings.model_fields:
            assert value, f"{name} is empty, which counts as unset"


def _example(schema: dict[str, Any]) -> Any:
    """A value that such a setting may have."""
    if "https?://" in schema.get("pattern", ""):
        return "https://example.com/x"
    alternatives = re.match(r"\^\(([A-Za-z]+)\|", schema.get("pattern", ""))
    return {"integer": schema.get("minimum"), "number": schema.get("minimum"), "boolean": True}.get(
        schema["type"], alternatives[1] if alternatives else "7s"
    )


def test_the_api_server_is_never_behind_the_proxy() -> None:
    assert "NO_PROXY" not in environment(one("Deployment", objects()))
    for proxy in ({"httpsProxy": "http://p:1"}, {"httpProxy": "http://p:1"}, {"existingSecret": "p"}):
        exceptions = environment(one("Deployment", objects(proxy={**proxy, "noProxy": [".example.com"]})))[
            "NO_PROXY"
        ]
        assert exceptions == "$(KUBERNETES_SERVICE_HOST),kubernetes.default.svc,.example.com"


def test_the_network_policy_lets_the_proxy_through() -> None:
    rendered = objects(networkPolicy={"enabled": True}, proxy={"httpsProxy": "http://proxy.example.com:3128"})
    ports = [
        entry["port"] for rule in one("NetworkPolicy", rendered)["spec"]["egress"] for entry in rule["ports"]
    ]
    assert 3128 in ports


@pytest.mark.parametrize(("replicas", "budgets"), [(0, 0), (1, 0), (2, 1)])
def test_a_single_replica_may_be_evicted(replicas: int, budgets: int) -> None:
    assert len(of_kind("PodDisruptionBudget", objects(replicas=replicas))) == budgets


def test_a_namespaced_installation_has_only_the_rights_outside_that_outlive_a_namespace() -> None:
    """Those to its own kinds, and to read who serves a resource; no Secret is among them."""
    rendered = objects(values="namespaced")
    rules = one("ClusterRole", rendered)["rules"]
    assert {
        (resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]
    } == {
        *product(KINDS, ("get", "list", "watch", "patch")),
        *product((f"{plural}/status" for plural in KINDS), ("patch",)),
        ("crmdataflowruns", "delete"),
        ("leases", "get"),
    }
    for role in of_kind("Role", rendered):
        if role["metadata"]["namespace"] != "crmflow-system":
            assert [rule["resources"] for rule in role["rules"]] == [["secrets"], ["events"]]


def test_it_has_no_right_outside_if_that_is_not_wanted() -> None:
    rendered = objects(values="namespaced-alone")
    assert of_kind("ClusterRole", rendered) == of_kind("ClusterRoleBinding", rendered) == []
    roles = {role["metadata"]["namespace"] for role in of_kind("Role", rendered)}
    assert roles == {"crm-team", "crm-team-2", "crmflow-system"}


def test_only_the_name_of_the_installation_asks_for_a_right_outside() -> None:
    rendered = objects(values="namespaced-alone", instance="")
    role = one("ClusterRole", rendered)
    assert [rule["resources"] for rule in role["rules"]] == [["namespaces"]]
    assert one("ClusterRoleBinding", rendered)["roleRef"]["name"] == role["metadata"]["name"]


def test_the_ip_allow_list_is_one_that_the_operator_reads(tmp_path: Path) -> None:
    rendered = objects(values="ip-allow-list")
    ((name, content),) = one("ConfigMap", rendered)["data"].items()
    (tmp_path / name).write_text(content)
    read = read_model(tmp_path / name, IpAllowList)
    assert read.ranges_of("NLD2") == ("40.74.24.70/32",)
    assert environment(one("Deployment", rendered))["CRMFLOW_IP_ALLOW_LIST"].endswith(f"/{name}")


def test_the_tenancy_list_is_one_that_the_operator_reads(tmp_path: Path) -> None:
    rendered = objects(values="tenancy")
    ((name, content),) = one("ConfigMap", rendered)["data"].items()
    (tmp_path / name).write_text(content)
    read = read_model(tmp_path / name, TenancyList)
    organization = "7C51A9F0C0FFEE0A495EF1A2@AdobeOrg"
    assert read.allows("crm-team", organization, "test-2")
    assert not read.allows("crm-team", organization, "prod")
    assert environment(one("Deployment", rendered))["CRMFLOW_TENANCY"].endswith(f"/{name}")


def test_the_schema_refuses_what_the_operator_would_not_read() -> None:
    """An entry has the fields of the operator's own model, each of them required."""
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["tenancy"]
    entry = schema["properties"]["tenants"]["items"]
    assert set(entry["properties"]) == set(entry["required"]) == set(Tenant.model_fields)


def test_what_is_mounted_is_where_the_environment_says() -> None:
    rendered = objects(
        ipAllowList={"existingConfigMap": "addresses", "key": "list.json"},
        caBundle={"existingConfigMap": "ca", "key": "bundle.pem"},
        tenancy={"existingConfigMap": "tenants", "key": "list.json"},
    )
    deployment = one("Deployment", rendered)
    pod = deployment["spec"]["template"]["spec"]
    mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume["configMap"]["name"] for volume in pod["volumes"]}
    variables = environment(deployment)
    assert variables["CRMFLOW_IP_ALLOW_LIST"] == f"{mounted['ip-allow-list']}/list.json"
    assert variables["SSL_CERT_FILE"] == f"{mounted['ca']}/bundle.pem"
    assert variables["CRMFLOW_TENANCY"] == f"{mounted['tenancy']}/list.json"
    assert variables["CRMFLOW_TRANSFER_TEMPLATE"] == f"{mounted['transfer']}/template.json"
    assert volumes == {
        "ip-allow-list": "addresses",
        "ca": "ca",
        "tenancy": "tenants",
        "transfer": "crmflow-transfer",
    }


def test_labels_never_change_what_pods_are_found_by() -> None:
    """The selector of a Deployment can't be changed: a new version must find the old Pods."""
    selectors = [
        one("Deployment", objects(**given))["spec"]["selector"]
        for given in (
            {},
            {"commonLabels": {"team": "data"}},
            {"podLabels": {"team": "data"}},
            {"image": {"tag": "2"}},
        )
    ]
    assert all(selector == selectors[0] for selector in selectors)


def _transfer_template(tmp_path: Path, **values: Any) -> dict[str, Any]:
    """As the operator reads it."""
    ((name, content),) = one("ConfigMap", objects(**values), TRANSFER)["data"].items()
    (tmp_path / name).write_text(content)
    template = read_model(tmp_path / name, PodTemplate)
    return template.model_dump(exclude_unset=True)


def test_the_template_of_transfers_is_one_that_the_operator_reads(tmp_path: Path) -> None:
    template = _transfer_template(tmp_path)
    (container,) = template["spec"]["containers"]
    assert container == {"name": "transfer", "resources": container["resources"]}
    assert "metadata" not in template


def test_transfers_take_the_operators_way_out(tmp_path: Path) -> None:
    template = _transfer_template(
        tmp_path,
        proxy={"existingSecret": "proxy", "noProxy": [".internal"]},
        caBundle={"existingConfigMap": "company-ca", "key": "bundle.pem"},
        imagePullSecrets=[{"name": "registry"}],
        settings={"logLevel": "WARNING", "workers": 3},
        podSecurityContext={"runAsUser": None, "runAsGroup": None},
    )
    (container,) = template["spec"]["containers"]
    variables = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}
    (mount,) = container["volumeMounts"]
    (volume,) = template["spec"]["volumes"]
    assert variables.pop("SSL_CERT_FILE") == f"{mount['mountPath']}/bundle.pem"
    assert (mount["name"], volume["configMap"]["name"]) == (volume["name"], "company-ca")
    assert variables.pop("HTTPS_PROXY")["secretKeyRef"]["name"] == "proxy"
    assert variables.pop("HTTP_PROXY")["secretKeyRef"]["name"] == "proxy"
    assert variables == {"NO_PROXY": ".internal", "CRMFLOW_LOG_LEVEL": "WARNING"}
    assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert "runAsUser" not in template["spec"]["securityContext"]


def test_transfers_run_where_and_as_the_values_say(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "nodeSelector": {"pool": "batch"},
        "tolerations": [{"key": "batch", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "low",
    }
    template = _transfer_template(
        tmp_path,
        commonLabels={"team": "data", "cost": "1"},
        transfer={
            **given,
            "image": "mirror/crmflow:1",
            "podLabels": {"team": "crm"},
            "podAnnotations": {"a": "b"},
            "resources": {"limits": {"memory": "1Gi"}},
            "extraEnv": [{"name": "TZ", "value": "UTC"}],
        },
    )
    (container,) = template["spec"]["containers"]
    assert {name: template["spec"][name] for name in given} == given
    assert template["metadata"] == {"labels": {"team": "crm", "cost": "1"}, "annotations": {"a": "b"}}
    assert container["image"] == "mirror/crmflow:1"
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert container["env"] == [{"name": "TZ", "value": "UTC"}]


def test_without_transfers_nothing_of_them_is_installed() -> None:
    rendered = objects(transfer={"enabled": False}, networkPolicy={"enabled": True})
    assert not [obj for obj in rendered if obj["metadata"]["name"].endswith(TRANSFER)]
    assert not [name for name in environment(one("Deployment", rendered)) if "TRANSFER" in name]
    rules = [rule for role in of_kind("Role", rendered) for rule in role["rules"]]
    assert not {"jobs", "pods"} & {resource for rule in rules for resource in rule["resources"]}


def test_transfers_reach_dns_zoho_and_the_landing_zone_and_not_the_api_server() -> None:
    rendered = objects(
        networkPolicy={
            "enabled": True,
            "apiServer": {"cidrs": ["10.0.0.1/32", "fd00::1/128"]},
            "remoteCidrs": ["0.0.0.0/0", "::/0", "10.20.0.0/16"],
        }
    )
    spec = one("NetworkPolicy", rendered, TRANSFER)["spec"]
    dns, remote = spec["egress"]
    assert "ingress" not in spec
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert {entry["port"] for entry in dns["ports"]} == {53}
    assert [entry["port"] for entry in remote["ports"]] == [443]
    assert [block["ipBlock"] for block in remote["to"]] == [
        {"cidr": "0.0.0.0/0", "except": ["10.0.0.1/32"]},
        {"cidr": "::/0", "except": ["fd00::1/128"]},
        {"cidr": "10.20.0.0/16"},
    ]
