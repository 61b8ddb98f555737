"""The documentation as a site, as a reader's browser shows it, without anything from another host."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Page, expect

from hack.install import ROOT
from hack.site.__main__ import build
from hack.site.stage import navigation, pages

WIDE = {"width": 1440, "height": 900}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def built() -> Path:
    """The folder with the site, whose links have been checked."""
    return build()


@pytest.fixture(scope="module")
def site(built: Path) -> Iterator[str]:
    """The address of the site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=built)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def reader(page: Page, site: str) -> Iterator[Page]:
    """Somebody at a desk. Nothing may be asked of any host but the site's own."""
    asked: list[str] = []
    page.set_viewport_size(WIDE)
    page.on("request", lambda request: asked.append(request.url))
    yield page
    assert [url for url in asked if not url.startswith((site, "data:", "blob:"))] == []


def test_the_index_leads_to_every_part(reader: Page, site: str) -> None:
    reader.goto(f"{site}/docs/")
    for entry in navigation():
        for title in entry:
            expect(reader.locator(".md-tabs")).to_contain_text(title)
    reader.locator("article").get_by_role("link", name="Quickstart").click()
    expect(reader.locator("article h1")).to_contain_text("Quickstart")


@pytest.mark.parametrize("reason", ["ReplacementRequired", "SecretNotFound", "AddressBlocked"])
def test_the_search_finds_a_reason(reader: Page, site: str, reason: str) -> None:
    reader.goto(site)
    reader.get_by_role("button", name="Search").first.click()
    reader.get_by_role("combobox", name="Search").fill(reason)
    found = reader.get_by_role("option").filter(has_text=reason)
    found.first.click()
    expect(reader.locator("article")).to_contain_text(reason)


def test_it_becomes_dark(reader: Page, site: str) -> None:
    reader.goto(site)
    body = reader.locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    reader.get_by_title("Switch to dark mode").click()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    reader.goto(f"{site}/docs/concepts/")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")


@pytest.mark.parametrize("path", ["", "docs/concepts/", "docs/architecture/"])
def test_its_diagrams_are_drawn(reader: Page, site: str, path: str) -> None:
    source = ROOT / (f"{path.rstrip('/')}.md" if path else "README.md")
    drawn = source.read_text().count("```mermaid")
    reader.goto(f"{site}/{path}")
    diagrams = reader.locator("article div.mermaid")
    expect(diagrams).to_have_count(drawn)
    expect(reader.locator("article pre.mermaid")).to_have_count(0)
    for index in range(drawn):
        box = diagrams.nth(index).bounding_box()
        assert box
        assert box["width"] > 100
        assert box["height"] > 100


def test_its_pictures_are_shown(reader: Page, site: str) -> None:
    reader.goto(site)
    picture = reader.get_by_role("img", name=re.compile("What the demo prints"))
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 0


class _Outline(HTMLParser):
    """How many of each element a page has that Markdown readers may understand in two ways."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("ol", "ul", "li", "pre", "table", "tr", "h1", "h2", "h3", "h4", "img", "blockquote"):
            self.counts[tag] += 1


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_reads_the_same_on_a_forge(built: Path, page: Path) -> None:
    forge = MarkdownIt("commonmark", {"html": True}).enable("table")
    name = page.relative_to(ROOT)
    file = built / (name.parent if name.name == "README.md" else name.with_suffix("")) / "index.html"
    _, _, shown = file.read_text().partition("<article")
    assert (
        _Outline(shown.partition("</article>")[0]).counts == _Outline(forge.render(page.read_text())).counts
    )
