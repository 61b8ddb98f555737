"""The generated files: what is in them, and that the check notices when they are out of date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from crmflow.api.kinds import CRM_DATAFLOW, CRM_DATAFLOW_RUN, KINDS, ZOHO_SOURCE_CONNECTION, Kind
from crmflow.api.schema import VALIDATIONS
from hack.generate import ROOT, render, stale, write
from hack.generators.crd import custom_resource_definition
from hack.generators.reference import reference_page, table
from hack.generators.walk import walk

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def test_the_files_in_the_repository_are_up_to_date() -> None:
    assert list(stale(render(), ROOT)) == []


def test_missing_changed_and_left_over_files_are_stale(tmp_path: Path) -> None:
    files = {"crds/a.yaml": "a\n", "docs/reference/a.md": "a\n", "docs/reference/b.md": "b\n"}
    write(files, tmp_path)
    assert list(stale(files, tmp_path)) == []

    (tmp_path / "crds/a.yaml").unlink()
    (tmp_path / "docs/reference/a.md").write_text("old\n")
    (tmp_path / "crds/c.yaml").write_text("c\n")
    missing, changed, left_over = stale(files, tmp_path)
    assert "+a" in missing
    assert "-old\n+a" in changed
    assert left_over == "crds/c.yaml: is not generated any more"

    write(files, tmp_path)
    assert list(stale(files, tmp_path)) == []


@each_kind
def test_the_file_says_what_was_rendered(kind: Kind) -> None:
    text = render()[f"crds/crmflow.io_{kind.plural}.yaml"]
    assert yaml.safe_load(text) == custom_resource_definition(kind)
    assert "&id" not in text  # anchors would hide what a field says


@pytest.mark.parametrize(
    ("kind", "plural", "short"),
    [
        (ZOHO_SOURCE_CONNECTION, "zohosourceconnections", "zsc"),
        (CRM_DATAFLOW, "crmdataflows", "cdf"),
        (CRM_DATAFLOW_RUN, "crmdataflowruns", "cdfr"),
    ],
)
def test_names(kind: Kind, plural: str, short: str) -> None:
    crd = custom_resource_definition(kind)
    names = crd["spec"]["names"]
    assert crd["metadata"]["name"] == f"{plural}.crmflow.io"
    assert (names["plural"], names["shortNames"], names["categories"]) == (plural, [short], ["crmflow"])
    assert crd["spec"]["scope"] == "Namespaced"
    assert [version["name"] for version in crd["spec"]["versions"]] == ["v1alpha1"]


def schema_of(kind: Kind) -> dict[str, Any]:
    version = custom_resource_definition(kind)["spec"]["versions"][0]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


@each_kind
def test_the_reference_tells_every_field_and_every_rule(kind: Kind) -> None:
    page = reference_page(custom_resource_definition(kind))
    properties = schema_of(kind)["properties"]
    for part in ("spec", "status"):
        for node in walk(properties[part], part):
            if "properties" not in node.schema and not node.path.endswith(("[]", "{}")):
                assert page.count(f"| `{node.path}` |") == 1
                assert node.schema["description"] in page
            for rule in node.schema.get(VALIDATIONS, ()):
                assert rule["message"] in page


def test_the_reference_tells_reasons() -> None:
    rows = [("Ready", "Succeeded", "All is as declared.")]
    page = reference_page(custom_resource_definition(CRM_DATAFLOW), rows)
    assert "## Conditions\n\n| Condition | Reason | Meaning |" in page
    assert "| Ready | Succeeded | All is as declared. |" in page


def row(path: str) -> str:
    page = reference_page(custom_resource_definition(CRM_DATAFLOW))
    return next(line for line in page.splitlines() if line.startswith(f"| `{path}` |"))


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("spec.schedule.interval", ["| integer | no |", "At least 1, at most 300000."]),
        ("spec.ingestion.partialIngestionPercent", ["| number | no |", "More than 0, at most 100."]),
        ("spec.ingestion", ["| object | no | `{enabled: true}` |"]),
        ("spec.schedule.startTime", ["| string | no |", "must be a time from 1970 on"]),
        ("spec.schedule.frequency", ["One of `Once`, `Minute`, `Hour`, `Day`, `Week`."]),
        ("spec.source.columns", ["| list of string | no |", "Each value once.", "Of each value: not empty"]),
        (
            "spec.mapping",
            ["| list of object | no |", "Not empty, at most 1000 items.", "Each `target` once."],
        ),
    ],
)
def test_a_row_of_the_reference(path: str, parts: list[str]) -> None:
    for part in parts:
        assert part in row(path)


def test_a_table_escapes_its_separator() -> None:
    assert table(("A",), [("x|y",)]) == "| A |\n| --- |\n| x\\|y |"
