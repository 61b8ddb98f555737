"""IMS tokens by credential, kept in the token store."""

from __future__ import annotations

import logging

from pydantic import SecretStr

from crmflow.aep.ims import DEFAULT_SCOPES, AccessToken, Ims
from crmflow.clock import Clock
from crmflow.reconcile.credentials import PlatformCredentials
from crmflow.runtime.tokens import EXPIRY_MARGIN_SECONDS, FreshToken, Held
from crmflow.runtime.tokenstore import Record, number
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.limiter import Limiter

log = logging.getLogger("crmflow.tokens")


class AdobeCredential:
    """One OAuth server-to-server credential in one organization; issues access tokens."""

    def __init__(
        self,
        ims: Ims,
        clock: Clock,
        organization: str,
        credentials: PlatformCredentials,
        record: Record,
        limiter: Limiter,
    ) -> None:
        self.record = record
        self.limiter = limiter
        self.token: FreshToken[AccessToken] = FreshToken(self, clock)
        self._ims = ims
        self._organization = organization
        self._credentials = credentials

    async def stored(self) -> Held[AccessToken] | None:
        """The token that an earlier process left."""
        fields = await self.record.fields()
        value = fields.get("accessToken")
        if value is None:
            return None
        token = AccessToken(value, number(fields.get("expiresAt")), number(fields.get("issuedAt")))
        return Held(token, number(fields.get("refreshAt")))

    async def fetch(self) -> AccessToken:
        """A new token."""
        credentials = self._credentials
        return await self._ims.token(
            credentials.client_id, credentials.client_secret, credentials.scopes or DEFAULT_SCOPES
        )

    async def keep(self, held: Held[AccessToken]) -> None:
        """Write the token to the store, with what it takes to use it without the Secret."""
        try:
            await self.record.write(
                accessToken=held.token.value,
                issuedAt=str(held.token.issued_at),
                expiresAt=str(held.token.expires_at),
                refreshAt=str(held.refresh_at),
                organization=self._organization,
                clientId=self._credentials.client_id,
                credential=self._credentials.fingerprint,
            )
        except RemoteError as error:
            log.warning("a new token is held in memory only: %s", error)


class LeftToken:
    """The last token of a credential whose Secret is gone."""

    def __init__(self, value: SecretStr, expires_at: float, clock: Clock) -> None:
        self._value: SecretStr | None = value
        self._expires_at = expires_at
        self._clock = clock

    @property
    def is_valid(self) -> bool:
        """True while the token has not ended."""
        return self._value is not None and self._clock.now() < self._expires_at - EXPIRY_MARGIN_SECONDS

    async def get(self) -> SecretStr:
        """The token. Raises RemoteError once it has ended."""
        if self._value is None or not self.is_valid:
            raise RemoteError(
                "IMS",
                "token",
                ErrorClass.TERMINAL,
                "PlatformCredentialsRejected",
                "the last token of the credential has ended, and there is no Secret to ask for another with",
            )
        return self._value

    def reject(self, token: SecretStr) -> None:
        """Told that the gateway does not accept it."""
        self._value = None
