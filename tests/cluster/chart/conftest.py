"""Fixtures of the tests of the chart on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.controlplane import ControlPlane
from hack.emulators import Emulators
from hack.helm import Helm, find_helm
from hack.kubectl import Kubectl
from tests.kit.bench import Bench
from tests.kit.cluster import Cluster


@pytest.fixture(scope="session")
def helm(kubectl: Kubectl, controlplane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm as cluster-admin; the kinds are installed."""
    return Helm(find_helm(), tmp_path_factory.mktemp("helm"), controlplane.kubeconfig)


@pytest.fixture(scope="session")
def bench(
    cluster: Cluster,
    kubectl: Kubectl,
    helm: Helm,
    _emulators: Emulators,
    controlplane: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
) -> Bench:
    """Where the operator is tried with the rights that the chart gives it."""
    folder: Path = tmp_path_factory.mktemp("rights")
    return Bench(cluster, kubectl, helm, _emulators, controlplane.audit_log, folder)
