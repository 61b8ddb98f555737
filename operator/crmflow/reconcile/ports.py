"""What the steps need from outside, as protocols: the reconcilers know no Kubernetes and no HTTP.

``runtime/`` provides the real ones, tests provide fakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import SecretStr

from crmflow.aep.listings import Collection, Listed
from crmflow.aep.models import (
    BaseConnection,
    Column,
    ConnectionSpec,
    Created,
    DataSet,
    FieldMapping,
    Flow,
    FlowSpec,
    MappingCheck,
    MappingSet,
    MappingSetRef,
    PatchOperation,
    Run,
    Sandbox,
    Schema,
    SourceConnection,
    Table,
    TargetConnection,
)
from crmflow.api.zohosourceconnection import (
    DataCenter,
    Environment,
    ZohoSourceConnectionSpec,
    ZohoSourceConnectionStatus,
)
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.zoho.crm import Organization


class Clock(Protocol):
    """Seconds since the epoch."""

    def now(self) -> float: ...


class Platform(Protocol):
    """One sandbox of Adobe Experience Platform, seen with one credential; methods may raise RemoteError."""

    async def sandboxes(self) -> Sequence[Sandbox]: ...
    async def connection_spec(self, spec_id: str) -> ConnectionSpec | None: ...
    async def flow_spec(self, name: str) -> FlowSpec | None: ...

    async def create_connection(
        self,
        name: str,
        description: str,
        auth_spec_name: str,
        params: Mapping[str, str | SecretStr],
        spec_id: str,
        spec_version: str,
    ) -> Created: ...
    async def connection(self, connection_id: str) -> BaseConnection: ...
    async def patch_connection(
        self, connection_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created: ...
    async def delete_connection(self, connection_id: str) -> None: ...
    async def test_connection(self, connection_id: str) -> bool: ...
    async def tables(self, connection_id: str) -> Sequence[Table]: ...
    async def columns(self, connection_id: str, table_path: str) -> Sequence[Column]: ...

    async def create_source_connection(
        self,
        name: str,
        description: str,
        base_connection_id: str,
        table: str,
        columns: Sequence[Mapping[str, Any]],
        spec_id: str,
        spec_version: str,
    ) -> Created: ...
    async def source_connection(self, source_connection_id: str) -> SourceConnection: ...
    async def patch_source_connection(
        self, source_connection_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created: ...
    async def delete_source_connection(self, source_connection_id: str) -> None: ...

    async def create_target_connection(
        self, name: str, description: str, schema_id: str, schema_version: str, dataset_id: str
    ) -> Created: ...
    async def target_connection(self, target_connection_id: str) -> TargetConnection: ...
    async def patch_target_connection(
        self, target_connection_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created: ...
    async def delete_target_connection(self, target_connection_id: str) -> None: ...

    async def create_flow(
        self,
        name: str,
        description: str,
        flow_spec_id: str,
        flow_spec_version: str,
        source_connection_id: str,
        target_connection_id: str,
        transformations: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
        schedule: Mapping[str, Any],
    ) -> Created: ...
    async def flow(self, flow_id: str) -> Flow: ...
    async def patch_flow(self, flow_id: str, etag: str, operations: Sequence[PatchOperation]) -> Created: ...
    async def set_flow_state(self, flow_id: str, enable: bool, etag: str | None) -> Created: ...
    async def delete_flow(self, flow_id: str) -> None: ...

    async def validate_mapping(
        self, schema_id: str, content_type: str, mappings: Sequence[FieldMapping]
    ) -> Sequence[MappingCheck]: ...
    async def find_mapping_set(self, name: str) -> MappingSetRef | None: ...
    async def mapping_set(self, ref: MappingSetRef) -> MappingSet: ...
    async def create_mapping_set(
        self, name: str, schema_id: str, content_type: str, mappings: Sequence[FieldMapping]
    ) -> MappingSetRef: ...

    async def schema(self, schema_id: str) -> Schema: ...
    async def schemas_titled(self, title: str) -> Sequence[Schema]: ...
    async def create_schema(
        self, title: str, description: str, class_id: str, field_groups: Sequence[str]
    ) -> Schema: ...
    async def has_primary_identity(self, schema_id: str) -> bool: ...
    async def set_primary_identity(self, schema: Schema, path: str, namespace: str) -> None: ...
    async def enable_schema_for_profile(self, schema_id: str) -> None: ...
    async def dataset(self, dataset_id: str) -> DataSet: ...
    async def datasets_named(self, name: str) -> Sequence[DataSet]: ...
    async def create_dataset(
        self,
        name: str,
        description: str,
        schema: Schema,
        *,
        profile: bool,
        upsert: bool,
        error_diagnostics: bool,
    ) -> str: ...


class Absence(StrEnum):
    """Why a read of a known object was answered with 404."""

    GONE = "Gone"
    """It does not exist any more; it may be made anew."""
    RESET = "Reset"
    """The whole sandbox was reset."""
    HIDDEN = "Hidden"
    """It exists: an access label hides it from reads (platform.md 1.4)."""
    MASS_VANISH = "MassVanish"
    """It is gone together with many others, and nobody has confirmed that loss yet."""


class Inventory(Protocol):
    """What is known of one sandbox from complete listings, own writes laid over them."""

    @property
    def covers_predecessors(self) -> bool:
        """True if a listing shows all that an earlier process of ours can have created."""
        ...

    def item(self, collection: Collection, remote_id: str) -> Listed | None:
        """The object as listed last."""
        ...

    def with_key(self, collection: Collection, key: str) -> Sequence[Listed]:
        """The objects that carry a lookup key, the oldest first."""
        ...

    async def look_up(self, collection: Collection, key: str, *, lost: bool) -> Sequence[Listed]:
        """The same, by a listing that begins now if a create of ours was ``lost``, else by one of this
        process that is hardly older. May raise RemoteError.
        """
        ...

    async def ensure(self) -> None:
        """There is a listing. May raise RemoteError."""
        ...

    async def absence(self, collection: Collection, remote_id: str) -> Absence:
        """Why a read was answered with 404. May raise RemoteError."""
        ...

    def created(self, collection: Collection, item: Listed) -> None:
        """An own create."""
        ...

    def deleted(self, remote_id: str) -> None:
        """An own delete, or an object that was let go: it is not ours, whatever older listings show."""
        ...

    def is_built_on(self, remote_id: str) -> bool:
        """True if a listed object names this one as what it is built on."""
        ...

    def last_run(self, flow_id: str) -> Run | None:
        """The flow's last run, once runs have been listed."""
        ...

    def holder_of(self, remote_id: str) -> str | None:
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

    async def scopes(self) -> tuple[str, ...]:
        """What the grant allows; empty if Zoho did not say."""
        ...

    async def organization(self, environment: Environment) -> Organization: ...

    async def is_pushed(self) -> bool | None:
        """True if the base connection was given today's access token; None if nobody knows what it was
        given.
        """
        ...

    async def note_pushed(self, token: SecretStr) -> None:
        """The base connection has been given ``token``."""
        ...


class Access(Protocol):
    """Hands out the remote services. Tokens are shared by everyone who uses the same credential.

    A ``holder`` is the connection that uses them, as ``namespace/name``.
    """

    def zoho(self, holder: str, data_center: DataCenter, credentials: ZohoCredentials) -> Zoho: ...

    async def drop_former_grants(self, holder: str) -> None:
        """``holder`` uses none but its present grant any more. One that the operator obtained itself, and
        that nobody else uses, is revoked. May raise RemoteError.
        """
        ...

    async def drop_grants(self, holder: str, *, revoke: bool) -> None:
        """``holder`` is about to go; ``revoke`` as above. May raise RemoteError."""
        ...

    async def platform(
        self, holder: str, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> Platform:
        """The sandbox, once IMS has given a token, remembered for ``holder``; may raise RemoteError."""
        ...

    def inventory(self, holder: str) -> Inventory:
        """The inventory of the sandbox that :meth:`platform` last reached for ``holder``."""
        ...

    async def held_platform(self, holder: str, sandbox: tuple[str, str] | None) -> Platform | None:
        """A ``sandbox`` (organization, name) by the token that ``holder`` last reached Platform with, while
        that lasts; it outlives the Secret, and restarts. Without one, what this process last reached. May
        raise RemoteError.
        """
        ...


class PassInterruptedError(Exception):
    """The API server could not be written to in the middle of a pass: nothing more may be done, and the pass
    begins anew.
    """


class Secrets(Protocol):
    """Users' Secrets, read when needed. May raise RemoteError."""

    async def read(self, namespace: str, name: str) -> Mapping[str, SecretStr] | None: ...


class ConnectionView(Protocol):
    """A ``ZohoSourceConnection`` as its dataflows see it."""

    @property
    def uid(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def deleting(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    @property
    def spec(self) -> ZohoSourceConnectionSpec: ...
    @property
    def status(self) -> ZohoSourceConnectionStatus: ...


@dataclass(frozen=True)
class Dataflow:
    """A ``CRMDataflow`` as its connection sees it."""

    name: str
    deleting: bool


class Peers(Protocol):
    """Other resources of the cluster, from the cache."""

    def connection(self, namespace: str, name: str) -> ConnectionView | None: ...
    def dataflows_of(self, namespace: str, connection: str) -> Sequence[Dataflow]: ...

    def owner_of(self, remote_id: str) -> str | None:
        """The resource that records a remote object as its own, else the oldest one whose spec names it."""
        ...

    def intents_of_others(self, own: str, slot: str, name: str) -> Sequence[datetime]:
        """When dataflows other than ``own`` wrote down that they are about to create this very object."""
        ...


class Journal(Protocol):
    """Writes what must not be lost if the process dies before the end of the pass. May raise
    PassInterruptedError.
    """

    async def checkpoint(self) -> None: ...
