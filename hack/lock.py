"""Write ``requirements/*.txt`` anew from ``pyproject.toml``: newest versions that fit, each held by hashes.

uv resolves for every platform at once and writes no index address. It lives in an environment of its own,
so that the lock does not depend on what it locks.
"""

from __future__ import annotations

import subprocess
import sys

from hack.console import Step
from hack.install import ROOT

_UV_VERSION = "0.13.9"
_ENVIRONMENT = ROOT / "build" / f"uv-{_UV_VERSION}"
_LISTS = {
    "runtime": ["pyproject.toml"],
    "build": ["--group", "build"],
    "dev": ["pyproject.toml", "--group", "dev", "--extra", "cli"],
    "pictures": ["requirements/pictures.in"],
    "site": ["requirements/site.in"],
}
"""What the operator runs with, what builds its package, what development needs, what draws pictures,
and what builds the documentation's site."""
_OPTIONS = ["--universal", "-p", "3.11", "--generate-hashes", "--no-header", "--no-annotate", "--upgrade"]


def main() -> None:
    """Install uv if need be, and resolve the lists."""
    uv = _ENVIRONMENT / "bin" / "uv"
    if not uv.exists():
        with Step(f"Installing uv {_UV_VERSION}"):
            _run(sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENT))
            _run(str(_ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "-q", f"uv=={_UV_VERSION}")
    for name, what in _LISTS.items():
        with Step(f"Resolving requirements/{name}.txt"):
            _run(str(uv), "pip", "compile", "-q", *_OPTIONS, *what, "-o", f"requirements/{name}.txt")


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
