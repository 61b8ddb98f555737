"""Tokens and clients: one refresh in flight per credential, shared by everybody who uses it."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pydantic import SecretStr

from crmflow.aep.client import PlatformClient
from crmflow.aep.ims import DEFAULT_SCOPES, Ims
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.clock import Clock
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials, fingerprint
from crmflow.reconcile.ports import Inventory, Platform, Zoho
from crmflow.runtime.inventories import Inventories
from crmflow.runtime.inventory import SandboxInventory, Scope
from crmflow.runtime.keys import Key
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.http import HttpClient
from crmflow.transport.limiter import Limiter
from crmflow.zoho.accounts import ZohoAccounts
from crmflow.zoho.crm import SERVICE as ZOHO_CRM
from crmflow.zoho.crm import Organization, ZohoCRM

REFRESH_AT = (0.62, 0.70)
"""The part of a token's life after which it is refreshed: about two thirds, with jitter."""
EXPIRY_MARGIN_SECONDS = 60.0
"""A token this close to its end counts as ended: requests take their time, and clocks differ."""
REMEMBERED_SECONDS = 7200.0
"""Whoever needs a token and gets none asks again within an hour."""


class AccessToken(Protocol):
    """What Zoho's and Adobe's tokens have in common. Instants are seconds since the epoch."""

    @property
    def value(self) -> SecretStr: ...
    @property
    def issued_at(self) -> float: ...
    @property
    def expires_at(self) -> float: ...


T = TypeVar("T", bound=AccessToken)


class FreshToken(Generic[T]):
    """One credential's access token, asked for when needed and kept until two thirds of its life are over.

    Whoever comes while a refresh is under way waits for its answer. A throttled credential is left alone
    until the service's window has passed: asking again would only prolong it.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token: T | None = None
        self._refresh_at = 0.0
        self._refused: RemoteError | None = None
        self._not_before = 0.0
        self._asked_at = clock.now()

    async def get(self) -> SecretStr:
        """A valid token. Raises RemoteError when there is none to be had."""
        self._asked_at = self._clock.now()
        async with self._lock:
            if self._token is not None and self._clock.now() < self._refresh_at:
                return self._token.value
            try:
                return (await self._renew()).value
            except RemoteError as error:
                if error.error_class is ErrorClass.TRANSIENT and self.is_valid and self._token is not None:
                    return self._token.value
                raise

    def reject(self, token: SecretStr) -> None:
        """Told that ``token`` is no longer accepted, whatever its age."""
        if self._token is not None and self._token.value.get_secret_value() == token.get_secret_value():
            self._token = None

    @property
    def is_valid(self) -> bool:
        """True while a token is held that has not ended."""
        return self._token is not None and self._clock.now() < self._token.expires_at - EXPIRY_MARGIN_SECONDS

    @property
    def life(self) -> tuple[float, float] | None:
        """When the token was issued and when it ends; None if there is none, or if it has ended and nobody
        has asked for one for so long that the credential may well be gone.
        """
        if self._token is None or not (
            self.is_valid or self._clock.now() < self._asked_at + REMEMBERED_SECONDS
        ):
            return None
        return self._token.issued_at, self._token.expires_at

    async def _renew(self) -> T:
        now = self._clock.now()
        if self._refused is not None and now < self._not_before:
            raise _again(self._refused, self._not_before - now)
        try:
            token = await self._fetch()
        except RemoteError as error:
            if error.retry_after:
                self._refused, self._not_before = error, now + error.retry_after
            raise
        self._token, self._refused = token, None
        life = token.expires_at - token.issued_at
        share = random.uniform(*REFRESH_AT)  # noqa: S311 - spreads load, no secret
        self._refresh_at = token.issued_at + life * share
        return token


@dataclass(frozen=True)
class ZohoAccess:
    """Zoho CRM with one grant."""

    data_center: DataCenter
    token: FreshToken[AccessToken]
    crm: ZohoCRM
    limiter: Limiter

    async def access_token(self) -> SecretStr:
        """A fresh access token."""
        return await self.token.get()

    async def organization(self, environment: Environment) -> Organization:
        """The organization of the grant. A token that Zoho no longer accepts is replaced once (zoho.md 4)."""
        token = await self.token.get()
        try:
            return await self._organization(environment, token)
        except RemoteError as error:
            if error.reason != "TokenRejected":
                raise
        self.token.reject(token)
        return await self._organization(environment, await self.token.get())

    async def _organization(self, environment: Environment, token: SecretStr) -> Organization:
        async with self.limiter.turn(ZOHO_CRM, "organization"):
            return await self.crm.organization(self.data_center, environment, token)


@dataclass(frozen=True)
class AdobeAccess:
    """Adobe with one credential, for all sandboxes."""

    token: FreshToken[AccessToken]
    limiter: Limiter


@dataclass(frozen=True)
class _Held:
    """What a connection last reached Platform with."""

    client: PlatformClient
    token: FreshToken[AccessToken]
    inventory: SandboxInventory


class RemoteAccess:
    """Hands out Zoho and Platform by credential; implements the port of the same shape."""

    def __init__(
        self,
        http: HttpClient,
        accounts: ZohoAccounts,
        crm: ZohoCRM,
        ims: Ims,
        platform_url: str,
        clock: Clock,
        metrics: Metrics,
        inventories: Inventories,
    ) -> None:
        self._http = http
        self._accounts = accounts
        self._crm = crm
        self._ims = ims
        self._platform_url = platform_url
        self._clock = clock
        self._metrics = metrics
        self._inventories = inventories
        self._zoho: dict[str, ZohoAccess] = {}
        self._adobe: dict[str, AdobeAccess] = {}
        self._clients: dict[Scope, PlatformClient] = {}
        self._held: dict[str, _Held] = {}
        metrics.before_scrape.append(self._show)

    def zoho(self, data_center: DataCenter, credentials: ZohoCredentials) -> Zoho:
        """Zoho CRM with a grant; the same credential gets the same token."""
        key = fingerprint(data_center, credentials.fingerprint)
        if key not in self._zoho:
            token: FreshToken[AccessToken] = FreshToken(
                lambda: self._accounts.refresh(
                    data_center, credentials.client_id, credentials.client_secret, credentials.refresh_token
                ),
                self._clock,
            )
            self._zoho[key] = ZohoAccess(data_center, token, self._crm, self._limiter("Zoho"))
        return self._zoho[key]

    async def platform(
        self, holder: str, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> Platform:
        """A sandbox, remembered for ``holder``. Raises RemoteError when IMS gives no token."""
        adobe = self._adobe_access(organization, credentials)
        await adobe.token.get()
        scope = (organization, sandbox, credentials.fingerprint)
        client = self._clients.get(scope)
        if client is None:
            client = self._clients[scope] = PlatformClient(
                self._http,
                self._platform_url,
                organization,
                sandbox,
                credentials.client_id,
                adobe.token,
                lambda remote_id, etag: self._inventories.saw(scope, remote_id, etag),
                adobe.limiter.turn,
            )
        connection = Key(ZOHO_SOURCE_CONNECTION.kind, *holder.split("/", 1))
        self._held[holder] = _Held(client, adobe.token, self._inventories.use(scope, connection, client))
        return client

    def inventory(self, holder: str) -> Inventory:
        """The inventory of the sandbox that ``holder`` last reached."""
        return self._held[holder].inventory

    def held_platform(self, holder: str) -> Platform | None:
        """What ``holder`` last reached, while the token that it was reached with lasts."""
        held = self._held.get(holder)
        return held.client if held is not None and held.token.is_valid else None

    def forget(self, holder: str) -> None:
        """``holder`` is gone."""
        self._held.pop(holder, None)

    def _show(self) -> None:
        """Bring the metrics of tokens and limiters up to date; a credential that is gone shows no more."""
        metrics = self._metrics
        for gauge in (metrics.token_issued, metrics.token_expiry, metrics.limiter_rate):
            gauge.clear()
        credentials: tuple[tuple[str, Mapping[str, ZohoAccess | AdobeAccess]], ...] = (
            ("Zoho", self._zoho),
            ("Adobe", self._adobe),
        )
        for service, held in credentials:
            for key, access in held.items():
                if (life := access.token.life) is not None:
                    metrics.token_issued.labels(service, key).set(life[0])
                    metrics.token_expiry.labels(service, key).set(life[1])
                    rate = access.limiter.rate
                    metrics.limiter_rate.labels(service, key).set(math.inf if rate is None else rate)

    def _adobe_access(self, organization: str, credentials: PlatformCredentials) -> AdobeAccess:
        key = fingerprint(organization, credentials.fingerprint)
        if key not in self._adobe:
            token: FreshToken[AccessToken] = FreshToken(
                lambda: self._ims.token(
                    credentials.client_id, credentials.client_secret, credentials.scopes or DEFAULT_SCOPES
                ),
                self._clock,
            )
            self._adobe[key] = AdobeAccess(token, self._limiter("Adobe"))
        return self._adobe[key]

    def _limiter(self, service: str) -> Limiter:
        return Limiter(self._clock, self._metrics.limiter_wait_seconds.labels(service).observe)


def _again(error: RemoteError, left: float) -> RemoteError:
    return RemoteError(
        error.service,
        error.operation,
        error.error_class,
        error.reason,
        error.message,
        advice=error.advice,
        status=error.status,
        code=error.code,
        retry_after=left,
        maybe_applied=False,
    )
