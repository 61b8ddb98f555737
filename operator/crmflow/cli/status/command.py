"""The command: what is read, and how it is shown. Reading connections and dataflows is all that it needs; it
leaves out the CRMDataflowRuns of who may not read them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from crmflow.api.kinds import CRM_DATAFLOW, CRM_DATAFLOW_RUN, ZOHO_SOURCE_CONNECTION, Kind
from crmflow.cli.api_server import ForbiddenError
from crmflow.cli.cluster import Cluster
from crmflow.cli.options import StatusOptions
from crmflow.cli.output import write, write_data
from crmflow.cli.problem import Problem
from crmflow.cli.status.report import ConnectionReport, Object, Picked, as_data, key_of, tree
from crmflow.cli.status.tree import drawn, nodes, plain, terminal
from crmflow.cli.terminal import say
from crmflow.clock import Clock
from crmflow.observability.redaction import redact

LOOK_SECONDS = 2.0
"""How often the resources are listed while they are watched."""


async def status(options: StatusOptions) -> bool:
    """Carry the command out; False if somebody has to look at something that is shown. Raises Problem."""
    console = terminal()
    if options.watch and console is None:
        raise Problem("there is no terminal to watch at", "Leave --watch out, or run it again and again")
    cluster, clock = await Cluster.connect(options.cluster), Clock.from_environment()
    try:
        if options.watch and console is not None:
            await _watch(cluster, options, clock, console)
        found = await look(cluster, options, clock)
    finally:
        await cluster.close()
    if options.output is not None:
        write_data({"connections": [as_data(one) for one in found]}, options.output)
    elif not found:
        say(_nothing(cluster, options))
    elif console is None:
        write(redact(plain(nodes(found, clock.utcnow(), options.runs))))
    else:
        console.print(drawn(nodes(found, clock.utcnow(), options.runs)))
    return all(one.is_well for one in found)


async def look(cluster: Cluster, options: StatusOptions, clock: Clock) -> list[ConnectionReport]:
    """What is asked for, as it is now. Raises Problem, also if nothing has the name."""
    connections = await cluster.objects(ZOHO_SOURCE_CONNECTION, everywhere=options.everywhere)
    dataflows = await cluster.objects(CRM_DATAFLOW, everywhere=options.everywhere)
    picked = Picked(
        await _picked(cluster, options, ZOHO_SOURCE_CONNECTION, connections),
        await _picked(cluster, options, CRM_DATAFLOW, dataflows),
    )
    found = tree(connections, dataflows, await _runs(cluster, options), picked, clock.utcnow())
    if not found and options.name is not None:
        raise Problem(_nothing(cluster, options), "Name its namespace with -n, or look into all with -A")
    return found


async def _runs(cluster: Cluster, options: StatusOptions) -> Sequence[Object]:
    try:
        return await cluster.objects(CRM_DATAFLOW_RUN, everywhere=options.everywhere)
    except ForbiddenError:
        return ()


async def _picked(
    cluster: Cluster, options: StatusOptions, kind: Kind, known: Sequence[Object]
) -> frozenset[tuple[str, str]]:
    """The resources of a kind that name and selector leave."""
    chosen: Iterable[Object] = known
    if options.selector is not None:
        chosen = await cluster.objects(kind, everywhere=options.everywhere, selector=options.selector)
    keys = (key_of(one) for one in chosen)
    return frozenset(key for key in keys if options.name in (None, key[1]))


async def _watch(cluster: Cluster, options: StatusOptions, clock: Clock, console: Console) -> None:
    """Show it until Ctrl-C, which ends the command."""
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            found = await look(cluster, options, clock)
            shown: RenderableType = Text(_nothing(cluster, options))
            if found:
                shown = drawn(nodes(found, clock.utcnow(), options.runs))
            live.update(shown, refresh=True)
            await asyncio.sleep(LOOK_SECONDS)


def _nothing(cluster: Cluster, options: StatusOptions) -> str:
    where = "in any namespace" if options.everywhere else f'in namespace "{cluster.namespace}"'
    kinds = f"{ZOHO_SOURCE_CONNECTION.kind} or {CRM_DATAFLOW.kind}"
    named = f' named "{options.name}"' if options.name is not None else ""
    matching = f' with labels "{options.selector}"' if options.selector is not None else ""
    return f"there is no {kinds}{named}{matching} {where}"
