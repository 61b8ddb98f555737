"""``python -m hack.site``: build the documentation into ``build/site``, and check every link in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from hack.console import Step, ToolError, say
from hack.install import ROOT
from hack.site.check import problems
from hack.site.mermaid import fetch_mermaid
from hack.site.stage import SCRIPT, stage

_BUILD = ROOT / "build"
SITE = _BUILD / "site"
_STAGED = _BUILD / "site-source"
_SETTINGS = _BUILD / "zensical.toml"
_ZENSICAL = _BUILD / "site-tools" / "bin" / "zensical"


def build() -> Path:
    """The folder with the built site. Raises ToolError when a link leads nowhere."""
    with Step("Building the documentation"):
        stage(_STAGED, _SETTINGS)
        shutil.copy(fetch_mermaid(), _STAGED / SCRIPT)
        shutil.rmtree(SITE, ignore_errors=True)
        command = [str(_ZENSICAL), "build", "--strict", "--clean", "--config-file", str(_SETTINGS)]
        answer = subprocess.run(command, cwd=_BUILD, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise ToolError(f"{answer.stdout}{answer.stderr}".strip())
        if found := list(problems(SITE)):
            raise ToolError("\n".join(found))
    return SITE


def main() -> int:
    """Build, and print where the site is."""
    try:
        print(build() / "index.html")
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
