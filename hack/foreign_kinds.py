"""The kinds of other projects that our manifests use, out of these projects' own Go modules.

``python -m hack.foreign_kinds`` makes sure that they are there, and prints their paths.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hack.console import Step, ToolError, say
from hack.golang import cache_folder, find_go


@dataclass(frozen=True)
class ForeignKind:
    """A CustomResourceDefinition in a Go module of one version."""

    module: str
    version: str
    sum: str
    """The module's hash, as ``go.sum`` holds it: what was downloaded is what was reviewed."""
    path: str
    """The file in the module."""

    @property
    def file(self) -> Path:
        """Where it is kept."""
        name = Path(self.path).name
        return cache_folder() / "kinds" / f"{self.module.replace('/', '_')}@{self.version}" / name


KINDS = {
    "Application": ForeignKind(
        "github.com/argoproj/argo-cd/v3",
        "v3.5.7",
        "h1:Xm1BF+I5OgDKUG3SDK49vn2/Y5AMyaNVko+/JT08gj0=",
        "manifests/crds/application-crd.yaml",
    ),
    "GitRepository": ForeignKind(
        "github.com/fluxcd/source-controller",
        "v1.9.6",
        "h1:nG534/bI6nVpyHra7ONAk6xDB3xPsVT+EOLHZHXPrrc=",
        "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
    ),
    "HelmRelease": ForeignKind(
        "github.com/fluxcd/helm-controller",
        "v1.6.0",
        "h1:jlS5X11SG26gspubB5aLrdVSCm0q0tA4ULsY+vwSkL0=",
        "config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml",
    ),
    "Kustomization": ForeignKind(
        "github.com/fluxcd/kustomize-controller",
        "v1.9.6",
        "h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE=",
        "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    ),
    "PrometheusRule": ForeignKind(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.88.0",
        "h1:3T/dCQdk7CUVRqVfwRHoC5g66fC/ML6XQQLtQVL6Q5o=",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    "ServiceMonitor": ForeignKind(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.88.0",
        "h1:3T/dCQdk7CUVRqVfwRHoC5g66fC/ML6XQQLtQVL6Q5o=",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
}


def foreign_kind(name: str) -> Path:
    """The file with a CustomResourceDefinition, fetched if need be. Raises ToolError."""
    kind = KINDS[name]
    if not kind.file.exists():
        with Step(f"Fetching the kind {name} of {kind.module} {kind.version}"):
            _keep(kind, _fetched(kind))
    return kind.file


def _fetched(kind: ForeignKind) -> bytes:
    """The file, out of a module cache that is thrown away: some of these modules are large."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {
            **os.environ,
            "GOFLAGS": "-modcacherw",
            "GOMODCACHE": directory,
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }
        command = [find_go(cache_folder()), "mod", "download", "-json", f"{kind.module}@{kind.version}"]
        answer = subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise ToolError(f"{' '.join(command)}: {answer.stdout}{answer.stderr}")
        module = json.loads(answer.stdout)
        if module["Sum"] != kind.sum:
            raise ToolError(f"{kind.module} {kind.version} is {module['Sum']}, not {kind.sum}")
        return (Path(module["Dir"]) / kind.path).read_bytes()


def _keep(kind: ForeignKind, content: bytes) -> None:
    kind.file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=kind.file.parent, delete=False) as unfinished:
        unfinished.write(content)
    Path(unfinished.name).rename(kind.file)


def main() -> int:
    """Print the paths; a failure that the person can cure is printed without a stack trace."""
    try:
        for name in KINDS:
            print(foreign_kind(name))
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
