"""Zoho's data centers and the hosts that stand for them (zoho.md 2).

Written down here a second time on purpose: the operator has its own table, and an error in one must not hide
in the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

HOME = "eu"


class Environment(StrEnum):
    """A CRM environment; a grant is bound to exactly one (zoho.md 1.2)."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"
    DEVELOPER = "developer"

    @property
    def host_prefix(self) -> str:
        """First label of the API host."""
        return "www" if self is Environment.PRODUCTION else self.value


@dataclass(frozen=True)
class DataCenter:
    """One data center. ``listed`` is false where only third parties name the API host (zoho.md 10, row 8)."""

    code: str
    accounts_host: str
    api_base: str
    listed: bool = True

    @property
    def accounts_url(self) -> str:
        """Where tokens are issued."""
        return f"https://{self.accounts_host}"

    def api_host(self, environment: Environment) -> str:
        """Host of the CRM API of one environment."""
        return f"{environment.host_prefix}.{self.api_base}"

    @property
    def generic_api_url(self) -> str:
        """The ``api_domain`` that Zoho's Accounts pages print: not a CRM host (zoho.md 1.3)."""
        return f"https://{self.accounts_host.replace('accounts.', 'api.', 1)}"

    @property
    def crm_host(self) -> str:
        """Host of the CRM web application, which Microsoft's connector wants (platform.md 3)."""
        return self.accounts_host.replace("accounts.", "crm.", 1)


DATA_CENTERS: dict[str, DataCenter] = {
    dc.code: dc
    for dc in (
        DataCenter("us", "accounts.zoho.com", "zohoapis.com"),
        DataCenter("eu", "accounts.zoho.eu", "zohoapis.eu"),
        DataCenter("in", "accounts.zoho.in", "zohoapis.in"),
        DataCenter("au", "accounts.zoho.com.au", "zohoapis.com.au"),
        DataCenter("jp", "accounts.zoho.jp", "zohoapis.jp"),
        DataCenter("cn", "accounts.zoho.com.cn", "zohoapis.com.cn"),
        DataCenter("ca", "accounts.zohocloud.ca", "zohoapis.ca"),
        DataCenter("sa", "accounts.zoho.sa", "zohoapis.sa"),
        DataCenter("uk", "accounts.zoho.uk", "zohoapis.uk", listed=False),
        DataCenter("ae", "accounts.zoho.ae", "zohoapis.ae", listed=False),
        DataCenter("sg", "accounts.zoho.sg", "zohoapis.sg", listed=False),
    )
}

# China is run by another operator and missing from the list that serverinfo gives (zoho.md 1.7).
SERVER_INFO_LOCATIONS: dict[str, str] = {
    code: dc.accounts_url for code, dc in DATA_CENTERS.items() if code != "cn"
}


def by_accounts_url(url: str) -> DataCenter | None:
    """The data center of an accounts URL; scheme and trailing slash may be missing or there."""
    host = url.lower().removeprefix("https://").rstrip("/")
    return next((dc for dc in DATA_CENTERS.values() if dc.accounts_host == host), None)


def data_center_of_request(request: web.Request) -> str:
    """The data center whose accounts server is asked."""
    dc = request.match_info.get("dc", HOME)
    if dc not in DATA_CENTERS:
        raise web.HTTPNotFound(text="no such data center")
    return dc
