"""The credentials in the Secrets that a connection names, read with the person's own rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.problem import Problem
from crmflow.reconcile.credentials import (
    MissingKeysError,
    PlatformCredentials,
    SecretData,
    ZohoCredentials,
)
from crmflow.reconcile.secret_values import InvalidValuesError
from crmflow.reconcile.sources.causes import authorize_command
from crmflow.sentences import every, naming

C = TypeVar("C")


async def platform_credentials(cluster: Cluster, connection: Connection) -> PlatformCredentials:
    """Adobe's credential. Raises Problem if it is not there, or may not be read."""
    return await platform_credentials_in(
        cluster, connection.platform_secret, "spec.platform.credentialsSecretRef"
    )


async def platform_credentials_in(cluster: Cluster, secret: str, named_by: str) -> PlatformCredentials:
    """The same of a Secret; ``named_by``: the field or the option that names it."""
    advice = "Put clientId and clientSecret of the credential in Adobe's Developer Console into it"
    return await _read(cluster, secret, named_by, PlatformCredentials.from_secret, advice)


async def zoho_credentials(cluster: Cluster, connection: Connection) -> ZohoCredentials:
    """The OAuth client and the grant. Raises Problem likewise."""
    advice = f"Run `{authorize_command(connection.name, connection.namespace)}`, which fills it"
    name, parse = connection.zoho_secret, ZohoCredentials.from_secret
    return await _read(cluster, name, "spec.zoho.credentialsSecretRef", parse, advice)


async def _read(cluster: Cluster, name: str, field: str, parse: Callable[[SecretData], C], advice: str) -> C:
    stored = await cluster.secret(name)
    if stored is None:
        raise Problem(
            f'Secret "{name}" ({field}) does not exist in namespace "{cluster.namespace}"',
            advice,
        )
    try:
        return parse(stored.data)
    except MissingKeysError as error:
        has = naming("It has the keys {}.", sorted(stored.data), none="It is empty.")
        raise Problem(
            f'Secret "{name}" ({field}) lacks a value for {every(error.keys)}. {has}', advice
        ) from None
    except InvalidValuesError as error:
        raise Problem(f'in Secret "{name}" ({field}), {error.what}', error.fix) from None
