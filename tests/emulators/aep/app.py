"""The platform's gateway with its services as one application."""

from __future__ import annotations

from aiohttp import web

from tests.emulators.aep import catalog, errors, export, gateway, landing_zone, sandboxes
from tests.emulators.aep.dataprep import app as dataprep
from tests.emulators.aep.flowservice import app as flowservice
from tests.emulators.aep.registry import app as registry
from tests.emulators.aep.state import AepState
from tests.emulators.core.web import errors_as


def platform_app(state: AepState) -> web.Application:
    """The application of the platform listener; paths below it are the real ones."""
    application = web.Application(middlewares=[errors_as(errors.gateway_http), gateway.middleware(state)])
    application.add_subapp(gateway.FLOW_SERVICE, flowservice.app())
    application.add_subapp(gateway.DATA_PREP, dataprep.app())
    application.add_subapp(gateway.CATALOG, catalog.app())
    application.add_subapp(gateway.SCHEMA_REGISTRY, registry.app())
    application.add_subapp(gateway.EXPORT, export.app())
    application.add_subapp(gateway.CONNECTORS, landing_zone.app())
    application.add_subapp(gateway.SANDBOX_MANAGEMENT, sandboxes.app())
    return application
