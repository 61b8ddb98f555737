"""From the Secrets that a connection names to the remote services, for the connection and for its dataflows
alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.reconcile.credentials import MissingKeysError, PlatformCredentials, SecretData
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.outcome import DONE, Outcome, explain, stalled, waiting
from crmflow.reconcile.read_only import read_only
from crmflow.transport.errors import ErrorClass, RemoteError

C = TypeVar("C")


def holder(namespace: str, connection: str) -> str:
    """The name under which a connection's access to Platform is remembered."""
    return f"{namespace}/{connection}"


async def read_secret(
    pass_: Pass[Any, Any], name: str, field: str, keys: str, parse: Callable[[SecretData], C]
) -> C | Outcome:
    """The credentials in the Secret ``name``, or what is wrong with it. ``field`` and ``keys`` are for the
    message.
    """
    data = await pass_.services.secrets.read(pass_.identity.namespace, name)
    if data is None:
        return waiting(
            "SecretNotFound",
            f'Secret "{name}" ({field}) does not exist in namespace "{pass_.identity.namespace}". '
            f"Create it with the keys {keys}.",
        )
    try:
        return parse(data)
    except MissingKeysError as error:
        return stalled(
            "SecretKeyMissing",
            f'Secret "{name}" ({field}) lacks a value for {", ".join(error.keys)}. It needs the keys {keys}.',
        )


async def platform_credentials(
    pass_: Pass[Any, Any], spec: ZohoSourceConnectionSpec
) -> PlatformCredentials | Outcome:
    """The Adobe credential of a connection."""
    return await read_secret(
        pass_,
        spec.platform.credentials_secret_ref.name,
        "spec.platform.credentialsSecretRef",
        "clientId and clientSecret",
        PlatformCredentials.from_secret,
    )


def refusal(pass_: Pass[Any, Any], spec: ZohoSourceConnectionSpec) -> Outcome | None:
    """Why the namespace may not use the connection's sandbox; None if it may. What was made while it might is
    still deleted without asking.
    """
    namespace, platform = pass_.identity.namespace, spec.platform
    if pass_.services.allows(namespace, platform.organization, platform.sandbox):
        return None
    return stalled(
        "SandboxNotAllowed",
        f'The operator does not let namespace "{namespace}" use sandbox "{platform.sandbox}" of '
        f"{platform.organization}. Ask whoever runs it for an entry in its tenancy list, or name a "
        "sandbox that is allowed.",
    )


async def reach_platform(pass_: Pass[Any, Any], connection: str, spec: ZohoSourceConnectionSpec) -> Outcome:
    """Give the pass its :attr:`Pass.platform`, by the credential that the connection names. May raise
    RemoteError.
    """
    credentials = await platform_credentials(pass_, spec)
    if isinstance(credentials, Outcome):
        return credentials
    who = holder(pass_.identity.namespace, connection)
    access, platform = pass_.services.access, spec.platform
    client = await access.platform(who, platform.organization, platform.sandbox, credentials)
    pass_.platform_client = read_only(client) if pass_.observes else client
    pass_.sandbox_inventory = access.inventory(who)
    return DONE


async def reach_platform_for_deletion(
    pass_: Pass[Any, Any], connection: str, spec: ZohoSourceConnectionSpec
) -> Outcome:
    """As :func:`reach_platform`; a token that is still held serves when the credential is gone or no longer
    accepted.
    """
    try:
        outcome = await reach_platform(pass_, connection, spec)
        lost = outcome.message
    except RemoteError as error:
        if error.error_class is not ErrorClass.TERMINAL:
            raise
        outcome, lost = stalled(error.reason, error.message), explain(error)
    if outcome.is_done:
        return DONE
    if not await use_held_platform(pass_, connection, spec):
        return stalled(
            "CredentialsMissing",
            f"The remote objects can't be deleted without access to Platform: {lost} Restore it, or set "
            "spec.deletionPolicy to Orphan to leave them where they are.",
        )
    return DONE


async def use_held_platform(
    pass_: Pass[Any, Any], connection: str, spec: ZohoSourceConnectionSpec | None
) -> bool:
    """Go on with what was last reached through a connection, if its token still lasts. May raise
    RemoteError.
    """
    who, access = holder(pass_.identity.namespace, connection), pass_.services.access
    sandbox = (spec.platform.organization, spec.platform.sandbox) if spec else None
    held = await access.held_platform(who, sandbox)
    if held is None:
        return False
    pass_.platform_client, pass_.sandbox_inventory = held, access.inventory(who)
    return True
