"""Adobe's identity service: access tokens for a server-to-server credential (platform.md 1.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from crmflow.aep import fields
from crmflow.clock import Clock
from crmflow.observability.redaction import register, sanitise
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.http import Answer, HttpClient

SERVICE = "IMS"
DEFAULT_SCOPES = (
    "openid",
    "AdobeID",
    "read_organizations",
    "additional_info.projectedProductContext",
    "session",
)
_DEFAULT_LIFE = 86399.0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An IMS access token. Instants are seconds since the epoch on the operator's clock."""

    value: SecretStr
    expires_at: float
    issued_at: float


class Ims:
    """The token endpoint. There are no refresh tokens: a new token is asked for with the same credential."""

    def __init__(self, http: HttpClient, base_url: str, clock: Clock) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._clock = clock

    async def token(
        self, client_id: str, client_secret: SecretStr, scopes: Sequence[str] = DEFAULT_SCOPES
    ) -> AccessToken:
        """A new access token, which lives for a day.

        Raises :class:`RemoteError`: Terminal ``PlatformCredentialsRejected`` for every refusal, Transient
        when IMS is busy or unreachable. Asking twice does no harm.
        """
        register(client_secret.get_secret_value())
        issued_at = self._clock.now()  # before the call, so that the token never seems younger than it is
        answer = await self._http.send(
            SERVICE,
            "token",
            "POST",
            f"{self._base_url}/ims/token/v3",
            form={
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": client_secret.get_secret_value(),
                "scope": ",".join(scopes),
            },
        )
        if answer.status != 200:
            raise _error(answer)
        body = answer.json()
        value = body.get("access_token") if isinstance(body, Mapping) else None
        if not isinstance(value, str) or not value:
            raise (
                _error(answer)
                if isinstance(body, Mapping) and "error" in body
                else answer.unreadable("no token")
            )
        register(value)
        life = fields.number(body.get("expires_in"))
        return AccessToken(
            value=SecretStr(value),
            expires_at=issued_at + (life if life and life > 0 else _DEFAULT_LIFE),
            issued_at=issued_at,
        )


# The error body is not documented; these are OAuth 2.0's names (platform.md 1.3). All mean: a person must
# look at the Secret.
_REFUSALS: Mapping[str, str] = {
    "invalid_client": "Adobe does not accept the client id or secret",
    "unauthorized_client": "the client may not use the client credentials grant",
    "invalid_scope": "the client may not have one of the scopes",
    "invalid_request": "the client id, the secret or the scopes are malformed",
    "invalid_grant": "Adobe does not accept the client credentials grant",
    "access_denied": "Adobe refuses the client",
}


def _error(answer: Answer) -> RemoteError:
    body: Any = answer.json_or_none()
    code = sanitise(fields.text(body, "error", "error_code"), 60)
    error_class, reason, message, advice = _meaning(answer.status, code)
    return RemoteError(
        answer.call.service,
        answer.call.operation,
        error_class,
        reason,
        message,
        advice=advice,
        status=answer.status,
        code=code or None,
        request_id=sanitise(answer.headers.get("x-request-id", ""), 80) or None,
        retry_after=answer.retry_after,
        maybe_applied=False,  # at the most there is one more token
    )


def _meaning(status: int, code: str) -> tuple[ErrorClass, str, str, str]:
    if code in _REFUSALS or (400 <= status < 500 and status not in (404, 408, 429)):
        return (
            ErrorClass.TERMINAL,
            "PlatformCredentialsRejected",
            _REFUSALS.get(code, "Adobe refuses the credential"),
            "Compare the Secret with the credential in Adobe's Developer Console.",
        )
    if status == 429:
        return ErrorClass.TRANSIENT, "RateLimited", "IMS answers no more requests for now", ""
    if status >= 500:
        return ErrorClass.TRANSIENT, "Unavailable", "IMS is not available at the moment", ""
    return (
        ErrorClass.TRANSIENT,
        "UnexpectedAnswer",
        "IMS answered something that is not its own",
        "Check the configured address of IMS and what stands between it and the operator.",
    )
