"""CRM REST v8 over HTTP (zoho.md 3 to 6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from . import access, metadata, records
from .call import Call
from .data_centers import HOME
from .errors import (
    CrmError,
    NotModified,
    api_not_supported,
    invalid_request_method,
    invalid_url_pattern,
)
from .limits import EDITIONS, SUB_CONCURRENCY, credit_limit
from .state import ZohoState

_OLD_VERSIONS = ("v2", "v2.1", "v3", "v4", "v5", "v6", "v7")
_REFUSED_ADDRESS_PAGE = "<!DOCTYPE html><html><body>Access denied from this IP address</body></html>"
# Seen on real answers (zoho.md 5); a client does best to keep no cookies.
_USUAL_HEADERS = {
    "Server": "ZGS",
    "Set-Cookie": "_zcsr_tmp=emulator; path=/; SameSite=Strict; Secure",
}
_BODY_HEADERS = {**_USUAL_HEADERS, "Content-Disposition": "attachment; filename=response.json"}

Run = Callable[[Call], dict[str, Any] | None]
Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True)
class Operation:
    """A GET of the API. In ``scope``, ``{module}`` stands for the module of the path."""

    path: str
    scope: str
    run: Run


OPERATIONS = (
    Operation("/org", "ZohoCRM.org.READ", metadata.org),
    Operation("/users", "ZohoCRM.users.READ", metadata.users),
    Operation("/settings/modules", "ZohoCRM.settings.modules.READ", metadata.modules),
    Operation("/settings/modules/", "ZohoCRM.settings.modules.READ", metadata.nameless_module),
    Operation("/settings/modules/{module}", "ZohoCRM.settings.modules.READ", metadata.module),
    Operation("/settings/fields", "ZohoCRM.settings.fields.READ", metadata.fields),
    Operation("/{module}/deleted", "ZohoCRM.modules.{module}.READ", records.deleted),
    Operation("/{module}", "ZohoCRM.modules.{module}.READ", records.records),
)


def api_app(state: ZohoState) -> web.Application:
    """The API hosts: home production at the root, each host below ``/dc/{dc}/{environment}``."""
    api = _Api(state)
    app = web.Application()
    for prefix in ("/dc/{dc}/{environment}", ""):
        for operation in OPERATIONS:
            app.router.add_route("*", f"{prefix}/crm/v8{operation.path}", api.handler(operation))
        app.router.add_route("*", f"{prefix}/crm/{{version}}/{{rest:.*}}", api.old_version)
    app.router.add_route("*", "/{rest:.*}", api.unknown)
    return app


class _Api:
    def __init__(self, state: ZohoState) -> None:
        self._state = state

    def handler(self, operation: Operation) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            return await self._serve(operation, request)

        return handle

    async def old_version(self, request: web.Request) -> web.Response:
        old = request.match_info["version"] in _OLD_VERSIONS
        return _refusal(api_not_supported(8) if old else invalid_url_pattern(), {})

    async def unknown(self, request: web.Request) -> web.Response:
        return _refusal(invalid_url_pattern(), {})

    async def _serve(self, operation: Operation, request: web.Request) -> web.Response:
        """The checks in the order of zoho.md 9.9, then the operation."""
        state = self._state
        headers: dict[str, str] = {}
        dc = request.match_info.get("dc", HOME)
        environment = request.match_info.get("environment", "production")
        try:
            access.check_host(state, dc, environment)
            if request.method != "GET":
                raise invalid_request_method()
            if state.switches.ip_block in ("direct", "all"):
                return _refused_address(state)
            token = access.check_token(state, dc, environment, request.headers.get("Authorization"))
            organization, user = access.identify(state, token)
            expiry = datetime.fromtimestamp(token.expires_at, organization.timezone)
            headers["X-ACCESSTOKEN-RESET"] = expiry.isoformat(timespec="seconds")
            call = Call(state, token, organization, user, request.match_info, request.query, request.headers)
            with self._within_limits(call, headers):
                await asyncio.sleep(state.switches.api_delay)
                return self._run(operation, call, headers)
        except CrmError as error:
            return _refusal(error, headers)

    def _run(self, operation: Operation, call: Call, headers: dict[str, str]) -> web.Response:
        module = call.path.get("module")
        access.check_profile(self._state, call.user)
        access.check_scopes(self._state, call.token, operation.scope.format(module=module))
        access.check_module(self._state, call.organization, call.user, module or call.query.get("module"))
        try:
            body = operation.run(call)
        except NotModified:
            return web.Response(status=304, headers={**_USUAL_HEADERS, **headers})
        if body is None:
            return web.Response(status=204, headers={**_USUAL_HEADERS, **headers})
        return web.json_response(body, headers={**_BODY_HEADERS, **headers})

    def _within_limits(self, call: Call, headers: dict[str, str]) -> ExitStack:
        """Take a place among the calls in flight and pay for the call; raises the 429 of zoho.md 4."""
        state, organization = self._state, call.organization
        limit = state.switches.credit_limit or credit_limit(organization)
        cost = 3 if "cvid" in call.query else 1
        if state.credits.used(organization.zgid) + cost > limit:
            raise self._too_many_requests()
        in_flight = state.switches.concurrency_limit or EDITIONS[organization.edition].concurrency
        places = [(("all", organization.zgid, call.token.grant.client_id), in_flight)]
        if "cvid" in call.query or "sort_by" in call.query:
            places.append((("heavy", organization.zgid, call.token.grant.client_id), SUB_CONCURRENCY))
        with ExitStack() as stack:
            for key, most in places:
                if not stack.enter_context(state.concurrency.slot(key, most)):
                    raise self._too_many_requests()
            state.credits.spend(organization.zgid, cost)
            used = state.credits.used(organization.zgid)
            if used * 2 >= limit:
                headers["X-API-CREDITS-REMAINING"] = str(limit - used)
            return stack.pop_all()

    def _too_many_requests(self) -> CrmError:
        details: dict[str, Any] = {}
        if self._state.switches.rate_limit_details == "retry_after":
            details = {"trace_id": "emulator", "retry_after": 60, "limit": 100, "window": 60}
        return CrmError(429, self._state.switches.rate_limit_code, "too many requests", details)


def _refusal(error: CrmError, headers: dict[str, str]) -> web.Response:
    return web.json_response(error.body, status=error.http_status, headers={**_BODY_HEADERS, **headers})


def _refused_address(state: ZohoState) -> web.Response:
    if state.switches.ip_block_answer == "forbidden_html":
        return web.Response(text=_REFUSED_ADDRESS_PAGE, status=403, content_type="text/html")
    return _refusal(CrmError(401, "AUTHENTICATION_FAILURE", "Authentication failed"), {})
