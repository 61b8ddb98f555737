"""The deletion of a resource by the operator, on a real API server: only as it was read."""

from __future__ import annotations

from pathlib import Path

import pytest

from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.runtime.kubernetes.api_server import ApiServer
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import NotFoundError, StaleError
from tests.kit import manifests
from tests.kit.cluster import Cluster


async def test_a_resource_is_removed_only_as_it_was_read(
    cluster: Cluster, namespace: str, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No kind that has a time to live exists yet, so cluster-admin stands in for its rights."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    api_server = ApiServer()
    await api_server.load()
    kubernetes = Kubernetes(api_server.connect())
    try:
        read = cluster.create(manifests.dataflow(namespace))
        name = read["metadata"]["name"]
        changed = cluster.annotate("CRMDataflow", name, namespace, reconcile_requested_at="now")
        with pytest.raises(StaleError):
            await kubernetes.delete(CRM_DATAFLOW, read)
        assert cluster.find("CRMDataflow", name, namespace) is not None
        await kubernetes.delete(CRM_DATAFLOW, changed)
        assert cluster.find("CRMDataflow", name, namespace) is None
        with pytest.raises(NotFoundError):
            await kubernetes.delete(CRM_DATAFLOW, changed)
    finally:
        await kubernetes.close()
