"""What a kubeconfig and kubectl's options come to: one API server, and one identity."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from crmflow.environment import SettingError, reason
from crmflow.http.proxies import ProxySettings, check_proxy
from crmflow.kubeconfig.files import ClusterEntry, Context, Exec, Kubeconfig, KubeconfigOrigin, UserEntry
from crmflow.kubeconfig.options import ClusterOptions
from crmflow.settings import parse_duration

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a Pod has the token of its ServiceAccount, its namespace and the cluster's certificate authority."""
SERVICE_HOST, SERVICE_PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----")
_OIDC = "oidc"
_EXEC_EXTENSION = "client.authentication.k8s.io/exec"


@dataclass(frozen=True)
class UserCredentials:
    """Who sends a request, and as whom. Of the credentials the first one that is set counts."""

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    """Read anew as it is exchanged; what it holds comes before ``token``."""
    basic: tuple[str, str] | None = field(default=None, repr=False)
    exec: Exec | None = None
    certificate: bytes = field(default=b"", repr=False)
    """In PEM, as is its key."""
    key: bytes = field(default=b"", repr=False)
    impersonation: tuple[tuple[str, str], ...] = ()
    """Headers; one may occur more than once."""

    @property
    def is_somebody(self) -> bool:
        """Whether there are credentials at all."""
        return bool(self.token or self.token_file or self.basic or self.exec or self.certificate)


@dataclass(frozen=True)
class ClusterAccess:
    """Everything that a client has to know."""

    origin: KubeconfigOrigin
    server: str
    namespace: str
    identity: UserCredentials = field(default_factory=UserCredentials)
    authority: str | None = None
    """Certificates in PEM; None for the system's."""
    verify: bool = True
    tls_server_name: str = ""
    proxy: str | None = None
    exec_config: Any = None
    """What the cluster's entry has for an exec plugin."""
    files: tuple[Path, ...] = ()
    """Where all this stands, or would: what may be exchanged."""


def choose(options: ClusterOptions, environ: Mapping[str, str] = os.environ) -> ClusterAccess:
    """The API server, identity and namespace that kubectl would take. Raises SettingError."""
    config = Kubeconfig.load(options.kubeconfig, environ)
    context = _context(config, options)
    cluster = _cluster(config, context, options)
    user = _user(config, context, options)
    namespace = options.namespace or context.namespace or _pod_namespace(environ) or "default"
    if not cluster.server:
        return _in_cluster(config, user, options, namespace, environ)
    origin = config.origin
    server = _server(origin, cluster)
    authority = _authority(origin, cluster)
    # kubectl sends credentials over TLS alone, and impersonation in any case.
    identity = UserCredentials(impersonation=_impersonation(origin, user))
    if server.startswith("https://"):
        identity = _identity(origin, user)
        if not identity.is_somebody:  # kubectl asks for a name and a password
            raise origin.error(
                "the user has no credentials",
                "Add some with `kubectl config set-credentials`",
            )
    return ClusterAccess(
        origin=origin,
        server=server,
        namespace=namespace,
        identity=identity,
        authority=authority,
        verify=not cluster.insecure,
        tls_server_name=cluster.tls_server_name,
        proxy=_proxy(cluster, server, environ),
        exec_config=next((e.extension for e in cluster.extensions if e.name == _EXEC_EXTENSION), None),
        files=_files(config, cluster, user),
    )


def _files(config: Kubeconfig, cluster: ClusterEntry, user: UserEntry) -> tuple[Path, ...]:
    named = (cluster.authority, user.certificate, user.key, user.token_file)
    return (*config.paths, *(Path(path) for path in named if path))


def request_seconds(text: str | None, default: float) -> float:
    """``--request-timeout`` in seconds; 0 means that there is none. Raises SettingError."""
    if text is None:
        return default
    try:
        seconds = float(int(text)) if text.strip().isdigit() else parse_duration(text)
    except ValueError:
        raise SettingError(
            "--request-timeout", text, "must be a number of seconds or a duration such as 1m30s"
        ) from None
    return seconds or float("inf")


def _context(config: Kubeconfig, options: ClusterOptions) -> Context:
    name = options.context or config.current_context
    if not name:
        return Context()
    if name not in config.contexts:
        raise config.origin.error(
            f'there is no context "{name}"', "`kubectl config get-contexts` lists those that there are"
        )
    return config.contexts[name]


def _cluster(config: Kubeconfig, context: Context, options: ClusterOptions) -> ClusterEntry:
    """The cluster's entry with what the command line says in place of it."""
    name = options.cluster or context.cluster
    if name and name not in config.clusters:
        raise config.origin.error(f'there is no cluster "{name}"', "Correct the context, or give --cluster")
    entry = config.clusters.get(name, ClusterEntry())
    changes: dict[str, Any] = {}
    if options.server or options.tls_server_name:  # another server has another name
        changes["tls_server_name"] = options.tls_server_name or ""
    if options.server:
        changes["server"] = options.server
    if options.certificate_authority:
        changes |= {"authority": options.certificate_authority, "authority_data": "", "insecure": False}
    if options.insecure_skip_tls_verify:
        changes["insecure"] = True
        if not options.certificate_authority:
            changes |= {"authority": "", "authority_data": ""}
    return entry.model_copy(update=changes)


def _user(config: Kubeconfig, context: Context, options: ClusterOptions) -> UserEntry:
    """The user's entry with what the command line says in place of it."""
    name = options.user or context.user
    if name and name not in config.users:
        raise config.origin.error(f'there is no user "{name}"', "Correct the context, or give --user")
    user = config.users.get(name, UserEntry())
    changes: dict[str, Any] = {}
    if options.token:
        changes["token"] = SecretStr(options.token)  # a tokenFile still comes first
    if options.client_certificate:
        changes |= {"certificate": options.client_certificate, "certificate_data": ""}
    if options.client_key:
        changes |= {"key": options.client_key, "key_data": SecretStr("")}
    if options.as_user:
        changes["as_user"] = options.as_user
    if options.as_group:
        changes["as_groups"] = options.as_group
    if options.as_uid:
        changes["as_uid"] = options.as_uid
    if options.as_user_extra:
        changes["as_user_extra"] = _extra(options.as_user_extra)
    return user.model_copy(update=changes)


def _extra(given: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise SettingError("--as-user-extra", text, "must be KEY=VALUE")
        found[key] = (*found.get(key, ()), value)
    return found


def _server(origin: KubeconfigOrigin, cluster: ClusterEntry) -> str:
    try:
        parts = urlsplit(cluster.server)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise origin.error("the server is not an https:// or http:// URL", "Correct it: https://HOST:PORT")
    return cluster.server.rstrip("/")


def _authority(origin: KubeconfigOrigin, cluster: ClusterEntry) -> str | None:
    content = _content(origin, "certificate-authority", cluster.authority, cluster.authority_data)
    if not content:
        return None
    if cluster.insecure:
        raise origin.error(
            "the cluster has a certificate authority and insecure-skip-tls-verify", "Take one of them out"
        )
    # What stands between the certificates is for people, and may be in any language.
    certificates = _CERTIFICATE.findall(content.decode(errors="ignore"))
    if not certificates:
        raise origin.error("the certificate-authority holds no certificate", "It must hold some in PEM")
    return "\n".join(certificates)


def _identity(origin: KubeconfigOrigin, user: UserEntry) -> UserCredentials:
    token, password = user.token.get_secret_value(), user.password.get_secret_value()
    file = Path(user.token_file) if user.token_file else None
    if file is not None and not token:
        token = read_token(origin, file)
    if token and (user.username or password):
        raise origin.error("the user has a token and a password", "Take one of them out")
    certificate = _content(origin, "client-certificate", user.certificate, user.certificate_data)
    key = _content(origin, "client-key", user.key, user.key_data.get_secret_value())
    if bool(certificate) != bool(key):
        missing = "client-key" if certificate else "client-certificate"
        raise origin.error(f"the user has half of a client certificate: {missing} is missing", "Add it")
    if b"ENCRYPTED" in key:
        raise origin.error("the client-key asks for a passphrase", "Store it without one, as for kubectl")
    basic = (user.username, password) if user.username or password else None
    credential_is_given = bool(token or basic)
    if user.auth_provider is not None and not credential_is_given:
        if user.exec is not None:
            raise origin.error("the user has an exec plugin and an auth-provider", "Take one of them out")
        token = _provided(origin, user.auth_provider.name, user.auth_provider.config)
    for what, value in (("token", token), ("name", user.username), ("password", password)):
        _check_header(origin, f"the user's {what}", value)
    return UserCredentials(
        token=token,
        token_file=file,
        basic=basic,
        exec=None if credential_is_given else user.exec,
        certificate=certificate,
        key=key,
        impersonation=_impersonation(origin, user),
    )


def read_token(origin: KubeconfigOrigin, file: Path) -> str:
    """The token in a file, without the line's end behind it. Raises SettingError."""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is not text"
        raise origin.error(f"the tokenFile {file} can't be read: {why}", "Correct tokenFile") from None
    if not token:
        raise origin.error(f"the tokenFile {file} is empty", "Put the token into it")
    _check_header(origin, f"what the tokenFile {file} holds", token)
    return token


def _provided(origin: KubeconfigOrigin, name: str, config: Mapping[str, str]) -> str:
    """The token of an auth-provider. Only kubectl renews one, as it alone writes the kubeconfig."""
    if name != _OIDC:
        raise origin.error(
            f'the auth-provider "{name}" is not supported, as kubectl itself no longer has it',
            "Use an exec plugin for this user",
        )
    token = config.get("id-token", "")
    if not token or _has_expired(token):
        raise origin.error(
            "the user's OIDC token has expired", "Run `kubectl get namespaces` or the like, which renews it"
        )
    return token


def _has_expired(token: str) -> bool:
    try:
        body = token.split(".")[1]
        expires = float(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return False  # the API server will say so
    return time.time() > expires


def _impersonation(origin: KubeconfigOrigin, user: UserEntry) -> tuple[tuple[str, str], ...]:
    if not user.as_user:
        if user.as_groups or user.as_uid or user.as_user_extra:
            raise origin.error("a group, UID or extra is impersonated without a user", "Give --as, too")
        return ()
    headers = [("Impersonate-User", user.as_user)]
    headers += [("Impersonate-Uid", user.as_uid)] if user.as_uid else []
    headers += [("Impersonate-Group", group) for group in user.as_groups]
    headers += [
        # A header's name does not tell capitals from small letters: whatever can't stand in one is escaped.
        (f"Impersonate-Extra-{quote(key, safe='!#$&*+^`|')}", value)
        for key, values in user.as_user_extra.items()
        for value in values
    ]
    for _, value in headers:
        _check_header(origin, "who is impersonated", value)
    return tuple(headers)


def _check_header(origin: KubeconfigOrigin, what: str, value: str) -> None:
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise origin.error(f"{what} holds a line break or another control character", "Take it out")


def _content(origin: KubeconfigOrigin, name: str, path: str, data: str) -> bytes:
    """What an entry gives in base64 or as the name of a file; nothing if it gives neither."""
    if data and path:
        raise origin.error(f"there are {name} and {name}-data", "Take one of them out")
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            raise origin.error(f"{name}-data is not base64", "Correct it") from None
    if not path:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise origin.error(f"the {name} {path} can't be read: {reason(error)}", f"Correct {name}") from None


def _proxy(cluster: ClusterEntry, server: str, environ: Mapping[str, str]) -> str | None:
    if cluster.proxy_url:
        return check_proxy("proxy-url", cluster.proxy_url)
    return environment_proxy(server, environ)


def environment_proxy(server: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for an API server; this machine is never asked through one."""
    return None if _is_loopback(server) else ProxySettings.from_environment(environ).proxy_for(server)


def _is_loopback(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pod_namespace(environ: Mapping[str, str]) -> str | None:
    """The namespace of the Pod that this process runs in, if it does."""
    if not _is_pod(environ):
        return None
    try:
        return environ.get("POD_NAMESPACE") or (ACCOUNT / "namespace").read_text().strip()
    except OSError:
        return None


def _is_pod(environ: Mapping[str, str]) -> bool:
    return bool(environ.get(SERVICE_HOST) and environ.get(SERVICE_PORT) and (ACCOUNT / "token").is_file())


def _in_cluster(
    config: Kubeconfig,
    user: UserEntry,
    options: ClusterOptions,
    namespace: str,
    environ: Mapping[str, str],
) -> ClusterAccess:
    """The Pod's own API server and ServiceAccount, where no kubeconfig says anything else."""
    origin = config.origin
    if not _is_pod(environ):
        raise _nothing(config, options)
    host = environ[SERVICE_HOST]
    server = f"https://{f'[{host}]' if ':' in host else host}:{environ[SERVICE_PORT]}"
    account = user if user.token.get_secret_value() else UserEntry(tokenFile=str(ACCOUNT / "token"))
    identity = _identity(
        origin,
        account.model_copy(
            update={name: getattr(user, name) for name in ("as_user", "as_uid", "as_groups", "as_user_extra")}
        ),
    )
    cluster = ClusterEntry.model_validate({"certificate-authority": str(ACCOUNT / "ca.crt")})
    return ClusterAccess(
        origin=origin,
        server=server,
        namespace=namespace,
        identity=identity,
        authority=_authority(origin, cluster),
        tls_server_name=options.tls_server_name or "",
        proxy=environment_proxy(server, environ),
    )


def _nothing(config: Kubeconfig, options: ClusterOptions) -> SettingError:
    """No API server is named anywhere."""
    advice = "Set KUBECONFIG or give --kubeconfig, or run in a Pod with a ServiceAccount"
    if not config.found:
        return config.origin.error("there is no kubeconfig", advice)
    if options.context or config.current_context or options.cluster:
        return config.origin.error("the cluster's entry names no server", "Correct it")
    return config.origin.error("it has no current-context", "Choose one: kubectl config use-context")
