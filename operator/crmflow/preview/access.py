"""Zoho CRM and Platform as the person in front of the terminal reaches them: with the credentials in the
Secrets, tokens of their own, and nothing that is written down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pydantic import SecretStr

from crmflow.aep.client import PlatformClient
from crmflow.aep.gateway import Gateway
from crmflow.aep.ims import DEFAULT_SCOPES, Ims
from crmflow.aep.models import Column
from crmflow.api.base import WAYS
from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.preview.notes import Notes
from crmflow.preview.platform import PreviewPlatform
from crmflow.preview.transfers import PreviewFiles, Written
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.reconcile.sources.ways import Sources
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.credentials.landing_zone import LandingZoneCredential
from crmflow.runtime.credentials.landing_zone_files import SandboxFiles
from crmflow.runtime.inventory.ownership import ScopeMembers
from crmflow.runtime.inventory.sandbox import SandboxInventory
from crmflow.zoho.accounts import ZohoAccounts, ZohoToken
from crmflow.zoho.api import CrmApi, Spend, uncounted
from crmflow.zoho.crm import Organization, ZohoCRM, organization
from crmflow.zoho.datacenters import ZohoEndpoints

T = TypeVar("T")

NO_ACCESS_LEFT = (
    "The operator has no token left that its credential gave before: with one it would delete what is left."
)
"""What a preview can't know of the process that runs."""


@dataclass(frozen=True)
class ServiceUrls:
    """Where Zoho and Adobe are."""

    zoho: ZohoEndpoints
    ims_url: str
    platform_url: str


@dataclass
class _ImsToken:
    """A ``TokenSource``: one token, for as long as the command runs."""

    ims: Ims
    credentials: PlatformCredentials
    value: SecretStr | None = None

    async def get(self) -> SecretStr:
        if self.value is None:
            given = self.credentials
            token = await self.ims.token(given.client_id, given.client_secret, given.scopes or DEFAULT_SCOPES)
            self.value = token.value
        return self.value

    def reject(self, token: SecretStr) -> None:
        self.value = None


@dataclass
class PlatformReader:
    """Clients of sandboxes that only read: one token for each credential."""

    http: HttpClient
    hosts: ServiceUrls
    clock: Clock
    _tokens: dict[tuple[str, str], _ImsToken] = field(default_factory=dict)

    async def client(
        self, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> PlatformClient:
        """A sandbox, once IMS has given a token. Raises RemoteError."""
        key = (credentials.client_id, credentials.client_secret.get_secret_value())
        if key not in self._tokens:
            ims = Ims(self.http, self.hosts.ims_url, self.clock)
            self._tokens[key] = _ImsToken(ims, credentials)
        token = self._tokens[key]
        await token.get()
        gateway = Gateway(
            self.http, self.hosts.platform_url, organization, sandbox, credentials.client_id, token
        )
        return PlatformClient(gateway.read_only())


@dataclass
class PreviewZoho:
    """Implements the port ``Zoho``. It takes one of the ten access tokens that Zoho gives for a refresh token
    in ten minutes, and pushes none.
    """

    accounts: ZohoAccounts
    crm: ZohoCRM
    data_center: DataCenter
    credentials: ZohoCredentials
    token: ZohoToken | None = None

    async def access_token(self) -> SecretStr:
        return (await self._token()).value

    async def refresh_token(self) -> SecretStr:
        if self.credentials.refresh_token is None:
            raise RemoteError(
                "ZohoAccounts",
                "refresh",
                ErrorClass.TERMINAL,
                "GrantTokenOnly",
                "the Secret has a grant token, which works once and is the operator's",
                advice="Run kubectl crmflow authorize, which puts a refresh token into the Secret; then the "
                "plan can be made.",
            )
        return self.credentials.refresh_token

    async def renew(self) -> None:
        self.token = None

    async def scopes(self) -> tuple[str, ...]:
        return (await self._token()).scopes

    async def organization(self, environment: Environment) -> Organization:
        return await self.ask(environment, organization)

    async def ask(
        self, environment: Environment, question: Callable[[CrmApi], Awaitable[T]], spend: Spend = uncounted
    ) -> T:
        token = await self._token()
        return await question(self.crm.api(self.data_center, environment, token.value, spend))

    def crm_url(self, environment: Environment) -> str:
        return self.crm.url(self.data_center, environment)

    async def is_pushed(self) -> bool:
        return True

    async def note_pushed(self, token: SecretStr) -> None:
        """Nobody has been given it."""

    async def _token(self) -> ZohoToken:
        if self.token is None:
            refresh_token = await self.refresh_token()
            given = self.credentials
            self.token = await self.accounts.refresh(
                self.data_center, given.client_id, given.client_secret, refresh_token
            )
        return self.token


@dataclass
class _Sandbox:
    platform: PreviewPlatform
    inventory: SandboxInventory
    files: PreviewFiles


@dataclass
class PreviewAccess:
    """Implements the port ``Access``: a client for each sandbox and credential, a token for each grant."""

    reader: PlatformReader
    notes: Notes
    cache: ObjectCache
    kinds: Mapping[str, ManagedKind]
    sources: Sources
    instance: str
    create_grace: float
    connections: Callable[[], Iterable[Key]]
    """All that the copy of the cluster has."""
    tables: Mapping[str, Sequence[Column]]
    written: Written
    _zoho: dict[tuple[object, ...], PreviewZoho] = field(default_factory=dict)
    _sandboxes: dict[tuple[str, str, str, str], _Sandbox] = field(default_factory=dict)
    _reached: dict[str, _Sandbox] = field(default_factory=dict)

    def zoho(self, connection: str, data_center: DataCenter, credentials: ZohoCredentials) -> PreviewZoho:
        reader = self.reader
        refresh = credentials.refresh_token.get_secret_value() if credentials.refresh_token else None
        key = (data_center, credentials.client_id, credentials.client_secret.get_secret_value(), refresh)
        if key not in self._zoho:
            self._zoho[key] = PreviewZoho(
                ZohoAccounts(reader.http, reader.hosts.zoho, reader.clock),
                ZohoCRM(reader.http, reader.hosts.zoho),
                data_center,
                credentials,
            )
        return self._zoho[key]

    async def drop_former_grants(self, connection: str) -> None:
        """What the operator has obtained itself is not known here."""

    async def drop_grants(self, connection: str, *, revoke: bool) -> None:
        """Likewise."""

    async def platform(
        self, connection: str, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> PreviewPlatform:
        secret = credentials.client_secret.get_secret_value()
        key = (organization, sandbox, credentials.client_id, secret)
        if key not in self._sandboxes:
            self._sandboxes[key] = await self._open(organization, sandbox, credentials)
        self._reached[connection] = self._sandboxes[key]
        return self._sandboxes[key].platform

    def inventory(self, connection: str) -> SandboxInventory:
        return self._reached[connection].inventory

    def landing_zone(self, connection: str) -> PreviewFiles:
        return self._reached[connection].files

    async def cached_platform(
        self, connection: str, sandbox: tuple[str, str] | None
    ) -> PreviewPlatform | None:
        reached = self._reached.get(connection)
        if reached is None:
            self.notes.assume(NO_ACCESS_LEFT)
        return reached.platform if reached else None

    async def _open(self, organization: str, sandbox: str, credentials: PlatformCredentials) -> _Sandbox:
        """A sandbox that was listed a moment ago: a preview knows of no create whose answer it has lost."""
        client, clock = await self.reader.client(organization, sandbox, credentials), self.reader.clock
        members = ScopeMembers(self.instance, self.cache, self.kinds, lambda: list(self.connections()))
        inventory = SandboxInventory(
            sandbox,
            client,
            clock,
            members,
            clock.now() - self.create_grace - 1.0,
            self.create_grace,
            partial(self.sources.listed, organization, sandbox),
        )
        for way in WAYS:
            inventory.include(way)
        await inventory.ensure()
        files = SandboxFiles(self.reader.http, LandingZoneCredential(client, clock))
        return _Sandbox(
            PreviewPlatform(client, self.notes, self.tables, inventory.readers_of),
            inventory,
            PreviewFiles(files, self.notes, self.written),
        )
