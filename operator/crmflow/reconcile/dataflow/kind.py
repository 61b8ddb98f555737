"""The CRMDataflow kind: which steps, in which order, speak for which condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crmflow.aep.models import Column, Flow
from crmflow.api.base import Transport
from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.conditions import ConditionType
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.outcome import PassEndedError
from crmflow.reconcile.core.reading import text_at
from crmflow.reconcile.core.transport import decided
from crmflow.reconcile.dataflow import deletion, replacement, steps
from crmflow.reconcile.dataflow.adopt import adopt
from crmflow.reconcile.dataflow.conditions import (
    CONDITIONS,
    EXTRACTED,
    INGESTION_COMPLETE,
    MAPPING_VALID,
    RUNS_HEALTHY,
    SOURCE_READY,
    SYNCED,
    TARGET_READY,
    carry_over_all,
    check_losses,
)
from crmflow.reconcile.dataflow.create import create
from crmflow.reconcile.dataflow.dataset import check_dataset, create_dataset, look_at_dataset
from crmflow.reconcile.dataflow.extract import check_folder, extract, fill_folder, stop_extraction
from crmflow.reconcile.dataflow.extraction_due import is_extraction_due
from crmflow.reconcile.dataflow.flow_state import note_state, settle
from crmflow.reconcile.dataflow.handover import end_predecessor, make_room
from crmflow.reconcile.dataflow.mapping_sets import check_mapping, check_moved_mapping, observe_mapping
from crmflow.reconcile.dataflow.observe import Lost, give_up, observe, recognize
from crmflow.reconcile.dataflow.plan import Declared, Existing, unpatchable, wanted_state
from crmflow.reconcile.dataflow.readings import readings
from crmflow.reconcile.dataflow.running_again import run_failed_again
from crmflow.reconcile.dataflow.runs import RunRecord, record_runs
from crmflow.reconcile.dataflow.schedule import profile_runs_per_day
from crmflow.reconcile.dataflow.schema import check_full_reads, check_schema
from crmflow.reconcile.dataflow.source import check_source, look_at_source
from crmflow.reconcile.dataflow.state import OBJECTS, REPLACED, DataflowPass, Upstream
from crmflow.reconcile.dataflow.update import update
from crmflow.reconcile.external.remote_object import differing, observed_name


async def _reconcile(pass_: DataflowPass) -> None:
    view, sandbox = await steps.reach_sandbox(pass_)
    await replacement.follow_edit(pass_, view.spec, sandbox)
    upstream = await steps.find_way(pass_, view, sandbox)
    inventory = upstream.sandbox.inventory
    await record_runs(pass_, inventory)  # also where a later step stops the pass: the flow goes on
    flow = None
    if pass_.full:
        flow = await _sync(pass_, upstream)
    else:  # only the state of the flow is looked at again
        carry_over_all(pass_)
        pass_.fulfill(SOURCE_READY)
    settled = await settle(pass_, upstream, flow)
    pass_.fulfill(SYNCED)
    await record_runs(pass_, inventory, settled)
    pass_.fulfill(RUNS_HEALTHY)
    await run_failed_again(pass_, upstream)
    if upstream.transport is Transport.LANDING_ZONE and not pass_.services.foresees:
        await (stop_extraction(pass_) if pass_.observes else extract(pass_, upstream))
    await end_predecessor(pass_, upstream)
    await replacement.check_postponed(pass_)
    await check_losses(pass_)


async def _sync(pass_: DataflowPass, upstream: Upstream) -> Flow | None:
    """The remote objects are what the spec says, whatever state the flow is in; the flow, if nothing has
    changed since it was read.
    """
    await steps.confirm_listing(pass_, upstream)
    await adopt(pass_, upstream)
    await replacement.find_successor(pass_, upstream.sandbox)
    existing = await observe(pass_, upstream)
    if isinstance(existing, Lost):
        await give_up(pass_, upstream, existing)
        existing = None
    if existing is not None:
        return await _keep_or_replace(pass_, upstream, existing)
    try:
        return await _make(pass_, upstream)
    except (PassEndedError, RemoteError) as error:
        await replacement.or_roll_back(pass_, upstream.sandbox, error)
        raise


async def _keep_or_replace(pass_: DataflowPass, upstream: Upstream, existing: Existing) -> Flow | None:
    """A flow that exists is what the spec says, or another one is made in its place: one after the other."""
    declared, fields = await recognize(pass_, upstream, existing)
    if not fields or pass_.observes:
        replacement.forget_plan(pass_)
        return await _keep(pass_, upstream, existing, declared)
    return await _replace(pass_, upstream, existing, fields)


async def _replace(
    pass_: DataflowPass, upstream: Upstream, existing: Existing, fields: Sequence[str]
) -> Flow:
    """Another flow takes the place of one that can't be changed. What is being replaced comes first."""
    if pass_.status.predecessor is None:
        await replacement.replace_flow(pass_, upstream, existing, fields)
    pass_.postponed = tuple(fields)
    return existing.flow


async def _keep(
    pass_: DataflowPass, upstream: Upstream, existing: Existing, declared: Declared
) -> Flow | None:
    """A flow that exists is what the spec says."""
    explored, used = await steps.look_at_used(pass_, upstream)
    columns = await look_at_source(pass_, upstream, explored)
    pass_.fulfill(SOURCE_READY)
    await look_at_dataset(pass_, used)
    if pass_.observes:
        needs_replacement = unpatchable(declared, pass_.status, existing.flow)
        await observe_mapping(pass_, upstream, needs_replacement)
    else:
        await check_moved_mapping(pass_, upstream)
    pass_.fulfill(MAPPING_VALID)
    await check_full_reads(pass_, upstream)
    pass_.fulfill(TARGET_READY)
    return await update(pass_, upstream, existing, declared, columns)


async def _make(pass_: DataflowPass, upstream: Upstream) -> Flow | None:
    """A flow that does not exist yet is made, after everything that it is made of was found in order."""
    explored, schemas, datasets = await steps.look_for_parts(pass_, upstream)
    columns = await check_source(pass_, upstream, explored)
    pass_.fulfill(SOURCE_READY)
    schema, recorded = await check_schema(pass_, upstream, schemas)
    is_there = await check_dataset(pass_, upstream, schema, datasets)
    await check_mapping(pass_, upstream, recorded, {column.name for column in columns})
    pass_.fulfill(MAPPING_VALID)
    if not is_there:
        await create_dataset(pass_, upstream, schema)
    pass_.fulfill(TARGET_READY)
    await check_full_reads(pass_, upstream)
    await make_room(pass_, upstream)
    if upstream.transport is Transport.LANDING_ZONE:
        await fill_folder(pass_, upstream, columns)
    if await _create(pass_, upstream, columns):
        # now, so that no look before it has settled has news
        await record_runs(pass_, upstream.sandbox.inventory)
        pass_.checked = pass_.is_flow_new = True
        return None
    existing = await observe(pass_, upstream)  # it was found: it need not be what the spec says
    if not isinstance(existing, Existing):
        return None
    declared, fields = await recognize(pass_, upstream, existing)
    if fields:
        return await _replace(pass_, upstream, existing, fields)
    return await update(pass_, upstream, existing, declared, columns)


async def _create(pass_: DataflowPass, upstream: Upstream, columns: tuple[Column, ...]) -> bool:
    try:
        return await create(pass_, upstream, columns)
    except RemoteError as error:
        if upstream.transport is Transport.LANDING_ZONE:
            await check_folder(pass_, upstream, error)
        raise


async def _finalize(pass_: DataflowPass) -> None:
    await deletion.end_transfers(pass_)
    sandbox = await deletion.reach_platform(pass_)
    await deletion.remove_files(pass_, sandbox)
    await deletion.release_predecessor(pass_, sandbox)
    for kind in pass_.objects:
        await deletion.release(pass_, sandbox, kind)


async def _quiet(pass_: DataflowPass) -> bool:
    """The listing shows flow, source and target connection as they should be, and hanging together; adopted
    ones may be called anything. What is being replaced takes a whole pass.
    """
    if pass_.status.predecessor is not None:
        return False
    upstream = await steps.find_connection(pass_)
    carry_over_all(pass_)
    inventory = upstream.sandbox.inventory
    await inventory.ensure()
    items = [inventory.item(kind.collection, kind.id_in(pass_.status) or "") for kind in pass_.objects]
    flow, source, target = items
    if flow is None or source is None or target is None:
        return False
    for kind, item in zip(pass_.objects, (flow, source, target), strict=True):
        if pass_.adopts:
            continue
        named = kind.named(pass_.identity, pass_.spec.display_name, pass_.spec.description)
        if differing(named, observed_name(item)):
            return False
        if len(inventory.with_key(kind.collection, pass_.identity.key(kind.slot))) > 1:
            return False
    if flow.state.lower() != wanted_state(pass_.spec):
        return False
    if source.parents != upstream.parents or set(flow.parents) != {source.id, target.id}:
        return False
    note_state(pass_, flow.id, flow.state)
    is_due = _reads_files(pass_) and is_extraction_due(pass_, upstream)
    await record_runs(pass_, inventory)
    await run_failed_again(pass_, upstream)
    if is_due:
        await extract(pass_, upstream)
    return True


def _reads_files(pass_: DataflowPass) -> bool:
    return pass_.status.transport is Transport.LANDING_ZONE and not pass_.observes


def _transports(spec: Mapping[str, Any], status: Mapping[str, Any]) -> frozenset[Transport] | None:
    """The way that is pinned, that of what is being replaced, and the one that is declared; None as long as
    that is open.
    """
    pinned = decided(status, {})
    if pinned is None and text_at(status, "flow", "id") is not None:
        pinned = Transport.PLATFORM_SOURCE  # made before there was another way
    replaced = status.get("predecessor")
    ways = (pinned, decided(replaced, {}) if isinstance(replaced, Mapping) else None, decided(spec, {}))
    return frozenset(filter(None, ways)) or None


def _absent(pass_: DataflowPass) -> frozenset[ConditionType]:
    """What is only said of files."""
    if pass_.status.transport is Transport.LANDING_ZONE:
        return frozenset()
    return frozenset({EXTRACTED, INGESTION_COMPLETE})


def _references(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    name = text_at(spec, "connectionRef", "name")
    return [("ZohoSourceConnection", name)] if name else []


def _ready_message(pass_: DataflowPass) -> str:
    state = "runs" if pass_.spec.ingestion.enabled else "is disabled, as spec.ingestion.enabled asks"
    if pass_.observes:
        return f"Flow {pass_.recorded_id} is only observed: Synced tells whether it is what the spec says."
    return f"Flow {pass_.recorded_id} {state} and is what the spec says."


KIND = ManagedKind(
    api=CRM_DATAFLOW,
    conditions=CONDITIONS,
    make_pass=DataflowPass,
    reconcile=_reconcile,
    finalize=_finalize,
    ready_message=_ready_message,
    references=_references,
    remote_objects=(*OBJECTS, *REPLACED),
    adopted_id=lambda spec: text_at(spec, "flowId"),
    quiet=_quiet,
    transports=_transports,
    absent=_absent,
    run_record=RunRecord.of_object,
    profile_runs_per_day=profile_runs_per_day,
    readings=readings,
)
