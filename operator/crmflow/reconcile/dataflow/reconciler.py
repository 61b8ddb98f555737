"""The CRMDataflow reconciler: which steps, in which order, speak for which condition."""

from __future__ import annotations

from typing import Any

from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.reconcile.dataflow import deletion, steps, sync
from crmflow.reconcile.dataflow.conditions import (
    CONDITIONS,
    MAPPING_VALID,
    RUNS_HEALTHY,
    SOURCE_READY,
    SYNCED,
    TARGET_READY,
)
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.engine import Step
from crmflow.reconcile.kind import Reconciler

STEPS = (
    Step(steps.find_connection, SOURCE_READY),
    Step(sync.compare, SYNCED, only_full=True),
    Step(steps.check_source, SOURCE_READY, only_full=True),
    Step(steps.check_target, TARGET_READY, only_full=True),
    Step(steps.validate_mapping, MAPPING_VALID, only_full=True),
    Step(sync.create, SYNCED, only_full=True),
    Step(steps.settle, SYNCED),
    Step(steps.read_last_run, RUNS_HEALTHY),
)

DELETION_STEPS = (
    Step(deletion.reach_platform),
    Step(deletion.release_flow),
    Step(deletion.release_source_connection),
    Step(deletion.release_target_connection),
)


def _references(spec: dict[str, Any]) -> list[tuple[str, str]]:
    name = spec.get("connectionRef", {}).get("name")
    return [("ZohoSourceConnection", name)] if isinstance(name, str) else []


def _ready_message(pass_: DataflowPass) -> str:
    state = "runs" if pass_.spec.ingestion.enabled else "is disabled, as spec.ingestion.enabled asks"
    return f"Flow {pass_.flow_id} {state} and is what the spec says."


RECONCILER = Reconciler(
    kind=CRM_DATAFLOW,
    conditions=CONDITIONS,
    make_pass=DataflowPass,
    steps=STEPS,
    deletion_steps=DELETION_STEPS,
    ready_message=_ready_message,
    references=_references,
    polled=True,
)
