"""Target connections: the dataset that a flow writes (platform.md 4.3)."""

from __future__ import annotations

import copy

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.flowservice.collection import Body, Collection, provider_error
from tests.emulators.aep.flowservice.connections import checked_spec
from tests.emulators.aep.flowservice.shapes import TargetConnectionShape
from tests.emulators.aep.flowservice.source_connections import patch_answer, refuse_while_used
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.media import major_version
from tests.emulators.aep.resource import Resource
from tests.emulators.aep.seed_data import DATA_LAKE_SPEC


class TargetConnections(Collection):
    """``/targetConnections``."""

    kind = "targetConnections"
    fields = frozenset({"data", "params", "connectionSpec", "baseConnectionId"})
    shape = TargetConnectionShape
    patchable = ("/name", "/description", "/params", "/params/", "/data", "/data/")

    def routes(self) -> list[web.RouteDef]:
        """The shared routes and publish."""
        return [web.post(f"/{self.kind}/{{id}}/action", self.publish_action), *super().routes()]

    def checked(self, ctx: Context, body: Body) -> Body:
        """Spec, dataset and schema."""
        wanted = body.get("connectionSpec")
        if isinstance(wanted, dict) and wanted.get("id") not in (None, DATA_LAKE_SPEC):
            detail = f"{wanted['id']} is not a target of this source; expected {DATA_LAKE_SPEC}"
            raise provider_error(ctx, "1307-400", "Invalid target spec", detail)
        checked_spec(ctx, body)
        data = body.get("data")
        if not isinstance(data, dict):
            raise provider_error(ctx, "1304-400", "Mandatory field missing", "data is missing")
        params = body.get("params")
        dataset = params.get("dataSetId") if isinstance(params, dict) else None
        if not isinstance(dataset, str) or dataset not in ctx.sandbox.datasets:
            detail = f"The dataset {dataset} does not exist" if dataset else "params.dataSetId is empty"
            raise provider_error(ctx, "1325-400", "Invalid dataset id", detail)
        if (schema := data.get("schema")) is not None:
            _check_schema(ctx, schema)
        return body

    def shown(self, ctx: Context, resource: Resource) -> Body:
        """The body as declared."""
        return copy.deepcopy(resource.body)

    def patch_answer(self, ctx: Context, resource: Resource) -> Body:
        """Id and etag, or the whole object in the list envelope (platform.md 4.2)."""
        return patch_answer(self, ctx, resource)

    def check_patched(self, ctx: Context, resource: Resource, body: Body) -> Body:
        """The same rules as at creation; an existing flow does not see the change (platform.md 6.3)."""
        return body if resource.state == "draft" else self.checked(ctx, body)

    def check_delete(self, ctx: Context, resource: Resource) -> None:
        """A flow that writes through it comes first."""
        refuse_while_used(ctx, resource, self.kind, "targetConnectionIds")


def _check_schema(ctx: Context, schema: object) -> None:
    id = schema.get("id") if isinstance(schema, dict) else None
    versions = ctx.sandbox.schemas.get(str(id))
    if not isinstance(schema, dict) or versions is None:
        raise errors.flow("FLOW-1101-404", "Resource not found", f"The schema {id} does not exist")
    version = major_version(schema.get("version"))
    if version not in versions:
        detail = f"The schema {id} has no version {schema.get('version')}"
        raise errors.flow("FLOW-1101-404", "Resource not found", detail)
