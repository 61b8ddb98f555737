"""What stands for an image: a program of this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hack.install import ROOT


@dataclass(frozen=True)
class Image:
    """A program that runs in place of all images whose names match."""

    name: str
    """A shell pattern for name and tag, e.g. ``crmflow:*``. ``*`` stands for no slash."""
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """The image's own variables."""
    working_directory: Path = Path("/")
    folders: tuple[Path, ...] = ()
    """Where the program is on this machine. A pod sees them even below a volume that it mounts over them."""

    def settings(self) -> dict[str, object]:
        """As the node reads it."""
        return {
            "Name": self.name,
            "Entrypoint": self.entrypoint,
            "Env": [f"{name}={value}" for name, value in self.environment.items()],
            "WorkingDir": str(self.working_directory),
            "Folders": [str(folder) for folder in self.folders],
        }


def crmflow_image(name: str = "crmflow:*") -> Image:
    """The operator's image: this environment's Python with this repository's code."""
    return Image(
        name,
        entrypoint=(sys.executable, "-m", "crmflow"),
        environment={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"},
        folders=(Path(sys.prefix), Path(sys.base_prefix), ROOT / "operator"),
    )
