"""Schema Registry (platform.md 10)."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors, jsonpatch, media, registry_query, xdm, xdm_parts
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.resource import milliseconds
from tests.emulators.core.web import ServiceError, answer, errors_as, read_json

Document = dict[str, Any]

_DECLARED: tuple[str, ...] = ("title", "description", "allOf", "meta:immutableTags")
_NO_TEXT = {"title", "description", "meta:titleId", "meta:descriptionId"}


def app() -> web.Application:
    """The application below ``/data/foundation/schemaregistry``."""
    application = web.Application(middlewares=[errors_as(errors.xdm_http)])
    schemas, groups, descriptors = (f"/tenant/{kind}" for kind in ("schemas", "fieldgroups", "descriptors"))
    application.router.add_routes(
        [
            web.get("/stats", _stats),
            web.get(schemas, _list_schemas),
            web.post(schemas, _create_schema),
            web.get(f"{schemas}/{{id}}", _get_schema),
            web.put(f"{schemas}/{{id}}", _put_schema),
            web.patch(f"{schemas}/{{id}}", _patch_schema),
            web.delete(f"{schemas}/{{id}}", _delete_schema),
            web.get("/global/schemas", _list_nothing),
            web.get("/{container:global|tenant}/fieldgroups", _list_field_groups),
            web.get("/{container:global|tenant}/fieldgroups/{id}", _get_field_group),
            web.post(groups, _create_field_group),
            web.delete(f"{groups}/{{id}}", _delete_field_group),
            web.get("/global/classes", _list_classes),
            web.get(descriptors, _list_descriptors),
            web.post(descriptors, _create_descriptor),
            web.get(f"{descriptors}/{{id}}", _get_descriptor),
            web.put(f"{descriptors}/{{id}}", _put_descriptor),
            web.delete(f"{descriptors}/{{id}}", _delete_descriptor),
        ]
    )
    return application


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


def alt_id(id: str) -> str:
    """``meta:altId`` of an ``$id``, with its underscore."""
    return "_" + id.removeprefix("https://ns.adobe.com/").replace("/", ".")


# Schemas


async def _list_schemas(request: web.Request) -> web.Response:
    ctx = context(request)
    accept = _accept(request, lookup=False)
    latest = [versions[max(versions)] for versions in ctx.sandbox.schemas.values()]
    page = registry_query.page(request, latest)
    return answer({**page, "results": [_shown(ctx, d, accept) for d in page["results"]]})


async def _list_nothing(request: web.Request) -> web.Response:
    _accept(request, lookup=False)
    return answer(registry_query.page(request, []))


async def _get_schema(request: web.Request) -> web.Response:
    """One schema in the version that Accept names; the major version alone means its latest minor."""
    ctx = context(request)
    accept = _accept(request, lookup=True)
    versions = _versions(ctx, request.match_info["id"])
    major, _, minor = str(accept.version).partition(".")
    document = versions.get(int(major))
    if document is None or (minor and document["version"] != f"{major}.{minor.split('.')[0]}"):
        raise errors.xdm(
            "XDM-1013-406", "Version not available", f"Version {accept.version} does not exist in this schema"
        )
    content_type = f"application/vnd.adobe.{accept.family}{accept.variant}+json"
    response = answer(_shown(ctx, document, accept))
    response.headers["Content-Type"] = f"{content_type};version={document['version'].split('.')[0]}"
    return response


async def _create_schema(request: web.Request) -> web.Response:
    ctx = context(request)
    body = _declared(await read_json(request))
    id = f"https://ns.adobe.com/{ctx.state.tenant}/schemas/{secrets.token_hex(24)}"
    document = _composed(ctx, id, body, "1.0")
    ctx.sandbox.schemas[id] = {1: document}
    return answer(_full(ctx, document), 201)


async def _put_schema(request: web.Request) -> web.Response:
    ctx = context(request)
    versions = _versions(ctx, request.match_info["id"])
    return _changed(ctx, versions, _declared(await read_json(request)))


async def _patch_schema(request: web.Request) -> web.Response:
    """JSON Patch without If-Match; the union tag cannot be removed again."""
    ctx = context(request)
    versions = _versions(ctx, request.match_info["id"])
    before = versions[max(versions)]
    body = {name: before[name] for name in _DECLARED if name in before}
    try:
        for operation in jsonpatch.operations(await read_json(request)):
            if operation["path"] == "/meta:extends/-":
                continue
            body = jsonpatch.apply(body, operation)
    except jsonpatch.PatchError as error:
        raise errors.xdm("XDM-1010-400", "Invalid patch", str(error)) from None
    return _changed(ctx, versions, _declared(body))


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
    document = _composed(ctx, before["$id"], body, f"{major}.{minor}")
    versions[major] = document
    return answer(_full(ctx, document))


def _composed(ctx: Context, id: str, body: Document, version: str) -> Document:
    groups = ctx.sandbox.field_groups
    document = compose(groups.values(), id, body, ctx.state.tenant, version)
    known = {p["$id"] for p in [*xdm_parts.classes(), *xdm_parts.field_groups()]} | set(groups)
    if unknown := [r for r in document["meta:extends"] if r not in known]:
        raise errors.xdm("XDM-1521-400", "Reference not found", f"{unknown[0]} does not exist")
    if document["meta:class"] is None:
        raise errors.xdm("XDM-1522-400", "Class missing", "allOf must name a class")
    document["meta:registryMetadata"] = _metadata(ctx)
    return document


def _declared(body: Any) -> Document:
    if not isinstance(body, dict):
        raise errors.xdm("XDM-1010-400", "Invalid body", "A JSON object is expected")
    if not isinstance(body.get("title"), str) or not body["title"].strip():
        raise errors.xdm("XDM-1010-400", "Invalid schema", "title is missing")
    if not isinstance(body.get("allOf"), list) or not body["allOf"]:
        raise errors.xdm("XDM-1010-400", "Invalid schema", "allOf is missing")
    return {name: body[name] for name in _DECLARED if name in body}


def _versions(ctx: Context, wanted: str) -> dict[int, Document]:
    """A schema by ``$id`` or ``meta:altId``, with or without the underscore (platform.md 16.1.25)."""
    for id, versions in ctx.sandbox.schemas.items():
        if wanted in (id, alt_id(id), alt_id(id)[1:]):
            return versions
    raise _not_found(wanted)


def _shown(ctx: Context, document: Document, accept: media.XdmMediaType) -> Document:
    shown = copy.deepcopy(document)
    if not ctx.switches.altIdUnderscore:
        shown["meta:altId"] = shown["meta:altId"].removeprefix("_")
    if accept.variant == "-id":
        return {name: shown.get(name) for name in ("$id", "meta:altId", "version", "title")}
    if "-full" not in accept.variant and shown["meta:resourceType"] == "schemas":
        shown.pop("properties", None)
    return _without_text(shown) if "-notext" in accept.variant else shown


def _full(ctx: Context, document: Document) -> Document:
    return _shown(ctx, document, media.XdmMediaType("xed", "", None))


def _without_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: v if k == "properties" and not isinstance(v, dict) else _without_text(v)
            for k, v in value.items()
            if not (k in _NO_TEXT and isinstance(v, str))
        }
    return [_without_text(v) for v in value] if isinstance(value, list) else value


# Field groups and classes


async def _list_field_groups(request: web.Request) -> web.Response:
    ctx = context(request)
    accept = _accept(request, lookup=False)
    page = registry_query.page(request, _groups(ctx, request))
    return answer({**page, "results": [_shown(ctx, g, accept) for g in page["results"]]})


async def _list_classes(request: web.Request) -> web.Response:
    ctx = context(request)
    accept = _accept(request, lookup=False)
    page = registry_query.page(request, xdm_parts.classes())
    return answer({**page, "results": [_shown(ctx, c, accept) for c in page["results"]]})


async def _get_field_group(request: web.Request) -> web.Response:
    ctx = context(request)
    accept = _accept(request, lookup=True)
    wanted = request.match_info["id"]
    for group in _groups(ctx, request):
        if wanted in (group["$id"], group["meta:altId"]):
            return answer(_shown(ctx, group, accept))
    raise _not_found(wanted)


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
        "meta:registryMetadata": _metadata(ctx),
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
    raise _not_found(wanted)


def _groups(ctx: Context, request: web.Request) -> list[Document]:
    if request.match_info["container"] == "global":
        return xdm_parts.field_groups()
    return list(ctx.sandbox.field_groups.values())


# Descriptors


async def _list_descriptors(request: web.Request) -> web.Response:
    """Descriptors by type; the media type is of the family xdm, not xed."""
    ctx = context(request)
    text = request.headers.get("Accept", "")
    accept = media.parse(text)
    if accept is None or accept.family != "xdm":
        raise _accept_error("XDM-1008-400", text, "application/vnd.adobe.xdm-id+json")
    found: dict[str, list[Any]] = {}
    for descriptor in ctx.sandbox.descriptors.values():
        shown: Any = descriptor
        if accept.variant == "-id":
            shown = descriptor["@id"]
        elif accept.variant == "-link":
            shown = f"/tenant/descriptors/{descriptor['@id']}"
        found.setdefault(descriptor["@type"], []).append(shown)
    return answer(found)


async def _get_descriptor(request: web.Request) -> web.Response:
    return answer(_descriptor(context(request), request))


async def _create_descriptor(request: web.Request) -> web.Response:
    ctx = context(request)
    body = _checked_descriptor(ctx, await read_json(request), None)
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
        raise _not_found(request.match_info["id"])
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


# Shared


async def _stats(request: web.Request) -> web.Response:
    ctx = context(request)
    usage: dict[str, list[Document]] = {}
    for versions in ctx.sandbox.schemas.values():
        document = versions[max(versions)]
        entry = {"$id": document["$id"], "meta:altId": document["meta:altId"]}
        usage.setdefault(str(document["meta:class"]), []).append(entry)
    return answer(
        {
            "imsOrg": ctx.state.organization,
            "tenantId": ctx.state.tenant,
            "counts": {
                "schemas": len(ctx.sandbox.schemas),
                "mixins": len(ctx.sandbox.field_groups),
                "datatypes": 0,
                "classes": 0,
                "unions": 1,
            },
            "recentlyCreatedResources": [],
            "recentlyUpdatedResources": [],
            "classUsage": [
                {"$id": id, "numberOfSchemas": len(entries), "schemas": entries}
                for id, entries in usage.items()
            ],
        }
    )


def _metadata(ctx: Context) -> Document:
    now = milliseconds(ctx.now)
    return {
        "repo:createdDate": now,
        "repo:lastModifiedDate": now,
        "xdm:createdClientId": ctx.author.client,
        "xdm:lastModifiedClientId": ctx.author.client,
        "xdm:createdUserId": ctx.author.user,
        "xdm:lastModifiedUserId": ctx.author.user,
        "etag": secrets.token_hex(32),
        "meta:globalLibVersion": "1.0",
    }


def _accept(request: web.Request, *, lookup: bool) -> media.XdmMediaType:
    """The media type; a lookup needs a version, a listing must not have one."""
    text = request.headers.get("Accept", "")
    accept = media.parse(text)
    if lookup and (accept is None or accept.version is None):
        raise _accept_error(
            "XDM-1007-400",
            text,
            "application/vnd.adobe.{xed|xdm}+json; version=1",
        )
    if accept is None or (not lookup and accept.version is not None):
        raise _accept_error("XDM-1006-400", text, "application/vnd.adobe.{xed|xdm}+json")
    return accept


def _accept_error(code: str, text: str, wanted: str) -> ServiceError:
    detail = f"The Accept header {text!r} is not valid here; expected: {wanted}"
    return errors.xdm(code, "Accept header invalid", detail)


def _not_found(id: str) -> ServiceError:
    return errors.xdm("XDM-1012-404", "Resource Not Found", f"Requested resource {id} is not found")
