"""Data Access: the diagnostics of batches (platform.md 7.1)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.gateway import context
from tests.emulators.core.web import answer, errors_as, slash_optional

_KEPT_SECONDS = 30 * 86400
_FILES_IN_ONE = 1000


def app() -> web.Application:
    """The application below ``/data/foundation/export``."""
    application = web.Application(middlewares=[errors_as(errors.generic_http)])
    application.router.add_routes(slash_optional([web.get("/batches/{id}/meta", _meta)]))
    return application


async def _meta(request: web.Request) -> web.Response:
    """A folder's files, or what is in one of them: JSON lines."""
    ctx, id, path = context(request), request.match_info["id"], request.query.get("path", "").strip("/")
    found = ctx.sandbox.diagnostics.get(id)
    if found is None or found.at + _KEPT_SECONDS <= ctx.now:
        raise errors.generic(404, "NotFoundError", f"There is no metadata of the batch {id}")
    paths = [{"path": name} for name in found.files]
    folders = {
        "input_files": {
            f"fileMetaData{start // _FILES_IN_ONE + 1}.json": paths[start : start + _FILES_IN_ONE]
            for start in range(0, len(paths), _FILES_IN_ONE)
        },
        "row_errors": {
            name: rows
            for name, rows in (
                ("conversion_errors_0.json", found.conversion_errors),
                ("parsing_errors_0.json", found.parsing_errors),
            )
            if rows
        },
    }
    if ctx.switches.runManifest == "absent":
        del folders["input_files"]
    if path == "row_error_samples.json" and ctx.switches.rowErrorSamples == "kept":
        return _lines([*found.parsing_errors, *found.conversion_errors][:10])
    folder, _, file = path.partition("/")
    if folder not in folders or (file and file not in folders[folder]):
        raise errors.generic(404, "NotFoundError", f"The batch {id} has no {path}")
    if file:
        return _lines(folders[folder][file])
    return answer(_listing(request, folder, folders[folder]))


def _listing(request: web.Request, folder: str, files: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    data = [
        {
            "name": name,
            "length": str(len(_text(rows))),
            "_links": {
                "self": {"href": f"{request.url.origin()}{request.path}?path={quote(f'{folder}/{name}', '')}"}
            },
        }
        for name, rows in files.items()
    ]
    return {"data": data, "_page": {"limit": 100, "count": len(data)}}


def _lines(rows: list[dict[str, Any]]) -> web.Response:
    return web.Response(body=_text(rows), content_type="application/json")


def _text(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
