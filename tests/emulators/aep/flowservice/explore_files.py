"""Explore of a landing zone: folders, files and their columns (landing-zone.md E.2, K.3)."""

from __future__ import annotations

import base64
import json
import tempfile
from itertools import islice
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.emulators.aep import errors, specs
from tests.emulators.aep.flowservice.collection import provider_error
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.ingestion.delimited import DelimitedFile, Unreadable
from tests.emulators.aep.ingestion.files import FORMATS, in_container
from tests.emulators.aep.seed_data import LANDING_ZONE_SPEC
from tests.emulators.blob.azurite import CONTAINER
from tests.emulators.core.web import ServiceError, answer

if TYPE_CHECKING:
    from tests.emulators.blob.container import Blob

_PREVIEW_ROWS = 100
_MAGIC = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"PK": "zipDeflate"}


async def explore(request: web.Request) -> web.Response:
    """``GET /connectionSpecs/{id}/explore``: only the landing zone needs no base connection."""
    ctx = context(request)
    id, parameters = request.match_info["id"], request.query
    if specs.connection_spec(ctx.switches, id) is None:
        raise errors.flow(ctx.switches.notFoundCode, "Resource not found", f"No connection spec {id}", id=id)
    if id != LANDING_ZONE_SPEC:
        raise provider_error(ctx, "1336-400", "Explore not supported", "Explore a base connection instead")
    for name, value in parameters.items():
        if not value:
            raise provider_error(ctx, "1337-400", "Empty parameter", f"The parameter {name} is empty")
    path = parameters.get("object", "")
    match parameters.get("objectType", "").lower():
        case "root":
            return answer(await _listing(ctx, ""))
        case "folder":
            return answer(await _listing(ctx, _inside(ctx, path)))
        case "file":
            return answer(await _file(ctx, _inside(ctx, path), _properties(ctx, request), request))
        case other:
            raise provider_error(ctx, "1358-400", "Invalid objectType", f"{other!r} is none of the source's")


async def require_folder(ctx: Context, path: str) -> None:
    """Whether a source connection may name a place where nothing is yet is unknown."""
    inside = in_container(path)
    if ctx.switches.missingFolder == "accepted" or not inside or "*" in inside:
        return
    if not await _blobs(ctx, inside.strip("/")):
        raise _no_such_path(ctx, path)


async def _blobs(ctx: Context, prefix: str) -> list[Blob]:
    container = await ctx.state.blobs.container(ctx.sandbox.name)
    found = await container.blobs(prefix)
    return [b for b in found if not prefix or b.name == prefix or b.name.startswith(f"{prefix}/")]


def _inside(ctx: Context, path: str) -> str:
    if not path:
        raise provider_error(ctx, "1337-400", "Empty parameter", "The parameter object is missing")
    inside = in_container(path)
    if inside is None:
        raise _no_such_path(ctx, path)
    return inside.strip("/")


async def _listing(ctx: Context, folder: str) -> list[dict[str, Any]]:
    """What is directly in the folder, files first."""
    blobs = await _blobs(ctx, folder)
    if not blobs and folder and ctx.switches.missingFolder == "refused":
        raise _no_such_path(ctx, folder)
    start = f"{folder}/" if folder else ""
    rests = [blob.name[len(start) :] for blob in blobs]
    files = [_entry("file", f"{start}{rest}") for rest in rests if "/" not in rest]
    folders = dict.fromkeys(rest.split("/")[0] for rest in rests if "/" in rest)
    return [*files, *(_entry("folder", f"{start}{name}/") for name in folders)]


def _entry(kind: str, path: str) -> dict[str, Any]:
    file = kind == "file"
    name = path.strip("/").rsplit("/", 1)[-1]
    return {
        "type": kind,
        "name": name,
        "path": f"{CONTAINER}/{path}",
        "canPreview": file,
        "canFetchSchema": file,
    }


async def _file(
    ctx: Context, name: str, properties: dict[str, Any] | None, request: web.Request
) -> dict[str, Any]:
    if not any(blob.name == name for blob in await _blobs(ctx, name)):
        raise _no_such_path(ctx, name)
    container = await ctx.state.blobs.container(ctx.sandbox.name)
    with tempfile.TemporaryFile() as content:
        async for chunk in container.read(name):
            content.write(chunk)
        content.seek(0)
        found = properties
        if found is None:
            found = {"fileType": "delimited", "columnDelimiter": ","}
            compression = _MAGIC.get(content.read(2))
            found |= {"compressionType": compression} if compression else {}
            content.seek(0)
        if found.get("fileType", "delimited") != "delimited":
            raise provider_error(ctx, "1327-400", "Unsupported format", "Only delimited files are emulated")
        try:
            file = DelimitedFile(content, found, ctx.switches)
        except Unreadable as error:
            raise provider_error(ctx, "1330-400", "No columns found", str(error)) from None
        rows = [row for row in islice(file.rows(), _PREVIEW_ROWS) if row is not None]
        columns = [{"name": n, "type": "string", "xdm": {"type": "string"}} for n in file.header]
        shown: dict[str, Any] = {"format": "flat", "schema": {"columns": columns}}
        if properties is None:
            shown["properties"] = found
        if request.query.get("preview", "").lower() == "true":
            shown["data"] = [dict(zip(file.header, map(file.cell, row), strict=True)) for row in rows]
        return shown


def _properties(ctx: Context, request: web.Request) -> dict[str, Any] | None:
    """What the client says of the file; None if Platform is to find out. One of both is needed."""
    given: dict[str, Any] = {}
    if "fileType" in request.query:
        given["fileType"] = request.query["fileType"].lower()
    if "queryParams" in request.query:
        try:
            given |= json.loads(base64.b64decode(request.query["queryParams"]))
        except ValueError:
            raise provider_error(
                ctx, "1337-400", "Invalid parameter", "queryParams: base64 of JSON"
            ) from None
    determine = request.query.get("determineProperties", "").lower() == "true"
    if determine == bool(given):
        detail = "Either the file's properties or determineProperties is expected"
        raise provider_error(ctx, "1337-400", "Invalid parameter", detail)
    if given and given.get("fileType") not in FORMATS:
        raise provider_error(ctx, "1327-400", "Unsupported format", f"fileType {given.get('fileType')!r}")
    return given or None


def _no_such_path(ctx: Context, path: str) -> ServiceError:
    detail = f"The specified path does not exist: {path}"
    return provider_error(ctx, "1308-400", "Error from the source", detail)
