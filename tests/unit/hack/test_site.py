"""What the check of a built site finds, and that the site's navigation is the index."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hack.install import ROOT
from hack.site.check import problems
from hack.site.stage import navigation, stage

GOOD = '<a href="../other/#part">x</a><a href="../file.yaml">y</a><a href="https://example.com/">z</a>'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of two pages and a file."""
    for name, body in (("page", GOOD), ("other", '<h2 id="part">Part</h2>')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(body)
    (tmp_path / "file.yaml").write_text("")
    return tmp_path


def test_a_whole_site_is_well(site: Path) -> None:
    assert list(problems(site)) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('<a href="../gone/">x</a>', "leads nowhere"),
        ('<a href="../../outside.html">x</a>', "leads nowhere"),
        ('<a href="../other/#gone">x</a>', "names no heading"),
        ('<a href="#gone">x</a>', "names no heading"),
        ('<img src="gone.png">', "leads nowhere"),
        ('<script src="https://cdn.example.com/x.js"></script>', "loads https://cdn.example.com/x.js"),
        ('<link rel="stylesheet" href="//fonts.example.com/x.css">', "loads //fonts.example.com/x.css"),
    ],
)
def test_what_is_wrong_is_told(site: Path, body: str, found: str) -> None:
    (site / "page" / "index.html").write_text(body)
    (problem,) = problems(site)
    assert problem.startswith("page/index.html: ")
    assert found in problem


def test_the_navigation_is_the_index() -> None:
    titles = [title for entry in navigation() for title in entry]
    assert titles == ["crmflow", "Documentation", "Tutorial", "How-to", "Concepts", "Reference"]


def test_the_settings_name_the_pages_that_are_there(tmp_path: Path) -> None:
    stage(tmp_path / "pages", tmp_path / "zensical.toml")
    project = tomllib.loads((tmp_path / "zensical.toml").read_text())["project"]
    assert project["nav"] == navigation()
    assert (tmp_path / "pages" / "docs" / "quickstart.md").read_text() == (
        ROOT / "docs" / "quickstart.md"
    ).read_text()
