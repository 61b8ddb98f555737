"""Sandbox management, reading only (platform.md 13)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.gateway import context
from tests.emulators.aep.numbers import whole
from tests.emulators.aep.state import Sandbox
from tests.emulators.core.web import answer, errors_as

_CREATOR = "system@AdobeID"


def app() -> web.Application:
    """The application below ``/data/foundation/sandbox-management``."""
    application = web.Application(middlewares=[errors_as(errors.generic_http)])
    application.router.add_routes(
        [
            web.get("", _active),
            web.get("/", _active),
            web.get("/sandboxTypes", _types),
            web.get("/sandboxes", _all),
            web.get("/sandboxes/{name}", _one),
        ]
    )
    return application


async def _active(request: web.Request) -> web.Response:
    """The active sandboxes of the caller."""
    sandboxes = [s for s in context(request).state.sandboxes.values() if s.state == "active"]
    return answer(_page(sandboxes, len(sandboxes) or 1))


async def _all(request: web.Request) -> web.Response:
    """The administrator's listing, whatever the state."""
    sandboxes = list(context(request).state.sandboxes.values())
    offset = _number(request, "offset", 0)
    limit = _number(request, "limit", 50)
    return answer(_page(sandboxes[offset : offset + limit], limit))


async def _one(request: web.Request) -> web.Response:
    ctx = context(request)
    name = request.match_info["name"]
    sandbox = ctx.state.sandboxes.get(name)
    if sandbox is None:
        status = ctx.switches.unknownSandboxStatus
        raise errors.generic(status, "SandboxNotFoundError", f"The sandbox {name} does not exist")
    return answer(_shown(sandbox))


async def _types(request: web.Request) -> web.Response:
    return answer({"sandboxTypes": [{"id": "production"}, {"id": "development"}]})


def _page(sandboxes: list[Sandbox], limit: int) -> dict[str, Any]:
    return {
        "sandboxes": [_shown(sandbox) for sandbox in sandboxes],
        "_page": {"limit": limit, "count": len(sandboxes)},
        "_links": {"page": {"href": "/data/foundation/sandbox-management/sandboxes", "templated": True}},
    }


def _shown(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "id": sandbox.id,
        "name": sandbox.name,
        "title": sandbox.title,
        "state": sandbox.state,
        "type": sandbox.type,
        "region": sandbox.region,
        "isDefault": sandbox.is_default,
        "eTag": sandbox.etag,
        "etag": sandbox.etag,
        "createdDate": _date(sandbox.created),
        "lastModifiedDate": _date(sandbox.modified),
        "createdBy": _CREATOR,
        "modifiedBy": _CREATOR,
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    number = whole(text)
    if number is None:
        raise errors.generic(400, "BadRequestError", f"{name}: a number is expected")
    return number
