"""The examples for Argo CD and Flux are what their own kinds accept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.console import ToolError
from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.kit.cluster import Cluster

DEPLOY = ROOT / "deploy"
EXAMPLES = sorted([*(DEPLOY / "argocd").glob("*.yaml"), *(DEPLOY / "flux").glob("*.yaml")])
NAMESPACES = ("argocd", "flux-system")


@pytest.fixture(scope="module", autouse=True)
def _prepared(cluster: Cluster, foreign_kinds: None) -> Iterator[None]:
    with cluster.namespaces(*NAMESPACES):
        yield


def _apply(kubectl: Kubectl, text: str) -> str:
    options = ["--server-side", "--dry-run=server", "--validate=strict"]
    return kubectl("apply", *options, "-f", "-", stdin=text)


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{path.parent.name}-{path.stem}" for path in EXAMPLES])
def test_it_is_accepted(kubectl: Kubectl, example: Path) -> None:
    assert "serverside-applied (server dry run)" in _apply(kubectl, example.read_text())


@pytest.mark.parametrize(
    ("file", "field", "wrong"),
    [
        ("argocd/application-operator.yaml", "selfHeal: true", "selfHeals: true"),
        ("argocd/application-resources.yaml", "prune: true", "prune: sometimes"),
        ("flux/operator.yaml", "reconcileStrategy: Revision", "reconcileStrategy: Always"),
        ("flux/resources.yaml", "prune: true", "pruning: true"),
        ("flux/source.yaml", "interval: 5m", "interval: five minutes"),
    ],
)
def test_what_they_do_not_know_is_refused(kubectl: Kubectl, file: str, field: str, wrong: str) -> None:
    text = (DEPLOY / file).read_text()
    assert field in text
    with pytest.raises(ToolError, match=wrong.partition(":")[0]):
        _apply(kubectl, text.replace(field, wrong))
