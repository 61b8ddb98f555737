"""Whose grant a token belongs to: what a check of the connection asks Zoho CRM (zoho.md 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.http.limiter import Turn, unlimited
from crmflow.observability.redaction import sanitize
from crmflow.zoho.api import SERVICE, CrmApi, Spend, only, uncounted
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
    """The CRM API of every organization: where it is."""

    def __init__(self, http: HttpClient, endpoints: ZohoEndpoints) -> None:
        self._http = http
        self._endpoints = endpoints

    def url(self, data_center: DataCenter, environment: Environment) -> str:
        """Base of the API, without a slash at its end."""
        return self._endpoints.api_url(data_center, environment)

    def api(
        self,
        data_center: DataCenter,
        environment: Environment,
        token: SecretStr,
        spend: Spend = uncounted,
        turn: Turn = unlimited,
    ) -> CrmApi:
        """What the organization of ``token`` is asked by: the functions here, and those of ``bulk_read``,
        ``coql``, ``deleted`` and ``tables``.
        """
        host = self._endpoints.api_host(data_center, environment)
        return CrmApi(self._http, self.url(data_center, environment), token, host, spend, turn)


async def organization(api: CrmApi) -> Organization:
    """``GET /org``; needs the scope ``ZohoCRM.org.READ``."""
    org = await _first(api, "organization", "org")
    license = org.get("license_details")
    return Organization(
        id=_text(org, "id"),
        zgid=_text(org, "zgid"),
        name=_text(org, "company_name"),
        type=_text(org, "type", _LONGEST_WORD).lower(),
        edition=_text(license, "paid_type", _LONGEST_WORD).lower() if isinstance(license, dict) else "",
        time_zone=_text(org, "time_zone", _LONGEST_WORD),
    )


async def current_user(api: CrmApi) -> User:
    """``GET /users?type=CurrentUser``; needs the scope ``ZohoCRM.users.READ``."""
    user = await _first(api, "currentUser", "users", (("type", "CurrentUser"),))
    profile = user.get("profile")
    return User(
        id=_text(user, "id"),
        email=_text(user, "email"),
        name=_text(user, "full_name"),
        status=_text(user, "status").lower(),
        profile=_text(profile, "name") if isinstance(profile, dict) else "",
    )


async def _first(
    api: CrmApi, operation: str, name: str, params: Sequence[tuple[str, str]] | None = None
) -> Mapping[str, Any]:
    """The first object of the list ``name``."""
    answer = await api.send(operation, "GET", f"v8/{name}", params=params)
    if answer.status == 204:  # nothing found, with an empty body
        raise RemoteError(
            SERVICE,
            operation,
            ErrorClass.NOT_FOUND,
            "NotFound",
            f"the token's user sees no {name} in Zoho CRM; {api.host} answered 204",
            status=204,
        )
    return only(answer, name)


def _text(fields: Mapping[str, Any], name: str, longest: int = _LONGEST_NAME) -> str:
    value = fields.get(name)
    return sanitize(str(value), longest) if isinstance(value, str | int) else ""
