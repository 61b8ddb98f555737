"""What the operator does on the API server.

The call shapes and traps were tried on a real one: uid is not checked on /status, so each write carries the
resourceVersion; a failed JSON-patch test is a 422; a field that the CRD lacks makes an apply a 500.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubernetes.aio import client

from crmflow.api.kinds import API_VERSION, GROUP, VERSION, Kind
from crmflow.kubeconfig.access import ACCOUNT
from crmflow.runtime.kubernetes.errors import (
    KindNotServedError,
    KubernetesError,
    NotFoundError,
    StaleError,
)
from crmflow.runtime.kubernetes.jobs import Jobs
from crmflow.runtime.kubernetes.rest import (
    FIELD_MANAGER,
    JSON_PATCH,
    MERGE_PATCH,
    METADATA,
    METADATA_LIST,
    REQUEST_SECONDS,
    Rest,
    path,
)

FINALIZER = f"{GROUP}/finalizer"


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """One of our own Secrets; ``data`` is base64, as on the wire."""

    name: str
    annotations: Mapping[str, str]
    data: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, secret: Mapping[str, Any]) -> StoredSecret:
        """Read what the API server gives."""
        metadata = secret["metadata"]
        return cls(metadata["name"], metadata.get("annotations") or {}, secret.get("data") or {})


class LeaseSnapshot(NamedTuple):
    """What another installation's Lease tells of it."""

    holder: str
    version: str
    seconds: float = 0.0
    """How long its holder promises to be there without renewing it."""


def own_namespace() -> str | None:
    """The namespace of the Pod that this process runs in; None outside of Pods."""
    try:
        return (ACCOUNT / "namespace").read_text().strip() or None
    except OSError:
        return None


class Kubernetes:
    """The requests for our kinds, for Secrets, and for the little else that is read. Each may raise
    KubernetesError.
    """

    def __init__(
        self,
        api: client.ApiClient,
        may_write: Callable[[], None] = lambda: None,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        """``may_write`` is asked before each write, and raises if there must be none any more."""
        self._api = api
        self._rest = Rest(api, request_seconds, may_write)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    def jobs(self, namespace: str) -> Jobs:
        """The requests for the Jobs of a namespace, over the same connections."""
        return Jobs(self._rest, namespace)

    async def served_kinds(self) -> set[str]:
        """The plural names that our API group serves; empty before the CRDs are installed."""
        try:
            group = await self._rest.get(f"/apis/{API_VERSION}")
        except KindNotServedError:
            return set()
        return {resource["name"] for resource in group["resources"]}

    async def served_schemas(self) -> dict[str, Mapping[str, Any]]:
        """The schema of each kind of our API group, which every authenticated account may read."""
        document = await self._rest.get(f"/openapi/v3/apis/{API_VERSION}")
        return {
            kind["kind"]: schema
            for schema in document.get("components", {}).get("schemas", {}).values()
            for kind in schema.get("x-kubernetes-group-version-kind", ())
            if (kind.get("group"), kind.get("version")) == (GROUP, VERSION)
        }

    async def namespace_uid(self, name: str) -> str:
        """The UID of a namespace."""
        namespace = await self._rest.get(path("v1", "namespaces", name=name))
        return str(namespace["metadata"]["uid"])

    async def read_lease(self, namespace: str, name: str) -> LeaseSnapshot | None:
        """What another installation's Lease tells; None if there is none."""
        try:
            lease = await self._rest.get(path("coordination.k8s.io/v1", "leases", namespace, name))
        except NotFoundError:
            return None
        spec = lease.get("spec") or {}
        return LeaseSnapshot(
            spec.get("holderIdentity") or "",
            str(lease["metadata"]["resourceVersion"]),
            spec.get("leaseDurationSeconds") or 0.0,
        )

    async def list_objects(self, kind: Kind, namespace: str | None) -> AsyncIterator[dict[str, Any]]:
        """All objects of a kind, page by page."""
        async for page in self._rest.pages(path(API_VERSION, kind.plural, namespace)):
            for item in page["items"] or ():
                yield {"apiVersion": API_VERSION, "kind": kind.kind, **item}

    async def list_one(self, kind: Kind, namespace: str | None) -> None:
        """List as little as can be listed: whether that is allowed is the answer."""
        await self._rest.get(path(API_VERSION, kind.plural, namespace), limit=1)

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        """One object."""
        return await self._rest.get(path(API_VERSION, kind.plural, namespace, name))

    async def apply_status(
        self, kind: Kind, obj: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Server-side apply of the whole status that we own, onto exactly the version that was read."""
        metadata = {name: obj["metadata"][name] for name in ("name", "namespace", "resourceVersion")}
        body = {
            "apiVersion": API_VERSION,
            "kind": kind.kind,
            "metadata": metadata,
            "status": dict(status),
        }
        return await self._rest.apply(f"{_path(kind, obj)}/status", body)

    async def replace_status(
        self, kind: Kind, obj: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Make ``status`` all that the status of exactly that object and version holds, whoever wrote it."""
        operation = {"op": "replace", "path": "/status", "value": dict(status)}
        return await self._json_patch(kind, obj, [operation], "/status")

    async def add_finalizer(self, kind: Kind, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Add our finalizer to exactly the object and version that was read: an apply would resurrect a
        deleted one.
        """
        operation: dict[str, Any] = {"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}
        if obj["metadata"].get("finalizers"):
            operation = {"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}
        return await self._json_patch(kind, obj, [operation])

    async def remove_finalizer(self, kind: Kind, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Remove our finalizer and leave others' alone."""
        where = f"/metadata/finalizers/{obj['metadata']['finalizers'].index(FINALIZER)}"
        operations = [{"op": "test", "path": where, "value": FINALIZER}, {"op": "remove", "path": where}]
        return await self._json_patch(kind, obj, operations)

    async def delete(self, kind: Kind, obj: Mapping[str, Any]) -> None:
        """Ask for the deletion of exactly the object and version that was read. Raises StaleError,
        NotFoundError.
        """
        preconditions = {name: obj["metadata"][name] for name in ("uid", "resourceVersion")}
        options = {"preconditions": preconditions, "propagationPolicy": "Background"}
        await self._rest.write("DELETE", _path(kind, obj), options)

    async def read_secret(self, namespace: str, name: str) -> tuple[str, dict[str, str]]:
        """Version and data (base64) of a Secret."""
        secret = await self._rest.get(path("v1", "secrets", namespace, name))
        return secret["metadata"]["resourceVersion"], secret.get("data") or {}

    async def list_own_secrets(self, namespace: str, selector: str) -> list[StoredSecret]:
        """The Secrets of a namespace that a label selector matches, bodies included: for our own alone."""
        found = await self._rest.get(path("v1", "secrets", namespace), labelSelector=selector)
        return [StoredSecret.of(secret) for secret in found["items"] or ()]

    async def read_own_secret(self, namespace: str, name: str) -> StoredSecret:
        """One of our own Secrets."""
        return StoredSecret.of(await self._rest.get(path("v1", "secrets", namespace, name)))

    async def merge_own_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Merge ``body`` into one of our own Secrets; None removes a key. Raises NotFoundError."""
        where = path("v1", "secrets", namespace, name)
        await self._rest.write("PATCH", where, dict(body), MERGE_PATCH, fieldManager=FIELD_MANAGER)

    async def create_own_secret(self, namespace: str, body: Mapping[str, Any]) -> None:
        """Create one of our own Secrets. Raises ExistsError if there is one of that name."""
        where = path("v1", "secrets", namespace)
        await self._rest.write("POST", where, dict(body), fieldManager=FIELD_MANAGER)

    async def delete_own_secret(self, namespace: str, name: str) -> None:
        """Delete one of our own Secrets. Raises NotFoundError."""
        await self._rest.write("DELETE", path("v1", "secrets", namespace, name))

    async def list_secret_metadata(self, namespace: str | None) -> tuple[str, list[dict[str, Any]]]:
        """Version of the listing, and the metadata of every Secret: without data, so memory does not grow
        with it.
        """
        items: list[dict[str, Any]] = []
        version = ""
        async for page in self._rest.pages(path("v1", "secrets", namespace), METADATA_LIST):
            if page.get("kind") != "PartialObjectMetadataList":
                raise KubernetesError(
                    "the API server lists Secrets in another form than it was asked for", 200
                )
            items += [item["metadata"] for item in page["items"] or ()]
            version = page["metadata"]["resourceVersion"]
        return version, items

    async def watch_secret_metadata(
        self, namespace: str | None, version: str, seconds: int, connected: Callable[[], None]
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Event type and metadata of each change; ends by itself after ``seconds``. ``connected`` is told
        once the API server has answered. Raises ExpiredError: list again.
        """
        where = path("v1", "secrets", namespace)
        async for kind, secret in self._rest.watch(where, version, seconds, connected, METADATA):
            yield kind, secret["metadata"]

    async def apply_event(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Create the Event of that name, or count it again."""
        await self._rest.apply(path("events.k8s.io/v1", "events", namespace, name), dict(body))

    async def _json_patch(
        self,
        kind: Kind,
        obj: Mapping[str, Any],
        operations: Sequence[Mapping[str, Any]],
        subresource: str = "",
    ) -> dict[str, Any]:
        metadata = obj["metadata"]
        guards = [
            {"op": "test", "path": f"/metadata/{name}", "value": metadata[name]}
            for name in ("uid", "resourceVersion")
        ]
        where, patch = _path(kind, obj) + subresource, [*guards, *map(dict, operations)]
        try:
            return await self._rest.write("PATCH", where, patch, JSON_PATCH, fieldManager=FIELD_MANAGER)
        except KubernetesError as error:
            if error.may_be_a_failed_test and await self._has_changed(kind, metadata):
                raise StaleError(str(error), error.status) from error
            raise

    async def _has_changed(self, kind: Kind, metadata: Mapping[str, Any]) -> bool:
        """Whether the object is another one than was read: only that proves that a test failed. Raises
        NotFoundError.
        """
        try:
            now = (await self.get(kind, metadata["namespace"], metadata["name"]))["metadata"]
        except NotFoundError:
            raise
        except KubernetesError:
            return True  # to be read again in any case
        return (now["uid"], now["resourceVersion"]) != (metadata["uid"], metadata["resourceVersion"])


def _path(kind: Kind, obj: Mapping[str, Any]) -> str:
    return path(API_VERSION, kind.plural, obj["metadata"]["namespace"], obj["metadata"]["name"])
