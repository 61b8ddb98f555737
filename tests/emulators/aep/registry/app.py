"""The Schema Registry as one application."""

from __future__ import annotations

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.gateway import context
from tests.emulators.aep.registry import descriptors, field_groups, schemas
from tests.emulators.aep.registry.common import Document
from tests.emulators.core.web import answer, errors_as, slash_optional


def app() -> web.Application:
    """The application below ``/data/foundation/schemaregistry``."""
    application = web.Application(middlewares=[errors_as(errors.xdm_http)])
    routes = [web.get("/stats", _stats)]
    for kind in (schemas, field_groups, descriptors):
        routes += kind.routes()
    application.router.add_routes(slash_optional(routes))
    return application


async def _stats(request: web.Request) -> web.Response:
    ctx = context(request)
    usage: dict[str, list[Document]] = {}
    for versions in ctx.sandbox.schemas.values():
        document = versions[max(versions)]
        entry = {"$id": document["$id"], "meta:altId": document["meta:altId"]}
        usage.setdefault(str(document["meta:class"]), []).append(entry)
    return answer(
        {
            "imsOrg": ctx.state.organization,
            "tenantId": ctx.state.tenant,
            "counts": {
                "schemas": len(ctx.sandbox.schemas),
                "mixins": len(ctx.sandbox.field_groups),
                "datatypes": 0,
                "classes": 0,
                "unions": 1,
            },
            "recentlyCreatedResources": [],
            "recentlyUpdatedResources": [],
            "classUsage": [
                {"$id": id, "numberOfSchemas": len(entries), "schemas": entries}
                for id, entries in usage.items()
            ],
        }
    )
