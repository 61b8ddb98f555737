"""What the collections of Flow Service do alike: read, list, patch, delete, publish (platform.md 3 and 4)."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

from aiohttp import web
from pydantic import BaseModel

from tests.emulators.aep import errors, jsonpatch, query
from tests.emulators.aep.flowservice import shapes
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.resource import Resource, Store, milliseconds
from tests.emulators.core.web import ServiceError, answer, read_json

_COMMON = frozenset(
    [
        "id",
        "createdAt",
        "updatedAt",
        "createdBy",
        "updatedBy",
        "createdClient",
        "updatedClient",
        "sandboxId",
        "sandboxName",
        "imsOrgId",
        "name",
        "description",
        "state",
        "version",
        "etag",
        "lastOperation",
        "providerRefId",
        "inheritedAttributes",
    ]
)

_VERBATIM = (
    "name",
    "description",
    "connectionSpec",
    "flowSpec",
    "baseConnectionId",
    "sourceConnectionIds",
    "targetConnectionIds",
    "flowId",
)
"""Members that every collection shows as they were sent."""

Body = dict[str, Any]


class Collection:
    """One collection; subclasses say what is particular about it."""

    kind: ClassVar[str]
    """The collection's segment of the path."""
    fields: ClassVar[frozenset[str]]
    """Fields of its own that a filter or orderby may name."""
    shape: ClassVar[type[BaseModel]]
    """Types of what a client may send."""
    patchable: ClassVar[tuple[str, ...]] = ()
    """Paths that PATCH takes; one that ends in ``/`` stands for all below it."""

    # What subclasses fill in

    def checked(self, ctx: Context, body: Body) -> Body:
        """The body to keep for a create or a publish; raises the refusal."""
        return body

    async def check_source(self, ctx: Context, body: Body) -> None:
        """Refuse a create or publish after a look at what it reads from."""

    def settle_new(self, ctx: Context, resource: Resource) -> None:
        """Give a new or published object its state."""
        resource.state = "enabled"

    def shown(self, ctx: Context, resource: Resource) -> Body:
        """What a read shows beside the common fields."""
        return copy.deepcopy(resource.body)

    def check_patch(self, ctx: Context, resource: Resource, operation: Body) -> None:
        """Refuse an operation that is patchable in general, but not now."""

    def check_patched(self, ctx: Context, resource: Resource, body: Body) -> Body:
        """The body to keep after all operations; raises the refusal."""
        return body

    def changed(self, ctx: Context, resource: Resource, operations: list[Body]) -> None:
        """Called after a successful PATCH."""

    def check_delete(self, ctx: Context, resource: Resource) -> None:
        """Refuse a delete."""

    def hidden(self, ctx: Context, resource: Resource) -> bool:
        """Whether this caller may not see the object."""
        return False

    # What they share

    def store(self, ctx: Context) -> Store:
        """This collection in the request's sandbox."""
        return ctx.sandbox.stores[self.kind]

    def routes(self) -> list[web.RouteDef]:
        """Routes below Flow Service's base path."""
        one = f"/{self.kind}/{{id}}"
        return [
            web.get(f"/{self.kind}", self.get_list),
            web.post(f"/{self.kind}", self.create),
            web.get(one, self.get),
            web.patch(one, self.patch),
            web.delete(one, self.delete),
        ]

    def find(self, ctx: Context, id: str) -> Resource:
        """The object of that id; raises the 404 of an unknown one."""
        resource = self.store(ctx).get(id, ctx.now)
        if resource is None or self.hidden(ctx, resource):
            raise self.not_found(ctx, id)
        return resource

    def not_found(self, ctx: Context, id: str) -> ServiceError:
        """Unknown, deleted, in another sandbox, or hidden by a label: all look the same."""
        detail = f"No object of {self.kind} has the id {id}"
        return errors.flow(ctx.switches.notFoundCode, "Resource not found", detail, resource=self.kind, id=id)

    def item(self, ctx: Context, resource: Resource) -> Body:
        """The object as a read shows it."""
        return {
            **resource.common(),
            "sandboxId": ctx.sandbox.id,
            "sandboxName": ctx.sandbox.name,
            "imsOrgId": ctx.state.organization,
            **self.shown(ctx, resource),
        }

    async def get_list(self, request: web.Request) -> web.Response:
        """GET of the collection."""
        ctx = context(request)
        asked = query.parse(request, ctx.switches, ctx.now)
        return answer(self.page(ctx, asked))

    async def search(self, request: web.Request) -> web.Response:
        """POST …/search."""
        ctx = context(request)
        if "continuationToken" in request.query:
            return await self.get_list(request)
        return answer(self.page(ctx, query.from_search(await read_json(request), ctx.switches)))

    def page(self, ctx: Context, asked: query.Query) -> Body:
        """One page of what the index shows."""
        items = [self._listed(ctx, r) for r in self.store(ctx).all(ctx.now) if self._indexed(ctx, r)]
        return query.page(items, asked, f"/{self.kind}", _COMMON | self.fields, ctx.now)

    def _listed(self, ctx: Context, resource: Resource) -> query.Listed:
        known = {name: resource.body[name] for name in _VERBATIM if name in resource.body}
        known |= {"id": resource.id, "createdAt": milliseconds(resource.created_at)}
        return query.Listed(known, lambda: self.item(ctx, resource))

    def _indexed(self, ctx: Context, resource: Resource) -> bool:
        if not ctx.listed(resource.created_at):
            return False
        if resource.deleted_at is None or ctx.switches.softDeletedInLists:
            return True
        return not ctx.listed(resource.deleted_at)

    async def get(self, request: web.Request) -> web.Response:
        """GET of one object: a list of one (platform.md 3)."""
        ctx = context(request)
        resource = self.find(ctx, request.match_info["id"])
        return answer({"items": [self.item(ctx, resource)], "_links": {}})

    async def create(self, request: web.Request) -> web.Response:
        """POST to the collection; ``mode=draft`` postpones the checks to publish."""
        ctx = context(request)
        body = self._object(await read_json(request))
        shapes.check(self.shape, body)
        self._unique(ctx, body)
        draft = request.query.get("mode", "").lower() == "draft"
        kept = body if draft else self.checked(ctx, body)
        if not draft:
            await self.check_source(ctx, kept)
        resource = self.store(ctx).create(kept, "draft", ctx.author, ctx.now)
        if draft:
            resource.begin("draft_create", "draft", "draft", ctx.now, 0)
        else:
            self.settle_new(ctx, resource)
        return answer(reference(resource), 201, {"Location": f"{request.path.rstrip('/')}/{resource.id}"})

    async def patch(self, request: web.Request) -> web.Response:
        """PATCH with If-Match: all operations or none."""
        ctx = context(request)
        resource = self.changeable(ctx, request.match_info["id"])
        entries = await read_json(request)
        match_etag(ctx, request, resource)
        if entries is None or entries == []:
            raise errors.flow("FLOW-1405-400", "Empty body", "The patch request has no operation")
        try:
            operations = jsonpatch.operations(entries)
            body = self._patched(ctx, resource, operations)
        except jsonpatch.PatchError as error:
            raise _patch_refusal(error) from None
        body = _without_nulls(body)
        shapes.check(self.shape, body)
        resource.body = self.check_patched(ctx, resource, body)
        resource.touch(ctx.now, ctx.author)
        self.changed(ctx, resource, operations)
        return answer(self.patch_answer(ctx, resource))

    def patch_answer(self, ctx: Context, resource: Resource) -> Body:
        """The answer to a PATCH."""
        return reference(resource)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE: no If-Match, no body in the answer."""
        ctx = context(request)
        resource = self.changeable(ctx, request.match_info["id"], "FLOW-1416-400")
        self.check_delete(ctx, resource)
        self.remove(ctx, resource)
        return web.Response(status=204)

    def remove(self, ctx: Context, resource: Resource) -> None:
        """End the object."""
        self.store(ctx).delete(resource, ctx.now)

    async def publish(self, ctx: Context, resource: Resource) -> None:
        """Turn a draft into a working object."""
        if resource.state != "draft":
            raise errors.flow(
                "FLOW-1458-400", "Not a draft", f"The state {resource.state} cannot be published"
            )
        resource.body = self.checked(ctx, resource.body)
        await self.check_source(ctx, resource.body)
        resource.touch(ctx.now, ctx.author)
        self.settle_new(ctx, resource)

    async def publish_action(self, request: web.Request) -> web.Response:
        """POST …/action where publish is all there is."""
        ctx = context(request)
        resource = self.changeable(ctx, request.match_info["id"])
        if operation(request) != "PUBLISH":
            raise errors.flow("FLOW-1402-400", "Invalid operation", "Only publish is allowed")
        await self.publish(ctx, resource)
        return answer(reference(resource))

    def changeable(self, ctx: Context, id: str, code: str | None = None) -> Resource:
        """The object, if it is in a state that allows a change (platform.md 2.3)."""
        resource = self.store(ctx).get(id, ctx.now)
        if resource is None:
            raise self.not_found(ctx, id)
        if self.hidden(ctx, resource):
            raise errors.flow("FLOW-2120-403", "Forbidden", f"A label on {id} forbids it", resource=self.kind)
        if not resource.settled:
            raise _in_transition(resource, code, self.kind)
        return resource

    def _object(self, body: Any) -> Body:
        if body is None or body == {}:
            raise errors.flow("FLOW-1405-400", "Empty body", "The request has no body")
        if not isinstance(body, dict):
            raise errors.generic(400, "BadRequestError", "A JSON object is expected")
        return _without_nulls(body)

    def _unique(self, ctx: Context, body: Body) -> None:
        if ctx.switches.nameUniqueness == "none":
            return
        if any(r.body.get("name") == body.get("name") for r in self.store(ctx).living(ctx.now)):
            raise errors.generic(400, "BadRequestError", f"The name {body.get('name')} is taken")

    def _patched(self, ctx: Context, resource: Resource, operations: list[Body]) -> Body:
        body = copy.deepcopy(resource.body)
        for entry in operations:
            self._check_path(ctx, entry["path"])
            self.check_patch(ctx, resource, entry)
            body = jsonpatch.apply(body, entry)
        return body

    def _check_path(self, ctx: Context, path: str) -> None:
        if any(
            path == allowed or (allowed[-1] == "/" and path.startswith(allowed)) for allowed in self.patchable
        ):
            return
        if path.startswith("/connectionSpec"):
            raise errors.flow("FLOW-1414-400", "Not updatable", "The connection spec cannot be updated")
        raise provider_error(ctx, "1365-400", "Invalid patch path", f"{path} cannot be patched")


def _without_nulls(body: Body) -> Body:
    """A member that is null counts as absent."""
    return {name: value for name, value in body.items() if value is not None}


def match_etag(ctx: Context, request: web.Request, resource: Resource, *, required: bool = True) -> None:
    """Optimistic locking (platform.md 4.6)."""
    wanted = request.headers.get("If-Match")
    if wanted is None:
        if required:
            raise errors.flow("FLOW-1403-400", "If-Match missing", "The header If-Match is required")
        return
    if wanted.strip() != resource.etag:
        detail = f"Supplied version=[{wanted}] does not match the current version on entity=[{resource.id}]"
        if ctx.switches.staleEtagBody == "errorMessage":
            raise ServiceError(412, {"errorMessage": detail})
        raise errors.flow("FLOW-1404-412", "Version mismatch", detail, id=resource.id)


def operation(request: web.Request) -> str:
    """The ``op`` of an action, upper case with underscores, as published."""
    op = request.query.get("op", "")
    if not op:
        raise errors.flow("FLOW-1453-400", "Invalid operation", "The parameter op is missing")
    return op.upper().replace("-", "_")


def provider_error(ctx: Context, code: str, title: str, detail: str) -> ServiceError:
    """A source provider's refusal; the prefix of its code is an unknown (platform.md 16.3.11)."""
    prefix = ctx.switches.sourceErrorPrefix
    return errors.flow(f"{prefix}-{code}", title, detail)


def reference(resource: Resource) -> Body:
    """The short answer to every change."""
    return {"id": resource.id, "etag": resource.etag}


_IN_TRANSITION = {
    "enabled-finalizing": "FLOW-1409-400",
    "disabling": "FLOW-1420-400",
    "updating": "FLOW-1421-400",
    "delete-finalizing": "FLOW-1422-400",
}


def _in_transition(resource: Resource, code: str | None, kind: str) -> ServiceError:
    return errors.flow(
        code or _IN_TRANSITION.get(resource.state, "FLOW-1457-400"),
        "Operation not allowed in this state",
        f"The state is {resource.state}; allowed states: enabled, disabled, initializing",
        resource=kind,
        id=resource.id,
    )


def _patch_refusal(error: jsonpatch.PatchError) -> ServiceError:
    text = str(error)
    code = "FLOW-1434-400" if "not supported" in text else "FLOW-1455-400"
    return errors.flow(code, "Patch validation failed", text)
