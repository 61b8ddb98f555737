"""The Lease by which replicas agree on the one that works, as it stands on the API server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio import client

from crmflow.runtime.kubernetes.errors import NotFoundError
from crmflow.runtime.kubernetes.rest import Rest, path

_API_VERSION = "coordination.k8s.io/v1"


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

    def __init__(
        self, api: client.ApiClient, namespace: str, name: str, request_seconds: float = 5.0
    ) -> None:
        self._rest = Rest(api, request_seconds)
        self._all = path(_API_VERSION, "leases", namespace)
        self._one = path(_API_VERSION, "leases", namespace, name)
        self._metadata = {"name": name, "namespace": namespace}

    async def read(self) -> Lease | None:
        """The Lease as it is; None if there is none."""
        try:
            found = await self._rest.get(self._one)
        except NotFoundError:
            return None
        spec = found.get("spec") or {}
        return Lease(
            holder=spec.get("holderIdentity", ""),
            duration=spec.get("leaseDurationSeconds", 0),
            acquired_at=_time(spec.get("acquireTime")),
            renewed_at=_time(spec.get("renewTime")),
            transitions=spec.get("leaseTransitions", 0),
            version=found["metadata"]["resourceVersion"],
        )

    async def write(self, lease: Lease) -> str:
        """Create the Lease, or replace exactly the version that was read; its new version."""
        method, where = ("POST", self._all) if lease.version is None else ("PUT", self._one)
        try:
            written = await self._rest.write(method, where, self._body(lease))
        except NotFoundError as error:  # of the namespace, or of a Lease that was deleted meanwhile
            raise NotFoundError(f"{error}. Its namespace is that of CRMFLOW_POD_NAMESPACE", 404) from None
        return str(written["metadata"]["resourceVersion"])

    def _body(self, lease: Lease) -> dict[str, Any]:
        version = {"resourceVersion": lease.version} if lease.version else {}
        return {
            "apiVersion": _API_VERSION,
            "kind": "Lease",
            "metadata": {**self._metadata, **version},
            "spec": {
                "holderIdentity": lease.holder,
                "leaseDurationSeconds": lease.duration,
                "acquireTime": _wire(lease.acquired_at),
                "renewTime": _wire(lease.renewed_at),
                "leaseTransitions": lease.transitions,
            },
        }


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)


def _wire(when: datetime) -> str:
    """With its fraction, also of a whole second: the API server refuses the time without."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
