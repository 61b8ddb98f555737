"""Flows (platform.md 4.4 and 6)."""

from __future__ import annotations

import copy
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors, specs
from tests.emulators.aep.flowservice import schedule, transformations
from tests.emulators.aep.flowservice.collection import (
    Body,
    Collection,
    match_etag,
    operation,
    provider_error,
    reference,
)
from tests.emulators.aep.flowservice.connections import require_name
from tests.emulators.aep.flowservice.shapes import FlowShape
from tests.emulators.aep.flowservice.source_connections import inherited
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.resource import Resource
from tests.emulators.aep.seed_data import CLOUD_STORAGE_FLOW_SPEC
from tests.emulators.core.web import answer

_MEMBERS = {"sourceConnectionIds": "sourceConnections", "targetConnectionIds": "targetConnections"}


class Flows(Collection):
    """``/flows``."""

    kind = "flows"
    fields = frozenset(
        [
            "flowSpec",
            "sourceConnectionIds",
            "targetConnectionIds",
            "scheduleParams",
            "transformations",
            "options",
            "runs",
            "lastRunDetails",
            "labels",
            "recordTypes",
            "policy",
        ]
    )
    shape = FlowShape
    patchable = (
        "/name",
        "/description",
        "/scheduleParams/frequency",
        "/scheduleParams/interval",
        "/scheduleParams/startTime",
        "/scheduleParams/backfill",
        "/transformations",
        "/transformations/",
        "/options",
        "/options/",
        "/labels",
        "/policy",
    )

    def routes(self) -> list[web.RouteDef]:
        """The shared routes, action and search."""
        return [
            web.post(f"/{self.kind}/search", self.search),
            web.post(f"/{self.kind}/{{id}}/action", self.action),
            *super().routes(),
        ]

    def checked(self, ctx: Context, body: Body) -> Body:
        """All rules of creation (platform.md 6.1)."""
        if "state" in body:
            raise errors.flow(
                "FLOW-1410-400", "State not allowed", "state is not allowed in a create request"
            )
        if "mode" in body:
            raise provider_error(ctx, "1368-400", "Mode not allowed", "mode is not allowed in a flow request")
        require_name(ctx, body)
        spec = self._spec(ctx, body)
        source, target = (self._connection(ctx, body, member) for member in _MEMBERS)
        if source.body["connectionSpec"]["id"] not in spec["sourceConnectionSpecIds"]:
            detail = f"{spec['name']} does not support the source {source.body['connectionSpec']['id']}"
            raise provider_error(ctx, "1305-400", "Connector type not supported", detail)
        schedule.check(ctx, body.get("scheduleParams"))
        schedule.check_start(ctx, body["scheduleParams"])
        schedule.check_options(ctx, body.get("options"))
        transformations.check(ctx, body, source.body, target.body)
        return body

    def settle_new(self, ctx: Context, resource: Resource) -> None:
        """The flow takes what its connections say now; later edits don't reach it (platform.md 6.3)."""
        resource.extra["source"] = copy.deepcopy(self._first(ctx, resource, "sourceConnectionIds").body)
        resource.extra["target"] = copy.deepcopy(self._first(ctx, resource, "targetConnectionIds").body)
        files = resource.body["flowSpec"]["id"] == CLOUD_STORAGE_FLOW_SPEC
        (ctx.sandbox.file_flows if files else ctx.sandbox.table_flows).add(resource.id)
        resource.begin("create", "enabled-finalizing", "enabled", ctx.now, ctx.switches.transitionSeconds)

    def shown(self, ctx: Context, resource: Resource) -> Body:
        """The body as read, with what it inherits and its last run."""
        body = copy.deepcopy(resource.body)
        if ctx.switches.numbersOnRead == "strings":
            _as_strings(body)
        by_path = ctx.switches.runsLink == "path"
        body["runs"] = f"/flows/{resource.id}/runs" if by_path else f"/runs?property=flowId=={resource.id}"
        body["inheritedAttributes"] = self._inherited(ctx, resource)
        last = resource.extra.get("lastRunDetails")
        if last is not None and ctx.switches.lastRunDetails == "shown":
            body["lastRunDetails"] = dict(last)
        return body

    def hidden(self, ctx: Context, resource: Resource) -> bool:
        """A label that the caller lacks hides the flow, though listings show it (platform.md 1.4)."""
        return bool(set(ctx.switches.callerLacksLabels).intersection(resource.body.get("labels") or []))

    def check_patch(self, ctx: Context, resource: Resource, operation: Body) -> None:
        """What is too late to change (platform.md 6.2)."""
        if resource.state == "draft":
            return
        params, path = resource.body["scheduleParams"], operation["path"]
        once, begun = schedule.frequency(params) == "once", schedule.started(ctx, params)
        wanted = str(operation.get("value", "")).lower()
        if path == "/scheduleParams/frequency" and wanted == "once" and not once and begun:
            detail = "The start time has passed: the frequency can no longer be changed to once"
            raise provider_error(ctx, "1403-400", "Update not allowed", detail)
        if path in ("/scheduleParams/frequency", "/scheduleParams/interval") and once:
            raise provider_error(
                ctx, "1366-400", "Update not allowed", "A one-time flow cannot be rescheduled"
            )
        if path == "/scheduleParams/startTime":
            if begun:
                raise provider_error(ctx, "1366-400", "Update not allowed", "The start time has passed")
            schedule.check_start(ctx, {"startTime": operation.get("value")})
        if path == "/scheduleParams/backfill" and begun:
            detail = "The start time has passed: backfill can no longer be updated"
            raise provider_error(ctx, "1404-400", "Update not allowed", detail)

    def check_patched(self, ctx: Context, resource: Resource, body: Body) -> Body:
        """The result obeys the rules of creation, except that its start may lie behind."""
        if resource.state == "draft":
            return body
        schedule.check(ctx, body.get("scheduleParams"))
        schedule.check_options(ctx, body.get("options"))
        if body.get("transformations") != resource.body.get("transformations"):
            self._check_transformations(ctx, resource, body)
        return body

    def changed(self, ctx: Context, resource: Resource, operations: list[Body]) -> None:
        """Updates are asynchronous (platform.md 4.4)."""
        if resource.state == "draft":
            return
        self._begin(ctx, resource, "update", "updating", resource.state)
        if resource.last_operation is not None:
            resource.last_operation["ops"] = copy.deepcopy(operations)

    def remove(self, ctx: Context, resource: Resource) -> None:
        """End the flow, and its connections if AEP cascades (platform.md 16.3.8)."""
        if ctx.switches.deleteTransition == "finalizing":
            self._begin(ctx, resource, "delete", "delete-finalizing", "deleted")
        else:
            super().remove(ctx, resource)
        if not ctx.switches.cascadeOnFlowDelete:
            return
        for member, kind in _MEMBERS.items():
            for id in resource.body.get(member, []):
                if (connection := ctx.sandbox.stores[kind].get(id, ctx.now)) is not None:
                    ctx.sandbox.stores[kind].delete(connection, ctx.now)

    async def action(self, request: web.Request) -> web.Response:
        """Enable, disable, publish; finalizing is the provider's."""
        ctx = context(request)
        resource = self.changeable(ctx, request.match_info["id"])
        match_etag(ctx, request, resource, required=False)
        match operation(request):
            case "ENABLE":
                self._switch(ctx, resource, "enable", "enabling", "enabled")
            case "DISABLE":
                self._switch(ctx, resource, "disable", "disabling", "disabled")
            case "PUBLISH":
                await self.publish(ctx, resource)
            case _:
                raise errors.flow("FLOW-1402-400", "Not allowed", "This operation is not open to clients")
        return answer(reference(resource))

    def _switch(self, ctx: Context, resource: Resource, name: str, via: str, to: str) -> None:
        if resource.state == "draft":
            raise errors.flow("FLOW-1458-400", "Not allowed", f"A draft cannot be {to}")
        if resource.state == to:
            return
        resource.touch(ctx.now, ctx.author)
        self._begin(ctx, resource, name, via, to)
        if to == "disabled":
            resource.extra["disabledAt"] = ctx.now
        else:
            resource.extra["enabledAt"] = ctx.now

    def _begin(self, ctx: Context, resource: Resource, name: str, via: str, to: str) -> None:
        resource.begin(name, via, to, ctx.now, ctx.switches.transitionSeconds)

    def _spec(self, ctx: Context, body: Body) -> dict[str, Any]:
        wanted = body.get("flowSpec")
        id = wanted.get("id") if isinstance(wanted, dict) else None
        spec = specs.flow_spec(ctx.switches, str(id))
        if not isinstance(wanted, dict) or spec is None:
            raise errors.flow("FLOW-1413-400", "Invalid spec", f"No flow spec {id}")
        if wanted.get("version", spec["version"]) != spec["version"]:
            raise errors.flow("FLOW-1413-400", "Invalid spec", f"{id} has no version {wanted['version']}")
        body["flowSpec"] = {"id": spec["id"], "version": spec["version"]}
        return spec

    def _connection(self, ctx: Context, body: Body, member: str) -> Resource:
        wanted = body.get(member)
        if not isinstance(wanted, list) or len(wanted) != 1:
            raise provider_error(ctx, "1321-400", "Invalid number", f"{member}: exactly one id is expected")
        kind = _MEMBERS[member]
        found = ctx.sandbox.stores[kind].get(str(wanted[0]), ctx.now)
        if found is None or found.state == "draft":
            detail = f"{wanted[0]} does not exist or is a draft"
            raise errors.flow("FLOW-1101-404", "Resource not found", detail, resource=kind)
        for flow in ctx.sandbox.stores["flows"].living(ctx.now):
            if flow.state != "draft" and found.id in flow.body.get(member, []):
                # A connection is mapped to a single flow (platform.md 6.1); the code is not published.
                raise provider_error(
                    ctx, "1321-400", "Connection in use", f"{found.id} belongs to flow {flow.id}"
                )
        return found

    def _first(self, ctx: Context, resource: Resource, member: str) -> Resource:
        found = ctx.sandbox.stores[_MEMBERS[member]].get(resource.body[member][0], ctx.now)
        if found is None:
            raise self.not_found(ctx, resource.body[member][0])
        return found

    def _check_transformations(self, ctx: Context, resource: Resource, body: Body) -> None:
        old, new = (transformations.delta_column(b.get("transformations")) for b in (resource.body, body))
        if old != new and ctx.switches.patchDeltaColumn == "refused":
            raise provider_error(ctx, "1365-400", "Invalid patch", "The delta column cannot be changed")
        if schedule.frequency(resource.body["scheduleParams"]) == "once":
            raise provider_error(ctx, "1366-400", "Update not allowed", "A one-time flow keeps its mapping")
        transformations.check(ctx, body, resource.extra["source"], resource.extra["target"])

    def _inherited(self, ctx: Context, resource: Resource) -> Body:
        shown: Body = {"properties": {"isSourceFlow": True}, "sourceConnections": [], "targetConnections": []}
        stores = ctx.sandbox.stores
        for member, kind in _MEMBERS.items():
            for id in resource.body.get(member, []):
                connection = stores[kind].get(id, ctx.now)
                if connection is None:
                    continue
                entry = inherited(connection)
                base = stores["connections"].get(str(connection.body.get("baseConnectionId")), ctx.now)
                if base is not None:
                    entry["baseConnection"] = inherited(base)
                shown[kind].append(entry)
        return shown


def _as_strings(body: Body) -> None:
    """Scalars of a schedule and mapping as strings, as real answers show them (platform.md 16.1.4)."""
    params = body.get("scheduleParams")
    if isinstance(params, dict):
        for name in ("startTime", "interval", "backfill"):
            if name in params:
                params[name] = _text(params[name])
    mapping = transformations.named(body.get("transformations"), "Mapping")
    params = mapping.get("params") if mapping else None
    if isinstance(params, dict) and "mappingVersion" in params:
        params["mappingVersion"] = _text(params["mappingVersion"])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
