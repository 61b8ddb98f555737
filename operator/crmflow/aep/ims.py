"""Adobe's identity service: access tokens for a server-to-server credential (platform.md 1.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from crmflow.aep import fields
from crmflow.clock import Clock
from crmflow.http.client import Answer, HttpClient
from crmflow.http.error_bodies import said_by
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import register, sanitize

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
class ImsToken:
    """An IMS access token. Instants are seconds since the epoch on the operator's clock."""

    value: SecretStr
    expires_at: float
    issued_at: float


class Ims:
    """The token endpoint. There are no refresh tokens: a new token is asked for with the same credential."""

    def __init__(self, http: HttpClient, base_url: str, clock: Clock) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(self._base_url).netloc
        self._clock = clock

    async def token(
        self, client_id: str, client_secret: SecretStr, scopes: Sequence[str] = DEFAULT_SCOPES
    ) -> ImsToken:
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
            raise _error(answer, self._host)
        body = answer.json()
        value = body.get("access_token") if isinstance(body, Mapping) else None
        if not isinstance(value, str) or not value:
            raise (
                _error(answer, self._host)
                if isinstance(body, Mapping) and "error" in body
                else answer.unreadable("no token")
            )
        register(value)
        life = fields.number(body.get("expires_in"))
        return ImsToken(
            value=SecretStr(value),
            expires_at=issued_at + (life if life and life > 0 else _DEFAULT_LIFE),
            issued_at=issued_at,
        )


_DEVELOPER_CONSOLE = "Adobe's Developer Console"
_SERVER_TO_SERVER = (
    "The credential must be of the type OAuth Server-to-Server; one that signs users in, or the retired JWT, "
    f"does not do. Create one in a project of {_DEVELOPER_CONSOLE} that has the Experience Platform API, and "
    "put its client id and client secret into the Secret."
)
# The error body is not documented; these are OAuth 2.0's names (platform.md 1.3). All mean: a person must
# look at the credential, each at another part of it.
_REFUSALS: Mapping[str, tuple[str, str]] = {
    "invalid_client": (
        "Adobe does not accept the client id or secret",
        f"Compare clientId and clientSecret in the Secret with the credential in {_DEVELOPER_CONSOLE}.",
    ),
    "unauthorized_client": ("the client may not use the client credentials grant", _SERVER_TO_SERVER),
    "unsupported_grant_type": ("the client may not use the client credentials grant", _SERVER_TO_SERVER),
    "invalid_grant": ("Adobe does not accept the client credentials grant", _SERVER_TO_SERVER),
    "invalid_scope": (
        "the client may not have one of the scopes",
        f"Set the key scopes of the Secret to the scopes that {_DEVELOPER_CONSOLE} shows for the credential; "
        "without the key the usual ones of the Experience Platform API are asked for, which its project must "
        "have.",
    ),
    "invalid_request": (
        "the client id, the secret or the scopes are malformed",
        "Look at the values in the Secret for anything pasted along, and compare them with the credential in "
        f"{_DEVELOPER_CONSOLE}.",
    ),
    "access_denied": (
        "Adobe refuses the client",
        "Ask an administrator of the organization whether the credential and its project are still enabled "
        f"in {_DEVELOPER_CONSOLE}.",
    ),
}
_OTHER_REFUSAL = (
    "Adobe refuses the credential",
    "If the answer does not name the cause, compare the Secret with the credential in "
    f"{_DEVELOPER_CONSOLE}, which must be of the type OAuth Server-to-Server.",
)
_BUSY = frozenset({"server_error", "temporarily_unavailable"})


def _error(answer: Answer, host: str) -> RemoteError:
    said = said_by(answer)
    is_page = bool(said.text) and not said.fields
    error_class, reason, message, advice = _meaning(answer.status, said.code.lower(), is_page=is_page)
    return RemoteError(
        answer.call.service,
        answer.call.operation,
        error_class,
        reason,
        f"{message}; {host} answered {said.quoted}",
        advice=advice,
        status=answer.status,
        code=said.code or None,
        request_id=sanitize(answer.headers.get("x-request-id", ""), 80) or None,
        retry_after=answer.retry_after,
        maybe_applied=False,  # at the most there is one more token
    )


def _meaning(status: int, code: str, *, is_page: bool) -> tuple[ErrorClass, str, str, str]:
    """``is_page``: what answered speaks no OAuth, so it knows nothing of the credential."""
    if status >= 500 or code in _BUSY:
        return ErrorClass.TRANSIENT, "Unavailable", "IMS is not available at the moment", ""
    if code in _REFUSALS or (400 <= status < 500 and status not in (404, 408, 429) and not is_page):
        message, advice = _REFUSALS.get(code, _OTHER_REFUSAL)
        return ErrorClass.TERMINAL, "PlatformCredentialsRejected", message, advice
    if status == 429:
        return ErrorClass.TRANSIENT, "RateLimited", "IMS answers no more requests for now", ""
    return (
        ErrorClass.TRANSIENT,
        "UnexpectedAnswer",
        "IMS answered something that is not its own",
        "Check the configured address of IMS and what stands between it and the operator.",
    )
