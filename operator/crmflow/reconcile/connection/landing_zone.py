"""The steps of a ZohoSourceConnection whose dataflows go through the landing zone."""

from __future__ import annotations

from datetime import UTC, datetime

from crmflow.api.base import Transport
from crmflow.api.zohosourceconnection import LandingZoneStatus
from crmflow.reconcile.connection import authorization
from crmflow.reconcile.connection.conditions import AUTHORIZED, LANDING_ZONE_READY
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.core import platform_access
from crmflow.reconcile.core.conditions import FALSE
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, StalledError
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.ports import Zoho
from crmflow.reconcile.sources.connector import Reader


async def check_landing_zone(pass_: ConnectionPass, sandbox: SandboxClient, zoho: Zoho) -> None:
    """Files can be written into the landing zone. Where only some dataflows go through it, or are to, that it
    is not ready is told and takes nothing from the others. Raises PassEndedError and RemoteError.
    """
    try:
        if pass_.status.transport is not Transport.LANDING_ZONE:
            await authorization.check_reading_scopes(pass_, zoho)
        await _open_landing_zone(pass_, sandbox)
    except PassEndedError as error:
        if pass_.status.transport is Transport.LANDING_ZONE:
            raise
        pass_.set_condition(LANDING_ZONE_READY, FALSE, error.outcome.reason, error.outcome.message)


@step(LANDING_ZONE_READY)
async def _open_landing_zone(pass_: ConnectionPass, sandbox: SandboxClient) -> None:
    platform, services = pass_.spec.platform, pass_.services
    offer = await services.sources.landing_zone.offer(
        sandbox.platform, platform.organization, platform.sandbox, fresh=True
    )
    if offer.obstacle is not None:
        raise StalledError(*offer.obstacle)
    if (obstacle := services.transfers.obstacle) is not None:
        raise StalledError("TransfersNotConfigured", obstacle)
    credentials = await services.access.landing_zone(_connection_key(pass_)).credentials()
    end = credentials.expires_at
    pass_.record(
        landing_zone=LandingZoneStatus(
            container=credentials.container,
            expiry_time=None if end is None else datetime.fromtimestamp(int(end), UTC),
        )
    )


@step(AUTHORIZED)
async def count_modules(pass_: ConnectionPass, sandbox: SandboxClient, zoho: Zoho) -> None:
    """Zoho CRM shows its modules to the grant."""
    reader = Reader(
        _connection_key(pass_), sandbox.platform, zoho=zoho, environment=pass_.spec.zoho.environment
    )
    modules = await pass_.services.sources.landing_zone.tables(reader, fresh=True)
    pass_.record(tables=len(modules))
    pass_.checked = True


def _connection_key(pass_: ConnectionPass) -> str:
    return platform_access.connection_key(pass_.identity.namespace, pass_.identity.name)
