"""Schemas: read in the version that is asked for, composed, changed (platform.md 10)."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors, jsonpatch, media, xdm, xdm_parts
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

_DECLARED: tuple[str, ...] = ("type", "title", "description", "allOf", "meta:immutableTags")


def routes() -> list[web.RouteDef]:
    """Routes below the registry's base path."""
    kind = "/tenant/schemas"
    return [
        web.get(kind, _list_schemas),
        web.post(kind, _create_schema),
        web.get(f"{kind}/{{id}}", _get_schema),
        web.put(f"{kind}/{{id}}", _put_schema),
        web.patch(f"{kind}/{{id}}", _patch_schema),
        web.delete(f"{kind}/{{id}}", _delete_schema),
        web.get("/global/schemas", _list_nothing),
    ]


def compose(
    sandbox_groups: Iterable[Document], id: str, body: Document, tenant: str, version: str
) -> Document:
    """The kept form of a schema: declared members, identity, and the resolved properties."""
    parts = {p["$id"]: p for p in [*xdm_parts.classes(), *xdm_parts.field_groups(), *sandbox_groups]}
    references = [e["$ref"] for e in body.get("allOf", []) if isinstance(e, dict) and "$ref" in e]
    known = {c["$id"] for c in xdm_parts.classes()}
    document = {
        **copy.deepcopy(body),
        "$id": id,
        "meta:altId": alt_id(id),
        "meta:resourceType": "schemas",
        "version": version,
        "type": "object",
        "meta:class": next((r for r in references if r in known), None),
        "meta:extends": references,
        "meta:containerId": "tenant",
        "meta:tenantNamespace": f"_{tenant}",
        "meta:xdmType": "object",
        "meta:extensible": False,
        "meta:abstract": False,
    }
    document.setdefault("meta:immutableTags", [])
    return xdm.resolved(document, parts)


async def _list_schemas(request: web.Request) -> web.Response:
    ctx = context(request)
    accept = accepted(request, lookup=False)
    latest = [versions[max(versions)] for versions in ctx.sandbox.schemas.values()]
    page = query.page(request, indexed(ctx, latest), ctx.switches)
    return answer({**page, "results": [rendered(ctx, d, accept) for d in page["results"]]})


async def _list_nothing(request: web.Request) -> web.Response:
    accepted(request, lookup=False)
    return answer(query.page(request, [], context(request).switches))


async def _get_schema(request: web.Request) -> web.Response:
    """One schema in the version that Accept names; the major version alone means its latest minor."""
    ctx = context(request)
    accept = accepted(request, lookup=True)
    versions = _versions(ctx, request.match_info["id"])
    major, _, minor = str(accept.version).partition(".")
    document = versions.get(int(major))
    if document is None or (minor and document["version"] != f"{major}.{minor.split('.')[0]}"):
        raise errors.xdm(
            "XDM-1013-406", "Version not available", f"Version {accept.version} does not exist in this schema"
        )
    content_type = f"application/vnd.adobe.{accept.family}{accept.variant}+json"
    response = answer(rendered(ctx, document, accept))
    response.headers["Content-Type"] = f"{content_type};version={document['version'].split('.')[0]}"
    return response


async def _create_schema(request: web.Request) -> web.Response:
    ctx = context(request)
    body = _declared(ctx, await read_json(request))
    id = f"https://ns.adobe.com/{ctx.state.tenant}/schemas/{secrets.token_hex(24)}"
    document = _composed(ctx, id, body, "1.0", None)
    ctx.sandbox.schemas[id] = {1: document}
    return answer(_full(ctx, document), 201)


async def _put_schema(request: web.Request) -> web.Response:
    ctx = context(request)
    versions = _versions(ctx, request.match_info["id"])
    return _changed(ctx, versions, _declared(ctx, await read_json(request)))


async def _patch_schema(request: web.Request) -> web.Response:
    """JSON Patch without If-Match; the union tag cannot be removed again."""
    ctx = context(request)
    versions = _versions(ctx, request.match_info["id"])
    before = versions[max(versions)]
    body = {name: before[name] for name in _DECLARED if name in before}
    try:
        for operation in jsonpatch.operations(await read_json(request)):
            if operation["path"] == "/meta:extends/-":  # follows from allOf
                continue
            body = jsonpatch.apply(body, operation)
    except jsonpatch.PatchError as error:
        raise errors.xdm("XDM-1010-400", "Invalid patch", str(error)) from None
    return _changed(ctx, versions, _declared(ctx, body))


async def _delete_schema(request: web.Request) -> web.Response:
    ctx = context(request)
    versions = _versions(ctx, request.match_info["id"])
    id = versions[max(versions)]["$id"]
    if any(d["schemaRef"]["id"] == id for d in ctx.sandbox.datasets.values()):
        raise errors.xdm("XDM-1500-400", "Schema in use", f"{id} is used by a dataset")
    del ctx.sandbox.schemas[id]
    return web.Response(status=204)


def _changed(ctx: Context, versions: dict[int, Document], body: Document) -> web.Response:
    major = max(versions)
    before = versions[major]
    if lost := set(before["meta:immutableTags"]) - set(body.get("meta:immutableTags", [])):
        raise errors.xdm("XDM-1501-400", "Immutable tag", f"{', '.join(lost)} cannot be removed")
    minor = int(before["version"].split(".")[1]) + 1
    document = _composed(ctx, before["$id"], body, f"{major}.{minor}", before)
    versions[major] = document
    return answer(_full(ctx, document))


def _composed(ctx: Context, id: str, body: Document, version: str, before: Document | None) -> Document:
    groups = ctx.sandbox.field_groups
    document = compose(groups.values(), id, body, ctx.state.tenant, version)
    known = {p["$id"] for p in [*xdm_parts.classes(), *xdm_parts.field_groups()]} | set(groups)
    if unknown := [r for r in document["meta:extends"] if r not in known]:
        raise errors.xdm("XDM-1521-400", "Reference not found", f"{unknown[0]} does not exist")
    if document["meta:class"] is None:
        raise errors.xdm("XDM-1522-400", "Class missing", "allOf must name a class")
    document["meta:registryMetadata"] = metadata(ctx, before)
    return document


def _declared(ctx: Context, body: Any) -> Document:
    if not isinstance(body, dict):
        raise errors.xdm("XDM-1010-400", "Invalid body", "A JSON object is expected")
    if not isinstance(body.get("title"), str) or not body["title"].strip():
        raise errors.xdm("XDM-1010-400", "Invalid schema", "title is missing")
    few = ctx.switches.requiredSchemaMembers == "few"
    if not isinstance(body.get("description", "" if few else None), str):
        raise errors.xdm("XDM-1010-400", "Invalid schema", "description is missing")
    if body.get("type", "object" if few else None) != "object":
        raise errors.xdm("XDM-1010-400", "Invalid schema", 'type is not "object"')
    if not isinstance(body.get("allOf"), list) or not body["allOf"]:
        raise errors.xdm("XDM-1010-400", "Invalid schema", "allOf is missing")
    return {name: body[name] for name in _DECLARED if name in body}


def _versions(ctx: Context, wanted: str) -> dict[int, Document]:
    """A schema by ``$id`` or ``meta:altId``, with or without the underscore (platform.md 16.1.25)."""
    for id, versions in ctx.sandbox.schemas.items():
        if wanted in (id, alt_id(id), alt_id(id)[1:]):
            return versions
    raise not_found(wanted)


def _full(ctx: Context, document: Document) -> Document:
    return rendered(ctx, document, media.XdmMediaType("xed", "", None))
