"""CRM REST v8 over HTTP (zoho.md 3 to 6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from . import access, bulk, coql, metadata, notifications, records
from .call import Call, File
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

_OLD_VERSIONS = "{version:v(?:2|2\\.1|3|4|5|6|7)}"
# Seen on real answers (zoho.md 5); a client does best to keep no cookies.
_USUAL_HEADERS = {
    "Server": "ZGS",
    "Set-Cookie": "_zcsr_tmp=emulator; path=/; SameSite=Strict; Secure",
}
_BODY_HEADERS = {**_USUAL_HEADERS, "Content-Disposition": "attachment; filename=response.json"}

Run = Callable[[Call], dict[str, Any] | File | None]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_MODULES = "ZohoCRM.settings.modules.READ"
_RECORDS = "ZohoCRM.modules.{module}.READ"
_ANY_RECORDS = "ZohoCRM.modules.READ"
_BULK = ("ZohoCRM.bulk.READ", _ANY_RECORDS)


def _view_costs_three(call: Call) -> int:
    return 3 if "cvid" in call.query else 1


def _is_sorted_or_viewed(call: Call) -> bool:
    return "cvid" in call.query or "sort_by" in call.query


@dataclass(frozen=True)
class Operation:
    """A method of a path below ``/crm``. In ``scopes``, all of which it takes, ``{module}`` stands for the
    module of the path. ``heavy`` calls have a concurrency of their own (zoho.md 5).
    """

    path: str
    scopes: tuple[str, ...]
    run: Run
    method: str = "GET"
    status: int = 200
    credits: Callable[[Call], int] = lambda call: 1
    heavy: Callable[[Call], bool] = lambda call: False


OPERATIONS = (
    Operation("/v8/org", ("ZohoCRM.org.READ",), metadata.org),
    Operation("/v8/users", ("ZohoCRM.users.READ",), metadata.users),
    Operation("/v8/settings/modules", (_MODULES,), metadata.modules),
    Operation("/v8/settings/modules/", (_MODULES,), metadata.nameless_module),
    Operation("/v8/settings/modules/{module}", (_MODULES,), metadata.module),
    Operation("/v8/settings/fields", ("ZohoCRM.settings.fields.READ",), metadata.fields),
    Operation("/v8/settings/layouts", ("ZohoCRM.settings.layouts.READ",), metadata.layouts),
    Operation(
        "/v8/coql",
        ("ZohoCRM.coql.READ", _ANY_RECORDS),
        coql.coql,
        "POST",
        credits=coql.cost,
        heavy=lambda call: True,
    ),
    Operation("/bulk/v8/read", _BULK, bulk.create, "POST", 201, credits=lambda call: 50),
    Operation("/bulk/v8/read/{job_id}", _BULK, bulk.status),
    Operation("/bulk/v8/read/{job_id}/result", _BULK, bulk.result),
    Operation("/v8/actions/watch", ("ZohoCRM.notifications.CREATE",), notifications.subscribe, "POST", 201),
    Operation("/v8/actions/watch", ("ZohoCRM.notifications.READ",), notifications.channels),
    Operation("/v8/actions/watch", ("ZohoCRM.notifications.UPDATE",), notifications.replace, "PUT"),
    Operation("/v8/actions/watch", ("ZohoCRM.notifications.UPDATE",), notifications.extend, "PATCH", 202),
    Operation("/v8/actions/watch", ("ZohoCRM.notifications.DELETE",), notifications.unsubscribe, "DELETE"),
    Operation("/v8/__apis", ("ZohoCRM.apis.READ",), lambda call: catalog(call)),
    Operation("/v8/{module}/deleted", (_RECORDS,), records.deleted),
    Operation(
        "/v8/{module}/actions/count",
        (_RECORDS, "ZohoSearch.securesearch.READ"),
        records.count,
        credits=lambda call: 50,
    ),
    Operation(
        "/v8/{module}", (_RECORDS,), records.records, credits=_view_costs_three, heavy=_is_sorted_or_viewed
    ),
)
_PATHS = {
    path: {operation.method: operation for operation in OPERATIONS if operation.path == path}
    for path in dict.fromkeys(operation.path for operation in OPERATIONS)
}


def catalog(call: Call) -> dict[str, Any]:
    """``GET /__apis``: what there is, and the scopes that it takes."""
    wanted = call.query.get("filters", "")
    found = [
        {
            "path": f"/crm{path}",
            "operation_types": [
                {"method": operation.method, "oauth_scope": ",".join(operation.scopes)}
                for operation in methods.values()
            ],
        }
        for path, methods in _PATHS.items()
        if wanted in path
    ]
    return {"__apis": found}


def api_app(state: ZohoState) -> web.Application:
    """The API hosts: home production at the root, each host below ``/dc/{dc}/{environment}``."""
    api = _Api(state)
    app = web.Application()
    for prefix in ("/dc/{dc}/{environment}", ""):
        for path, methods in _PATHS.items():
            app.router.add_route("*", f"{prefix}/crm{path}", api.handler(methods))
            if path.startswith("/v8/"):
                old = path.removeprefix("/v8")
                app.router.add_route("*", f"{prefix}/crm/{_OLD_VERSIONS}{old}", api.old_version(methods))
        app.router.add_route("*", f"{prefix}/crm/{_OLD_VERSIONS}/{{rest:.*}}", api.old_version({}))
    app.router.add_route("*", "/{rest:.*}", api.unknown)
    return app


class _Api:
    def __init__(self, state: ZohoState) -> None:
        self._state = state

    def handler(self, methods: Mapping[str, Operation]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(methods, request)

        return handle

    def old_version(self, methods: Mapping[str, Operation]) -> Handler:
        """A path of an earlier version; without ``methods`` it is none of version 8."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if self._state.switches.old_versions == "refused":
                return _refusal(api_not_supported(8), {})
            return await self._serve(methods, request) if methods else await self.unknown(request)

        return handle

    async def unknown(self, request: web.Request) -> web.StreamResponse:
        return _refusal(invalid_url_pattern(), {})

    async def _serve(self, methods: Mapping[str, Operation], request: web.Request) -> web.StreamResponse:
        """The checks in the order of zoho.md 9.9, then the operation."""
        state = self._state
        headers: dict[str, str] = {}
        dc = request.match_info.get("dc", HOME)
        environment = request.match_info.get("environment", "production")
        try:
            access.check_host(state, dc, environment)
            operation = methods.get(request.method)
            if operation is None:
                raise invalid_request_method()
            if state.switches.ip_block in ("direct", "all"):
                return _refused_address(state)
            token = access.check_token(state, dc, environment, request.headers.get("Authorization"))
            organization, user = access.identify(state, token)
            expiry = datetime.fromtimestamp(token.expires_at, organization.timezone)
            headers["X-ACCESSTOKEN-RESET"] = expiry.isoformat(timespec="seconds")
            call = Call(
                state,
                token,
                organization,
                user,
                request.match_info,
                request.query,
                request.headers,
                await _json(request),
            )
            with self._within_limits(operation, call, headers):
                await asyncio.sleep(state.switches.api_delay)
                if operation.path == "/v8/org" and state.switches.org_refusal == "forbidden_html":
                    return _page("Forbidden")
                return await self._run(operation, call, headers)
        except CrmError as error:
            return _refusal(error, headers)

    async def _run(self, operation: Operation, call: Call, headers: dict[str, str]) -> web.StreamResponse:
        module = call.path.get("module")
        access.check_profile(self._state, call.user)
        for scope in operation.scopes:
            access.check_scopes(self._state, call.token, scope.format(module=module))
        if operation.path == "/v8/org":
            access.check_org(self._state)
        access.check_module(self._state, call.organization, call.user, module or call.query.get("module"))
        try:
            body = operation.run(call)
        except NotModified:
            return web.Response(status=304, headers={**_USUAL_HEADERS, **headers})
        if body is None:
            return web.Response(status=204, headers={**_USUAL_HEADERS, **headers})
        if isinstance(body, File):
            return _file(body, await asyncio.to_thread(body.content), headers)
        return web.json_response(body, status=operation.status, headers={**_BODY_HEADERS, **headers})

    def _within_limits(self, operation: Operation, call: Call, headers: dict[str, str]) -> ExitStack:
        """Take a place among the calls in flight and pay for the call; raises the 429 of zoho.md 4."""
        state, organization = self._state, call.organization
        limit = state.switches.credit_limit or credit_limit(organization)
        cost = operation.credits(call)
        if state.credits.used(organization.zgid) + cost > limit:
            raise self._too_many_requests()
        in_flight = state.switches.concurrency_limit or EDITIONS[organization.edition].concurrency
        places = [(("all", organization.zgid, call.token.grant.client_id), in_flight)]
        if operation.heavy(call):
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


async def _json(request: web.Request) -> Any:
    """The body, whatever its Content-Type says; None if there is none. Raises INVALID_DATA."""
    text = await request.text()
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError:
        raise CrmError(400, "INVALID_DATA", "the body is not JSON") from None


def _file(file: File, content: bytes, headers: dict[str, str]) -> web.Response:
    disposition = {"Content-Disposition": f"attachment; filename={file.name}"}
    return web.Response(
        body=content,
        content_type=file.content_type,
        headers={**_USUAL_HEADERS, **disposition, **headers},
    )


def _refusal(error: CrmError, headers: dict[str, str]) -> web.Response:
    return web.json_response(error.body, status=error.http_status, headers={**_BODY_HEADERS, **headers})


def _page(text: str) -> web.Response:
    page = f"<!DOCTYPE html><html><body>{text}</body></html>"
    return web.Response(text=page, status=403, content_type="text/html")


def _refused_address(state: ZohoState) -> web.Response:
    if state.switches.ip_block_answer == "forbidden_html":
        return _page("Access denied from this IP address")
    return _refusal(CrmError(401, "AUTHENTICATION_FAILURE", "Authentication failed"), {})
