"""Install Azurite from the packages that ``package-lock.json`` pins, each held by its hash.

The lock names no registry: npm's own configuration says where packages come from. Make it anew with
``npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.azurite.nodejs import Node, find_node
from hack.console import Step, ToolError, say
from hack.golang import cache_folder

_FOLDER = Path(__file__).parent
_PINNED = ("package.json", "package-lock.json")
_PROGRAM = Path("node_modules", "azurite", "dist", "src", "blob", "main.js")


def azurite_command() -> list[str]:
    """The command of the blob service, without options; installed first if need be. Raises ToolError."""
    cache = cache_folder()
    folder = cache / "azurite" / f"{_version()}-{_fingerprint()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_installer(folder.parent / "install.lock"):
        node = find_node(cache)
        if not folder.exists():
            _install(node, folder)
    return [node.program, str(folder / _PROGRAM)]


def _version() -> str:
    version: str = json.loads((_FOLDER / "package.json").read_text())["dependencies"]["azurite"]
    return version


def _fingerprint() -> str:
    content = b"".join((_FOLDER / name).read_bytes() for name in _PINNED)
    return hashlib.sha256(content).hexdigest()[:12]


@contextmanager
def _only_installer(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Azurite is being installed by another process: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(node: Node, folder: Path) -> None:
    """Fill ``folder``, which appears only when it is complete. No script of a package is run."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    for name in _PINNED:
        shutil.copy(_FOLDER / name, unfinished)
    command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    with Step(f"Installing Azurite {_version()} into {folder} (about 2 minutes, once)"):
        answer = subprocess.run(
            command, cwd=unfinished, env=_environment(node), capture_output=True, text=True, check=False
        )
    if answer.returncode:
        raise ToolError(f"npm ci failed:\n{answer.stdout[-2000:]}{answer.stderr[-2000:]}")
    unfinished.rename(folder)


def _environment(node: Node) -> dict[str, str]:
    """npm finds the Node that was chosen, not another one on PATH."""
    path = os.pathsep.join([str(Path(node.program).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path}
