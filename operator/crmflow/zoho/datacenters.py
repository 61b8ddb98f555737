"""Zoho's data centers and what is where in each (zoho.md 2).

An account lives in one data center for good; its hosts can't be derived from a token, and they do not follow
one scheme: Canada signs in at ``zohocloud.ca`` and serves the API at ``zohoapis.ca``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from crmflow.api.zohosourceconnection import DataCenter, Environment

_API_PREFIX = {
    Environment.PRODUCTION: "www",
    Environment.SANDBOX: "sandbox",
    Environment.DEVELOPER: "developer",
}


@dataclass(frozen=True, slots=True)
class ZohoHosts:
    """The real hosts of one data center."""

    domain: str
    """Domain of the web applications and of accounts, e.g. ``zoho.eu``."""
    api_domain: str
    """Domain of the API hosts, e.g. ``zohoapis.eu``."""

    @property
    def accounts_url(self) -> str:
        """Where tokens come from."""
        return f"https://accounts.{self.domain}"

    def api_url(self, environment: Environment) -> str:
        """Base of the REST API; from version 2.1 on, production answers only on ``www``."""
        return f"https://{_API_PREFIX[environment]}.{self.api_domain}"

    @property
    def crm_endpoint(self) -> str:
        """``endpoint`` of AEP's base connection: host and path, without a scheme (platform.md 4.1)."""
        return f"crm.{self.domain}/crm/private"

    @property
    def hosts(self) -> frozenset[str]:
        """Every host name that belongs to this data center."""
        api = (f"{prefix}.{self.api_domain}" for prefix in _API_PREFIX.values())
        return frozenset({f"accounts.{self.domain}", f"crm.{self.domain}", *api})


DATA_CENTERS: Mapping[DataCenter, ZohoHosts] = MappingProxyType(
    {
        DataCenter.US: ZohoHosts("zoho.com", "zohoapis.com"),
        DataCenter.EU: ZohoHosts("zoho.eu", "zohoapis.eu"),
        DataCenter.IN: ZohoHosts("zoho.in", "zohoapis.in"),
        DataCenter.AU: ZohoHosts("zoho.com.au", "zohoapis.com.au"),
        DataCenter.JP: ZohoHosts("zoho.jp", "zohoapis.jp"),
        DataCenter.CN: ZohoHosts("zoho.com.cn", "zohoapis.com.cn"),
        DataCenter.CA: ZohoHosts("zohocloud.ca", "zohoapis.ca"),
        DataCenter.SA: ZohoHosts("zoho.sa", "zohoapis.sa"),
        DataCenter.UK: ZohoHosts("zoho.uk", "zohoapis.uk"),
        DataCenter.AE: ZohoHosts("zoho.ae", "zohoapis.ae"),
        DataCenter.SG: ZohoHosts("zoho.sg", "zohoapis.sg"),
    }
)


def data_center_of(url: str) -> DataCenter | None:
    """The data center that the host of ``url`` belongs to; None for a host that is not in the table."""
    try:
        host = urlsplit(url).hostname
    except ValueError:  # such as an unclosed bracket
        return None
    return next((data_center for data_center, hosts in DATA_CENTERS.items() if host in hosts.hosts), None)


@dataclass(frozen=True, slots=True)
class ZohoEndpoints:
    """Where the operator itself calls Zoho: the real hosts, unless a development setup overrides them.

    In the templates ``{dc}`` and ``{env}`` stand for data center and environment in lower case.
    """

    accounts_template: str | None = None
    api_template: str | None = None

    def accounts_url(self, data_center: DataCenter) -> str:
        """Base URL of Zoho Accounts, without a slash at its end."""
        if self.accounts_template is None:
            return DATA_CENTERS[data_center].accounts_url
        return _fill(self.accounts_template, data_center)

    def accounts_host(self, data_center: DataCenter) -> str:
        """Zoho Accounts as a message names it, such as ``accounts.zoho.eu (Europe)``."""
        return _named(self.accounts_url(data_center), data_center)

    def api_host(self, data_center: DataCenter, environment: Environment) -> str:
        """The host of the REST API as a message names it."""
        return _named(self.api_url(data_center, environment), data_center)

    def api_url(self, data_center: DataCenter, environment: Environment) -> str:
        """Base URL of the REST API, without a slash at its end."""
        if self.api_template is None:
            return DATA_CENTERS[data_center].api_url(environment)
        return _fill(self.api_template, data_center).replace("{env}", environment.lower())


def _named(url: str, data_center: DataCenter) -> str:
    return f"{urlsplit(url).netloc} ({data_center.place})"


def _fill(template: str, data_center: DataCenter) -> str:
    return template.rstrip("/").replace("{dc}", data_center.lower())
