"""The credentials that are in use: one entry for each, and which connection uses which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.http.limiter import Limiter
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials, fingerprint
from crmflow.reconcile.ports import Inventory, LandingZoneFiles, Platform, Zoho
from crmflow.runtime.credentials.adobe import AdobeCredential, AdobeSandbox, AdobeServices
from crmflow.runtime.credentials.entries import Users
from crmflow.runtime.credentials.token_store import (
    Record,
    Service,
    TokenStore,
    number,
    numbers,
    one_by_one,
    text,
)
from crmflow.runtime.credentials.zoho import REPLACEMENT, ZohoAccess, ZohoCredential, ZohoServices
from crmflow.runtime.inventory.polled_sandbox import PolledSandbox, Scope

IDLE_SECONDS = 3600.0
"""A record of the token store that nobody uses is kept so long after its token has ended: a resource that
comes back soon finds its token, and the service's budget is not forgotten.
"""


class CredentialRegistry:
    """Implements the port ``Access``, which says what its methods mean.

    Whatever belongs to a credential is there once, in its entry, and shared by all who use it: token, stored
    record, limiter, and for Adobe the client and the inventory of each sandbox. An entry lives for as long as
    a connection uses it, or has it in its Secret. The registry is asked, and calls nobody back.
    """

    def __init__(
        self, zoho: ZohoServices, adobe: AdobeServices, store: TokenStore, clock: Clock, metrics: Metrics
    ) -> None:
        self._zoho_services = zoho
        self._adobe_services = adobe
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._zoho: dict[str, ZohoCredential] = {}
        self._zoho_users: Users[ZohoCredential] = Users(self._let_go_zoho)
        self._adobe: dict[str, AdobeCredential] = {}
        self._sandbox_users: Users[AdobeSandbox] = Users(self._let_go_sandbox)
        metrics.before_scrape.append(self._show)

    # Zoho

    def zoho(self, connection: str, data_center: DataCenter, credentials: ZohoCredentials) -> Zoho:
        # The redirect URI is no part of the grant, and may be put right beside the same grant token.
        redirect_uri = [credentials.redirect_uri] if credentials.redirect_uri else []
        key = fingerprint(data_center, credentials.fingerprint, *redirect_uri)
        credential = self._zoho.get(key)
        if credential is None:
            credential = self._zoho[key] = ZohoCredential(
                key,
                self._zoho_services,
                self._clock,
                data_center,
                credentials,
                self._store.record(Service.ZOHO, data_center, credentials.client_id, credentials.grant),
                self._limiter("Zoho"),
            )
        self._zoho_users.name(connection, credential)
        return ZohoAccess(connection, credential, self._use_zoho)

    def zoho_in_use(self) -> Sequence[ZohoCredential]:
        """The Zoho credentials that connections have got a token with."""
        return [credential for credential in self._zoho.values() if credential.used_by]

    async def drop_former_grants(self, connection: str) -> None:
        present = self._zoho_users.used.get(connection)
        if present is None:
            return  # then none is known to be a former one
        for record in await self._store.records(Service.ZOHO):
            if record.has_user(connection) and record.name != present.record.name:
                await self._drop(record, connection, revoke=True)

    async def drop_grants(self, connection: str, *, revoke: bool) -> None:
        for service in Service:
            for record in await self._store.records(service):
                if record.has_user(connection):
                    await self._drop(record, connection, revoke=revoke)
        self._zoho_users.forget(connection)

    async def _use_zoho(self, connection: str, credential: ZohoCredential) -> None:
        await credential.record.add_user(connection)
        if self._zoho.setdefault(credential.key, credential) is credential:
            if not credential.used_by:
                credential.renewal.announced = credential.token.renewals
            self._zoho_users.use(connection, credential)

    async def _drop(self, record: Record, connection: str, *, revoke: bool) -> None:
        fields = await record.fields()
        refresh_token = fields.get("refreshToken")
        is_last = set(record.users) == {connection}
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
            await record.remove_users(connection)

    # Platform

    async def platform(
        self, connection: str, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> Platform:
        credential = self._adobe_credential(organization, credentials.fingerprint, credentials.client_id)
        credential.secret = credentials
        entry = credential.sandbox(Scope(organization, sandbox, credentials.fingerprint))
        # Polled from now on, whatever comes of the token: so a refusal that ends is noticed.
        self._sandbox_users.name(connection, entry)
        await credential.token.get()
        await credential.record.add_user(connection)
        entry = self._kept(entry)
        self._sandbox_users.use(connection, entry)
        return entry.client

    def inventory(self, connection: str) -> Inventory:
        return self._sandbox_users.used[connection].polled.inventory

    def landing_zone(self, connection: str) -> LandingZoneFiles:
        return self._sandbox_users.used[connection].landing_zone

    async def cached_platform(self, connection: str, sandbox: tuple[str, str] | None) -> Platform | None:
        entry = self._sandbox_users.used.get(connection)
        if sandbox is not None and (entry is None or entry.scope[:2] != sandbox):
            await self._restore(connection, *sandbox)
            entry = self._sandbox_users.used.get(connection)
        if entry is None:
            return None
        await entry.credential.token.load()
        if entry.credential.token.valid is None:
            return None
        return entry.client_while_the_token_lasts()

    def sandboxes(self) -> Sequence[PolledSandbox]:
        """The sandboxes that connections' Secrets name, each with the credential that is named."""
        return [
            entry.polled
            for credential in self._adobe.values()
            for entry in credential.sandboxes.values()
            if entry.named_by
        ]

    def _adobe_credential(self, organization: str, credential: str, client_id: str) -> AdobeCredential:
        """``credential`` is the fingerprint of all that the Secret holds; the Secret itself may be gone."""
        key = fingerprint(organization, credential)
        known = self._adobe.get(key)
        if known is None:
            record = self._store.record(Service.ADOBE, organization, credential)
            known = self._adobe[key] = AdobeCredential(
                key,
                self._adobe_services,
                self._clock,
                organization,
                client_id,
                record,
                self._limiter("Adobe"),
            )
        return known

    async def _restore(self, connection: str, organization: str, sandbox: str) -> None:
        """Take up what an earlier process reached the sandbox with, by the token that lasts longest."""
        found = [
            fields
            for record in await self._store.records(Service.ADOBE)
            if record.has_user(connection)
            and "accessToken" in (fields := await record.fields())
            and text(fields.get("organization")) == organization
        ]
        if not found:
            return
        fields = max(found, key=lambda fields: number(fields.get("expiresAt")))
        issued_to = text(fields.get("credential"))
        credential = self._adobe_credential(organization, issued_to, text(fields.get("clientId")))
        entry = credential.sandbox(Scope(organization, sandbox, issued_to))
        self._sandbox_users.use(connection, entry)
        if connection not in self._sandbox_users.named:  # the Secret is gone
            self._sandbox_users.name(connection, entry)

    def _kept(self, entry: AdobeSandbox) -> AdobeSandbox:
        """``entry``, also if its last user left while a pass was under way; then the one that has taken its
        place, should there be one.
        """
        credential = self._adobe.setdefault(entry.credential.key, entry.credential)
        return credential.sandboxes.setdefault(entry.scope.sandbox, entry)

    # Ends

    def forget(self, connection: str) -> None:
        """``connection`` is gone."""
        self._zoho_users.forget(connection)
        self._sandbox_users.forget(connection)

    async def sweep(self, exists: Callable[[str], bool]) -> None:
        """Let go what nobody uses, here and in the token store; ``exists`` tells whether a connection does. A
        refresh token that the operator obtained is kept: nobody else has it. Raises RemoteError.
        """
        users = (self._zoho_users, self._sandbox_users)
        for connection in {connection for each in users for connection in (*each.named, *each.used)}:
            if not exists(connection):
                self.forget(connection)
        records = [record for service in Service for record in await self._store.records(service)]
        await one_by_one(self._tidy(record, exists) for record in records)

    async def _tidy(self, record: Record, exists: Callable[[str], bool]) -> None:
        await record.remove_users(*(user for user in record.users if not exists(user)))
        await record.remove(only_if=partial(self._is_over, record, await record.fields()))

    async def flush(self) -> None:
        """Write to the token store what is only noted so far. Raises RemoteError."""
        await self._store.flush()

    def _is_over(self, record: Record, fields: Mapping[str, SecretStr]) -> bool:
        """True if nobody uses the record, and what it says has been out of date for some time."""
        instants = (number(fields.get("expiresAt")), number(fields.get("notBefore")))
        last = max(*instants, *numbers(fields.get("requests")))
        if record.users or last + IDLE_SECONDS >= self._clock.now():
            return False
        if {"refreshToken", REPLACEMENT} & fields.keys():
            return False
        return not any(record is entry.record for _, entry in self._entries())

    def _entries(self) -> Iterator[tuple[Service, ZohoCredential | AdobeCredential]]:
        for zoho in self._zoho.values():
            yield Service.ZOHO, zoho
        for adobe in self._adobe.values():
            yield Service.ADOBE, adobe

    def _let_go_zoho(self, credential: ZohoCredential) -> None:
        if self._zoho.get(credential.key) is credential:
            del self._zoho[credential.key]

    def _let_go_sandbox(self, entry: AdobeSandbox) -> None:
        credential = entry.credential
        if credential.sandboxes.get(entry.scope.sandbox) is entry:
            del credential.sandboxes[entry.scope.sandbox]
        if not credential.sandboxes and self._adobe.get(credential.key) is credential:
            del self._adobe[credential.key]

    # Limits and metrics

    def _limiter(self, service: str) -> Limiter:
        return Limiter(self._clock, self._metrics.limiter_wait_seconds.labels(service).observe)

    def _show(self) -> None:
        """Bring the metrics of tokens and limiters up to date; a credential that is gone shows no more."""
        metrics = self._metrics
        for gauge in (metrics.token_issued, metrics.token_expiry, metrics.limiter_rate):
            gauge.clear()
        for service, credential in self._entries():
            if (life := credential.token.life) is not None:
                metrics.token_issued.labels(service.title(), credential.key).set(life[0])
                metrics.token_expiry.labels(service.title(), credential.key).set(life[1])
                rate = credential.limiter.rate
                metrics.limiter_rate.labels(service.title(), credential.key).set(
                    math.inf if rate is None else rate
                )
