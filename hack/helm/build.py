"""Where Helm comes from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hack.console import ToolError
from hack.golang import GoModule

MODULE = GoModule(
    name="helm",
    title="Helm",
    folder=Path(__file__).with_name("binaries"),
    versioned="helm.sh/helm/v4",
    packages={"helm": "helm.sh/helm/v4/cmd/helm"},
    version_variables=("helm.sh/helm/v4/internal/version.version",),
    minutes="about 1 minute",
)


def find_helm() -> str:
    """What ``HELM`` names, else the one in the user's cache, built if need be. Raises ToolError."""
    named = os.environ.get("HELM")
    if not named:
        return str(MODULE.cached_or_built() / "helm")
    path = shutil.which(named)
    if path is None:
        raise ToolError(
            f"HELM={named} is no command: name Helm 3.18 or later, or unset HELM to have it built"
        )
    return path
