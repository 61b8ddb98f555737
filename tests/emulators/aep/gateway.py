"""What stands before all services: token, API key, organization and sandbox (platform.md 1.2, 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tests.emulators.aep import errors
from tests.emulators.aep.resource import Author
from tests.emulators.aep.state import AepState, Credential, Sandbox
from tests.emulators.aep.switches import AepSwitches
from tests.emulators.core.web import ServiceError

FLOW_SERVICE = "/data/foundation/flowservice"
DATA_PREP = "/data/foundation/conversion"
CATALOG = "/data/foundation/catalog"
SCHEMA_REGISTRY = "/data/foundation/schemaregistry"
EXPORT = "/data/foundation/export"
CONNECTORS = "/data/foundation/connectors"
SANDBOX_MANAGEMENT = "/data/foundation/sandbox-management"

_WITH_BODY = ("POST", "PUT", "PATCH")


@dataclass(frozen=True)
class Context:
    """Who asks, where and when."""

    state: AepState
    sandbox: Sandbox
    author: Author
    now: float

    @property
    def switches(self) -> AepSwitches:
        """The switches in force."""
        return self.state.switches

    def listed(self, at: float) -> bool:
        """Whether listings know by now of what happened at ``at`` (platform.md 4.7, 16.3.6)."""
        return at + self.switches.indexLagSeconds <= self.now


_CONTEXT = web.RequestKey("aep_context", Context)


def context(request: web.Request) -> Context:
    """The context that the gateway found for this request."""
    return request[_CONTEXT]


def middleware(state: AepState) -> Middleware:
    """The gateway in front of the platform's services."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        await state.runner.settle()
        try:
            credential = _credential(state, request)
            _media_type(request, await request.read())
            sandbox = _sandbox(state, request)
            _rate(state, sandbox)
        except ServiceError as error:
            return error.response()
        request[_CONTEXT] = Context(state, sandbox, credential.author, state.now())
        return await handler(request)

    return check


def _credential(state: AepState, request: web.Request) -> Credential:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not token or scheme.lower() != "bearer":
        raise errors.gateway(403, "403010", "Oauth token is missing.")
    key = request.headers.get("x-api-key")
    if not key:
        raise errors.gateway(403, "403000", "Api Key is required")
    known = state.tokens.get(token)
    if known is None or known.expires <= state.now():
        raise errors.gateway(401, "401013", "Oauth token is not valid")
    if key != known.client_id:
        raise errors.gateway(403, "403003", "Api Key is invalid")
    organization = request.headers.get("x-gw-ims-org-id")
    if not organization:
        raise errors.gateway(400, "400003", "Missing header: x-gw-ims-org-id")
    credential = state.credentials[known.client_id]
    if state.switches.productProfile == "missing":
        raise errors.gateway(403, "403027", "User region is missing")
    if organization != credential.organization:
        raise errors.gateway(403, "403025", "Profile is not valid")
    return credential


def _media_type(request: web.Request, raw: bytes) -> None:
    """A body needs a JSON media type (platform.md 2.1, last shape)."""
    if raw and request.method in _WITH_BODY and not request.content_type.endswith("json"):
        raise errors.generic(400, "BadRequestError", "A valid content-type must be specified")


def _sandbox(state: AepState, request: web.Request) -> Sandbox:
    if request.path.startswith(SANDBOX_MANAGEMENT):
        return state.default_sandbox
    refuse = _refusal(request)
    if "x-sandbox-id" in request.headers:
        raise refuse("2110-400", "x-sandbox-id is not allowed with this token")
    name = request.headers.get("x-sandbox-name")
    if not name:
        if state.switches.missingSandboxHeader == "default":
            return state.default_sandbox
        raise refuse("2105-400", "The header x-sandbox-name is missing")
    if name == "*":
        raise refuse("2111-403", "All sandboxes at once are not allowed with this token")
    sandbox = state.sandboxes.get(name)
    if sandbox is None:
        raise refuse("2100-404", f"The sandbox {name} was not found")
    if sandbox.state != "active":
        raise refuse("2103-404", f"The sandbox {name} is not active: {sandbox.state}")
    return sandbox


def _refusal(request: web.Request) -> Callable[[str, str], ServiceError]:
    def refuse(code: str, detail: str) -> ServiceError:
        if request.path.startswith(FLOW_SERVICE):
            return errors.flow(f"FLOW-{code}", "Sandbox error", detail)
        if request.path.startswith(SCHEMA_REGISTRY):
            return errors.xdm(f"XDM-{code}", "Sandbox error", detail)
        return errors.generic(int(code[-3:]), "SandboxError", detail)

    return refuse


def _rate(state: AepState, sandbox: Sandbox) -> None:
    limit = state.switches.rateLimitPerMinute
    if limit is None:
        return
    now = state.now()
    recent = [t for t in state.requests.get(sandbox.name, []) if t > now - 60]
    state.requests[sandbox.name] = recent
    if len(recent) >= limit:
        raise _too_many(state, recent[0] + 60)
    recent.append(now)


def _too_many(state: AepState, until: float) -> ServiceError:
    error = errors.gateway(429, "429050", "Too many requests")
    match state.switches.retryAfter:
        case "seconds":
            error.headers["Retry-After"] = str(max(1, round(until - state.now() + 0.5)))
        case "date":
            error.headers["Retry-After"] = formatdate(until + 1, usegmt=True)
    return error
