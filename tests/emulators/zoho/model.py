"""What Zoho holds: organisations with their people and data, OAuth clients, and what was granted to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta, timezone
from enum import StrEnum
from typing import Any

from .data_centers import Environment

Record = dict[str, Any]


class ClientType(StrEnum):
    """Kinds of OAuth client that can hold a refresh token (zoho.md 1.1)."""

    SERVER = "server"
    SELF = "self"


@dataclass
class Client:
    """An OAuth client; ``secrets`` maps each enabled data centre to its secret there (zoho.md 1.8)."""

    client_id: str
    type: ClientType
    home: str
    secrets: dict[str, str]
    owner_email: str
    redirect_uris: tuple[str, ...] = ()


@dataclass
class Profile:
    """A CRM profile: what its users may do."""

    id: str
    name: str
    api_access: bool = True
    hidden_modules: set[str] = field(default_factory=set)

    def may_view(self, module: str) -> bool:
        """Whether users of this profile see the module."""
        return module not in self.hidden_modules


@dataclass
class User:
    """A CRM user of one organisation."""

    id: str
    zuid: str
    email: str
    first_name: str
    last_name: str
    profile: Profile
    active: bool = True
    confirmed: bool = True
    role: str = "Manager"

    @property
    def full_name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def reference(self) -> dict[str, str]:
        """How records refer to the user."""
        return {"id": self.id, "name": self.full_name, "email": self.email}


@dataclass(frozen=True)
class FieldSpec:
    """A field as its module defines it, before an organisation gives it an id."""

    api_name: str
    data_type: str
    label: str
    json_type: str = "string"
    length: int = 255
    values: tuple[str, ...] = ()
    lookup: str | None = None
    custom: bool = False
    mandatory: bool = False
    read_only: bool = False
    used: bool = True


@dataclass
class Module:
    """A module of one organisation; ``field_metadata`` is false where fields answers 204 (zoho.md 3.5)."""

    id: str
    api_name: str
    singular: str
    plural: str
    fields: dict[str, FieldSpec]
    generated_type: str = "default"
    api_supported: bool = True
    status: str = "visible"
    field_metadata: bool = True
    records: dict[str, Record] = field(default_factory=dict)
    deleted: list[Record] = field(default_factory=list)
    removed_fields: dict[str, FieldSpec] = field(default_factory=dict)


@dataclass
class Organization:
    """A CRM organisation in one environment; ``edition`` is a ``paid_type`` of zoho.md 3.2."""

    id: str
    zgid: str
    data_center: str
    environment: Environment
    company_name: str
    type: str
    edition: str
    users_purchased: int
    utc_offset_hours: float
    country_code: str
    currency: tuple[str, str, str]
    users: dict[str, User]
    modules: dict[str, Module]
    trial: str | None = None
    withdrawn: dict[str, Module] = field(default_factory=dict)

    @property
    def timezone(self) -> timezone:
        """Zone in which the organisation's instants are written."""
        return timezone(timedelta(hours=self.utc_offset_hours))

    def user_by_email(self, email: str) -> User | None:
        """The user with this address, if there is one."""
        return next((user for user in self.users.values() if user.email == email), None)


@dataclass(frozen=True)
class Grant:
    """What a person agreed to: one client, one organisation in one environment, some scopes (zoho.md 1.2)."""

    client_id: str
    data_center: str
    environment: Environment
    zgid: str
    user_id: str
    zuid: str
    scopes: tuple[str, ...]
    offline: bool = True
    redirect_uri: str | None = None


@dataclass
class Code:
    """A grant token. ``over_limit`` marks one beyond ten in ten minutes (zoho.md 1.4)."""

    value: str
    grant: Grant
    expires_at: float
    over_limit: bool = False
    used: bool = False


@dataclass
class RefreshToken:
    """A refresh token: no expiry, ended only by revocation or eviction (zoho.md 1.5)."""

    value: str
    grant: Grant
    created_at: float


@dataclass
class AccessToken:
    """An access token; ``refresh_token`` is None for client_credentials and online access."""

    value: str
    grant: Grant
    expires_at: float
    refresh_token: str | None


@dataclass
class BulkJob:
    """A bulk read of one organisation; what it reads is fixed when it is made (zoho.md 3.8)."""

    id: str
    zgid: str
    module: str
    fields: tuple[str, ...]
    page: int
    file_type: str
    created_at: float
    created_by: dict[str, str]
    rows: list[Record]
    more: bool
