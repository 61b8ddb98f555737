"""Which proxy a request goes through, as the environment says.

httpx reads the environment only when it builds the transport itself; ours is given to it, so this is ours to
read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from crmflow.environment import SettingError

_GREATEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``; lower-case names win, as in curl."""

    https_proxy: str | None
    http_proxy: str | None
    exceptions: tuple[str, ...]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ProxySettings:
        """Read the settings; raises SettingError for a proxy that is not an http or https URL."""
        entries = _variable(environ, "no_proxy")[1].split(",")
        return cls(
            https_proxy=_proxy_url(*_variable(environ, "https_proxy")),
            http_proxy=_proxy_url(*_variable(environ, "http_proxy")),
            exceptions=tuple(entry.strip().lower() for entry in entries if entry.strip()),
        )

    def proxy_for(self, url: httpx.URL | str) -> str | None:
        """The proxy to use for ``url``, None for a direct connection."""
        url = httpx.URL(url)
        proxy = self.https_proxy if url.scheme == "https" else self.http_proxy
        return None if proxy is None or self._is_exception(url) else proxy

    def _is_exception(self, url: httpx.URL) -> bool:
        port = url.port or (443 if url.scheme == "https" else 80)
        return any(_matches(entry, url.host.lower(), port) for entry in self.exceptions)


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable that counts, and what it says."""
    chosen = name if environ.get(name) else name.upper()
    return chosen, environ.get(chosen, "").strip()


def _proxy_url(name: str, value: str) -> str | None:
    return check_proxy(name, value) if value else None


def check_proxy(name: str, value: str) -> str:
    """The URL of a proxy that the setting ``name`` gives, with a scheme. Raises SettingError."""
    url = value if "://" in value else f"http://{value}"
    advice = "Give it as http://HOST:PORT, with a user and password as http://USER:PASSWORD@HOST:PORT"
    if not url.lower().startswith(("http://", "https://")):
        raise SettingError(name, value, "a proxy must be an http:// or https:// URL", advice)
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if not parsed.host or (parsed.port or 0) > _GREATEST_PORT:
        # Not shown: what is no URL may have its password anywhere.
        raise SettingError(name, None, "a proxy must be a URL with a host and a port", advice)
    return url


def _matches(entry: str, host: str, port: int) -> bool:
    """One entry of NO_PROXY: ``*``, a domain with all below it, an address or a network, maybe a port."""
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(host, entry)
    name, colon, wanted_port = entry.rpartition(":")
    if colon and wanted_port.isdigit() and (":" not in name or name.endswith("]")):
        if int(wanted_port) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").lstrip(".")
    return host == entry or host.endswith(f".{entry}")


def _in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:  # the host is a name, or the entry is not a network
        return False
