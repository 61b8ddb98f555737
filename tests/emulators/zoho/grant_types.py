"""The token endpoint's three grant types and what each checks, in order (zoho.md 1.3, 1.4, 9)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from .data_centers import DATA_CENTERS, Environment
from .errors import OAuthError
from .model import AccessToken, Client, ClientType, Grant, RefreshToken
from .scopes import requested_scopes
from .state import ZohoState

Parameters = Mapping[str, str]


def issue(state: ZohoState, dc: str, parameters: Parameters) -> dict[str, Any]:
    """Answer of the token endpoint of one data center; raises :class:`OAuthError`."""
    client = authenticate(state, dc, parameters)
    grant_type = _GRANT_TYPES.get(parameters["grant_type"])
    if grant_type is None:
        raise OAuthError("invalid_client")
    return grant_type(state, dc, client, parameters)


def authenticate(state: ZohoState, dc: str, parameters: Parameters) -> Client:
    """The client that the parameters name and prove to be."""
    client = state.clients.get(parameters.get("client_id", ""))
    if client is None:
        raise OAuthError("invalid_client")
    if dc not in client.secrets:
        raise wrong_data_center(state)
    if not secrets.compare_digest(parameters.get("client_secret", "").encode(), client.secrets[dc].encode()):
        raise OAuthError("invalid_client_secret")
    return client


def wrong_data_center(state: ZohoState) -> OAuthError:
    """What something real gets where it does not belong (zoho.md 1.8)."""
    error = state.switches.wrong_dc_error
    return state.tokens.invalid_code() if error == "invalid_code" else OAuthError(error)


def _authorization_code(state: ZohoState, dc: str, client: Client, parameters: Parameters) -> dict[str, Any]:
    code = state.tokens.codes.get(parameters.get("code", ""))
    if client.type is ClientType.SERVER:
        redirect_uri = parameters.get("redirect_uri")
        if redirect_uri not in client.redirect_uris:
            raise OAuthError("invalid_redirect_uri")
        if code is not None and redirect_uri != code.grant.redirect_uri:
            raise OAuthError("invalid_redirect_uri")
    if code is None or code.grant.client_id != client.client_id:
        raise state.tokens.invalid_code()
    if code.grant.data_center != dc:
        raise wrong_data_center(state)
    access_token, refresh_token = state.tokens.redeem(code)
    return _answer(state, access_token, refresh_token)


def _refresh_token(state: ZohoState, dc: str, client: Client, parameters: Parameters) -> dict[str, Any]:
    token = state.tokens.refresh_tokens.get(parameters.get("refresh_token", ""))
    if token is None or token.grant.client_id != client.client_id:
        raise state.tokens.invalid_code()
    if token.grant.data_center != dc:
        raise wrong_data_center(state)
    if state.switches.inactive_user == "grant_ends" and not _is_active(state, token.grant):
        raise state.tokens.invalid_code()
    return _answer(state, state.tokens.refresh(token), None)


def _is_active(state: ZohoState, grant: Grant) -> bool:
    organization = state.organizations.get(grant.zgid)
    user = organization.users.get(grant.user_id) if organization else None
    return user is not None and user.active


def _client_credentials(state: ZohoState, dc: str, client: Client, parameters: Parameters) -> dict[str, Any]:
    if client.type is not ClientType.SELF:
        raise OAuthError("invalid_client")
    scopes = requested_scopes(parameters.get("scope", ""))
    if scopes is None:
        # The field is mandatory, the refusal is not documented: the authorization page's word is assumed.
        raise OAuthError("invalid_scope")
    service, _, zgid = parameters.get("soid", "").partition(".")
    organization = state.organizations.get(zgid) if service == "ZohoCRM" else None
    user = organization.user_by_email(client.owner_email) if organization else None
    if organization is None or user is None or organization.data_center != dc:
        raise OAuthError("missing_org_info", state.switches.undocumented_error_status)
    grant = Grant(
        client.client_id, dc, organization.environment, zgid, user.id, user.zuid, scopes, offline=False
    )
    return _answer(state, state.tokens.client_credentials(client, grant), None)


_GRANT_TYPES: dict[str, Callable[[ZohoState, str, Client, Parameters], dict[str, Any]]] = {
    "authorization_code": _authorization_code,
    "refresh_token": _refresh_token,
    "client_credentials": _client_credentials,
}


def _answer(state: ZohoState, token: AccessToken, refresh_token: RefreshToken | None) -> dict[str, Any]:
    switches = state.switches
    answer: dict[str, Any] = {"access_token": token.value}
    if refresh_token is not None:
        answer["refresh_token"] = refresh_token.value
    if switches.token_answer_scope:
        answer["scope"] = " ".join(token.grant.scopes)
    answer |= {"api_domain": _api_domain(state, token.grant), "token_type": "Bearer"}
    if switches.legacy_expires_in:
        answer |= {"expires_in_sec": switches.token_ttl, "expires_in": switches.token_ttl * 1000}
    else:
        answer["expires_in"] = switches.token_ttl
    return answer


def _api_domain(state: ZohoState, grant: Grant) -> str:
    dc = DATA_CENTERS[grant.data_center]
    if state.switches.api_domain == "accounts":
        return dc.generic_api_url
    environment = grant.environment if state.switches.api_domain == "environment" else Environment.PRODUCTION
    return f"https://{dc.api_host(environment)}"
