"""The API server, through ``kubernetes.aio``: one wrapper with a default time-out and one error mapping.

Its call shapes and traps were tried on a real server: uid is not checked on /status, so each write carries
the resourceVersion; a failed JSON-patch test is a 422; a field that the CRD lacks makes an apply a 500.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from crmflow.api.kinds import API_VERSION, GROUP, VERSION, Kind
from crmflow.observability.redaction import sanitise

FIELD_MANAGER = "crmflow"
FINALIZER = f"{GROUP}/finalizer"
REQUEST_SECONDS = 15.0
PAGE_SIZE = 500

_METADATA_LIST = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
_METADATA = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}

# Mounted into every Pod together with the token of its ServiceAccount.
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

T = TypeVar("T")


class KubernetesError(Exception):
    """A call to the API server that failed; the text is safe to log."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NotFoundError(KubernetesError):
    """There is no such object."""


class StaleError(KubernetesError):
    """The object has changed since it was read: read it again."""


class ExpiredError(KubernetesError):
    """The resource version of a watch is too old: list again."""


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """One of our own Secrets; ``data`` is base64, as on the wire."""

    name: str
    annotations: Mapping[str, str]
    data: Mapping[str, str] = field(repr=False)


def _stored_secret(secret: Any) -> StoredSecret:
    metadata = secret.metadata
    return StoredSecret(str(metadata.name), dict(metadata.annotations or {}), dict(secret.data or {}))


async def load_configuration() -> client.Configuration:
    """The in-cluster configuration, else the kubeconfig. Raises ConfigException if there is neither."""
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return configuration


def own_namespace() -> str | None:
    """The namespace of the Pod that this process runs in; None outside of Pods."""
    try:
        return _NAMESPACE_FILE.read_text().strip() or None
    except OSError:
        return None


class Kubernetes:
    """What the operator does on the API server."""

    def __init__(self, api: client.ApiClient, may_write: Callable[[], None] = lambda: None) -> None:
        """``may_write`` is asked before each write, and raises if there must be none any more."""
        self._api = api
        self._may_write = may_write
        self._objects = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self._events = client.EventsV1Api(api)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def served_kinds(self) -> set[str]:
        """The plural names that our API group serves; empty before the CRDs are installed."""
        try:
            resources = await call(
                self._objects.get_api_resources(GROUP, VERSION, _request_timeout=REQUEST_SECONDS)
            )
        except NotFoundError:
            return set()
        return {resource.name for resource in resources.resources}

    async def namespace_uid(self, name: str) -> str:
        """The UID of a namespace."""
        namespace: Any = await call(self._core.read_namespace(name, _request_timeout=REQUEST_SECONDS))
        return str(namespace.metadata.uid)

    async def list_objects(self, kind: Kind, namespace: str | None) -> AsyncIterator[dict[str, Any]]:
        """All objects of a kind, page by page."""
        token: str | None = None
        while True:
            more: dict[str, Any] = {
                "limit": PAGE_SIZE,
                "_request_timeout": REQUEST_SECONDS,
                **({"_continue": token} if token else {}),
            }
            page: Any = await call(
                self._objects.list_namespaced_custom_object(GROUP, VERSION, namespace, kind.plural, **more)
                if namespace
                else self._objects.list_custom_object_for_all_namespaces(GROUP, VERSION, kind.plural, **more)
            )
            for item in page["items"] or ():
                item.setdefault("kind", kind.kind)
                item.setdefault("apiVersion", API_VERSION)
                yield item
            token = page["metadata"].get("continue")
            if not token:
                return

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        """One object."""
        obj: Any = await call(
            self._objects.get_namespaced_custom_object(
                GROUP, VERSION, namespace, kind.plural, name, _request_timeout=REQUEST_SECONDS
            )
        )
        return cast("dict[str, Any]", obj)

    async def apply_status(
        self, kind: Kind, obj: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Server-side apply of the whole status that we own, onto exactly the version that was read."""
        metadata = obj["metadata"]
        body = {
            "apiVersion": API_VERSION,
            "kind": kind.kind,
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "status": dict(status),
        }
        self._may_write()
        applied: Any = await call(
            self._objects.patch_namespaced_custom_object_status(
                GROUP,
                VERSION,
                metadata["namespace"],
                kind.plural,
                metadata["name"],
                body,
                field_manager=FIELD_MANAGER,
                force=True,
                _content_type="application/apply-patch+yaml",
                _request_timeout=REQUEST_SECONDS,
            )
        )
        return cast("dict[str, Any]", applied)

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
        path = f"/metadata/finalizers/{obj['metadata']['finalizers'].index(FINALIZER)}"
        operations = [{"op": "test", "path": path, "value": FINALIZER}, {"op": "remove", "path": path}]
        return await self._json_patch(kind, obj, operations)

    async def read_secret(self, namespace: str, name: str) -> tuple[str, dict[str, str]]:
        """Version and data (base64) of a Secret."""
        secret: Any = await call(
            self._core.read_namespaced_secret(name, namespace, _request_timeout=REQUEST_SECONDS)
        )
        return str(secret.metadata.resource_version), dict(secret.data or {})

    async def list_own_secrets(self, namespace: str, selector: str) -> list[StoredSecret]:
        """The Secrets of a namespace that a label selector matches, bodies included: for our own alone."""
        found: Any = await call(
            self._core.list_namespaced_secret(
                namespace, label_selector=selector, _request_timeout=REQUEST_SECONDS
            )
        )
        return [_stored_secret(secret) for secret in found.items]

    async def read_own_secret(self, namespace: str, name: str) -> StoredSecret:
        """One of our own Secrets."""
        secret: Any = await call(
            self._core.read_namespaced_secret(name, namespace, _request_timeout=REQUEST_SECONDS)
        )
        return _stored_secret(secret)

    async def merge_own_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Merge ``body`` into one of our own Secrets; None removes a key. Raises NotFoundError."""
        self._may_write()
        await call(
            self._core.patch_namespaced_secret(
                name,
                namespace,
                dict(body),
                field_manager=FIELD_MANAGER,
                _content_type="application/merge-patch+json",
                _request_timeout=REQUEST_SECONDS,
            )
        )

    async def create_own_secret(self, namespace: str, body: Mapping[str, Any]) -> None:
        """Create one of our own Secrets. Raises StaleError if there is one of that name."""
        self._may_write()
        secret: Any = dict(body)
        await call(
            self._core.create_namespaced_secret(
                namespace, secret, field_manager=FIELD_MANAGER, _request_timeout=REQUEST_SECONDS
            )
        )

    async def delete_own_secret(self, namespace: str, name: str) -> None:
        """Delete one of our own Secrets. Raises NotFoundError."""
        self._may_write()
        await call(self._core.delete_namespaced_secret(name, namespace, _request_timeout=REQUEST_SECONDS))

    async def list_secret_metadata(self, namespace: str | None) -> tuple[str, list[dict[str, Any]]]:
        """Version of the listing, and the metadata of every Secret: without data, so memory does not grow
        with it.
        """
        items: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            more = {"limit": PAGE_SIZE, "_headers": _METADATA_LIST, **({"_continue": token} if token else {})}
            response = await self._secrets(namespace, _request_timeout=REQUEST_SECONDS, **more)
            try:
                page = _json(await call(response.read()))
            finally:
                response.close()
            if response.status != 200 or page.get("kind") != "PartialObjectMetadataList":
                raise KubernetesError(_status_message(page), response.status)
            items += [item["metadata"] for item in page["items"] or ()]
            token = page["metadata"].get("continue")
            if not token:
                return page["metadata"]["resourceVersion"], items

    async def watch_secret_metadata(
        self, namespace: str | None, version: str, seconds: int, connected: Callable[[], None]
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Event type and metadata of each change; ends by itself after ``seconds``. ``connected`` is told
        once the API server has answered. Raises ExpiredError: list again.
        """
        response = await self._secrets(
            namespace,
            watch=True,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=seconds,
            _headers=_METADATA,
            _request_timeout=float(seconds + 15),
        )
        try:
            if response.status != 200:
                raise (ExpiredError if response.status == 410 else KubernetesError)(
                    f"watching Secrets failed with {response.status}", response.status
                )
            connected()
            while line := await call(response.content.readline()):
                event = _json(line)
                if not event:
                    raise KubernetesError("the watch of Secrets ended in the middle of a line")
                if event["type"] == "ERROR":
                    code = event["object"].get("code")
                    raise (ExpiredError if code == 410 else KubernetesError)(
                        _status_message(event["object"]), code
                    )
                yield event["type"], event["object"]["metadata"]
        finally:
            response.close()

    async def apply_event(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Create the Event of that name, or count it again."""
        self._may_write()
        await call(
            self._events.patch_namespaced_event(
                name,
                namespace,
                dict(body),
                field_manager=FIELD_MANAGER,
                force=True,
                _content_type="application/apply-patch+yaml",
                _request_timeout=REQUEST_SECONDS,
            )
        )

    async def _json_patch(
        self, kind: Kind, obj: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        metadata = obj["metadata"]
        guards = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        ]
        self._may_write()
        try:
            patched: Any = await call(
                self._objects.patch_namespaced_custom_object(
                    GROUP,
                    VERSION,
                    metadata["namespace"],
                    kind.plural,
                    metadata["name"],
                    [*guards, *map(dict, operations)],
                    field_manager=FIELD_MANAGER,
                    _content_type="application/json-patch+json",
                    _request_timeout=REQUEST_SECONDS,
                )
            )
        except KubernetesError as error:
            if error.status == 422:  # a failed test looks like any other refusal
                raise StaleError(str(error), 422) from error
            raise
        return cast("dict[str, Any]", patched)

    async def _secrets(self, namespace: str | None, **options: Any) -> aiohttp.ClientResponse:
        if namespace:
            listing = self._core.list_namespaced_secret_without_preload_content(namespace, **options)
        else:
            listing = self._core.list_secret_for_all_namespaces_without_preload_content(**options)
        response: aiohttp.ClientResponse = await call(listing)
        return response


async def call(request: Awaitable[T]) -> T:
    """What ``request`` gives; whatever else comes of it is raised as KubernetesError or a kind of it."""
    try:
        return await request
    except ApiException as error:
        message = f"{error.status} {sanitise(str(error.reason or ''))}: {_status_message(_json(error.body))}"
        match error.status:
            case 404:
                raise NotFoundError(message, 404) from None
            case 409:
                raise StaleError(message, 409) from None
            case 410:
                raise ExpiredError(message, 410) from None
            case _:
                raise KubernetesError(message, error.status) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise KubernetesError(f"the API server can't be reached: {type(error).__name__}") from None


def _json(body: object) -> Mapping[str, Any]:
    try:
        parsed = json.loads(body) if isinstance(body, (str, bytes)) else body
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _status_message(status: Mapping[str, Any]) -> str:
    return sanitise(str(status.get("message", "")))
