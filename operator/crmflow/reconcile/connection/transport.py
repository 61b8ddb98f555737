"""Which way the records of new dataflows take, decided once and kept (design.md 11)."""

from __future__ import annotations

from crmflow.api.base import Transport
from crmflow.reconcile.connection.conditions import SOURCE_OFFERED
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.deletion import has_remote
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.core.transport import probe
from crmflow.reconcile.external.base_connection import BASE_CONNECTION


@step(SOURCE_OFFERED)
async def decide_transport(pass_: ConnectionPass, sandbox: SandboxClient) -> Transport:
    """What the spec says; else what there is, then what was decided before, then what Platform offers."""
    transport = _known(pass_)
    if transport is None and await creation.find_predecessor(pass_, sandbox, BASE_CONNECTION) is not None:
        transport = Transport.PLATFORM_SOURCE  # after a cluster was rebuilt
    if transport is None:
        platform = pass_.spec.platform
        transport = await probe(pass_, sandbox.platform, platform.organization, platform.sandbox)
    pass_.record(transport=transport)
    return transport


def _known(pass_: ConnectionPass) -> Transport | None:
    if pass_.spec.transport is Transport.AUTO and pass_.spec.connection_id is not None:
        return Transport.PLATFORM_SOURCE
    own = pass_.own_transport
    if own is not Transport.LANDING_ZONE and has_remote(pass_, BASE_CONNECTION):
        return Transport.PLATFORM_SOURCE
    return own
