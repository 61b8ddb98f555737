"""The life cycle with all rights of a mode, and with one taken away."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.kit.bench import Bench
from tests.kit.cluster import OUR_KINDS, Object
from tests.kit.pod import Pod
from tests.kit.release import Release, emulated, installed
from tests.kit.runs import RUN
from tests.kit.tenant import Tenant
from tests.rights.audit import Asked, AuditLog
from tests.rights.lifecycle import Failure, Lifecycle
from tests.rights.permissions import Permission, permissions, rules_without

MODES = ("cluster-wide", "namespaced")
_PROPAGATION_SECONDS = 10.0
_POLL_SECONDS = 0.02
_HELMS_OWN = "helm.sh/release.v1"
"""The type of the Secrets in which Helm keeps its releases."""


@dataclass(frozen=True)
class Verdict:
    """How a life cycle went."""

    failure: Failure | None
    asked: list[Asked] = field(repr=False)

    @property
    def forbidden(self) -> list[Asked]:
        """What the API server refused for lack of a right."""
        return [asked for asked in self.asked if asked.forbidden]


class Trials:
    """One installed release, for one trial after the other."""

    def __init__(self, bench: Bench, release: Release, namespace: str) -> None:
        self._bench = bench
        self._release = release
        self._namespace = namespace
        self.permissions = sorted(permissions(release.objects()))

    def run(self, without: Permission | None = None) -> Verdict:
        """Live a life cycle in an empty namespace, without one of the permissions if so asked."""
        bench, release = self._bench, self._release
        bench.emulators.control.reset()
        directory = bench.directory / uuid.uuid4().hex[:8]
        directory.mkdir(parents=True)
        with ExitStack() as stack:
            stack.callback(self._tidy)
            if without is not None:
                stack.enter_context(self._taken(without))
            pod = Pod(bench.kubectl, release.namespace, release.fullname, directory, release.fullname)
            stack.callback(pod.close)
            audit = AuditLog(bench.audit_log, release.namespace, pod.service_account)
            tenant = Tenant(bench.cluster, bench.emulators, pod, self._namespace, lambda *_: None)
            failure = Lifecycle(tenant, pod, audit).live()
            return Verdict(failure, list(audit.requests()))

    @contextmanager
    def _taken(self, permission: Permission) -> Iterator[None]:
        where = [f"--namespace={permission.namespace}"] if permission.namespace else []
        role: Object = self._bench.kubectl.json("get", permission.kind, permission.role, *where)
        self._set_rules(role, rules_without(role, permission))
        try:
            self._wait_until(permission, allowed=False)
            yield
        finally:
            self._set_rules(role, role["rules"])
            self._wait_until(permission, allowed=True)

    def _set_rules(self, role: Object, rules: list[Object]) -> None:
        metadata = role["metadata"]
        self._bench.cluster.patch(role["kind"], metadata["name"], metadata.get("namespace"), {"rules": rules})

    def _wait_until(self, permission: Permission, *, allowed: bool) -> None:
        """The API server takes a moment to know of a changed role."""
        account = f"system:serviceaccount:{self._release.namespace}:{self._release.fullname}"
        deadline = time.monotonic() + _PROPAGATION_SECONDS
        while (
            self._bench.cluster.may(
                permission.verb,
                permission.group,
                permission.resource,
                permission.name,
                permission.namespace,
                user=account,
            )
            != allowed
        ):
            assert time.monotonic() < deadline, f"{permission} is not {'given' if allowed else 'taken'}"
            time.sleep(_POLL_SECONDS)

    def _tidy(self) -> None:
        """Leave nothing for the next trial."""
        cluster, home = self._bench.cluster, self._release.namespace
        for kind in (RUN, *OUR_KINDS):
            for obj in cluster.list(kind, self._namespace):
                name = obj["metadata"]["name"]
                cluster.patch(kind, name, self._namespace, {"metadata": {"finalizers": None}})
                cluster.discard(kind, name, self._namespace)
        for kind in ("Lease", "Job", "Secret"):
            for obj in cluster.list(kind, home):
                if obj.get("type") != _HELMS_OWN:
                    cluster.discard(kind, obj["metadata"]["name"], home)


@contextmanager
def trials(bench: Bench, mode: str) -> Iterator[Trials]:
    """A release in one of :data:`MODES`, and a tenant's namespace, for the block."""
    namespace = f"tenant-{uuid.uuid4().hex[:6]}"
    bench.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    values = emulated(bench.emulators, bench.directory)
    if mode == "namespaced":
        values["watchNamespaces"] = [namespace]
    try:
        with installed(bench.helm, bench.kubectl, values) as release:
            yield Trials(bench, release, namespace)
    finally:
        bench.cluster.abandon_namespace(namespace)
