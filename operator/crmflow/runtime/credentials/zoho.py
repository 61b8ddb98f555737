"""Zoho CRM by credential: the grant and its tokens, kept within what Zoho issues, over restarts too."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.http.limiter import Limiter
from crmflow.reconcile.credentials import ZohoCredentials, fingerprint
from crmflow.runtime.credentials.entries import Entry
from crmflow.runtime.credentials.token_store import Record, number, numbers, text
from crmflow.runtime.credentials.tokens import CachedToken, FreshToken
from crmflow.zoho.accounts import SERVICE, ZohoAccounts, ZohoToken
from crmflow.zoho.api import CrmApi, Spend, uncounted
from crmflow.zoho.budget import Budget
from crmflow.zoho.crm import Organization, ZohoCRM, organization
from crmflow.zoho.errors import wrong_data_center
from crmflow.zoho.grants import ZohoGrants, grant_lost
from crmflow.zoho.scopes import parse_scopes

T = TypeVar("T")

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


@dataclass(frozen=True)
class RequestBudget:
    """The requests that Zoho grants to one refresh token, whichever client secret it is used with, as its
    record in the token store counts them.
    """

    _record: Record
    _clock: Clock

    async def spend(self) -> None:
        """Count a request that is about to be made, in the store first: who crashes on the way must not ask
        again and again. Raises RemoteError while Zoho grants no more.
        """
        now = self._clock.now()
        fields = await self._record.fields()
        blocked = number(fields.get("notBefore")) - now
        if 0 < blocked <= _LONGEST_BLOCK:
            raise _spent(
                THROTTLED,
                "Zoho issues no more tokens for the rest of its ten-minute window",
                blocked,
                self._clock,
            )
        budget = Budget(numbers(fields.get("requests")))
        wait = budget.wait(now)
        if wait > 0:
            raise _spent(
                "TokenBudgetSpent",
                "as many tokens were asked for with this refresh token as Zoho allows",
                wait,
                self._clock,
            )
        await self._record.write(requests=json.dumps(budget.spend(now)), notBefore=None)

    async def note_throttle(self, error: RemoteError) -> None:
        """Zoho has said that it is too much: nothing is asked until its window is over."""
        if error.reason == THROTTLED and error.retry_after:
            await self._record.write(notBefore=str(self._clock.now() + error.retry_after))


@dataclass
class Renewal:
    """What the refresher has done about a credential."""

    announced: int = 0
    """The number of the token that those who use the credential know of."""
    pause_until: float = 0.0
    """Nothing is asked before, as long as the token is the one of ``paused_with``."""
    paused_with: float | None = None


@dataclass(eq=False, repr=False)
class ZohoCredential(Entry):
    """One grant with one client secret: its token, its limiter and its stored record. Others that have the
    same grant with another client secret share the record: the budget, and one request at a time.
    """

    key: str
    services: ZohoServices
    clock: Clock
    data_center: DataCenter
    credentials: ZohoCredentials
    record: Record
    limiter: Limiter

    def __post_init__(self) -> None:
        self.renewal = Renewal()
        self.token: FreshToken[ZohoToken] = FreshToken(self, self.clock, self.record.requesting, SERVICE)
        self._budget = RequestBudget(self.record, self.clock)
        self._refusal: RemoteError | None = None

    async def refresh_token(self) -> SecretStr:
        """The refresh token of the Secret, or the one that its grant token was exchanged for."""
        present = await self._present_refresh_token()
        if present is None:
            await self.token.get()
            present = (await self.record.fields())["refreshToken"]
        return present

    def api(self, environment: Environment, token: SecretStr, spend: Spend) -> CrmApi:
        """The CRM API at the pace of this credential."""
        return self.services.crm.api(self.data_center, environment, token, spend, self.limiter.turn)

    async def stored(self) -> CachedToken[ZohoToken] | None:
        """The token that an earlier process stored, if it was issued to this very client secret."""
        fields = await self.record.fields()
        value, scopes = fields.get("accessToken"), fields.get("scopes")
        if value is None or text(fields.get("clientSecretHash")) != self._secret_hash:
            return None
        token = ZohoToken(
            value=value,
            issued_at=number(fields.get("issuedAt")),
            expires_at=number(fields.get("expiresAt")),
            scopes=parse_scopes(text(scopes)),
            data_center=None,
        )
        return CachedToken(token, number(fields.get("refreshAt")))

    async def fetch(self) -> ZohoToken:
        """A new token: by the refresh token, or by the grant token that is still to be exchanged."""
        refresh_token = await self._present_refresh_token()
        if refresh_token is None:
            return await self._exchange()
        await self._budget.spend()
        try:
            return await self.services.accounts.refresh(
                self.data_center, self.credentials.client_id, self.credentials.client_secret, refresh_token
            )
        except RemoteError as error:
            await self._budget.note_throttle(error)
            raise

    async def store(self, cached: CachedToken[ZohoToken]) -> None:
        token = cached.token
        await self.record.write(
            accessToken=token.value,
            issuedAt=str(token.issued_at),
            expiresAt=str(token.expires_at),
            refreshAt=str(cached.refresh_at),
            scopes=" ".join(token.scopes),
            clientSecretHash=self._secret_hash,
            dataCenter=self.data_center,
            **self._replaced_refresh_token(token),
        )

    async def _present_refresh_token(self) -> SecretStr | None:
        fields = await self.record.fields()
        own = self.credentials.refresh_token or fields.get("refreshToken")
        return fields.get(REPLACEMENT) or own

    def _replaced_refresh_token(self, token: ZohoToken) -> Mapping[str, SecretStr]:
        """Zoho does not replace refresh tokens; should it, the old one is good no longer (zoho.md 1.3, 7)."""
        new, given = token.refresh_token, self.credentials.refresh_token
        if new is None or (given is not None and new.get_secret_value() == given.get_secret_value()):
            return {}
        return {"refreshToken" if given is None else REPLACEMENT: new}

    async def _exchange(self) -> ZohoToken:
        """Use the grant token up. It works once: an exchange that was begun and whose end nobody knows is
        never repeated, so its beginning is in the store before the call (zoho.md 1.5, 7).
        """
        if self._refusal is not None:
            raise self._refusal
        record, credentials = self.record, self.credentials
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
        return fingerprint(self.credentials.client_secret)


@dataclass(frozen=True)
class ZohoAccess:
    """Zoho CRM as one connection uses it; implements the port ``Zoho``, which says what its methods mean."""

    connection: str
    credential: ZohoCredential
    _use: Callable[[str, ZohoCredential], Awaitable[None]]

    async def access_token(self) -> SecretStr:
        """A fresh access token."""
        token = await self.credential.token.get()
        await self._use(self.connection, self.credential)
        return token

    async def refresh_token(self) -> SecretStr:
        return await self.credential.refresh_token()

    async def renew(self) -> None:
        self.credential.token.reject(await self.credential.token.get())

    async def scopes(self) -> tuple[str, ...]:
        return (await self.credential.token.cached()).token.scopes

    async def organization(self, environment: Environment) -> Organization:
        return await self.ask(environment, organization)

    def crm_url(self, environment: Environment) -> str:
        return self.credential.services.crm.url(self.credential.data_center, environment)

    async def ask(
        self,
        environment: Environment,
        question: Callable[[CrmApi], Awaitable[T]],
        spend: Spend = uncounted,
    ) -> T:
        """The answer. A token that Zoho no longer accepts is replaced once (zoho.md 4)."""
        credential = self.credential
        token = await credential.token.get()
        try:
            return await question(credential.api(environment, token, spend))
        except RemoteError as error:
            if error.reason != "TokenRejected":
                raise
        credential.token.reject(token)
        renewed = (await credential.token.cached()).token
        try:
            return await question(credential.api(environment, renewed.value, spend))
        except RemoteError as error:
            home = renewed.data_center
            if error.reason == "TokenRejected" and home not in (None, credential.data_center):
                raise wrong_data_center(
                    error.service, error.operation, home, credential.data_center
                ) from error
            raise

    async def is_pushed(self) -> bool | None:
        token = await self.credential.token.get()
        pushed = await self.credential.record.pushed(self.connection)
        return None if pushed is None else pushed == fingerprint(token)

    async def note_pushed(self, token: SecretStr) -> None:
        await self.credential.record.note_pushed(self.connection, fingerprint(token))


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
