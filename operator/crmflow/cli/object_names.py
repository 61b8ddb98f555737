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
