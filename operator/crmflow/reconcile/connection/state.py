"""What a pass over a ZohoSourceConnection knows, and what its credentials reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crmflow.api.base import Transport
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.engine import Pass
from crmflow.reconcile.core.refusals import Advisor
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.credentials import ZohoCredentials
from crmflow.reconcile.ports import Referrer, Zoho
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

    @property
    def own_transport(self) -> Transport | None:
        """The way of new dataflows, as far as it is known: what the spec says, else what was decided, unless
        all dataflows have left it.
        """
        if self.spec.transport is not Transport.AUTO:
            return self.spec.transport
        is_ours = self.spec.connection_id is None
        return Transport.LANDING_ZONE if is_ours and self._all_have_left() else self.status.transport

    def _all_have_left(self) -> bool:
        """Whether there are dataflows, and none of them reads through the base connection."""
        dataflows = self._dataflows()
        return bool(dataflows) and all(
            dataflow.takes(Transport.LANDING_ZONE) and not dataflow.takes(Transport.PLATFORM_SOURCE)
            for dataflow in dataflows
        )

    def _is_way(self, transport: Transport) -> bool:
        own = self.own_transport
        if own is transport or (own is None and transport is Transport.PLATFORM_SOURCE):
            return True
        return any(dataflow.takes(transport) for dataflow in self._dataflows())

    def _dataflows(self) -> Sequence[Referrer]:
        own = self.identity
        return self.services.lister.referrers(ZOHO_SOURCE_CONNECTION, own.namespace, own.name)

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
