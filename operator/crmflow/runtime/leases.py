"""The Lease by which replicas agree on the one that works, as it stands on the API server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio import client

from crmflow.runtime.kube import NotFoundError, call

_GROUP = "coordination.k8s.io"

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
    """One Lease. Every method may raise KubernetesError; StaleError: somebody else was faster.

    It is read and written as plain JSON: the client library's model leaves the fraction of a whole second
    out, and the API server then refuses the time.
    """

    def __init__(self, api: client.ApiClient, namespace: str, name: str) -> None:
        self._api = client.CustomObjectsApi(api)
        self._where: dict[str, Any] = {
            "group": _GROUP,
            "version": "v1",
            "namespace": namespace,
            "plural": "leases",
        }
        self._metadata = {"name": name, "namespace": namespace}
        self._name = name

    async def read(self) -> Lease | None:
        """The Lease as it is; None if there is none."""
        try:
            found: Any = await call(
                self._api.get_namespaced_custom_object(
                    **self._where, name=self._name, _request_timeout=REQUEST_SECONDS
                )
            )
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
        body = self._body(lease)
        options: dict[str, Any] = {"body": body, "_request_timeout": REQUEST_SECONDS}
        request = (
            self._api.create_namespaced_custom_object(**self._where, **options)
            if lease.version is None
            else self._api.replace_namespaced_custom_object(**self._where, name=self._name, **options)
        )
        written: Any = await call(request)
        return str(written["metadata"]["resourceVersion"])

    def _body(self, lease: Lease) -> dict[str, Any]:
        version = {"resourceVersion": lease.version} if lease.version else {}
        return {
            "apiVersion": f"{_GROUP}/v1",
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
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
