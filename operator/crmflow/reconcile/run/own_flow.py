"""The flow that a run through the landing zone has for itself: a one-time dataflow over one window, with the
mapping set and into the dataset of the dataflow that is run, and with a folder of its own.

It is made by the steps of a CRMDataflow, which are given a pass that stands for it. Everything that such a
pass needs was taken over into the status of the run when that began, so that an edit of the dataflow in the
middle changes nothing of what is being read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crmflow.api.base import LocalObjectReference, Transport
from crmflow.api.crmdataflow import (
    CRMDataflowSpec,
    CRMDataflowStatus,
    DatasetReference,
    DeltaColumn,
    Extract,
    FlowParts,
    Frequency,
    Ingestion,
    MappingSetReference,
    Runs,
    RunWindow,
    Schedule,
    SchemaReference,
    Source,
    TargetSpec,
    Totals,
)
from crmflow.api.crmdataflowrun import CRMDataflowRunStatus, RunFiles
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.extraction.rhythm import BEGINNING
from crmflow.reconcile.run.state import RunPass
from crmflow.transfer.declaration import Window

_SHARED = (*FlowParts.model_fields, "platform", "intents")
"""Fields that mean the same in both statuses."""
_NAME_LENGTH = 100


@dataclass
class OwnFlow:
    """The pass that stands for the flow of a run. What it records stands in the status of the run."""

    outer: RunPass
    options: CRMDataflowSpec | None = None
    """The dataflow as it is declared, for what only the creation of a flow asks for."""
    pass_: DataflowPass = field(init=False)

    def __post_init__(self) -> None:
        outer = self.outer
        self.pass_ = DataflowPass(
            services=outer.services,
            identity=outer.identity,
            generation=outer.generation,
            spec=_spec(outer, self.options),
            status=_status(outer.status),
            conditions=outer.conditions,
            observed_generation=outer.observed_generation,
            journal=self,
            requested=outer.requested,
            events=outer.events,
            window=_window(outer.status.window),
        )

    async def checkpoint(self) -> None:
        """Write what the steps have recorded. Raises PassInterruptedError."""
        self.keep()
        await self.outer.journal.checkpoint()

    def keep(self) -> None:
        """Take over into the pass of the run what the steps have recorded and found."""
        outer, inner = self.outer, self.pass_
        totals = inner.status.totals
        outer.record(
            **{name: getattr(inner.status, name) for name in _SHARED},
            files=RunFiles(count=totals.windows, rows=totals.window_rows, bytes=totals.window_bytes)
            if totals
            else None,
        )
        outer.findings.update(inner.findings)
        outer.look_at, outer.waits_for_slot = inner.look_at, inner.waits_for_slot


def taken_over(status: CRMDataflowStatus) -> dict[str, Any]:
    """What a run takes over from the status of its dataflow."""
    names = ("source", "columns", "mapping_set", "schema_", "dataset", "transport", "undelivered_columns")
    return {name: getattr(status, name) for name in (*names, "platform")}


def _spec(outer: RunPass, options: CRMDataflowSpec | None) -> CRMDataflowSpec:
    """A one-time dataflow as the run's status declares it."""
    status = outer.status
    source, schema, dataset, mapping_set = status.source, status.schema_, status.dataset, status.mapping_set
    if not (source and source.connection and schema and dataset and mapping_set):
        raise ValueError("a run has a flow of its own only once it has begun")
    ingestion = options.ingestion if options is not None else Ingestion()
    return CRMDataflowSpec(
        display_name=f"{outer.identity.namespace}.{outer.identity.name}"[:_NAME_LENGTH],
        description=f"One run of {outer.spec.dataflow_ref.name}, removed at its end."[:512],
        connection_ref=LocalObjectReference(name=source.connection),
        source=Source(table=source.table, columns=status.columns or None),
        target=TargetSpec(schema_=SchemaReference(id=schema.id), dataset=DatasetReference(id=dataset.id)),
        mapping_set_ref=MappingSetReference(id=mapping_set.id, version=mapping_set.version),
        delta_column=DeltaColumn(name=source.delta_column) if source.delta_column else None,
        schedule=Schedule(frequency=Frequency.ONCE),
        transport=Transport.LANDING_ZONE,
        extract=Extract(deleted_records=source.deleted_records) if source.deleted_records else None,
        ingestion=ingestion.model_copy(update={"enabled": True}),
        runs=Runs(retry_limit=options.retry_limit if options is not None else None),
    )


def _status(status: CRMDataflowRunStatus) -> CRMDataflowStatus:
    files = status.files or RunFiles()
    totals = Totals(windows=files.count, window_rows=files.rows, window_bytes=files.bytes)
    shared = {name: getattr(status, name) for name in _SHARED}
    return CRMDataflowStatus().model_copy(update={**shared, "totals": totals if status.files else None})


def _window(window: RunWindow | None) -> Window | None:
    return Window(begin=window.start or BEGINNING, end=window.end) if window else None
