"""The guides to installing speak of what there is."""

from __future__ import annotations

import re

import pytest

from hack.generators.values import Value, read_values
from hack.install import ROOT
from tests.chart.rendering import CHART

GUIDES = {
    name: ROOT / "docs" / "guides" / f"{name}.md"
    for name in (
        "install",
        "upgrade",
        "uninstall",
        "security",
        "tenancy",
        "kustomize",
        "promote-to-production",
    )
}
PAGES = {**GUIDES, "chart": CHART / "README.md"}


def _paths(values: list[Value] | tuple[Value, ...]) -> set[str]:
    return {value.path for value in values} | {path for value in values for path in _paths(value.parts)}


@pytest.mark.parametrize("name", PAGES)
def test_its_links_lead_somewhere(name: str) -> None:
    page = PAGES[name]
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^a-z0-9 -]", "", text.lower()).replace(" ", "-") for text in headings]


@pytest.mark.parametrize("name", PAGES)
def test_the_values_that_it_names_exist(name: str) -> None:
    known = _paths(read_values((CHART / "values.yaml").read_text()))
    groups = {path.partition(".")[0] for path in known if "." in path}
    named = re.findall(rf"\b((?:{'|'.join(groups)})\.[A-Za-z.]*[A-Za-z])\b", PAGES[name].read_text())
    named = [path for path in named if not path.endswith((".md", ".json", ".example.com"))]
    assert [path for path in named if path not in known] == []


def test_what_it_waits_for_is_in_its_own_words() -> None:
    _, _, page = GUIDES["install"].read_text().partition("| `/readyz` says |")
    rows = re.findall(r"^\| `([^`]+)` \|", page.partition("\n\n")[0], re.MULTILINE)
    said = {row.partition("…")[0].partition(": 403")[0].strip() for row in rows}
    assert len(said) == 5
    code = "".join(path.read_text() for path in (ROOT / "operator" / "crmflow" / "runtime").rglob("*.py"))
    for words in said:
        for part in words.split(": "):
            assert part in code
