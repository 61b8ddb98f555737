"""Adobe credentials, their tokens and the sandboxes that are reached with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

from crmflow.aep.client import PlatformClient
from crmflow.aep.gateway import Gateway, TokenSource
from crmflow.aep.ims import DEFAULT_SCOPES, Ims, ImsToken
from crmflow.aep.ims import SERVICE as IMS
from crmflow.aep.models import LandingZoneCredentials
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.http.limiter import Limiter
from crmflow.reconcile.credentials import PlatformCredentials
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.credentials.entries import Entry
from crmflow.runtime.credentials.landing_zone import LandingZoneCredential
from crmflow.runtime.credentials.landing_zone_files import SandboxFiles
from crmflow.runtime.credentials.token_store import Record, number
from crmflow.runtime.credentials.tokens import CachedToken, FreshToken
from crmflow.runtime.inventory.polled_sandbox import Sandboxes, Scope


@dataclass(frozen=True)
class AdobeServices:
    """How Adobe is reached, and what inventories are made with."""

    http: HttpClient
    ims: Ims
    platform_url: str
    sandboxes: Sandboxes
    key_of: Callable[[str], Key]
    """The key of a connection that is called ``namespace/name``."""


@dataclass(eq=False, repr=False)
class AdobeCredential:
    """One OAuth server-to-server credential in one organization: its token, its limiter, its stored record
    and the sandboxes that connections reach with it.

    Without its Secret it has the token that an earlier process stored, until that ends. A connection that has
    the Secret makes it whole.
    """

    key: str
    services: AdobeServices
    clock: Clock
    organization: str
    client_id: str
    record: Record
    limiter: Limiter
    secret: PlatformCredentials | None = None
    sandboxes: dict[str, AdobeSandbox] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.token: FreshToken[ImsToken] = FreshToken(self, self.clock, service=IMS)

    def sandbox(self, scope: Scope) -> AdobeSandbox:
        """The sandbox of that scope; always the same one while a connection uses it."""
        known = self.sandboxes.get(scope.sandbox)
        if known is None:
            known = self.sandboxes[scope.sandbox] = AdobeSandbox(self, scope)
        return known

    async def stored(self) -> CachedToken[ImsToken] | None:
        fields = await self.record.fields()
        value = fields.get("accessToken")
        if value is None:
            return None
        token = ImsToken(value, number(fields.get("expiresAt")), number(fields.get("issuedAt")))
        return CachedToken(token, number(fields.get("refreshAt")))

    async def fetch(self) -> ImsToken:
        if self.secret is None:
            # While the token lasts nothing is wrong yet.
            last = ErrorClass.TRANSIENT if self.token.valid else ErrorClass.TERMINAL
            raise _ended(last, "there is no Secret to ask for another with")
        return await self.services.ims.token(
            self.client_id, self.secret.client_secret, self.secret.scopes or DEFAULT_SCOPES
        )

    async def store(self, cached: CachedToken[ImsToken]) -> None:
        if self.secret is None:
            raise RuntimeError("a token is asked for with the Secret")
        await self.record.write(
            accessToken=cached.token.value,
            issuedAt=str(cached.token.issued_at),
            expiresAt=str(cached.token.expires_at),
            refreshAt=str(cached.refresh_at),
            organization=self.organization,  # this and what follows serve to use it without the Secret
            clientId=self.client_id,
            credential=self.secret.fingerprint,
        )


@dataclass(eq=False, repr=False)
class AdobeSandbox(Entry):
    """One sandbox as reached with one credential: a client, the inventory that is read with it, and the
    landing zone.
    """

    credential: AdobeCredential
    scope: Scope

    def __post_init__(self) -> None:
        token = self.credential.token
        self.client = self._new_client(token)
        self.polled = self.credential.services.sandboxes.open(
            self.scope, self.client, self._connections, lambda: token.refusals
        )
        zone = LandingZoneCredential(self, self.credential.clock)
        self.landing_zone = SandboxFiles(self.credential.services.http, zone)

    def client_while_the_token_lasts(self) -> PlatformClient:
        """The client; for a credential that Adobe refuses, one that uses the token that is there, and asks
        for no other.
        """
        token = self.credential.token
        return self._new_client(LastToken(token)) if token.is_refused else self.client

    async def landing_zone_credentials(self) -> LandingZoneCredentials:
        """What opens the landing zone, as Platform hands it out now. May raise RemoteError."""
        return await self.client_while_the_token_lasts().landing_zone_credentials()

    def _connections(self) -> Sequence[Key]:
        return [self.credential.services.key_of(user) for user in self.users]

    def _new_client(self, token: TokenSource) -> PlatformClient:
        services, credential = self.credential.services, self.credential
        gateway = Gateway(
            services.http,
            services.platform_url,
            self.scope.organization,
            self.scope.sandbox,
            credential.client_id,
            token,
            credential.limiter.turn,
        )
        return PlatformClient(gateway, lambda remote_id, etag: self.polled.inventory.saw(remote_id, etag))


@dataclass(frozen=True)
class LastToken:
    """The token that a credential still has although Adobe refuses it: good until it ends, and IMS is not
    asked again.
    """

    _token: FreshToken[ImsToken]

    async def get(self) -> SecretStr:
        """The token. Raises RemoteError once it has ended."""
        cached = self._token.valid
        if cached is None:
            raise _ended(ErrorClass.TERMINAL, "Adobe refuses to issue another")
        return cached.token.value

    def reject(self, token: SecretStr) -> None:
        """The gateway does not accept it."""
        self._token.reject(token)


def _ended(error_class: ErrorClass, why: str) -> RemoteError:
    return RemoteError(
        IMS,
        "token",
        error_class,
        "PlatformCredentialsRejected",
        f"the last token of the credential has ended, and {why}",
        maybe_applied=False,
    )
