"""What a pass over a ZohoSourceConnection knows, and the base connection as one comparable model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import SecretStr

from crmflow.aep.models import BaseConnection, PatchOperation
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials, fingerprint
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.offer import Offer
from crmflow.reconcile.ports import Zoho
from crmflow.zoho.datacenters import DATA_CENTERS

_SECRET_PARAM = re.compile("secret|token|password", re.IGNORECASE)

FALLBACK_AUTH_SPEC = "Basic Authentication"
"""The documented name of Zoho's auth specification (platform.md 4.1, 16.1, 1)."""


@dataclass
class ConnectionPass(Pass[ZohoSourceConnectionSpec, ZohoSourceConnectionStatus]):
    """One visit to one ZohoSourceConnection."""

    zoho_credentials: ZohoCredentials | None = None
    platform_credentials: PlatformCredentials | None = None
    zoho: Zoho | None = None
    offer: Offer | None = None
    credentials_sent: bool = False
    """True once the base connection was given today's parameters in this very pass."""

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
        return fingerprint(self.zoho_credentials.fingerprint, *(part for pair in overrides for part in pair))

    @property
    def credentials_are_current(self) -> bool:
        """True if the base connection was given, and tested with, today's parameters."""
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


def auth_params(pass_: ConnectionPass, access_token: SecretStr) -> Mapping[str, str | SecretStr]:
    """The authentication parameters of Zoho's base connection (platform.md 4.1). The hosts are always the
    real ones.
    """
    credentials = pass_.zoho_credentials
    if credentials is None:
        raise RuntimeError("no step has read the Secrets yet")
    hosts = DATA_CENTERS[pass_.spec.zoho.data_center]
    return {
        "endpoint": hosts.crm_endpoint,
        **(pass_.spec.platform.auth_params or {}),
        "accountsUrl": hosts.accounts_url,
        "clientId": credentials.client_id,
        "clientSecret": credentials.client_secret,
        "accessToken": access_token,
        "refreshToken": credentials.refresh_token,
    }


def kept_params(pass_: ConnectionPass, remote: BaseConnection) -> Mapping[str, str]:
    """What else an adopted base connection has, as far as a read shows it in clear: a patch replaces all of
    them (platform.md 4.1), and these are not the spec's to drop.
    """
    return _shown_params(remote) if pass_.adopts else {}


def differing_params(pass_: ConnectionPass, remote: BaseConnection) -> list[str]:
    """The fields of the spec in which the base connection's parameters differ, as far as reads show."""
    credentials = pass_.zoho_credentials
    if credentials is None:
        raise RuntimeError("no step has read the Secrets yet")
    wanted = {
        "accountsUrl": ("spec.zoho.dataCenter", DATA_CENTERS[pass_.spec.zoho.data_center].accounts_url),
        "clientId": ("spec.zoho.credentialsSecretRef", credentials.client_id),
        **{
            name: (f"spec.platform.authParams.{name}", value)
            for name, value in (pass_.spec.platform.auth_params or {}).items()
        },
    }
    shown = _shown_params(remote)
    return [
        field
        for name, (field, value) in wanted.items()
        if name in shown and shown[name].rstrip("/") != value.rstrip("/")
    ]


def _shown_params(remote: BaseConnection) -> dict[str, str]:
    return {name: value for name, value in remote.auth_params.items() if _is_shown(name, value)}


def _is_shown(name: str, value: Any) -> TypeGuard[str]:
    """True if a read shows the value of a parameter; secrets may be masked or in clear (platform.md 16.3)."""
    return isinstance(value, str) and not _SECRET_PARAM.search(name) and "***" not in value


def auth_spec_name(offer: Offer | None) -> str:
    """The auth specification's name as the connection specification gives it, else the documented one."""
    spec = offer.connection_spec if offer else None
    return spec.auth_specs[0].name if spec and spec.auth_specs else FALLBACK_AUTH_SPEC
