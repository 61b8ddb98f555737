"""What a test can do to Zoho behind everybody's back; all below ``/zoho``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel

from tests.emulators.core.control import read_model, refused
from tests.emulators.core.web import answer

from .data_centers import Environment
from .grants import GrantRequest, create_grant
from .limits import EDITIONS, credit_limit
from .model import Module, Organization, Profile
from .seed.fields import one
from .seed.organizations import organizations
from .seed.records import display_name, fill
from .state import ZohoState, credentials_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlModel(BaseModel):
    """A body of the control API: camelCase, nothing unknown."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class TokenRequest(ControlModel):
    """Tokens to end: this one, those of one client, or all."""

    token: str | None = None
    client_id: str | None = None

    def includes(self, client_id: str, *names: str | None) -> bool:
        """Whether a token of this client, known under these names, is meant."""
        return self.client_id in (None, client_id) and self.token in (None, *names)


class OrganizationPatch(ControlModel):
    """What may change about an organization."""

    type: Literal["production", "sandbox", "developer", "bigin"] | None = None
    edition: str | None = Field(default=None, pattern="^(" + "|".join(EDITIONS) + ")$")
    company_name: str | None = None
    id: str | None = Field(default=None, pattern="^[0-9]+$")


class ProfilePatch(ControlModel):
    """What may change about a profile."""

    api_access: bool | None = None
    hidden_modules: list[str] | None = None


class UserPatch(ControlModel):
    """What may change about a user."""

    active: bool


class ModulePatch(ControlModel):
    """What may change about a module."""

    status: Literal["visible", "user_hidden", "system_hidden", "scheduled_for_deletion"] | None = None
    api_supported: bool | None = None
    field_metadata: bool | None = None


class NewField(ControlModel):
    """A custom field to add."""

    data_type: str = "text"
    label: str | None = None
    encrypted: bool = False


class Values(RootModel[dict[str, Any]]):
    """Values of a record by api_name."""


class RecordsRequest(ControlModel):
    """How many records to add."""

    count: Annotated[int, Field(ge=1, le=100_000)] = 1
    now: bool = False


class CreditsRequest(ControlModel):
    """Credits that others use."""

    spend: Annotated[int, Field(ge=0)]


def control_routes(state: ZohoState) -> list[web.RouteDef]:
    """Routes of the control API that concern Zoho."""
    control = _Control(state)
    org = "/zoho/{dc}/{environment}"
    module = f"{org}/modules/{{module}}"
    return [
        web.get("/zoho/credentials", _answering(control.credentials)),
        web.post("/zoho/grants", _answering(control.new_grant)),
        web.post("/zoho/refresh-tokens/revoke", _answering(control.revoke_refresh_tokens)),
        web.post("/zoho/access-tokens/expire", _answering(control.expire_access_tokens)),
        web.patch(f"{org}/organization", _answering(control.patch_organization)),
        web.post(f"{org}/credits", _answering(control.spend_credits)),
        web.patch(f"{org}/profiles/{{profile}}", _answering(control.patch_profile)),
        web.patch(f"{org}/users/{{email}}", _answering(control.patch_user)),
        web.delete(f"{org}/users/{{email}}", _answering(control.remove_user)),
        web.patch(module, _answering(control.patch_module)),
        web.delete(module, _answering(control.remove_module)),
        web.put(module, _answering(control.restore_module)),
        web.put(f"{module}/fields/{{field}}", _answering(control.put_field)),
        web.delete(f"{module}/fields/{{field}}", _answering(control.remove_field)),
        web.get(f"{module}/records", _answering(control.list_records)),
        web.post(f"{module}/records", _answering(control.add_records)),
        web.patch(f"{module}/records/{{record}}", _answering(control.change_record)),
        web.delete(f"{module}/records/{{record}}", _answering(control.delete_record)),
    ]


def _answering(handle: Callable[[web.Request], Awaitable[Any]]) -> Handler:
    """The result as JSON; a name that does not exist is 404."""

    @wraps(handle)
    async def answer_it(request: web.Request) -> web.StreamResponse:
        try:
            return answer(await handle(request))
        except KeyError as error:
            raise refused(404, f"unknown: {error.args[0]}") from error

    return answer_it


class _Control:
    def __init__(self, state: ZohoState) -> None:
        self._state = state

    async def credentials(self, request: web.Request) -> list[dict[str, str]]:
        """Seeded credentials of every environment, in clear."""
        return [
            {
                "dataCenter": org.data_center,
                "environment": org.environment.value,
                "zgid": org.zgid,
                **credentials_of(org.data_center, org.environment),
            }
            for org in organizations().values()
        ]

    async def new_grant(self, request: web.Request) -> dict[str, Any]:
        """A grant, as if a person had consented; the answer has all in clear."""
        return create_grant(self._state, await read_model(request, GrantRequest))

    async def revoke_refresh_tokens(self, request: web.Request) -> dict[str, int]:
        """End refresh tokens and their access tokens, as Connected Apps → Revoke Access does."""
        wanted = await read_model(request, TokenRequest)
        tokens = self._state.tokens
        chosen = [
            token
            for token in tokens.refresh_tokens.values()
            if wanted.includes(token.grant.client_id, token.value)
        ]
        for token in chosen:
            tokens.end_refresh_token(token.value)
        return {"revoked": len(chosen)}

    async def expire_access_tokens(self, request: web.Request) -> dict[str, int]:
        """End access tokens only: the next call gets 401, a refresh cures it."""
        wanted = await read_model(request, TokenRequest)
        tokens = self._state.tokens
        chosen = [
            token
            for token in tokens.live_access_tokens()
            if wanted.includes(token.grant.client_id, token.value, token.refresh_token)
        ]
        for token in chosen:
            del tokens.access_tokens[token.value]
        return {"expired": len(chosen)}

    async def patch_organization(self, request: web.Request) -> dict[str, Any]:
        """Another type, edition, name or id."""
        organization = self._organization(request)
        patch = await read_model(request, OrganizationPatch)
        return _apply(organization, patch)

    async def patch_profile(self, request: web.Request) -> dict[str, Any]:
        """Take API access or modules from a profile, or give them back."""
        profile = _profile(self._organization(request), request.match_info["profile"])
        patch = await read_model(request, ProfilePatch)
        if patch.api_access is not None:
            profile.api_access = patch.api_access
        if patch.hidden_modules is not None:
            profile.hidden_modules = set(patch.hidden_modules)
        return {
            "name": profile.name,
            "apiAccess": profile.api_access,
            "hiddenModules": sorted(profile.hidden_modules),
        }

    async def patch_user(self, request: web.Request) -> dict[str, Any]:
        """Deactivate a user, or activate one again."""
        user = self._organization(request).user_by_email(request.match_info["email"])
        if user is None:
            raise KeyError(request.match_info["email"])
        user.active = (await read_model(request, UserPatch)).active
        return {"email": user.email, "active": user.active}

    async def remove_user(self, request: web.Request) -> dict[str, str]:
        """A user who leaves: tokens of theirs are invalid from now on."""
        organization = self._organization(request)
        user = organization.user_by_email(request.match_info["email"])
        if user is None:
            raise KeyError(request.match_info["email"])
        del organization.users[user.id]
        return {"removed": user.email}

    async def patch_module(self, request: web.Request) -> dict[str, Any]:
        """Hide a module, end its API support or its field metadata."""
        module = _module(self._organization(request), request)
        return _apply(module, await read_model(request, ModulePatch))

    async def remove_module(self, request: web.Request) -> dict[str, str]:
        """The module is gone; PUT brings it back with its records."""
        organization = self._organization(request)
        module = _module(organization, request)
        organization.withdrawn[module.api_name] = organization.modules.pop(module.api_name)
        return {"removed": module.api_name}

    async def restore_module(self, request: web.Request) -> dict[str, str]:
        """Bring a removed module back."""
        organization = self._organization(request)
        name = request.match_info["module"]
        if name not in organization.modules:
            organization.modules[name] = organization.withdrawn.pop(name)
        return {"restored": name}

    async def put_field(self, request: web.Request) -> dict[str, str]:
        """Add a custom field, or bring a removed field back as it was."""
        module, name = _module(self._organization(request), request), request.match_info["field"]
        new = await read_model(request, NewField)
        added = one(name, new.data_type, new.label, custom=True, encrypted=new.encrypted)
        module.fields[name] = module.removed_fields.pop(name, added)
        return {"field": name}

    async def remove_field(self, request: web.Request) -> dict[str, str]:
        """The field is gone; PUT brings it back."""
        module, name = _module(self._organization(request), request), request.match_info["field"]
        module.removed_fields[name] = module.fields.pop(name)
        return {"removed": name}

    async def spend_credits(self, request: web.Request) -> dict[str, int]:
        """What other clients of the organization use (zoho.md 5)."""
        organization = self._organization(request)
        self._state.credits.spend(organization.zgid, (await read_model(request, CreditsRequest)).spend)
        limit = self._state.switches.credit_limit or credit_limit(organization)
        return {"used": self._state.credits.used(organization.zgid), "limit": limit}

    async def list_records(self, request: web.Request) -> dict[str, Any]:
        """What there really is, whatever readers see by now: to compare with."""
        module = _module(self._organization(request), request)
        records = [{name: r[name] for name in ("id", "Modified_Time")} for r in module.records.values()]
        deleted = [{name: gone[name] for name in ("id", "deleted_time")} for gone in module.deleted]
        return {"records": records, "deleted": deleted}

    async def add_records(self, request: web.Request) -> dict[str, int]:
        """More records of the seeded kind, as old as those or made just now."""
        organization = self._organization(request)
        module = _module(organization, request)
        wanted = await read_model(request, RecordsRequest)
        known = set(module.records)
        fill(organization, module, wanted.count)
        if wanted.now:
            times = dict.fromkeys(("Created_Time", "Modified_Time"), self._now(organization))
            for id in [id for id in module.records if id not in known]:
                record = module.records.pop(id)
                module.write(self._state.now(), id, record | times)
        return {"records": len(module.records)}

    async def change_record(self, request: web.Request) -> dict[str, Any]:
        """Write values of a record; Modified_Time becomes now, unless Zoho computes all of them."""
        organization = self._organization(request)
        module = _module(organization, request)
        record = module.records[request.match_info["record"]]
        values = (await read_model(request, Values)).root
        if unknown := sorted(set(values) - set(module.fields)):
            raise KeyError(", ".join(unknown))
        computed = bool(values) and all(module.fields[name].computed for name in values)
        moved = {} if computed else {"Modified_Time": self._now(organization)}
        module.write(self._state.now(), record["id"], {**record, **values, **moved})
        return module.records[record["id"]]

    async def delete_record(self, request: web.Request) -> dict[str, Any]:
        """Move a record to the recycle bin."""
        organization = self._organization(request)
        module = _module(organization, request)
        record = module.records[request.match_info["record"]]
        module.write(self._state.now(), record["id"], None)
        who = {"id": record["Owner"]["id"], "name": record["Owner"]["name"]}
        gone = {
            "id": record["id"],
            "display_name": display_name(record),
            "type": "recycle",
            "deleted_by": who,
            "created_by": who,
            "deleted_time": self._now(organization),
        }
        module.deleted.append(gone)
        return gone

    def _organization(self, request: web.Request) -> Organization:
        dc, environment = request.match_info["dc"].lower(), request.match_info["environment"].lower()
        if environment not in set(Environment):
            raise KeyError(environment)
        return self._state.organization(dc, Environment(environment))

    def _now(self, organization: Organization) -> str:
        return datetime.fromtimestamp(self._state.now(), organization.timezone).isoformat(timespec="seconds")


def _apply(target: Organization | Module, patch: BaseModel) -> dict[str, Any]:
    changes = patch.model_dump(exclude_unset=True)
    for name, value in changes.items():
        setattr(target, name, value)
    return changes


def _module(organization: Organization, request: web.Request) -> Module:
    return organization.modules[request.match_info["module"]]


def _profile(organization: Organization, name: str) -> Profile:
    profiles = {user.profile.name: user.profile for user in organization.users.values()}
    return profiles[name]
