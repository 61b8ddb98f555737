"""Azurite is installed once, from pinned packages, with a Node.js that is new enough."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hack.azurite import azurite_command
from hack.azurite.nodejs import find_node
from hack.console import ToolError
from hack.install import ROOT

LOCK = ROOT / "hack" / "azurite" / "package-lock.json"

# Stands for npm: "installs" the program that Azurite's package has.
FAKE_NPM = """#!/bin/sh
echo "$1" >> "$FAKE_NPM_LOG"
[ -z "$FAKE_NPM_FAILS" ] || { echo "no such package"; exit 1; }
mkdir -p node_modules/azurite/dist/src/blob
touch node_modules/azurite/dist/src/blob/main.js
"""


def program(file: Path, text: str) -> None:
    """An executable script."""
    file.write_text(text)
    file.chmod(0o755)


@pytest.fixture
def npm_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A fake Node.js and npm on PATH and an empty cache; call it for the commands that npm was given."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program(tools / "node", '#!/bin/sh\necho "v${FAKE_NODE_VERSION}"\n')
    program(tools / "npm", FAKE_NPM)
    log = tmp_path / "npm.log"
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_NODE_VERSION", "22.1.0")
    monkeypatch.setenv("FAKE_NPM_LOG", str(log))
    monkeypatch.setenv("FAKE_NPM_FAILS", "")
    return lambda: log.read_text().split() if log.exists() else []


def test_it_is_installed_once(npm_log: Callable[[], list[str]]) -> None:
    command = azurite_command()
    assert Path(command[-1]).exists()
    assert azurite_command() == command
    assert npm_log() == ["ci"]


def test_a_failed_installation_leaves_nothing(
    npm_log: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NPM_FAILS", "yes")
    with pytest.raises(ToolError, match="no such package"):
        azurite_command()
    monkeypatch.setenv("FAKE_NPM_FAILS", "")
    azurite_command()
    assert npm_log() == ["ci", "ci"]


@pytest.mark.parametrize(("version", "on_path"), [("22.1.0", True), ("20.20.2", False)])
def test_an_old_node_is_not_used(
    npm_log: Callable[[], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    on_path: bool,
) -> None:
    monkeypatch.setenv("FAKE_NODE_VERSION", version)
    pinned = (ROOT / "hack" / "azurite" / "nodejs.txt").read_text().split("==")[1].split()[0]
    wheel = tmp_path / f"nodejs-{pinned}"
    wheel.mkdir()  # as if it had been installed before
    node = find_node(tmp_path)
    assert (Path(node.program).parent == tmp_path / "tools") == on_path
    assert node.program.startswith(str(wheel)) != on_path


def test_the_lock_holds_hashes_and_no_address() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    del packages[""]
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())
