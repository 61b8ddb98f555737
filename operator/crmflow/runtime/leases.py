"""The Lease by which replicas agree on the one that works, as it stands on the API server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio import client

from crmflow.runtime.kube import NotFoundError, call

REQUEST_SECONDS = 2.0
"""Far shorter than the time in which a Lease has to be renewed, so that a dead connection costs one try."""


@dataclass(frozen=True)
class Lease:
    """Who holds it, and for how many seconds after each renewal. Times are in UTC."""

    holder: str
    duration: int
    acquired_at: datetime
    renewed_at: datetime
    transitions: int = 0
    version: str | None = None
    """Its resourceVersion, which changes with every renewal; None: not created yet."""


class Leases:
    """One Lease. Every method may raise KubernetesError; StaleError: somebody else was faster."""

    def __init__(self, api: client.ApiClient, namespace: str, name: str) -> None:
        self._api = client.CoordinationV1Api(api)
        self._namespace = namespace
        self._name = name

    async def read(self) -> Lease | None:
        """The Lease as it is; None if there is none."""
        try:
            found: Any = await call(
                self._api.read_namespaced_lease(self._name, self._namespace, _request_timeout=REQUEST_SECONDS)
            )
        except NotFoundError:
            return None
        spec, epoch = found.spec, datetime.fromtimestamp(0, UTC)
        return Lease(
            holder=spec.holder_identity or "",
            duration=spec.lease_duration_seconds or 0,
            acquired_at=spec.acquire_time or epoch,
            renewed_at=spec.renew_time or epoch,
            transitions=spec.lease_transitions or 0,
            version=found.metadata.resource_version,
        )

    async def write(self, lease: Lease) -> str:
        """Create the Lease, or replace exactly the version that was read; its new version."""
        body = self._body(lease)
        timeout: Any = {"_request_timeout": REQUEST_SECONDS}
        request = (
            self._api.create_namespaced_lease(self._namespace, body, **timeout)
            if lease.version is None
            else self._api.replace_namespaced_lease(self._name, self._namespace, body, **timeout)
        )
        written: Any = await call(request)
        return str(written.metadata.resource_version)

    def _body(self, lease: Lease) -> Any:
        # Not the library's model: it writes local time as if it were UTC.
        version = {"resourceVersion": lease.version} if lease.version else {}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace, **version},
            "spec": {
                "holderIdentity": lease.holder,
                "leaseDurationSeconds": lease.duration,
                "acquireTime": _wire(lease.acquired_at),
                "renewTime": _wire(lease.renewed_at),
                "leaseTransitions": lease.transitions,
            },
        }


def _wire(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
