"""Tokens and clients: one refresh in flight per credential, shared by everybody who uses it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
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
from crmflow.zoho.accounts import ZohoAccounts
from crmflow.zoho.crm import Organization, ZohoCRM

REFRESH_AT = (0.62, 0.70)
"""The part of a token's life after which it is refreshed: about two thirds, with jitter."""
EXPIRY_MARGIN_SECONDS = 60.0
"""A token this close to its end counts as ended: requests take their time, and clocks differ."""


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

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock, on_new: Callable[[T], None]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._on_new = on_new
        self._lock = asyncio.Lock()
        self._token: T | None = None
        self._refresh_at = 0.0
        self._refused: RemoteError | None = None
        self._not_before = 0.0

    async def get(self) -> SecretStr:
        """A valid token. Raises RemoteError when there is none to be had."""
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
        self._on_new(token)
        return token


@dataclass(frozen=True)
class ZohoAccess:
    """Zoho CRM with one grant."""

    data_center: DataCenter
    token: FreshToken[AccessToken]
    crm: ZohoCRM

    async def access_token(self) -> SecretStr:
        """A fresh access token."""
        return await self.token.get()

    async def organization(self, environment: Environment) -> Organization:
        """The organization of the grant. A token that Zoho no longer accepts is replaced once (zoho.md 4)."""
        token = await self.token.get()
        try:
            return await self.crm.organization(self.data_center, environment, token)
        except RemoteError as error:
            if error.reason != "TokenRejected":
                raise
        self.token.reject(token)
        return await self.crm.organization(self.data_center, environment, await self.token.get())


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
        self._adobe: dict[str, FreshToken[AccessToken]] = {}
        self._clients: dict[Scope, PlatformClient] = {}
        self._held: dict[str, _Held] = {}

    def zoho(self, data_center: DataCenter, credentials: ZohoCredentials) -> Zoho:
        """Zoho CRM with a grant; the same credential gets the same token."""
        key = fingerprint(data_center, credentials.fingerprint)
        if key not in self._zoho:
            token: FreshToken[AccessToken] = FreshToken(
                lambda: self._accounts.refresh(
                    data_center, credentials.client_id, credentials.client_secret, credentials.refresh_token
                ),
                self._clock,
                lambda new: self._note("Zoho", key, new),
            )
            self._zoho[key] = ZohoAccess(data_center, token, self._crm)
        return self._zoho[key]

    async def platform(
        self, holder: str, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> Platform:
        """A sandbox, remembered for ``holder``. Raises RemoteError when IMS gives no token."""
        token = self._adobe_token(organization, credentials)
        await token.get()
        scope = (organization, sandbox, credentials.fingerprint)
        client = self._clients.get(scope)
        if client is None:
            client = self._clients[scope] = PlatformClient(
                self._http,
                self._platform_url,
                organization,
                sandbox,
                credentials.client_id,
                token,
                lambda remote_id, etag: self._inventories.saw(scope, remote_id, etag),
            )
        connection = Key(ZOHO_SOURCE_CONNECTION.kind, *holder.split("/", 1))
        self._held[holder] = _Held(client, token, self._inventories.use(scope, connection, client))
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

    def _adobe_token(self, organization: str, credentials: PlatformCredentials) -> FreshToken[AccessToken]:
        key = fingerprint(organization, credentials.fingerprint)
        if key not in self._adobe:
            self._adobe[key] = FreshToken(
                lambda: self._ims.token(
                    credentials.client_id, credentials.client_secret, credentials.scopes or DEFAULT_SCOPES
                ),
                self._clock,
                lambda new: self._note("Adobe", key, new),
            )
        return self._adobe[key]

    def _note(self, service: str, credential: str, token: AccessToken) -> None:
        self._metrics.token_issued.labels(service, credential).set(token.issued_at)
        self._metrics.token_expiry.labels(service, credential).set(token.expires_at)


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
