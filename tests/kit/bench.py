"""A control plane, the tools of a cluster-admin and the emulators, which many tests share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hack.emulators import Emulators
from hack.helm import Helm
from hack.kubectl import Kubectl
from tests.kit.cluster import Cluster


@dataclass(frozen=True)
class Bench:
    """Where releases of the chart are installed and tried, one after the other."""

    cluster: Cluster
    kubectl: Kubectl
    helm: Helm
    emulators: Emulators
    audit_log: Path
    directory: Path
