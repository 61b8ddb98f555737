"""A running Zoho emulator with a clock that the test holds, and short ways to talk to it over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from aiohttp import web, web_app
from aiohttp.test_utils import TestServer

from tests.emulators.core.control import refused
from tests.emulators.core.web import ServiceError, errors_as
from tests.emulators.zoho import (
    ZohoState,
    accounts_app,
    api_app,
    control_routes,
    seeded_credentials,
)

START = 1_780_000_000.0


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds


class Zoho:
    """The emulator under test; ``accounts``, ``api`` and ``control`` are clients of its listeners."""

    def __init__(self, clock: Clock, state: ZohoState, clients: list[httpx.AsyncClient]) -> None:
        self.clock = clock
        self.state = state
        self.accounts, self.api, self.control = clients
        self.credentials = seeded_credentials(state)

    async def token(self, *, dc: str | None = None, **fields: str) -> httpx.Response:
        """POST a form to the token endpoint."""
        prefix = f"/dc/{dc}" if dc else ""
        return await self.accounts.post(f"{prefix}/oauth/v2/token", data=fields)

    async def refresh(self, *, dc: str | None = None, **changes: str) -> httpx.Response:
        """Refresh with the seeded credentials, except for ``changes``."""
        return await self.token(
            dc=dc,
            **{
                "grant_type": "refresh_token",
                "client_id": self.credentials["clientId"],
                "client_secret": self.credentials["clientSecret"],
                "refresh_token": self.credentials["refreshToken"],
                **changes,
            },
        )

    async def exchange(
        self, grant: Mapping[str, Any], *, dc: str | None = None, **changes: str
    ) -> httpx.Response:
        """Exchange the code of a grant made by :meth:`grant`."""
        fields = {
            "grant_type": "authorization_code",
            "client_id": grant["clientId"],
            "client_secret": grant["clientSecret"],
            "code": grant["grantToken"],
            **changes,
        }
        return await self.token(dc=dc, **fields)

    async def grant(self, **request: Any) -> dict[str, Any]:
        """A new grant, made through the control API."""
        return await self.change("POST", "/zoho/grants", **request)

    async def access_token(self) -> str:
        """A fresh access token of the seeded grant."""
        token: str = (await self.refresh()).json()["access_token"]
        return token

    async def get(
        self,
        path: str,
        token: str | None = None,
        *,
        host: str = "",
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> httpx.Response:
        """GET below ``/crm/v8``, by default with a fresh token; ``host`` is ``/dc/{dc}/{environment}``."""
        value = token if token is not None else await self.access_token()
        given = {"Authorization": f"Zoho-oauthtoken {value}", **(headers or {})}
        return await self.api.get(f"{host}/crm/v8{path}", params=query, headers=given)

    async def change(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Use the control API; the call must succeed."""
        response = await self.control.request(method, path, json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


def _render(request: web.Request, status: int, reason: str) -> ServiceError:
    return refused(status, reason)


@asynccontextmanager
async def running_zoho() -> AsyncIterator[Zoho]:
    """Three listeners on free loopback ports."""
    clock = Clock()
    state = ZohoState(clock.now)
    control = web.Application(middlewares=[errors_as(_render)])
    control.add_routes(control_routes(state))
    async with AsyncExitStack() as stack:
        clients = []
        for app in (accounts_app(state), api_app(state), control):
            server = await stack.enter_async_context(TestServer(app))
            client = httpx.AsyncClient(base_url=str(server.make_url("/")), trust_env=False, verify=False)
            clients.append(await stack.enter_async_context(client))
        yield Zoho(clock, state, clients)
    web_app._cached_build_middleware.cache_clear()  # it keeps the last thousand applications alive


def assert_refused(response: httpx.Response, code: str, details: dict[str, Any]) -> None:
    """The CRM API answers 400 with that code and those details."""
    body = response.json()
    assert (response.status_code, body["code"], body["details"]) == (400, code, details)
