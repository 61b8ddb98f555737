"""Small things that every emulated service needs to answer over HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

log = logging.getLogger("emulators")


class ServiceError(Exception):
    """A refusal, already in the service's own words."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        """The refusal as an HTTP answer."""
        return answer(self.body, self.status, self.headers)


class MalformedBody(Exception):
    """The request's body is not what its media type promises."""


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.json_response(body, status=status, headers=headers)


async def read_json(request: web.Request) -> Any:
    """The request's JSON body, None if it is empty; raises :class:`MalformedBody`."""
    raw = await request.read()
    if not raw.strip():
        return None
    try:
        return json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(str(error)) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def slash_optional(routes: list[web.RouteDef]) -> list[web.RouteDef]:
    """The same routes, which also match with one more slash at their end."""
    return [
        web.RouteDef(route.method, f"{route.path}{{slash:/?}}", route.handler, route.kwargs)
        for route in routes
    ]


def errors_as(render: Callable[[web.Request, int, str], ServiceError]) -> Middleware:
    """A middleware that puts every failure, even an unknown path, into the service's error shape.

    ``render`` receives the request, the HTTP status and a short text.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ServiceError as error:
            return error.response()
        except MalformedBody as error:
            return render(request, 400, f"The request body is not valid JSON: {error}").response()
        except web.HTTPException as error:
            return render(request, error.status, error.reason).response()
        except Exception:
            log.exception("%s %s", request.method, request.path)
            return render(request, 500, "Internal error").response()

    return middleware
