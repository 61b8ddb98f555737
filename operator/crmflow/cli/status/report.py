"""What is told of connections and dataflows, as data: worked out from spec and status alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from crmflow.api.base import ConditionStatus, StatusCondition
from crmflow.api.crmdataflow import CRMDataflowStatus, Frequency, RecentRun, RunRetry, Schedule
from crmflow.api.crmdataflowrun import CRMDataflowRunStatus
from crmflow.api.kinds import CRM_DATAFLOW, CRM_DATAFLOW_RUN, ZOHO_SOURCE_CONNECTION, Kind
from crmflow.api.zohosourceconnection import ZohoSourceConnectionStatus
from crmflow.cli.advice import advice_on
from crmflow.reconcile.core.conditions import READY, RECONCILING, STALLED
from crmflow.reconcile.core.reading import at, read_status, text_at
from crmflow.reconcile.run.conditions import COMPLETE, FAILED

Object = Mapping[str, Any]
"""A resource as the API server shows it."""
_QUALIFIERS = (RECONCILING, STALLED)
"""They say of Ready how it comes."""
_ADVERSE = (*_QUALIFIERS, FAILED.name)
"""All is well while they are False."""


@dataclass(frozen=True)
class ResourceReport:
    """What is told of any resource."""

    kind: Kind
    namespace: str
    name: str
    conditions: tuple[StatusCondition, ...] = ()
    notes: tuple[str, ...] = ()
    """What has to be known beside the conditions, such as that it is paused."""
    is_current: bool = True
    """Whether the conditions speak of the spec as it is now."""
    traits: tuple[str, ...] = ()
    """What it is, in a few words."""

    @property
    def ready(self) -> StatusCondition | None:
        """The condition that sums up the others."""
        return next((condition for condition in self.conditions if condition.type == READY), None)

    @property
    def holding(self) -> list[str]:
        """The conditions that are True, by their types."""
        return [one.type for one in self._own() if one.status is ConditionStatus.TRUE]

    @property
    def open(self) -> list[StatusCondition]:
        """Those that are not; Ready itself only if no other one tells the same."""
        others = [one for one in self._own() if one.status is not ConditionStatus.TRUE]
        ready = self.ready
        if ready is None or ready.status is ConditionStatus.TRUE:
            return others
        return others if any(_same(one, ready) for one in others) else [ready, *others]

    @property
    def is_well(self) -> bool:
        """Whether nobody has to look at it: it is Ready, and no condition is False."""
        ready = self.ready
        return (
            ready is not None
            and ready.status is ConditionStatus.TRUE
            and self.is_current
            and not any(one.status is ConditionStatus.FALSE for one in self._own())
        )

    def _own(self) -> Iterable[StatusCondition]:
        return (one for one in self.conditions if one.type not in (READY, *_QUALIFIERS))


@dataclass(frozen=True)
class RequestedRunReport:
    """A CRMDataflowRun."""

    resource: ResourceReport

    @property
    def verdict(self) -> StatusCondition | None:
        """Failed if it has failed, else Complete; None as long as no operator has looked at it."""
        by_type = {one.type: one for one in self.resource.conditions}
        return by_type.get(FAILED.name) or by_type.get(COMPLETE.name)

    @property
    def has_ended(self) -> bool:
        """Whether it is Complete or Failed."""
        return self.verdict is not None and self.verdict.status is ConditionStatus.TRUE


@dataclass(frozen=True)
class DataflowReport:
    """A CRMDataflow and its runs."""

    resource: ResourceReport
    next_run: datetime | None = None
    """When Platform begins the next run, by the schedule; None if none is to come or to be told."""
    runs: tuple[RecentRun, ...] = ()
    retries: tuple[RunRetry, ...] = ()
    """Runs that failed, and what becomes of their work."""
    requested: tuple[RequestedRunReport, ...] = ()
    """The CRMDataflowRuns of it, the newest first."""


@dataclass(frozen=True)
class ConnectionReport:
    """A ZohoSourceConnection, or the name of one that does not exist, and the dataflows that name it."""

    resource: ResourceReport
    exists: bool
    dataflows: tuple[DataflowReport, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nobody has to look at anything of it."""
        return self.exists and self.resource.is_well and all(one.resource.is_well for one in self.dataflows)


@dataclass(frozen=True)
class Picked:
    """The resources that are asked for, by namespace and name."""

    connections: frozenset[tuple[str, str]]
    dataflows: frozenset[tuple[str, str]]


def tree(
    connections: Sequence[Object],
    dataflows: Sequence[Object],
    runs: Sequence[Object],
    picked: Picked,
    now: datetime,
) -> list[ConnectionReport]:
    """What is picked: a connection with all its dataflows, a dataflow below its connection, each with its
    ``runs``.
    """
    requested: dict[tuple[str, str], list[Object]] = {}
    for one in sorted(
        runs, key=lambda run: text_at(run, "metadata", "creationTimestamp") or "", reverse=True
    ):
        parent = (key_of(one)[0], text_at(one, "spec", "dataflowRef", "name") or "")
        requested.setdefault(parent, []).append(one)
    known = {key_of(one): one for one in connections}
    below: dict[tuple[str, str], list[Object]] = {key: [] for key in sorted(known)}
    for one in sorted(dataflows, key=key_of):
        parent = (key_of(one)[0], text_at(one, "spec", "connectionRef", "name") or "")
        below.setdefault(parent, []).append(one)
    found = []
    for key in sorted(below):
        shown = [one for one in below[key] if key in picked.connections or key_of(one) in picked.dataflows]
        if shown or key in picked.connections:
            flows = tuple(_dataflow(one, requested.get(key_of(one), ()), now) for one in shown)
            found.append(_connection(key, known.get(key), flows))
    return found


def as_data(connection: ConnectionReport) -> dict[str, Any]:
    """The same for programs."""
    return {
        **_resource_data(connection.resource),
        "exists": connection.exists,
        "isWell": connection.is_well,
        "dataflows": [
            {
                **_resource_data(flow.resource),
                "isWell": flow.resource.is_well,
                "nextRunTime": f"{flow.next_run:%Y-%m-%dT%H:%M:%SZ}" if flow.next_run else None,
                "retries": [
                    one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in flow.retries
                ],
                "runs": [run.model_dump(mode="json", by_alias=True, exclude_none=True) for run in flow.runs],
                "requestedRuns": [_resource_data(run.resource) for run in flow.requested],
            }
            for flow in connection.dataflows
        ],
    }


def next_run(schedule: Schedule, status: CRMDataflowStatus, now: datetime) -> datetime | None:
    """The first tick of the flow that is still to come (platform.md 6.1)."""
    start = status.schedule.effective_start_time if status.schedule else None
    if start is None or status.flow is None:
        return None
    if now < start:
        return start
    if schedule.period_seconds is None:
        return None
    period = timedelta(seconds=schedule.period_seconds)
    return start + ((now - start) // period + 1) * period


def _connection(
    key: tuple[str, str], obj: Object | None, dataflows: tuple[DataflowReport, ...]
) -> ConnectionReport:
    namespace, name = key
    if obj is None:
        return ConnectionReport(
            ResourceReport(ZOHO_SOURCE_CONNECTION, namespace, name), exists=False, dataflows=dataflows
        )
    status: ZohoSourceConnectionStatus = read_status(ZohoSourceConnectionStatus, obj).value
    spec = obj.get("spec")
    way = status.transport or text_at(spec, "transport")
    traits = (
        f"Zoho {text_at(spec, 'zoho', 'dataCenter')}",
        f"sandbox {text_at(spec, 'platform', 'sandbox')}",
        *([str(way)] if way else []),
    )
    return ConnectionReport(
        _resource(ZOHO_SOURCE_CONNECTION, obj, status, traits), exists=True, dataflows=dataflows
    )


def _dataflow(obj: Object, runs: Iterable[Object], now: datetime) -> DataflowReport:
    status: CRMDataflowStatus = read_status(CRMDataflowStatus, obj).value
    spec, schedule = obj.get("spec"), _schedule(obj)
    traits = [text_at(spec, "source", "table"), str(status.transport or ""), _rhythm(schedule)]
    runs_on = schedule is not None and at(spec, "ingestion", "enabled") is not False
    return DataflowReport(
        _resource(CRM_DATAFLOW, obj, status, tuple(filter(None, traits))),
        next_run(schedule, status, now) if schedule and runs_on else None,
        status.recent_runs or (),
        status.run_retries or (),
        tuple(map(_requested_run, runs)),
    )


def _requested_run(obj: Object) -> RequestedRunReport:
    status: CRMDataflowRunStatus = read_status(CRMDataflowRunStatus, obj).value
    namespace, name = key_of(obj)
    return RequestedRunReport(ResourceReport(CRM_DATAFLOW_RUN, namespace, name, status.conditions))


def _schedule(obj: Object) -> Schedule | None:
    """None if this version can't read it."""
    try:
        return Schedule.model_validate(at(obj, "spec", "schedule"))
    except ValidationError:
        return None


def _rhythm(schedule: Schedule | None) -> str:
    if schedule is None:
        return ""
    if schedule.frequency is Frequency.ONCE:
        return "once"
    unit = schedule.frequency.lower()
    return f"every {unit}" if schedule.interval == 1 else f"every {schedule.interval} {unit}s"


def _resource(
    kind: Kind,
    obj: Object,
    status: ZohoSourceConnectionStatus | CRMDataflowStatus,
    traits: tuple[str, ...],
) -> ResourceReport:
    namespace, name = key_of(obj)
    generation, observed = at(obj, "metadata", "generation"), status.observed_generation
    is_current = bool(status.conditions) and observed == generation
    notes = []
    if text_at(obj, "metadata", "deletionTimestamp"):
        notes.append("It is being deleted.")
    if at(obj, "spec", "paused") is True:
        notes.append("spec.paused is true: nothing is read or changed.")
    if not status.conditions:
        notes.append("No operator has looked at it yet.")
    elif not is_current:
        notes.append(f"Generation {generation} is not done yet: what follows is of generation {observed}.")
    return ResourceReport(kind, namespace, name, status.conditions, tuple(notes), is_current, traits)


def _resource_data(resource: ResourceReport) -> dict[str, Any]:
    return {
        "kind": resource.kind.kind,
        "namespace": resource.namespace,
        "name": resource.name,
        "notes": list(resource.notes),
        "conditions": [
            {
                **one.model_dump(mode="json", by_alias=True, exclude_none=True),
                "advice": advice_of(one) or None,
            }
            for one in resource.conditions
        ],
    }


def advice_of(condition: StatusCondition) -> str:
    """What to do about it; empty while it holds."""
    holds = ConditionStatus.FALSE if condition.type in _ADVERSE else ConditionStatus.TRUE
    return "" if condition.status is holds else advice_on(condition.type, condition.reason)


def _same(one: StatusCondition, other: StatusCondition) -> bool:
    return (one.reason, one.message) == (other.reason, other.message)


def key_of(obj: Object) -> tuple[str, str]:
    """Namespace and name."""
    return text_at(obj, "metadata", "namespace") or "", text_at(obj, "metadata", "name") or ""
