"""The pod of a transfer: what the installation says of it, and what holds whatever that says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crmflow.runtime.transfers.template import OwnImage, PodTemplate, TemplateFile, pod_of
from tests.unit.runtime.transfers.fakes import TEMPLATE

LABELS = {"app.kubernetes.io/name": "crmflow-transfer"}
OWN_POD = {
    "spec": {
        "imagePullSecrets": [{"name": "registry"}],
        "containers": [
            {"name": "istio-proxy", "image": "istio:1"},
            {"name": "operator", "image": "r.example.com/crmflow:1.2", "imagePullPolicy": "IfNotPresent"},
        ],
    }
}


def template(spec: dict[str, Any] | None = None, **container: Any) -> PodTemplate:
    return PodTemplate.model_validate({"spec": {"containers": [container], **(spec or {})}})


def pod(given: PodTemplate, own: OwnImage | None = None, declaration: str = "{}") -> dict[str, Any]:
    return pod_of(given, own, LABELS, declaration, "crmflow-x")


def container_of(made: dict[str, Any]) -> dict[str, Any]:
    (container,) = made["spec"]["containers"]
    return dict(container)


def test_without_the_setting_there_are_no_transfers() -> None:
    file = TemplateFile(None, "crmflow-0")
    assert not file.is_set
    assert "CRMFLOW_TRANSFER_TEMPLATE" in (file.obstacle or "")
    assert file.usable


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        ("{", "Invalid JSON"),
        ({"spec": {}}, "spec.containers"),
        ({"spec": {"containers": []}}, "spec.containers"),
        ({"spec": {"containers": [{}, {}]}}, "spec.containers"),
        ({"specs": {"containers": [{}]}}, "spec"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(tmp_path: Path, content: object, said: str) -> None:
    path = tmp_path / "template.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    file = TemplateFile(str(path), "crmflow-0")
    assert said in (file.obstacle or "")
    assert not file.usable
    path.write_text(json.dumps(TEMPLATE))
    assert file.obstacle is None
    assert file.usable


def test_an_image_is_needed_outside_of_pods(tmp_path: Path) -> None:
    path = tmp_path / "template.json"
    path.write_text(json.dumps({"spec": {"containers": [{}]}}))
    assert TemplateFile(str(path), "crmflow-0").obstacle is None
    assert "has no image" in (TemplateFile(str(path), None).obstacle or "")
    path.write_text(json.dumps(TEMPLATE))
    assert TemplateFile(str(path), None).obstacle is None


def test_the_image_is_the_operators_unless_the_template_names_one() -> None:
    own = OwnImage.of_pod(OWN_POD)
    made = pod(template(), own)
    assert container_of(made)["image"] == "r.example.com/crmflow:1.2"
    assert container_of(made)["imagePullPolicy"] == "IfNotPresent"
    assert made["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    given = template({"imagePullSecrets": [{"name": "other"}]}, image="mirror/crmflow:1.2")
    made = pod(given, own)
    assert container_of(made)["image"] == "mirror/crmflow:1.2"
    assert made["spec"]["imagePullSecrets"] == [{"name": "other"}]


def test_what_the_installation_says_is_kept() -> None:
    spec = {
        "nodeSelector": {"disk": "fast"},
        "priorityClassName": "low",
        "securityContext": {"runAsUser": 65532},
        "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    }
    given = PodTemplate.model_validate(
        {
            "metadata": {
                "labels": {"team": "data", **dict.fromkeys(LABELS, "mine")},
                "annotations": {"a": "b"},
            },
            "spec": {
                **spec,
                "containers": [
                    {
                        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
                        "resources": {"limits": {"memory": "256Mi"}},
                        "volumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
                    }
                ],
            },
        }
    )
    made = pod(given)
    assert made["metadata"] == {"labels": {"team": "data", **LABELS}, "annotations": {"a": "b"}}
    assert made["spec"]["nodeSelector"] == {"disk": "fast"}
    assert made["spec"]["priorityClassName"] == "low"
    assert made["spec"]["securityContext"]["runAsUser"] == 65532
    assert [volume["name"] for volume in made["spec"]["volumes"]] == ["ca", "credentials"]
    container = container_of(made)
    assert container["env"] == [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]
    assert container["resources"] == {"limits": {"memory": "256Mi"}}
    assert [mount["name"] for mount in container["volumeMounts"]] == ["ca", "credentials"]


def test_it_is_restricted_whatever_the_installation_says() -> None:
    loose = template(
        {
            "automountServiceAccountToken": True,
            "restartPolicy": "Always",
            "securityContext": {"runAsNonRoot": False},
        },
        securityContext={
            "privileged": True,
            "readOnlyRootFilesystem": False,
            "capabilities": {"add": ["ALL"]},
        },
    )
    made = pod(loose)
    assert made["spec"]["automountServiceAccountToken"] is False
    assert made["spec"]["shareProcessNamespace"] is True
    assert made["spec"]["enableServiceLinks"] is False
    assert made["spec"]["restartPolicy"] == "Never"
    assert made["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container_of(made)["securityContext"] == {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_secret_is_mounted_as_a_whole_where_the_program_reads_it() -> None:
    made = pod(template())
    container = container_of(made)
    (mount,) = container["volumeMounts"]
    (volume,) = made["spec"]["volumes"]
    assert volume == {"name": mount["name"], "secret": {"secretName": "crmflow-x"}}
    assert "subPath" not in mount
    assert container["args"][-2:] == ["--credentials", mount["mountPath"]]
    assert "env" not in container


def test_a_declaration_reaches_the_program_as_it_is() -> None:
    """The kubelet puts variables in the place of ``$(NAME)``, and makes one $ of two."""
    made = pod(template(), declaration='{"a": "$(HOME) $$ $"}')
    argument = container_of(made)["args"][2]
    assert argument == '{"a": "$$(HOME) $$$$ $$"}'
