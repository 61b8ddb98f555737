"""Adobe Experience Platform as the commands reach it: with the credential in the connection's Secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from crmflow.aep.client import PlatformClient
from crmflow.aep.gateway import Gateway
from crmflow.aep.ims import DEFAULT_SCOPES, Ims
from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.credentials import platform_credentials
from crmflow.cli.network import addresses, http_client
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.reconcile.credentials import PlatformCredentials


class ImsTokenSource:
    """The access token of one credential for as long as a command runs; a ``TokenSource`` of the gateway."""

    def __init__(self, ims: Ims, credentials: PlatformCredentials) -> None:
        self._ims = ims
        self._credentials = credentials
        self._value: SecretStr | None = None

    async def get(self) -> SecretStr:
        """The token. Raises RemoteError when IMS gives none."""
        if self._value is None:
            given = self._credentials
            scopes = given.scopes or DEFAULT_SCOPES
            self._value = (await self._ims.token(given.client_id, given.client_secret, scopes)).value
        return self._value

    def reject(self, token: SecretStr) -> None:
        """Told that the gateway does not accept it."""
        self._value = None


@dataclass(frozen=True)
class Adobe:
    """Where Adobe is, and how to get there."""

    http: HttpClient
    ims_url: str
    platform_url: str
    clock: Clock

    def token(self, credentials: PlatformCredentials) -> ImsTokenSource:
        """A token source; IMS is asked when the token is first needed."""
        return ImsTokenSource(Ims(self.http, self.ims_url, self.clock), credentials)

    def sandbox(
        self, connection: Connection, credentials: PlatformCredentials, token: ImsTokenSource
    ) -> PlatformClient:
        """The connection's sandbox."""
        platform = connection.spec.platform
        gateway = Gateway(
            self.http,
            self.platform_url,
            platform.organization,
            platform.sandbox,
            credentials.client_id,
            token,
        )
        return PlatformClient(gateway)


@asynccontextmanager
async def connect() -> AsyncIterator[Adobe]:
    """The real Adobe, unless the environment names another instance."""
    settings, clock = addresses(), Clock.from_environment()
    async with http_client(clock) as http:
        yield Adobe(http, settings.ims_url, settings.platform_url, clock)


@asynccontextmanager
async def sandbox_of(cluster: Cluster, connection: Connection) -> AsyncIterator[PlatformClient]:
    """The connection's sandbox, with the credential in its Secret. Raises Problem without that."""
    credentials = await platform_credentials(cluster, connection)
    async with connect() as adobe:
        yield adobe.sandbox(connection, credentials, adobe.token(credentials))
