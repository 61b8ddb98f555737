"""CRMDataflow: one table of Zoho CRM, mapped into one dataset of Adobe Experience Platform on a schedule."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from crmflow.api.base import (
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


class Ingestion(Model):
    """How records are taken in."""

    enabled: bool = True
    """Whether the flow runs. False disables it in Adobe Experience Platform."""
    error_diagnostics: bool | None = None
    """Whether Adobe Experience Platform keeps details about records that it refused. Left out, it is off."""
    partial_ingestion_percent: Annotated[float, Field(gt=0, le=100)] | None = None
    """The share of refused records, in percent, up to which a run still succeeds. Left out, the default of
    Adobe Experience Platform holds."""


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
    ingestion: Ingestion = Ingestion()
    """How records are taken in."""
    flow_id: AdoptedId | None = None
    """The ID of a flow that exists and is to stand for this resource, with its source connection, target
    connection and mapping. They keep their names and descriptions. Once set, it stays."""
    resync_interval: Annotated[Duration, RESYNC_INTERVAL] | None = None
    """How often everything is compared with Adobe Experience Platform, beside the listings that notice most
    changes sooner: at
    least 10m. Left out, the operator's setting applies, 1h by default."""
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
        set_once("flowId", "create another CRMDataflow for another flow"),
        observed_by("flowId"),
    )

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

    base_connection_id: RemoteId
    """The ID of the base connection."""
    table: Annotated[str, Field(max_length=128)]
    """The table."""


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


class CRMDataflowStatus(Model):
    """The dataflow as the operator last saw it."""

    remote_ids: ClassVar = frozenset({"flow", "sourceConnectionId", "targetConnectionId", "intents"})
    """The fields that tell what goes with the resource."""
    found_anew: ClassVar = PASSING | {"lastRun"}
    """The fields that every pass tells anew, so that nothing rests on what stood there."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that the conditions speak about."""
    served_by: Annotated[str, Field(max_length=320)] | None = None
    """The installation of the operator that serves the resource: namespace and name of the Lease by which its
    replicas agree on the one that works, or the name of its instance if it has no Lease. Others leave the
    resource alone."""
    conditions: Conditions = ()
    """The state of the resource, by type."""
    flow: FlowStatus | None = None
    """The flow in Adobe Experience Platform."""
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
    adopted: bool | None = None
    """True if the flow was there before the resource: it keeps its name and description."""
    deletion_policy: DeletionPolicy | None = None
    """What deleting the resource will do to the remote objects."""
    last_run: LastRun | None = None
    """The flow's last run."""
    gap: Gap | None = None
    """The time that a flow which was deleted from outside left unread."""
    last_drift: LastDrift | None = None
    """What was last changed from outside."""
    intents: Intents | None = None
    """Remote objects whose creation was begun and not yet confirmed."""
    last_handled_reconcile_at: ReconcileRequest | None = None
    """The value of the annotation crmflow.io/reconcile-requested-at that a complete check last followed."""
