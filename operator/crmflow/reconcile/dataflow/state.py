"""What a pass over a CRMDataflow knows, and its remote objects as comparable models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crmflow.aep.listings import Collection
from crmflow.aep.models import Column, Flow, PatchOperation, Schema, SourceConnection, TargetConnection
from crmflow.api.crmdataflow import CRMDataflowSpec, CRMDataflowStatus, FlowStatus, Frequency
from crmflow.reconcile.dataflow.mapping import content_hash, entries
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.ports import ConnectionView


@dataclass
class DataflowPass(Pass[CRMDataflowSpec, CRMDataflowStatus]):
    """One visit to one CRMDataflow."""

    connection_view: ConnectionView | None = None
    columns: tuple[Column, ...] = ()
    """The table's columns that the flow is to read, as explore gave them."""
    schema: Schema | None = None
    flow: Flow | None = None
    posted: set[str] = field(default_factory=set)
    """Slots whose object was created in this very pass."""

    @property
    def recorded_id(self) -> str | None:
        """The flow's."""
        return self.flow_id

    @property
    def connection(self) -> ConnectionView:
        """The connection; an earlier step has found it."""
        if self.connection_view is None:
            raise RuntimeError("no step has looked up the connection yet")
        return self.connection_view

    @property
    def flow_id(self) -> str | None:
        """The recorded id."""
        return self.status.flow.id if self.status.flow else None

    @property
    def creates(self) -> bool:
        """True while the flow is still to be created: only then are source, target and mapping checked."""
        return self.flow_id is None


@dataclass(frozen=True)
class Named:
    """Name and description, which every remote object has and which can be patched at any time."""

    name: str
    description: str

    @classmethod
    def desired(cls, pass_: DataflowPass, slot: str) -> Named:
        """As the spec wants them."""
        return cls(
            pass_.identity.remote_name(pass_.spec.display_name, slot),
            pass_.identity.description(pass_.spec.description),
        )

    def changes_from(self, name: str | None, description: str | None) -> list[PatchOperation]:
        """What makes the remote ones equal to these."""
        operations = []
        if (name or "") != self.name:
            operations.append(PatchOperation("replace", "/name", self.name))
        if (description or "") != self.description:
            operations.append(PatchOperation("add", "/description", self.description))
        return operations


Fields = Mapping[str, Any]
"""Comparable values by the field of the spec that owns them."""


def differing(desired: Fields, observed: Fields) -> list[str]:
    """The fields that are not as the spec wants them. What the spec leaves out is not compared."""
    return [field for field, value in desired.items() if observed.get(field) != value]


def source_fields(pass_: DataflowPass) -> Fields:
    """What the spec says of the source connection."""
    columns = pass_.spec.source.columns or pass_.status.columns
    return {
        "spec.connectionRef": pass_.connection.status.base_connection
        and pass_.connection.status.base_connection.id,
        "spec.source.table": pass_.spec.source.table,
        **({"spec.source.columns": frozenset(columns)} if columns else {}),
    }


def observed_source_fields(remote: SourceConnection) -> Fields:
    """The same, as Platform has it."""
    return {
        "spec.connectionRef": remote.base_connection_id,
        "spec.source.table": remote.table_name,
        "spec.source.columns": frozenset(remote.column_names),
    }


def target_fields(pass_: DataflowPass) -> Fields:
    """What the spec says of the target connection."""
    target = pass_.spec.target
    return {"spec.target.schema": target.schema_.id, "spec.target.dataset": target.dataset.id}


def observed_target_fields(remote: TargetConnection) -> Fields:
    """The same, as Platform has it."""
    return {"spec.target.schema": remote.schema_id, "spec.target.dataset": remote.dataset_id}


def flow_fields(pass_: DataflowPass) -> Fields:
    """What the spec says of the flow itself."""
    spec = pass_.spec
    start = spec.schedule.start_time  # to the second, as status keeps what it was then
    fields: dict[str, Any] = {
        "spec.schedule.frequency": spec.schedule.frequency.lower(),
        "spec.mapping": mapping_hash(pass_),
        "spec.deltaColumn": spec.delta_column.name if spec.delta_column else None,
        "spec.schedule.startTime": start.replace(microsecond=0) if start else None,
        "spec.schedule.backfill": spec.schedule.backfill,
    }
    if spec.schedule.frequency is not Frequency.ONCE:
        fields["spec.schedule.interval"] = spec.schedule.interval
    if spec.ingestion.error_diagnostics is not None:
        fields["spec.ingestion.errorDiagnostics"] = spec.ingestion.error_diagnostics
    if spec.ingestion.partial_ingestion_percent is not None:
        fields["spec.ingestion.partialIngestionPercent"] = float(spec.ingestion.partial_ingestion_percent)
    return fields


def observed_flow_fields(pass_: DataflowPass, remote: Flow) -> Fields:
    """The same, as Platform has it; wishes that take effect only at creation are compared with what they were
    then.
    """
    begun = pass_.status.schedule
    mapping_set = pass_.status.mapping_set
    uses_our_mapping = (
        mapping_set is not None
        and remote.mapping_set_id == mapping_set.id
        and remote.mapping_version in (None, mapping_set.version)
    )
    return {
        "spec.schedule.frequency": remote.schedule.frequency,
        "spec.schedule.interval": remote.schedule.interval,
        "spec.mapping": mapping_set.content_hash if mapping_set and uses_our_mapping else None,
        "spec.deltaColumn": remote.delta_column,
        "spec.schedule.startTime": begun.start_time if begun else None,
        "spec.schedule.backfill": begun.backfill if begun else None,
        "spec.ingestion.errorDiagnostics": remote.options.error_diagnostics_enabled,
        "spec.ingestion.partialIngestionPercent": remote.options.partial_ingestion_percent,
    }


def mapping_hash(pass_: DataflowPass) -> str:
    """The hash of the spec's mapping onto the schema that the flow was made for."""
    known = pass_.status.schema_
    return content_hash(
        known.id if known else "", known.version if known else "", entries(pass_.spec.mapping)
    )


SLOTS = {
    Slot.FLOW: Collection.FLOWS,
    Slot.SOURCE: Collection.SOURCE_CONNECTIONS,
    Slot.TARGET: Collection.TARGET_CONNECTIONS,
}
"""Flow Service's collection for each slot, in the order in which they are deleted."""


def recorded_ids(pass_: DataflowPass) -> dict[str, str]:
    """Slot → id of the remote objects that status records."""
    ids = {
        Slot.FLOW: pass_.flow_id,
        Slot.SOURCE: pass_.status.source_connection_id,
        Slot.TARGET: pass_.status.target_connection_id,
    }
    return {slot: remote_id for slot, remote_id in ids.items() if remote_id is not None}


def record_id(pass_: DataflowPass, slot: str, remote_id: str | None) -> None:
    """Set or clear the id in a slot."""
    match slot:
        case Slot.FLOW:
            pass_.record(flow=FlowStatus(id=remote_id) if remote_id else None)
        case Slot.SOURCE:
            pass_.record(source_connection_id=remote_id)
        case Slot.TARGET:
            pass_.record(target_connection_id=remote_id)
