"""Zoho as the commands reach it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from crmflow.cli.network import addresses, http_client
from crmflow.cli.terminal import say
from crmflow.clock import Clock
from crmflow.zoho.accounts import ZohoAccounts
from crmflow.zoho.crm import ZohoCRM
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.grants import ZohoGrants


@dataclass(frozen=True)
class ZohoClients:
    """Hosts, clients and the clock that they go by."""

    endpoints: ZohoEndpoints
    accounts: ZohoAccounts
    grants: ZohoGrants
    crm: ZohoCRM
    clock: Clock


@asynccontextmanager
async def connect() -> AsyncIterator[ZohoClients]:
    """The real Zoho, unless the environment names other hosts, which is printed."""
    settings = addresses()
    endpoints = ZohoEndpoints(settings.zoho_accounts_url, settings.zoho_api_url)
    if endpoints != ZohoEndpoints():
        say(
            "For development: CRMFLOW_ZOHO_ACCOUNTS_URL and CRMFLOW_ZOHO_API_URL take the place of Zoho's "
            "hosts."
        )
    clock = Clock.from_environment()
    async with http_client(clock) as http:
        yield ZohoClients(
            endpoints,
            ZohoAccounts(http, endpoints, clock),
            ZohoGrants(http, endpoints, clock),
            ZohoCRM(http, endpoints),
            clock,
        )
