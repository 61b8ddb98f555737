"""CRMDataflow: one table of Zoho CRM, mapped into one dataset of Adobe Experience Platform on a schedule."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from crmflow.api.base import (
    DURATION_PATTERN,
    ONE_LINE,
    PASSING,
    RESYNC_INTERVAL,
    AdoptedId,
    Conditions,
    DeletionPolicy,
    Description,
    DisplayName,
    Duration,
    Intents,
    LastDrift,
    LocalObjectReference,
    ManagementPolicy,
    Model,
    ReconcileRequest,
    RemoteId,
    RemoteState,
    Timestamp,
    Transport,
    WrittenTime,
    observed_by,
    set_once,
)
from crmflow.api.schema import ListMap, ListSet, Rule

ColumnName = Annotated[str, Field(min_length=1, max_length=128), ONE_LINE]
MAX_COLUMNS = 1000
"""Zoho CRM's largest edition has several hundred fields a module, its own and custom ones; nobody publishes a
limit for a table in Adobe Experience Platform."""
Columns = Annotated[tuple[ColumnName, ...], ListSet(), Field(min_length=1, max_length=MAX_COLUMNS)]


class Source(Model):
    """What to read from Zoho CRM."""

    table: Annotated[str, Field(min_length=1, max_length=128), ONE_LINE]
    """The table as Adobe Experience Platform's explore names it; usually the API name of a module, such as
    Contacts."""
    columns: Columns | None = None
    """The columns to read. Left out, they are all that the table has when the dataflow is created; the status
    lists them."""


XdmId = Annotated[
    str,
    Field(max_length=512),
    Rule(
        "self.matches('^https://ns[.]adobe[.]com/[^[:space:]]+$')",
        "must be an $id, a URI that begins with https://ns.adobe.com/; Schema Registry and the page in Adobe "
        "Experience Platform show it",
    ),
]
"""The $id of a schema, class or field group."""
Path = Annotated[str, Field(min_length=1, max_length=256), ONE_LINE]
"""The dotted path of a field in the schema."""


class PrimaryIdentity(Model):
    """The field by which Adobe Experience Platform recognizes whom a record is about."""

    path: Path
    """The path of the field in the schema, such as personalEmail.address."""
    namespace: Annotated[str, Field(min_length=1, max_length=1024), ONE_LINE]
    """The code of the identity namespace, such as Email."""


class SchemaCreation(Model):
    """How the schema is composed if it has to be created (platform.md 10)."""

    class_: XdmId = Field(alias="class")
    """The $id of its class, such as https://ns.adobe.com/xdm/context/profile."""
    field_groups: Annotated[tuple[XdmId, ...], ListSet(), Field(max_length=50)] = ()
    """The $ids of its field groups, whose fields it has besides those of the class."""
    primary_identity: PrimaryIdentity | None = None
    """Its primary identity. Left out, it has none."""
    enable_for_profile_irreversibly: bool = False
    """Whether the schema becomes part of the union schema of Real-Time Customer Profile. That can never be
    undone, neither by this operator nor in Adobe Experience Platform."""


class SchemaReference(Model):
    """Names an XDM schema by its $id, or by its title so that one manifest serves several sandboxes."""

    id: XdmId | None = None
    """The $id of the schema."""
    title: Annotated[str, Field(min_length=1, max_length=128), ONE_LINE] | None = None
    """The title of the schema. Exactly one schema of the sandbox must have it."""
    create: SchemaCreation | None = None
    """Create the schema if no schema has the title. A schema that exists is never changed or deleted. Left
    out, the schema must exist."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.id) != has(self.title)",
            "must have exactly one of id and title: remove one, or add the one that is missing",
        ),
        Rule(
            "!has(self.create) || has(self.title)",
            "create needs title, the name of the schema that is created: use title instead of id",
            field_path=".title",
            reason="FieldValueRequired",
        ),
    )


class DatasetCreation(Model):
    """What the dataset is like if it has to be created (platform.md 9)."""

    profile: bool = False
    """Whether its records go into Real-Time Customer Profile. The schema must be enabled for Profile."""
    upsert: bool = False
    """Whether a record updates the fields that it has, instead of replacing the whole profile fragment. Only
    with profile."""
    error_diagnostics: bool = False
    """Whether the dataset keeps details about records that it refused."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.upsert) || !self.upsert || (has(self.profile) && self.profile)",
            "upsert needs profile: set profile to true as well, or remove upsert",
            field_path=".upsert",
        ),
    )


class DatasetReference(Model):
    """Names a dataset by its ID, or by its name so that one manifest serves several sandboxes."""

    id: (
        Annotated[
            str,
            Field(max_length=64),
            Rule(
                "self.matches('^[0-9A-Za-z]+$')",
                "must be the dataset's ID, letters and digits as its page in Adobe Experience Platform shows "
                "them, not its name",
            ),
        ]
        | None
    ) = None
    """The ID of the dataset."""
    name: (
        Annotated[
            str,
            Field(min_length=1, max_length=128),
            ONE_LINE,
            Rule(
                "!self.contains(',')",
                "must have no comma, which separates names in a look-up: use id instead",
            ),
        ]
        | None
    ) = None
    """The name of the dataset. Exactly one dataset of the sandbox must have it."""
    create: DatasetCreation | None = None
    """Create the dataset if no dataset has the name; {} creates a plain one. A dataset that exists is never
    changed or deleted. Left out, the dataset must exist."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.id) != has(self.name)",
            "must have exactly one of id and name: remove one, or add the one that is missing",
        ),
        Rule(
            "!has(self.create) || has(self.name)",
            "create needs name, the name of the dataset that is created: use name instead of id",
            field_path=".name",
            reason="FieldValueRequired",
        ),
    )


class TargetSpec(Model):
    """Where to write in Adobe Experience Platform. What exists there is never changed or deleted."""

    schema_: SchemaReference = Field(alias="schema")
    """The XDM schema of the mapping's targets. The dataset must have the same one."""
    dataset: DatasetReference
    """The dataset that receives the records."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.dataset.create) || !has(self.dataset.create.profile) || !self.dataset.create.profile"
            " || !has(self.schema.create) || (has(self.schema.create.enableForProfileIrreversibly)"
            " && self.schema.create.enableForProfileIrreversibly)",
            "dataset.create.profile needs a schema that is enabled for Profile: set "
            "schema.create.enableForProfileIrreversibly, or remove profile",
            field_path=".dataset",
        ),
    )


class MappingSetReference(Model):
    """Names a mapping set that exists in the sandbox."""

    id: Annotated[
        str,
        Field(max_length=64),
        Rule(
            "self.matches('^[0-9A-Za-z-]+$')",
            "must be the mapping set's ID, letters, digits and '-' as Data Prep shows them",
        ),
    ]
    """The ID of the mapping set."""
    version: Annotated[int, Field(ge=0)]
    """The version of the mapping set that the flow uses; a newer one is used when it is named here."""


MAX_EXPRESSION = 4096
"""What Adobe documents for a calculated field (Data Prep overview, "Calculated fields")."""


class MappingEntry(Model):
    """How one field of the schema gets its value: from a column, by an expression, or as a fixed value."""

    target: Path
    """The path of the field in the schema, such as personalEmail.address; a custom field begins with the
    tenant's namespace."""
    source: ColumnName | None = None
    """The column whose value is taken."""
    expression: Annotated[str, Field(min_length=1, max_length=MAX_EXPRESSION)] | None = None
    """A Data Prep expression over columns, such as concat(First_Name," ",Last_Name)."""
    value: Annotated[str, Field(min_length=1, max_length=MAX_EXPRESSION)] | None = None
    """A fixed value."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.source), has(self.expression), has(self.value)].filter(given, given).size() == 1",
            "must have exactly one of source, expression and value: remove the others, or add the one "
            "that is missing",
        ),
    )


MAX_MAPPING_TEXT = 750_000
MappingEntries = Annotated[
    tuple[MappingEntry, ...],
    ListMap("target"),
    Field(min_length=1, max_length=MAX_COLUMNS),
    Rule(
        "self.map(entry, (has(entry.expression) ? size(entry.expression) : 0)"
        f" + (has(entry.value) ? size(entry.value) : 0)).sum() <= {MAX_MAPPING_TEXT}",
        f"must have at most {MAX_MAPPING_TEXT:,} characters of expressions and values in all, which is what "
        "Kubernetes can store: shorten them, or use a mapping set that is made elsewhere, with mappingSetRef",
    ),
]
"""Each entry may be as long as Data Prep takes it; all of them together must fit into etcd's 1.5 MiB."""


class DeltaColumn(Model):
    """The column that tells new and changed records from old ones."""

    name: ColumnName
    """Name of a date-time column of the table, usually Modified_Time."""


class Frequency(StrEnum):
    """The unit of the schedule's interval, or Once (platform.md 6.1)."""

    ONCE = "Once"
    MINUTE = "Minute"
    HOUR = "Hour"
    DAY = "Day"
    WEEK = "Week"


UNIT_SECONDS = {Frequency.MINUTE: 60, Frequency.HOUR: 3600, Frequency.DAY: 86400, Frequency.WEEK: 604800}
MAX_INTERVAL = 300_000
"""Flow Service documents no upper limit (platform.md 6.1). So many weeks after any start there is still a
date that can be written."""


class Schedule(Model):
    """When the dataflow runs (platform.md 6.1)."""

    frequency: Frequency
    """The unit of interval, or Once for a single run."""
    interval: Annotated[int, Field(ge=1, le=MAX_INTERVAL)] | None = None
    """Number of units between two runs: at least 15 with Minute, at least 1 otherwise. Required, except with
    Once, which has none."""
    start_time: WrittenTime | None = None
    """The wish for the first run, written as RFC 3339 says. A time that is past when the dataflow is created
    means as soon as possible, in step with the schedule; so does leaving it out. The status shows the time
    that took effect."""
    backfill: bool | None = None
    """Whether the first run reads all records that the table already has. Left out, it does. Not with Once,
    which always does."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.frequency == 'Once' || has(self.interval)",
            "interval is required unless frequency is Once: add the number of units between two runs",
            field_path=".interval",
            reason="FieldValueRequired",
        ),
        Rule(
            "self.frequency != 'Once' || !has(self.interval)",
            "interval is not allowed when frequency is Once: remove it",
            field_path=".interval",
            reason="FieldValueForbidden",
        ),
        Rule(
            "self.frequency != 'Minute' || !has(self.interval) || self.interval >= 15",
            "interval must be at least 15 when frequency is Minute",
            field_path=".interval",
        ),
        Rule(
            "self.frequency != 'Once' || !has(self.backfill)",
            "backfill is not allowed when frequency is Once, which reads all records anyway: remove it",
            field_path=".backfill",
            reason="FieldValueForbidden",
        ),
    )

    @property
    def period_seconds(self) -> float | None:
        """Seconds between two runs; None if there is only one."""
        unit = UNIT_SECONDS.get(self.frequency)
        return None if unit is None else float(unit * (self.interval or 1))


class Ingestion(Model):
    """How records are taken in."""

    enabled: bool = True
    """Whether the flow runs. False disables it in Adobe Experience Platform."""
    error_diagnostics: bool | None = None
    """Whether Adobe Experience Platform keeps details about records that it refused. Left out, it is off."""
    partial_ingestion_percent: Annotated[float, Field(gt=0, le=100)] | None = None
    """The share of refused records, in percent, up to which a run still succeeds. Left out, the default of
    Adobe Experience Platform holds."""


class Runs(Model):
    """What becomes of runs that fail."""

    retry_limit: Annotated[int, Field(ge=0, le=10)] | None = None
    """How often the work of a run that failed, or that read records and ingested none, is done again: at
    growing intervals, and within a day. Left out, it is not with transport PlatformSource, and three times
    with LandingZone, where the file is written anew after that."""


class DeletedRecords(StrEnum):
    """What becomes of records that were deleted in Zoho CRM."""

    IGNORE = "Ignore"
    """Nothing: what was ingested of them stays."""
    MARK = "Mark"
    """Each gets one more row, with its id and with true in the column crmflow_deleted."""


FULL_READ_EVERY = Rule(
    f"self.matches('^{DURATION_PATTERN}$') && duration(self) >= duration('24h')",
    "must be a duration of at least 24h, such as 24h or 168h",
)


class Extract(Model):
    """How records are read for the landing zone. Unused where Adobe Experience Platform reads them itself."""

    deleted_records: DeletedRecords = DeletedRecords.IGNORE
    """Mark writes a row for each record that was deleted in Zoho CRM. It has the record's id, and true in the
    column crmflow_deleted, which is false in every other row. The mapping has to use both columns."""
    full_read_every: Annotated[Duration, FULL_READ_EVERY] | None = None
    """How often the whole table is read again in place of what has changed, at least 24h: the values of
    formula fields change without a record counting as changed. The dataset grows by the table each time."""


class ReplacementPolicy(StrEnum):
    """Who decides that a flow is replaced by another one."""

    MANUAL = "Manual"
    """A person does, by approving the plan that the status shows."""
    AUTOMATIC = "Automatic"
    """The operator replaces the flow as soon as the spec needs it."""


class CRMDataflowSpec(Model):
    """The dataflow as it should be."""

    display_name: DisplayName | None = None
    """The beginning of the remote objects' names in Adobe Experience Platform. Left out, it is the resource's
    namespace and name."""
    description: Description | None = None
    """Text for the flow's description in Adobe Experience Platform."""
    connection_ref: LocalObjectReference
    """The ZohoSourceConnection, in the same namespace, to read through."""
    source: Source
    """What to read from Zoho CRM."""
    target: TargetSpec
    """Where to write in Adobe Experience Platform."""
    mapping: MappingEntries | None = None
    """How each field of the schema gets its value; each target once."""
    mapping_set_ref: MappingSetReference | None = None
    """A mapping set that was made elsewhere, instead of mapping."""
    delta_column: DeltaColumn | None = None
    """The column that tells new and changed records from old ones. Required, except when frequency is Once,
    which has none."""
    schedule: Schedule
    """When the dataflow runs."""
    transport: Transport = Transport.AUTO
    """The way in which records get into Adobe Experience Platform: by its own Zoho CRM source
    (PlatformSource), or in files that the operator writes into the Data Landing Zone (LandingZone). Auto
    leaves it to the connection, and there to what Adobe Experience Platform offers. Once it is decided it
    stays; the status shows it."""
    extract: Extract | None = None
    """How records are read for the landing zone."""
    ingestion: Ingestion = Ingestion()
    """How records are taken in."""
    runs: Runs | None = None
    """What becomes of runs that fail."""
    flow_id: AdoptedId | None = None
    """The ID of a flow that exists and is to stand for this resource, with its source connection, target
    connection and mapping. They keep their names and descriptions. Once set, it stays."""
    resync_interval: Annotated[Duration, RESYNC_INTERVAL] | None = None
    """How often everything is compared with Adobe Experience Platform, beside the listings that notice most
    changes sooner: at
    least 10m. Left out, the operator's setting applies, 1h by default."""
    replacement_policy: ReplacementPolicy = ReplacementPolicy.MANUAL
    """What becomes of a change that only another flow can have, such as another table, connection or
    transport. Manual shows in the status what would be done, and waits until that plan is approved with the
    annotation crmflow.io/approve-plan. Automatic does it."""
    paused: bool = False
    """While true, the operator neither reads nor changes the remote side, and the flow goes on as it is.
    Deleting the resource still works. To stop the flow itself, set ingestion.enabled to false."""
    management_policy: ManagementPolicy = ManagementPolicy.MANAGE
    """Observe compares the flow that flowId names, and what it is built on, and reports differences, but
    never changes or deletes anything."""
    deletion_policy: DeletionPolicy | None = None
    """What deleting the resource does to flow, source connection and target connection: Delete removes them,
    Orphan leaves them. Left out, those that the operator created are removed, and those of a flow that flowId
    names are left. With managementPolicy Observe they are always left. The status shows what applies."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.mapping) != has(self.mappingSetRef)",
            "must have exactly one of mapping and mappingSetRef: remove one, or add the one that is missing",
        ),
        Rule(
            "self.schedule.frequency == 'Once' || has(self.deltaColumn)",
            "deltaColumn is required unless schedule.frequency is Once: name the column that tells "
            "changed records, "
            "usually Modified_Time",
            field_path=".deltaColumn",
            reason="FieldValueRequired",
        ),
        Rule(
            "self.schedule.frequency != 'Once' || !has(self.deltaColumn)",
            "deltaColumn is not allowed when schedule.frequency is Once: remove it",
            field_path=".deltaColumn",
            reason="FieldValueForbidden",
        ),
        Rule(
            "!has(self.extract) || self.transport != 'PlatformSource'",
            "extract is not allowed with transport PlatformSource, by which Adobe Experience Platform reads "
            "Zoho CRM itself: remove it, or use another transport",
            field_path=".extract",
            reason="FieldValueForbidden",
        ),
        Rule(
            "!has(self.extract) || !has(self.extract.deletedRecords) || self.extract.deletedRecords != 'Mark'"
            " || !has(self.source.columns) || self.source.columns.exists(column, column == 'id')",
            "extract.deletedRecords: Mark needs the column id, by which a deleted record is told: add it to "
            "source.columns",
            field_path=".source",
        ),
        Rule(
            "!has(self.extract) || !has(self.extract.fullReadEvery) || self.schedule.frequency != 'Once'",
            "extract.fullReadEvery is not allowed when schedule.frequency is Once, which reads everything "
            "anyway: remove it",
            field_path=".extract",
            reason="FieldValueForbidden",
        ),
        set_once("flowId", "create another CRMDataflow for another flow"),
        observed_by("flowId"),
    )

    @property
    def retry_limit(self) -> int | None:
        """How often the work of a failed run is done again; None if that is left out."""
        return self.runs.retry_limit if self.runs else None

    @property
    def adopts(self) -> str | None:
        """The id of the flow that was there before the resource."""
        return self.flow_id


class FlowStatus(Model):
    """The flow in Adobe Experience Platform."""

    id: RemoteId
    """Its ID."""
    state: RemoteState | None = None
    """Its state as the Flow Service gives it, such as enabled."""
    state_since: Timestamp | None = None
    """When it was first seen in this state."""


class SourceStatus(Model):
    """What the flow was created to read from."""

    base_connection_id: RemoteId | None = None
    """The ID of the base connection. Absent for a flow that reads files of the landing zone."""
    connection: Annotated[str, Field(max_length=253)] | None = None
    """The ZohoSourceConnection whose grant reads the records, for a flow that reads files of the landing
    zone."""
    table: Annotated[str, Field(max_length=128)]
    """The table."""
    delta_column: Annotated[str, Field(max_length=128)] | None = None
    """The column that tells changed records, for a flow that reads files of the landing zone."""
    deleted_records: DeletedRecords | None = None
    """What becomes of records that were deleted in Zoho CRM, for a flow that reads files of the landing
    zone."""


class MappingSetStatus(Model):
    """The mapping set that the flow uses."""

    id: RemoteId
    """Its ID."""
    version: Annotated[int, Field(ge=0)]
    """Its version."""
    content_hash: Annotated[str, Field(max_length=64)] | None = None
    """A short hash of the mapping and the schema it was made for."""


class SchemaStatus(Model):
    """The schema that dataset, mapping and target connection share."""

    id: Annotated[str, Field(max_length=512)]
    """Its $id."""
    title: Annotated[str, Field(max_length=128)] | None = None
    """The title by which it was found, if the spec names it so."""
    version: Annotated[str, Field(max_length=128)]
    """Its version as dataset and mapping name it."""


class DatasetStatus(Model):
    """The dataset that receives the records."""

    id: RemoteId
    """Its ID."""
    profile_enabled: bool | None = None
    """Whether Real-Time Customer Profile reads it too, as last looked at: then its batches count against a
    limit of the sandbox."""
    name: Annotated[str, Field(max_length=128)] | None = None
    """The name by which it was found, if the spec names it so."""


class ScheduleStatus(Model):
    """The schedule that the flow was created with."""

    start_time: Timestamp | None = None
    """The wish for the first run that was in the spec then."""
    backfill: bool | None = None
    """Whether the first run was asked to read all records."""
    effective_start_time: Timestamp | None = None
    """The start time that was sent."""
    reads_on: bool | None = None
    """True of a flow that has taken the place of one, and reads nothing from before its start."""


class Gap(Model):
    """Records that changed in this time may not have been read: the flow was deleted from outside, and its
    successor begins
    with the next tick."""

    noticed_time: Timestamp
    """When the loss was noticed."""
    since: Timestamp | None = None
    """When the lost flow last read; absent if it never did."""
    until: Timestamp | None = None
    """When the new flow begins; absent until it exists."""


Count = Annotated[int, Field(ge=0)]


class RunRecords(Model):
    """How many records a run handled. A number that Adobe Experience Platform does not tell is absent."""

    read: Count | None = None
    """Records that came from Zoho CRM."""
    written: Count | None = None
    """Records that were ingested."""
    skipped: Count | None = None
    """Records that were left out."""
    failed: Count | None = None
    """Records that were refused."""


class RunBytes(Model):
    """How much a run moved. A number that Adobe Experience Platform does not tell is absent."""

    read: Count | None = None
    """Bytes that came from Zoho CRM."""
    written: Count | None = None
    """Bytes that were ingested."""


class RunErrorStatus(Model):
    """Why a run, or some of its records, failed."""

    code: Annotated[str, Field(max_length=64)]
    """The code of Adobe Experience Platform, such as CONNECTOR-1001-500."""
    message: Annotated[str, Field(max_length=1024)]
    """Its text; where that is longer, its beginning and its end, which tells the cause."""
    records: Count | None = None
    """How many records it concerns, where that is told."""


class LastRun(Model):
    """The flow's last run."""

    id: RemoteId
    """Its ID."""
    state: RemoteState | None = None
    """Its state: queued, scheduled, inProgress, success, partialSuccess or failed, however the Flow Service
    spells it. A run that succeeded and refused records is a partialSuccess; one that has errors
    and ingested all it read is a success."""
    start_time: Timestamp | None = None
    """When it began."""
    completion_time: Timestamp | None = None
    """When it ended; absent while it runs."""
    records: RunRecords | None = None
    """The records that it handled; absent until it has ended."""
    bytes: RunBytes | None = None
    """The bytes that it moved; absent until it has ended."""
    errors: Annotated[tuple[RunErrorStatus, ...], Field(max_length=8)] | None = None
    """What went wrong in it, the first five errors."""


class RunWindow(Model):
    """What a run was asked to take, by times of the source: of a table when records changed, of files when
    they were written.
    """

    start: Timestamp | None = None
    """Its beginning; absent where everything before its end is taken."""
    end: Timestamp
    """Its end."""


MAX_RECENT_RUNS = 10


class RecentRun(Model):
    """One run of the flow, in short."""

    id: RemoteId
    """Its ID."""
    state: RemoteState | None = None
    """Its state, as that of the last run."""
    window: RunWindow | None = None
    """What it was asked to take, where Adobe Experience Platform tells it."""
    start_time: Timestamp | None = None
    """When it began; absent while it waits, where that is not told."""
    completion_time: Timestamp | None = None
    """When it ended; absent while it runs."""
    records: RunRecords | None = None
    """The records that it handled; absent until it has ended."""
    bytes: RunBytes | None = None
    """The bytes that it moved; absent until it has ended."""
    files: Count | None = None
    """How many files it took, with transport LandingZone."""
    cause: Annotated[str, Field(max_length=256)] | None = None
    """The first of what went wrong in it."""
    requested_by: Annotated[str, Field(max_length=253)] | None = None
    """The CRMDataflowRun that asked for it. One through the landing zone is a run of another flow, which the
    CRMDataflowRun had for itself; its window is what was read from Zoho CRM."""
    retry_of: RemoteId | None = None
    """The run whose work a CRMDataflowRun had done again by this one."""


RecentRuns = Annotated[tuple[RecentRun, ...], Field(max_length=MAX_RECENT_RUNS)]


class RunRetryState(StrEnum):
    """What becomes of the work of a run that failed."""

    DUE = "Due"
    """Adobe Experience Platform is to be asked to do it again."""
    REQUESTED = "Requested"
    """It was asked, and the new run does not show yet."""
    RUNNING = "Running"
    """A new run does it."""
    SUCCEEDED = "Succeeded"
    """A later run has done it."""
    EXHAUSTED = "Exhausted"
    """It failed as often as spec.runs.retryLimit allows."""
    REFUSED = "Refused"
    """Adobe Experience Platform does not do it again."""


class RunRetry(Model):
    """A run that failed, and the runs that do its work again."""

    run: RemoteId
    """Its ID."""
    state: RunRetryState
    """What becomes of it."""
    retries: Count | None = None
    """How often Adobe Experience Platform was asked to do it again."""
    request_time: Timestamp | None = None
    """When it was last asked."""
    retry_time: Timestamp | None = None
    """When it is asked next."""
    runs: Annotated[tuple[RemoteId, ...], Field(max_length=16)] = ()
    """The runs that did it again, the oldest first."""
    cause: Annotated[str, Field(max_length=256)] | None = None
    """Why the last request was refused."""


RunRetries = Annotated[tuple[RunRetry, ...], Field(max_length=MAX_RECENT_RUNS)]


class IngestedStatus(Model):
    """What is in Adobe Experience Platform by now."""

    until: Timestamp | None = None
    """Up to when changes in Zoho CRM are there: with transport LandingZone up to the end of the newest window
    of which nothing is pending; else up to the start of the last run that succeeded."""
    last_success_time: Timestamp | None = None
    """When the last run ended that succeeded, in whole or in part."""


class Totals(Model):
    """What has come of all runs and windows that were seen since the resource was made, each counted once.
    The metrics of the operator show these numbers."""

    runs_succeeded: Count | None = None
    """Runs that succeeded."""
    runs_partially_succeeded: Count | None = None
    """Runs that refused or skipped some of their records."""
    runs_failed: Count | None = None
    """Runs that failed."""
    records: RunRecords | None = None
    """The records that they handled."""
    bytes: RunBytes | None = None
    """The bytes that they moved."""
    windows: Count | None = None
    """Windows that were read from Zoho CRM into a file, with transport LandingZone; one that is read again
    counts again."""
    window_rows: Count | None = None
    """Rows of these files."""
    window_bytes: Count | None = None
    """Bytes of these files."""
    differences: Count | None = None
    """Runs of which IngestionComplete found that the numbers differ."""
    counted_until: Timestamp | None = None
    """All runs that began until then have been counted, but for those in recentRuns. Set once there were more
    runs than that has room for."""


class LandingZoneFolder(Model):
    """Where the files of a dataflow are."""

    path: Annotated[str, Field(max_length=1024)]
    """The folder, beginning with the container of the sandbox's landing zone."""


class LastWindow(Model):
    """A window that was read from Zoho CRM."""

    start: Timestamp
    """Records that changed at or after this time,"""
    end: Timestamp
    """and before this time."""
    rows: Count
    """How many there were."""
    deleted: Count | None = None
    """How many records were marked as deleted."""
    completion_time: Timestamp
    """When the file was written, or was found to have nothing to hold."""


class Extraction(Model):
    """How far the records of a table have been read for the landing zone."""

    cursor: Timestamp
    """Up to when changed records have been read, or are being read in a window that is pending: where the
    next window begins."""
    cursor_set_time: Timestamp
    """When the cursor was last set."""
    full_read_time: Timestamp | None = None
    """Up to when the last read of the whole table went, or when the dataflow was first looked at."""
    applied_cursor: Annotated[str, Field(max_length=64)] | None = None
    """The value of the annotation crmflow.io/cursor that was last followed."""
    last_window: LastWindow | None = None
    """The window that was read last."""


class WrittenFile(Model):
    """A file in the landing zone, which its window names."""

    completion_time: Timestamp
    """When it was committed."""
    rows: Count
    """Rows of living records in it."""
    deleted: Count | None = None
    """Rows that mark deletions, beside them."""
    bytes: Count | None = None
    """Its size."""
    count_before: Count | None = None
    """How many records Zoho CRM counted in the window before the first was read."""
    count_after: Count | None = None
    """The same after the last one was read."""


class PendingWindowStatus(Model):
    """A window on its way from Zoho CRM into Adobe Experience Platform."""

    start: Timestamp
    """Records that changed at or after this time,"""
    end: Timestamp
    """and before this time."""
    tick: Timestamp | None = None
    """The run of the flow that is to take the file; absent for the first window of a flow."""
    expected_rows: Count | None = None
    """How many records Zoho CRM counted when the window was planned."""
    first_extraction: Count | None = None
    """The number of the window's first file: more than 0 if it was read before."""
    extraction: Count | None = None
    """The number of the file, part of its name: each time that the window is read again it is another one."""
    attempt: Count | None = None
    """The number of the Job that reads the window for this file."""
    started: bool | None = None
    """True once that Job was seen."""
    retry_time: Timestamp | None = None
    """The next Job begins no sooner."""
    exit_code: Annotated[int, Field(ge=0, le=255)] | None = None
    """How the Job before this one ended."""
    file: WrittenFile | None = None
    """The file; absent until it is there."""
    retried_run: RemoteId | None = None
    """The failed run that Adobe Experience Platform was last asked to do again."""
    retries: Count | None = None
    """How often it was asked."""
    retry_request_time: Timestamp | None = None
    """When it was last asked."""


MAX_PENDING_WINDOWS = 100
MAX_UNDELIVERED_COLUMNS = 100
PendingWindows = Annotated[tuple[PendingWindowStatus, ...], Field(max_length=MAX_PENDING_WINDOWS)]


class FlowParts(Model):
    """A flow, what it is made of, and how far the files are that it takes."""

    flow: FlowStatus | None = None
    """The flow in Adobe Experience Platform."""
    slot_revision: Annotated[int, Field(ge=1)] | None = None
    """Which of the names that the operator gives the objects bear, while those of the flow that they replace
    bear others. Absent otherwise."""
    source_connection_id: RemoteId | None = None
    """The ID of the source connection in Adobe Experience Platform."""
    target_connection_id: RemoteId | None = None
    """The ID of the target connection in Adobe Experience Platform."""
    mapping_set: MappingSetStatus | None = None
    """The mapping set that the flow uses."""
    schema_: SchemaStatus | None = Field(default=None, alias="schema")
    """The schema that dataset, mapping and target connection share."""
    dataset: DatasetStatus | None = None
    """The dataset that receives the records."""
    source: SourceStatus | None = None
    """What the flow was created to read from."""
    columns: Annotated[tuple[Annotated[str, Field(max_length=128)], ...], Field(max_length=1000)] = ()
    """The columns that the flow reads, as they were when it was created."""
    schedule: ScheduleStatus | None = None
    """The schedule that the flow was created with."""
    transport: Transport | None = None
    """The way in which records get into Adobe Experience Platform, as it was decided: PlatformSource or
    LandingZone."""
    landing_zone: LandingZoneFolder | None = None
    """Where the files are, with transport LandingZone."""
    extraction: Extraction | None = None
    """How far records have been read, with transport LandingZone."""
    pending_windows: PendingWindows | None = None
    """Windows that have not been ingested yet, with transport LandingZone, the oldest first."""
    undelivered_columns: (
        Annotated[tuple[ColumnName, ...], Field(max_length=MAX_UNDELIVERED_COLUMNS)] | None
    ) = None
    """Fields of the module that Zoho CRM puts into no file, with transport LandingZone; the first hundred."""


class FlowRecord(FlowParts):
    """A flow, and all that was made and found out for it."""

    last_run: LastRun | None = None
    """The flow's last run."""
    recent_runs: RecentRuns | None = None
    """The flow's last ten runs, the newest first. Up to five that go on stay while newer ones leave."""
    run_retries: RunRetries | None = None
    """Which of them failed, and what becomes of their work, with spec.runs.retryLimit and transport
    PlatformSource, the oldest first."""
    ingested: IngestedStatus | None = None
    """What is in Adobe Experience Platform by now."""
    gap: Gap | None = None
    """The time that a flow which was deleted from outside left unread."""


class ReadsFrom(StrEnum):
    """What a flow reads that takes the place of another one."""

    BEGINNING = "Beginning"
    """All records that the table has."""
    NEXT_RUN = "NextRun"
    """What changes from a coming run of the flow on that it replaces."""
    PREDECESSOR = "Predecessor"
    """What the flow that it replaces has not read."""


class PlanState(StrEnum):
    """How far a plan has come."""

    WAITING_FOR_APPROVAL = "WaitingForApproval"
    """Nothing is done until it is approved."""
    IN_PROGRESS = "InProgress"
    """The flow is being replaced."""
    ROLLED_BACK = "RolledBack"
    """The new flow could not be made. The one before goes on, and the plan is tried again."""


class PlannedEffect(StrEnum):
    """What is done with an object."""

    CREATE = "Create"
    SHARE = "Share"
    """One that says the same is used, or it is created."""
    DISABLE = "Disable"
    DELETE = "Delete"


class PlannedAction(Model):
    """One thing that is done with one object in Adobe Experience Platform."""

    action: PlannedEffect
    """What is done."""
    object: Annotated[str, Field(max_length=32)]
    """What it is done with, such as flow or source connection."""
    id: RemoteId | None = None
    """Its ID, if it exists."""


class Reads(Model):
    """What the new flow reads, and what that means for the dataset."""

    begin: ReadsFrom
    """From when on it reads."""
    since: Timestamp | None = None
    """The same as a time, as far as it was known when the plan was made."""
    twice: Annotated[str, Field(max_length=512)] | None = None
    """What the dataset may get twice by that."""
    lost: Annotated[str, Field(max_length=512)] | None = None
    """What may never be read."""


class PlanBudget(Model):
    """What a new flow takes of what others need as well. Estimates; what can't be known is absent."""

    profile_batches_per_day: Annotated[float, Field(ge=0)] | None = None
    """Batches a day for Profile, at least: one for each run into a dataset that Profile reads."""
    zoho_credits: Annotated[int, Field(ge=0)] | None = None
    """Credits of Zoho CRM for what is read first, by the records that there were when the plan was made."""
    zoho_credits_per_day: Annotated[int, Field(ge=0)] | None = None
    """Credits a day from then on, if little changes between two runs."""


class PlanStatus(Model):
    """How a flow is replaced by another one, since the spec asks for what this one can't have."""

    hash: Annotated[str, Field(max_length=64)]
    """What tells this plan from any other one. It says what is made and read, not when it was planned."""
    fields: Annotated[tuple[Annotated[str, Field(max_length=128)], ...], Field(max_length=32)]
    """The fields of the spec that only another flow can have."""
    actions: Annotated[tuple[PlannedAction, ...], Field(max_length=16)]
    """What is done, in this order."""
    reads: Reads
    """What the new flow reads."""
    state: PlanState
    """How far it has come."""
    budget: PlanBudget | None = None
    """What the new flow takes of the batches and credits of a day."""
    approved: Annotated[str, Field(max_length=64)] | None = None
    """Who approved it: Annotation or ReplacementPolicy. Absent until then."""
    failure: Annotated[str, Field(max_length=1024)] | None = None
    """Why it was rolled back."""
    retry_time: Timestamp | None = None
    """When it is tried again after that."""


class Predecessor(FlowRecord):
    """The flow that is being replaced, as status knew it."""

    handover_time: Timestamp | None = None
    """The run of it from which on the new flow reads; absent where that begins elsewhere."""
    disabled_time: Timestamp | None = None
    """When it was disabled."""
    irreversible: bool | None = None
    """True once the new flow may have read something: there is no way back to this one any more."""


class SandboxStatus(Model):
    """A sandbox of Adobe Experience Platform."""

    organization: Annotated[str, Field(max_length=64)]
    """The IMS organization ID."""
    sandbox: Annotated[str, Field(max_length=256)]
    """The name of the sandbox."""


class CRMDataflowStatus(FlowRecord):
    """The dataflow as the operator last saw it."""

    remote_ids: ClassVar = frozenset(
        {
            "flow",
            "sourceConnectionId",
            "targetConnectionId",
            "intents",
            "transport",
            "landingZone",
            "predecessor",
            "platform",
        }
    )
    """The fields that tell what goes with the resource."""
    found_anew: ClassVar = PASSING | {"lastRun", "recentRuns"}
    """The fields that every pass tells anew, so that nothing rests on what stood there."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that the conditions speak about."""
    served_by: Annotated[str, Field(max_length=320)] | None = None
    """The installation of the operator that serves the resource: namespace and name of the Lease by which its
    replicas agree on the one that works, or the name of its instance if it has no Lease. Others leave the
    resource alone."""
    conditions: Conditions = ()
    """The state of the resource, by type."""
    platform: SandboxStatus | None = None
    """Where everything is that was made for the dataflow."""
    plan: PlanStatus | None = None
    """What replaces the flow, while the spec asks for what only another one can have."""
    predecessor: Predecessor | None = None
    """The flow that is being replaced, until it is gone."""
    adopted: bool | None = None
    """True if the flow was there before the resource: it keeps its name and description."""
    deletion_policy: DeletionPolicy | None = None
    """What deleting the resource will do to the remote objects."""
    totals: Totals | None = None
    """What has come of all runs and windows so far."""
    last_drift: LastDrift | None = None
    """What was last changed from outside."""
    intents: Intents | None = None
    """Remote objects whose creation was begun and not yet confirmed."""
    last_handled_reconcile_at: ReconcileRequest | None = None
    """The value of the annotation crmflow.io/reconcile-requested-at that a complete check last followed."""
