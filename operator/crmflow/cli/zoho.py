"""Zoho as the commands reach it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.credentials import zoho_credentials
from crmflow.cli.network import addresses, http_client
from crmflow.cli.problem import Problem
from crmflow.cli.terminal import say
from crmflow.clock import Clock
from crmflow.zoho.accounts import ZohoAccounts
from crmflow.zoho.api import CrmApi
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


@asynccontextmanager
async def organization_of(cluster: Cluster, connection: Connection) -> AsyncIterator[CrmApi]:
    """The CRM API of the connection's organization, with the grant in its Secret; takes one of the ten access
    tokens that Zoho gives for it in ten minutes. Raises Problem without a grant, and RemoteError.
    """
    held = await zoho_credentials(cluster, connection)
    if held.refresh_token is None:
        raise Problem(
            f'Secret "{connection.zoho_secret}" has a grant token, which works once and is the operator\'s',
            f"Run `{connection.advisor.authorize}`, which puts a refresh token into it",
        )
    async with connect() as remote:
        token = await remote.accounts.refresh(
            connection.data_center, held.client_id, held.client_secret, held.refresh_token
        )
        yield remote.crm.api(connection.data_center, connection.environment, token.value)
