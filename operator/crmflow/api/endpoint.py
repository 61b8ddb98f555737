"""The rule for what names a host in ``platform.authParams``, above all ``endpoint``: whoever receives Zoho's
tokens must be Zoho.

It is one anchored expression over data center and value together. It admits nothing but a lower-case host
with an optional https scheme and path: no user, port, query, escape or other character that makes readers of
URLs disagree about the host. Which parameters the connector reads is not published (platform.md 16.3), nor
whether it minds their case, so every parameter that ends like one for a host counts, and every value with a
scheme.

The API server holds the rule. The operator checks it once more before it sends anything: a resource may have
been stored before the rule was there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crmflow.api.schema import Rule

ZOHO_DOMAINS: Mapping[str, tuple[str, ...]] = {
    "US": ("zoho.com", "zohoapis.com"),
    "EU": ("zoho.eu", "zohoapis.eu"),
    "IN": ("zoho.in", "zohoapis.in"),
    "AU": ("zoho.com.au", "zohoapis.com.au"),
    "JP": ("zoho.jp", "zohoapis.jp"),
    "CN": ("zoho.com.cn", "zohoapis.com.cn"),
    "CA": ("zohocloud.ca", "zohoapis.ca"),
    "SA": ("zoho.sa", "zohoapis.sa"),
    "UK": ("zoho.uk", "zohoapis.uk"),
    "AE": ("zoho.ae", "zohoapis.ae"),
    "SG": ("zoho.sg", "zohoapis.sg"),
}
"""The registered domains that serve each data center (zoho.md 2)."""

_SUBDOMAINS = "(https://)?([a-z0-9-]+[.])+"
_PATH = "(/[A-Za-z0-9._~-]*)*"


def _data_centers_and_hosts() -> str:
    return "|".join(
        f"{code} {_SUBDOMAINS}({'|'.join(domain.replace('.', '[.]') for domain in domains)})"
        for code, domains in ZOHO_DOMAINS.items()
    )


def _in_words() -> str:
    return ", ".join(f"{code} {' or '.join(domains)}" for code, domains in ZOHO_DOMAINS.items())


_NAMES_A_HOST = "(?i)(endpoint|ur[il]|host|server|domain|address)$"
_HOSTS_OF_DATA_CENTERS = f"^({_data_centers_and_hosts()}){_PATH}$"

ENDPOINT_OF_DATA_CENTER = Rule(
    "!has(self.platform.authParams) || self.platform.authParams.all(key, "
    f"!key.matches('{_NAMES_A_HOST}') && !self.platform.authParams[key].contains('://') || "
    "(self.zoho.dataCenter + ' ' + self.platform.authParams[key])"
    f".matches('{_HOSTS_OF_DATA_CENTERS}'))",
    "endpoint and whatever else names a host must be one of zoho.dataCenter in lower case, optionally after "
    "https:// and before a path, without user, port or query, such as crm.zoho.eu/crm/private; the domains "
    f"are {_in_words()}",
    field_path=".platform.authParams",
)


def foreign_hosts(data_center: str, auth_params: Mapping[str, str]) -> list[str]:
    """The parameters that break the rule, by name."""
    return [
        name
        for name, value in auth_params.items()
        if (re.search(_NAMES_A_HOST, name) or "://" in value)
        and not ("\n" not in value and re.match(_HOSTS_OF_DATA_CENTERS, f"{data_center} {value}"))
    ]
