"""The table that a flow reads (platform.md 4.2)."""

from __future__ import annotations

from typing import Any

from tests.emulators.aep.flowservice.explore import auth_params, table_name
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.resource import Resource

_ROWS = 1_000_000


def rows(ctx: Context, flow: Resource) -> list[dict[str, Any]]:
    """All its rows. Raises SourceError if the source refuses, KeyError if connection or table is gone."""
    base, table = _base(ctx, flow), table_name(flow.extra["source"]["params"]["tableName"])
    return ctx.state.source.rows(auth_params(base), table, _ROWS)


def instants(ctx: Context, flow: Resource) -> set[str]:
    """The names of its columns that hold instants. Raises as :func:`rows` does."""
    base, table = _base(ctx, flow), table_name(flow.extra["source"]["params"]["tableName"])
    return {column.name for column in ctx.state.source.columns(auth_params(base), table) if column.date_time}


def _base(ctx: Context, flow: Resource) -> Resource:
    id = str(flow.extra["source"].get("baseConnectionId"))
    base = ctx.sandbox.stores["connections"].get(id, ctx.now)
    if base is None:
        raise KeyError(id)
    return base
