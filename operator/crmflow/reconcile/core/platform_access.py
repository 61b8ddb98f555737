"""From the Secrets that a connection names to the remote services, for the connection and for its dataflows
alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.engine import AnyPass
from crmflow.reconcile.core.outcome import PassEndedError, StalledError, WaitingError, explain
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.credentials import MissingKeysError, PlatformCredentials, SecretData, ZohoCredentials
from crmflow.reconcile.ports import Zoho
from crmflow.reconcile.secret_values import InvalidValuesError
from crmflow.sentences import every, naming

C = TypeVar("C")


def connection_key(namespace: str, connection: str) -> str:
    """The name under which a connection's access to Platform is remembered."""
    return f"{namespace}/{connection}"


async def read_secret(
    pass_: AnyPass, name: str, field: str, keys: str, parse: Callable[[SecretData], C]
) -> C:
    """The credentials in the Secret ``name``; ``field`` and ``keys`` are for messages. Raises PassEndedError
    with what is wrong with it.
    """
    data = await pass_.services.secrets.read(pass_.identity.namespace, name)
    if data is None:
        raise WaitingError(
            "SecretNotFound",
            f'Secret "{name}" ({field}) does not exist in namespace "{pass_.identity.namespace}". '
            f"Create it with the keys {keys}.",
        )
    try:
        return parse(data)
    except MissingKeysError as error:
        has = naming("It has the keys {}.", sorted(data), none="It is empty.")
        lacks = f'Secret "{name}" ({field}) lacks a value for {every(error.keys)}.'
        raise StalledError("SecretKeyMissing", f"{lacks} It needs the keys {keys}. {has}") from error
    except InvalidValuesError as error:
        wrong = f'In Secret "{name}" ({field}), {error}'
        raise StalledError("SecretValueInvalid", wrong) from error


async def platform_credentials(pass_: AnyPass, spec: ZohoSourceConnectionSpec) -> PlatformCredentials:
    """The Adobe credential of a connection. Raises PassEndedError."""
    return await read_secret(
        pass_,
        spec.platform.credentials_secret_ref.name,
        "spec.platform.credentialsSecretRef",
        "clientId and clientSecret",
        PlatformCredentials.from_secret,
    )


def check_tenancy(pass_: AnyPass, spec: ZohoSourceConnectionSpec) -> None:
    """The namespace may use the connection's sandbox; raises PassEndedError if not. What was made while it
    might is still deleted without asking.
    """
    namespace, platform = pass_.identity.namespace, spec.platform
    if pass_.services.allows(namespace, platform.organization, platform.sandbox):
        return
    raise StalledError(
        "SandboxNotAllowed",
        f'The operator does not let namespace "{namespace}" use sandbox "{platform.sandbox}" of '
        f"{platform.organization}. Ask whoever runs it for an entry in its tenancy list, or name a "
        "sandbox that is allowed.",
    )


async def zoho_credentials(pass_: AnyPass, spec: ZohoSourceConnectionSpec) -> ZohoCredentials:
    """The grant of a connection. Raises PassEndedError."""
    return await read_secret(
        pass_,
        spec.zoho.credentials_secret_ref.name,
        "spec.zoho.credentialsSecretRef",
        "clientId, clientSecret and refreshToken (or grantToken)",
        ZohoCredentials.from_secret,
    )


async def reach_zoho(pass_: AnyPass, connection: str, spec: ZohoSourceConnectionSpec) -> Zoho:
    """Zoho CRM by the grant of a connection; no token is asked for yet. Raises PassEndedError."""
    credentials = await zoho_credentials(pass_, spec)
    key = connection_key(pass_.identity.namespace, connection)
    return pass_.services.access.zoho(key, spec.zoho.data_center, credentials)


async def reach_platform(
    pass_: AnyPass,
    connection: str,
    spec: ZohoSourceConnectionSpec,
    credentials: PlatformCredentials | None = None,
) -> SandboxClient:
    """The sandbox that a connection names, by its credential. Raises PassEndedError and RemoteError."""
    credentials = credentials or await platform_credentials(pass_, spec)
    key = connection_key(pass_.identity.namespace, connection)
    access, platform = pass_.services.access, spec.platform
    client = await access.platform(key, platform.organization, platform.sandbox, credentials)
    return SandboxClient(client.read_only() if pass_.observes else client, access.inventory(key))


async def reach_platform_for_deletion(
    pass_: AnyPass, connection: str, spec: ZohoSourceConnectionSpec
) -> SandboxClient:
    """As :func:`reach_platform`; a token that is still cached serves when the credential is gone or no longer
    accepted.
    """
    try:
        return await reach_platform(pass_, connection, spec)
    except PassEndedError as error:
        lost = error.outcome.message
    except RemoteError as error:
        if error.error_class is not ErrorClass.TERMINAL:
            raise
        lost = explain(error)
    cached = await cached_platform(pass_, connection, spec)
    if cached is None:
        raise StalledError(
            "CredentialsMissing",
            f"The remote objects can't be deleted without access to Platform: {lost} Restore it, or set "
            "spec.deletionPolicy to Orphan to leave them where they are.",
        )
    return cached


async def cached_platform(
    pass_: AnyPass, connection: str, spec: ZohoSourceConnectionSpec | None
) -> SandboxClient | None:
    """What was last reached through a connection, if its token still lasts. May raise RemoteError."""
    key, access = connection_key(pass_.identity.namespace, connection), pass_.services.access
    sandbox = (spec.platform.organization, spec.platform.sandbox) if spec else None
    cached = await access.cached_platform(key, sandbox)
    return None if cached is None else SandboxClient(cached, access.inventory(key))
