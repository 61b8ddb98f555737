"""CRMDataflowRun: one run of a CRMDataflow beside its schedule, as a Job is one run of a program."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from crmflow.api.base import (
    PASSING,
    Conditions,
    DeletionPolicy,
    Intents,
    LocalObjectReference,
    ManagementPolicy,
    Model,
    ReconcileRequest,
    RemoteId,
    Timestamp,
    WrittenTime,
    is_before,
)
from crmflow.api.crmdataflow import Count, FlowParts, LastRun, RunWindow, SandboxStatus
from crmflow.api.schema import Rule

LEAST_TIME_TO_LIVE = 60
"""Seconds. So long a run that has ended stays, for its dataflow to note it in its history."""


class Window(Model):
    """Which changes are read: those of records that changed at or after start, and before end."""

    start: WrittenTime
    """The beginning."""
    end: WrittenTime
    """The end, which must be past when the run begins."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            is_before("start", "end"),
            "end must be later than start",
            field_path=".end",
        ),
    )


class CRMDataflowRunSpec(Model):
    """What is to be run. It can't be changed: create another CRMDataflowRun instead."""

    dataflow_ref: LocalObjectReference
    """The CRMDataflow, in the same namespace."""
    window: Window | None = None
    """Which changes to read. Left out, a dataflow with transport LandingZone reads what has changed since its
    last window, a one-time one with PlatformSource what has changed since its last run, or what that was to
    read if it failed; any other one with PlatformSource runs its latest run again that failed or ingested
    nothing."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=LEAST_TIME_TO_LIVE, le=2**31 - 1)] | None = None
    """After how many seconds a run that has ended is deleted, at least 60. Left out, it stays. Not for a
    manifest in Git, from which it would be made again: the operator would refuse it as AlreadyRan, as long as
    the history of the dataflow reaches back."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self == oldSelf",
            "a CRMDataflowRun cannot change: create another one, such as with kubectl create and "
            "metadata.generateName",
            reason="FieldValueForbidden",
        ),
    )

    @property
    def adopts(self) -> None:
        """A run takes over nothing that was there before."""
        return None

    @property
    def management_policy(self) -> ManagementPolicy:
        """A run is there to be carried out."""
        return ManagementPolicy.MANAGE

    @property
    def deletion_policy(self) -> DeletionPolicy:
        """What a run makes for itself in Platform goes with it, at its end at the latest."""
        return DeletionPolicy.DELETE


class RunRequest(Model):
    """What Adobe Experience Platform was asked for. A run bears no mark of who asked for it: where the answer
    was lost, it is found by flow, window and time."""

    flow_id: RemoteId
    """The flow that is to run."""
    retried_run: RemoteId | None = None
    """The run whose work is to be done again; absent where a window is to be read."""
    request_time: Timestamp
    """When it was asked for."""
    known_runs: Annotated[tuple[RemoteId, ...], Field(max_length=100)] = ()
    """Runs of the flow that there were already, of those that began shortly before."""


class RunFiles(Model):
    """What was read from Zoho CRM into files."""

    count: Count | None = None
    """Files."""
    rows: Count | None = None
    """Their rows."""
    bytes: Count | None = None
    """Their size."""


class RunResult(Model):
    """How the run ended. What it made for itself is removed after that."""

    failed: bool
    """Whether it failed."""
    reason: Annotated[str, Field(max_length=128)]
    """The reason of the condition Complete or Failed."""
    message: Annotated[str, Field(max_length=4096)]
    """Its message."""


class CRMDataflowRunStatus(FlowParts):
    """The run as the operator last saw it. Flow, source and target connection, folder and windows are those
    that a run through the landing zone has for itself until its end."""

    remote_ids: ClassVar = frozenset(
        {"flow", "sourceConnectionId", "targetConnectionId", "intents", "landingZone", "platform", "source"}
    )
    """The fields that tell what goes with the resource."""
    found_anew: ClassVar = PASSING
    """The fields that every pass tells anew."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that the conditions speak about."""
    served_by: Annotated[str, Field(max_length=320)] | None = None
    """The installation of the operator that serves the resource: namespace and name of the Lease by which its
    replicas agree on the one that works, or the name of its instance if it has no Lease. Others leave the
    resource alone."""
    conditions: Conditions = ()
    """The state of the resource, by type."""
    dataflow_uid: Annotated[str, Field(max_length=64)] | None = None
    """The CRMDataflow that is run: one that is made anew under its name is another one."""
    platform: SandboxStatus | None = None
    """Where everything is that was made for the run."""
    window: RunWindow | None = None
    """What is read: records that changed at or after start, and before end. Absent as long as that is not
    known, and where a run is done again whose window Adobe Experience Platform does not tell."""
    start_time: Timestamp | None = None
    """When the run began."""
    completion_time: Timestamp | None = None
    """When it ended."""
    files: RunFiles | None = None
    """What was read from Zoho CRM, with transport LandingZone."""
    request: RunRequest | None = None
    """What Adobe Experience Platform was asked for, with transport PlatformSource."""
    run: LastRun | None = None
    """The run in Adobe Experience Platform; the last one, if it was done again."""
    result: RunResult | None = None
    """How it ended."""
    intents: Intents | None = None
    """Remote objects whose creation was begun and not yet confirmed."""
    last_handled_reconcile_at: ReconcileRequest | None = None
    """The value of the annotation crmflow.io/reconcile-requested-at that a complete check last followed."""

    @property
    def result_failed(self) -> bool:
        """Whether it has not ended well, or not at all."""
        return self.result is None or self.result.failed
