"""buildah with a storage of its own, in chroot isolation: it needs root, and no daemon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hack.console import ToolError


class Buildah:
    """The command on the storage in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        storage = directory / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "vfs"\n'
            f'graphroot = "{directory / "graph"}"\nrunroot = "{directory / "run"}"\n'
        )
        self.environment = {
            **os.environ,
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(storage),
        }
        if os.geteuid() != 0 or not shutil.which("buildah"):
            raise ToolError("the image test needs root and buildah: apt-get install buildah")

    def __call__(self, *arguments: str) -> str:
        """Run ``buildah ARGUMENTS``; its output."""
        done = subprocess.run(
            ["buildah", *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ToolError(f"buildah {arguments[0]}: {done.stderr.strip()[-2000:]}")
        return done.stdout.strip()

    def config(self, image: str) -> Any:
        """The configuration of an image, as the OCI image specification has it."""
        return json.loads(self("inspect", "--type=image", image))["OCIv1"]["config"]

    def close(self) -> None:
        """Remove the storage."""
        subprocess.run(["buildah", "rm", "--all"], env=self.environment, capture_output=True, check=False)
        shutil.rmtree(self._directory / "graph", ignore_errors=True)
