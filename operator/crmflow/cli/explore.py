"""``kubectl crmflow explore``: what Platform sees of Zoho CRM through a connection.

Rows go to standard output only, when they are asked for; no message, log or report ever holds one.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from crmflow.aep.client import PlatformClient
from crmflow.aep.models import Column, Preview, Table
from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.options import ExploreOptions
from crmflow.cli.output import write_data, write_table
from crmflow.cli.platform import sandbox_of
from crmflow.cli.problem import Problem
from crmflow.cli.terminal import say
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.sources import causes
from crmflow.sentences import some

COLUMNS_SHOWN = 6
"""Columns of a preview when none are named: what fits on most terminals."""
NAMES_SHOWN = 5


async def explore(options: ExploreOptions) -> None:
    """Carry the command out. Raises Problem and RemoteError."""
    cluster = await Cluster.connect(options.cluster)
    try:
        connection = await cluster.connection(options.name)
        connection_id = _base_connection(connection)
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
    finally:
        await cluster.close()


async def _explore(platform: PlatformClient, connection_id: str, options: ExploreOptions) -> None:
    tables = await platform.tables(connection_id)
    if options.table is None:
        _show_tables(tables, options)
        return
    table = _find(options.table, tables)
    if options.preview:
        _show_preview(table, await platform.preview(connection_id, table.path), options)
    else:
        _show_columns(table, await platform.columns(connection_id, table.path), options)


def _base_connection(connection: Connection) -> str:
    found = connection.base_connection_id
    if found is None:
        raise Problem(
            f'ZohoSourceConnection "{connection.name}" has no base connection in Platform yet',
            f"`kubectl crmflow doctor {connection.name} -n {connection.namespace}` says what keeps it",
        )
    return found


def _find(name: str, tables: tuple[Table, ...]) -> Table:
    """The table of that name or path, as ``spec.source.table`` takes it."""
    found = next((table for table in tables if name in (table.name, table.path)), None)
    if found is not None:
        return found
    names = [table.name for table in tables]
    by_lower = {known.lower(): known for known in names}
    close = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, NAMES_SHOWN)]
    raise Problem(
        f'Platform sees no table "{name}" in Zoho CRM',
        f"Tables go by the API names of modules. {_did_you_mean(close)}",
    )


def _did_you_mean(close: list[str]) -> str:
    if not close:
        return "Leave the table out to see all"
    return f"Did you mean {' or '.join(close)}?"


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
    rows = preview.rows[: options.rows]
    names = _chosen(table, preview.columns, options)
    if options.output is not None:
        shown = [{name: row.get(name) for name in names} for row in rows]
        write_data({**_described(table), "rows": shown}, options.output)
        return
    if not options.columns and len(names) > COLUMNS_SHOWN:
        say(f"{COLUMNS_SHOWN} of {len(names)} columns; --columns chooses others, -o json shows all.")
        names = names[:COLUMNS_SHOWN]
    write_table(names, [[row.get(name) for name in names] for row in rows])
    if not rows:
        say("The table has no rows that this grant may read.")


def _chosen(table: Table, columns: tuple[Column, ...], options: ExploreOptions) -> list[str]:
    names = [column.name for column in columns]
    unknown = [name for name in options.columns if name not in names]
    if unknown:
        raise Problem(
            f'table "{table.name}" has no column {some(unknown)}',
            f"Without --preview, `explore {options.name} {table.name}` lists its columns",
        )
    return list(options.columns) or names


def _described(table: Table) -> dict[str, Any]:
    return {"table": table.name, "path": table.path}


def _type(column: Column) -> str:
    return column.format or column.type


def _column(column: Column) -> dict[str, Any]:
    return {"name": column.name, "type": _type(column), "deltaColumn": column.is_date}
