"""A release of the chart that serves a few namespaces, with one Pod, and a tenant in each of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kit.bench import Bench
from tests.kit.cluster import Object
from tests.kit.pod import Pod
from tests.kit.release import Release, emulated, installed
from tests.kit.tenant import Tenant


@dataclass(frozen=True)
class SharedRelease:
    """The release, its Pod (not started), and the tenants in the order of their namespaces."""

    bench: Bench
    release: Release
    pod: Pod
    tenants: list[Tenant]

    def take_rights(self, tenant: Tenant) -> Callable[[], None]:
        """Take from the operator what it may do in a tenant's namespace; the way to give it back."""
        binding = self._binding(tenant.namespace)
        self.bench.cluster.delete("RoleBinding", binding["metadata"]["name"], tenant.namespace)
        return lambda: self.give_rights(binding)

    def give_rights(self, binding: Object) -> None:
        """Create a RoleBinding that was there before."""
        metadata = {name: binding["metadata"][name] for name in ("name", "namespace")}
        self.bench.cluster.create({**binding, "metadata": metadata})

    def rights_in(self, namespace: str) -> list[Object]:
        """Role and RoleBinding of the release in a namespace, to be created in it once more."""
        return [obj for obj in self.release.objects() if obj["metadata"].get("namespace") == namespace]

    def _binding(self, namespace: str) -> Object:
        (found,) = self.bench.cluster.list("RoleBinding", namespace)
        return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", **found}


@contextmanager
def shared_release(bench: Bench, directory: Path, count: int, **values: object) -> Iterator[SharedRelease]:
    """``count`` tenants, and the release whose operator serves them, for the block."""
    bench.emulators.control.reset()
    cluster = bench.cluster
    names = [f"tenant-{uuid.uuid4().hex[:6]}" for _ in range(count)]
    with ExitStack() as stack:
        for name in names:
            cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            stack.callback(cluster.abandon_namespace, name)
        given = {**emulated(bench.emulators, directory), "watchNamespaces": names, **values}
        release = stack.enter_context(installed(bench.helm, bench.kubectl, given))
        name = f"pod-{uuid.uuid4().hex[:6]}"
        pod = Pod(bench.kubectl, release.namespace, release.fullname, directory, name)
        stack.callback(pod.close)
        tenants = [Tenant(cluster, bench.emulators, pod, name, lambda *_: None) for name in names]
        yield SharedRelease(bench, release, pod, tenants)
