"""The life cycle with all rights of a mode, and with one taken away."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hack.emulators import Emulators
from hack.helm import Helm
from hack.kubectl import Kubectl
from tests.cluster.support.cluster import OUR_KINDS, Cluster, Object
from tests.cluster.support.pod import Pod
from tests.cluster.support.release import Release, emulated, installed
from tests.cluster.support.world import World
from tests.rights.audit import Asked, AuditLog
from tests.rights.lifecycle import Failure, Lifecycle
from tests.rights.permissions import Permission, permissions, rules_without

MODES = ("cluster-wide", "namespaced")
_PROPAGATION_SECONDS = 10.0
_POLL_SECONDS = 0.02
_HELMS_OWN = "helm.sh/release.v1"
"""The type of the Secrets in which Helm keeps its releases."""


@dataclass(frozen=True)
class Site:
    """Where trials take place."""

    cluster: Cluster
    kubectl: Kubectl
    helm: Helm
    emulators: Emulators
    audit_log: Path
    directory: Path


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

    def __init__(self, site: Site, release: Release, tenant: str) -> None:
        self._site = site
        self._release = release
        self._tenant = tenant
        self.permissions = sorted(permissions(release.objects()))

    def run(self, without: Permission | None = None) -> Verdict:
        """Live a life cycle in a fresh world, without one of the permissions if so asked."""
        site, release = self._site, self._release
        site.emulators.control.reset()
        directory = site.directory / uuid.uuid4().hex[:8]
        directory.mkdir(parents=True)
        with ExitStack() as stack:
            stack.callback(self._tidy)
            if without is not None:
                stack.enter_context(self._taken(without))
            pod = Pod(site.kubectl, release.namespace, release.fullname, directory, release.fullname)
            stack.callback(pod.close)
            audit = AuditLog(site.audit_log, release.namespace, pod.service_account)
            world = World(site.cluster, site.emulators, pod, self._tenant, lambda *_: None)
            failure = Lifecycle(world, pod, audit).live()
            return Verdict(failure, list(audit.requests()))

    @contextmanager
    def _taken(self, permission: Permission) -> Iterator[None]:
        where = [f"--namespace={permission.namespace}"] if permission.namespace else []
        role: Object = self._site.kubectl.json("get", permission.kind, permission.role, *where)
        self._set_rules(role, rules_without(role, permission))
        try:
            self._wait_until(permission, allowed=False)
            yield
        finally:
            self._set_rules(role, role["rules"])
            self._wait_until(permission, allowed=True)

    def _set_rules(self, role: Object, rules: list[Object]) -> None:
        metadata = role["metadata"]
        self._site.cluster.patch(role["kind"], metadata["name"], metadata.get("namespace"), {"rules": rules})

    def _wait_until(self, permission: Permission, *, allowed: bool) -> None:
        """The API server takes a moment to know of a changed role."""
        account = f"system:serviceaccount:{self._release.namespace}:{self._release.fullname}"
        deadline = time.monotonic() + _PROPAGATION_SECONDS
        while (
            self._site.cluster.may(
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
        cluster, home = self._site.cluster, self._release.namespace
        for kind in OUR_KINDS:
            for obj in cluster.list(kind, self._tenant):
                name = obj["metadata"]["name"]
                cluster.patch(kind, name, self._tenant, {"metadata": {"finalizers": None}})
                if cluster.find(kind, name, self._tenant):
                    cluster.delete(kind, name, self._tenant)
        for kind in ("Lease", "Secret"):
            for obj in cluster.list(kind, home):
                if obj.get("type") != _HELMS_OWN:
                    cluster.delete(kind, obj["metadata"]["name"], home)


@contextmanager
def trials(site: Site, mode: str) -> Iterator[Trials]:
    """A release in one of :data:`MODES`, and a tenant's namespace, for the block."""
    tenant = f"tenant-{uuid.uuid4().hex[:6]}"
    site.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": tenant}})
    values = emulated(site.emulators, site.directory)
    if mode == "namespaced":
        values["watchNamespaces"] = [tenant]
    try:
        with installed(site.helm, site.kubectl, values) as release:
            yield Trials(site, release, tenant)
    finally:
        site.cluster.abandon_namespace(tenant)
