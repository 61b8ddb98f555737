"""Source connections, target connections and flows of Flow Service (platform.md 4.2 to 4.4, 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crmflow.aep import fields
from crmflow.aep.flow_service import FlowServiceObjects
from crmflow.aep.models import (
    Created,
    Flow,
    FlowOptions,
    PatchOperation,
    Schedule,
    SourceConnection,
    TargetConnection,
)
from crmflow.aep.runs import last_run_of

DATA_LAKE_CONNECTION_SPEC_ID = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
"""The only target that is allowed (platform.md 0; any other is refused with 1307)."""
_DATA_LAKE_CONNECTION_SPEC_VERSION = "1.0"
_SOURCES = "sourceConnections"
_TARGETS = "targetConnections"
_FLOWS = "flows"


class SourceConnections(FlowServiceObjects):
    """Tables of a base connection."""

    async def create_source_connection(
        self,
        name: str,
        description: str,
        base_connection_id: str,
        table: str,
        columns: Sequence[Mapping[str, Any]],
        spec_id: str,
        spec_version: str,
    ) -> Created:
        """A new source connection; ``columns`` are explore's objects, unchanged (platform.md 16.1)."""
        body = {
            "name": name,
            "description": description,
            "baseConnectionId": base_connection_id,
            "data": {"format": "tabular"},
            "params": {"tableName": table, "columns": columns},
            "connectionSpec": {"id": spec_id, "version": spec_version},
        }
        return await self._flow_service.create(_SOURCES, body)

    async def source_connection(self, source_connection_id: str) -> SourceConnection:
        """The source connection; NotFound if there is none."""
        return _source_connection(await self._flow_service.get(_SOURCES, source_connection_id))

    async def patch_source_connection(
        self, source_connection_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created:
        """Change name or description; other changes do not reach the flow that uses it (platform.md 6.3)."""
        return await self._flow_service.patch(_SOURCES, source_connection_id, etag, operations)

    async def delete_source_connection(self, source_connection_id: str) -> None:
        """Delete the source connection, after its flow."""
        await self._flow_service.delete(_SOURCES, source_connection_id)


class TargetConnections(FlowServiceObjects):
    """Datasets of the data lake."""

    async def create_target_connection(
        self, name: str, description: str, schema_id: str, schema_version: str, dataset_id: str
    ) -> Created:
        """A new target connection; ``schema_version`` is a content type, with the dataset's major version."""
        body = {
            "name": name,
            "description": description,
            "data": {"schema": {"id": schema_id, "version": schema_version}},
            "params": {"dataSetId": dataset_id},
            "connectionSpec": {
                "id": DATA_LAKE_CONNECTION_SPEC_ID,
                "version": _DATA_LAKE_CONNECTION_SPEC_VERSION,
            },
        }
        return await self._flow_service.create(_TARGETS, body)

    async def target_connection(self, target_connection_id: str) -> TargetConnection:
        """The target connection; NotFound if there is none."""
        return _target_connection(await self._flow_service.get(_TARGETS, target_connection_id))

    async def patch_target_connection(
        self, target_connection_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created:
        """Change name or description; other changes do not reach the flow that uses it (platform.md 6.3)."""
        return await self._flow_service.patch(_TARGETS, target_connection_id, etag, operations)

    async def delete_target_connection(self, target_connection_id: str) -> None:
        """Delete the target connection, after its flow."""
        await self._flow_service.delete(_TARGETS, target_connection_id)


class Flows(FlowServiceObjects):
    """Dataflows."""

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
    ) -> Created:
        """A new flow, which becomes active at once. The rules for its parts are those of platform.md 6.1."""
        body = {
            "name": name,
            "description": description,
            "flowSpec": {"id": flow_spec_id, "version": flow_spec_version},
            "sourceConnectionIds": [source_connection_id],
            "targetConnectionIds": [target_connection_id],
            "transformations": transformations,
            **({"options": options} if options else {}),
            "scheduleParams": schedule,
        }
        return await self._flow_service.create(_FLOWS, body)

    async def flow(self, flow_id: str) -> Flow:
        """The flow with its last run; NotFound if there is none."""
        return _flow(await self._flow_service.get(_FLOWS, flow_id))

    async def patch_flow(self, flow_id: str, etag: str, operations: Sequence[PatchOperation]) -> Created:
        """Change what can be changed (platform.md 6.2); the flow is in transition until it takes effect."""
        return await self._flow_service.patch(_FLOWS, flow_id, etag, operations)

    async def set_flow_state(self, flow_id: str, enable: bool, etag: str | None) -> Created:
        """Enable or disable: an action, not a patch (platform.md 4.4)."""
        return await self._flow_service.act(_FLOWS, flow_id, "enable" if enable else "disable", etag)

    async def delete_flow(self, flow_id: str) -> None:
        """Delete the flow; Wait in a transitional state."""
        await self._flow_service.delete(_FLOWS, flow_id)


def _source_connection(raw: Mapping[str, Any]) -> SourceConnection:
    params = fields.obj(raw, "params")
    return SourceConnection(
        id=fields.text(raw, "id"),
        etag=fields.text(raw, "etag", "version"),
        name=fields.text(raw, "name"),
        description=fields.text(raw, "description"),
        state=fields.text(raw, "state"),
        base_connection_id=fields.text(raw, "baseConnectionId"),
        connection_spec_id=fields.text(fields.obj(raw, "connectionSpec"), "id"),
        table_name=fields.text(params, "tableName"),
        column_names=tuple(fields.text(column, "name") for column in fields.objects(params.get("columns"))),
    )


def _target_connection(raw: Mapping[str, Any]) -> TargetConnection:
    schema = fields.obj(raw, "data", "schema")
    return TargetConnection(
        id=fields.text(raw, "id"),
        etag=fields.text(raw, "etag", "version"),
        name=fields.text(raw, "name"),
        description=fields.text(raw, "description"),
        state=fields.text(raw, "state"),
        connection_spec_id=fields.text(fields.obj(raw, "connectionSpec"), "id"),
        schema_id=fields.text(schema, "id"),
        schema_version=fields.text(schema, "version"),
        dataset_id=fields.text(fields.obj(raw, "params"), "dataSetId"),
    )


def _flow(raw: Mapping[str, Any]) -> Flow:
    transformations = fields.objects(raw.get("transformations"))
    mapping = _params(transformations, "Mapping")
    options = fields.obj(raw, "options")
    return Flow(
        id=fields.text(raw, "id"),
        etag=fields.text(raw, "etag", "version"),
        name=fields.text(raw, "name"),
        description=fields.text(raw, "description"),
        state=fields.text(raw, "state"),
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


def _params(transformations: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    wanted = (entry for entry in transformations if fields.text(entry, "name").lower() == name.lower())
    return fields.obj(next(wanted, {}), "params")


def _schedule(raw: Mapping[str, Any]) -> Schedule:
    return Schedule(
        start_time=fields.integer(raw.get("startTime")),
        frequency=fields.text(raw, "frequency").lower(),
        interval=fields.integer(raw.get("interval")),
        backfill=fields.boolean(raw.get("backfill")),
    )
