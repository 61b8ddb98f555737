"""A Helm command line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from hack.console import ToolError


class Helm:
    """One helm binary, with nothing of the person's own configuration, on one cluster or on none."""

    def __init__(self, binary: str, home: Path, kubeconfig: Path | None = None) -> None:
        """``home`` is where Helm may keep its own files. Without ``kubeconfig`` only local commands work."""
        self._binary = binary
        folders = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        self._environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
            **folders,
            "KUBECONFIG": str(kubeconfig) if kubeconfig else os.devnull,
        }

    def __call__(self, *arguments: str) -> str:
        """Run ``helm ARGUMENTS`` and return its output. Raises ToolError with Helm's message."""
        answer = subprocess.run(
            [self._binary, *arguments], env=self._environment, capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise ToolError(f"helm {' '.join(arguments)}: {answer.stdout.strip()}\n{answer.stderr.strip()}")
        return answer.stdout
