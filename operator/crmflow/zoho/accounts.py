"""Zoho Accounts: access tokens from refresh tokens (zoho.md 1.3 to 1.5)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.clock import Clock
from crmflow.http.client import Answer, HttpClient
from crmflow.observability.redaction import register, sanitize
from crmflow.zoho.datacenters import ZohoEndpoints, data_center_of
from crmflow.zoho.errors import accounts_error
from crmflow.zoho.scopes import parse_scopes

log = logging.getLogger("crmflow.tokens")

SERVICE = "ZohoAccounts"

_DEFAULT_LIFE = 3600.0
# Until 2019 expires_in was in milliseconds. No token lives for a day, so a greater number can't be seconds
# (zoho.md 1.3).
_MOST_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class ZohoToken:
    """A Zoho access token. Instants are seconds since the epoch on the operator's clock."""

    value: SecretStr
    expires_at: float
    issued_at: float
    scopes: tuple[str, ...]
    """What the grant allows; empty if the answer did not say."""
    data_center: DataCenter | None
    """Where ``api_domain`` has the API; None unless that is one of Zoho's hosts of zoho.md 2."""
    refresh_token: SecretStr | None = None
    """What came with it: for a code with offline access always, for a refresh only should Zoho ever replace
    the refresh token (zoho.md 1.3).
    """


class ZohoAccounts:
    """The token endpoint of every data center."""

    def __init__(self, http: HttpClient, endpoints: ZohoEndpoints, clock: Clock) -> None:
        self._http = http
        self._endpoints = endpoints
        self._clock = clock

    async def refresh(
        self,
        data_center: DataCenter,
        client_id: str,
        client_secret: SecretStr,
        refresh_token: SecretStr,
    ) -> ZohoToken:
        """A new access token. Zoho grants ten in ten minutes and lets fifteen live (zoho.md 1.5).

        Raises :class:`RemoteError` by the table of ``zoho/errors.py``. When the answer is lost the call may
        be repeated: it has cost one token of that budget, no more.
        """
        register(client_secret.get_secret_value())
        register(refresh_token.get_secret_value())
        issued_at = self._clock.now()  # before the call, so that the token never seems younger than it is
        answer = await self._http.send(
            SERVICE,
            "refresh",
            "POST",
            f"{self._endpoints.accounts_url(data_center)}/oauth/v2/token",
            # In the body: query strings end up in access logs.
            form={
                "grant_type": "refresh_token",
                "client_id": client_id,
                "client_secret": client_secret.get_secret_value(),
                "refresh_token": refresh_token.get_secret_value(),
            },
        )
        token = access_token(answer, issued_at)
        if token is None:
            raise accounts_error(answer, self._endpoints.accounts_host(data_center))
        return token


def access_token(answer: Answer, issued_at: float) -> ZohoToken | None:
    """The access token in an answer of the token endpoint, None if there is none; raises RemoteError
    (``UnreadableAnswer``) for a success that can't be read.
    """
    body = answer.json_or_none()
    if not isinstance(body, dict):
        if answer.status == 200:
            raise answer.unreadable("a body that is not a JSON object")
        return None
    # The body before the status: most errors come with 200.
    value = None if "error" in body else body.get("access_token")
    if not isinstance(value, str) or not value:
        return None
    register(value)
    return ZohoToken(
        value=SecretStr(value),
        expires_at=issued_at + _life(body),
        issued_at=issued_at,
        scopes=_scopes(body),
        data_center=_data_center(body),
        refresh_token=_refresh_token(body),
    )


def _life(body: Mapping[str, Any]) -> float:
    """Seconds that the token lives, in both generations of the answer."""
    if (seconds := _number(body.get("expires_in_sec"))) is not None:
        return seconds
    life = _number(body.get("expires_in"))
    if life is None:
        return _DEFAULT_LIFE
    return life / 1000 if life > _MOST_SECONDS else life


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def _scopes(body: Mapping[str, Any]) -> tuple[str, ...]:
    scope = body.get("scope")
    return parse_scopes(scope) if isinstance(scope, str) else ()


def _data_center(body: Mapping[str, Any]) -> DataCenter | None:
    url = body.get("api_domain")
    if not isinstance(url, str) or not url:
        return None
    data_center = data_center_of(url)
    if data_center is None:
        # Zoho's general pages show api.zoho.*, which does not serve the CRM API.
        log.warning(
            "Zoho names an API host that is not in the table, which is used instead: %s", sanitize(url, 80)
        )
    return data_center


def _refresh_token(body: Mapping[str, Any]) -> SecretStr | None:
    value = body.get("refresh_token")
    if not isinstance(value, str) or not value:
        return None
    register(value)
    return SecretStr(value)
