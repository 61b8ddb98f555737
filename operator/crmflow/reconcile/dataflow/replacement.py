"""A flow is replaced by one that has what the spec says.

The flow that exists is set aside in ``status.predecessor``, and the ordinary steps make another one, whose
objects bear names of their own (slot revision 1). Then :mod:`.handover` ends the predecessor and gives its
names to the successor. Everything that decides how it goes on is in status, so any pass may be the last one
of a process.

Until the successor may have read something there is a way back: if it can't be made, or the spec is edited,
what was begun is deleted and the predecessor stands in its place again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NoReturn

from crmflow.aep.models import Column
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import (
    CRMDataflowStatus,
    FlowRecord,
    PlanBudget,
    PlanState,
    PlanStatus,
    Predecessor,
    Reads,
    ReadsFrom,
    ReplacementPolicy,
)
from crmflow.api.kinds import APPROVE_PLAN, GROUP, ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.http.errors import RemoteError
from crmflow.observability.events import EventType
from crmflow.reconcile.core import creation, deletion
from crmflow.reconcile.core.conditions import FALSE
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import (
    Outcome,
    OutcomeClass,
    PassEndedError,
    StalledError,
    WaitingError,
    from_remote_error,
)
from crmflow.reconcile.core.ownership import Verdict, judge
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.dataflow import steps
from crmflow.reconcile.dataflow.budget import budget_of
from crmflow.reconcile.dataflow.conditions import SYNCED
from crmflow.reconcile.dataflow.creation_plan import Begun, plan_creation
from crmflow.reconcile.dataflow.dataset import check_dataset
from crmflow.reconcile.dataflow.deletion import delete_files, end_transfers
from crmflow.reconcile.dataflow.extract import count_since, find_folder
from crmflow.reconcile.dataflow.extraction_status import next_place
from crmflow.reconcile.dataflow.handover import LOOK_EVERY, is_reversible, progress_of
from crmflow.reconcile.dataflow.mapping_sets import check_mapping
from crmflow.reconcile.dataflow.observe import declare, replacement_required
from crmflow.reconcile.dataflow.plan import Existing
from crmflow.reconcile.dataflow.replacement_plan import actions_of, digest, reads_of
from crmflow.reconcile.dataflow.schema import check_schema
from crmflow.reconcile.dataflow.source import check_source
from crmflow.reconcile.dataflow.state import SUCCESSOR, DataflowPass, Upstream, fields_of, objects_at
from crmflow.reconcile.dataflow.transport import wanted_transport
from crmflow.reconcile.external import dataset, schema
from crmflow.reconcile.plan_in_words import in_words, reads_in_words
from crmflow.reconcile.sources.connector import Offer
from crmflow.sentences import every

log = logging.getLogger("crmflow.reconcile")

RETRY_AFTER = timedelta(minutes=10)
"""When a plan is tried again after it was rolled back."""
_APPROVAL = APPROVE_PLAN.removeprefix(f"{GROUP}/")


@dataclass(frozen=True)
class _Successor:
    """What is to take the place of a flow, as far as that can be known before it is made."""

    pass_: DataflowPass
    upstream: Upstream
    offer: Offer
    columns: tuple[Column, ...]
    creates: tuple[str, ...]
    """Schema and dataset, as far as they are created as well."""


@step(SYNCED)
async def replace_flow(
    pass_: DataflowPass, upstream: Upstream, existing: Existing, fields: Sequence[str]
) -> NoReturn:
    """The flow is set aside, so that the next pass makes another one; or the plan waits for its approval, or
    can't be carried out. Raises PassEndedError and RemoteError.
    """
    if pass_.adopts:
        raise replacement_required(fields)
    successor = await _look_ahead(pass_, upstream, fields)
    plan = await _plan(pass_, upstream, existing, fields, successor)
    if plan.approved is None:
        pass_.record(plan=plan)
        raise StalledError("ReplacementRequired", _waits(pass_, plan))
    if plan.retry_time is not None and plan.retry_time > pass_.utcnow:
        pass_.record(plan=plan)
        text = f"The flow could not be replaced, and goes on as it is: {plan.failure}"
        raise WaitingError("RolledBack", text, retry_after=plan.retry_time.timestamp() - pass_.now)
    _set_aside(pass_, plan, successor)
    raise WaitingError("Replacing", "Another flow is made in the place of this one.", retry_after=0.1)


@step(SYNCED)
async def find_successor(pass_: DataflowPass, sandbox: SandboxClient) -> None:
    """After a loss of status in the middle of a replacement: what was to be the successor goes, or is all
    that there is, and then it is taken. A listing may be older than the end of a replacement, and show what
    status records by the names that it had before. Raises RemoteError.
    """
    status, identity = pass_.status, pass_.identity
    if pass_.adopts or pass_.observes or status.predecessor is not None or status.slot_revision is not None:
        return
    recorded = {kind.id_in(status) for kind in pass_.objects}
    found = [
        (kind, item)
        for kind in objects_at(SUCCESSOR)
        for item in sandbox.inventory.with_key(kind.collection, identity.key(kind.slot))
        if item.id not in recorded and judge(identity, item.description) is not Verdict.FOREIGN
    ]
    if not found:
        return
    flow = pass_.objects.flow
    if pass_.recorded_id is None and not sandbox.inventory.with_key(flow.collection, identity.key(flow.slot)):
        pass_.record(slot_revision=SUCCESSOR)
        return
    for kind, item in found:
        await sandbox.delete(kind, item.id)
    text = "Removed what was to replace the flow: nothing is known of that any more."
    pass_.record_event("RolledBack", "Replace", text, EventType.WARNING)


async def follow_edit(
    pass_: DataflowPass, connection: ZohoSourceConnectionSpec, sandbox: SandboxClient
) -> None:
    """What is being made is what the spec says today, or there is no way back. Raises PassEndedError and
    RemoteError.
    """
    plan, status = pass_.status.plan, pass_.status
    if plan is None or status.predecessor is None or not is_reversible(pass_):
        return
    wanted = wanted_transport(pass_.spec, connection)
    transport = status.transport if wanted is Transport.AUTO else wanted
    columns = pass_.spec.source.columns or status.columns
    if digest(pass_.spec, transport or Transport.PLATFORM_SOURCE, columns, plan.reads.begin) != plan.hash:
        await roll_back(pass_, sandbox, None)


async def or_roll_back(
    pass_: DataflowPass, sandbox: SandboxClient, error: PassEndedError | RemoteError
) -> None:
    """What was begun goes, if ``error`` says that only a person can have it made. Raises PassEndedError."""
    outcome = from_remote_error(error) if isinstance(error, RemoteError) else error.outcome
    if outcome.outcome_class is OutcomeClass.STALLED and pass_.status.predecessor and is_reversible(pass_):
        await roll_back(pass_, sandbox, outcome)


@step(SYNCED)
async def roll_back(pass_: DataflowPass, sandbox: SandboxClient, why: Outcome | None) -> None:
    """The predecessor stands in its place again, and nothing is left of the successor. ``why`` it could not
    be made; None if the spec asks for another one. Raises PassEndedError and RemoteError.
    """
    predecessor, plan = pass_.status.predecessor, pass_.status.plan
    if predecessor is None:
        return
    for kind in pass_.objects:
        for remote_id in await deletion.remote_ids(pass_, sandbox, kind):
            await sandbox.delete(kind, remote_id)
        creation.forget(pass_, kind.slot)
        pass_.record(**kind.record(None))
    await end_transfers(pass_)
    if pass_.status.landing_zone is not None:
        await delete_files(pass_, pass_.status.landing_zone)
    pass_.record(**fields_of(predecessor), predecessor=None, plan=_after_failure(pass_, plan, why))
    said = f": {why.message}" if why else ", since the spec was changed."
    text = f"Went back to flow {pass_.recorded_id}{said}"
    pass_.record_event("RolledBack", "Replace", text, EventType.WARNING if why else EventType.NORMAL)
    raise WaitingError("Replacing", f"Flow {pass_.recorded_id} goes on.", retry_after=1.0)


@step(SYNCED)
async def check_postponed(pass_: DataflowPass) -> None:
    """The spec says nothing that only another flow can have, which is planned once the one before is gone.
    Raises PassEndedError.
    """
    if not pass_.postponed:
        return
    text = (
        f"{every(pass_.postponed)} can't be changed on a flow that exists. What replaces it is planned once "
        "the replacement has ended that is being carried out."
    )
    pass_.set_condition(SYNCED, FALSE, "Replacing", text)
    is_over = pass_.status.predecessor is None
    raise WaitingError("Replacing", text, retry_after=1.0 if is_over else LOOK_EVERY.total_seconds())


def forget_plan(pass_: DataflowPass) -> None:
    """The flow is what the spec says: a plan for another one is moot."""
    if pass_.status.predecessor is None:
        pass_.record(plan=None)


async def _look_ahead(pass_: DataflowPass, upstream: Upstream, fields: Sequence[str]) -> _Successor:
    """What the new flow would be made of is in order, or this says what is not. Nothing is changed. Raises
    PassEndedError and RemoteError.
    """
    try:
        return await _look_at_parts(pass_, upstream)
    except PassEndedError as error:
        outcome = error.outcome
        text = (
            f"{every(fields)} can't be changed on a flow that exists, which goes on as it is, and the flow "
            f"to replace it can't be made yet. {outcome.message}"
        )
        raise PassEndedError(replace(outcome, message=text)) from error


async def _look_at_parts(pass_: DataflowPass, upstream: Upstream) -> _Successor:
    transport = declare(pass_, upstream).chosen_transport
    name = pass_.spec.connection_ref.name
    view = pass_.services.lister.get(ZOHO_SOURCE_CONNECTION, pass_.identity.namespace, name)
    if view is None:
        raise replacement_required(("spec.connectionRef",))
    upstream.sandbox.inventory.include(transport)
    ahead = replace(pass_, status=_emptied(pass_.status, transport), findings={}, events=[])
    way = await steps.reach_source(ahead, view, upstream.sandbox, transport)
    offer = await way.offer()
    if offer.obstacle is not None:
        raise StalledError(*offer.obstacle)
    if transport is Transport.LANDING_ZONE:
        await find_folder(ahead, way)
    explored, schemas, datasets = await steps.look_for_parts(ahead, way)
    columns = await check_source(ahead, way, explored)
    if pass_.spec.target.schema_.create is not None and not schemas.get():
        creates = (schema.SLOT, *(() if datasets.get() else (dataset.SLOT,)))
        return _Successor(ahead, way, offer, columns, creates)
    found, recorded = await check_schema(ahead, way, schemas)
    is_there = await check_dataset(ahead, way, found, datasets)
    await check_mapping(ahead, way, recorded, {column.name for column in columns})
    return _Successor(ahead, way, offer, columns, () if is_there else (dataset.SLOT,))


async def _plan(
    pass_: DataflowPass,
    upstream: Upstream,
    existing: Existing,
    fields: Sequence[str],
    successor: _Successor,
) -> PlanStatus:
    """The plan, approved if a person or the spec has approved just this one. Raises RemoteError."""
    spec, ahead, way = pass_.spec, successor.pass_, successor.upstream
    progress = await progress_of(pass_, upstream)
    reads = reads_of(spec, way.transport, fields, progress)
    columns = way.connector.read_columns(successor.columns)
    creations = plan_creation(
        declare(ahead, way, successor.columns), ahead.status, successor.offer, Begun(None, None)
    )
    own_hash = digest(spec, way.transport, columns, reads.begin)
    before = pass_.status.plan
    before = before if before is not None and before.hash == own_hash else None
    budget = before.budget if before else None
    return PlanStatus(
        hash=own_hash,
        fields=tuple(fields),
        actions=actions_of(creations, existing, successor.creates),
        reads=reads,
        state=before.state if before else PlanState.WAITING_FOR_APPROVAL,
        budget=budget or await _budget(successor, reads),
        approved=(before.approved if before else None) or _approval(pass_, own_hash),
        failure=before.failure if before else None,
        retry_time=before.retry_time if before else None,
    )


async def _budget(successor: _Successor, reads: Reads) -> PlanBudget | None:
    """What the new flow takes. Counting what it reads first takes a credit, once for each plan; who can't
    count says less.
    """
    pass_, way = successor.pass_, successor.upstream
    first = None
    if way.transport is Transport.LANDING_ZONE and reads.begin is not ReadsFrom.NEXT_RUN:
        try:
            first = await count_since(pass_, way, reads.since)
        except RemoteError as error:
            log.info("what the new flow reads was not counted: %s", error)
    dataset, created = pass_.status.dataset, pass_.spec.target.dataset.create
    feeds_profile = bool(dataset.profile_enabled if dataset else created and created.profile)
    return budget_of(
        pass_.spec,
        way.transport,
        columns=len(successor.columns),
        feeds_profile=feeds_profile,
        first=first,
        rows_of_bulk=pass_.services.extraction_settings.rows_of_bulk,
    )


def _approval(pass_: DataflowPass, own_hash: str) -> str | None:
    if pass_.spec.replacement_policy is ReplacementPolicy.AUTOMATIC:
        return "ReplacementPolicy"
    return "Annotation" if pass_.requests.get(_APPROVAL) == own_hash else None


def _waits(pass_: DataflowPass, plan: PlanStatus) -> str:
    identity = pass_.identity
    return (
        f"{every(plan.fields)} can't be changed on a flow that exists, which goes on as it is. "
        f"Plan {plan.hash}: {in_words(plan.actions, plan.reads)} Set the fields back, or approve the plan: "
        f"kubectl crmflow approve {identity.name} -n {identity.namespace}"
    )


def _set_aside(pass_: DataflowPass, plan: PlanStatus, successor: _Successor) -> None:
    """The flow that exists becomes the predecessor of one that is still to be made."""
    predecessor = Predecessor.model_construct(**fields_of(pass_.status))
    way = successor.upstream
    pass_.record(**fields_of(_emptied(pass_.status, way.transport)))
    pass_.record(
        landing_zone=successor.pass_.status.landing_zone,
        columns=tuple(way.connector.read_columns(successor.columns)),
        predecessor=predecessor,
        plan=plan.model_copy(update={"state": PlanState.IN_PROGRESS, "failure": None, "retry_time": None}),
    )
    flow_id = predecessor.flow.id if predecessor.flow else "?"
    read = " ".join(reads_in_words(plan.reads))
    pass_.record_event(
        "Replacing", "Replace", f"Flow {flow_id} is being replaced, by plan {plan.hash}. {read}"
    )


def _emptied(status: CRMDataflowStatus, transport: Transport) -> CRMDataflowStatus:
    """The status of a dataflow of which another flow is to be made."""
    empty = FlowRecord(transport=transport, slot_revision=SUCCESSOR)
    zone = next_place(status.landing_zone) if transport is Transport.LANDING_ZONE else None
    return status.model_copy(update={**fields_of(empty), "landing_zone": zone, "intents": None})


def _after_failure(pass_: DataflowPass, plan: PlanStatus | None, why: Outcome | None) -> PlanStatus | None:
    if plan is None or why is None:
        return None
    return plan.model_copy(
        update={
            "state": PlanState.ROLLED_BACK,
            "failure": why.message[:1024],
            "retry_time": pass_.utcnow + RETRY_AFTER,
        }
    )
