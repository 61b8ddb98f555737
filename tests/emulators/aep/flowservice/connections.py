"""Base connections (platform.md 4.1)."""

from __future__ import annotations

import copy
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors, specs
from tests.emulators.aep.flowservice.collection import (
    Body,
    Collection,
    operation,
    provider_error,
    reference,
)
from tests.emulators.aep.flowservice.explore import auth_params, check_offered, explore, passed_on
from tests.emulators.aep.flowservice.shapes import ConnectionShape
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.resource import Resource
from tests.emulators.aep.seed_data import ZOHO_SPEC
from tests.emulators.core.source import SourceError
from tests.emulators.core.web import answer

_MASK = "****"


class Connections(Collection):
    """``/connections``: where the credentials of a source are kept."""

    kind = "connections"
    fields = frozenset({"connectionSpec", "auth"})
    shape = ConnectionShape
    patchable = ("/name", "/description", "/auth/params")

    def routes(self) -> list[web.RouteDef]:
        """The shared routes, and test, explore, configs, action and search."""
        one = f"/{self.kind}/{{id}}"
        return [
            web.post(f"/{self.kind}/search", self.search),
            web.get(f"{one}/test", self.test),
            web.get(f"{one}/explore", self.explore),
            web.get(f"{one}/configs", self.configs),
            web.post(f"{one}/action", self.action),
            *super().routes(),
        ]

    def checked(self, ctx: Context, body: Body) -> Body:
        """Name, spec, auth spec and its parameters."""
        spec = checked_spec(ctx, body)
        require_name(ctx, body)
        auth = body.get("auth")
        if "authSpec" not in spec:
            return body
        if not isinstance(auth, dict) or not isinstance(auth.get("specName"), str):
            raise provider_error(ctx, "1304-400", "Mandatory field missing", "auth.specName is missing")
        self._check_auth(ctx, spec, auth)
        return body

    def shown(self, ctx: Context, resource: Resource) -> Body:
        """The body, its secrets as the switch says (platform.md 16.3.5)."""
        body = copy.deepcopy(resource.body)
        params = body.get("auth", {}).get("params")
        if params is None or ctx.switches.secretsOnRead == "echoed":
            return body
        omit = ctx.switches.secretsOnRead == "omitted"
        body["auth"]["params"] = {
            name: _MASK if name in specs.SECRET_AUTH_PARAMS else value
            for name, value in params.items()
            if not (omit and name in specs.SECRET_AUTH_PARAMS)
        }
        return body

    def check_patch(self, ctx: Context, resource: Resource, operation: Body) -> None:
        """Refuse what the connector does not support; complete a partial ``/auth/params`` if it is merged."""
        if operation["path"] != "/auth/params":
            return
        match ctx.switches.patchAuthParams:
            case "refused1300":
                raise provider_error(
                    ctx, "1300-400", "Not supported", "PATCH is not supported by this connector"
                )
            case "refused1445":
                raise errors.flow("FLOW-1445-400", "Not enabled", "PATCH Connection Feature not enabled")
            case "merge" if isinstance(operation.get("value"), dict):
                operation["value"] = {**resource.body["auth"].get("params", {}), **operation["value"]}

    def check_patched(self, ctx: Context, resource: Resource, body: Body) -> Body:
        """The same rules as at creation."""
        return body if resource.state == "draft" else self.checked(ctx, body)

    def check_delete(self, ctx: Context, resource: Resource) -> None:
        """Flows come first (platform.md 12)."""
        sources = {
            s.id
            for s in ctx.sandbox.stores["sourceConnections"].living(ctx.now)
            if s.body.get("baseConnectionId") == resource.id
        }
        for flow in ctx.sandbox.stores["flows"].living(ctx.now):
            if sources.intersection(flow.body.get("sourceConnectionIds", [])):
                raise errors.flow(
                    "FLOW-1418-400",
                    "Base connection in use",
                    f"The base connection is used by one or more flows, for example {flow.id}",
                    resource=self.kind,
                    id=resource.id,
                )

    async def test(self, request: web.Request) -> web.Response:
        """Try the credentials at the source."""
        ctx = context(request)
        resource = self.find(ctx, request.match_info["id"])
        check_offered(ctx, resource)
        try:
            self._try(ctx, resource)
        except SourceError as error:
            return _failed_test(ctx, error)
        return answer({"result": True})

    async def explore(self, request: web.Request) -> web.Response:
        """Tables, columns and sample rows."""
        ctx = context(request)
        return explore(ctx, self.find(ctx, request.match_info["id"]), request)

    async def configs(self, request: web.Request) -> web.Response:
        """Nothing is configurable on a table source."""
        ctx = context(request)
        self.find(ctx, request.match_info["id"])
        return answer([])

    async def action(self, request: web.Request) -> web.Response:
        """Publish a draft; finalizing is the provider's."""
        ctx = context(request)
        resource = self.changeable(ctx, request.match_info["id"])
        if operation(request) != "PUBLISH":
            raise errors.flow("FLOW-1402-400", "Not allowed", "This operation is reserved for the provider")
        await self.publish(ctx, resource)
        return answer(reference(resource))

    def _try(self, ctx: Context, resource: Resource) -> None:
        forced = ctx.state.test_results.get(resource.id)
        if forced is not None:
            raise SourceError(forced)
        if resource.body["connectionSpec"]["id"] == ZOHO_SPEC:
            ctx.state.source.check(auth_params(resource))

    def _check_auth(self, ctx: Context, spec: dict[str, Any], auth: Body) -> None:
        names = [entry["name"] for entry in spec.get("authSpec", [])]
        if auth["specName"] not in names:
            detail = f"{auth['specName']!r} is not an auth spec of {spec['name']}: {names}"
            raise errors.flow("FLOW-1415-400", "Auth spec not found", detail)
        params = auth.get("params")
        if not isinstance(params, dict) or not all(isinstance(v, str) for v in params.values()):
            raise provider_error(ctx, "1304-400", "Mandatory field missing", "auth.params: strings expected")
        for name in next(e for e in spec["authSpec"] if e["name"] == auth["specName"])["spec"]["required"]:
            if not params.get(name):
                raise provider_error(
                    ctx, "1304-400", "Mandatory field missing", f"auth.params.{name} is missing"
                )
        if spec["id"] == ZOHO_SPEC:
            _check_endpoint(ctx, params)
            self._check_credentials(ctx, params)

    def _check_credentials(self, ctx: Context, params: dict[str, str]) -> None:
        if ctx.switches.validateOnCreate == "never":
            return
        try:
            ctx.state.source.check(params)
        except SourceError as error:
            raise passed_on(ctx, error) from None


def _failed_test(ctx: Context, error: SourceError) -> web.Response:
    """How AEP tells that the source let nobody in (platform.md 16.3.3)."""
    match ctx.switches.testFailure:
        case "error":
            raise passed_on(ctx, error) from None
        case "unavailable":
            raise errors.flow("FLOW-1103-503", "Service unavailable", "Try again later")
        case "timeout":
            raise errors.flow("FLOW-1104-504", "Gateway timeout", "The source did not answer in time")
    return answer({"result": False})


def checked_spec(ctx: Context, body: Body) -> dict[str, Any]:
    """The connection spec that a body names."""
    wanted = body.get("connectionSpec")
    if not isinstance(wanted, dict) or not isinstance(wanted.get("id"), str):
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "connectionSpec.id is missing")
    if "version" not in wanted and ctx.switches.connectionSpecVersion == "required":
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "connectionSpec.version is missing")
    spec = specs.connection_spec(ctx.switches, wanted["id"])
    if spec is None or wanted.get("version", spec["version"]) != spec["version"]:
        raise errors.flow(
            "FLOW-1413-400", "Invalid spec", f"No connection spec {wanted['id']} of that version"
        )
    body["connectionSpec"] = {"id": spec["id"], "version": spec["version"]}
    return spec


def require_name(ctx: Context, body: Body) -> None:
    """``name`` is required (platform.md 4.1, 4.2)."""
    if not isinstance(body.get("name"), str) or not body["name"].strip():
        raise provider_error(ctx, "1304-400", "Mandatory field missing", "name is missing")


def _check_endpoint(ctx: Context, params: dict[str, str]) -> None:
    """With scheme, without, or either (platform.md 16.3.1)."""
    wanted, value = ctx.switches.endpointFormat, params.get("endpoint", "")
    if value and wanted != "any" and ("://" in value) != (wanted == "url"):
        raise provider_error(ctx, "1308-400", "Error from the source", f"endpoint: a {wanted} is expected")
