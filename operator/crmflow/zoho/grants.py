"""Grant tokens into refresh tokens, and their end: the two calls that change something (zoho.md 1.3, 1.6)."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.clock import Clock
from crmflow.http.client import Answer, HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import register
from crmflow.zoho.accounts import SERVICE, ZohoToken, access_token
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.errors import exchange_error, revocation_error


@dataclass(frozen=True, slots=True)
class Grant:
    """What a grant token was exchanged for."""

    refresh_token: SecretStr
    access_token: ZohoToken


class ZohoGrants:
    """The code exchange and the revocation, in every data center."""

    def __init__(self, http: HttpClient, endpoints: ZohoEndpoints, clock: Clock) -> None:
        self._http = http
        self._endpoints = endpoints
        self._clock = clock

    async def exchange(
        self,
        data_center: DataCenter,
        client_id: str,
        client_secret: SecretStr,
        code: SecretStr,
        redirect_uri: str | None = None,
    ) -> Grant:
        """Use a grant token up. ``redirect_uri`` as in the authorization request; a self client has none.

        A grant token works once, for about a minute (zoho.md 1.5), so this is sent once. Raises RemoteError:
        ``GrantLost`` (Terminal) when it may or may not have worked; ``GrantRejected``, ``GrantThrottled``,
        ``GrantIncomplete`` (no refresh token) and the others of ``zoho/errors.py`` when it has not;
        ``Unreachable`` (Transient) when nothing was sent and the grant token is still good.
        """
        for secret in (client_secret, code):
            register(secret.get_secret_value())
        issued_at = self._clock.now()
        form = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "client_secret": client_secret.get_secret_value(),
            "code": code.get_secret_value(),
        }
        if redirect_uri is not None:
            form["redirect_uri"] = redirect_uri
        try:
            answer = await self._http.send(
                SERVICE,
                "exchange",
                "POST",
                f"{self._endpoints.accounts_url(data_center)}/oauth/v2/token",
                form=form,
            )
            return _grant(answer, issued_at, self._endpoints.accounts_host(data_center))
        except RemoteError as error:
            if not error.maybe_applied:
                raise
            raise grant_lost(
                f"the exchange of the grant token may have worked, but its result is lost ({error.message})",
                status=error.status,
                code=error.code,
            ) from error

    async def revoke(self, data_center: DataCenter, refresh_token: SecretStr) -> None:
        """End a refresh token and its access tokens.

        Raises RemoteError: ``RevocationRefused`` (Terminal) if Zoho does not know the token, and the faults
        of the network. It may be repeated.
        """
        register(refresh_token.get_secret_value())
        answer = await self._http.send(
            SERVICE,
            "revoke",
            "POST",
            f"{self._endpoints.accounts_url(data_center)}/oauth/v2/token/revoke",
            form={"token": refresh_token.get_secret_value()},
        )
        body = answer.json_or_none()
        if answer.status != 200 or not isinstance(body, dict) or body.get("status") != "success":
            raise revocation_error(answer, self._endpoints.accounts_host(data_center))


def _grant(answer: Answer, issued_at: float, asked: str) -> Grant:
    token = access_token(answer, issued_at)
    if token is None:
        raise exchange_error(answer, asked)
    if token.refresh_token is None:
        raise RemoteError(
            SERVICE,
            "exchange",
            ErrorClass.TERMINAL,
            "GrantIncomplete",
            "Zoho issued an access token, but no refresh token",
            advice="Ask for consent with access_type=offline and prompt=consent; a self client's grant "
            "token has both.",
        )
    return Grant(token.refresh_token, token)


def grant_lost(message: str, *, status: int | None = None, code: str | None = None) -> RemoteError:
    """What is told of an exchange whose end is not known."""
    return RemoteError(
        SERVICE,
        "exchange",
        ErrorClass.TERMINAL,
        "GrantLost",
        message,
        advice="The grant token works only once, so it is not sent again: authorize anew. A token that was "
        "issued all the same ends with Connected Apps, Revoke Access in the user's Zoho account.",
        status=status,
        code=code,
        maybe_applied=True,
    )
