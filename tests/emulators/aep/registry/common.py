"""What the kinds of resources in the Schema Registry share: media types, identity, errors."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors, media
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.resource import milliseconds
from tests.emulators.core.web import ServiceError

Document = dict[str, Any]

_VARIANTS = {"", "-id", "-full", "-notext", "-full-notext", "-full-desc", "-deprecatefield"}
_METADATA = "meta:registryMetadata"
_NO_TEXT = {"title", "description", "meta:titleId", "meta:descriptionId"}


def alt_id(id: str) -> str:
    """``meta:altId`` of an ``$id``, with its underscore."""
    return "_" + id.removeprefix("https://ns.adobe.com/").replace("/", ".")


def rendered(ctx: Context, document: Document, accept: media.XdmMediaType) -> Document:
    """The document in the variant that was asked for."""
    shown = copy.deepcopy(document)
    if not ctx.switches.altIdUnderscore:
        shown["meta:altId"] = shown["meta:altId"].removeprefix("_")
    if accept.variant == "-id":
        return {name: shown.get(name) for name in ("$id", "meta:altId", "version", "title")}
    if "-full" not in accept.variant and shown["meta:resourceType"] == "schemas":
        shown.pop("properties", None)
    if accept.variant == "-full-desc":
        of_this = (d for d in ctx.sandbox.descriptors.values() if d["xdm:sourceSchema"] == shown["$id"])
        shown["meta:descriptors"] = copy.deepcopy(list(of_this))
    return _without_text(shown) if "-notext" in accept.variant else shown


def indexed(ctx: Context, documents: Iterable[Document]) -> list[Document]:
    """Those that listings show by now. What was there from the start has no metadata."""
    return [d for d in documents if ctx.listed(d.get(_METADATA, {}).get("repo:createdDate", 0) / 1000)]


def metadata(ctx: Context, before: Document | None = None) -> Document:
    """``meta:registryMetadata`` of a resource that is written now, and was ``before``."""
    now = milliseconds(ctx.now)
    created = {
        "repo:createdDate": now,
        "xdm:createdClientId": ctx.author.client,
        "xdm:createdUserId": ctx.author.user,
    }
    if before is not None and _METADATA in before:
        created = {name: before[_METADATA][name] for name in created}
    return {
        **created,
        "repo:lastModifiedDate": now,
        "xdm:lastModifiedClientId": ctx.author.client,
        "xdm:lastModifiedUserId": ctx.author.user,
        "etag": secrets.token_hex(32),
        "meta:globalLibVersion": "1.0",
    }


def accepted(request: web.Request, *, lookup: bool) -> media.XdmMediaType:
    """The media type; a lookup needs a version, a listing must not have one."""
    text = request.headers.get("Accept", "")
    accept = media.parse(text)
    if accept is not None and accept.variant not in _VARIANTS:
        accept = None
    if lookup and (accept is None or accept.version is None):
        raise accept_error(
            "XDM-1007-400",
            text,
            "application/vnd.adobe.{xed|xdm}+json; version=1",
        )
    if accept is None or (not lookup and accept.version is not None):
        raise accept_error("XDM-1006-400", text, "application/vnd.adobe.{xed|xdm}+json")
    return accept


def accept_error(code: str, text: str, wanted: str) -> ServiceError:
    """The refusal of a media type."""
    detail = f"The Accept header {text!r} is not valid here; expected: {wanted}"
    return errors.xdm(code, "Accept header invalid", detail)


def not_found(id: str) -> ServiceError:
    """The 404 of an unknown id (1012)."""
    return errors.xdm("XDM-1012-404", "Resource Not Found", f"Requested resource {id} is not found")


def _without_text(value: Any) -> Any:
    """Without titles and descriptions; a field that is called title is an object and stays."""
    if isinstance(value, dict):
        return {
            name: _without_text(member)
            for name, member in value.items()
            if not (name in _NO_TEXT and isinstance(member, str))
        }
    return [_without_text(member) for member in value] if isinstance(value, list) else value
