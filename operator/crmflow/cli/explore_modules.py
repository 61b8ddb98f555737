"""What Zoho CRM itself shows to a connection's grant: the modules, fields and rows of which the operator
writes files, and how they stand in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from crmflow.cli.options import ExploreOptions
from crmflow.cli.output import write_data, write_table
from crmflow.cli.preview import chosen, show_rows
from crmflow.cli.problem import Problem
from crmflow.cli.tables import find_module
from crmflow.cli.terminal import say
from crmflow.clock import Clock
from crmflow.reconcile.sources.module_view import columns_of
from crmflow.sentences import every
from crmflow.transfer.cells import text_of, utc
from crmflow.zoho import coql, tables
from crmflow.zoho.api import CrmApi
from crmflow.zoho.tables import Delivery, Field, Module

_USUAL_CURSOR = "Modified_Time"
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_IN_FILES = {
    Delivery.AS_IT_IS: "",
    Delivery.DATE_TIME: "in UTC",
    Delivery.ID: "the id",
    Delivery.LIST: "with semicolons",
    Delivery.NOT_DELIVERED: "not at all: no file has this type",
}


async def explore_modules(api: CrmApi, clock: Clock, options: ExploreOptions) -> None:
    """Carry the command out. Raises Problem and RemoteError."""
    modules = await tables.modules(api)
    if options.table is None:
        _show_modules(modules, options)
        return
    module = find_module(options.table, modules)
    fields = await tables.fields(api, module.api_name)
    if options.preview:
        await _show_preview(api, clock, module, fields, options)
    else:
        _show_fields(module, fields, options)


def _show_modules(modules: Sequence[Module], options: ExploreOptions) -> None:
    readable = [module for module in modules if module.is_readable]
    if options.output is not None:
        write_data([{"name": module.api_name, "label": module.label} for module in readable], options.output)
        return
    write_table(("TABLE", "LABEL"), [(module.api_name, module.label) for module in readable])
    if others := [module.api_name for module in modules if not module.is_readable]:
        say(f"Zoho's API does not deliver the records of {every(others)}.")


def _show_fields(module: Module, fields: Sequence[Field], options: ExploreOptions) -> None:
    shown = [_field(field) for field in fields]
    if options.output is not None:
        write_data({"table": module.api_name, "columns": shown}, options.output)
        return
    write_table(
        ("COLUMN", "TYPE", "DELTA COLUMN", "IN FILES"),
        [
            (field["name"], field["type"], "candidate" if field["deltaColumn"] else "", field["inFiles"])
            for field in shown
        ],
    )


def _field(field: Field) -> dict[str, Any]:
    column = columns_of([field]).get(field.api_name)
    notes = [_IN_FILES[field.delivery], "its changes go unnoticed" if field.is_formula else ""]
    return {
        "name": field.api_name,
        "type": column.format or column.type if column else field.data_type,
        "deltaColumn": column is not None and column.is_date,
        "delivered": column is not None,
        "inFiles": "; ".join(filter(None, notes)),
    }


async def _show_preview(
    api: CrmApi, clock: Clock, module: Module, fields: Sequence[Field], options: ExploreOptions
) -> None:
    columns = columns_of(fields)
    names = chosen(module.api_name, list(columns), options)
    dates = [column.name for column in columns.values() if column.is_date]
    if not dates:
        raise Problem(
            f"module {module.api_name} has no date-time column, by which rows are read",
            "Give the profile of the user who consented the right to see Modified_Time",
        )
    window = coql.ModuleWindow(
        module.api_name,
        _USUAL_CURSOR if _USUAL_CURSOR in dates else dates[0],
        _BEGINNING,
        clock.utcnow(),
    )
    page = await coql.Pager(rows=(options.rows,)).page(api, names, window, None)
    instants = {field.api_name for field in fields if field.delivery is Delivery.DATE_TIME}
    rows = [{name: _cell(row, name, instants) for name in names} for row in page.rows]
    show_rows({"table": module.api_name}, names, rows, options)


def _cell(row: Mapping[str, Any], name: str, instants: set[str]) -> str | None:
    """A value as it stands in a file; None where the file has nothing."""
    if row.get(name) is None:
        return None
    text = text_of(row[name])
    return utc(text.encode()).decode() if name in instants else text
