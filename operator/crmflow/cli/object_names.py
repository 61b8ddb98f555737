"""The values that complete the name of a resource on the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import typer

from crmflow.kubeconfig.options import ClusterOptions

if TYPE_CHECKING:
    from crmflow.cli.cluster import Cluster

_SECONDS = 3.0
"""For all calls together: somebody waits at a prompt."""


def connection_names(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the ZohoSourceConnections in the chosen namespace; none if they can't be found out."""
    from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION

    return _beginning(context, incomplete, lambda cluster: cluster.names(ZOHO_SOURCE_CONNECTION))


def dataflow_names(context: typer.Context, incomplete: str) -> list[str]:
    """The same of the CRMDataflows."""
    from crmflow.api.kinds import CRM_DATAFLOW

    return _beginning(context, incomplete, lambda cluster: cluster.names(CRM_DATAFLOW))


def resource_names(context: typer.Context, incomplete: str) -> list[str]:
    """The same of both kinds."""
    return sorted({*connection_names(context, incomplete), *dataflow_names(context, incomplete)})


def run_ids(context: typer.Context, incomplete: str) -> list[str]:
    """The last runs of the CRMDataflow that was named before."""
    name = context.params.get("name")

    async def ids(cluster: Cluster) -> list[str]:
        return [run.id for run in (await cluster.dataflow(name)).status.recent_runs or ()] if name else []

    return _beginning(context, incomplete, ids)


def planned_names(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the CRMDataflows, and of the ZohoSourceConnections as ``connection/NAME``."""
    from crmflow.api.kinds import CRM_DATAFLOW, ZOHO_SOURCE_CONNECTION

    async def ask(cluster: Cluster) -> list[str]:
        connections = await cluster.names(ZOHO_SOURCE_CONNECTION)
        return [*await cluster.names(CRM_DATAFLOW), *(f"connection/{name}" for name in connections)]

    return _beginning(context, incomplete, ask)


def _beginning(
    context: typer.Context, incomplete: str, ask: Callable[[Cluster], Awaitable[list[str]]]
) -> list[str]:
    from crmflow.cli.problem import Problem

    try:
        names = asyncio.run(_names(ClusterOptions.of(context.params), ask))
    except (Problem, TimeoutError):
        return []
    return [name for name in names if name.startswith(incomplete)]


async def _names(options: ClusterOptions, ask: Callable[[Cluster], Awaitable[list[str]]]) -> list[str]:
    from crmflow.cli.cluster import Cluster

    async with asyncio.timeout(_SECONDS):
        cluster = await Cluster.connect(options)
        try:
            return await ask(cluster)
        finally:
            await cluster.close()
