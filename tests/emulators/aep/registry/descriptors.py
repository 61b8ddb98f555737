"""Descriptors, above all the identities of a schema (platform.md 10)."""

from __future__ import annotations

import secrets
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors, media, xdm
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.registry import query
from tests.emulators.aep.registry.common import Document, accept_error, not_found
from tests.emulators.core.web import answer, read_json

_MAXIMUM = 4000
_PAGED = "-v2"
_VARIANTS = {paged + form for paged in ("", _PAGED) for form in ("", "-id", "-link")}


def routes() -> list[web.RouteDef]:
    """Routes below the registry's base path."""
    kind = "/tenant/descriptors"
    return [
        web.get(kind, _list_descriptors),
        web.post(kind, _create_descriptor),
        web.get(f"{kind}/{{id}}", _get_descriptor),
        web.put(f"{kind}/{{id}}", _put_descriptor),
        web.delete(f"{kind}/{{id}}", _delete_descriptor),
    ]


async def _list_descriptors(request: web.Request) -> web.Response:
    """Descriptors by type, or with ``-v2`` in pages; the media type is of the family xdm, not xed."""
    ctx = context(request)
    text = request.headers.get("Accept", "")
    accept = media.parse(text)
    if accept is None or accept.family != "xdm" or accept.variant not in _VARIANTS:
        raise accept_error("XDM-1008-400", text, "application/vnd.adobe.xdm-id+json")
    form, descriptors = accept.variant.removeprefix(_PAGED), list(ctx.sandbox.descriptors.values())
    if accept.variant.startswith(_PAGED):
        page = query.page(request, descriptors, ctx.switches, order="@id")
        return answer({**page, "results": [_shown(d, form) for d in page["results"]]})
    found: dict[str, list[Any]] = {}
    for descriptor in query.matching(request, descriptors):
        found.setdefault(descriptor["@type"], []).append(_shown(descriptor, form))
    return answer(found)


def _shown(descriptor: Document, form: str) -> Any:
    match form:
        case "-id":
            return descriptor["@id"]
        case "-link":
            return f"/tenant/descriptors/{descriptor['@id']}"
        case _:
            return descriptor


async def _get_descriptor(request: web.Request) -> web.Response:
    return answer(_descriptor(context(request), request))


async def _create_descriptor(request: web.Request) -> web.Response:
    ctx = context(request)
    body = _checked_descriptor(ctx, await read_json(request), None)
    if len(ctx.sandbox.descriptors) >= _MAXIMUM:
        detail = f"A sandbox has at most {_MAXIMUM} descriptors"
        raise errors.xdm("XDM-1010-400", "Too many descriptors", detail)
    descriptor = _with_identity(ctx, body, secrets.token_hex(24))
    ctx.sandbox.descriptors[descriptor["@id"]] = descriptor
    return answer(descriptor, 201)


async def _put_descriptor(request: web.Request) -> web.Response:
    ctx = context(request)
    id = _descriptor(ctx, request)["@id"]
    body = _checked_descriptor(ctx, await read_json(request), id)
    ctx.sandbox.descriptors[id] = _with_identity(ctx, body, id)
    return answer({"@id": id})


async def _delete_descriptor(request: web.Request) -> web.Response:
    ctx = context(request)
    del ctx.sandbox.descriptors[_descriptor(ctx, request)["@id"]]
    return web.Response(status=204)


def _descriptor(ctx: Context, request: web.Request) -> Document:
    found = ctx.sandbox.descriptors.get(request.match_info["id"])
    if found is None:
        raise not_found(request.match_info["id"])
    return found


def _checked_descriptor(ctx: Context, body: Any, own: str | None) -> Document:
    if not isinstance(body, dict) or not str(body.get("@type", "")).startswith("xdm:"):
        raise errors.xdm("XDM-1010-400", "Invalid descriptor", "@type is missing")
    versions = ctx.sandbox.schemas.get(str(body.get("xdm:sourceSchema")))
    if versions is None:
        raise errors.xdm("XDM-1012-404", "Resource Not Found", "xdm:sourceSchema does not exist")
    path = str(body.get("xdm:sourceProperty", ""))
    document = versions[max(versions)]
    if not path.startswith("/") or "/properties/" in path or not _has(document, path):
        raise errors.xdm("XDM-1010-400", "Invalid descriptor", f"xdm:sourceProperty {path} does not exist")
    if body.get("xdm:isPrimary") is True and any(
        d["xdm:sourceSchema"] == body["xdm:sourceSchema"] and d.get("xdm:isPrimary") is True and id != own
        for id, d in ctx.sandbox.descriptors.items()
    ):
        raise errors.xdm("XDM-1010-400", "Invalid descriptor", "The schema has a primary identity already")
    return body


def _has(document: Document, path: str) -> bool:
    return xdm.has_path(document, path.strip("/").replace("/", "."))


def _with_identity(ctx: Context, body: Document, id: str) -> Document:
    source_version = body.get("xdm:sourceVersion", 1)
    return {
        **body,
        "@id": id,
        "xdm:sourceVersion": str(source_version),
        "imsOrg": ctx.state.organization,
        "version": "1",
        "meta:containerId": "tenant",
        "meta:sandboxId": ctx.sandbox.id,
        "meta:sandboxType": ctx.sandbox.type,
    }
