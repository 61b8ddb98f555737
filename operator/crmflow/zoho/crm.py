"""Zoho CRM's REST API, as far as a connection check needs it (zoho.md 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.observability.redaction import sanitise
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.http import HttpClient
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.errors import crm_error

SERVICE = "ZohoCRM"
_VERSION = "v8"


@dataclass(frozen=True, slots=True)
class Organization:
    """The organisation that a grant is bound to (zoho.md 3.2)."""

    id: str
    zgid: str
    name: str
    type: str
    """``production``, ``sandbox``, ``developer`` or ``bigin``, always in lower case."""
    edition: str
    """``license_details.paid_type``, such as ``enterprise``."""


@dataclass(frozen=True, slots=True)
class User:
    """The user who gave the grant (zoho.md 3.3)."""

    id: str
    email: str
    name: str
    status: str
    profile: str


class ZohoCRM:
    """Reads with an access token; errors are those of ``zoho/errors.py``."""

    def __init__(self, http: HttpClient, endpoints: ZohoEndpoints) -> None:
        self._http = http
        self._endpoints = endpoints

    async def organization(
        self, data_center: DataCenter, environment: Environment, token: SecretStr
    ) -> Organization:
        """``GET /org``; needs the scope ``ZohoCRM.org.READ``."""
        url = self._url(data_center, environment, "org")
        org = await self._first("organization", url, token, "org")
        licence = org.get("license_details")
        return Organization(
            id=_text(org, "id"),
            zgid=_text(org, "zgid"),
            name=_text(org, "company_name"),
            type=_text(org, "type").lower(),
            edition=_text(licence, "paid_type").lower() if isinstance(licence, dict) else "",
        )

    async def current_user(self, data_center: DataCenter, environment: Environment, token: SecretStr) -> User:
        """``GET /users?type=CurrentUser``; needs the scope ``ZohoCRM.users.READ``."""
        url = self._url(data_center, environment, "users")
        user = await self._first("currentUser", url, token, "users", params=(("type", "CurrentUser"),))
        profile = user.get("profile")
        return User(
            id=_text(user, "id"),
            email=_text(user, "email"),
            name=_text(user, "full_name"),
            status=_text(user, "status").lower(),
            profile=_text(profile, "name") if isinstance(profile, dict) else "",
        )

    def _url(self, data_center: DataCenter, environment: Environment, path: str) -> str:
        return f"{self._endpoints.api_url(data_center, environment)}/crm/{_VERSION}/{path}"

    async def _first(
        self,
        operation: str,
        url: str,
        token: SecretStr,
        key: str,
        params: Sequence[tuple[str, str]] | None = None,
    ) -> Mapping[str, Any]:
        """The first object of the list under ``key``."""
        headers = {"Authorization": f"Zoho-oauthtoken {token.get_secret_value()}"}
        answer = await self._http.send(SERVICE, operation, "GET", url, headers=headers, params=params)
        if answer.status == 204:  # nothing found, with an empty body
            raise RemoteError(
                SERVICE,
                operation,
                ErrorClass.NOT_FOUND,
                "NotFound",
                f"the token's user sees no {key} in Zoho CRM",
                status=204,
            )
        if not 200 <= answer.status < 300:
            raise crm_error(answer)
        body = answer.json()
        if isinstance(body, dict) and body.get("status") == "error":
            raise crm_error(answer)
        found = body.get(key) if isinstance(body, dict) else None
        if not isinstance(found, list) or not found or not isinstance(found[0], dict):
            raise answer.unreadable(f"a body without {key}")
        return found[0]


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return sanitise(str(value)) if isinstance(value, str | int) else ""
