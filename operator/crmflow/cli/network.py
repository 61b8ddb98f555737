"""How the commands reach Zoho and Adobe: the operator's transport, at the operator's addresses."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import ValidationError

from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.pool import SpreadTransport
from crmflow.settings import PREFIX, Settings, setting_errors

# The rest of the operator's settings is no business of a command.
_ADDRESSES = ("platform_url", "ims_url", "zoho_accounts_url", "zoho_api_url")


def addresses() -> Settings:
    """The real hosts, unless the operator's settings of the same names are set here, too. Raises
    SettingError.
    """
    names = (PREFIX + name.upper() for name in _ADDRESSES)
    try:
        return Settings.from_environment({name: os.environ.get(name, "") for name in names})
    except ValidationError as error:
        raise setting_errors(error)[0] from None


@asynccontextmanager
async def http_client(clock: Clock) -> AsyncIterator[HttpClient]:
    """A client over one small pool of connections, through the proxy that the environment names."""
    http = HttpClient(SpreadTransport(pools=1), clock)
    try:
        yield http
    finally:
        await http.aclose()
