"""Jobs of one namespace, their pods and their Secrets: those that have the labels asked for."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

from crmflow.runtime.kubernetes.errors import NotFoundError
from crmflow.runtime.kubernetes.rest import FIELD_MANAGER, JSON, METADATA_LIST, Rest, path

Object = dict[str, Any]


class ListedKind(Enum):
    """What is listed and watched."""

    JOBS = ("batch/v1", "jobs")
    PODS = ("v1", "pods")

    @property
    def plural(self) -> str:
        """Its name in paths and rights."""
        return self.value[1]


class Jobs:
    """The requests; each may raise KubernetesError."""

    def __init__(self, rest: Rest, namespace: str) -> None:
        self._rest = rest
        self.namespace = namespace

    async def list(self, what: ListedKind, selector: str) -> tuple[str, Sequence[Object]]:
        """Version of the listing, and the objects with those labels."""
        return await self._list(path(*what.value, self.namespace), labelSelector=selector)

    def watch(
        self, what: ListedKind, selector: str, version: str, seconds: int, connected: Callable[[], None]
    ) -> AsyncIterator[tuple[str, Object]]:
        """Event type and object of each change, as :meth:`Rest.watch`."""
        where = path(*what.value, self.namespace)
        return self._rest.watch(where, version, seconds, connected, labelSelector=selector)

    async def find(self, what: ListedKind, name: str) -> Object | None:
        """The object of that name; None if there is none. It takes no other right than listing does."""
        where = path(*what.value, self.namespace)
        _, found = await self._list(where, fieldSelector=f"metadata.name={name}")
        return found[0] if found else None

    async def create(self, job: Mapping[str, Any]) -> Object:
        """The Job as it was made. Raises ExistsError if there is one of that name. A field that the API
        server does not know is refused: left out silently, it would be missed only by what it was for.
        """
        where = path("batch/v1", "jobs", self.namespace)
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return await self._rest.write("POST", where, dict(job), **query)

    async def delete(self, name: str) -> None:
        """Delete a Job, and its pods in the background. One that is gone is no error."""
        with suppress(NotFoundError):
            where = path("batch/v1", "jobs", self.namespace, name)
            await self._rest.write("DELETE", where, {"propagationPolicy": "Background"})

    async def apply_secret(self, name: str, body: Mapping[str, Any]) -> None:
        """Make a Secret what ``body`` says, whether there is one or not."""
        await self._rest.apply(path("v1", "secrets", self.namespace, name), dict(body))

    async def secrets(self, selector: str) -> Sequence[Object]:
        """The metadata of the Secrets with those labels."""
        where = path("v1", "secrets", self.namespace)
        _, found = await self._list(where, METADATA_LIST, labelSelector=selector)
        return [secret["metadata"] for secret in found]

    async def delete_secret(self, name: str) -> None:
        """Delete a Secret. One that is gone is no error."""
        with suppress(NotFoundError):
            await self._rest.write("DELETE", path("v1", "secrets", self.namespace, name))

    async def _list(self, where: str, accept: str = JSON, **query: str) -> tuple[str, Sequence[Object]]:
        items: builtins.list[Object] = []
        version = ""
        async for page in self._rest.pages(where, accept, **query):
            items += page["items"] or ()
            version = page["metadata"]["resourceVersion"]
        return version, items
