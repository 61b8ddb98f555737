"""Where the control plane's binaries come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hack.console import ToolError
from hack.controlplane.build import MODULE

NAMES = tuple(MODULE.packages)


@dataclass(frozen=True)
class Assets:
    """A folder that holds the four binaries."""

    folder: Path

    def binary(self, name: str) -> str:
        """The path of one of :data:`NAMES`."""
        return str(self.folder / name)


def find_assets() -> Assets:
    """The folder that ``KUBEBUILDER_ASSETS`` names, else the user's cache, filled by a build if need be.

    Raises ToolError if that folder is incomplete or the build is impossible.
    """
    named = os.environ.get("KUBEBUILDER_ASSETS")
    return Assets(_checked(Path(named)) if named else MODULE.cached_or_built())


def _checked(folder: Path) -> Path:
    missing = [name for name in NAMES if not os.access(folder / name, os.X_OK)]
    if missing:
        raise ToolError(
            f"KUBEBUILDER_ASSETS={folder} has no {', '.join(missing)}: "
            "put the missing binaries of the same Kubernetes version there, "
            "or unset KUBEBUILDER_ASSETS to have all of them built"
        )
    return folder
