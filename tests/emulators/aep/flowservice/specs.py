"""Reading connectionSpecs and flowSpecs (platform.md 11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors, query, specs
from tests.emulators.aep.flowservice import explore_files
from tests.emulators.aep.gateway import context
from tests.emulators.aep.switches import AepSwitches
from tests.emulators.core.web import answer, read_json

_FIELDS = frozenset(
    [
        "id",
        "name",
        "providerId",
        "version",
        "attributes",
        "sourceConnectionSpecIds",
        "targetConnectionSpecIds",
        "authSpec",
    ]
)

Listing = Callable[[AepSwitches], list[dict[str, Any]]]


def routes() -> list[web.RouteDef]:
    """Routes below Flow Service's base path."""
    return [
        *_routes("connectionSpecs", specs.connection_specs),
        *_routes("flowSpecs", specs.flow_specs),
    ]


def _routes(kind: str, listing: Listing) -> list[web.RouteDef]:
    async def get_list(request: web.Request) -> web.Response:
        ctx = context(request)
        asked = query.parse(request, ctx.switches, ctx.now)
        return answer(query.page(_items(listing, ctx.switches), asked, f"/{kind}", _FIELDS, ctx.now))

    async def search(request: web.Request) -> web.Response:
        ctx = context(request)
        asked = query.from_search(await read_json(request), ctx.switches)
        return answer(query.page(_items(listing, ctx.switches), asked, f"/{kind}", _FIELDS, ctx.now))

    async def get_one(request: web.Request) -> web.Response:
        ctx = context(request)
        id = request.match_info["id"]
        spec = next((s for s in listing(ctx.switches) if s["id"] == id), None)
        if spec is None:
            raise errors.flow(
                ctx.switches.notFoundCode, "Resource not found", f"No {kind} {id}", resource=kind, id=id
            )
        return answer(spec if ctx.switches.specEnvelope == "bare" else {"items": [spec], "_links": {}})

    async def get_configs(request: web.Request) -> web.Response:
        await get_one(request)
        return answer([])

    found = [
        web.get(f"/{kind}", get_list),
        web.post(f"/{kind}/search", search),
        web.get(f"/{kind}/{{id}}", get_one),
    ]
    if kind == "connectionSpecs":
        found.append(web.get(f"/{kind}/{{id}}/configs", get_configs))
        found.append(web.get(f"/{kind}/{{id}}/explore", explore_files.explore))
    return found


def _items(listing: Listing, switches: AepSwitches) -> list[query.Listed]:
    return [query.Listed.ready(spec) for spec in listing(switches)]
