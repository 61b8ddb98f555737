"""The table of zoho.md 2."""

from __future__ import annotations

import pytest

from crmflow.api.endpoint import ZOHO_DOMAINS
from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.zoho.datacenters import DATA_CENTERS, ZohoEndpoints, data_center_of

TABLE = {
    DataCenter.US: ("https://accounts.zoho.com", "https://www.zohoapis.com", "https://sandbox.zohoapis.com"),
    DataCenter.EU: ("https://accounts.zoho.eu", "https://www.zohoapis.eu", "https://sandbox.zohoapis.eu"),
    DataCenter.IN: ("https://accounts.zoho.in", "https://www.zohoapis.in", "https://sandbox.zohoapis.in"),
    DataCenter.AU: (
        "https://accounts.zoho.com.au",
        "https://www.zohoapis.com.au",
        "https://sandbox.zohoapis.com.au",
    ),
    DataCenter.JP: ("https://accounts.zoho.jp", "https://www.zohoapis.jp", "https://sandbox.zohoapis.jp"),
    DataCenter.CN: (
        "https://accounts.zoho.com.cn",
        "https://www.zohoapis.com.cn",
        "https://sandbox.zohoapis.com.cn",
    ),
    DataCenter.CA: (
        "https://accounts.zohocloud.ca",
        "https://www.zohoapis.ca",
        "https://sandbox.zohoapis.ca",
    ),
    DataCenter.SA: ("https://accounts.zoho.sa", "https://www.zohoapis.sa", "https://sandbox.zohoapis.sa"),
    DataCenter.UK: ("https://accounts.zoho.uk", "https://www.zohoapis.uk", "https://sandbox.zohoapis.uk"),
    DataCenter.AE: ("https://accounts.zoho.ae", "https://www.zohoapis.ae", "https://sandbox.zohoapis.ae"),
    DataCenter.SG: ("https://accounts.zoho.sg", "https://www.zohoapis.sg", "https://sandbox.zohoapis.sg"),
}


@pytest.mark.parametrize("data_center", DataCenter)
def test_real_hosts(data_center: DataCenter) -> None:
    endpoints = ZohoEndpoints()
    accounts, production, sandbox = TABLE[data_center]
    assert endpoints.accounts_url(data_center) == accounts
    assert endpoints.api_url(data_center, Environment.PRODUCTION) == production
    assert endpoints.api_url(data_center, Environment.SANDBOX) == sandbox
    developer = sandbox.replace("sandbox", "developer")
    assert endpoints.api_url(data_center, Environment.DEVELOPER) == developer
    assert all(data_center_of(url) is data_center for url in (accounts, production, sandbox, developer))


@pytest.mark.parametrize("data_center", DataCenter)
def test_the_endpoint_for_aep_is_of_the_same_data_center(data_center: DataCenter) -> None:
    endpoint = DATA_CENTERS[data_center].crm_endpoint
    assert endpoint.endswith("/crm/private")
    assert data_center_of(f"https://{endpoint}") is data_center


def test_endpoint_as_in_the_contract() -> None:
    assert DATA_CENTERS[DataCenter.US].crm_endpoint == "crm.zoho.com/crm/private"


def test_the_kinds_allow_the_same_domains() -> None:
    """The schema's rule has the domains too, as it may not import a client."""
    ours = {str(code): {hosts.domain, hosts.api_domain} for code, hosts in DATA_CENTERS.items()}
    assert {code: set(domains) for code, domains in ZOHO_DOMAINS.items()} == ours


@pytest.mark.parametrize(
    "url",
    [
        "https://api.zoho.com",
        "https://www.zohoapis.eu.example.com",
        "https://www.zohoapis.eu@example.com",
        "https://evilzohoapis.eu",
        "www.zohoapis.eu",
        "https://[",
        "",
    ],
)
def test_other_hosts_belong_to_no_data_center(url: str) -> None:
    assert data_center_of(url) is None


def test_templates_override_only_what_they_are_for() -> None:
    endpoints = ZohoEndpoints(accounts_template="http://127.0.0.1:1/dc/{dc}/")
    assert endpoints.accounts_url(DataCenter.EU) == "http://127.0.0.1:1/dc/eu"
    assert endpoints.api_url(DataCenter.EU, Environment.PRODUCTION) == "https://www.zohoapis.eu"
    endpoints = ZohoEndpoints(api_template="http://127.0.0.1:2/dc/{dc}/{env}")
    assert endpoints.api_url(DataCenter.AU, Environment.SANDBOX) == "http://127.0.0.1:2/dc/au/sandbox"
    assert endpoints.accounts_url(DataCenter.AU) == "https://accounts.zoho.com.au"
    assert (
        ZohoEndpoints("http://host", "http://host").api_url(DataCenter.US, Environment.DEVELOPER)
        == "http://host"
    )
