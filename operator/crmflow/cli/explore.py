"""``kubectl crmflow explore``: what there is in Zoho CRM, as those see it who read it through a connection:
Platform, or the operator itself where it writes files into the landing zone.
"""

from __future__ import annotations

from typing import Any

from crmflow.aep.client import PlatformClient
from crmflow.aep.models import Column, Preview, Table
from crmflow.api.base import Transport
from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.explore_modules import explore_modules
from crmflow.cli.options import ExploreOptions
from crmflow.cli.output import write_data, write_table
from crmflow.cli.platform import sandbox_of
from crmflow.cli.preview import chosen, show_rows
from crmflow.cli.problem import Problem
from crmflow.cli.tables import base_connection_of, find_table
from crmflow.cli.zoho import organization_of
from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.sources import causes


async def explore(options: ExploreOptions) -> None:
    """Carry the command out. Raises Problem and RemoteError."""
    cluster = await Cluster.connect(options.cluster)
    try:
        connection = await cluster.connection(options.name)
        if connection.transport is Transport.LANDING_ZONE:
            await _at_zoho(cluster, connection, options)
        else:
            await _at_platform(cluster, connection, options)
    finally:
        await cluster.close()


async def _at_zoho(cluster: Cluster, connection: Connection, options: ExploreOptions) -> None:
    try:
        async with organization_of(cluster, connection) as api:
            await explore_modules(api, Clock.from_environment(), options)
    except RemoteError as error:
        raise connection.advisor.advised(error) from error


async def _at_platform(cluster: Cluster, connection: Connection, options: ExploreOptions) -> None:
    connection_id = base_connection_of(connection)
    try:
        async with sandbox_of(cluster, connection) as platform:
            await _explore(platform, connection_id, options)
    except RemoteError as error:
        if error.error_class is ErrorClass.NOT_FOUND or not causes.concerns_source(error):
            raise
        raise Problem(
            f"Platform could not use Zoho CRM: {causes.quoted(error)}",
            causes.of_a_test(connection.evidence(), error.message),
        ) from error


async def _explore(platform: PlatformClient, connection_id: str, options: ExploreOptions) -> None:
    tables = await platform.tables(connection_id)
    if options.table is None:
        _show_tables(tables, options)
        return
    table = find_table(options.table, tables)
    if options.preview:
        _show_preview(table, await platform.preview(connection_id, table.path), options)
    else:
        _show_columns(table, await platform.columns(connection_id, table.path), options)


def _show_tables(tables: tuple[Table, ...], options: ExploreOptions) -> None:
    if options.output is not None:
        write_data([{"name": table.name, "path": table.path} for table in tables], options.output)
        return
    write_table(("TABLE", "PATH"), [(table.name, table.path) for table in tables])


def _show_columns(table: Table, columns: tuple[Column, ...], options: ExploreOptions) -> None:
    if options.output is not None:
        write_data({**_described(table), "columns": list(map(_column, columns))}, options.output)
        return
    write_table(
        ("COLUMN", "TYPE", "DELTA COLUMN"),
        [(column.name, _type(column), "candidate" if column.is_date else "") for column in columns],
    )


def _show_preview(table: Table, preview: Preview, options: ExploreOptions) -> None:
    names = chosen(table.name, [column.name for column in preview.columns], options)
    show_rows(_described(table), names, preview.rows[: options.rows], options)


def _described(table: Table) -> dict[str, Any]:
    return {"table": table.name, "path": table.path}


def _type(column: Column) -> str:
    return column.format or column.type


def _column(column: Column) -> dict[str, Any]:
    return {"name": column.name, "type": _type(column), "deltaColumn": column.is_date}
