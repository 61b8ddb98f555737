"""Zoho as the command reaches it: the operator's clients over one small pool of connections."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from crmflow.cli.terminal import say
from crmflow.clock import Clock
from crmflow.transport.http import HttpClient
from crmflow.transport.pool import SpreadTransport
from crmflow.zoho.crm import ZohoCRM
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.grants import ZohoGrants

# The operator's settings of the same names: for development against the emulators.
ACCOUNTS_VARIABLE = "CRMFLOW_ZOHO_ACCOUNTS_URL"
API_VARIABLE = "CRMFLOW_ZOHO_API_URL"


@dataclass(frozen=True)
class Zoho:
    """Hosts, clients and the clock that they go by."""

    endpoints: ZohoEndpoints
    grants: ZohoGrants
    crm: ZohoCRM
    clock: Clock


@asynccontextmanager
async def connect() -> AsyncIterator[Zoho]:
    """The real Zoho, unless the environment names other hosts, which is said aloud."""
    endpoints = ZohoEndpoints(os.environ.get(ACCOUNTS_VARIABLE) or None, os.environ.get(API_VARIABLE) or None)
    if endpoints != ZohoEndpoints():
        say(f"For development: {ACCOUNTS_VARIABLE} and {API_VARIABLE} take the place of Zoho's hosts.")
    clock = Clock.from_environment()
    http = HttpClient(SpreadTransport(pools=1), clock)
    try:
        yield Zoho(endpoints, ZohoGrants(http, endpoints, clock), ZohoCRM(http, endpoints), clock)
    finally:
        await http.aclose()
