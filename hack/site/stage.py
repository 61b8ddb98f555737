"""Put together what Zensical builds: the pages where they stand in the repository, so that their links hold,
the files that they link to, and a navigation read from ``docs/README.md``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from hack.install import ROOT

FOLDERS = ("docs", "tests", "charts", "deploy", "hack")
"""Where pages stand, beside the root."""
SCRIPT = "mermaid.min.js"
_SETTINGS = Path(__file__).with_name("zensical.toml")
_INDEX = ROOT / "docs" / "README.md"

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!`)\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")

NavEntry = dict[str, "str | list[NavEntry]"]


def pages() -> list[Path]:
    """Every page of the documentation."""
    below = (page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))
    return sorted([*ROOT.glob("*.md"), *below])


def linked_files(page: Path) -> Iterator[Path]:
    """The files of the repository that a page links to or shows."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in [*(link for _, link in _LINK.findall(text)), *_IMAGE.findall(text)]:
        path = target.partition("#")[0]
        if path and "://" not in target and not target.startswith("mailto:"):
            yield (page.parent / path).resolve()


def stage(folder: Path, settings: Path) -> None:
    """Fill ``folder`` with the pages and what they link to, and write Zensical's ``settings``."""
    shutil.rmtree(folder, ignore_errors=True)
    for page in pages():
        for file in (page, *linked_files(page)):
            copy = folder / file.relative_to(ROOT)
            if file.is_file() and not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copy)
    own = f"docs_dir = {json.dumps(folder.name)}\nnav = {_toml(navigation())}\n"
    settings.write_text(_SETTINGS.read_text(encoding="utf-8").replace("# pages\n", own), encoding="utf-8")


def navigation() -> list[NavEntry]:
    """The index as a tree: its headings, and below each the pages that it names there, each page once."""
    tree: list[NavEntry] = [{"crmflow": "README.md"}, {"Documentation": "docs/README.md"}]
    seen = {ROOT / "README.md", _INDEX}
    section: list[NavEntry] = []
    group = section
    for line in _INDEX.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = group = []
            tree.append({line[3:]: section})
        elif line.startswith("### "):
            group = []
            section.append({line[4:]: group})
        else:
            for title, target in _LINK.findall(line):
                page = (_INDEX.parent / target.partition("#")[0]).resolve()
                if page.suffix == ".md" and page not in seen:
                    seen.add(page)
                    name = title.replace("`", "")
                    group.append({name[0].upper() + name[1:]: page.relative_to(ROOT).as_posix()})
    return tree


def _toml(entries: list[NavEntry]) -> str:
    """Inline tables, as TOML writes what JSON calls objects."""
    rows = (
        f"{{ {json.dumps(title)} = {_toml(value) if isinstance(value, list) else json.dumps(value)} }}"
        for entry in entries
        for title, value in entry.items()
    )
    return f"[{', '.join(rows)}]"
