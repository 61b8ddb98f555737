"""What a test can do to AEP behind everybody's back; all below ``/aep``."""

from __future__ import annotations

import secrets
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from tests.emulators.aep import catalog, landing_zone, xdm_parts
from tests.emulators.aep import seed_data as ids
from tests.emulators.aep.flowservice import runs
from tests.emulators.aep.flowservice.metrics import RunOutcome
from tests.emulators.aep.gateway import Context
from tests.emulators.aep.registry.schemas import compose
from tests.emulators.aep.resource import Author, Resource, Transition
from tests.emulators.aep.seed import fill
from tests.emulators.aep.state import KINDS, AepState, Credential, Sandbox
from tests.emulators.core.control import read_model, refused
from tests.emulators.core.web import answer

_SOMEBODY = Author("3F2A1C0B66F0C1D20A495F77@AdobeID", "exc_app")
"""A person in AEP's user interface."""

_CONTENT = {"mappingSets": "mapping_sets", "schemas": "schemas", "dataSets": "datasets", "batches": "batches"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Withdrawal(_Body):
    """Which part of Zoho's offer ends (platform.md 16.2)."""

    what: Literal["both", "connectionSpec", "flowSpec"] = "both"


class TokenChoice(_Body):
    """Access tokens to end: one client's, or all."""

    clientId: str | None = None


class NewCredential(_Body):
    """A credential to add, or whose secret changes."""

    clientId: str = ids.CLIENT_ID
    clientSecret: str = Field(min_length=8)


class RunRequest(RunOutcome):
    """A run to make or, with ``runId``, to finish."""

    sandbox: str = "prod"
    flowId: str | None = None
    runId: str | None = None


class Edit(_Body):
    """An edit by somebody else: ``body`` is merged, ``state`` is entered, for ``seconds`` if given."""

    body: dict[str, Any] = Field(default_factory=dict)
    state: str | None = None
    seconds: float | None = Field(None, ge=0, description="then back to the state before")


class ForcedResult(_Body):
    """What ``/test`` of a connection finds; null: the truth."""

    error: str | None


class NewSandbox(_Body):
    """A sandbox, filled with the seed's schemas and datasets unless it is still being created."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]*$")
    title: str | None = None
    type: Literal["development", "production"] = "development"
    region: str = "NLD2"
    state: Literal["creating", "active", "deleting", "resetting", "deleted", "failed"] = "active"


class SandboxEdit(_Body):
    """What may change about a sandbox."""

    region: str | None = None
    state: Literal["creating", "active", "deleting", "resetting", "deleted", "failed"] | None = None


class SandboxReset(_Body):
    """A reset, after which somebody may put schemas and datasets back."""

    reseed: bool = True


class NewSchema(_Body):
    """A schema; without ``allOf`` it is composed like the seed's Contacts."""

    id: str | None = None
    title: str
    allOf: list[str] | None = None


class NewDataset(_Body):
    """A dataset."""

    id: str | None = None
    name: str
    schemaId: str = ids.CONTACTS_SCHEMA
    version: int = 1
    profile: bool = False


def control_routes(state: AepState) -> list[web.RouteDef]:
    """Routes of the control API that concern AEP."""
    control = _Control(state)
    sandbox = "/aep/sandboxes/{sandbox}"
    one = f"{sandbox}/{{kind}}/{{id}}"
    return [
        web.get("/aep", control.dump),
        web.post("/aep/source/withdraw", control.withdraw),
        web.post("/aep/source/restore", control.restore),
        web.post("/aep/tokens/expire", control.expire),
        web.post("/aep/tokens/revoke", control.revoke),
        web.post("/aep/credentials", control.credential),
        web.post("/aep/runs", control.run),
        web.post("/aep/sandboxes", control.add_sandbox),
        web.patch(sandbox, control.edit_sandbox),
        web.post(f"{sandbox}/reset", control.reset_sandbox),
        web.post(f"{sandbox}/schemas", control.add_schema),
        web.post(f"{sandbox}/dataSets", control.add_dataset),
        web.post(f"{sandbox}/connections/{{id}}/test", control.test_result),
        web.get(f"{sandbox}/dataSets/{{id}}/rows", control.rows),
        web.get(f"{sandbox}/landingzone", control.landing_zone),
        web.post(f"{sandbox}/landingzone/refresh", control.refresh_landing_zone),
        web.get(one, control.show),
        web.patch(one, control.edit),
        web.delete(one, control.delete),
    ]


class _Control:
    def __init__(self, state: AepState) -> None:
        self._state = state

    async def dump(self, request: web.Request) -> web.Response:
        return answer(self._state.dump())

    async def withdraw(self, request: web.Request) -> web.Response:
        what = (await read_model(request, Withdrawal)).what
        positions = {"both": "withdrawn", "connectionSpec": "noConnectionSpec", "flowSpec": "notInFlowSpec"}
        setattr(self._state.switches, "zohoSource", positions[what])  # noqa: B010 - a checked assignment
        return answer({"zohoSource": self._state.switches.zohoSource})

    async def restore(self, request: web.Request) -> web.Response:
        self._state.switches.zohoSource = "offered"
        return answer({"zohoSource": "offered"})

    async def expire(self, request: web.Request) -> web.Response:
        return await self._end_tokens(request)

    async def revoke(self, request: web.Request) -> web.Response:
        return await self._end_tokens(request)

    async def _end_tokens(self, request: web.Request) -> web.Response:
        """Expired or revoked, the gateway says the same (platform.md 2.2, 401013)."""
        wanted = (await read_model(request, TokenChoice)).clientId
        ended = [t for t, token in self._state.tokens.items() if wanted in (None, token.client_id)]
        for token in ended:
            del self._state.tokens[token]
        return answer({"ended": len(ended)})

    async def credential(self, request: web.Request) -> web.Response:
        wanted = await read_model(request, NewCredential)
        self._state.credentials[wanted.clientId] = Credential(
            wanted.clientId, wanted.clientSecret, self._state.organization, ids.TECHNICAL_ACCOUNT, ids.SCOPES
        )
        return answer({"clientId": wanted.clientId})

    async def run(self, request: web.Request) -> web.Response:
        wanted = await read_model(request, RunRequest)
        sandbox = self._sandbox(wanted.sandbox)
        ctx = Context(self._state, sandbox, _SOMEBODY, self._state.now())
        outcome = RunOutcome(**wanted.model_dump(exclude={"sandbox", "flowId", "runId"}))
        run = None if wanted.runId is None else sandbox.stores["runs"].get(wanted.runId, ctx.now)
        flow_id = wanted.flowId if run is None else run.body["flowId"]
        flow = sandbox.stores["flows"].get(str(flow_id), ctx.now)
        if flow is None or (wanted.runId is not None and run is None):
            raise refused(404, f"no such flow or run in {sandbox.name}")
        if run is None and outcome == RunOutcome() and self._state.runs_itself(sandbox, flow):
            run = await self._state.runner.run_now(sandbox, flow)
            if run is None:
                return answer({})
        elif run is None:
            run = runs.begin(ctx, flow, outcome)
        else:
            runs.report(ctx, run, flow, outcome)
        return answer({**run.common(), **run.body})

    async def rows(self, request: web.Request) -> web.Response:
        """What runs that ingest have written into a dataset, the oldest first."""
        text = request.query.get("since", "0")
        if not text.isdecimal():
            raise refused(400, "since: a number is expected")
        found = self._named(request).lake.get(request.match_info["id"], [])
        shown = [
            {"values": r.values, "record": r.record, "file": r.file, "batch": r.batch, "run": r.run}
            for r in found[int(text) :]
        ]
        return answer({"rows": shown, "next": len(found)})

    async def landing_zone(self, request: web.Request) -> web.Response:
        """The files with the times by which they are ingested, and what opens the container, in clear."""
        sandbox = self._named(request)
        zone = await landing_zone.current(self._state, sandbox)
        container = await self._state.blobs.container(sandbox.name)
        files = [{"name": b.name, "size": b.size, "changed": b.changed} for b in await container.blobs()]
        return answer({"SASUri": landing_zone.uri(self._state, zone), "files": files})

    async def refresh_landing_zone(self, request: web.Request) -> web.Response:
        """Somebody else refreshes the credentials: those in use end now."""
        sandbox = self._named(request)
        sandbox.landing_zone = None
        await landing_zone.current(self._state, sandbox)
        return answer({})

    async def add_sandbox(self, request: web.Request) -> web.Response:
        wanted = await read_model(request, NewSandbox)
        now = self._state.now()
        sandbox = Sandbox(
            wanted.name,
            wanted.title or wanted.name.title(),
            wanted.type,
            wanted.region,
            wanted.state,
            created=now,
            modified=now,
        )
        self._state.sandboxes[wanted.name] = sandbox
        if sandbox.state == "active":
            fill(self._state, sandbox)
        return answer({"id": sandbox.id, "name": sandbox.name})

    async def edit_sandbox(self, request: web.Request) -> web.Response:
        wanted = await read_model(request, SandboxEdit)
        sandbox = self._named(request)
        sandbox.region = wanted.region or sandbox.region
        sandbox.state = wanted.state or sandbox.state
        self._changed(sandbox)
        return answer({"region": sandbox.region, "state": sandbox.state})

    async def reset_sandbox(self, request: web.Request) -> web.Response:
        wanted = await read_model(request, SandboxReset)
        sandbox = self._named(request)
        sandbox.empty()
        self._changed(sandbox)
        if wanted.reseed:
            fill(self._state, sandbox)
        return answer({"name": sandbox.name})

    async def add_schema(self, request: web.Request) -> web.Response:
        wanted = await read_model(request, NewSchema)
        sandbox = self._named(request)
        id = wanted.id or f"https://ns.adobe.com/{self._state.tenant}/schemas/{secrets.token_hex(24)}"
        parts = wanted.allOf or [
            ids.PROFILE_CLASS,
            xdm_parts.PERSON_DETAILS,
            xdm_parts.PERSONAL_DETAILS,
            xdm_parts.CONTACT_FIELDS,
        ]
        body = {
            "type": "object",
            "title": wanted.title,
            "description": "",
            "allOf": [{"$ref": part} for part in parts],
        }
        groups = sandbox.field_groups.values()
        sandbox.schemas[id] = {1: compose(groups, id, body, self._state.tenant, "1.0")}
        return answer({"id": id})

    async def add_dataset(self, request: web.Request) -> web.Response:
        wanted = await read_model(request, NewDataset)
        id = wanted.id or secrets.token_hex(12)
        enabled = ["enabled:true"]
        body = {
            "name": wanted.name,
            "schemaRef": {"id": wanted.schemaId, "contentType": f"{ids.XED};version={wanted.version}"},
            "tags": {"unifiedProfile": enabled, "unifiedIdentity": enabled} if wanted.profile else {},
        }
        self._named(request).datasets[id] = catalog.dataset(
            self._state.organization, _SOMEBODY, self._state.now(), body, id
        )
        return answer({"id": id})

    async def test_result(self, request: web.Request) -> web.Response:
        wanted = await read_model(request, ForcedResult)
        self._state.test_results[request.match_info["id"]] = wanted.error
        return answer({"error": wanted.error})

    async def show(self, request: web.Request) -> web.Response:
        resource = self._resource(request)
        return answer({**resource.common(), **resource.body})

    async def edit(self, request: web.Request) -> web.Response:
        """Change an object as a person in the user interface would: its etag moves."""
        wanted = await read_model(request, Edit)
        if request.match_info["kind"] in _CONTENT:
            content = self._content(request)
            content[request.match_info["id"]] |= wanted.body
            return answer(content[request.match_info["id"]])
        resource, now = self._resource(request), self._state.now()
        resource.body |= wanted.body
        resource.touch(now, _SOMEBODY)
        if wanted.state is not None:
            before, resource.state = resource.state, wanted.state
            back = wanted.seconds is not None
            resource.transition = Transition(now + (wanted.seconds or 0), before) if back else None
        return answer({**resource.common(), **resource.body})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete one object, or several at once: then no listing lacks some of them only."""
        kind, ids = request.match_info["kind"], request.match_info["id"].split(",")
        if kind in _CONTENT:
            del self._content(request)[request.match_info["id"]]
        else:
            for resource in [self._resource(request, id) for id in ids]:
                self._named(request).stores[kind].delete(resource, self._state.now())
        return answer({})

    def _changed(self, sandbox: Sandbox) -> None:
        sandbox.etag += 1
        sandbox.modified = self._state.now()

    def _named(self, request: web.Request) -> Sandbox:
        return self._sandbox(request.match_info["sandbox"])

    def _sandbox(self, name: str) -> Sandbox:
        sandbox = self._state.sandboxes.get(name)
        if sandbox is None:
            raise refused(404, f"no sandbox {name}")
        return sandbox

    def _resource(self, request: web.Request, id: str | None = None) -> Resource:
        kind, id = request.match_info["kind"], id or request.match_info["id"]
        found = self._named(request).stores[kind].get(id, self._state.now()) if kind in KINDS else None
        if found is None:
            raise refused(404, f"no {kind} {id}")
        return found

    def _content(self, request: web.Request) -> dict[str, Any]:
        name = _CONTENT[request.match_info["kind"]]
        content: dict[str, Any] = getattr(self._named(request), name)
        if request.match_info["id"] not in content:
            raise refused(404, f"no {request.match_info['kind']} {request.match_info['id']}")
        return content
