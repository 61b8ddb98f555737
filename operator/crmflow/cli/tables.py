"""The columns of a table as a connection's dataflows read them: Platform's view of it, or Zoho CRM's own."""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.client import PlatformClient
from crmflow.aep.models import Column, Table
from crmflow.api.base import Transport
from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.preview import did_you_mean
from crmflow.cli.problem import Problem
from crmflow.cli.zoho import organization_of
from crmflow.reconcile.sources.module_view import columns_of
from crmflow.zoho import tables
from crmflow.zoho.tables import Module


async def table_columns(
    cluster: Cluster, connection: Connection, platform: PlatformClient, name: str
) -> tuple[str, Sequence[Column]]:
    """A table by its name or path, as a manifest names it, with its columns. Raises Problem and
    RemoteError.
    """
    if connection.transport is Transport.LANDING_ZONE:
        async with organization_of(cluster, connection) as api:
            module = find_module(name, await tables.modules(api))
            return module.api_name, list(columns_of(await tables.fields(api, module.api_name)).values())
    connection_id = base_connection_of(connection)
    table = find_table(name, await platform.tables(connection_id))
    return table.name, await platform.columns(connection_id, table.path)


def base_connection_of(connection: Connection) -> str:
    """The base connection to look through. Raises Problem if there is none yet."""
    found = connection.base_connection_id
    if found is None:
        raise Problem(
            f'ZohoSourceConnection "{connection.name}" has no base connection in Platform yet',
            f"`kubectl crmflow doctor {connection.name} -n {connection.namespace}` says what keeps it",
        )
    return found


def find_table(name: str, known: Sequence[Table]) -> Table:
    """The table of that name or path, as ``spec.source.table`` takes it. Raises Problem."""
    found = next((table for table in known if name in (table.name, table.path)), None)
    if found is not None:
        return found
    advice = did_you_mean(name, [table.name for table in known])
    raise Problem(
        f'Platform sees no table "{name}" in Zoho CRM', f"Tables go by the API names of modules. {advice}"
    )


def find_module(name: str, modules: Sequence[Module]) -> Module:
    """The module of that name, as ``spec.source.table`` takes it. Raises Problem."""
    found = next((module for module in modules if module.api_name == name), None)
    if found is None:
        readable = [module.api_name for module in modules if module.is_readable]
        raise Problem(
            f'Zoho CRM shows no module "{name}" to this grant',
            f"Tables go by the API names of modules. {did_you_mean(name, readable)}",
        )
    if not found.is_readable:
        raise Problem(f"Zoho's API does not deliver the records of {name}", "Leave the table out to see all")
    return found
