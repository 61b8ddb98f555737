"""What a pass over a ZohoSourceConnection knows, and the base connection as one comparable model."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

from pydantic import SecretStr

from crmflow.aep.models import BaseConnection, PatchOperation
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials, fingerprint
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.offer import Offer
from crmflow.reconcile.ports import Zoho


@dataclass
class ConnectionPass(Pass[ZohoSourceConnectionSpec, ZohoSourceConnectionStatus]):
    """One visit to one ZohoSourceConnection."""

    zoho_credentials: ZohoCredentials | None = None
    platform_credentials: PlatformCredentials | None = None
    zoho: Zoho | None = None
    offer: Offer | None = None
    credentials_sent: bool = False
    """True once the base connection was given today's parameters in this very pass."""
    credentials_changed: bool = False
    """True if they were other ones than before, and not just a newer access token."""

    @property
    def recorded_id(self) -> str | None:
        """The base connection's."""
        return self.base_connection_id

    @property
    def base_connection_id(self) -> str | None:
        """The recorded id."""
        return self.status.base_connection.id if self.status.base_connection else None

    @property
    def credentials_hash(self) -> str:
        """Changes when the base connection has to be given other authentication parameters."""
        if self.zoho_credentials is None:
            raise RuntimeError("no step has read the Secrets yet")
        overrides = sorted((self.spec.platform.auth_params or {}).items())
        parts: list[str | SecretStr] = [part for pair in overrides for part in pair]
        for name, value in sorted(self.zoho_credentials.auth_params.items(), key=itemgetter(0)):
            parts += [name, value]
        return fingerprint(self.zoho_credentials.fingerprint, *parts)

    @property
    def credentials_are_current(self) -> bool:
        """True if the base connection was given today's parameters."""
        return self.status.token is not None and self.status.token.secret_hash == self.credentials_hash


@dataclass(frozen=True)
class ComparableConnection:
    """The part of a base connection that the spec owns and that can be read back; secrets can't be
    (platform.md 4.1).
    """

    name: str
    description: str

    @classmethod
    def desired(cls, pass_: ConnectionPass) -> ComparableConnection:
        """As the spec wants it."""
        return cls(
            name=pass_.identity.remote_name(pass_.spec.display_name, Slot.CONNECTION),
            description=pass_.identity.description(pass_.spec.description),
        )

    @classmethod
    def observed(cls, remote: BaseConnection) -> ComparableConnection:
        """As Platform has it."""
        return cls(name=remote.name or "", description=remote.description or "")

    def changes_from(self, observed: ComparableConnection) -> list[PatchOperation]:
        """What makes ``observed`` equal to this."""
        operations = []
        if observed.name != self.name:
            operations.append(PatchOperation("replace", "/name", self.name))
        if observed.description != self.description:
            operations.append(PatchOperation("add", "/description", self.description))
        return operations
