"""Every reading of the contract that a test may want the other way round.

The default of each switch is what the contract states, or the strictest reading where it is silent. The
numbers in brackets are the unknowns (16.3) and contradictions (16.1) of platform.md; LZ is landing-zone.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]


class AepSwitches(BaseModel):
    """The switches of the AEP emulator, changed by ``PATCH /switches/aep``."""

    model_config = ConfigDict(validate_assignment=True, extra="forbid")

    # IMS and gateway
    imsTokenSeconds: int = Field(86399, ge=1, description="life of an access token (1.3)")
    imsRefusalStatus: Literal[400, 401] = Field(
        400, description="HTTP status of a refused token request (1.3)"
    )
    rateLimitPerMinute: int | None = Field(
        None, ge=1, description="requests per minute and sandbox before 429; null: no limit (16.3.9)"
    )
    retryAfter: Literal["seconds", "date", "absent"] = Field(
        "seconds", description="form of Retry-After on 429 (16.3.9)"
    )
    productProfile: Literal["assigned", "missing"] = Field(
        "assigned", description="whether the credential has a product profile: 403027 without (2.2)"
    )
    sourcesPermission: Literal["manage", "view", "none"] = Field(
        "manage", description="what the technical account may do with sources (1.4): 2118-403, 2120-403"
    )
    missingSandboxHeader: Literal["refused", "default"] = Field(
        "refused", description="no x-sandbox-name: 2105-400, or the default sandbox is used (16.1.15)"
    )
    unknownSandboxStatus: Literal[404, 403, 400] = Field(
        404,
        description="sandbox-management's answer to an unknown name; only 400, 403 and 500 are declared (13)",
    )

    # Specs
    zohoSource: Literal["offered", "notInFlowSpec", "noConnectionSpec", "withdrawn"] = Field(
        "offered",
        description="whether Zoho CRM is still offered: by both specs, by one of them, by none (16.2)",
    )
    authSpecName: Literal["Basic Authentication", "Basic Authentication for Zoho"] = Field(
        "Basic Authentication", description="name of Zoho's auth spec (16.1.1, 16.3.1)"
    )
    withdrawnConnections: Literal["work", "refused"] = Field(
        "work",
        description="test and explore of a base connection that outlives its connection spec: go on, or "
        "1305-400 (16.2)",
    )
    requiredAuthParams: Literal["all", "tokenAndEndpoint", "none", "undocumented"] = Field(
        "all",
        description="auth params that create and patch insist on; undocumented: one more than Adobe's pages "
        "name (16.3.1)",
    )
    endpointFormat: Literal["any", "host", "url"] = Field(
        "any", description="endpoint and accountsUrl: with or without scheme, or only one of the two (16.3.1)"
    )
    specEnvelope: Literal["items", "bare"] = Field(
        "items", description="GET of one spec: in an envelope (CRM-2025) or bare (CRM-2022) (11)"
    )
    specSpelling: Literal["new", "old"] = Field(
        "new",
        description="transformationSpecs and permission lists, or transformationSpec and objects (16.1.18)",
    )
    connectionSpecVersion: Literal["optional", "required"] = Field(
        "optional",
        description="connectionSpec.version on create: latest if omitted (prose), or required (schema) (4.1)",
    )

    # Connections
    validateOnCreate: Literal["never", "always"] = Field(
        "never", description="whether create and patch of a connection try the credentials (16.3.3)"
    )
    testFailure: Literal["result", "error", "unavailable", "timeout"] = Field(
        "result",
        description='a failing /test: 200 {"result":false}, 1308-400, 1103-503 or 1104-504 (16.3.3)',
    )
    sourceRefusalCode: Literal["1308-400", "1100-400", "1014-400", "1105-401", "1106-403"] = Field(
        "1308-400", description="code that wraps what the source says when it refuses (2.3, 2.4)"
    )
    unreadableTables: list[str] = Field(
        [], description="tables that are listed, and whose columns are answered with notFoundCode (5)"
    )
    patchAuthParams: Literal["replace", "merge", "refused1300", "refused1445"] = Field(
        "replace", description="PATCH /auth/params: whole object, merged, or not supported (16.3.4)"
    )
    secretsOnRead: Literal["masked", "omitted", "echoed"] = Field(
        "masked", description="secret auth params on GET (16.3.5)"
    )
    nameUniqueness: Literal["none", "refused"] = Field(
        "none",
        description="whether a second object of the same name is refused, in Flow Service, and a second "
        "dataset or mapping set (4.7, 16.3.6)",
    )
    tableNaming: Literal["plain", "prefixed"] = Field(
        "plain", description="table paths in explore: Leads or Crm.Leads (16.3.1)"
    )
    exploreColumns: Literal["xdm", "meta"] = Field(
        "xdm", description="columns carry xdm, or meta.originalType as in older samples (16.1.22)"
    )
    columnTypeCase: Literal["lower", "title"] = Field(
        "lower", description='xdm.type of a source connection on read: "string" or "String" (16.1.23)'
    )

    # Listings
    defaultPageSize: int = Field(20, ge=1, le=100, description="Flow Service page without limit (16.3.6)")
    maximumPageSize: int = Field(100, ge=1, le=1000, description="larger limits are cut (3)")
    indexLagSeconds: Seconds = Field(
        0,
        description="how long listings, of every service, don't show what was created, and those of Flow "
        "Service what was deleted (4.7, 16.3.6)",
    )
    softDeletedInLists: bool = Field(
        False, description="deleted objects stay in listings, state deleted (16.3.6)"
    )
    pageTokenSeconds: Seconds | None = Field(
        None, description="life of a continuationToken; null: unlimited (3)"
    )
    notFoundCode: Literal["FLOW-1439-404", "FLOW-1101-404", "FLOW-1439-400"] = Field(
        "FLOW-1439-404", description="code and HTTP status of an unknown id (16.1.13)"
    )
    staleEtagBody: Literal["full", "errorMessage"] = Field(
        "full", description="body of a 412: Flow Service's usual one, or only an errorMessage (2.1)"
    )
    sourceTargetPatchAnswer: Literal["reference", "items"] = Field(
        "reference",
        description="answer to PATCH of a source or target connection: id and etag (samples), or the list "
        "envelope (FS) (4.2)",
    )
    callerLacksLabels: list[str] = Field(
        [], description="labels that hide a flow: GET 404, PATCH and DELETE 403, still listed (1.4)"
    )

    # Flows
    transitionSeconds: Seconds = Field(
        0.3, description="life of a transitional state, on the emulators' clock; 0: none (16.3.10)"
    )
    deleteTransition: Literal["none", "finalizing"] = Field(
        "none", description="a deleted flow is gone at once, or first delete-finalizing (4.4)"
    )
    cascadeOnFlowDelete: bool = Field(
        False, description="whether deleting a flow deletes its source and target connections (16.3.8)"
    )
    numbersOnRead: Literal["strings", "numbers"] = Field(
        "strings", description="startTime, interval, backfill and mappingVersion of a flow on GET (16.1.4)"
    )
    minimumInterval: Literal["flowSpec", "fifteen"] = Field(
        "flowSpec", description="minute 15 and else 1, or 15 for every frequency (16.1.3)"
    )
    startTimeToleranceSeconds: Seconds = Field(
        0, description="how far in the past a startTime may lie (16.3.13)"
    )
    deltaColumnWhenOnce: Literal["refused", "optional", "required"] = Field(
        "refused", description="Copy.deltaColumn of a one-time flow (16.1.16)"
    )
    patchDeltaColumn: Literal["refused", "allowed"] = Field(
        "refused", description="changing the delta column of a recurring flow by PATCH (16.3.14)"
    )
    sourceErrorPrefix: Literal["FLOW", "CONNECTORS", "SOURCES"] = Field(
        "FLOW", description="prefix of source-provider codes in an error's type (16.3.11)"
    )

    # Runs
    runsLink: Literal["property", "path"] = Field(
        "property", description="a flow's runs: /runs?property=flowId==ID or /flows/ID/runs (16.1.9)"
    )
    runSpelling: Literal["documented", "published"] = Field(
        "documented", description="etag and activities, or eTag and activites (16.1.10)"
    )
    runStatusSpelling: Literal["lower", "title", "upper", "other"] = Field(
        "lower",
        description="in metrics.statusSummary: success, Success, SUCCESS, or the enum's other words as "
        "COMPLETED and PARTIAL_FAILURE (7.1)",
    )
    lastRunDetails: Literal["shown", "absent"] = Field(
        "shown", description="whether a flow shows its last run, as the FS schema has it (4.4)"
    )
    queuedRunStart: Literal["shown", "absent"] = Field(
        "shown", description="whether a run that is queued has a startedAtUTC (7.1)"
    )
    runTimes: Literal["seconds", "milliseconds"] = Field(
        "seconds", description="unit of the times in POST /runs (16.1.11)"
    )
    createRunAnswer: Literal["items", "flat"] = Field(
        "items", description="answer to POST /runs: in a list, or flat (16.1.12)"
    )
    windowAfterPause: Literal["catchUp", "skip"] = Field(
        "catchUp", description="whether a flow that was disabled reads what it missed (16.3.7)"
    )

    runWindows: Literal["shown", "absent"] = Field(
        "shown", description="whether a run's activities tell its window (7.1)"
    )

    retryOfOnce: Literal["allowed", "refused"] = Field(
        "allowed",
        description="whether runs of one-time flows are run again: the page names batch sources (7.3)",
    )
    rowErrorSamples: Literal["kept", "absent"] = Field(
        "kept", description="whether a batch keeps row_error_samples.json beside row_errors (7.1)"
    )

    # Ingestion of Zoho's tables
    sourceRuns: Literal["control", "ingest"] = Field(
        "control",
        description="runs of flows of tables: only by the control API, or each tick makes one that ingests "
        "the rows of its window (6.1, 7); turned before the flows are made",
    )
    firstWindow: Literal["start", "period"] = Field(
        "start",
        description="where the first window of a table begins without backfill: at startTime, or one period "
        "before it (6.1)",
    )
    emptySourceRun: Literal["successZero", "none"] = Field(
        "successZero", description="a window without rows: a run that ingests nothing, or none (7.3)"
    )

    # Landing zone
    landingZoneSource: Literal["offered", "notInFlowSpec", "noConnectionSpec", "withdrawn"] = Field(
        "offered",
        description="whether the landing zone is offered: by both specs, by one of them, by none (LZ E.2)",
    )
    missingFolder: Literal["accepted", "refused"] = Field(
        "accepted",
        description="whether a source connection and explore may name a folder without files (LZ K.3)",
    )
    copyRefusalCode: Literal["1369-400", "1365-400", "1304-400"] = Field(
        "1369-400", description="code for Copy in a flow of files, which takes none (LZ K.3)"
    )
    mappingMissingCode: Literal["1328-400", "1370-400"] = Field(
        "1328-400", description="code for a flow without Mapping (2.4, LZ K.3)"
    )
    fileRunDeltaColumn: Literal["refused", "ignored"] = Field(
        "refused", description="deltaColumn of an on-demand run of files, which takes none (LZ E.3, K.3)"
    )
    csvEscape: Literal["doubled", "backslash"] = Field(
        "doubled", description='how a quote is written inside quotes: "" or \\" (LZ K.5)'
    )
    csvLineBreaks: Literal["allowed", "refused"] = Field(
        "allowed", description="line breaks inside quotes; refused: such rows are corrupt (LZ K.5)"
    )
    csvEmptyCell: Literal["null", "empty"] = Field(
        "null", description="what an empty cell is: null or an empty string (LZ K.5)"
    )
    csvBom: Literal["tolerated", "kept"] = Field(
        "tolerated", description="a byte order mark: dropped, or part of the first column's name (LZ K.5)"
    )
    landingZoneProvider: Literal["azure", "aws"] = Field(
        "azure", description="whose storage the organization's landing zones are in (LZ E.1)"
    )
    sasSeconds: Annotated[float, Field(gt=0)] = Field(
        90 * 86400, description="life of a landing zone's credentials (LZ E.1)"
    )
    sasExpiryDate: Literal["shown", "absent"] = Field(
        "shown", description="whether the credentials say when they expire (LZ E.1)"
    )
    landingZoneErrors: Literal["generic", "flow", "gateway"] = Field(
        "generic", description="form of the 400 and 403 of the connectors service (LZ K.1)"
    )

    # Ingestion of files; times, mapping and conversion are also those of tables
    windowBounds: Literal["(]", "[)", "[]"] = Field(
        "(]", description="which bounds of a run's window belong to it (LZ E.3, K.4)"
    )
    emptyRun: Literal["none", "successZero"] = Field(
        "none", description="a window without files: no run, or one that ingests nothing (LZ E.3, K.4)"
    )
    runVisibleSeconds: Seconds = Field(
        150, description="until a run that ingests can be seen, from its start (LZ E.3)"
    )
    fileRunSeconds: Seconds = Field(180, description="how long a run that ingests takes (LZ K.4)")
    fileRuns: Literal["ingest", "fail"] = Field(
        "ingest", description="runs of files do their work, or fail with CONNECTOR-1001-500 (LZ K.4)"
    )
    headerMismatch: Literal["failFile", "nullColumns"] = Field(
        "failFile", description="a file with other columns than its folder: fails, or gives nulls (LZ K.4)"
    )
    mapperFailure: Literal["row", "column"] = Field(
        "row", description="an expression that fails costs the row (MAPPER-3700-400) or its value (LZ K.4)"
    )
    dateTimeWithOffset: Literal["refused", "accepted"] = Field(
        "refused", description="2023-10-15T14:20:00+00:00 as a date-time: in none of the lists (LZ E.4)"
    )
    runManifest: Literal["link", "entries", "absent"] = Field(
        "link",
        description="how a run names its files: by a link to its batch's input_files, by a list of entries "
        "with such links, or neither it nor the batch does (7.1)",
    )
    manifestPath: Literal["container", "folder", "name"] = Field(
        "container",
        description="how a manifest names a file: from the container, below it, or its name (7.1)",
    )
    keptColumns: list[str] = Field(
        ["id", "Id", "Modified_Time"],
        description="source columns that are kept of each row, for the control API; no rule of Platform's",
    )

    # Data Prep
    mappingSetDefaultVersion: Literal["first", "latest"] = Field(
        "first", description="GET /mappingSets/ID without version: 0 as documented, or the latest (16.3.12)"
    )
    mappingSetPut: Literal["always", "onChange"] = Field(
        "always", description="whether a PUT with equal content makes a new version too (16.3.12)"
    )
    mappingSetOldVersions: Literal["kept", "dropped"] = Field(
        "kept", description="whether earlier versions can still be read (16.3.12)"
    )
    mappingSetPaging: Literal["required", "optional"] = Field(
        "required", description="limit and start of a listing: both required, or as AEPP leaves them out (8)"
    )
    mappingSetDelete: Literal["refused", "allowed"] = Field(
        "refused", description="DELETE of a mapping set: 405, or carried out, as AEPP expects (8)"
    )
    previewAnswer: Literal["array", "object"] = Field(
        "array", description="answer to /mappingSets/preview (16.1.24)"
    )

    # Schema Registry
    altIdUnderscore: bool = Field(True, description="meta:altId begins with an underscore (16.1.25)")
    requiredSchemaMembers: Literal["published", "few"] = Field(
        "published",
        description="what a schema needs: type, title, description and allOf, or only title and allOf, as "
        "AEPP makes it (10)",
    )
    limitWithoutOrderby: Literal["accepted", "refused"] = Field(
        "accepted", description="limit and start of a listing without orderby, which they need (10)"
    )

    # Catalog
    unknownDatasetDelete: Literal["empty", "refused"] = Field(
        "empty", description="DELETE of an unknown dataset: 200 with an empty array, or 404 (9)"
    )


SPEC_HIDDEN = {"noConnectionSpec", "withdrawn"}
FLOW_SPEC_HIDDEN = {"notInFlowSpec", "withdrawn"}
