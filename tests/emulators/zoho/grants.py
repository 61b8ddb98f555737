"""Grants as a consenting person would make them (zoho.md 1.1, 1.2)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from .data_centers import DATA_CENTERS, HOME, Environment
from .model import Client, ClientType, Grant, Organization, Profile, User
from .seed.clients import DEFAULT_SCOPES, REDIRECT_URI, client_id, client_secret
from .seed.organizations import build_organization
from .state import ZohoState


class GrantRequest(BaseModel):
    """What to grant.

    Without ``client_id`` there is a new client, without ``user`` a new user: no limit is shared then.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", use_attribute_docstrings=True
    )

    data_center: str = HOME
    """Code of the data center where the user lives."""
    environment: Environment = Environment.PRODUCTION
    """The environment that the grant is for."""
    client_type: ClientType = ClientType.SELF
    """Type of the new client."""
    client_id: str | None = None
    """An existing client."""
    redirect_uri: str | None = None
    """Redirect URI of a server-based client."""
    data_centers: list[str] | None = None
    """Data centers in which the new client is enabled; by default the grant's."""
    same_secret: bool = False
    """The new client has one secret for all its data centers instead of one for each (zoho.md 1.8)."""
    user: str | None = None
    """Address of an existing user."""
    api_access: bool = True
    """Whether the new user's profile has API access."""
    hidden_modules: list[str] = []
    """Modules that the new user's profile may not view."""
    scopes: list[str] = list(DEFAULT_SCOPES)
    """What is granted."""
    offline: bool = True
    """``access_type``: without it there is no refresh token."""
    expires_in: Annotated[float, Field(gt=0)] | None = None
    """Life of the grant token in seconds; by default that of the switch ``code_ttl``."""
    exchange: bool = False
    """Exchange the code at once and answer refresh and access token instead."""

    @field_validator("data_center", mode="before")
    @classmethod
    def _known(cls, value: Any) -> str:
        return _data_center(value)

    @field_validator("data_centers", mode="before")
    @classmethod
    def _all_known(cls, value: Any) -> Any:
        return [_data_center(item) for item in value] if isinstance(value, list) else value

    @field_validator("environment", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


def create_grant(state: ZohoState, request: GrantRequest) -> dict[str, Any]:
    """Make the grant; answers every value in clear. Raises KeyError for an unknown client or user."""
    organization = _organization(state, request)
    client = state.clients[request.client_id] if request.client_id else None
    user = _user(state, organization, request)
    client = client or _new_client(state, request, user)
    grant = Grant(
        client.client_id,
        request.data_center,
        request.environment,
        organization.zgid,
        user.id,
        user.zuid,
        tuple(request.scopes),
        request.offline,
        (request.redirect_uri or client.redirect_uris[0]) if client.redirect_uris else None,
    )
    answer: dict[str, Any] = {
        "clientId": client.client_id,
        "clientSecret": client.secrets.get(request.data_center),
        "clientSecrets": dict(client.secrets),
        "dataCenter": request.data_center,
        "environment": request.environment.value,
        "zgid": organization.zgid,
        "user": user.email,
        "profile": user.profile.name,
        "redirectUri": grant.redirect_uri,
        "scopes": list(grant.scopes),
    }
    if request.exchange:
        refresh_token = state.tokens.new_refresh_token(grant)
        access_token = state.tokens.refresh(refresh_token)
        return answer | {"refreshToken": refresh_token.value, "accessToken": access_token.value}
    return answer | {"grantToken": state.tokens.new_code(grant, request.expires_in).value}


def _data_center(value: Any) -> str:
    code = str(value).lower()
    if code not in DATA_CENTERS:
        raise ValueError("no such data center")
    return code


def _organization(state: ZohoState, request: GrantRequest) -> Organization:
    """The environment's organization; the first grant in an empty environment founds one."""
    try:
        return state.organization(request.data_center, request.environment)
    except KeyError:
        organization = build_organization(
            100 + state.new_serial(), request.data_center, request.environment, "Founders Ltd.", "enterprise"
        )
        state.organizations[organization.zgid] = organization
        return organization


def _new_client(state: ZohoState, request: GrantRequest, owner: User) -> Client:
    name = f"created:{state.new_serial()}"
    server = request.client_type is ClientType.SERVER
    secrets = {
        dc: client_secret(name if request.same_secret else f"{name}:{dc}")
        for dc in request.data_centers or [request.data_center]
    }
    client = Client(
        client_id(name),
        request.client_type,
        request.data_center,
        secrets,
        owner.email,
        (request.redirect_uri or REDIRECT_URI,) if server else (),
    )
    state.clients[client.client_id] = client
    return client


def _user(state: ZohoState, organization: Organization, request: GrantRequest) -> User:
    if request.user:
        user = organization.user_by_email(request.user)
        if user is None:
            raise KeyError(request.user)
        return user
    serial = state.new_serial()
    identifier = str(int(organization.id) + 10_000 + serial)
    profile = Profile(
        str(int(identifier) + 100_000), f"Consent {serial}", request.api_access, set(request.hidden_modules)
    )
    user = User(identifier, f"9{serial:010d}", f"user{serial}@example.com", "User", str(serial), profile)
    organization.users[user.id] = user
    return user
