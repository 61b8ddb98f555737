"""What is to be done about the remote objects of a CRMDataflow, worked out from what is declared, recorded
and observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crmflow.aep.models import Column, Flow, MappingSetRef, SourceConnection, TargetConnection
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import (
    CRMDataflowSpec,
    CRMDataflowStatus,
    Frequency,
    MappingSetStatus,
    ReadsFrom,
    ScheduleStatus,
)
from crmflow.reconcile.core.plan import Action, Effect, Plan, patch
from crmflow.reconcile.dataflow.schedule import effective_start
from crmflow.reconcile.dataflow.state import OBJECTS, Objects
from crmflow.reconcile.external import flow as flows
from crmflow.reconcile.external import mapping_set as mapping_sets
from crmflow.reconcile.external import target_connection
from crmflow.reconcile.external.flow import DISABLED, ENABLED, FLOW
from crmflow.reconcile.external.identity import Identity, mapping_set_name
from crmflow.reconcile.external.mapping_set import (
    MAPPING_SET,
    MAPPINGS,
    entries,
    known_mapping,
    moves_mapping,
    wanted_mapping,
)
from crmflow.reconcile.external.remote_object import NAME, RemoteObject, Values
from crmflow.reconcile.sources.connector import CONNECTION, Origin, SourceConnector

ONCE = "once"
TRANSPORT, TABLE, COLUMNS = "spec.transport", "spec.source.table", "spec.source.columns"
SCHEMA, DATASET = "spec.target.schema", "spec.target.dataset"
FREQUENCY, START_TIME = "spec.schedule.frequency", "spec.schedule.startTime"
BACKFILL = "spec.schedule.backfill"
"""Fields of the spec that only another flow can have otherwise, once it has begun."""


@dataclass(frozen=True)
class Declared:
    """What the spec says, and what it means at present."""

    spec: CRMDataflowSpec
    connector: SourceConnector
    identity: Identity
    transport: Transport
    """Of the flow that there is or is made."""
    origin: Origin
    sandbox: tuple[str, ...]
    """The organization, and the name of the sandbox."""
    now: float
    objects: Objects = OBJECTS
    adopts: bool = False
    observes: bool = False
    wanted_transport: Transport = Transport.AUTO
    """What the spec says of it, or else the connection."""
    schema_id: str | None = None
    """The schema and the dataset that the spec means, of a flow that exists; None for none or several."""
    dataset_id: str | None = None
    columns: tuple[Column, ...] = ()
    """The columns that the flow reads, as explore gives them."""

    @property
    def chosen_transport(self) -> Transport:
        """The way that the flow is to have: how it was decided stays unless somebody says otherwise."""
        wanted = self.wanted_transport
        return self.transport if wanted is Transport.AUTO else wanted

    def named(self, kind: RemoteObject[Any]) -> Values:
        """Name and description, unless they are not ours to say."""
        if self.adopts:
            return {}
        return kind.named(self.identity, self.spec.display_name, self.spec.description)


@dataclass(frozen=True)
class Existing:
    """The remote objects of a flow that exists, as they were read."""

    source: SourceConnection
    target: TargetConnection
    flow: Flow
    kinds: Objects = OBJECTS

    def objects(self) -> Mapping[RemoteObject[Any], Any]:
        """The same by what they are."""
        return {self.kinds.flow: self.flow, self.kinds.source: self.source, self.kinds.target: self.target}


def plan_changes(declared: Declared, status: CRMDataflowStatus, existing: Existing) -> Plan:
    """What makes the objects of a flow that exists as declared. Which mapping set it uses is patched by
    another plan where that is still to be found or created.
    """
    begin = beginning(declared, status, existing.flow)
    mapping, recorded = mapping_actions(declared, status), status
    record: tuple[Action, ...] = ()
    if not declared.observes:
        record = _beginning_actions(status, begin)
        facts = [fact for action in (*record, *mapping) for fact in action.facts.items()]
        recorded = status.model_copy(update=dict(facts))
    kinds = declared.objects
    desired: Mapping[RemoteObject[Any], Values] = {
        kinds.flow: _desired_flow(declared, recorded, existing.flow, begin),
        kinds.source: desired_source(declared, status.columns),
        kinds.target: desired_target(declared, status),
    }
    remotes = existing.objects()
    patches = [action for kind in kinds for action in patch(kind, desired[kind], remotes[kind])]
    return Plan(
        actions=(*record, *patches, *mapping, *plan_state(declared.spec, existing.flow).actions),
        needs_replacement=unpatchable(declared, status, existing.flow),
    )


def plan_state(spec: CRMDataflowSpec, remote: Flow) -> Plan:
    """What enables or disables a flow that is to be in the other state. A transition is waited for and never
    fought.
    """
    state, wanted = remote.state.lower(), wanted_state(spec)
    if state == wanted or state not in (ENABLED, DISABLED):
        return Plan()
    return set_state(remote, wanted)


def set_state(remote: Flow, state: str) -> Plan:
    """What enables or disables a flow."""
    values = {flows.STATE: state}
    return Plan((Action(Effect.SET_STATE, FLOW, tuple(values), "", remote.id, remote.etag, values=values),))


def beginning(declared: Declared, status: CRMDataflowStatus, remote: Flow) -> ScheduleStatus | None:
    """How the flow is to begin; None once it has begun, when nothing of that can be changed any more
    (platform.md 6.2).
    """
    begun, wished = status.schedule, declared.spec.schedule
    if begun is None or has_begun(declared, remote):
        return None
    start = begun.effective_start_time
    if _start_was_edited(declared, begun) or start is None or start.timestamp() <= declared.now:
        start = effective_start(wished, declared.now)
    return ScheduleStatus(
        start_time=begun.start_time if wished.start_time is None else to_the_second(wished.start_time),
        backfill=begun.backfill if wished.backfill is None else wished.backfill,
        effective_start_time=start,
        reads_on=begun.reads_on if wished.backfill in (None, begun.backfill) else None,
    )


def has_begun(declared: Declared, remote: Flow) -> bool:
    """True from the flow's start time on; a flow that shows none counts as begun."""
    start = remote.schedule.start_time
    return start is None or start <= declared.now


def unpatchable(declared: Declared, status: CRMDataflowStatus, remote: Flow) -> tuple[str, ...]:
    """The fields of the spec that differ from what the flow was made for, and that only another flow can
    have: Platform accepts some of these changes, but the flow goes on as it is (platform.md 6.2, 6.3).
    """
    fields = [field for field, (wanted, made) in _pinned(declared, status, remote).items() if wanted != made]
    begun, backfill = status.schedule, declared.spec.schedule.backfill
    if begun is not None and has_begun(declared, remote):
        if _start_was_edited(declared, begun):
            fields.append(START_TIME)
        if backfill not in (None, True if begun.backfill is None else begun.backfill):
            fields.append(BACKFILL)
    return tuple(fields)


def wanted_state(spec: CRMDataflowSpec) -> str:
    """The state of the flow that the spec asks for."""
    return ENABLED if spec.ingestion.enabled else DISABLED


def to_the_second(time: datetime) -> datetime:
    """As status keeps it."""
    return time.astimezone(UTC).replace(microsecond=0)


def desired_source(declared: Declared, columns: Sequence[str]) -> Values:
    """``columns`` are those that are read unless the spec says which."""
    names = declared.spec.source.columns or columns
    named = declared.named(declared.objects.source)
    return declared.connector.source_connection(named, declared.origin, names, declared.columns)


def desired_target(declared: Declared, status: CRMDataflowStatus) -> Values:
    """As long as schema and dataset are not known, name and description alone."""
    named, schema, dataset = declared.named(declared.objects.target), status.schema_, status.dataset
    if schema is None or dataset is None:
        return named
    return target_connection.desired(named, schema.id, schema.version, dataset.id)


def _desired_flow(
    declared: Declared, status: CRMDataflowStatus, remote: Flow, begin: ScheduleStatus | None
) -> Values:
    """``begin`` is the flow's beginning, if it still can be moved."""
    spec, mapping_set = declared.spec, status.mapping_set
    wanted: dict[str, Any] = {
        **declared.named(declared.objects.flow),
        **flows.recurrence(spec.schedule),
        **flows.options(spec.ingestion),
    }
    if mapping_set is not None and remote.schedule.frequency != ONCE:
        wanted[flows.MAPPING] = mapping_set_ref(mapping_set)
    if begin is not None and begin.effective_start_time is not None:
        wanted[flows.START_TIME] = int(begin.effective_start_time.timestamp())
    recurs = spec.schedule.frequency is not Frequency.ONCE
    if begin is not None and begin.backfill is not None and recurs:
        reads_on = _follows_a_gap(status, begin) or begin.reads_on
        wanted[flows.BACKFILL] = begin.backfill and not reads_on
    return wanted


def _beginning_actions(status: CRMDataflowStatus, begin: ScheduleStatus | None) -> tuple[Action, ...]:
    """How a flow is to begin that has not yet, if that is news."""
    begun, gap = status.schedule, status.gap
    if begin is None or begin == begun:
        return ()
    facts: dict[str, Any] = {"schedule": begin}
    if gap is not None and begun is not None and gap.until == begun.effective_start_time:
        facts["gap"] = gap.model_copy(update={"until": begin.effective_start_time})
    return (Action(Effect.RECORD, FLOW, reason="It has not begun.", facts=facts),)


def mapping_actions(declared: Declared, status: CRMDataflowStatus) -> tuple[Action, ...]:
    """What makes status record the mapping set that the spec wants: one that the spec names, or one that all
    share who map alike, which is found or created.
    """
    spec, schema = declared.spec, status.schema_
    if schema is None or not moves_mapping(spec, status):
        return ()
    if spec.mapping_set_ref is not None:
        ref = spec.mapping_set_ref
        facts = {"mapping_set": MappingSetStatus(id=ref.id, version=ref.version)}
        return (Action(Effect.RECORD, MAPPING_SET, (MAPPINGS,), facts=facts),)
    name = mapping_set_name(declared.identity.instance, wanted_mapping(spec, schema))
    values = {NAME: name, **mapping_sets.creation(schema, entries(spec.mapping or ()))}
    key = (*declared.sandbox, name)
    return (Action(Effect.SHARE, MAPPING_SET, (MAPPINGS,), values=values, key=key),)


def mapping_set_ref(known: MappingSetStatus) -> MappingSetRef:
    return MappingSetRef(known.id, known.version)


def _pinned(declared: Declared, status: CRMDataflowStatus, remote: Flow) -> dict[str, tuple[object, object]]:
    """The fields of the spec that only another flow can have otherwise: as declared, and as the flow was
    made.
    """
    spec, made, is_once = declared.spec, status.source, remote.schedule.frequency == ONCE
    made_for = declared.connector.made_for(spec, declared.origin)
    was = declared.connector.was_made_for(remote, made)
    pinned = {field: (value, was[field]) for field, value in made_for.items()}
    fields: dict[str, tuple[object, object]] = {
        TRANSPORT: (declared.chosen_transport, declared.transport),
        CONNECTION: pinned.pop(CONNECTION),
        TABLE: (spec.source.table, made and made.table),
        COLUMNS: (
            frozenset(spec.source.columns or status.columns),
            frozenset(status.columns),
        ),
        SCHEMA: (declared.schema_id, status.schema_ and status.schema_.id),
        DATASET: (declared.dataset_id, status.dataset and status.dataset.id),
        FREQUENCY: (spec.schedule.frequency is Frequency.ONCE, is_once),
    }
    if is_once:
        return {**fields, "spec.mapping": (wanted_mapping(spec, status.schema_), known_mapping(status))}
    return fields | pinned


def _start_was_edited(declared: Declared, begun: ScheduleStatus) -> bool:
    wished = declared.spec.schedule.start_time
    return wished is not None and to_the_second(wished) not in (begun.start_time, begun.effective_start_time)


def takes_over_reading(status: CRMDataflowStatus) -> bool:
    """Whether a flow begins where the one has ended whose place it takes."""
    plan = status.plan
    return status.predecessor is not None and plan is not None and plan.reads.begin is not ReadsFrom.BEGINNING


def _follows_a_gap(status: CRMDataflowStatus, begin: ScheduleStatus) -> bool:
    """The successor of a flow that was deleted from outside reads nothing again, unless somebody asks for it
    after that.
    """
    begun, gap = status.schedule, status.gap
    return (
        gap is not None
        and begun is not None
        and gap.until == begun.effective_start_time
        and begin.backfill == begun.backfill
    )
