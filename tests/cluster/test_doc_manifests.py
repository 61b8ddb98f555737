"""Every manifest that a page shows is one that the API server takes, word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.kit.cluster import Cluster

_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```$|<<EOF\n(.*?)^EOF$", re.DOTALL | re.MULTILINE)
_NAMESPACE = "default"
"""Of a manifest that leaves it to whoever applies it."""


def _manifests() -> Iterator[tuple[str, str]]:
    """Page and text of each object of the cluster; a Kustomization is none."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for block in _BLOCK.finditer(page.read_text()):
            for text in re.split(r"^---$", block[1] or block[2], flags=re.MULTILINE):
                found: Any = yaml.safe_load(text)
                if isinstance(found, dict) and {"apiVersion", "kind", "metadata"} <= found.keys():
                    yield str(page.relative_to(ROOT)), text


MANIFESTS = tuple(_manifests())


@pytest.fixture(scope="module", autouse=True)
def _prepared(cluster: Cluster) -> Iterator[None]:
    named = {yaml.safe_load(text)["metadata"].get("namespace", _NAMESPACE) for _, text in MANIFESTS}
    with cluster.namespaces(*sorted(named - {_NAMESPACE})):
        yield


@pytest.mark.parametrize(("page", "text"), MANIFESTS, ids=[page for page, _ in MANIFESTS])
def test_the_api_server_takes_it(kubectl: Kubectl, page: str, text: str) -> None:
    """With strict validation: a field that is not known is an error."""
    said = kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    assert said.strip().endswith("(server dry run)")


def test_all_kinds_are_shown() -> None:
    assert {"ZohoSourceConnection", "CRMDataflow", "CRMDataflowRun", "Secret"} <= {
        yaml.safe_load(text)["kind"] for _, text in MANIFESTS
    }
