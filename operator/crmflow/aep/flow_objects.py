"""Flow Service's objects as it sends them, read into models (platform.md 4, 6, 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from crmflow.aep import fields
from crmflow.aep.collection import Raw
from crmflow.aep.models import (
    AuthSpec,
    BaseConnection,
    ConnectionSpec,
    Flow,
    FlowOptions,
    FlowSpec,
    Listed,
    ScheduleParams,
    SourceConnection,
    SourceFiles,
    TargetConnection,
)
from crmflow.aep.runs import last_run_of


def connection_spec(raw: Raw) -> ConnectionSpec:
    """A type of source or target."""
    return ConnectionSpec(
        id=fields.text(raw, "id"),
        name=fields.text(raw, "name"),
        version=fields.text(raw, "version"),
        auth_specs=tuple(
            AuthSpec(
                name=fields.text(auth, "name"),
                required=fields.texts(fields.obj(auth, "spec").get("required")),
            )
            for auth in fields.objects(raw.get("authSpec"))
        ),
    )


def flow_spec(raw: Raw) -> FlowSpec:
    """What may flow from where to where."""
    return FlowSpec(
        id=fields.text(raw, "id"),
        name=fields.text(raw, "name"),
        version=fields.text(raw, "version"),
        source_connection_spec_ids=fields.texts(raw.get("sourceConnectionSpecIds")),
        target_connection_spec_ids=fields.texts(raw.get("targetConnectionSpecIds")),
    )


def base_connection(raw: Raw) -> BaseConnection:
    """A base connection."""
    return BaseConnection(
        **_common(raw),
        connection_spec_id=fields.text(fields.obj(raw, "connectionSpec"), "id"),
        auth_spec_name=fields.text(fields.obj(raw, "auth"), "specName"),
        auth_params=fields.obj(raw, "auth", "params"),
    )


def source_connection(raw: Raw) -> SourceConnection:
    """A source connection."""
    params = fields.obj(raw, "params")
    return SourceConnection(
        **_common(raw),
        base_connection_id=fields.text(raw, "baseConnectionId"),
        connection_spec_id=fields.text(fields.obj(raw, "connectionSpec"), "id"),
        table_name=fields.text(params, "tableName"),
        column_names=tuple(fields.text(column, "name") for column in fields.objects(params.get("columns"))),
        files=_files(fields.obj(raw, "data"), params) if "path" in params else None,
    )


def target_connection(raw: Raw) -> TargetConnection:
    """A target connection."""
    schema = fields.obj(raw, "data", "schema")
    return TargetConnection(
        **_common(raw),
        connection_spec_id=fields.text(fields.obj(raw, "connectionSpec"), "id"),
        schema_id=fields.text(schema, "id"),
        schema_version=fields.text(schema, "version"),
        dataset_id=fields.text(fields.obj(raw, "params"), "dataSetId"),
    )


def flow(raw: Raw) -> Flow:
    """A flow, with what it shows of its last run."""
    transformations = fields.objects(raw.get("transformations"))
    mapping = _params(transformations, "Mapping")
    options = fields.obj(raw, "options")
    return Flow(
        **_common(raw),
        flow_spec_id=fields.text(fields.obj(raw, "flowSpec"), "id"),
        source_connection_ids=fields.texts(raw.get("sourceConnectionIds")),
        target_connection_ids=fields.texts(raw.get("targetConnectionIds")),
        schedule=_schedule(fields.obj(raw, "scheduleParams")),
        delta_column=fields.text(fields.obj(_params(transformations, "Copy"), "deltaColumn"), "name") or None,
        mapping_set_id=fields.text(mapping, "mappingId") or None,
        mapping_version=fields.integer(mapping.get("mappingVersion")),
        options=FlowOptions(
            error_diagnostics_enabled=fields.boolean(options.get("errorDiagnosticsEnabled")),
            partial_ingestion_percent=fields.number(options.get("partialIngestionPercent")),
        ),
        last_run=last_run_of(raw),
        has_options=isinstance(raw.get("options"), Mapping),
        transformations=transformations,
    )


def listed(raw: Raw) -> Listed | None:
    """An object as a listing shows it; None for a deleted one, which may stay there (platform.md 16.3, 6)."""
    common = _common(raw)
    if common["state"].lower() == "deleted":
        return None
    base = fields.text(raw, "baseConnectionId")
    return Listed(
        **common,
        created_at=(fields.number(raw.get("createdAt")) or 0.0) / 1000,
        parents=(base,)
        if base
        else (*fields.texts(raw.get("sourceConnectionIds")), *fields.texts(raw.get("targetConnectionIds"))),
        last_run=last_run_of(raw),
    )


class _Common(TypedDict):
    id: str
    etag: str
    name: str
    description: str
    state: str


def _common(raw: Raw) -> _Common:
    """What Flow Service sends of every kind of object."""
    return _Common(
        id=fields.text(raw, "id"),
        etag=fields.text(raw, "etag", "version"),
        name=fields.text(raw, "name"),
        description=fields.text(raw, "description"),
        state=fields.text(raw, "state"),
    )


def _params(transformations: Sequence[Raw], name: str) -> Raw:
    wanted = (entry for entry in transformations if fields.text(entry, "name").lower() == name.lower())
    return fields.obj(next(wanted, {}), "params")


def _files(data: Raw, params: Raw) -> SourceFiles:
    properties = fields.obj(data, "properties")
    return SourceFiles(
        path=fields.text(params, "path"),
        type=fields.text(params, "type").lower(),
        format=fields.text(data, "format").lower(),
        column_delimiter=fields.text(properties, "columnDelimiter"),
        encoding=fields.text(properties, "encoding"),
        compression=fields.text(properties, "compressionType"),
    )


def _schedule(raw: Raw) -> ScheduleParams:
    return ScheduleParams(
        start_time=fields.seconds(raw.get("startTime")),
        frequency=fields.text(raw, "frequency").lower(),
        interval=fields.integer(raw.get("interval")),
        backfill=fields.boolean(raw.get("backfill")),
    )
