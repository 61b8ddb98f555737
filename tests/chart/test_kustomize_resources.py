"""What deploy/kustomize tells Kustomize of our kinds: where they name each other, how a mapping merges."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from crmflow.api.kinds import CRM_DATAFLOW, KINDS, ZOHO_SOURCE_CONNECTION
from hack.generators.crd import custom_resource_definition
from hack.install import ROOT
from tests.chart.rendering import Object, kustomized, one
from tests.chart.test_kustomize import COMPONENTS

SHIPPED = ROOT / "deploy" / "kustomize"
EXAMPLE = ROOT / "deploy" / "argocd" / "example"
GUIDE = ROOT / "docs" / "guides" / "kustomize.md"
STAGES = ("dev", "prod")
# The names of what spec names: a mapping set, for one, is named by an id of the Platform.
KINDS_BY_FIELD = {
    "connectionRef": "ZohoSourceConnection",
    "credentialsSecretRef": "Secret",
    "dataflowRef": "CRMDataflow",
}


def _folder(root: Path, name: str, kustomization: Object, **files: Path) -> Path:
    """A folder with a kustomization and copies of ``files``."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, source in files.items():
        shutil.copy(source, folder / f"{file}.yaml")
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """``base`` holds a connection, its Secrets and a dataflow; ``kustomize`` what we ship."""
    shutil.copytree(SHIPPED, tmp_path / "kustomize")
    parts = {path.stem: path for path in EXAMPLE.glob("*.yaml")}
    _folder(tmp_path, "base", {"resources": [f"{part}.yaml" for part in parts]}, **parts)
    return tmp_path


def _names(rendered: list[Object]) -> tuple[Any, ...]:
    """What the connection and the dataflow name."""
    connection, dataflow = one("ZohoSourceConnection", rendered), one("CRMDataflow", rendered)
    spec = connection["spec"]
    return (
        dataflow["spec"]["connectionRef"]["name"],
        spec["zoho"]["credentialsSecretRef"]["name"],
        spec["platform"]["credentialsSecretRef"]["name"],
    )


REFERENCES = {"components": ["../kustomize/references"]}


@pytest.mark.parametrize("where", ["the same folder", "the folder below", "the folder above"])
@pytest.mark.parametrize(
    ("affix", "expected"),
    [
        ({"namePrefix": "prod-"}, ("prod-zoho-eu", "prod-zoho-oauth", "prod-adobe-platform")),
        ({"nameSuffix": "-b"}, ("zoho-eu-b", "zoho-oauth-b", "adobe-platform-b")),
        (
            {"namePrefix": "a-", "nameSuffix": "-b", "namespace": "other"},
            ("a-zoho-eu-b", "a-zoho-oauth-b", "a-adobe-platform-b"),
        ),
    ],
    ids=["prefix", "suffix", "both"],
)
def test_references_follow_the_names(
    site: Path, where: str, affix: dict[str, str], expected: tuple[str, ...]
) -> None:
    """Whichever folder of several takes the component in."""
    below, same, above = ({} for _ in range(3))
    {"the folder below": below, "the same folder": same, "the folder above": above}[where].update(REFERENCES)
    _folder(site, "low", {"resources": ["../base"], **below})
    _folder(site, "middle", {"resources": ["../low"], **same, **affix})
    rendered = kustomized(_folder(site, "top", {"resources": ["../middle"], **above}))
    assert _names(rendered) == expected
    assert one("ZohoSourceConnection", rendered)["metadata"]["name"] == expected[0]
    secrets = {obj["metadata"]["name"] for obj in rendered if obj["kind"] == "Secret"}
    assert secrets == set(expected[1:])


def test_references_follow_the_hash_of_a_generated_secret(site: Path) -> None:
    """``secretGenerator`` makes a new name whenever the content changes."""
    base = {"resources": ["zohosourceconnection.yaml", "crmdataflow.yaml"]}
    parts = {name: EXAMPLE / f"{name}.yaml" for name in ("zohosourceconnection", "crmdataflow")}
    _folder(site, "plain", base, **parts)

    def rendered(token: str) -> list[Object]:
        generators = [
            {"name": "zoho-oauth", "namespace": "crm", "literals": [f"refreshToken={token}"]},
            {"name": "adobe-platform", "namespace": "crm", "literals": ["clientId=a"]},
        ]
        overlay = {"resources": ["../plain"], **REFERENCES, "secretGenerator": generators}
        return kustomized(_folder(site, "generated", overlay))

    first, second = rendered("one"), rendered("two")
    for objects in (first, second):
        made = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Secret"}
        assert made == set(_names(objects)[1:])
    assert _names(first)[1] != _names(second)[1]
    assert _names(first)[2] == _names(second)[2]


def test_a_secret_from_elsewhere_keeps_its_name(site: Path) -> None:
    """One that another tool makes is not in the build, and nobody renames it."""
    parts = {name: EXAMPLE / f"{name}.yaml" for name in ("zohosourceconnection", "crmdataflow")}
    overlay = {"resources": [f"{part}.yaml" for part in parts], **REFERENCES, "namePrefix": "prod-"}
    assert _names(kustomized(_folder(site, "elsewhere", overlay, **parts))) == (
        "prod-zoho-eu",
        "zoho-oauth",
        "adobe-platform",
    )


def _references(schema: Object, path: str = "") -> Iterator[tuple[str, str]]:
    """Each field of a schema that names an object of the cluster: the kind, and the path of the name."""
    for field, part in schema.get("properties", {}).items():
        if field.endswith("Ref") and "name" in part.get("properties", {}):
            yield KINDS_BY_FIELD[field], f"{path}{field}/name"
        yield from _references(part, f"{path}{field}/")
        yield from _references(part.get("items", {}), f"{path}{field}/")


def test_every_reference_of_our_kinds_is_known() -> None:
    """A field that is added to a model is added there too."""
    shipped = yaml.safe_load((SHIPPED / "references" / "name-references.yaml").read_text())
    known = {
        (entry["kind"], field["kind"], field["path"])
        for entry in shipped["nameReference"]
        for field in entry["fieldSpecs"]
    }
    expected = set()
    for kind in KINDS:
        crd = custom_resource_definition(kind)
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        expected |= {
            (named, crd["spec"]["names"]["kind"], path) for named, path in _references(spec, "spec/")
        }
    assert known == expected


def _mapping(site: Path, *components: str) -> list[Object]:
    patch = {
        "apiVersion": "crmflow.io/v1alpha1",
        "kind": "CRMDataflow",
        "metadata": {"name": "contacts", "namespace": "crm"},
        "spec": {
            "mapping": [
                {"target": "_crmflowdemo.origin", "value": "zoho-test"},
                {"target": "personalEmail.address", "source": None, "expression": "lower(Email)"},
                {"target": "person.name.fullName", "$patch": "delete"},
                {"target": "_crmflowdemo.stage", "value": "test"},
            ]
        },
    }
    overlay = {
        "resources": ["../base"],
        "components": [f"../kustomize/{component}" for component in components],
        "patches": [{"patch": yaml.safe_dump(patch)}],
    }
    rendered = kustomized(_folder(site, "overlay", overlay))
    entries: list[Object] = one("CRMDataflow", rendered)["spec"]["mapping"]
    return sorted(entries, key=lambda entry: str(entry["target"]))


@pytest.mark.parametrize("components", [["mapping"], ["mapping", "references"], ["references", "mapping"]])
def test_a_patch_of_the_mapping_changes_the_entries_that_it_names(site: Path, components: list[str]) -> None:
    assert _mapping(site, *components) == [
        {"target": "_crmflowdemo.origin", "value": "zoho-test"},
        {"target": "_crmflowdemo.stage", "value": "test"},
        {"target": "person.name.firstName", "source": "First_Name"},
        {"target": "person.name.lastName", "source": "Last_Name"},
        {"target": "personalEmail.address", "expression": "lower(Email)"},
    ]


def test_kinds_of_others_are_patched_as_before(site: Path) -> None:
    """What we say of our kinds must not make Kustomize forget what it knows of Kubernetes' own."""
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "other"},
        "spec": {
            "template": {"spec": {"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]}}
        },
    }
    (site / "deployment.yaml").write_text(yaml.safe_dump(deployment))
    patch = {
        **deployment,
        "spec": {"template": {"spec": {"containers": [{"name": "b", "image": "b2"}]}}},
    }
    overlay = {
        "resources": ["../base", "deployment.yaml"],
        "components": ["../kustomize/mapping"],
        "patches": [{"patch": yaml.safe_dump(patch)}],
    }
    rendered = kustomized(_folder(site, "overlay", overlay, deployment=site / "deployment.yaml"))
    containers = one("Deployment", rendered)["spec"]["template"]["spec"]["containers"]
    assert {container["name"]: container["image"] for container in containers} == {"a": "a", "b": "b2"}


_FILE = re.compile(r"```yaml\n# (?P<path>\S+\.yaml)\n(?P<content>.*?)```\n", re.DOTALL)


def write_guide(folder: Path) -> Path:
    """The files that the guide shows, beside the repository as it says."""
    for file in _FILE.finditer(GUIDE.read_text()):
        path = folder / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["content"])
    shutil.copytree(ROOT / "deploy", folder / "crmflow" / "deploy")
    for secret in ("zoho-oauth.env", "adobe-platform.env"):
        for stage in STAGES:
            (folder / stage / secret).write_text(f"clientId={stage}\n")
    return folder


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    """The guide's files."""
    return write_guide(tmp_path)


@pytest.mark.parametrize("stage", STAGES)
def test_the_guides_files_render_a_stage(guide: Path, stage: str) -> None:
    rendered = kustomized(guide / stage)
    connection, dataflow = one("ZohoSourceConnection", rendered), one("CRMDataflow", rendered)
    assert connection["metadata"]["name"] == f"{stage}-zoho"
    assert connection["spec"]["platform"]["sandbox"] == stage
    assert dataflow["metadata"]["name"] == f"{stage}-contacts"
    secrets = {obj["metadata"]["name"] for obj in rendered if obj["kind"] == "Secret"}
    assert _names(rendered) == (f"{stage}-zoho", *sorted(secrets, reverse=True))
    origin = {entry["target"]: entry.get("value") for entry in dataflow["spec"]["mapping"]}
    assert origin["_crmflowdemo.origin"] == ("zoho" if stage == "prod" else "zoho-dev")
    assert len(origin) == 3
    for kind in (ZOHO_SOURCE_CONNECTION, CRM_DATAFLOW):
        kind.spec.model_validate(one(kind.kind, rendered)["spec"])


def test_the_guides_files_render_the_operator(guide: Path) -> None:
    rendered = kustomized(guide / "operator")
    container = one("Deployment", rendered)["spec"]["template"]["spec"]["containers"][0]
    assert container["image"].startswith("registry.example.com/data/crmflow@sha256:")
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert variables["CRMFLOW_INSTANCE"] == "production"
    assert variables["CRMFLOW_TENANCY"]
    assert one("NetworkPolicy", rendered)


def test_the_guides_files_serve_another_namespace(guide: Path) -> None:
    rendered = kustomized(guide / "few")
    container = one("Deployment", rendered)["spec"]["template"]["spec"]["containers"][0]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert variables["CRMFLOW_WATCH_NAMESPACES"] == "sales"
    for kind in ("Role", "RoleBinding"):
        namespaces = {obj["metadata"]["namespace"] for obj in rendered if obj["kind"] == kind}
        assert namespaces == {"crmflow-system", "sales"}


def test_the_guide_lists_every_component() -> None:
    """In an order in which all may be taken."""
    rows = re.findall(r"^\| `([a-z-]+)` \|", GUIDE.read_text(), re.MULTILINE)
    assert rows == list(COMPONENTS)
