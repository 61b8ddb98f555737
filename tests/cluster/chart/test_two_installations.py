"""Two installations that are told to serve the same namespace: each resource has one of them at a time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kit.bench import Bench
from tests.kit.cluster import Cluster, Object
from tests.kit.pod import Pod
from tests.kit.release import emulated, installed
from tests.kit.tenant import CONNECTION, DATAFLOW, ONE_OF_EACH, Tenant

KINDS = (CONNECTION, DATAFLOW)
TAKEOVER = 4
"""Seconds after which they take over from one another."""
SECONDS = 60
"""For a hand-over, with the looks at a Lease that are ten seconds apart."""
LEFT = "crmflow_resources_served_by_another"


class Installed:
    """One of the two: its Pod, and the tenant as it sees it."""

    def __init__(self, pod: Pod, tenant: Tenant, lease: str) -> None:
        self.pod = pod
        self.tenant = tenant
        self.name = f"{pod.namespace}/{lease}"

    def start(self) -> None:
        self.pod.start()
        self.pod.wait_ready()

    def leaves(self, count: int) -> None:
        """Wait until it leaves so many resources alone."""
        try:
            self.tenant.wait_metric(lambda: self.tenant.metric(LEFT) == count, seconds=SECONDS)
        except AssertionError:
            print(f"{self.name} leaves {self.tenant.metric(LEFT):g} alone and says:\n{self.pod.log[-8000:]}")
            raise


@pytest.fixture
def two(
    bench: Bench, namespace: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[list[Installed]]:
    """Two releases with instances and namespaces of their own; neither runs yet."""
    bench.emulators.control.reset()
    _clear(bench.cluster)
    settings = emulated(bench.emulators, tmp_path)
    settings["settings"] = {**settings["settings"], "takeoverAfter": f"{TAKEOVER}s"}  # type: ignore[dict-item]
    found = []
    with ExitStack() as stack:
        for number in range(2):
            values = {**settings, "instance": f"installation-{number}", **getattr(request, "param", {})}
            if "watchNamespaces" in values:
                values["watchNamespaces"] = [namespace]
            if number:
                values["rbac"] = {**values.get("rbac", {}), "aggregateClusterRoles": False}  # type: ignore[dict-item]
                values["fullnameOverride"] = f"second-{uuid.uuid4().hex[:6]}"
            release = stack.enter_context(installed(bench.helm, bench.kubectl, values))
            fullname = str(values.get("fullnameOverride", release.fullname))
            name = f"pod-{uuid.uuid4().hex[:6]}"
            pod = Pod(bench.kubectl, release.namespace, fullname, tmp_path, name)
            stack.callback(pod.close)
            tenant = Tenant(bench.cluster, bench.emulators, pod, namespace, lambda *_: None)
            found.append(Installed(pod, tenant, fullname))
        yield found


def _clear(cluster: Cluster) -> None:
    """An installation that serves the whole cluster would count what an earlier test has left, too."""
    left = [obj["metadata"] for kind in KINDS for obj in cluster.list(kind)]
    for namespace in {metadata["namespace"] for metadata in left}:
        cluster.abandon_namespace(namespace)


def served_by(tenant: Tenant) -> set[str]:
    """Who serves both resources, by their status."""
    return {str(tenant.get(kind)["status"].get("servedBy")) for kind in KINDS}


def warnings(tenant: Tenant) -> list[Object]:
    return [event for event in tenant.cluster.list("Event", tenant.namespace) if event["type"] == "Warning"]


@pytest.mark.parametrize(
    "two", [{}, {"watchNamespaces": ["of the test"]}], indirect=True, ids=["cluster-wide", "namespaced"]
)
def test_the_second_one_leaves_what_the_first_one_serves_alone_and_says_so(two: list[Installed]) -> None:
    first, second = two
    first.start()
    first.tenant.make_ready()
    assert served_by(first.tenant) == {first.name}
    second.start()
    second.leaves(2)
    mark = first.tenant.mark()
    for kind in KINDS:
        first.tenant.edit(kind, displayName="Edited")
        first.tenant.wait_ready(kind)
    first.tenant.wait_polls(2)
    assert first.tenant.counts() == ONE_OF_EACH
    assert len([call for call in first.tenant.calls_since(mark) if call["method"] == "POST"]) == 0
    assert {event["reason"] for event in warnings(first.tenant)} == {"ServedByAnother"}
    told = warnings(first.tenant)[0]["note"]
    assert first.name in told
    assert f"crmflow.io/served-by={second.name}" in told
    assert "ServedByAnother" not in first.pod.log
    assert first.name in second.pod.log
    assert second.tenant.metric("crmflow_remote_calls_total") == 0
    assert second.pod.probe("readinessProbe")


def test_both_begin_at_once_and_one_has_each_resource(two: list[Installed]) -> None:
    for installed_ in two:
        installed_.start()
    tenant = two[0].tenant
    tenant.make_ready()
    assert tenant.counts() == ONE_OF_EACH
    tenant.wait_metric(lambda: sum(found.tenant.metric(LEFT) for found in two) == 2, seconds=SECONDS)
    assert tenant.counts() == ONE_OF_EACH


def test_what_an_installation_that_went_has_served_is_taken_over(two: list[Installed]) -> None:
    """Uninstalled here and installed there: nobody has to touch each resource."""
    first, second = two
    first.start()
    first.tenant.make_ready()
    first.pod.stop()
    second.start()
    for kind in KINDS:
        second.tenant.cluster.wait(
            kind,
            second.tenant.name_of(kind),
            second.tenant.namespace,
            lambda obj: obj["status"].get("servedBy") == second.name,
            what="hand-over",
            seconds=SECONDS,
        )
        second.tenant.edit(kind, displayName="By the second")
        second.tenant.wait_ready(kind)
    assert second.tenant.counts() == ONE_OF_EACH

    # Should the first one come back, it stands back.
    first.start()
    first.leaves(2)
    assert served_by(first.tenant) == {second.name}


def test_a_person_hands_over_what_another_installation_serves(two: list[Installed]) -> None:
    first, second = two
    first.start()
    first.tenant.make_ready()
    second.start()
    second.leaves(2)
    for kind in KINDS:
        second.tenant.cluster.annotate(
            kind, second.tenant.name_of(kind), second.tenant.namespace, served_by=second.name
        )
    first.leaves(2)
    assert served_by(second.tenant) == {second.name}
    for kind in KINDS:
        second.tenant.edit(kind, displayName="By the second")
        second.tenant.wait_ready(kind)
    assert second.tenant.counts() == ONE_OF_EACH
    assert second.tenant.metric(LEFT) == 0
