"""``kubectl crmflow allowlist``: the addresses that Zoho has to let in so that Platform can read."""

from __future__ import annotations

from crmflow.aep.egress import AllowListFile
from crmflow.aep.sandboxes import SANDBOXES
from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.network import addresses
from crmflow.cli.options import AllowlistOptions
from crmflow.cli.output import write, write_data
from crmflow.cli.platform import sandbox_of
from crmflow.cli.problem import Problem
from crmflow.sentences import every, naming


async def allowlist(options: AllowlistOptions) -> None:
    """Carry the command out. Raises Problem and RemoteError."""
    if options.region is not None:
        region, ranges = _of_region(options.region)
    else:
        region, ranges = await _of_connection(options)
    if options.output is not None:
        write_data({"region": region, "ranges": list(ranges)}, options.output)
    else:
        write("\n".join(ranges))


def _of_region(region: str) -> tuple[str, tuple[str, ...]]:
    known = AllowListFile(addresses().ip_allow_list).current()
    ranges = known.ranges_of(region)
    if not ranges:
        raise Problem(
            f'Adobe publishes no addresses of batch sources for region "{region}"',
            f"There are some for {every(known.regions)}; ask Adobe for those of other regions",
        )
    return region.upper(), ranges


async def _of_connection(options: AllowlistOptions) -> tuple[str, tuple[str, ...]]:
    """Those that the operator has published, else those of the region that Platform says its sandbox has."""
    cluster = await Cluster.connect(options.cluster)
    try:
        connection = await _connection(cluster, options.name)
        published = connection.status.ip_allow_list
        if published is not None and published.ranges:
            return published.region, published.ranges
        return _of_region(await _region(cluster, connection))
    finally:
        await cluster.close()


async def _connection(cluster: Cluster, name: str | None) -> Connection:
    if name is not None:
        return await cluster.connection(name)
    found = await cluster.connections()
    if len(found) == 1:
        return found[0]
    holds = naming(
        f'namespace "{cluster.namespace}" holds {{}}',
        [connection.name for connection in found],
        none=f'namespace "{cluster.namespace}" holds no connection',
    )
    raise Problem(f"it takes the name of a connection or a --region: {holds}")


async def _region(cluster: Cluster, connection: Connection) -> str:
    name = connection.spec.platform.sandbox
    async with sandbox_of(cluster, connection) as platform:
        found = next((sandbox for sandbox in await platform.list(SANDBOXES) if sandbox.name == name), None)
    if found is None:
        raise Problem(
            f'sandbox "{name}" does not exist, or the role of the technical account does not include it',
            "Check spec.platform.sandbox, or name the region with --region",
        )
    return found.region
