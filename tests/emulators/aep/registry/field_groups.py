"""Field groups and classes (platform.md 10)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors, jsonpatch, xdm_parts
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.registry import query
from tests.emulators.aep.registry.common import (
    Document,
    accepted,
    alt_id,
    indexed,
    metadata,
    not_found,
    rendered,
)
from tests.emulators.core.web import answer, read_json

_KIND = "/{container:global|tenant}/fieldgroups"
_OWN = "/tenant/fieldgroups"
_DECLARED = ("title", "description", "meta:intendedToExtend", "properties", "allOf", "definitions")

Listing = Callable[[Context, web.Request], list[Document]]


def routes() -> list[web.RouteDef]:
    """Routes below the registry's base path."""
    return [
        *_reading(_KIND, _groups),
        *_reading("/{container:global|tenant}/classes", _classes),
        web.post(_OWN, _create_field_group),
        web.put(f"{_OWN}/{{id}}", _put_field_group),
        web.patch(f"{_OWN}/{{id}}", _patch_field_group),
        web.delete(f"{_OWN}/{{id}}", _delete_field_group),
    ]


def _reading(kind: str, listing: Listing) -> list[web.RouteDef]:
    async def list_all(request: web.Request) -> web.Response:
        ctx = context(request)
        accept = accepted(request, lookup=False)
        page = query.page(request, indexed(ctx, listing(ctx, request)), ctx.switches)
        return answer({**page, "results": [rendered(ctx, d, accept) for d in page["results"]]})

    async def get_one(request: web.Request) -> web.Response:
        ctx = context(request)
        accept = accepted(request, lookup=True)
        wanted = request.match_info["id"]
        for document in listing(ctx, request):
            if wanted in (document["$id"], document["meta:altId"]):
                return answer(rendered(ctx, document, accept))
        raise not_found(wanted)

    return [web.get(kind, list_all), web.get(f"{kind}/{{id}}", get_one)]


async def _create_field_group(request: web.Request) -> web.Response:
    ctx = context(request)
    body = _declared(await read_json(request))
    id = f"https://ns.adobe.com/{ctx.state.tenant}/mixins/{secrets.token_hex(24)}"
    return answer(_kept(ctx, id, body, None), 201)


async def _put_field_group(request: web.Request) -> web.Response:
    ctx = context(request)
    before = _own(ctx, request)
    return answer(_kept(ctx, before["$id"], _declared(await read_json(request)), before))


async def _patch_field_group(request: web.Request) -> web.Response:
    ctx = context(request)
    before = _own(ctx, request)
    body = before
    try:
        for operation in jsonpatch.operations(await read_json(request)):
            body = jsonpatch.apply(body, operation)
    except jsonpatch.PatchError as error:
        raise errors.xdm("XDM-1010-400", "Invalid patch", str(error)) from None
    return answer(_kept(ctx, before["$id"], _declared(body), before))


async def _delete_field_group(request: web.Request) -> web.Response:
    ctx = context(request)
    del ctx.sandbox.field_groups[_own(ctx, request)["$id"]]
    return web.Response(status=204)


def _declared(body: Any) -> Document:
    if not isinstance(body, dict) or not isinstance(body.get("title"), str):
        raise errors.xdm("XDM-1010-400", "Invalid field group", "title is missing")
    if not isinstance(body.get("meta:intendedToExtend"), list):
        raise errors.xdm("XDM-1010-400", "Invalid field group", "meta:intendedToExtend is missing")
    return {name: body[name] for name in _DECLARED if name in body}


def _kept(ctx: Context, id: str, body: Document, before: Document | None) -> Document:
    """The group as it is from now on; each change is a minor version."""
    minor = 0 if before is None else int(before["version"].split(".")[1]) + 1
    group = {
        **body,
        "$id": id,
        "meta:altId": alt_id(id),
        "meta:resourceType": "mixins",
        "meta:containerId": "tenant",
        "version": f"1.{minor}",
        "type": "object",
        "meta:registryMetadata": metadata(ctx, before),
    }
    ctx.sandbox.field_groups[id] = group
    return group


def _own(ctx: Context, request: web.Request) -> Document:
    wanted = request.match_info["id"]
    for id, group in ctx.sandbox.field_groups.items():
        if wanted in (id, alt_id(id)):
            return group
    raise not_found(wanted)


def _groups(ctx: Context, request: web.Request) -> list[Document]:
    if request.match_info["container"] == "global":
        return xdm_parts.field_groups()
    return list(ctx.sandbox.field_groups.values())


def _classes(_: Context, request: web.Request) -> list[Document]:
    """The standard classes; nobody here has made any of their own."""
    return xdm_parts.classes() if request.match_info["container"] == "global" else []
