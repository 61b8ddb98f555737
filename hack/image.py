"""Build the operator's image from the Dockerfile alone: ``python -m hack.image``.

docker builds it if its daemon answers, otherwise buildah, which needs none. ``--base`` replaces the base
that the Dockerfile names, for example by a mirror's or one with a digest.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys

from crmflow import __version__
from hack.console import ToolError, say
from hack.install import ROOT

TAG = f"crmflow:{__version__}"
"""What the chart and the manifests name, unless they are told otherwise."""


def find_builder() -> list[str]:
    """``docker build`` or ``buildah build``. Raises ToolError if there is neither."""
    if shutil.which("docker") and _answers("docker", "version"):
        return ["docker", "build"]
    if shutil.which("buildah"):
        return ["buildah", "build"]
    raise ToolError(
        "no image builder found: install docker and start its daemon, or install buildah (Debian, Ubuntu: "
        "apt-get install buildah), which needs no daemon"
    )


def command(builder: list[str], tag: str, base: str | None) -> list[str]:
    """The command line that builds ``tag`` on ``base`` (None: the Dockerfile's default)."""
    arguments = ["--build-arg", f"PYTHON_IMAGE={base}"] if base else []
    return [*builder, "--file", str(ROOT / "Dockerfile"), "--tag", tag, *arguments, str(ROOT)]


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Build the operator's image with docker or buildah.")
    parser.add_argument("--tag", default=TAG, help=f"name of the image (default: {TAG})")
    parser.add_argument("--base", help="base image with Python 3.11 and pip (default: the Dockerfile's)")
    arguments = parser.parse_args()
    try:
        line = command(find_builder(), arguments.tag, arguments.base)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return subprocess.run(line, check=False).returncode


def _answers(*line: str) -> bool:
    return subprocess.run(line, capture_output=True, check=False, timeout=30).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
