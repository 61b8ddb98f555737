"""The Data Landing Zone of a sandbox: where it is, and what opens it (landing-zone.md E.1, K.1)."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from hack.console import ToolError
from tests.emulators.aep import errors
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.state import AepState, LandingZone, Sandbox
from tests.emulators.blob.azurite import CONTAINER
from tests.emulators.core.web import ServiceError, answer, errors_as, slash_optional

_TYPE = "user_drop_zone"
_AWS = "Amazon S3"


def app() -> web.Application:
    """The application below ``/data/foundation/connectors``."""
    application = web.Application(middlewares=[errors_as(errors.generic_http)])
    application.router.add_routes(
        slash_optional(
            [
                web.get("/landingzone", _zone),
                web.get("/landingzone/credentials", _credentials),
                web.post("/landingzone/credentials", _refresh),
            ]
        )
    )
    return application


async def _zone(request: web.Request) -> web.Response:
    ctx = _checked(request)
    if ctx.switches.landingZoneProvider == "aws":
        ttl = {"timeUnit": "days", "timeQuantity": 7}
        return answer({"dlzPath": _aws_path(ctx), "dataTTL": ttl, "dlzProvider": _AWS})
    return answer({"containerName": CONTAINER, "containerTTL": "7"})


async def _credentials(request: web.Request) -> web.Response:
    """The same until they expire, then new ones."""
    return await _answer(_checked(request))


async def _refresh(request: web.Request) -> web.Response:
    """New ones; the old ones end for everybody who has them."""
    ctx = _checked(request, writes=True)
    if request.query.get("action") != "refresh":
        raise _refusal(ctx, 400, "action=refresh is expected")
    ctx.sandbox.landing_zone = None
    return await _answer(ctx)


async def _answer(ctx: Context) -> web.Response:
    if ctx.switches.landingZoneProvider == "aws":
        return answer(_aws_credentials(ctx))
    try:
        zone = await current(ctx.state, ctx.sandbox)
    except ToolError as error:
        raise errors.generic(500, "InternalServerError", str(error)) from None
    body = {
        "containerName": CONTAINER,
        "SASToken": zone.token,
        "storageAccountName": zone.account,
        "SASUri": uri(ctx.state, zone),
    }
    if ctx.switches.sasExpiryDate == "shown":
        body["expiryDate"] = datetime.fromtimestamp(zone.expires, UTC).strftime("%Y-%m-%d")
    return answer(body)


async def current(state: AepState, sandbox: Sandbox) -> LandingZone:
    """The credentials that are good now, made if need be. Raises ToolError."""
    container, now = await state.blobs.container(sandbox.name), state.now()
    zone = sandbox.landing_zone
    if zone is None or zone.expires <= now:
        expires = now + state.switches.sasSeconds
        sas = await container.sas(expires)
        zone = sandbox.landing_zone = LandingZone(container.account.name, sas.token, now, expires)
    return zone


def uri(state: AepState, zone: LandingZone) -> str:
    """Address and signature in one."""
    return f"{state.blobs.url}/{zone.account}/{CONTAINER}?{zone.token}"


def _aws_path(ctx: Context) -> dict[str, str]:
    return {"bucketName": "dlz-prod-sandboxes", "dlzFolder": f"user_drop_zone/{ctx.sandbox.id}"}


def _aws_credentials(ctx: Context) -> dict[str, Any]:
    """Of the right form; there is no S3 behind them."""
    return {
        "credentials": {
            "clientId": ctx.author.client,
            "awsAccessKeyId": "ASIA" + secrets.token_hex(8).upper(),
            "awsSecretAccessKey": secrets.token_urlsafe(30),
            "awsSessionToken": secrets.token_urlsafe(120),
        },
        "dlzPath": _aws_path(ctx),
        "dlzProvider": _AWS,
        "expiryTime": int(ctx.now + 3600),
    }


def _checked(request: web.Request, *, writes: bool = False) -> Context:
    """Permission and ``type``; the bodies of both refusals are unknown (K.1)."""
    ctx = context(request)
    permission = ctx.switches.sourcesPermission
    if permission == "none" or (writes and permission == "view"):
        raise _refusal(ctx, 403, "The permission to manage sources is missing")
    if request.query.get("type") != _TYPE:
        raise _refusal(ctx, 400, f"type={_TYPE} is expected")
    return ctx


def _refusal(ctx: Context, status: int, detail: str) -> ServiceError:
    title = {400: "BadRequestError", 403: "ForbiddenError"}[status]
    match ctx.switches.landingZoneErrors:
        case "flow":
            return errors.flow({400: "FLOW-1453-400", 403: "FLOW-2120-403"}[status], title, detail)
        case "gateway":
            return errors.gateway(status, {400: "400000", 403: "403000"}[status], detail)
        case _:
            return errors.generic(status, title, detail)
