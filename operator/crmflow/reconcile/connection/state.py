"""What a pass over a ZohoSourceConnection knows, and what its credentials reach."""

from __future__ import annotations

from dataclasses import dataclass, field

from crmflow.api.base import Transport
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.engine import Pass
from crmflow.reconcile.core.refusals import Advisor
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.credentials import ZohoCredentials
from crmflow.reconcile.ports import Zoho
from crmflow.reconcile.sources.offer import UNKNOWN_OFFER, PlatformSourceOffer
from crmflow.reconcile.sources.sign_in import SignIn


@dataclass
class ConnectionPass(Pass[ZohoSourceConnectionSpec, ZohoSourceConnectionStatus]):
    """One pass over one ZohoSourceConnection."""

    own_call: RemoteError | bool = False
    """What came of the operator's own call to Zoho CRM with the grant in this pass: True, or how it was
    refused; False if none was made.
    """
    unverified: dict[str, str] = field(default_factory=dict)
    """What checks that data does not need could not find out, and why, by what it is."""
    credentials_sent: bool = False
    """True once the base connection was given today's parameters in this very pass."""
    credentials_changed: bool = False
    """True if they were other ones than before, and not just a newer access token."""

    @property
    def has_base_connection(self) -> bool:
        """Whether there is to be one: new dataflows read through it, or some that exist do."""
        return self._is_way(Transport.PLATFORM_SOURCE)

    @property
    def uses_landing_zone(self) -> bool:
        """Whether new dataflows go through the landing zone, or some that exist do."""
        return self._is_way(Transport.LANDING_ZONE)

    def _is_way(self, transport: Transport) -> bool:
        declared = self.spec.transport
        own = self.status.transport if declared is Transport.AUTO else declared
        if own is transport or (own is None and transport is Transport.PLATFORM_SOURCE):
            return True
        dataflows = self.services.lister.referrers(
            ZOHO_SOURCE_CONNECTION, self.identity.namespace, self.identity.name
        )
        return any(dataflow.takes(transport) for dataflow in dataflows)

    @property
    def advisor(self) -> Advisor:
        """What to do about refusals."""
        return Advisor(self.identity.name, self.identity.namespace, self.spec, self.status)

    @property
    def recorded_id(self) -> str | None:
        """The base connection's."""
        return self.status.base_connection.id if self.status.base_connection else None

    def sign_in(self, credentials: ZohoCredentials) -> SignIn:
        """How the base connection signs in at Zoho."""
        return self.services.sources.platform_source.sign_in(self.spec, credentials)

    def was_sent(self, credentials: ZohoCredentials) -> bool:
        """True if the base connection was given today's parameters."""
        token = self.status.token
        return token is not None and token.secret_hash == self.sign_in(credentials).fingerprint


@dataclass(frozen=True)
class Reached:
    """What the credentials of a connection lead to: Zoho CRM, and a sandbox of Platform."""

    sign_in: SignIn
    zoho: Zoho
    sandbox: SandboxClient
    offer: PlatformSourceOffer = UNKNOWN_OFFER
