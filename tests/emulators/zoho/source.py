"""Zoho CRM behind a base connection: what AEP's connector gets from it (platform.md 3, zoho.md 6).

Nothing of that connector's dialogue with Zoho is published. Assumed: it uses the access token while that
lives and then renews it with the refresh token, reports lookups by their id, and shows structured values as
JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.emulators.core.source import SourceColumn, SourceError

from . import access
from .data_centers import DataCenter, Environment, by_accounts_url
from .errors import CrmError, OAuthError
from .grant_types import issue
from .model import AccessToken, FieldSpec, Module, Organization, User
from .state import ZohoState

PARAMETERS = ("endpoint", "accountsUrl", "clientId", "clientSecret", "accessToken", "refreshToken")
_COLUMN_TYPES = {"boolean": "boolean", "double": "double", "integer": "integer"}
_MODULES_SCOPE = "ZohoCRM.settings.modules.READ"
_FIELDS_SCOPE = "ZohoCRM.settings.fields.READ"


class ZohoAsSource:
    """A ``Source`` that answers from the state of the Zoho emulator."""

    def __init__(self, state: ZohoState) -> None:
        self._state = state
        # Access tokens that the connector renewed by itself, by the refresh token used.
        self._renewed: dict[str, str] = {}

    def check(self, params: Mapping[str, str]) -> None:
        """Sign in and look at the organization."""
        self._sign_in(params)

    def tables(self, params: Mapping[str, str]) -> list[str]:
        """api_names of the usable modules (zoho.md 3.4)."""
        session = self._sign_in(params)
        session.require(_MODULES_SCOPE)
        return [module.api_name for module in session.usable_modules()]

    def columns(self, params: Mapping[str, str], table: str) -> list[SourceColumn]:
        """The used fields of a module; none where Zoho has no metadata (zoho.md 3.5)."""
        session = self._sign_in(params)
        session.require(_FIELDS_SCOPE)
        return [_column(spec) for spec in _used_fields(session.table(table))]

    def rows(self, params: Mapping[str, str], table: str, limit: int) -> list[dict[str, Any]]:
        """Records, the oldest first."""
        session = self._sign_in(params)
        module = session.table(table)
        session.require(f"ZohoCRM.modules.{module.api_name}.READ")
        specs = _used_fields(module)
        return [
            {spec.api_name: _flat(record.get(spec.api_name), spec) for spec in specs}
            for record in list(module.records.values())[:limit]
        ]

    def _sign_in(self, params: Mapping[str, str]) -> _Session:
        for name in PARAMETERS:
            if not params.get(name):
                raise _error(f"the required connection parameter {name} is missing")
        dc = by_accounts_url(params["accountsUrl"])
        if dc is None:
            raise _error("accountsUrl is not a Zoho accounts server")
        environment = _endpoint_environment(params["endpoint"], dc)
        token = self._access_token(params, dc)
        if environment is not None and environment is not token.grant.environment:
            raise _error("INVALID_TOKEN: the token belongs to another environment than the endpoint")
        if self._state.switches.ip_block in ("source", "all"):
            raise _error("AUTHENTICATION_FAILURE: Access denied from this IP address")
        try:
            organization, user = access.identify(self._state, token)
            access.check_profile(self._state, user)
        except CrmError as error:
            raise _refused(error) from error
        return _Session(self._state, token, organization, user)

    def _access_token(self, params: Mapping[str, str], dc: DataCenter) -> AccessToken:
        self._check_client(params, dc)
        for value in (params["accessToken"], self._renewed.get(params["refreshToken"], "")):
            token = self._state.tokens.access_token(value)
            if token is not None and (token.grant.client_id, token.grant.data_center) == (
                params["clientId"],
                dc.code,
            ):
                return token
        if not self._state.switches.source_renews_token:
            raise _error("INVALID_TOKEN: invalid oauth token")
        return self._renew(params, dc)

    def _check_client(self, params: Mapping[str, str], dc: DataCenter) -> None:
        client = self._state.clients.get(params["clientId"])
        if client is None or dc.code not in client.secrets:
            raise _error("invalid_client")
        if client.secrets[dc.code] != params["clientSecret"]:
            raise _error("invalid_client_secret")

    def _renew(self, params: Mapping[str, str], dc: DataCenter) -> AccessToken:
        try:
            answer = issue(
                self._state,
                dc.code,
                {
                    "grant_type": "refresh_token",
                    "client_id": params["clientId"],
                    "client_secret": params["clientSecret"],
                    "refresh_token": params["refreshToken"],
                },
            )
        except OAuthError as error:
            raise _error(error.body["error"]) from error
        self._renewed[params["refreshToken"]] = answer["access_token"]
        return self._state.tokens.access_tokens[answer["access_token"]]


class _Session:
    """A connector that is signed in."""

    def __init__(self, state: ZohoState, token: AccessToken, organization: Organization, user: User) -> None:
        self._state = state
        self._token = token
        self._organization = organization
        self._user = user

    def require(self, scope: str) -> None:
        try:
            access.check_scopes(self._state, self._token, scope)
        except CrmError as error:
            raise _refused(error) from error

    def usable_modules(self) -> list[Module]:
        return [
            module
            for module in self._organization.modules.values()
            if module.api_supported
            and module.status != "scheduled_for_deletion"
            and self._user.profile.may_view(module.api_name)
        ]

    def table(self, name: str) -> Module:
        return {module.api_name: module for module in self.usable_modules()}[name]


def _endpoint_environment(endpoint: str, dc: DataCenter) -> Environment | None:
    """The environment that the endpoint's host names; None for the web host, which serves all.

    Whether a scheme belongs before it is not documented (platform.md 16): either way is fine.
    """
    host = endpoint.lower().removeprefix("https://").split("/", 1)[0]
    if host == dc.crm_host:
        return None
    hosts = {dc.api_host(environment): environment for environment in Environment}
    hosts[dc.api_base] = Environment.PRODUCTION
    if host not in hosts:
        raise _error("the endpoint is not a Zoho CRM server of the data center of accountsUrl")
    return hosts[host]


def _used_fields(module: Module) -> list[FieldSpec]:
    return [spec for spec in module.fields.values() if spec.used] if module.field_metadata else []


def _column(spec: FieldSpec) -> SourceColumn:
    return SourceColumn(
        spec.api_name, _COLUMN_TYPES.get(spec.json_type, "string"), spec.data_type == "datetime"
    )


def _flat(value: Any, spec: FieldSpec) -> Any:
    if isinstance(value, dict) and "id" in value:
        return value["id"]
    if spec.json_type in ("jsonobject", "jsonarray") and value is not None:
        return json.dumps(value, ensure_ascii=False)
    return value


def _error(reason: str) -> SourceError:
    return SourceError(f"ERROR [HY000] [Microsoft][Zoho] Error while executing the request: {reason}")


def _refused(error: CrmError) -> SourceError:
    return _error(f"{error.body['code']}: {error.body['message']}")
