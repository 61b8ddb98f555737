"""Requests to the API server as JSON, over the connections and with the credentials of ``kubernetes.aio``.

Its typed methods check every argument and make models of every answer, which costs more than the rest of the
request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from kubernetes.aio import client

from crmflow.runtime.kubernetes.errors import KubernetesError, error_of, reaching

REQUEST_SECONDS = 30.0
"""How long one request may take, unless the settings say otherwise: one page of a listing is megabytes."""
PAGE_SIZE = 500
FIELD_MANAGER = "crmflow"

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""What a listing and a watch accept that want no more of objects than their metadata."""


def path(group_version: str, plural: str, namespace: str | None = None, name: str | None = None) -> str:
    """Where objects are, in a namespace or in all, or the one of that ``name``."""
    parts = ["apis" if "/" in group_version else "api", *group_version.split("/")]
    parts += ["namespaces", namespace] if namespace else []
    parts += [plural, name] if name else [plural]
    return "".join(f"/{quote(part, safe='')}" for part in parts)


class Rest:
    """One kind of request for each thing that is done; each may raise KubernetesError."""

    def __init__(
        self,
        api: client.ApiClient,
        request_seconds: float = REQUEST_SECONDS,
        may_write: Callable[[], None] = lambda: None,
    ) -> None:
        """``may_write`` is asked before each write, and raises if there must be none any more."""
        self._api = api
        self._seconds = request_seconds
        self._may_write = may_write

    async def get(self, path: str, accept: str = JSON, **query: Any) -> dict[str, Any]:
        """What is there."""
        return await _content(await self.open("GET", path, query, accept=accept))

    async def pages(self, path: str, accept: str = JSON, **query: str) -> AsyncIterator[dict[str, Any]]:
        """A listing, page by page."""
        more: dict[str, str] = {}
        while True:
            page = await self.get(path, accept, limit=PAGE_SIZE, **query, **more)
            yield page
            if not (token := page["metadata"].get("continue")):
                return
            more = {"continue": token}

    async def watch(
        self,
        path: str,
        version: str,
        seconds: int,
        connected: Callable[[], None],
        accept: str = JSON,
        **query: str,
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Event type and object of each change after ``version``; ends by itself after ``seconds``.
        ``connected`` is told once the API server has answered. Raises ExpiredError: list again.
        """
        query_of_watch = {
            "watch": True,
            "resourceVersion": version,
            "allowWatchBookmarks": True,
            "timeoutSeconds": seconds,
        }
        response = await self.open(
            "GET", path, {**query, **query_of_watch}, accept=accept, seconds=seconds + self._seconds
        )
        try:
            connected()
            while True:
                with reaching():
                    line = await response.content.readline()
                if not line:
                    return
                event = json_object(line)
                if not event:
                    raise KubernetesError("the watch ended in the middle of a line")
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise error_of(status.get("code"), status.get("reason"), status)
                yield event["type"], event["object"]
        finally:
            response.close()

    async def apply(self, path: str, body: object) -> dict[str, Any]:
        """Server-side apply: make all that we have set of the object what ``body`` says."""
        return await self.write("PATCH", path, body, _APPLY_PATCH, fieldManager=FIELD_MANAGER, force=True)

    async def write(
        self, method: str, path: str, body: object = None, media_type: str = JSON, **query: Any
    ) -> dict[str, Any]:
        """The object as it is afterwards, or what the API server says of a deletion."""
        self._may_write()
        return await _content(await self.open(method, path, query, body=body, media_type=media_type))

    async def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        *,
        accept: str = JSON,
        body: object = None,
        media_type: str = JSON,
        seconds: float | None = None,
    ) -> aiohttp.ClientResponse:
        """An answer that is a success, its content not read yet. The caller has to close it."""
        with reaching():
            request = await self._api.param_serialize(
                method,
                path,
                query_params=dict(query),
                header_params={"Accept": accept, "Content-Type": media_type},
                body=body,
                auth_settings=["BearerToken"],  # without it no token is sent
            )
            answer = await self._api.call_api(*request, _request_timeout=seconds or self._seconds)
            response: aiohttp.ClientResponse = answer.response
            if response.ok:
                return response
            content = await response.read()
        raise error_of(response.status, response.reason, json_object(content), response.headers)


async def _content(response: aiohttp.ClientResponse) -> dict[str, Any]:
    with reaching():
        content = json_object(await response.read())
    if not content:
        raise error_of(response.status, response.reason, content, response.headers)
    return content


def json_object(content: bytes) -> dict[str, Any]:
    """An object; empty if ``content`` is none."""
    try:
        parsed = orjson.loads(content)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
