"""Zoho Accounts over HTTP: consent, tokens, revocation and the list of data centers (zoho.md 1.2 to 1.7)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from aiohttp import web

from .consent import Consent
from .data_centers import SERVER_INFO_LOCATIONS, data_center_of_request
from .errors import OAuthError
from .grant_types import authenticate, issue
from .state import ZohoState

_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
_BAD_REQUEST_PAGE = "<!DOCTYPE html><html><body>Bad Request</body></html>"
_FAULT_PAGE = "<!DOCTYPE html><html><body>Please come back later</body></html>"


def accounts_app(state: ZohoState) -> web.Application:
    """The accounts servers: the home data center at the root, each one below ``/dc/{dc}``."""
    accounts, consent = _Accounts(state), Consent(state)
    app = web.Application()
    for prefix in ("", "/dc/{dc}"):
        app.router.add_get(f"{prefix}/oauth/v2/auth", consent.show)
        app.router.add_post(f"{prefix}/oauth/v2/auth", consent.decide)
        app.router.add_route("*", f"{prefix}/oauth/v2/token", accounts.token)
        app.router.add_route("*", f"{prefix}/oauth/v2/token/revoke", accounts.token_revoke)
        app.router.add_route("*", f"{prefix}/oauth/v2/revoke/token", accounts.revoke_token)
        app.router.add_get(f"{prefix}/oauth/serverinfo", accounts.server_info)
    return app


class _Accounts:
    def __init__(self, state: ZohoState) -> None:
        self._state = state

    async def token(self, request: web.Request) -> web.Response:
        dc = data_center_of_request(request)
        parameters = await _parameters(request)
        if request.method != "POST" or not parameters.get("grant_type"):
            return _page(_BAD_REQUEST_PAGE, 400)
        fault = self._state.switches.token_fault
        if fault == "html":
            return _page(_FAULT_PAGE, 200)
        try:
            if fault != "none":
                raise OAuthError(fault, self._state.switches.undocumented_error_status)
            return web.json_response(issue(self._state, dc, parameters))
        except OAuthError as error:
            return web.json_response(error.body, status=error.http_status)

    async def token_revoke(self, request: web.Request) -> web.Response:
        """The form that Zoho's SDKs use: the refresh token alone, no client authentication."""
        dc = data_center_of_request(request)
        if request.method != "POST":
            return _page(_BAD_REQUEST_PAGE, 400)
        value = (await _parameters(request)).get("token", "")
        token = self._state.tokens.refresh_tokens.get(value)
        if token is None or token.grant.data_center != dc:
            return web.json_response({"status": "failure"}, status=self._state.switches.revoke_failure_status)
        self._state.tokens.end_refresh_token(value)
        return web.json_response({"status": "success"})

    async def revoke_token(self, request: web.Request) -> web.Response:
        """The newer form: with client authentication, either kind of token, at the client's home."""
        dc = data_center_of_request(request)
        if request.method != "POST":
            return _page(_BAD_REQUEST_PAGE, 400)
        parameters = await _parameters(request)
        try:
            client = authenticate(self._state, dc, parameters)
        except OAuthError as error:
            return web.json_response(error.body, status=400)
        revoked = client.home == dc and self._revoke(
            client.client_id, parameters.get("token", ""), parameters.get("token_type", "refresh_token")
        )
        if not revoked:
            return web.json_response({"error": "invalid_token"}, status=400)
        return web.json_response({"status": "success"})

    def _revoke(self, client_id: str, value: str, token_type: str) -> bool:
        tokens = self._state.tokens
        if token_type == "refresh_token" and tokens.refresh_grant(value, client_id):
            tokens.end_refresh_token(value)
            return True
        if token_type == "access_token" and tokens.access_grant(value, client_id):
            del tokens.access_tokens[value]
            return True
        return False

    async def server_info(self, request: web.Request) -> web.Response:
        data_center_of_request(request)
        return web.json_response({"result": "success", "locations": SERVER_INFO_LOCATIONS})


async def _parameters(request: web.Request) -> dict[str, str]:
    """Query, form body (which wins) and Basic credentials (which only fill gaps); JSON says nothing."""
    parameters = dict(request.query)
    if request.content_type in _FORM_TYPES:
        form = await _form(request)
        parameters |= {name: value for name, value in form.items() if isinstance(value, str)}
    return _basic_credentials(request.headers.get("Authorization", "")) | parameters


async def _form(request: web.Request) -> Mapping[str, object]:
    try:
        return await request.post()
    except ValueError as error:  # multipart without a boundary, or broken inside
        raise web.HTTPBadRequest(text=_BAD_REQUEST_PAGE, content_type="text/html") from error


def _basic_credentials(header: str) -> dict[str, str]:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, client_secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"client_id": client_id, "client_secret": client_secret}


def _page(text: str, status: int) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")
