"""Hands out Zoho and Platform by credential, and keeps in mind which connection uses what."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from crmflow.aep.client import PlatformClient
from crmflow.aep.gateway import TokenSource
from crmflow.aep.ims import Ims
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import DataCenter
from crmflow.clock import Clock
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials, fingerprint
from crmflow.reconcile.ports import Inventory, Platform, Zoho
from crmflow.runtime.adobe_access import AdobeCredential, LeftToken
from crmflow.runtime.inventories import Inventories
from crmflow.runtime.inventory import SandboxInventory, Scope
from crmflow.runtime.keys import Key
from crmflow.runtime.tokenstore import Record, Service, TokenStore, number, text
from crmflow.runtime.zoho_access import REPLACEMENT, ZohoAccess, ZohoCredential, ZohoGrant, ZohoServices
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.http import HttpClient
from crmflow.transport.limiter import Limiter
from crmflow.zoho.accounts import AccessToken as ZohoToken

log = logging.getLogger("crmflow.access")

IDLE_SECONDS = 3600.0
"""A record of the token store that nobody uses is kept so long after its token has ended: a resource that
comes back soon finds its token, and the service's budget is not forgotten.
"""


@dataclass(frozen=True)
class _Held:
    """What a connection last reached Platform with."""

    client: PlatformClient
    token: AdobeCredential | LeftToken
    inventory: SandboxInventory
    organization: str
    sandbox: str

    @property
    def is_valid(self) -> bool:
        token = self.token
        return token.is_valid if isinstance(token, LeftToken) else token.token.is_valid


class TokenObserver(Protocol):
    """Who is to know of Zoho's tokens."""

    def used(self) -> None:
        """A connection has begun to use a credential."""
        ...

    def renewed(self, holders: Sequence[str], life: float) -> None:
        """The connections have a new token, which lives for ``life`` seconds."""
        ...


class RemoteAccess:
    """Implements the port of the same shape."""

    def __init__(
        self,
        http: HttpClient,
        zoho: ZohoServices,
        ims: Ims,
        platform_url: str,
        store: TokenStore,
        clock: Clock,
        metrics: Metrics,
        inventories: Inventories,
        observer: TokenObserver,
    ) -> None:
        self._http = http
        self._zoho_services = zoho
        self._ims = ims
        self._platform_url = platform_url
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._inventories = inventories
        self._observer = observer
        self._grants: dict[str, ZohoGrant] = {}
        self._zoho: dict[str, ZohoCredential] = {}
        self._zoho_of: dict[str, ZohoCredential] = {}
        self._adobe: dict[str, AdobeCredential] = {}
        self._clients: dict[Scope, PlatformClient] = {}
        self._held: dict[str, _Held] = {}
        metrics.before_scrape.append(self._show)

    def zoho(self, holder: str, data_center: DataCenter, credentials: ZohoCredentials) -> Zoho:
        """Zoho CRM with a grant; the same credential gets the same token."""
        key = fingerprint(data_center, credentials.fingerprint)
        if key not in self._zoho:
            self._zoho[key] = ZohoCredential(
                self._zoho_services,
                self._clock,
                data_center,
                credentials,
                self._grant(data_center, credentials),
                self._limiter("Zoho"),
                self._note_new_zoho_token,
            )
        return ZohoAccess(holder, self._zoho[key], self._use_zoho)

    def zoho_in_use(self) -> Mapping[ZohoCredential, Sequence[str]]:
        """The Zoho credentials that connections use, with those connections."""
        users: dict[ZohoCredential, list[str]] = {}
        for holder, credential in self._zoho_of.items():
            users.setdefault(credential, []).append(holder)
        return users

    async def drop_former_grants(self, holder: str) -> None:
        """``holder`` uses none but its present grant any more."""
        present = self._zoho_of.get(holder)
        for record in await self._store.records(Service.ZOHO):
            if holder in record.holders and (present is None or record is not present.grant.record):
                await self._drop(record, holder, revoke=True)

    async def drop_grants(self, holder: str, *, revoke: bool) -> None:
        """``holder`` is about to go."""
        for service in Service:
            for record in await self._store.records(service):
                if holder in record.holders:
                    await self._drop(record, holder, revoke=revoke)
        self._zoho_of.pop(holder, None)

    async def platform(
        self, holder: str, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> Platform:
        """A sandbox, remembered for ``holder``. Raises RemoteError when IMS gives no token."""
        credential = self._adobe_credential(organization, credentials)
        await credential.token.get()
        await credential.record.hold(holder)
        scope = (organization, sandbox, credentials.fingerprint)
        client = self._clients.get(scope)
        if client is None:
            client = self._clients[scope] = self._client(
                scope, credentials.client_id, credential.token, credential.limiter
            )
        self._hold(holder, scope, client, credential)
        return client

    def inventory(self, holder: str) -> Inventory:
        """The inventory of the sandbox that ``holder`` last reached."""
        return self._held[holder].inventory

    async def held_platform(self, holder: str, sandbox: tuple[str, str] | None) -> Platform | None:
        """A sandbox by the token that ``holder`` last reached Platform with, while that lasts."""
        held = self._held.get(holder)
        if sandbox is not None and (held is None or (held.organization, held.sandbox) != sandbox):
            await self._restore(holder, *sandbox)
            held = self._held.get(holder)
        return held.client if held is not None and held.is_valid else None

    def forget(self, holder: str) -> None:
        """``holder`` is gone."""
        self._held.pop(holder, None)
        self._zoho_of.pop(holder, None)

    async def sweep(self, exists: Callable[[str], bool]) -> None:
        """Remove what nobody uses from the token store; ``exists`` tells whether a connection does. A refresh
        token that the operator obtained is kept: nobody else has it. Raises RemoteError.
        """
        for service in Service:
            for record in await self._store.records(service):
                for holder in record.holders:
                    if not exists(holder):
                        await record.release(holder)
                fields = await record.fields()
                ended = number(fields.get("expiresAt")) + IDLE_SECONDS < self._clock.now()
                if ended and not record.holders and not {"refreshToken", REPLACEMENT} & fields.keys():
                    await record.remove()

    def _grant(self, data_center: DataCenter, credentials: ZohoCredentials) -> ZohoGrant:
        parts = (data_center, credentials.client_id, credentials.grant)
        key = fingerprint(*parts)
        if key not in self._grants:
            self._grants[key] = ZohoGrant(self._store.record(Service.ZOHO, *parts), self._clock)
        return self._grants[key]

    async def _use_zoho(self, holder: str, credential: ZohoCredential) -> None:
        if self._zoho_of.get(holder) is not credential:
            await credential.grant.record.hold(holder)
            self._zoho_of[holder] = credential
            self._observer.used()

    async def _drop(self, record: Record, holder: str, *, revoke: bool) -> None:
        fields = await record.fields()
        refresh_token = fields.get("refreshToken")
        is_last = set(record.holders) == {holder}
        if refresh_token is not None and is_last and revoke:
            try:
                await self._zoho_services.grants.revoke(
                    DataCenter(text(fields.get("dataCenter"))), refresh_token
                )
            except RemoteError as error:
                if error.error_class is not ErrorClass.TERMINAL:  # it was revoked before
                    raise
            await record.remove()
        else:
            await record.release(holder)

    def _adobe_credential(self, organization: str, credentials: PlatformCredentials) -> AdobeCredential:
        key = fingerprint(organization, credentials.fingerprint)
        if key not in self._adobe:
            self._adobe[key] = AdobeCredential(
                self._ims,
                self._clock,
                organization,
                credentials,
                self._store.record(Service.ADOBE, organization, credentials.fingerprint),
                self._limiter("Adobe"),
            )
        return self._adobe[key]

    async def _restore(self, holder: str, organization: str, sandbox: str) -> None:
        """Take up what an earlier process reached the sandbox with."""
        for record in await self._store.records(Service.ADOBE):
            fields = await record.fields()
            if holder not in record.holders or text(fields.get("organization")) != organization:
                continue
            value = fields.get("accessToken")
            if value is not None:
                token = LeftToken(value, number(fields.get("expiresAt")), self._clock)
                scope = (organization, sandbox, text(fields.get("credential")))
                client = self._client(scope, text(fields.get("clientId")), token, self._limiter("Adobe"))
                self._hold(holder, scope, client, token)

    def _client(self, scope: Scope, client_id: str, token: TokenSource, limiter: Limiter) -> PlatformClient:
        organization, sandbox, _ = scope
        return PlatformClient(
            self._http,
            self._platform_url,
            organization,
            sandbox,
            client_id,
            token,
            lambda remote_id, etag: self._inventories.saw(scope, remote_id, etag),
            limiter.turn,
        )

    def _hold(
        self, holder: str, scope: Scope, client: PlatformClient, token: AdobeCredential | LeftToken
    ) -> None:
        organization, sandbox, _ = scope
        connection = Key(ZOHO_SOURCE_CONNECTION.kind, *holder.split("/", 1))
        inventory = self._inventories.use(scope, connection, client)
        self._held[holder] = _Held(client, token, inventory, organization, sandbox)

    def _note_new_zoho_token(self, credential: ZohoCredential, token: ZohoToken) -> None:
        holders = [holder for holder, used in self._zoho_of.items() if used is credential]
        self._observer.renewed(holders, token.expires_at - token.issued_at)

    def _limiter(self, service: str) -> Limiter:
        return Limiter(self._clock, self._metrics.limiter_wait_seconds.labels(service).observe)

    def _show(self) -> None:
        """Bring the metrics of tokens and limiters up to date; a credential that is gone shows no more."""
        metrics = self._metrics
        for gauge in (metrics.token_issued, metrics.token_expiry, metrics.limiter_rate):
            gauge.clear()
        credentials: tuple[tuple[str, Mapping[str, ZohoCredential | AdobeCredential]], ...] = (
            ("Zoho", self._zoho),
            ("Adobe", self._adobe),
        )
        for service, known in credentials:
            for key, credential in known.items():
                if (life := credential.token.life) is not None:
                    metrics.token_issued.labels(service, key).set(life[0])
                    metrics.token_expiry.labels(service, key).set(life[1])
                    rate = credential.limiter.rate
                    metrics.limiter_rate.labels(service, key).set(math.inf if rate is None else rate)
