"""Programs that give credentials, as cloud providers have them.

The contract is client.authentication.k8s.io/v1, and v1beta1 which differs in what may be left out
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crmflow.kubeconfig.access import ClusterAccess
from crmflow.kubeconfig.files import Exec

_GROUP = "client.authentication.k8s.io"
_VERSIONS = (f"{_GROUP}/v1", f"{_GROUP}/v1beta1")
_NEVER, _IF_AVAILABLE, _ALWAYS = "Never", "IfAvailable", "Always"


@dataclass(frozen=True)
class ExecCredential:
    """What a plugin gave."""

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    expires_at: float | None = None


async def run(access: ClusterAccess, plugin: Exec) -> ExecCredential:
    """Ask the plugin. What it writes to standard error reaches the person. Raises SettingError."""
    interactive = _interactive(access, plugin)
    info = {
        "apiVersion": plugin.api_version,
        "kind": "ExecCredential",
        "spec": {
            "interactive": interactive,
            **({"cluster": _cluster(access)} if plugin.provide_cluster_info else {}),
        },
    }
    environment = {
        **os.environ,
        **{variable.name: variable.value for variable in plugin.env},
        "KUBERNETES_EXEC_INFO": json.dumps(info),
    }
    try:
        process = await asyncio.create_subprocess_exec(
            plugin.command,
            *plugin.args,
            env=environment,
            stdin=None if interactive else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
    except OSError:
        raise access.origin.error(
            f"the exec plugin {plugin.command} can't be run",
            plugin.install_hint.strip() or "Install it, or correct its command",
        ) from None
    output, _ = await process.communicate()
    if process.returncode:
        raise access.origin.error(
            f"the exec plugin {plugin.command} ended with {process.returncode}", "See what it says above"
        )
    return _read(access, plugin, output)


def _interactive(access: ClusterAccess, plugin: Exec) -> bool:
    """Whether the plugin may ask the person."""
    if not plugin.command:
        raise access.origin.error("the exec plugin names no command", "Correct it")
    if plugin.api_version not in _VERSIONS:
        raise access.origin.error(
            f"the exec plugin speaks {plugin.api_version or 'no version of the API'}",
            f"Use one that speaks {' or '.join(_VERSIONS)}",
        )
    mode = plugin.interactive_mode or (_IF_AVAILABLE if plugin.api_version != _VERSIONS[0] else "")
    if mode not in (_NEVER, _IF_AVAILABLE, _ALWAYS):
        raise access.origin.error(
            "the exec plugin's interactiveMode is none", f"Use {_NEVER}, {_IF_AVAILABLE} or {_ALWAYS}"
        )
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if mode == _ALWAYS and not terminal:
        raise access.origin.error("the exec plugin needs a terminal to ask on", "Run the command in one")
    return terminal and mode != _NEVER


def _cluster(access: ClusterAccess) -> dict[str, Any]:
    return {
        "server": access.server,
        **({"tls-server-name": access.tls_server_name} if access.tls_server_name else {}),
        **({} if access.verify else {"insecure-skip-tls-verify": True}),
        **(
            {"certificate-authority-data": base64.b64encode(access.authority.encode()).decode()}
            if access.authority
            else {}
        ),
        **({"proxy-url": access.proxy} if access.proxy else {}),
        "config": access.exec_config,
    }


def _read(access: ClusterAccess, plugin: Exec, output: bytes) -> ExecCredential:
    try:
        answer = json.loads(output)
        status = answer["status"]
        credentials = ExecCredential(
            token=status.get("token") or "",
            certificate=status.get("clientCertificateData") or "",
            key=status.get("clientKeyData") or "",
            expires_at=_seconds(status.get("expirationTimestamp")),
        )
        usable = (
            answer["kind"] == "ExecCredential"
            and answer["apiVersion"] == plugin.api_version
            and bool(credentials.certificate) == bool(credentials.key)
            and bool(credentials.token or credentials.certificate)
            and credentials.token.isprintable()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise access.origin.error(
            f"the exec plugin {plugin.command} gave no credentials that can be used",
            f"It has to write an ExecCredential of {plugin.api_version}",
        )
    return credentials


def _seconds(timestamp: str | None) -> float | None:
    return None if timestamp is None else datetime.fromisoformat(timestamp).timestamp()
