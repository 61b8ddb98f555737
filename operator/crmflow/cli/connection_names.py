"""The values that complete a CONNECTION on the command line."""

from __future__ import annotations

import asyncio

import typer

from crmflow.kubeconfig.options import ClusterOptions

_SECONDS = 3.0
"""For all calls together: somebody waits at a prompt."""


def connection_names(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the ZohoSourceConnections in the chosen namespace; none if they can't be found out."""
    from crmflow.cli.problem import Problem

    try:
        names = asyncio.run(_names(ClusterOptions.of(context.params)))
    except (Problem, TimeoutError):
        return []
    return [name for name in names if name.startswith(incomplete)]


async def _names(options: ClusterOptions) -> list[str]:
    from crmflow.cli.cluster import Cluster

    async with asyncio.timeout(_SECONDS):
        cluster = await Cluster.connect(options)
        try:
            return [connection.name for connection in await cluster.connections()]
        finally:
            await cluster.close()
