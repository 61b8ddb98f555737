"""Adobe's identity service: OAuth server-to-server tokens (platform.md 1.3)."""

from __future__ import annotations

import hmac

from aiohttp import web

from tests.emulators.aep.state import AepState
from tests.emulators.core.mask import form
from tests.emulators.core.web import ServiceError, answer, errors_as


def app(state: AepState) -> web.Application:
    """The application of the IMS listener."""

    async def token(request: web.Request) -> web.Response:
        return _token(state, await _parameters(request))

    application = web.Application(middlewares=[errors_as(_render)])
    application.router.add_post("/ims/token/v3", token)
    return application


def _token(state: AepState, parameters: dict[str, str]) -> web.Response:
    if parameters.get("grant_type") != "client_credentials":
        raise _refused(400, "unsupported_grant_type", "grant_type must be client_credentials")
    for name in ("client_id", "client_secret", "scope"):
        if not parameters.get(name):
            raise _refused(400, "invalid_request", f"{name} is missing")
    refusal = state.switches.imsRefusalStatus
    credential = state.credentials.get(parameters["client_id"])
    if credential is None:
        raise _refused(refusal, "invalid_client", "invalid client_id parameter")
    if not hmac.compare_digest(credential.client_secret.encode(), parameters["client_secret"].encode()):
        raise _refused(refusal, "invalid_client", "invalid client_secret parameter")
    asked = {scope.strip() for scope in parameters["scope"].split(",") if scope.strip()}
    if unknown := sorted(asked - set(credential.scopes)):
        raise _refused(400, "invalid_scope", f"not allowed for this credential: {','.join(unknown)}")
    return answer(
        {
            "access_token": state.issue_token(credential.client_id),
            "token_type": "bearer",
            "expires_in": state.switches.imsTokenSeconds,
        },
        headers={"Cache-Control": "no-store"},
    )


async def _parameters(request: web.Request) -> dict[str, str]:
    """Parameters of the query, overridden by those of the form."""
    found = dict(request.query)
    if request.content_type == "application/x-www-form-urlencoded":
        found |= {name: values[-1] for name, values in form(await request.read()).items()}
    return found


def _refused(status: int, error: str, description: str) -> ServiceError:
    return ServiceError(status, {"error": error, "error_description": description})


def _render(request: web.Request, status: int, reason: str) -> ServiceError:
    return _refused(status, "invalid_request", reason)
