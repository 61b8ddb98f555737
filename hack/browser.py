"""Chromium for the browser tests: found, or installed where that takes no question.

``python -m hack.browser`` prints where it is. Playwright's own download of browsers is not used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from hack.console import Step, ToolError, say

_COMMANDS = ("chromium", "chromium-browser", "google-chrome")
# A font beside it, without which a page is all boxes.
_PACKAGES = ("chromium", "fonts-dejavu-core")


def find_browser() -> str:
    """The path of a Chromium; ``CHROMIUM`` names one that is not on the PATH. Raises ToolError."""
    for command in (os.environ.get("CHROMIUM"), *_COMMANDS):
        if command and (path := shutil.which(command)):
            return path
    raise ToolError(
        "no Chromium found: install it (Debian, Ubuntu: apt-get install chromium), or name it: "
        "CHROMIUM=/path/to/chromium"
    )


def main() -> int:
    """Print the path of a Chromium, after installing Debian's package if root asks for it."""
    try:
        try:
            path = find_browser()
        except ToolError:
            if os.geteuid() != 0 or not shutil.which("apt-get"):
                raise
            _install()
            path = find_browser()
    except ToolError as error:
        say(f"error: {error}")
        return 1
    print(path)
    return 0


def _install() -> None:
    with Step("Installing Debian's Chromium for the browser tests"):
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *_PACKAGES]):
            done = subprocess.run(
                ["apt-get", "-qq", *arguments],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise ToolError(f"apt-get {arguments[0]} failed:\n{done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
