"""Which way the records of a dataflow take, decided once and kept (design.md 11)."""

from __future__ import annotations

from crmflow.api.base import Transport
from crmflow.api.crmdataflow import CRMDataflowSpec
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.core.transport import probe
from crmflow.reconcile.dataflow.conditions import SOURCE_READY
from crmflow.reconcile.dataflow.state import SUCCESSOR, DataflowPass, objects_at
from crmflow.reconcile.external.flow import FLOW
from crmflow.reconcile.external.source_connection import SOURCE_CONNECTION


@step(SOURCE_READY)
async def decide_transport(
    pass_: DataflowPass, connection: ZohoSourceConnectionSpec, sandbox: SandboxClient
) -> Transport:
    """The way is that of what exists; else what the spec says, then the connection, then what Platform
    offers. It is kept: of what exists, only a replacement changes it.
    """
    transport = await _of_what_exists(pass_, sandbox)
    if transport is None:
        declared = (pass_.spec.transport, pass_.status.transport or Transport.AUTO, connection.transport)
        transport = next((one for one in declared if one is not Transport.AUTO), None)
    if transport is None:
        platform = connection.platform
        transport = await probe(pass_, sandbox.platform, platform.organization, platform.sandbox)
    pass_.record(transport=transport)
    return transport


async def _of_what_exists(pass_: DataflowPass, sandbox: SandboxClient) -> Transport | None:
    """The way of what is recorded, adopted or found again. Raises RemoteError."""
    status = pass_.status
    if has_begun(pass_):
        return status.transport or Transport.PLATFORM_SOURCE  # made before there was another way
    for transport in (Transport.PLATFORM_SOURCE, Transport.LANDING_ZONE):
        sandbox.inventory.include(transport)
    if pass_.spec.flow_id is not None:
        flow = await sandbox.read(FLOW, pass_.spec.flow_id)
        source_id = next(iter(flow.source_connection_ids), None) if flow is not None else None
    else:
        source_id = await creation.find_predecessor(pass_, sandbox, pass_.objects.source)
        source_id = source_id or _successor_of_lost_status(pass_, sandbox)
    source = await sandbox.read(SOURCE_CONNECTION, source_id)
    if source is None:
        return None
    return Transport.LANDING_ZONE if source.files is not None else Transport.PLATFORM_SOURCE


def _successor_of_lost_status(pass_: DataflowPass, sandbox: SandboxClient) -> str | None:
    """The source connection of a flow that was to replace another one, if listings show it: so rare that it
    is worth no call.
    """
    kind = objects_at(SUCCESSOR).source
    hits = sandbox.inventory.with_key(kind.collection, pass_.identity.key(kind.slot))
    return hits[0].id if hits else None


def wanted_transport(spec: CRMDataflowSpec, connection: ZohoSourceConnectionSpec) -> Transport:
    """What the spec says, or else the connection; Auto if neither does."""
    return connection.transport if spec.transport is Transport.AUTO else spec.transport


def has_begun(pass_: DataflowPass) -> bool:
    """Whether something has been made for the dataflow, or files are being written."""
    status = pass_.status
    if status.predecessor is not None:
        return True
    recorded = any(kind.id_in(status) is not None for kind in pass_.objects)
    return recorded or bool(creation.intents(pass_)) or status.extraction is not None
