"""Where the API server is, and how the operator proves who it is: files that are exchanged while it runs.

A kubelet renews the token of a ServiceAccount every hour or so, and the authority of a cluster may be
renewed, too; a kubeconfig is written anew by whoever logs in. Both clients, ours and kopf's, take everything
from here. Files tell by their attributes that they were exchanged; no clock is asked, since one that is set
back would have an ended token used on.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kopf
from kubernetes.aio import client, config
from kubernetes.aio.config import incluster_config

from crmflow.environment import SettingError
from crmflow.kubeconfig.access import ACCOUNT, SERVICE_HOST, ClusterAccess, choose, environment_proxy
from crmflow.kubeconfig.client import checked_client, configure
from crmflow.kubeconfig.files import KubeconfigOrigin
from crmflow.kubeconfig.options import HERE
from crmflow.reloading import file_version
from crmflow.sentences import every

log = logging.getLogger("crmflow.apiserver")

_CONFIG = "Give the operator a kubeconfig with credentials of its own"


@dataclass(frozen=True)
class _Found:
    """A configuration of the client, the files that it stands in, and the setting that named them."""

    configuration: client.Configuration
    files: Sequence[Path]
    origin: KubeconfigOrigin

    @property
    def renew(self) -> Any:
        """What a kubeconfig's token file or exec plugin asks for before each request, if it does."""
        return self.configuration.refresh_api_key_hook


class _PlainClient(client.ApiClient):
    """All that we send is JSON already: it need not be copied piece by piece before it is written."""

    def sanitize_for_serialization(self, obj: Any) -> Any:
        """What is sent, as it is."""
        return obj


class ApiServer:
    """The in-cluster configuration, else the kubeconfig."""

    def __init__(self) -> None:
        self._configuration = client.Configuration()
        self._trust: ssl.SSLContext | None = None
        self._renew: Callable[[client.Configuration], Awaitable[None]] | None = None
        self._files: Sequence[Path] = ()
        self._seen: object = None
        self._last_error = ""

    async def load(self) -> None:
        """Read everything for the first time. Raises SettingError if there is nothing usable."""
        with ExitStack() as certificates:  # OpenSSL reads them from files, when the context is made
            found = await _read(certificates)
            self._trust = checked_client(found.configuration, found.origin).rest_client.ssl_context
        self._files, self._configuration = found.files, found.configuration
        self._configuration.cert_file = self._configuration.key_file = None
        self._seen = self._versions()
        self._renew = found.renew
        self._configuration.refresh_api_key_hook = self._look  # type: ignore[assignment]

    def connect(self) -> client.ApiClient:
        """A client with connections of its own."""
        api = _PlainClient(self._configuration)
        if self._trust is not None:
            api.rest_client.ssl_context = self._trust
        return api

    async def connection_info(self) -> kopf.ConnectionInfo:
        """kopf's credentials, as they are now."""
        await self._look()
        configuration = self._configuration
        scheme, _, token = configuration.api_key.get("BearerToken", "").rpartition(" ")
        return _ConnectionInfo(
            server=configuration.host,
            scheme=scheme.capitalize() or None,
            token=token or None,
            proxy_url=configuration.proxy,
            trust=self._trust,
        )

    async def _look(self, _: object = None) -> None:
        """Take over what was exchanged; the client library calls it before each request."""
        versions = self._versions()
        if versions != self._seen:
            self._seen = versions
            await self._read_again()
        if self._renew is not None:
            try:
                await self._renew(self._configuration)
            except SettingError as error:
                if str(error) != self._last_error:
                    log.error("The credentials for the API server can't be renewed: %s", error)  # noqa: TRY400
                self._last_error = str(error)
            else:
                self._last_error = ""

    async def _read_again(self) -> None:
        try:
            with ExitStack() as certificates:
                self._take(await _read(certificates))
        except (SettingError, OSError) as error:  # ssl.SSLError is an OSError
            log.error(  # noqa: TRY400
                "The credentials for the API server were exchanged and can't be used (%s); those from before "
                "stay: %s",
                error if isinstance(error, SettingError) else type(error).__name__,
                every(map(str, self._files)),
            )
        else:
            log.info("Read the credentials for the API server anew")

    def _take(self, found: _Found) -> None:
        fresh, self._files = found.configuration, found.files
        if self._trust is not None:
            if fresh.ssl_ca_cert or fresh.ca_cert_data:
                self._trust.load_verify_locations(cafile=fresh.ssl_ca_cert, cadata=fresh.ca_cert_data)
            if fresh.cert_file:
                self._trust.load_cert_chain(fresh.cert_file, keyfile=fresh.key_file)
        if fresh.host != self._configuration.host:
            log.error("The kubeconfig names another API server; the operator keeps to the one it began with")
            return
        self._configuration.api_key = dict(fresh.api_key)
        self._renew = found.renew

    def _versions(self) -> object:
        return tuple(file_version(path) for path in self._files)


class _ConnectionInfo(kopf.ConnectionInfo):
    """With our own SSL context, so that a renewed authority reaches kopf's connections as well."""

    def __init__(self, *, trust: ssl.SSLContext | None, **fields: Any) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "_trust", trust)

    def as_ssl_context(self) -> ssl.SSLContext:
        trust: ssl.SSLContext = object.__getattribute__(self, "_trust")
        return trust


async def _read(certificates: ExitStack[bool | None]) -> _Found:
    """What there is; its client certificate is in files until ``certificates`` is closed. Raises
    SettingError.
    """
    configuration: Any = client.Configuration()
    try:
        config.load_incluster_config(  # type: ignore[no-untyped-call]
            client_configuration=configuration, try_refresh_token=False
        )
    except (config.ConfigException, OSError) as error:
        if SERVICE_HOST in os.environ and not os.environ.get("KUBECONFIG"):
            raise SettingError(
                str(ACCOUNT),
                None,
                f"the Pod's ServiceAccount can't be used: {error}",
                "Look at automountServiceAccountToken and the volumes of the Pod",
            ) from None
        access = _usable(choose(HERE))
        return _Found(await configure(access, certificates), access.files, access.origin)
    configuration.proxy = environment_proxy(configuration.host, os.environ)
    configuration.client_session_kwargs = {"trust_env": False}  # proxies are known, and a .netrc is not ours
    mounted = incluster_config.SERVICE_TOKEN_FILENAME, incluster_config.SERVICE_CERT_FILENAME
    return _Found(configuration, tuple(map(Path, mounted)), KubeconfigOrigin(str(ACCOUNT), None))


def _usable(access: ClusterAccess) -> ClusterAccess:
    """What kopf can be told as well, so that all requests are those of one identity. Raises SettingError."""
    untold = {
        "impersonation (as)": access.identity.impersonation,
        "a password": access.identity.basic,
        "tls-server-name": access.tls_server_name,
    }
    for what, given in untold.items():
        if given:
            raise access.origin.error(f"the operator can't use {what}", _CONFIG)
    return access
