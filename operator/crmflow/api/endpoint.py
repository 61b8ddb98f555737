"""The rule for ``platform.authParams.endpoint``: the host that receives Zoho's tokens must be Zoho's own.

It is one anchored expression over data center and endpoint together. It admits nothing but a lower-case host
with an optional https scheme and path: no user, port, query, escape or other character that makes readers of
URLs disagree about the host.
"""

from __future__ import annotations

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


ENDPOINT_OF_DATA_CENTER = Rule(
    "!has(self.platform.authParams) || !('endpoint' in self.platform.authParams) || "
    "(self.zoho.dataCenter + ' ' + self.platform.authParams['endpoint'])"
    f".matches('^({_data_centers_and_hosts()}){_PATH}$')",
    "endpoint must be a host of zoho.dataCenter in lower case, optionally after https:// and before a path, "
    f"without user, port or query, such as crm.zoho.eu/crm/private; the domains are {_in_words()}",
    field_path=".platform.authParams.endpoint",
)
