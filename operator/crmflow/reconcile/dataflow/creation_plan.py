"""What is to be done about the remote objects of a CRMDataflow that are still to be made, or made anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmflow.aep.models import SourceConnection, TargetConnection
from crmflow.api.crmdataflow import CRMDataflowStatus, ScheduleStatus
from crmflow.reconcile.core.plan import Action, Effect, Plan
from crmflow.reconcile.dataflow.plan import (
    Declared,
    desired_source,
    desired_target,
    mapping_actions,
    mapping_set_ref,
    takes_over_reading,
)
from crmflow.reconcile.dataflow.schedule import effective_start, schedule_params
from crmflow.reconcile.external import flow as flows
from crmflow.reconcile.external import target_connection
from crmflow.reconcile.external.remote_object import RemoteObject, Values, differing
from crmflow.reconcile.external.source_connection import SOURCE_CONNECTION
from crmflow.reconcile.external.target_connection import TARGET_CONNECTION
from crmflow.reconcile.sources.connector import Offer


@dataclass(frozen=True)
class Begun:
    """What there is of a flow that is still to be made; None where there is nothing."""

    source: SourceConnection | None
    target: TargetConnection | None
    used: frozenset[str] = frozenset()
    """The ids of those that a flow is built on already, as one that is still to be taken over."""


def plan_creation(declared: Declared, status: CRMDataflowStatus, offer: Offer, begun: Begun) -> Plan:
    """What makes a flow that does not exist yet: what there is of it and does not fit goes, what is missing
    is created.
    """
    outdated = _outdated(declared, status, begun)
    in_use = [action for action in outdated if action.remote_id in begun.used]
    if in_use:
        return Plan(needs_replacement=tuple(field for action in in_use for field in action.differences))
    gone = {action.kind.slot for action in outdated}
    creations = []
    if begun.source is None or declared.objects.source.slot in gone:
        creations.append(_source_creation(declared, offer))
    if begun.target is None or declared.objects.target.slot in gone:
        values = target_connection.creation(desired_target(declared, status))
        creations.append(Action(Effect.CREATE, declared.objects.target, values=values))
    mapping = mapping_actions(declared, status)
    return Plan((*outdated, *mapping, *creations, flow_creation(declared, status, offer)))


def flow_creation(declared: Declared, status: CRMDataflowStatus, offer: Offer) -> Action:
    """The creation of the flow; what it refers to is known only once that has been created."""
    schedule, mapping_set = declared.spec.schedule, status.mapping_set
    predecessor = status.predecessor
    handover = predecessor.handover_time if predecessor is not None else None
    start = handover or effective_start(schedule, declared.now)
    params = schedule_params(schedule, start)
    facts: dict[str, Any] = {
        "source": declared.connector.source_status(declared.spec, declared.origin),
        "schedule": ScheduleStatus(
            start_time=schedule.start_time,
            backfill=schedule.backfill,
            effective_start_time=start,
            reads_on=takes_over_reading(status) or None,
        ),
    }
    gap = status.gap
    if gap is not None and gap.until is None:
        facts["gap"] = gap.model_copy(update={"until": start})
        if "backfill" in params:
            params["backfill"] = False  # the successor of a flow that was deleted from outside
    if "backfill" in params and takes_over_reading(status):
        params["backfill"] = False
    values = flows.creation(
        declared.named(declared.objects.flow),
        offer.flow_spec_ref,
        SOURCE_CONNECTION.id_in(status),
        TARGET_CONNECTION.id_in(status),
        [
            *declared.connector.transformations(declared.spec),
            *([flows.mapping_transformation(mapping_set_ref(mapping_set))] if mapping_set else []),
        ],
        {**flows.options(declared.spec.ingestion), "/scheduleParams": params},
    )
    return Action(Effect.CREATE, declared.objects.flow, values=values, facts=facts)


def plan_removal(remains: Mapping[RemoteObject[Any], Any]) -> Plan:
    """What is left of a flow of which part was deleted goes, so that it can be made anew."""
    reason = "Another part of the flow is gone."
    return Plan(
        tuple(
            Action(Effect.DELETE, kind, reason=reason, remote_id=remote.id)
            for kind, remote in remains.items()
        )
    )


def _outdated(declared: Declared, status: CRMDataflowStatus, begun: Begun) -> tuple[Action, ...]:
    """The deletion of source and target connection where they do not fit the spec."""
    parts: Sequence[tuple[RemoteObject[Any], Any, Values, Mapping[str, Any]]] = (
        (
            declared.objects.source,
            begun.source,
            desired_source(declared, status.columns),
            {"source": None, "columns": ()},
        ),
        (declared.objects.target, begun.target, desired_target(declared, status), {}),
    )
    actions = []
    for kind, remote, desired, facts in parts:
        if remote is None:
            continue
        paths = [path for path in differing(desired, kind.observed(remote)) if path in kind.fields]
        if paths:
            reason = "It does not fit the spec."
            actions.append(Action(Effect.DELETE, kind, tuple(paths), reason, remote.id, facts=facts))
    return tuple(actions)


def _source_creation(declared: Declared, offer: Offer) -> Action:
    names = tuple(declared.connector.read_columns(declared.columns))
    values = declared.connector.source_creation(desired_source(declared, names), offer)
    facts = {"source": declared.connector.source_status(declared.spec, declared.origin), "columns": names}
    return Action(Effect.CREATE, declared.objects.source, values=values, facts=facts)
