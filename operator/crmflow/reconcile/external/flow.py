"""The flow: from a source to a target connection, by a mapping set, on a schedule (platform.md 4.4, 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crmflow.aep.flow_service import FLOWS
from crmflow.aep.models import Flow, MappingSetRef, PatchOperation
from crmflow.api.crmdataflow import FlowStatus, Frequency, Ingestion, Schedule
from crmflow.reconcile.external.identity import Slot
from crmflow.reconcile.external.remote_object import RemoteObject, Values, observed_name, plain_patch
from crmflow.reconcile.external.source_connection import SOURCE_CONNECTION
from crmflow.reconcile.external.target_connection import TARGET_CONNECTION

FREQUENCY, INTERVAL = "/scheduleParams/frequency", "/scheduleParams/interval"
START_TIME, BACKFILL = "/scheduleParams/startTime", "/scheduleParams/backfill"
ERROR_DIAGNOSTICS = "/options/errorDiagnosticsEnabled"
PARTIAL_INGESTION = "/options/partialIngestionPercent"
TRANSFORMATIONS = "/transformations"
MAPPING = "/transformations/Mapping"
"""Stands for the transformation of that name, which is patched by its index (platform.md 6.2)."""
STATE = "/state"
"""Set by an action, not by a patch (platform.md 4.4)."""
ENABLED, DISABLED = "enabled", "disabled"
"""The states in which a flow can be changed; every other one passes, or needs a person."""
_OPTIONS = (ERROR_DIAGNOSTICS, PARTIAL_INGESTION)


def observed(remote: Flow) -> Values:
    """A flow as Platform has it."""
    return {
        **observed_name(remote),
        FREQUENCY: remote.schedule.frequency,
        INTERVAL: remote.schedule.interval,
        START_TIME: remote.schedule.start_time,
        BACKFILL: remote.schedule.backfill,
        ERROR_DIAGNOSTICS: remote.options.error_diagnostics_enabled or False,
        PARTIAL_INGESTION: remote.options.partial_ingestion_percent,
        MAPPING: MappingSetRef(remote.mapping_set_id or "", remote.mapping_version or 0),
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


def creation(
    named: Values,
    flow_spec: Mapping[str, str],
    source_id: str | None,
    target_id: str | None,
    transformations: Sequence[Mapping[str, Any]],
    values: Values,
) -> Values:
    """What a flow is created with, besides ``values`` of its schedule and options."""
    return {
        **named,
        "/flowSpec": flow_spec,
        "/sourceConnectionIds": [source_id],
        "/targetConnectionIds": [target_id],
        TRANSFORMATIONS: transformations,
        **values,
    }


def patch(paths: Sequence[str], desired: Values, remote: Flow) -> list[PatchOperation]:
    """What makes the flow equal to ``desired`` (platform.md 6.2)."""
    plain = [path for path in paths if path not in (*_OPTIONS, MAPPING)]
    operations = plain_patch(plain, desired, remote)
    operations += _options_patch([path for path in paths if path in _OPTIONS], desired, remote)
    if MAPPING in paths:
        operations.append(_mapping_patch(desired[MAPPING], remote))
    return operations


def mapping_transformation(mapping_set: MappingSetRef) -> dict[str, Any]:
    """The transformation that makes a flow use a mapping set (platform.md 6.1)."""
    return {"name": "Mapping", "params": {"mappingId": mapping_set.id, "mappingVersion": mapping_set.version}}


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
        return PatchOperation("add", TRANSFORMATIONS, [*remote.transformations, wanted])
    return PatchOperation("replace", f"{TRANSFORMATIONS}/{names.index('mapping')}", wanted)


FLOW = RemoteObject(
    slot=Slot("flow"),
    collection=FLOWS,
    noun="flow",
    recorded_at=("flow", "id"),
    record=lambda remote_id: {"flow": FlowStatus(id=remote_id) if remote_id else None},
    observed=observed,
    patch=patch,
    fields={STATE: "spec.ingestion.enabled"},
    built_on=(SOURCE_CONNECTION.slot, TARGET_CONNECTION.slot),
)
