"""The Python client, configured for a :class:`ClusterAccess`."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from kubernetes.aio import client
from multidict import CIMultiDict

from crmflow.environment import SettingError, reason
from crmflow.kubeconfig import credential_plugin
from crmflow.kubeconfig.access import ClusterAccess, UserCredentials, read_token
from crmflow.kubeconfig.files import Exec, KubeconfigOrigin
from crmflow.observability.redaction import register
from crmflow.single_flight import SingleFlight

_BEARER = "BearerToken"


async def api_client(access: ClusterAccess) -> client.ApiClient:
    """A client of that API server. Raises SettingError."""
    with ExitStack() as files:  # read once, when the client is made
        return checked_client(await configure(access, files), access.origin)


async def configure(
    access: ClusterAccess, files: ExitStack[bool | None] | AsyncExitStack[bool | None]
) -> client.Configuration:
    """The client's configuration. A client certificate, which OpenSSL reads from files only, is in some until
    ``files`` is closed. Raises SettingError.
    """
    configuration: Any = client.Configuration(host=access.server)
    configuration.verify_ssl = access.verify
    configuration.ca_cert_data = access.authority
    configuration.tls_server_name = access.tls_server_name or None
    configuration.proxy = access.proxy
    # Python 3.13 asks more of a certificate authority than kubectl does, and than clusters give.
    configuration.disable_strict_ssl_verification = True
    headers = CIMultiDict(access.identity.impersonation)
    if access.identity.basic:
        headers["Authorization"] = _basic(*access.identity.basic)
    # What the environment says of proxies is in the access; a .netrc is nothing that kubectl reads.
    configuration.client_session_kwargs = {"trust_env": False, "headers": headers}
    certificate, key = await _authenticate(access, configuration)
    if certificate:
        try:
            directory = Path(files.enter_context(TemporaryDirectory(prefix="crmflow-")))
            configuration.cert_file = _write(directory / "client.crt", certificate)
            configuration.key_file = _write(directory / "client.key", key)
        except OSError as error:
            raise SettingError(
                "TMPDIR",
                os.environ.get("TMPDIR"),
                f"the client certificate has to be in a file for a moment: {reason(error)}",
                "Name a directory that can be written",
            ) from None
    return cast("client.Configuration", configuration)


def checked_client(configuration: client.Configuration, origin: KubeconfigOrigin) -> client.ApiClient:
    """A client, for which the certificates are read. Raises SettingError, of ``origin``."""
    try:
        return client.ApiClient(configuration)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise origin.error(
            "the certificate authority or the client certificate is not one, or the key is not its key",
            "They must be in PEM",
        ) from None


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


async def _authenticate(access: ClusterAccess, configuration: Any) -> tuple[bytes, bytes]:
    """Let ``configuration`` have the token, renewed as it ends; the client certificate and its key."""
    identity = access.identity
    certificate, key = identity.certificate, identity.key
    if identity.exec is not None:
        given = await credential_plugin.run(access, identity.exec)
        if given.certificate:
            certificate, key = given.certificate.encode(), given.key.encode()
        _set_token(configuration, given.token)
        if given.expires_at is not None and given.token:
            configuration.refresh_api_key_hook = _renewing(access, identity.exec, given.expires_at)
    elif identity.token_file is not None:
        configuration.refresh_api_key_hook = _following(access, identity)
        await configuration.refresh_api_key_hook(configuration)
    else:
        _set_token(configuration, identity.token)
    return certificate, key


Hook = Callable[[client.Configuration], Awaitable[None]]


def _renewing(access: ClusterAccess, plugin: Exec, expires_at: float) -> Hook:
    """Ask the plugin again once what it gave has expired: once for all requests that wait for it."""
    flight: SingleFlight[None] = SingleFlight()

    async def renew(configuration: client.Configuration) -> None:
        nonlocal expires_at
        given = await credential_plugin.run(access, plugin)
        expires_at = given.expires_at or float("inf")
        _set_token(configuration, given.token)

    async def hook(configuration: client.Configuration) -> None:
        if time.time() >= expires_at:
            await flight.run(plugin, partial(renew, configuration))

    return hook


def _following(access: ClusterAccess, identity: UserCredentials) -> Hook:
    """Send what the file holds; while it can't be read, what was sent before."""

    async def hook(configuration: client.Configuration) -> None:
        assert identity.token_file is not None
        try:
            token = read_token(access.origin, identity.token_file)
        except SettingError:
            token = "" if _BEARER in configuration.api_key else identity.token
        _set_token(configuration, token)

    return hook


def _set_token(configuration: client.Configuration, token: str) -> None:
    if token:
        register(token)
        configuration.api_key[_BEARER] = f"Bearer {token}"
