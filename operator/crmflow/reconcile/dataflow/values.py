"""The remote objects of a CRMDataflow as values by path, as the spec wants them and as Platform has them, and
the patch that makes one equal to the other.

Both sides are normalised alike, so an object that is as it should be never gets a patch: numbers that come as
text, frequencies in another case and content types in another spelling are equal (platform.md 16.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crmflow.aep.models import (
    Column,
    Flow,
    MappingSetRef,
    PatchOperation,
    SourceConnection,
    TargetConnection,
)
from crmflow.api.crmdataflow import Frequency, Ingestion, Schedule

Values = Mapping[str, Any]
"""Comparable values by JSON pointer. What the spec leaves out is not there, and so not compared."""

NAME, DESCRIPTION = "/name", "/description"
BASE_CONNECTION, TABLE, COLUMNS = "/baseConnectionId", "/params/tableName", "/params/columns"
SCHEMA, DATASET = "/data/schema", "/params/dataSetId"
FREQUENCY, INTERVAL = "/scheduleParams/frequency", "/scheduleParams/interval"
START_TIME, BACKFILL = "/scheduleParams/startTime", "/scheduleParams/backfill"
ERROR_DIAGNOSTICS = "/options/errorDiagnosticsEnabled"
PARTIAL_INGESTION = "/options/partialIngestionPercent"
MAPPING = "/transformations/Mapping"
"""Stands for the transformation of that name, which is patched by its index (platform.md 6.2)."""


def differing(desired: Values, observed: Values) -> list[str]:
    """The paths whose values are not as they should be."""
    return [path for path, value in desired.items() if observed.get(path) != value]


def named(name: str, description: str) -> Values:
    """What every remote object has."""
    return {NAME: name, DESCRIPTION: description}


def source(base_connection_id: str, table: str, columns: Sequence[str]) -> Values:
    """A source connection; the order of its columns means nothing, and none stands for those that it has."""
    values = {BASE_CONNECTION: base_connection_id, TABLE: table}
    return {**values, COLUMNS: frozenset(columns)} if columns else values


def observed_source(remote: SourceConnection) -> Values:
    """The same, as Platform has it."""
    return {
        **named(remote.name, remote.description),
        **source(remote.base_connection_id, remote.table_name, ()),
        COLUMNS: frozenset(remote.column_names),
    }


def target(schema_id: str, schema_type: str, dataset_id: str) -> Values:
    """A target connection; of the content type only the major version counts (platform.md 16.1, 20)."""
    return {SCHEMA: (schema_id, major_version(schema_type)), DATASET: dataset_id}


def observed_target(remote: TargetConnection) -> Values:
    """The same, as Platform has it."""
    return {
        **named(remote.name, remote.description),
        **target(remote.schema_id, remote.schema_version, remote.dataset_id),
    }


def recurrence(schedule: Schedule) -> Values:
    """Frequency and interval, which can be changed as long as a flow recurs (platform.md 6.2)."""
    if schedule.frequency is Frequency.ONCE:
        return {}
    return {FREQUENCY: schedule.frequency.lower(), INTERVAL: schedule.interval}


def options(ingestion: Ingestion) -> Values:
    """What the spec says about refused records."""
    values: dict[str, Any] = {}
    if ingestion.error_diagnostics is not None:
        values[ERROR_DIAGNOSTICS] = ingestion.error_diagnostics
    if ingestion.partial_ingestion_percent is not None:
        values[PARTIAL_INGESTION] = float(ingestion.partial_ingestion_percent)
    return values


def observed_flow(remote: Flow) -> Values:
    """The flow, as Platform has it."""
    return {
        **named(remote.name, remote.description),
        FREQUENCY: remote.schedule.frequency,
        INTERVAL: remote.schedule.interval,
        START_TIME: remote.schedule.start_time,
        BACKFILL: remote.schedule.backfill,
        ERROR_DIAGNOSTICS: remote.options.error_diagnostics_enabled or False,
        PARTIAL_INGESTION: remote.options.partial_ingestion_percent,
        MAPPING: MappingSetRef(remote.mapping_set_id or "", remote.mapping_version or 0),
    }


def source_patch(paths: Sequence[str], desired: Values, columns: Sequence[Column]) -> list[PatchOperation]:
    """Columns go out as explore's objects, as at creation."""
    raw = [column.raw for column in columns]
    return [_set(path, raw if path == COLUMNS else desired[path]) for path in paths]


def target_patch(paths: Sequence[str], desired: Values, schema_type: str) -> list[PatchOperation]:
    """The schema goes out with its content type, as at creation."""
    return [
        _set(path, {"id": desired[SCHEMA][0], "version": schema_type} if path == SCHEMA else desired[path])
        for path in paths
    ]


def flow_patch(paths: Sequence[str], desired: Values, remote: Flow) -> list[PatchOperation]:
    """What makes the flow equal to ``desired`` (platform.md 6.2)."""
    operations = [_set(path, desired[path]) for path in paths if path not in (*_OPTIONS, MAPPING)]
    operations += _options_patch([path for path in paths if path in _OPTIONS], desired, remote)
    if MAPPING in paths:
        operations.append(_mapping_patch(desired[MAPPING], remote))
    return operations


def mapping_transformation(mapping_set: MappingSetRef) -> dict[str, Any]:
    """The transformation that makes a flow use a mapping set (platform.md 6.1)."""
    return {"name": "Mapping", "params": {"mappingId": mapping_set.id, "mappingVersion": mapping_set.version}}


def major_version(content_type: str) -> str | None:
    """The major version in ``…; version=1`` or ``…;version=1.3``; spellings differ (platform.md 16.1, 20)."""
    _, found, version = content_type.replace(" ", "").partition("version=")
    return version.split(".")[0] if found else None


_OPTIONS = (ERROR_DIAGNOSTICS, PARTIAL_INGESTION)


def _set(path: str, value: Any) -> PatchOperation:
    """A description may be absent; everything else that is compared is there."""
    return PatchOperation("add" if path == DESCRIPTION else "replace", path, value)


def _options_patch(paths: Sequence[str], desired: Values, remote: Flow) -> list[PatchOperation]:
    """``options`` itself is added where a flow has none."""
    if paths and not remote.has_options:
        values = {path.rpartition("/")[2]: desired[path] for path in paths}
        return [PatchOperation("add", "/options", values)]
    return [PatchOperation("add", path, desired[path]) for path in paths]


def _mapping_patch(mapping_set: MappingSetRef, remote: Flow) -> PatchOperation:
    wanted = mapping_transformation(mapping_set)
    names = [str(entry.get("name", "")).lower() for entry in remote.transformations]
    if "mapping" not in names:
        return PatchOperation("add", "/transformations", [*remote.transformations, wanted])
    return PatchOperation("replace", f"/transformations/{names.index('mapping')}", wanted)
