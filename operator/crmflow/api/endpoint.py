"""Rules for ``platform.authParams.endpoint``: the host that receives Zoho's tokens must be Zoho's own.

Two rules, because each has its own cure. The first admits nothing but a lower-case host with an optional
https scheme and path: no user, port, query, escape or other character that makes readers of URLs disagree
about the host. Hence the second may take the host apart with plain string functions.
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
"""The registered domains that serve each data centre (zoho.md 2)."""

_HOST = "([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z]+"
_PATH = "(/[A-Za-z0-9._~-]*)*"

ENDPOINT_SHAPE = Rule(
    f"!('endpoint' in self) || self['endpoint'].matches('^(https://)?{_HOST}{_PATH}$')",
    "endpoint must be a host in lower case, optionally after https:// and before a path, for example "
    "crm.zoho.eu/crm/private; without user, port, query or fragment",
)


def _domains_in_cel() -> str:
    entries = (
        f"'{code}': [{', '.join(repr('.' + d) for d in domains)}]" for code, domains in ZOHO_DOMAINS.items()
    )
    return "{" + ", ".join(entries) + "}"


def _domains_in_words() -> str:
    return ", ".join(f"{code} {' or '.join(domains)}" for code, domains in ZOHO_DOMAINS.items())


ENDPOINT_OF_DATA_CENTER = Rule(
    "!has(self.platform.authParams) || !('endpoint' in self.platform.authParams) || "
    f"{_domains_in_cel()}[self.zoho.dataCenter].exists(domain, "
    "self.platform.authParams['endpoint'].replace('https://', '').split('/')[0].endsWith(domain))",
    f"endpoint must be a host of zoho.dataCenter, below one of its domains: {_domains_in_words()}",
    field_path=".platform.authParams",
)
