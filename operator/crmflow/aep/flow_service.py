"""Flow Service's verbs, the same for each of its collections (platform.md 3, 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import SecretStr

from crmflow.aep import fields
from crmflow.aep.gateway import Gateway, Params, Service
from crmflow.aep.models import Created, PatchOperation
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.http import Answer

SERVICE = "FlowService"
BASE_PATH = "/data/foundation/flowservice"

VersionObserver = Callable[[str, str], None]
"""Told the id and etag of each object that was read or written by its id: that version is known here."""


class FlowService:
    """Creates, reads, changes and deletes objects of a collection such as ``connections``.

    Operations are named ``{collection}.{verb}`` in messages and metrics. Everything raises
    :class:`RemoteError`.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.on_version: VersionObserver = lambda _id, _etag: None

    async def create(self, collection: str, body: Mapping[str, Any]) -> Created:
        """Create an object; not idempotent (platform.md 2.5)."""
        answer = await self._send(f"{collection}.create", "POST", f"/{collection}", json=reveal(body))
        return self._noted(_created(answer))

    async def get(self, collection: str, object_id: str) -> Mapping[str, Any]:
        """The object; NotFound if there is none, or if a label hides it (platform.md 1.4)."""
        answer = await self._send(f"{collection}.get", "GET", _path(collection, object_id))
        found = fields.items(answer.json())
        if found is None:
            raise answer.unreadable("no object")
        if not found:
            message = f"there is nothing with the id {object_id}"
            raise RemoteError(
                SERVICE, f"{collection}.get", ErrorClass.NOT_FOUND, "NotFound", message, status=404
            )
        self.on_version(object_id, fields.text(found[0], "etag", "version"))
        return found[0]

    async def patch(
        self, collection: str, object_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created:
        """Change an object that still has this etag; Conflict if it has another by now (platform.md 4.6)."""
        answer = await self._send(
            f"{collection}.patch",
            "PATCH",
            _path(collection, object_id),
            headers={"If-Match": etag},
            json=[_patch(operation) for operation in operations],
        )
        return self._noted(_created(answer, object_id))

    async def delete(self, collection: str, object_id: str) -> None:
        """Delete an object; InUse while others use it, Wait in a transitional state."""
        await self._send(f"{collection}.delete", "DELETE", _path(collection, object_id))

    async def act(self, collection: str, object_id: str, op: str, etag: str | None) -> Created:
        """Run an action such as ``enable``."""
        answer = await self._send(
            f"{collection}.{op}",
            "POST",
            f"{_path(collection, object_id)}/action",
            params=[("op", op)],
            headers=None if etag is None else {"If-Match": etag},
        )
        return self._noted(_created(answer, object_id))

    async def read(self, operation: str, path: str, params: Params | None = None) -> Answer:
        """GET any other path below the service."""
        return await self._send(operation, "GET", path, params=params)

    async def find(self, collection: str, params: Params) -> tuple[Mapping[str, Any], ...]:
        """Every object that ``params`` select, page by page; a page that fails fails the listing."""
        found: list[Mapping[str, Any]] = []
        page: Params | None = params
        seen: set[tuple[tuple[str, str], ...]] = set()
        while page is not None:
            answer = await self._send(f"{collection}.list", "GET", f"/{collection}", params=page)
            body = answer.json()
            items = fields.items(body)
            if items is None:
                raise answer.unreadable("no listing")
            found.extend(items)
            seen.add(tuple(page))
            page = _next_page(answer, body, params)
            if page is not None and tuple(page) in seen:
                raise answer.unreadable("a next page that was there before")
        return tuple(found)

    def _noted(self, created: Created) -> Created:
        if created.etag:
            self.on_version(created.id, created.etag)
        return created

    async def _send(self, operation: str, method: str, path: str, **request: Any) -> Answer:
        return await self._gateway.send(SERVICE, operation, method, BASE_PATH + path, **request)


class FlowServiceObjects(Service):
    """Base of what works with objects of Flow Service."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._flow_service = FlowService(gateway)


def reveal(value: Any) -> Any:
    """``value`` with every ``SecretStr`` in it replaced by its content: the last step before it is sent."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {name: reveal(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [reveal(entry) for entry in value]
    return value


def _path(collection: str, object_id: str) -> str:
    return f"/{collection}/{quote(object_id, safe='')}"


def _patch(operation: PatchOperation) -> dict[str, Any]:
    patch: dict[str, Any] = {"op": operation.op, "path": operation.path}
    if operation.op != "remove":
        patch["value"] = reveal(operation.value)
    return patch


def _created(answer: Answer, known_id: str = "") -> Created:
    """Id and etag, which come bare or, for some patches, in the list envelope (platform.md 4.2)."""
    found = fields.items(answer.json_or_none()) or ({},)
    object_id = fields.text(found[0], "id") or known_id
    if not object_id:
        raise answer.unreadable("no id")
    return Created(object_id, fields.text(found[0], "etag", "version") or None)


def _next_page(answer: Answer, body: Any, first: Params) -> Params | None:
    """The query of ``_links.next.href``, a reference relative to the base path (platform.md 3), and what
    ``first`` asked for where the reference leaves it out, as Adobe's own client does; None after the last
    page. A link that can't be followed is not the last page: raises :class:`RemoteError`.

    Only its query is taken: an answer does not decide where the token is sent.
    """
    following = fields.obj(body, "_links").get("next")
    href = following.get("href") if isinstance(following, Mapping) else following
    if not href:
        return None
    query = parse_qsl(urlsplit(href).query) if isinstance(href, str) else []
    if not query:
        raise answer.unreadable("a next page that can't be asked for")
    named = {name for name, _ in query}
    return [*query, *(entry for entry in first if entry[0] not in named)]
