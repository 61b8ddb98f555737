"""Flow Service as one application."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.emulators.aep import errors
from tests.emulators.aep.flowservice import specs
from tests.emulators.aep.flowservice.collection import Collection
from tests.emulators.aep.flowservice.connections import Connections
from tests.emulators.aep.flowservice.flows import Flows
from tests.emulators.aep.flowservice.runs import Runs
from tests.emulators.aep.flowservice.source_connections import SourceConnections
from tests.emulators.aep.flowservice.target_connections import TargetConnections
from tests.emulators.aep.gateway import context
from tests.emulators.core.web import errors_as, slash_optional

COLLECTIONS: dict[str, Collection] = {
    collection.kind: collection
    for collection in (Connections(), SourceConnections(), TargetConnections(), Flows(), Runs())
}


def app() -> web.Application:
    """The application below ``/data/foundation/flowservice``."""
    application = web.Application(middlewares=[errors_as(errors.flow_http), _permitted])
    for collection in COLLECTIONS.values():
        application.router.add_routes(slash_optional(collection.routes()))  # platform.md 16.1.7
    application.router.add_routes(slash_optional(specs.routes()))
    return application


@web.middleware
async def _permitted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """View and Manage Sources (platform.md 1.4)."""
    permission = context(request).switches.sourcesPermission
    if permission == "none":
        raise errors.flow("FLOW-2120-403", "Forbidden", "View Sources is missing")
    reads = request.method == "GET" or request.path.endswith("/search")
    if permission == "view" and not reads:
        raise errors.flow("FLOW-2118-403", "Forbidden", "The permission write on EnterpriseSource is missing")
    return await handler(request)
