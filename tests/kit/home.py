"""An operator's own namespace."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.kit.cluster import Cluster

_RIGHTS = Path(__file__).resolve().parents[2] / "deploy" / "base" / "rbac.yaml"


def make_home(cluster: Cluster, name: str) -> None:
    """Create the namespace, with the rights in it that ``deploy/base`` gives the operator in its own."""
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for manifest in yaml.safe_load_all(_RIGHTS.read_text()):
        if manifest["kind"] in ("Role", "RoleBinding"):
            manifest["metadata"]["namespace"] = name
            cluster.create(manifest)
