"""Explore: the tables and columns behind a base connection (platform.md 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.flowservice.collection import provider_error
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.resource import Resource
from tests.emulators.aep.seed_data import ZOHO_SPEC
from tests.emulators.aep.switches import SPEC_HIDDEN
from tests.emulators.core.source import SourceColumn, SourceError
from tests.emulators.core.web import ServiceError, answer

_PREVIEW_ROWS = 100
_PREFIX = "Crm."
_XDM_TYPES = {"string": "string", "boolean": "boolean", "double": "number", "integer": "number"}


def explore(ctx: Context, connection: Resource, request: web.Request) -> web.Response:
    """The answer to ``GET /connections/{id}/explore``."""
    parameters = request.query
    if connection.body["connectionSpec"]["id"] != ZOHO_SPEC:
        raise provider_error(ctx, "1336-400", "Explore not supported", "This source is not emulated")
    check_offered(ctx, connection)
    for name, value in parameters.items():
        if not value:
            raise provider_error(ctx, "1337-400", "Empty parameter", f"The parameter {name} is empty")
    if "filters" in parameters:
        raise provider_error(ctx, "1353-400", "Filters not supported", "This connector cannot filter rows")
    match parameters.get("objectType", "").lower():
        case "root":
            return answer(_tables(ctx, connection))
        case "table":
            preview = parameters.get("preview", "").lower() == "true"
            return answer(_table(ctx, connection, parameters.get("object", ""), preview))
        case other:
            raise provider_error(ctx, "1358-400", "Invalid objectType", f"{other!r} is not ROOT or TABLE")


def check_offered(ctx: Context, connection: Resource) -> None:
    """Whether a connection may outlive its connection spec (platform.md 16.2)."""
    hidden = connection.body["connectionSpec"]["id"] == ZOHO_SPEC and ctx.switches.zohoSource in SPEC_HIDDEN
    if hidden and ctx.switches.withdrawnConnections == "refused":
        raise provider_error(ctx, "1305-400", "Not supported", "The connector type zoho is not supported")


def auth_params(connection: Resource) -> Mapping[str, str]:
    """What the connector logs in with."""
    params: dict[str, str] = connection.body["auth"]["params"]
    return params


def table_name(path: str) -> str:
    """The source's own name of an explored table."""
    return path.removeprefix(_PREFIX)


def column(ctx: Context, found: SourceColumn) -> dict[str, Any]:
    """A column as explore prints it (platform.md 5, 16.1.22)."""
    shown: dict[str, Any] = {"name": found.name, "type": found.type}
    if ctx.switches.exploreColumns == "meta":
        return {**shown, "meta": {"originalType": "DateTime" if found.date_time else found.type.title()}}
    xdm = {"type": _XDM_TYPES[found.type]}
    if not found.date_time:
        return {**shown, "xdm": xdm}
    return {**shown, "meta:xdmType": "date-time", "xdm": {**xdm, "format": "date-time"}}


def _tables(ctx: Context, connection: Resource) -> list[dict[str, Any]]:
    try:
        names = ctx.state.source.tables(auth_params(connection))
    except SourceError as error:
        raise passed_on(ctx, error) from None
    prefix = _PREFIX if ctx.switches.tableNaming == "prefixed" else ""
    return [
        {
            "type": "table",
            "name": name,
            "path": prefix + name,
            "canPreview": True,
            "canFetchSchema": True,
        }
        for name in names
    ]


def _table(ctx: Context, connection: Resource, path: str, preview: bool) -> dict[str, Any]:
    if not path:
        raise provider_error(ctx, "1337-400", "Empty parameter", "The parameter object is missing")
    source, params, name = ctx.state.source, auth_params(connection), table_name(path)
    if name in ctx.switches.unreadableTables:
        detail = "Error from flow provider: Resource with given id does not exist."
        raise errors.flow(ctx.switches.notFoundCode, "Resource not found", detail)
    try:
        columns = source.columns(params, name)
        rows = source.rows(params, name, _PREVIEW_ROWS) if preview else []
    except SourceError as error:
        raise passed_on(ctx, error) from None
    except KeyError:
        raise provider_error(ctx, "1330-400", "No columns found", f"No columns found for {path}") from None
    shown: dict[str, Any] = {"format": "flat", "schema": {"columns": [column(ctx, c) for c in columns]}}
    if preview:
        shown["data"] = rows
    return shown


def passed_on(ctx: Context, error: SourceError) -> ServiceError:
    """What the source's own refusal looks like to a client of AEP (platform.md 2.3, 2.4)."""
    return provider_error(ctx, ctx.switches.sourceRefusalCode, "Error from the source", error.message)
