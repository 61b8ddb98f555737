"""What the steps need from outside, as protocols: the reconcilers know no Kubernetes and no HTTP.

``runtime/`` provides the real ones, tests provide fakes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from pydantic import SecretStr

from crmflow.aep.collection import AnyCollection, Collection, Selection
from crmflow.aep.models import (
    Column,
    Created,
    LandingZone,
    LandingZoneCredentials,
    LandingZoneEntry,
    Listed,
    MappingCheck,
    PatchOperation,
    Preview,
    Run,
    Table,
)
from crmflow.api.base import Transport
from crmflow.api.kinds import Kind
from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.http.errors import RemoteError
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.zoho.api import CrmApi, Spend, uncounted
from crmflow.zoho.crm import Organization

T = TypeVar("T")
L = TypeVar("L")


class TimeSource(Protocol):
    """Seconds since the epoch."""

    def now(self) -> float: ...


class Platform(Protocol):
    """One sandbox of Adobe Experience Platform, seen with one credential, as :class:`PlatformClient` is.
    Methods may raise RemoteError.
    """

    def read_only(self) -> Platform:
        """The same sandbox without writes: they raise ReadOnlyError, and nothing is sent."""
        ...

    async def list(self, collection: Collection[Any, L], selection: Selection = None) -> Sequence[L]: ...
    async def get(self, collection: Collection[T, Any], object_id: str, version: int | None = None) -> T: ...
    async def create(self, collection: AnyCollection, body: Mapping[str, Any]) -> Created: ...
    async def patch(
        self,
        collection: AnyCollection,
        object_id: str,
        etag: str | None,
        operations: Sequence[PatchOperation],
    ) -> Created: ...
    async def delete(self, collection: AnyCollection, object_id: str) -> None: ...

    async def test_connection(self, connection_id: str) -> bool: ...
    async def tables(self, connection_id: str) -> Sequence[Table]: ...
    async def columns(self, connection_id: str, table_path: str) -> Sequence[Column]: ...
    async def set_flow_state(self, flow_id: str, enable: bool, etag: str | None) -> Created: ...
    async def retry_run(self, run_id: str) -> Created: ...
    async def start_run(
        self, flow_id: str, at: float, window: tuple[datetime, datetime], delta_column: str
    ) -> Created: ...
    async def batch_files(self, batch_id: str) -> Sequence[str]: ...
    async def validate_mapping(self, body: Mapping[str, Any]) -> Sequence[MappingCheck]: ...

    async def landing_zone(self) -> LandingZone: ...
    async def landing_zone_credentials(self) -> LandingZoneCredentials: ...
    async def landing_zone_entries(self, folder: str | None = None) -> Sequence[LandingZoneEntry]: ...
    async def landing_zone_file(self, path: str) -> Preview: ...


class Absence(StrEnum):
    """Why a read of a known object was answered with 404."""

    GONE = "Gone"
    """It does not exist any more; it may be made anew."""
    RESET = "Reset"
    """The whole sandbox was reset."""
    HIDDEN = "Hidden"
    """It exists: an access label hides it from reads (platform.md 1.4)."""
    MASS_DELETION = "MassDeletion"
    """It is gone together with many others, and nobody has confirmed that loss yet."""


class Inventory(Protocol):
    """What is known of one sandbox from complete listings, own writes laid over them."""

    @property
    def covers_predecessors(self) -> bool:
        """True if a listing shows all that an earlier process of ours can have created."""
        ...

    def watch(self, flow_id: str, owner: str) -> bool:
        """Have the ``owner`` of a flow that was just created woken once a listing shows it settled, as its
        identity is written; False where nobody does that.
        """
        ...

    def settled(self, flow_id: str) -> Listed | None:
        """The flow as such a listing has shown it, told once; None if there was none, or the flow was
        read or written by itself since.
        """
        ...

    async def recent(
        self, key: Hashable, ask: Callable[[], Awaitable[T]], suffices: Callable[[T], bool]
    ) -> T:
        """What somebody was told of the sandbox a moment ago under the same ``key``, if that suffices; else
        what ``ask`` gives, which serves others. Raises what ``ask`` raises.
        """
        ...

    def item(self, collection: AnyCollection, remote_id: str) -> Listed | None:
        """The object as listed last. None proves nothing: only :meth:`absence` does."""
        ...

    def with_key(self, collection: AnyCollection, key: str) -> Sequence[Listed]:
        """The objects that carry a lookup key, the oldest first."""
        ...

    async def look_up(self, collection: AnyCollection, key: str, *, lost: bool) -> Sequence[Listed]:
        """The same, by a listing that begins now if a create of ours was ``lost``, else by one of this
        process that is hardly older. May raise RemoteError.
        """
        ...

    def include(self, transport: Transport) -> None:
        """Somebody is about to ask for objects that are made in this way: what is listed from now on has
        them.
        """
        ...

    async def ensure(self) -> None:
        """There is a listing, and no later one was refused. May raise RemoteError."""
        ...

    async def confirm(self) -> None:
        """Platform does not refuse to list the sandbox, as far as is known; a refusal is tried again. May
        raise RemoteError.
        """
        ...

    async def absence(self, collection: AnyCollection, remote_id: str) -> Absence:
        """Why a read was answered with 404. May raise RemoteError."""
        ...

    def created(self, collection: AnyCollection, item: Listed) -> None:
        """An own create."""
        ...

    def deleted(self, remote_id: str) -> None:
        """An own delete."""
        ...

    def let_go(self, remote_id: str) -> None:
        """An object has lost our key: it is not ours, whatever older listings show, and it is still there."""
        ...

    def is_built_on(self, remote_id: str) -> bool:
        """True if a listed object names this one as what it is built on."""
        ...

    def last_run(self, flow_id: str) -> Run | None:
        """The flow's last run, once runs have been listed."""
        ...

    def found_runs(self, flow_id: str) -> Sequence[Run]:
        """Runs of the flow that listings have shown and that its resource may not tell of yet: of those the
        newest, in no order.
        """
        ...

    @property
    def unread_runs(self) -> RemoteError | None:
        """Why runs can't be listed at present; None while they can."""
        ...

    def recorded_by(self, remote_id: str) -> str | None:
        """The resource of the cluster that records this object as its own."""
        ...

    async def readers_of(self, connection_id: str) -> Sequence[str]:
        """Ids of the flows that read through a base connection, by a listing of a moment ago. May raise
        RemoteError.
        """
        ...


class Zoho(Protocol):
    """Zoho CRM as seen with one grant; keeps the access token fresh. Methods may raise RemoteError."""

    async def access_token(self) -> SecretStr: ...
    async def refresh_token(self) -> SecretStr:
        """What access tokens are asked for with: out of the Secret, or what its grant token was exchanged
        for.
        """
        ...

    async def renew(self) -> None:
        """Zoho CRM refuses the access token: the next one is another."""
        ...

    async def scopes(self) -> tuple[str, ...]:
        """What the grant allows; empty if Zoho did not say."""
        ...

    async def organization(self, environment: Environment) -> Organization: ...

    async def ask(
        self,
        environment: Environment,
        question: Callable[[CrmApi], Awaitable[T]],
        spend: Spend = uncounted,
    ) -> T:
        """What comes of ``question``, which only reads: with another token it is asked anew. ``spend`` is
        told the credits of each answered call.
        """
        ...

    def crm_url(self, environment: Environment) -> str:
        """Base of the CRM API that the grant is for, without a slash at its end."""
        ...

    async def is_pushed(self) -> bool | None:
        """True if the base connection was given today's access token; None if nobody knows what it was
        given.
        """
        ...

    async def note_pushed(self, token: SecretStr) -> None:
        """The base connection has been given ``token``."""
        ...


@dataclass(frozen=True)
class LandingZoneFile:
    """A blob of a landing zone."""

    path: str
    """Below the container."""
    committed: datetime
    """Its last-modified time."""
    metadata: Mapping[str, str]
    """By names in lower case."""


class LandingZoneFiles(Protocol):
    """The landing zone of one sandbox."""

    async def credentials(self) -> LandingZoneCredentials:
        """What opens it at the moment."""
        ...

    def reject(self, sas_uri: SecretStr) -> None:
        """The blob service does not take this SAS any more."""
        ...

    async def list(self, folder: str) -> Sequence[LandingZoneFile]:
        """The blobs in a folder, which is named without the container. One that does not exist has none."""
        ...

    async def delete(self, path: str) -> None:
        """Delete a blob; one that is gone is no error."""
        ...


class Access(Protocol):
    """Hands out the remote services. Tokens are shared by everyone who uses the same credential.

    ``connection`` is the resource that uses them, as ``namespace/name``.
    """

    def zoho(self, connection: str, data_center: DataCenter, credentials: ZohoCredentials) -> Zoho: ...

    async def drop_former_grants(self, connection: str) -> None:
        """``connection`` uses none but its present grant any more. One that the operator obtained itself, and
        that nobody else uses, is revoked. May raise RemoteError.
        """
        ...

    async def drop_grants(self, connection: str, *, revoke: bool) -> None:
        """``connection`` is about to go; ``revoke`` as above. May raise RemoteError."""
        ...

    async def platform(
        self, connection: str, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> Platform:
        """The sandbox, once IMS has given a token, remembered for ``connection``; may raise RemoteError."""
        ...

    def inventory(self, connection: str) -> Inventory:
        """The inventory of the sandbox that :meth:`platform` last reached for ``connection``."""
        ...

    def landing_zone(self, connection: str) -> LandingZoneFiles:
        """The landing zone of the sandbox that :meth:`platform` last reached for ``connection``."""
        ...

    async def cached_platform(self, connection: str, sandbox: tuple[str, str] | None) -> Platform | None:
        """A ``sandbox`` (organization, name) by the token that ``connection`` last reached Platform with,
        while that lasts; it outlives the Secret, and restarts. Without one, what this process last reached.
        May raise RemoteError.
        """
        ...


class PassInterruptedError(Exception):
    """The API server could not be written to in the middle of a pass: nothing more may be done, and the pass
    begins anew.
    """


class Secrets(Protocol):
    """Users' Secrets, read when needed. May raise RemoteError."""

    async def read(self, namespace: str, name: str) -> Mapping[str, SecretStr] | None: ...


class ResourceView(Protocol):
    """A resource of any kind; ``spec`` and ``status`` are the models of its kind."""

    @property
    def uid(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def deleting(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    @property
    def spec(self) -> Any: ...
    @property
    def status(self) -> Any: ...


@dataclass(frozen=True)
class Referrer:
    """A resource whose spec names another one, as that one sees it."""

    kind: str
    name: str
    deleting: bool
    transports: frozenset[Transport] | None = None
    """The ways that its records take, or are to take; None as long as that is not decided."""

    created: str = ""
    """When it was created, as Kubernetes writes it."""
    ended: str | None = None
    """When it came to its end, if it is of a kind that has one, and has."""

    def takes(self, transport: Transport) -> bool:
        """Whether they are known to take that way."""
        return self.transports is not None and transport in self.transports


class Lister(Protocol):
    """Other resources of the cluster, from the cache."""

    def get(self, kind: Kind, namespace: str, name: str) -> ResourceView | None: ...
    def referrers(self, kind: Kind, namespace: str, name: str) -> Sequence[Referrer]: ...

    def owner_of(self, remote_id: str) -> str | None:
        """The resource that records a remote object as its own, else the oldest one whose spec names it."""
        ...

    def intents_of_others(self, own: str, slot: str, name: str) -> Sequence[datetime]:
        """When others of the kind of ``own`` wrote down that they are about to create this very object."""
        ...


class Journal(Protocol):
    """Writes what must not be lost if the process dies before the end of the pass. May raise
    PassInterruptedError.
    """

    async def checkpoint(self) -> None: ...
