"""Zoho CRM by credential: the grant and its tokens, kept within what Zoho issues, over restarts too."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.clock import Clock
from crmflow.reconcile.credentials import ZohoCredentials, fingerprint
from crmflow.runtime.tokens import FreshToken, Held
from crmflow.runtime.tokenstore import Record, number, numbers, text
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.limiter import Limiter
from crmflow.zoho.accounts import SERVICE, AccessToken, ZohoAccounts
from crmflow.zoho.budget import Budget
from crmflow.zoho.crm import SERVICE as CRM
from crmflow.zoho.crm import Organization, ZohoCRM
from crmflow.zoho.errors import wrong_data_center
from crmflow.zoho.grants import ZohoGrants, grant_lost
from crmflow.zoho.scopes import parse_scopes

log = logging.getLogger("crmflow.tokens")

THROTTLED = "TokenThrottled"
_SPENT_GRANTS = frozenset({"GrantLost", "GrantRejected", "GrantIncomplete"})
"""Refusals after which a grant token is of no use any more."""
_EXCHANGING = "exchanging"
REPLACEMENT = "newRefreshToken"
"""Field of a record: what the refresh token of a user's Secret was replaced by."""
_LONGEST_BLOCK = 3600.0
"""Seconds. A record that says more was written before the clock was set back."""


@dataclass(frozen=True)
class ZohoServices:
    """The clients of Zoho's services."""

    accounts: ZohoAccounts
    grants: ZohoGrants
    crm: ZohoCRM


class ZohoGrant:
    """What belongs to a refresh token, whichever client secret it is used with: one request at a time, the
    budget, and the record in the token store.
    """

    def __init__(self, record: Record, clock: Clock) -> None:
        self.record = record
        self.lock = asyncio.Lock()
        self._clock = clock
        self._budget: Budget | None = None

    async def spend(self) -> None:
        """Count a request that is about to be made, in the store first: who crashes on the way must not ask
        again and again. Raises RemoteError while Zoho grants no more.
        """
        now = self._clock.now()
        fields = await self.record.fields()
        blocked = number(fields.get("notBefore")) - now
        if 0 < blocked <= _LONGEST_BLOCK:
            raise _spent(
                THROTTLED,
                "Zoho issues no more tokens for the rest of its ten-minute window",
                blocked,
                self._clock,
            )
        if self._budget is None:
            self._budget = Budget(numbers(fields.get("requests")))
        wait = self._budget.wait(now)
        if wait > 0:
            raise _spent(
                "TokenBudgetSpent",
                "as many tokens were asked for with this refresh token as Zoho allows",
                wait,
                self._clock,
            )
        await self.record.write(requests=json.dumps(self._budget.spend(now)), notBefore=None)

    async def note_throttle(self, error: RemoteError) -> None:
        """Zoho has said that it is too much: nothing is asked until its window is over."""
        if error.reason == THROTTLED and error.retry_after:
            await self.record.write(notBefore=str(self._clock.now() + error.retry_after))


class ZohoCredential:
    """One grant with one client secret; issues access tokens."""

    def __init__(
        self,
        services: ZohoServices,
        clock: Clock,
        data_center: DataCenter,
        credentials: ZohoCredentials,
        grant: ZohoGrant,
        limiter: Limiter,
        on_new_token: Callable[[ZohoCredential, AccessToken], None],
    ) -> None:
        self.services = services
        self.data_center = data_center
        self.grant = grant
        self.limiter = limiter
        self._clock = clock
        self._credentials = credentials
        self._on_new_token = on_new_token
        self._refusal: RemoteError | None = None
        self.token: FreshToken[AccessToken] = FreshToken(self, clock, grant.lock)

    async def refresh_token(self) -> SecretStr:
        """The refresh token of the Secret, or the one that its grant token was exchanged for."""
        present = await self._present_refresh_token()
        if present is None:
            await self.token.get()
            present = (await self.grant.record.fields())["refreshToken"]
        return present

    async def organization(self, environment: Environment, token: SecretStr) -> Organization:
        """The organization of the grant, once it is this credential's turn to ask."""
        async with self.limiter.turn(CRM, "organization"):
            return await self.services.crm.organization(self.data_center, environment, token)

    async def stored(self) -> Held[AccessToken] | None:
        """The token that an earlier process left, if it was issued to this very client secret."""
        fields = await self.grant.record.fields()
        value, scopes = fields.get("accessToken"), fields.get("scopes")
        if value is None or text(fields.get("clientSecretHash")) != self._secret_hash:
            return None
        token = AccessToken(
            value=value,
            issued_at=number(fields.get("issuedAt")),
            expires_at=number(fields.get("expiresAt")),
            scopes=parse_scopes(text(scopes)),
            data_center=None,
        )
        return Held(token, number(fields.get("refreshAt")))

    async def fetch(self) -> AccessToken:
        """A new token: by the refresh token, or by the grant token that is still to be exchanged."""
        refresh_token = await self._present_refresh_token()
        if refresh_token is None:
            return await self._exchange()
        await self.grant.spend()
        try:
            return await self.services.accounts.refresh(
                self.data_center, self._credentials.client_id, self._credentials.client_secret, refresh_token
            )
        except RemoteError as error:
            await self.grant.note_throttle(error)
            raise

    async def keep(self, held: Held[AccessToken]) -> None:
        """Write the token to the store. It is good without that, too: then a restart asks for another."""
        token = held.token
        try:
            await self.grant.record.write(
                accessToken=token.value,
                issuedAt=str(token.issued_at),
                expiresAt=str(token.expires_at),
                refreshAt=str(held.refresh_at),
                scopes=" ".join(token.scopes),
                clientSecretHash=self._secret_hash,
                dataCenter=self.data_center,
                **self._replaced_refresh_token(token),
            )
        except RemoteError as error:
            log.warning("a new token is held in memory only: %s", error)
        self._on_new_token(self, token)

    async def _present_refresh_token(self) -> SecretStr | None:
        fields = await self.grant.record.fields()
        own = self._credentials.refresh_token or fields.get("refreshToken")
        return fields.get(REPLACEMENT) or own

    def _replaced_refresh_token(self, token: AccessToken) -> Mapping[str, SecretStr]:
        """Zoho does not replace refresh tokens; should it, the old one is good no longer (zoho.md 1.3, 7)."""
        new, given = token.refresh_token, self._credentials.refresh_token
        if new is None or (given is not None and new.get_secret_value() == given.get_secret_value()):
            return {}
        return {"refreshToken" if given is None else REPLACEMENT: new}

    async def _exchange(self) -> AccessToken:
        """Use the grant token up. It works once: an exchange that was begun and whose end nobody knows is
        never repeated, so its beginning is in the store before the call (zoho.md 1.5, 7).
        """
        if self._refusal is not None:
            raise self._refusal
        record, credentials = self.grant.record, self._credentials
        if text((await record.fields()).get("grant")) == _EXCHANGING:
            raise grant_lost("the exchange of the grant token was begun, and its result is lost")
        if credentials.grant_token is None:
            raise RuntimeError("credentials hold a refresh token or a grant token")
        try:
            await record.write(grant=_EXCHANGING)
        except RemoteError:
            record.discard("grant")  # it was not sent, and may be once the store takes notes again
            raise
        try:
            exchanged = await self.services.grants.exchange(
                self.data_center,
                credentials.client_id,
                credentials.client_secret,
                credentials.grant_token,
                credentials.redirect_uri,
            )
        except RemoteError as error:
            if error.reason in _SPENT_GRANTS:
                self._refusal = error
            if error.reason != "GrantLost":
                await record.write(grant=None)
            raise
        await record.write(grant=None, refreshToken=exchanged.refresh_token)
        return exchanged.access_token

    @property
    def _secret_hash(self) -> str:
        return fingerprint(self._credentials.client_secret)


@dataclass(frozen=True)
class ZohoAccess:
    """Zoho CRM as one connection uses it; implements the port of the same shape."""

    holder: str
    credential: ZohoCredential
    _in_use: Callable[[str, ZohoCredential], Awaitable[None]]

    async def access_token(self) -> SecretStr:
        """A fresh access token."""
        token = await self.credential.token.get()
        await self._in_use(self.holder, self.credential)
        return token

    async def refresh_token(self) -> SecretStr:
        """What access tokens are asked for with."""
        return await self.credential.refresh_token()

    async def scopes(self) -> tuple[str, ...]:
        """What the grant allows, as Zoho said with the token; empty if it did not."""
        return (await self.credential.token.held()).token.scopes

    async def organization(self, environment: Environment) -> Organization:
        """The organization of the grant. A token that Zoho no longer accepts is replaced once (zoho.md 4)."""
        credential = self.credential
        token = await credential.token.get()
        try:
            return await credential.organization(environment, token)
        except RemoteError as error:
            if error.reason != "TokenRejected":
                raise
        credential.token.reject(token)
        renewed = (await credential.token.held()).token
        try:
            return await credential.organization(environment, renewed.value)
        except RemoteError as error:
            home = renewed.data_center
            if error.reason == "TokenRejected" and home not in (None, credential.data_center):
                raise wrong_data_center(CRM, "organization", home, credential.data_center) from error
            raise

    async def is_pushed(self) -> bool | None:
        """True if the base connection was given today's access token; None without a note of any."""
        token = await self.credential.token.get()
        await self.credential.grant.record.fields()
        pushed = self.credential.grant.record.pushed(self.holder)
        return None if pushed is None else pushed == fingerprint(token)

    async def note_pushed(self, token: SecretStr) -> None:
        """The base connection has been given ``token``."""
        await self.credential.grant.record.note_pushed(self.holder, fingerprint(token))


def _spent(reason: str, message: str, wait: float, clock: Clock) -> RemoteError:
    until = datetime.fromtimestamp(clock.now() + wait, UTC).strftime("%H:%M:%S UTC")
    return RemoteError(
        SERVICE,
        "refresh",
        ErrorClass.TRANSIENT,
        reason,
        f"{message}; the next one is asked for at {until}",
        advice="Nothing to do. If it comes back, look for another program that uses the same refresh token.",
        retry_after=wait,
    )
