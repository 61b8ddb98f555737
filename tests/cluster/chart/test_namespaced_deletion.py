"""A namespace with resources in it goes, although the operator's rights in it go with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.bench import Bench
from tests.kit.shared_release import shared_release
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING

SECONDS = 30
KINDS = (DATAFLOW, CONNECTION)


@pytest.mark.parametrize("first", ["all at once", "rights", "operator"])
def test_a_namespace_goes_and_takes_its_remote_objects_along(
    bench: Bench, tmp_path: Path, first: str
) -> None:
    """Also where the operator is away meanwhile, and has nothing but the token that it keeps at home."""
    with shared_release(bench, tmp_path, 1) as one:
        (tenant,) = one.tenants
        one.pod.start()
        one.pod.wait_ready()
        tenant.make_ready()
        if first == "rights":
            one.take_rights(tenant)
        if first == "operator":
            one.pod.stop()
        tenant.cluster.delete("Namespace", tenant.namespace)
        if first == "operator":
            one.pod.start()
        tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=SECONDS)
        assert tenant.counts() == NOTHING


def test_where_no_right_outlives_the_namespace_what_can_not_go_is_named(bench: Bench, tmp_path: Path) -> None:
    with shared_release(bench, tmp_path, 1, rbac={"clusterWideKinds": False}) as one:
        (tenant,) = one.tenants
        rights = one.rights_in(tenant.namespace)
        one.pod.start()
        one.pod.wait_ready()
        tenant.make_ready()
        base = tenant.get(CONNECTION)["status"]["baseConnection"]["id"]
        one.take_rights(tenant)  # else the resources may go before they do
        tenant.cluster.delete("Namespace", tenant.namespace)
        tenant.wait_metric(
            lambda: [tenant.metric("crmflow_deletions_forbidden", kind=kind) for kind in KINDS] == [1, 1]
        )
        assert f"connection {base}" in one.pod.log
        assert "give them back, and the deletion goes on" in one.pod.log
        assert all(tenant.cluster.find(kind, tenant.name_of(kind), tenant.namespace) for kind in KINDS)

        # Nothing can be created in a namespace that is going: the rights come from outside.
        (role,) = [obj for obj in rights if obj["kind"] == "Role"]
        subject = {"kind": "ServiceAccount", "name": one.pod.service_account, "namespace": one.pod.namespace}
        name = f"{tenant.namespace}-rescue"
        group = "rbac.authorization.k8s.io"
        cluster_role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}}
        binding = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
        reference = {"apiGroup": group, "kind": "ClusterRole", "name": name}
        tenant.cluster.create({**cluster_role, "rules": role["rules"]})
        tenant.cluster.create({**binding, "roleRef": reference, "subjects": [subject]})
        try:
            tenant.cluster.wait_gone("Namespace", tenant.namespace, seconds=2 * SECONDS)
            assert tenant.counts() == NOTHING
        finally:
            tenant.cluster.delete("ClusterRoleBinding", name)
            tenant.cluster.delete("ClusterRole", name)
