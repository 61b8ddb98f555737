"""Prometheus and promtool for the tests of alerts: found, or Debian's package unpacked into the user's cache.

``python -m hack.prometheus`` makes sure that they are there, and prints their folder. Nothing is installed:
the package would start a service. Built from source, Prometheus would take longer than all tests that use it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hack.console import Step, ToolError, say
from hack.golang import cache_folder

_PROGRAMS = ("prometheus", "promtool")
_PACKAGE = "prometheus"


def find_prometheus(program: str = "prometheus") -> str:
    """The path of one of the programs: on PATH, or in the cache. Raises ToolError."""
    unpacked = _cached() / "usr" / "bin" / program
    path = shutil.which(program) or (str(unpacked) if unpacked.exists() else None)
    if path is None:
        raise ToolError(
            f"no {program} found: run make prometheus, or, where there is no apt, install Prometheus "
            "(https://prometheus.io/docs/prometheus/latest/installation) and put it on PATH"
        )
    return path


def main() -> int:
    """Print where the programs are, after fetching Debian's package if need be."""
    try:
        try:
            found = [find_prometheus(program) for program in _PROGRAMS]
        except ToolError:
            if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
                raise
            _unpack(_cached())
            found = [find_prometheus(program) for program in _PROGRAMS]
    except ToolError as error:
        say(f"error: {error}")
        return 1
    print("\n".join(found))
    return 0


def _cached() -> Path:
    return cache_folder() / "prometheus"


def _unpack(folder: Path) -> None:
    unfinished = folder.with_name(f"{folder.name}.unfinished.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        with Step("Fetching Debian's Prometheus for the tests of alerts"):
            if not _run("apt-get", "-qq", "download", _PACKAGE, folder=unfinished):
                # No list of packages yet, or an old one. Only root can have it brought up to date.
                _run("apt-get", "-qq", "update", folder=unfinished, must=os.geteuid() == 0)
                _run("apt-get", "-qq", "download", _PACKAGE, folder=unfinished, must=True)
            [package] = unfinished.glob("*.deb")
            _run("dpkg-deb", "--extract", str(package), str(unfinished), folder=unfinished, must=True)
            package.unlink()
        try:
            unfinished.rename(folder)
        except OSError:  # somebody else was faster
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _run(*command: str, folder: Path, must: bool = False) -> bool:
    """Whether it succeeded; raises ToolError if it ``must``."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and must:
        raise ToolError(f"{' '.join(command[:3])} failed:\n{done.stderr.strip()[-2000:]}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
