"""Whose grant a token belongs to: what a check of the connection asks Zoho CRM (zoho.md 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import sanitize
from crmflow.zoho.api import SERVICE, CrmApi, items
from crmflow.zoho.datacenters import ZohoEndpoints

_LONGEST_NAME, _LONGEST_WORD = 256, 64
"""As much as a status takes."""


@dataclass(frozen=True, slots=True)
class Organization:
    """The organization that a grant is bound to (zoho.md 3.2)."""

    id: str
    zgid: str
    name: str
    type: str
    """``production``, ``sandbox``, ``developer`` or ``bigin``, always in lower case."""
    edition: str
    """``license_details.paid_type``, such as ``enterprise``."""
    time_zone: str = ""
    """An IANA name, such as ``Europe/Berlin``."""

    @property
    def traits(self) -> tuple[str, ...]:
        """Type and edition, as far as Zoho tells them."""
        return tuple(trait for trait in (self.type, self.edition) if trait)


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

    def api(self, data_center: DataCenter, environment: Environment, token: SecretStr) -> CrmApi:
        """Whatever else an organization's API is asked (``bulk_read``, ``coql``, ``deleted``, ``tables``)."""
        return CrmApi(
            self._http,
            self._endpoints.api_url(data_center, environment),
            token,
            self._endpoints.api_host(data_center, environment),
        )

    async def organization(
        self, data_center: DataCenter, environment: Environment, token: SecretStr
    ) -> Organization:
        """``GET /org``; needs the scope ``ZohoCRM.org.READ``."""
        org = await self._first("organization", data_center, environment, token, "org", "org")
        license = org.get("license_details")
        return Organization(
            id=_text(org, "id"),
            zgid=_text(org, "zgid"),
            name=_text(org, "company_name"),
            type=_text(org, "type", _LONGEST_WORD).lower(),
            edition=_text(license, "paid_type", _LONGEST_WORD).lower() if isinstance(license, dict) else "",
            time_zone=_text(org, "time_zone", _LONGEST_WORD),
        )

    async def current_user(self, data_center: DataCenter, environment: Environment, token: SecretStr) -> User:
        """``GET /users?type=CurrentUser``; needs the scope ``ZohoCRM.users.READ``."""
        user = await self._first(
            "currentUser", data_center, environment, token, "users", "users", (("type", "CurrentUser"),)
        )
        profile = user.get("profile")
        return User(
            id=_text(user, "id"),
            email=_text(user, "email"),
            name=_text(user, "full_name"),
            status=_text(user, "status").lower(),
            profile=_text(profile, "name") if isinstance(profile, dict) else "",
        )

    async def _first(
        self,
        operation: str,
        data_center: DataCenter,
        environment: Environment,
        token: SecretStr,
        path: str,
        key: str,
        params: Sequence[tuple[str, str]] | None = None,
    ) -> Mapping[str, Any]:
        """The first object of the list under ``key``."""
        api = self.api(data_center, environment, token)
        answer = await api.send(operation, "GET", f"v8/{path}", params=params)
        if answer.status == 204:  # nothing found, with an empty body
            asked = self._endpoints.api_host(data_center, environment)
            raise RemoteError(
                SERVICE,
                operation,
                ErrorClass.NOT_FOUND,
                "NotFound",
                f"the token's user sees no {key} in Zoho CRM; {asked} answered 204",
                status=204,
            )
        for found in items(answer, key):
            return found
        raise answer.unreadable(f"a body without {key}")


def _text(fields: Mapping[str, Any], name: str, longest: int = _LONGEST_NAME) -> str:
    value = fields.get(name)
    return sanitize(str(value), longest) if isinstance(value, str | int) else ""
