"""The credentials in the Secrets that a connection names, read with the person's own rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.problem import Problem
from crmflow.reconcile.credentials import MissingKeysError, PlatformCredentials, SecretData, ZohoCredentials

C = TypeVar("C")

PLATFORM_FIELD = "spec.platform.credentialsSecretRef"
ZOHO_FIELD = "spec.zoho.credentialsSecretRef"


async def platform_credentials(cluster: Cluster, connection: Connection) -> PlatformCredentials:
    """Adobe's credential. Raises Problem if it is not there, or may not be read."""
    return await _read(cluster, connection.platform_secret, PLATFORM_FIELD, PlatformCredentials.from_secret)


async def zoho_credentials(cluster: Cluster, connection: Connection) -> ZohoCredentials:
    """The OAuth client and the grant. Raises Problem likewise."""
    return await _read(cluster, connection.zoho_secret, ZOHO_FIELD, ZohoCredentials.from_secret)


async def _read(cluster: Cluster, name: str, field: str, parse: Callable[[SecretData], C]) -> C:
    stored = await cluster.secret(name)
    if stored is None:
        raise Problem(
            f'Secret "{name}" ({field}) does not exist in namespace "{cluster.namespace}"',
            "Create it with the keys that the reference page of the field names",
        )
    try:
        return parse(stored.data)
    except MissingKeysError as error:
        keys = ", ".join(error.keys)
        raise Problem(
            f'Secret "{name}" ({field}) lacks a value for {keys}', f"Add {keys} to the Secret"
        ) from None
