"""AEP's objects as the operator sees them: what it acts on, normalized so that equal things are equal.

Field names are AEP's own in Python's spelling. A text that AEP does not send is empty. Instants are seconds
since the epoch, though AEP mostly sends milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that the credential may use (platform.md 13)."""

    name: str
    state: str
    """``active``, ``creating``, ``deleting``, ``resetting``, ``deleted`` or ``failed``."""
    type: str
    """``production`` or ``development``."""
    region: str
    """Such as ``VA7``: the key into the IP allow list."""
    modified_at: float | None = None
    """When the sandbox itself, not what is in it, last changed: a reset is such a change."""


@dataclass(frozen=True, slots=True)
class AuthSpec:
    """One way to authenticate that a connection spec offers (platform.md 11)."""

    name: str
    required: tuple[str, ...]
    """Names of the parameters that the spec calls required."""


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """A source or target type (platform.md 11)."""

    id: str
    name: str
    version: str
    auth_specs: tuple[AuthSpec, ...]


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """What may flow from where to where (platform.md 11)."""

    id: str
    name: str
    version: str
    source_connection_spec_ids: tuple[str, ...]
    target_connection_spec_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Created:
    """What an answer says of a new or changed object."""

    id: str
    etag: str | None = None
    """With the inner quotes; None where the service has none, or did not say."""
    version: int | None = None
    """A schema's major version, or a mapping set's, which a flow names together with the id."""


@dataclass(frozen=True, slots=True)
class PatchOperation:
    """One operation of a JSON Patch; ``value`` may hold ``SecretStr`` anywhere inside."""

    op: Literal["add", "replace", "remove"]
    path: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class BaseConnection:
    """An account (platform.md 4.1)."""

    id: str
    etag: str
    name: str
    description: str
    state: str
    connection_spec_id: str
    auth_spec_name: str
    auth_params: Mapping[str, Any] = field(repr=False)
    """As AEP shows them. Secrets may be masked, left out or in clear: never compare or print them."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that a base connection offers; ``path`` is what later calls use (platform.md 5)."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; ``raw`` is explore's object, which goes unchanged into a source connection."""

    name: str
    type: str
    is_date: bool
    """Whether it holds a date or an instant, so that it can be a delta column."""
    raw: Mapping[str, Any] = field(hash=False)
    format: str = ""
    """What a date holds: ``date`` or ``date-time``; empty for everything else."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A table's columns with a few of its rows."""

    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    """Values by column name. They are people's data: for whoever asked for them, and never kept."""


class LandingZoneProvider(StrEnum):
    """Whose storage a landing zone is in."""

    AZURE = "Azure"
    AWS = "AWS"


@dataclass(frozen=True, slots=True)
class LandingZone:
    """The container of a sandbox into which files are dropped for Platform (landing-zone.md E.1)."""

    provider: LandingZoneProvider
    container: str
    """The container's name; on AWS bucket and folder."""
    life_days: int | None
    """How long a file stays there, in days; None if Platform does not say."""


@dataclass(frozen=True, slots=True)
class LandingZoneCredentials:
    """What opens the container of a landing zone on Azure, for all of it and for everybody in the sandbox
    (landing-zone.md E.1).
    """

    container: str
    storage_account: str
    sas_uri: SecretStr
    """The container's address with a SAS that reads, writes and deletes."""
    expires_at: float | None
    """The beginning of the day on which the SAS ends; None if Platform does not say."""


@dataclass(frozen=True, slots=True)
class LandingZoneEntry:
    """A file or a folder of a landing zone, as explore shows it (landing-zone.md E.2)."""

    name: str
    path: str
    """Beginning with the container's name, without a slash at its end."""
    is_folder: bool


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files that a source connection reads (landing-zone.md E.2)."""

    path: str
    """Beginning with the container's name."""
    type: str
    """``folder`` or ``file``."""
    format: str
    """``delimited``, ``json`` or ``parquet``."""
    column_delimiter: str
    encoding: str
    compression: str


@dataclass(frozen=True, slots=True)
class SourceConnection:
    """A table of a base connection (platform.md 4.2), or files of a landing zone (landing-zone.md E.2)."""

    id: str
    etag: str
    name: str
    description: str
    state: str
    base_connection_id: str
    connection_spec_id: str
    table_name: str
    column_names: tuple[str, ...]
    """Names of the columns, in their order."""
    files: SourceFiles | None = None
    """None of what reads a table."""


@dataclass(frozen=True, slots=True)
class TargetConnection:
    """A dataset with the schema version it is written in (platform.md 4.3)."""

    id: str
    etag: str
    name: str
    description: str
    state: str
    connection_spec_id: str
    schema_id: str
    schema_version: str
    """The content type with its version, as it was sent."""
    dataset_id: str


@dataclass(frozen=True, slots=True)
class ScheduleParams:
    """``scheduleParams`` (platform.md 6.1). What AEP does not show is None."""

    start_time: int | None
    frequency: str
    """``once``, ``minute``, ``hour``, ``day`` or ``week``."""
    interval: int | None
    backfill: bool | None


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """``options`` of a flow (platform.md 6.1). What AEP does not show is None."""

    error_diagnostics_enabled: bool | None
    partial_ingestion_percent: float | None


class RunState(StrEnum):
    """States of a run, whose spellings differ (platform.md 7.1). Others come as Flow Service spells them."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "inProgress"
    SUCCESS = "success"
    PARTIAL_SUCCESS = "partialSuccess"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunError:
    """What went wrong in a run, sanitized; ``record_count`` is the number of records, where AEP tells it."""

    code: str
    message: str
    record_count: int | None = None


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that a run has refused, and why (platform.md 7.1)."""

    errors: tuple[RunError, ...]
    values: Mapping[str, Any] = field(repr=False, hash=False)
    """What is in it. They are people's data: for whoever asked for them, and never kept."""


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """What a run moved (platform.md 7.1). What AEP does not know is None."""

    records_read: int | None = None
    records_written: int | None = None
    records_skipped: int | None = None
    records_failed: int | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None
    files_read: int | None = None

    @property
    def lost_none(self) -> bool:
        """True if the counts show that every record which was read was ingested."""
        if self.records_failed:
            return False
        if self.records_read is None or self.records_written is None:
            return self.records_failed == 0
        return self.records_written >= self.records_read


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a flow (platform.md 7.1), or what the flow itself shows of its last one (platform.md 4.4)."""

    id: str
    flow_id: str
    state: str
    """A :class:`RunState`, a state that is not known here, or "" if AEP shows none."""
    started_at: float | None
    completed_at: float | None
    """None while it runs."""
    metrics: RunMetrics | None = None
    """None before it ends, and where only the flow tells of it."""
    errors: tuple[RunError, ...] = ()
    window: tuple[float, float] | None = None
    """What it was asked to take, by times of the source."""
    batches: tuple[str, ...] = ()
    """What it wrote, by ids of Catalog: their metadata names the files that it took."""

    @property
    def is_final(self) -> bool:
        """True once nothing more comes of it."""
        return self.completed_at is not None or is_final_state(self.state)

    def supersedes(self, known: Run | None) -> bool:
        """True if this is a later run than ``known``, or the same one and no less is known of it."""
        if known is None:
            return True
        if self.id != known.id:
            return (self.started_at or math.inf) >= (known.started_at or math.inf)
        return (self.is_final, self.metrics is not None) >= (known.is_final, known.metrics is not None)


_OPEN_STATES = frozenset({"", RunState.QUEUED, RunState.SCHEDULED, RunState.IN_PROGRESS})


def is_final_state(state: str) -> bool:
    """False of the states of a run of which more is to come; one that is not known here is final."""
    return state not in _OPEN_STATES


@dataclass(frozen=True, slots=True)
class Flow:
    """A dataflow (platform.md 4.4)."""

    id: str
    etag: str
    name: str
    description: str
    state: str
    flow_spec_id: str
    source_connection_ids: tuple[str, ...]
    target_connection_ids: tuple[str, ...]
    schedule: ScheduleParams
    delta_column: str | None
    mapping_set_id: str | None
    mapping_version: int | None
    options: FlowOptions
    last_run: Run | None
    has_options: bool = True
    """Whether it has ``options`` at all."""
    transformations: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    """As AEP shows them: a patch replaces one by its index (platform.md 6.2)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object of Flow Service as a listing shows it: enough to recognize it, and to notice a change."""

    id: str
    etag: str
    name: str
    description: str
    state: str
    created_at: float
    """Orders objects by age."""
    parents: tuple[str, ...] = ()
    """What it is built on: a base connection's id, or those of a flow's source and target connection."""
    last_run: Run | None = None


class SourceType(StrEnum):
    """What ``source`` of a mapping is; other values can make a mapping set uneditable (platform.md 8)."""

    ATTRIBUTE = "ATTRIBUTE"
    EXPRESSION = "EXPRESSION"
    STATIC = "STATIC"


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """One mapping of a mapping set: a column, an expression or a constant, to a path of the schema."""

    source_type: SourceType
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class MappingCheck:
    """Data Prep's verdict on one mapping; ``message`` is sanitized and empty if it is fine."""

    ok: bool
    message: str


@dataclass(frozen=True, slots=True)
class MappingSetRef:
    """A mapping set at one of its versions."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class MappingSet:
    """What a mapping set says (platform.md 8)."""

    schema_id: str
    content_type: str
    mappings: tuple[FieldMapping, ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """An XDM schema (platform.md 10)."""

    id: str
    """``$id``, a URL."""
    alt_id: str
    """``meta:altId``, such as ``_tenant.schemas.hash``."""
    title: str
    version: str
    """Major and minor, such as ``1.3``."""
    description: str = ""
    profile_enabled: bool = False
    """Whether it is part of the union schema, which can't be undone."""
    is_time_series: bool = False
    """Whether its records are events: none takes another's place."""

    @property
    def major_version(self) -> int:
        """The part of the version that content types name."""
        major = self.version.partition(".")[0]
        return int(major) if major.isdecimal() else 1


@dataclass(frozen=True, slots=True)
class IdentityDescriptor:
    """What makes a field of a schema an identity (platform.md 10)."""

    schema_id: str
    is_primary: bool


@dataclass(frozen=True, slots=True)
class DataSet:
    """A Catalog dataset (platform.md 9)."""

    id: str
    name: str
    schema_id: str
    content_type: str
    """Media type of the schema with its version."""
    profile_enabled: bool
    upserts: bool = False
    """Whether a row updates the fields of Profile that it has, and leaves the others."""
