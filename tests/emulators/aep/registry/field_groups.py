"""Field groups and classes (platform.md 10)."""

from __future__ import annotations

import secrets

from aiohttp import web

from tests.emulators.aep import errors, xdm_parts
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.registry import query
from tests.emulators.aep.registry.common import Document, accepted, alt_id, metadata, not_found, rendered
from tests.emulators.core.web import answer, read_json


def routes() -> list[web.RouteDef]:
    """Routes below the registry's base path."""
    return [
        web.get("/{container:global|tenant}/fieldgroups", _list_field_groups),
        web.get("/{container:global|tenant}/fieldgroups/{id}", _get_field_group),
        web.post("/tenant/fieldgroups", _create_field_group),
        web.delete("/tenant/fieldgroups/{id}", _delete_field_group),
        web.get("/global/classes", _list_classes),
    ]


async def _list_field_groups(request: web.Request) -> web.Response:
    ctx = context(request)
    accept = accepted(request, lookup=False)
    page = query.page(request, _groups(ctx, request))
    return answer({**page, "results": [rendered(ctx, g, accept) for g in page["results"]]})


async def _list_classes(request: web.Request) -> web.Response:
    ctx = context(request)
    accept = accepted(request, lookup=False)
    page = query.page(request, xdm_parts.classes())
    return answer({**page, "results": [rendered(ctx, c, accept) for c in page["results"]]})


async def _get_field_group(request: web.Request) -> web.Response:
    ctx = context(request)
    accept = accepted(request, lookup=True)
    wanted = request.match_info["id"]
    for group in _groups(ctx, request):
        if wanted in (group["$id"], group["meta:altId"]):
            return answer(rendered(ctx, group, accept))
    raise not_found(wanted)


async def _create_field_group(request: web.Request) -> web.Response:
    ctx = context(request)
    body = await read_json(request)
    if not isinstance(body, dict) or not isinstance(body.get("title"), str):
        raise errors.xdm("XDM-1010-400", "Invalid field group", "title is missing")
    if not isinstance(body.get("meta:intendedToExtend"), list):
        raise errors.xdm("XDM-1010-400", "Invalid field group", "meta:intendedToExtend is missing")
    id = f"https://ns.adobe.com/{ctx.state.tenant}/mixins/{secrets.token_hex(24)}"
    group = {
        **body,
        "$id": id,
        "meta:altId": alt_id(id),
        "meta:resourceType": "mixins",
        "meta:containerId": "tenant",
        "version": "1.0",
        "type": "object",
        "meta:registryMetadata": metadata(ctx),
    }
    ctx.sandbox.field_groups[id] = group
    return answer(group, 201)


async def _delete_field_group(request: web.Request) -> web.Response:
    ctx = context(request)
    wanted = request.match_info["id"]
    for id in list(ctx.sandbox.field_groups):
        if wanted in (id, alt_id(id)):
            del ctx.sandbox.field_groups[id]
            return web.Response(status=204)
    raise not_found(wanted)


def _groups(ctx: Context, request: web.Request) -> list[Document]:
    if request.match_info["container"] == "global":
        return xdm_parts.field_groups()
    return list(ctx.sandbox.field_groups.values())
