"""The steps of a CRMDataflow that come before all others: the connection that it reads through, and what is
read side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crmflow.aep.models import DataSet, Schema
from crmflow.api.base import Transport
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.reconcile.core import platform_access
from crmflow.reconcile.core.conditions import TRUE
from crmflow.reconcile.core.engine import step, together
from crmflow.reconcile.core.outcome import PassEndedError, StalledError, WaitingError
from crmflow.reconcile.core.prefetch import Prefetched, ask
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.dataflow import dataset, schema, source
from crmflow.reconcile.dataflow.conditions import SOURCE_READY, SYNCED
from crmflow.reconcile.dataflow.deletion import is_begun
from crmflow.reconcile.dataflow.mapping_sets import remember_mapping_set
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream, sandbox_of
from crmflow.reconcile.dataflow.transport import decide_transport, wanted_transport
from crmflow.reconcile.ports import ResourceView
from crmflow.reconcile.sources.view import SourceView

Source = Prefetched[SourceView | None]


async def find_connection(pass_: DataflowPass) -> Upstream:
    """The connection, and the way from it into Platform. Raises PassEndedError and RemoteError."""
    view, sandbox = await reach_sandbox(pass_)
    return await find_way(pass_, view, sandbox)


async def find_way(pass_: DataflowPass, view: ResourceView, sandbox: SandboxClient) -> Upstream:
    """The way from a connection into Platform. Raises PassEndedError and RemoteError."""
    transport = await decide_transport(pass_, view.spec, sandbox)
    sandbox.inventory.include(transport)
    upstream = await reach_source(pass_, view, sandbox, transport)
    remember_mapping_set(pass_, upstream)
    return upstream


async def reach_sandbox(pass_: DataflowPass) -> tuple[ResourceView, SandboxClient]:
    """The connection, and the sandbox that it leads to. Raises PassEndedError and RemoteError."""
    view, sandbox = await _reach_connection(pass_)
    await _check_sandbox(pass_, view.spec)
    return view, sandbox


@step(SOURCE_READY)
async def _reach_connection(pass_: DataflowPass) -> tuple[ResourceView, SandboxClient]:
    """The connection exists and is Ready, or is paused and was Ready before, and Platform can be reached
    through its credential.
    """
    name = pass_.spec.connection_ref.name
    view = pass_.services.lister.get(ZOHO_SOURCE_CONNECTION, pass_.identity.namespace, name)
    if view is None:
        raise WaitingError(
            "ConnectionNotFound",
            f'ZohoSourceConnection "{name}" does not exist in namespace "{pass_.identity.namespace}". '
            "Create it, or correct spec.connectionRef.",
        )
    # The last step of a connection counts the tables: without a count it has never been Ready.
    was_ready = view.spec.paused and view.status.tables is not None
    if not (view.ready or was_ready or _has_open_way(pass_, view)):
        text = f'ZohoSourceConnection "{name}" is not Ready; its conditions say why.'
        raise WaitingError("ConnectionNotReady", text)
    try:
        platform_access.check_tenancy(pass_, view.spec)
    except PassEndedError:
        if pass_.status.extraction is not None:
            await pass_.services.transfers.delete_all(pass_.identity.uid)
        raise
    return view, await platform_access.reach_platform(pass_, name, view.spec)


def _has_open_way(pass_: DataflowPass, view: ResourceView) -> bool:
    """Whether the landing zone is open, and that is all that the dataflow needs or is to need: a base
    connection that fails is nothing to wait for.
    """
    wanted = wanted_transport(pass_.spec, view.spec)
    way = pass_.status.transport if wanted is Transport.AUTO else wanted
    is_true = {entry.type for entry in view.status.conditions if entry.status == TRUE}
    return way is Transport.LANDING_ZONE and {"Authorized", "LandingZoneReady"} <= is_true


@step(SYNCED)
async def _check_sandbox(pass_: DataflowPass, connection: ZohoSourceConnectionSpec) -> None:
    """The connection leads to the sandbox that everything is in: elsewhere nothing of it would be found, and
    all be made for the second time. Raises PassEndedError.
    """
    here = sandbox_of(connection)
    there = pass_.status.platform
    if there is None or not is_begun(pass_):
        pass_.record(platform=here)
    elif there != here:
        raise StalledError(
            "ReplacementRequired",
            f'The flow is in "{there.sandbox}" of {there.organization}, where it goes on as it is, and '
            f'spec.connectionRef leads to sandbox "{here.sandbox}" of {here.organization}. No flow can be '
            "moved to another sandbox: set the field back, and create another resource for the other one.",
        )


@step(SOURCE_READY)
async def reach_source(
    pass_: DataflowPass, view: ResourceView, sandbox: SandboxClient, transport: Transport
) -> Upstream:
    """There is what the way begins with: a base connection, or the grant that we read Zoho CRM by."""
    name = pass_.spec.connection_ref.name
    connector = pass_.services.sources.of(transport)
    upstream = Upstream(name, view.spec, view.status, transport, connector, sandbox)
    if transport is Transport.LANDING_ZONE:
        if (obstacle := pass_.services.transfers.obstacle) is not None:
            raise StalledError("TransfersNotConfigured", obstacle)
        return replace(upstream, zoho=await platform_access.reach_zoho(pass_, name, view.spec))
    base = view.status.base_connection
    if base is None:
        text = f'ZohoSourceConnection "{name}" is still to make the base connection to read through.'
        raise WaitingError("ConnectionNotReady", text)
    return replace(upstream, base_connection_id=base.id)


@step(SYNCED)
async def confirm_listing(_pass: DataflowPass, upstream: Upstream) -> None:
    """Platform lists what the sandbox holds. What polls are refused is said by whoever relies on them."""
    await upstream.sandbox.inventory.confirm()


@step(SOURCE_READY)
async def look_for_parts(
    pass_: DataflowPass, upstream: Upstream
) -> tuple[Source, Prefetched[Sequence[Schema]], Prefetched[Sequence[DataSet]]]:
    """What a flow is made of is read side by side; the next steps judge it."""
    explored, schemas, datasets = await together(
        ask(source.explore(pass_, upstream, creates=pass_.status.extraction is None)),
        ask(schema.find_shared(pass_, upstream)),
        ask(dataset.find_shared(pass_, upstream)),
    )
    return explored, schemas, datasets


@step(SOURCE_READY)
async def look_at_used(pass_: DataflowPass, upstream: Upstream) -> tuple[Source, Prefetched[DataSet | None]]:
    """What a flow that exists reads and writes into, likewise."""
    explored, used = await together(
        ask(source.explore(pass_, upstream, creates=False)), ask(dataset.find_used(pass_, upstream))
    )
    return explored, used
