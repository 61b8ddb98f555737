"""What Zoho holds: organizations with their people and data, OAuth clients, and what was granted to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta, timezone
from enum import StrEnum
from itertools import takewhile
from typing import Any

from .data_centers import Environment

Record = dict[str, Any]


class ClientType(StrEnum):
    """Kinds of OAuth client that can hold a refresh token (zoho.md 1.1)."""

    SERVER = "server"
    SELF = "self"


@dataclass
class Client:
    """An OAuth client; ``secrets`` maps each enabled data center to its secret there (zoho.md 1.8)."""

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
    """A CRM user of one organization."""

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
    """A field as its module defines it, before an organization gives it an id."""

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
    encrypted: bool = False

    @property
    def computed(self) -> bool:
        """Whether Zoho computes the value, which does not move Modified_Time (landing-zone.md F.2)."""
        return self.data_type in ("formula", "rollup_summary")


@dataclass(frozen=True)
class Change:
    """A change of a record: what it was before, None if there was none."""

    at: float
    id: str
    before: Record | None


@dataclass
class Module:
    """A module of one organization; ``field_metadata`` is false where fields answers 204 (zoho.md 3.5)."""

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
    changes: list[Change] = field(default_factory=list)

    def write(self, at: float, id: str, record: Record | None) -> None:
        """Put a record in the place of the one with that id; None deletes it. Readers of the past keep
        what they have.
        """
        self.changes.append(Change(at, id, self.records.get(id)))
        if record is None:
            del self.records[id]
        else:
            self.records[id] = record

    def as_of(self, time: float) -> dict[str, Record]:
        """The records as they were at a time."""
        later = list(takewhile(lambda change: change.at > time, reversed(self.changes)))
        if not later:
            return self.records
        records = dict(self.records)
        for change in later:
            if change.before is None:
                records.pop(change.id, None)
            else:
                records[change.id] = change.before
        return records


@dataclass
class Organization:
    """A CRM organization in one environment; ``edition`` is a ``paid_type`` of zoho.md 3.2."""

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
        """Zone in which the organization's instants are written."""
        return timezone(timedelta(hours=self.utc_offset_hours))

    def user_by_email(self, email: str) -> User | None:
        """The user with this address, if there is one."""
        return next((user for user in self.users.values() if user.email == email), None)


@dataclass(frozen=True)
class Grant:
    """What a person agreed to: one client, one organization in one environment, some scopes (zoho.md 1.2)."""

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


@dataclass(frozen=True)
class BulkQuery:
    """What a bulk read asks for; its parts share it."""

    module: str
    fields: tuple[str, ...]
    criteria: Any
    file_type: str


@dataclass
class BulkPart:
    """What a job has read, and where the next one goes on."""

    zgid: str
    query: BulkQuery
    page: int
    rows: list[Record]
    read_at: float
    end: int
    token_expires: float
    next_token: str | None = None
    file: bytes | None = None


@dataclass
class BulkJob:
    """A bulk read of one organization (zoho.md 3.8). It reads when it runs, or what its ``snapshot`` saw."""

    id: str
    zgid: str
    query: BulkQuery
    page: int
    start: int
    per_page: int
    created_at: float
    created_by: dict[str, str]
    seconds: float
    snapshot: float | None = None
    outcome: str | None = None
    part: BulkPart | None = None
