"""Source connections: which table and columns of a base connection are read (platform.md 4.2)."""

from __future__ import annotations

import copy
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.flowservice.collection import Body, Collection, provider_error, reference
from tests.emulators.aep.flowservice.connections import checked_spec, require_name
from tests.emulators.aep.flowservice.explore_files import require_folder
from tests.emulators.aep.flowservice.shapes import SourceConnectionShape
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.ingestion.files import COMPRESSIONS, ENCODINGS, FORMATS, in_container
from tests.emulators.aep.resource import Resource
from tests.emulators.aep.seed_data import DYNAMICS_SPEC, LANDING_ZONE_SPEC, ZOHO_SPEC

_TABLE_SPECS = (ZOHO_SPEC, DYNAMICS_SPEC)


class SourceConnections(Collection):
    """``/sourceConnections``."""

    kind = "sourceConnections"
    fields = frozenset({"baseConnectionId", "data", "params", "connectionSpec"})
    shape = SourceConnectionShape
    patchable = ("/name", "/description", "/params", "/params/", "/data", "/data/", "/baseConnectionId")

    def routes(self) -> list[web.RouteDef]:
        """The shared routes and publish."""
        return [web.post(f"/{self.kind}/{{id}}/action", self.publish_action), *super().routes()]

    def checked(self, ctx: Context, body: Body) -> Body:
        """Spec, name, data format, base connection, table and columns."""
        spec = checked_spec(ctx, body)
        require_name(ctx, body)
        if spec["id"] in _TABLE_SPECS:
            _check_table(ctx, body)
        if spec["id"] == LANDING_ZONE_SPEC:
            _check_files(ctx, body)
        if base := body.get("baseConnectionId"):
            found = ctx.sandbox.stores["connections"].get(str(base), ctx.now)
            if found is None:
                detail = f"The base connection {base} does not exist"
                raise errors.flow("FLOW-1101-404", "Resource not found", detail, resource="connections")
            if found.body["connectionSpec"]["id"] != spec["id"]:
                detail = "The connection spec differs from the base connection's"
                raise errors.flow("FLOW-1413-400", "Invalid spec", detail)
        return body

    async def check_source(self, ctx: Context, body: Body) -> None:
        """Whether there must be files already (landing-zone.md K.3)."""
        if body["connectionSpec"]["id"] == LANDING_ZONE_SPEC:
            await require_folder(ctx, body["params"]["path"])

    def shown(self, ctx: Context, resource: Resource) -> Body:
        """The body as read: data completed, the base connection inherited."""
        body = copy.deepcopy(resource.body)
        if isinstance(body.get("data"), dict):
            body["data"] = {"schema": None, "properties": None, **body["data"]}
        if ctx.switches.columnTypeCase == "title":
            for column in body.get("params", {}).get("columns", []):
                if isinstance(column.get("xdm"), dict):
                    column["xdm"]["type"] = str(column["xdm"].get("type", "")).title()
        base = ctx.sandbox.stores["connections"].get(str(body.get("baseConnectionId")), ctx.now)
        if base is not None:
            body["inheritedAttributes"] = {"baseConnection": inherited(base)}
        return body

    def patch_answer(self, ctx: Context, resource: Resource) -> Body:
        """Id and etag, or the whole object in the list envelope (platform.md 4.2)."""
        return patch_answer(self, ctx, resource)

    def check_patched(self, ctx: Context, resource: Resource, body: Body) -> Body:
        """The same rules as at creation; an existing flow does not see the change (platform.md 6.3)."""
        return body if resource.state == "draft" else self.checked(ctx, body)

    def check_delete(self, ctx: Context, resource: Resource) -> None:
        """A flow that reads from it comes first."""
        refuse_while_used(ctx, resource, self.kind, "sourceConnectionIds")


def inherited(connection: Resource) -> dict[str, Any]:
    """What a source connection or flow shows of its base connection."""
    return {"id": connection.id, "connectionSpec": dict(connection.body["connectionSpec"])}


def patch_answer(collection: Collection, ctx: Context, resource: Resource) -> Body:
    """The answer to a PATCH, which the published file types as a list (platform.md 4.2)."""
    if ctx.switches.sourceTargetPatchAnswer == "items":
        return {"items": [collection.item(ctx, resource)], "_links": {}}
    return reference(resource)


def refuse_while_used(ctx: Context, resource: Resource, kind: str, member: str) -> None:
    """Raise 1447-400 if a flow names the connection."""
    for flow in ctx.sandbox.stores["flows"].living(ctx.now):
        if resource.id in flow.body.get(member, []):
            detail = f"Active flows contain this id, for example {flow.id}"
            raise errors.flow("FLOW-1447-400", "Connection in use", detail, resource=kind, id=resource.id)


def _check_table(ctx: Context, body: Body) -> None:
    data = body.get("data")
    if not isinstance(data, dict):
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "data is missing")
    if data.get("format") != "tabular":
        detail = f"data.format {data.get('format')!r} is not supported by a table source"
        raise provider_error(ctx, "1327-400", "Unsupported format", detail)
    if not body.get("baseConnectionId"):
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "baseConnectionId is missing")
    params = body.get("params")
    if (
        not isinstance(params, dict)
        or not isinstance(params.get("tableName"), str)
        or not params["tableName"]
    ):
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "params.tableName is missing")
    columns = params.get("columns")
    if not isinstance(columns, list) or not columns:
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "params.columns is missing")
    if not all(isinstance(c, dict) and c.get("name") and c.get("type") for c in columns):
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "a column needs name and type")


def _check_files(ctx: Context, body: Body) -> None:
    """A folder or file of the landing zone (landing-zone.md E.2, K.3)."""
    data, params = body.get("data"), body.get("params")
    if not isinstance(data, dict):
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "data is missing")
    if data.get("format") not in FORMATS:
        detail = f"data.format {data.get('format')!r} is not one of {', '.join(FORMATS)}"
        raise provider_error(ctx, "1327-400", "Unsupported format", detail)
    _check_properties(ctx, data.get("properties") or {})
    if not isinstance(params, dict) or not params.get("path"):
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "params.path is missing")
    if in_container(params["path"]) is None:
        raise provider_error(ctx, "1308-400", "Error from the source", "The container does not exist")
    if params.get("type", "folder") not in ("folder", "file"):
        raise provider_error(ctx, "1304-400", "Invalid params", "params.type: folder or file is expected")


def _check_properties(ctx: Context, properties: Body) -> None:
    delimiter = properties.get("columnDelimiter", ",")
    known = (
        isinstance(delimiter, str)
        and len(delimiter) == 1
        and properties.get("encoding", "UTF-8") in ENCODINGS
        and properties.get("compressionType") in (None, *COMPRESSIONS)
    )
    if not known:
        detail = f"data.properties {properties} are not supported"
        raise provider_error(ctx, "1327-400", "Unsupported format", detail)
