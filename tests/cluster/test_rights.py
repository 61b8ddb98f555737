"""The operator's ServiceAccount may do what it does, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.install import NAMESPACE
from tests.kit.cluster import Cluster

OURS = "crmflow.io"

# verb, API group, resource (with subresource), name
ALLOWED = [
    *[
        (verb, OURS, plural, "")
        for verb in ("get", "list", "watch", "patch")
        for plural in ("zohosourceconnections", "crmdataflows")
    ],
    ("patch", OURS, "zohosourceconnections/status", ""),
    ("patch", OURS, "crmdataflows/status", ""),
    ("get", "", "secrets", ""),
    ("list", "", "secrets", ""),
    ("watch", "", "secrets", ""),
    ("create", "events.k8s.io", "events", ""),
    ("patch", "events.k8s.io", "events", ""),
    ("get", "", "namespaces", "kube-system"),
    ("get", "coordination.k8s.io", "leases", "another"),
]
REFUSED = [
    ("create", OURS, "zohosourceconnections", ""),
    ("update", OURS, "zohosourceconnections", ""),
    ("delete", OURS, "zohosourceconnections", ""),
    ("create", OURS, "crmdataflows", ""),
    ("update", OURS, "crmdataflows", ""),
    ("delete", OURS, "crmdataflows", ""),
    ("update", OURS, "crmdataflows/status", ""),
    ("create", "", "secrets", ""),
    ("update", "", "secrets", ""),
    ("patch", "", "secrets", ""),
    ("delete", "", "secrets", ""),
    ("get", "", "namespaces", "default"),
    ("list", "", "namespaces", ""),
    ("get", "", "pods", ""),
    ("get", "", "configmaps", ""),
    ("list", "apiextensions.k8s.io", "customresourcedefinitions", ""),
    ("create", "", "serviceaccounts/token", ""),
    ("impersonate", "", "users", ""),
    ("create", "coordination.k8s.io", "leases", ""),
    ("list", "coordination.k8s.io", "leases", ""),
    ("update", "coordination.k8s.io", "leases", "crmflow"),
]


@pytest.fixture(scope="module")
def operator_client(operator_identity: Path) -> Iterator[Cluster]:
    client = Cluster(operator_identity)
    yield client
    client.close()


@pytest.mark.parametrize(("verb", "group", "resource", "name"), ALLOWED)
def test_the_operator_may(operator_client: Cluster, verb: str, group: str, resource: str, name: str) -> None:
    assert operator_client.may(verb, group, resource, name)


@pytest.mark.parametrize(("verb", "group", "resource", "name"), REFUSED)
def test_the_operator_may_not(
    operator_client: Cluster, verb: str, group: str, resource: str, name: str
) -> None:
    assert not operator_client.may(verb, group, resource, name)


def test_the_operator_holds_its_lease_and_reads_those_of_others(operator_client: Cluster) -> None:
    """A resource says by its Lease which installation serves it, and the Lease whether that is there."""
    for name in ("crmflow", "other"):
        assert operator_client.may("get", "coordination.k8s.io", "leases", name, NAMESPACE)
    assert operator_client.may("update", "coordination.k8s.io", "leases", "crmflow", NAMESPACE)
    assert not operator_client.may("update", "coordination.k8s.io", "leases", "other", NAMESPACE)
    assert operator_client.may("create", "coordination.k8s.io", "leases", "", NAMESPACE)


def test_it_runs_jobs_in_its_own_namespace_alone(operator_client: Cluster) -> None:
    """Of pods it sees how they are; a Job's pods are the Job controller's to make and to delete."""
    jobs = {"list", "watch", "create", "delete"}
    pods = {"list", "watch"}
    for verb in jobs | {"get", "update", "patch", "deletecollection"}:
        assert operator_client.may(verb, "batch", "jobs", "", NAMESPACE) == (verb in jobs)
        assert operator_client.may(verb, "", "pods", "", NAMESPACE) == (verb in pods)
        assert not operator_client.may(verb, "batch", "jobs", "")
        assert not operator_client.may(verb, "", "pods", "")
    for resource in ("pods/exec", "pods/log", "pods/ephemeralcontainers"):
        assert not operator_client.may("create", "", resource, "", NAMESPACE)
