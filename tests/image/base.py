"""A stand-in for the Dockerfile's base image, made of Debian's packages.

It has what the Dockerfile relies on in ``python:3.11-slim``: Python 3.11 as ``python``, and a pip that can be
removed. debootstrap takes minutes, so its result is kept in the user's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hack.console import Step, ToolError
from tests.image.buildah import Buildah

SUITE = "bookworm"
"""The Debian whose Python is 3.11."""
NAME = "localhost/crmflow-python:debian"
_PACKAGES = ("ca-certificates", "python3", "python3-venv")
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")


def make_base(buildah: Buildah, cache: Path) -> str:
    """Put the image into the storage of ``buildah``; its name."""
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, str(_debian(cache)), "/")
    root = Path(buildah("mount", container))
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink(missing_ok=True)
    _install_pip(root / "usr/local/lib/python3.11/dist-packages")
    # Whatever this machine trusts to reach a package index, and which one it uses, holds in here too.
    shutil.copyfile(_AUTHORITIES, root / _AUTHORITIES.relative_to("/"))
    settings = {name: os.environ[name] for name in _PIP_SETTINGS if name in os.environ}
    for name, value in {"PIP_CERT": str(_AUTHORITIES), **settings}.items():
        buildah("config", "--env", f"{name}={value}", container)
    buildah("unmount", container)
    buildah("commit", "--quiet", "--rm", container, NAME)
    return NAME


def _debian(cache: Path) -> Path:
    """A tar file of a minimal Debian with Python."""
    archive = cache / f"debian-{SUITE}-python.tar"
    if archive.exists():
        return archive
    if not shutil.which("debootstrap"):
        raise ToolError("no debootstrap found: apt-get install debootstrap")
    cache.mkdir(parents=True, exist_ok=True)
    tree, partial = cache / f"debian-{SUITE}", archive.with_suffix(".part")
    shutil.rmtree(tree, ignore_errors=True)
    with Step(f"Making a Debian {SUITE} with Python (about 4 minutes, once)"):
        packages = f"--include={','.join(_PACKAGES)}"
        _run("debootstrap", "--variant=minbase", packages, SUITE, str(tree))
        _run("tar", "--create", f"--file={partial}", f"--directory={tree}", "--exclude=./dev/*", ".")
    shutil.rmtree(tree)
    return partial.rename(archive)


def _install_pip(site_packages: Path) -> None:
    """pip of its own, not Debian's, which pip itself would refuse to remove."""
    target = ["--target", str(site_packages), "--python-version", "3.11", "--only-binary", ":all:"]
    _run(sys.executable, "-m", "pip", "install", "--quiet", *target, "pip", "setuptools", "wheel")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"{command[0]} failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")
