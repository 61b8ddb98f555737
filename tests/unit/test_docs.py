"""Links lead somewhere, the index names every page, and diagrams keep to the simplest Mermaid syntax."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.install import ROOT
from hack.site.stage import pages

DOCS = ROOT / "docs"
PAGES = pages()

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_LABEL = r'"[^"\[\]{}|]+"'
_NODE = rf"\w+(?:\[{_LABEL}\]|\[\({_LABEL}\)\])?"
_ARROW = rf"(?:-->|-\.->)(?:\|(?:{_LABEL}|[\w ,:-]+)\|)?"
_STATEMENT = re.compile(rf"{_NODE}(?: {_ARROW} {_NODE})?|subgraph \w+\[{_LABEL}\]|end")


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """File and heading of each link into this repository."""
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if "://" not in target and not target.startswith("mailto:"):
            file, _, heading = target.partition("#")
            yield (page.parent / file).resolve() if file else page, heading


def anchors(page: Path) -> set[str]:
    """The headings and anchors of a page as links name them."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    named = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return named | set(re.findall(r'<a id="([^"]+)"></a>', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for file, heading in links(page):
        assert file.is_file(), f"{file}: a built site has files and no folders"
        assert not heading or heading in anchors(file), f"{file}#{heading}"


def test_the_index_names_every_page() -> None:
    named = {file for file, _ in links(DOCS / "README.md")}
    there = {page for page in PAGES if DOCS in page.parents and page.parent.name != "decisions"}
    at_the_root = {ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")}
    assert (there | at_the_root) - named == {DOCS / "README.md"}


def test_diagrams_use_the_simplest_syntax() -> None:
    diagrams = [text for page in PAGES for text in _DIAGRAM.findall(page.read_text())]
    assert diagrams
    for first, *statements in (text.splitlines() for text in diagrams):
        assert first == "flowchart TD"
        stripped = [statement.strip() for statement in statements]
        assert [statement for statement in stripped if not _STATEMENT.fullmatch(statement)] == []
        opened = sum(statement.startswith("subgraph") for statement in stripped)
        assert opened == stripped.count("end")
