"""The remote objects of a CRMDataflow, created where they are missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from crmflow.aep.models import Created, MappingSetRef
from crmflow.api.crmdataflow import Frequency, ScheduleStatus
from crmflow.reconcile import creation
from crmflow.reconcile.dataflow import desired, values
from crmflow.reconcile.dataflow.compare import compare, discard_outdated
from crmflow.reconcile.dataflow.mapping_sets import doubt_mapping_set, ensure_mapping_set
from crmflow.reconcile.dataflow.schedule import effective_start, schedule_params
from crmflow.reconcile.dataflow.state import SLOTS, DataflowPass, Named, record_id, recorded_ids
from crmflow.reconcile.engine import together
from crmflow.reconcile.identity import Slot
from crmflow.reconcile.offer import ZOHO_CONNECTION_SPEC_ID, Offer
from crmflow.reconcile.outcome import DONE, Outcome, stalled, waiting
from crmflow.transport.errors import RemoteError

SPEC_VERSION = "1.0"
"""Version of Zoho's connection specification, should it not say (platform.md 0)."""


async def create(pass_: DataflowPass) -> Outcome:
    """Mapping set, source and target connection side by side, then the flow."""
    if not pass_.creates:
        return DONE
    offer = await _offer(pass_)
    if offer.withdrawn:
        reason, message = offer.withdrawn
        return stalled(reason, f"{message} So no dataflow is created.")
    missing = [slot for slot in SLOTS if slot not in recorded_ids(pass_)]
    fresh = await creation.announce(pass_, {slot: Named.desired(pass_, slot).name for slot in missing})
    try:
        mapping_set = await _prerequisites(pass_, offer, fresh)
        if not pass_.posted.issuperset({Slot.SOURCE, Slot.TARGET} & set(missing)):
            outcome = await _fit_in(pass_)
            if not outcome.is_done:
                return outcome
        await _ensure(pass_, Slot.FLOW, fresh, lambda: _post_flow(pass_, offer, mapping_set))
    except creation.NotCreatedError as not_created:
        return not_created.outcome
    except RemoteError as error:
        if error.reason in ("MappingInvalid", "MappingVersionConflict"):  # what is remembered may be gone
            doubt_mapping_set(pass_)
        raise
    if Slot.FLOW not in pass_.posted:  # taken over: it need not be what the spec says
        outcome = await compare(pass_)
        if not outcome.is_done:
            return outcome
    pass_.checked = True
    return DONE


async def _fit_in(pass_: DataflowPass) -> Outcome:
    """Source or target connection was found, not made: one that does not fit the spec is discarded."""
    outcome = await discard_outdated(pass_)
    if outcome.is_done and not {Slot.SOURCE, Slot.TARGET} <= set(recorded_ids(pass_)):
        text = "Objects of an earlier resource of this name did not fit the spec; they are made anew."
        return waiting("CreatePending", text, transition=True)
    return outcome


async def _prerequisites(pass_: DataflowPass, offer: Offer, fresh: set[str]) -> MappingSetRef:
    """What the flow refers to. Without it the flow is not posted, so its new intent has nothing to stand
    for.
    """
    try:
        mapping_set, *_ = await together(
            ensure_mapping_set(pass_, is_new=_is_new(pass_, fresh)),
            _ensure(pass_, Slot.SOURCE, fresh, lambda: _post_source(pass_, offer)),
            _ensure(pass_, Slot.TARGET, fresh, lambda: _post_target(pass_)),
        )
    except Exception:
        if Slot.FLOW in fresh:
            creation.forget(pass_, Slot.FLOW)
        raise
    return cast(MappingSetRef, mapping_set)


def _is_new(pass_: DataflowPass, fresh: set[str]) -> bool:
    """No resource of this name, now or before, has begun to create anything."""
    inventory, keys = pass_.inventory, {slot: pass_.identity.key(slot) for slot in SLOTS}
    return (
        fresh == set(SLOTS)
        and inventory.covers_predecessors
        and not any(inventory.with_key(SLOTS[slot], key) for slot, key in keys.items())
    )


async def _ensure(
    pass_: DataflowPass, slot: str, fresh: set[str], post: Callable[[], Awaitable[Created]]
) -> None:
    if slot in recorded_ids(pass_):
        return
    named = Named.desired(pass_, slot)

    async def post_and_note() -> Created:
        created = await post()
        pass_.posted.add(slot)
        return created

    wanted = creation.Wanted(slot, SLOTS[slot], named.name, named.description)
    record_id(pass_, slot, await creation.ensure(pass_, wanted, post_and_note, fresh=slot in fresh))


async def _post_source(pass_: DataflowPass, offer: Offer) -> Created:
    named = Named.desired(pass_, Slot.SOURCE)
    created = await pass_.platform.create_source_connection(
        named.name,
        named.description,
        pass_.base_connection_id,
        pass_.spec.source.table,
        [column.raw for column in pass_.columns],
        ZOHO_CONNECTION_SPEC_ID,
        offer.connection_spec.version if offer.connection_spec else SPEC_VERSION,
    )
    pass_.record(source=desired.source_of(pass_), columns=tuple(column.name for column in pass_.columns))
    return created


async def _post_target(pass_: DataflowPass) -> Created:
    named = Named.desired(pass_, Slot.TARGET)
    schema, dataset = pass_.status.schema_, pass_.status.dataset
    if schema is None or dataset is None:
        raise RuntimeError("schema and dataset are looked up first")
    return await pass_.platform.create_target_connection(
        named.name, named.description, schema.id, schema.version, dataset.id
    )


async def _post_flow(pass_: DataflowPass, offer: Offer, mapping_set: MappingSetRef) -> Created:
    spec, named, flow_spec = pass_.spec, Named.desired(pass_, Slot.FLOW), offer.flow_spec
    source_id, target_id = pass_.status.source_connection_id, pass_.status.target_connection_id
    if flow_spec is None or source_id is None or target_id is None:
        raise RuntimeError("offer, source and target connection come first")
    start = effective_start(spec.schedule, pass_.now)
    params = schedule_params(spec.schedule, start)
    gap = pass_.status.gap
    if gap is not None and gap.until is None and "backfill" in params:
        params["backfill"] = False  # the successor of a flow that was deleted from outside
    created = await pass_.platform.create_flow(
        named.name,
        named.description,
        flow_spec.id,
        flow_spec.version,
        source_id,
        target_id,
        _transformations(pass_, mapping_set),
        _options(pass_),
        params,
    )
    pass_.record(
        source=desired.source_of(pass_),
        schedule=ScheduleStatus(
            start_time=spec.schedule.start_time, backfill=spec.schedule.backfill, effective_start_time=start
        ),
    )
    if gap is not None and gap.until is None:
        pass_.record(gap=gap.model_copy(update={"until": start}))
    pass_.tell("Created", "Create", f"Created flow {created.id} with its source and target connection.")
    return created


def _transformations(pass_: DataflowPass, mapping_set: MappingSetRef) -> list[dict[str, Any]]:
    """``Copy`` names a recurring flow's delta column; ``once`` must not have it (platform.md 6.1)."""
    mapping = values.mapping_transformation(mapping_set)
    delta = pass_.spec.delta_column
    if delta is None or pass_.spec.schedule.frequency is Frequency.ONCE:
        return [mapping]
    return [{"name": "Copy", "params": {"deltaColumn": {"name": delta.name}}}, mapping]


def _options(pass_: DataflowPass) -> dict[str, Any]:
    found = values.options(pass_.spec.ingestion)
    return {path.rpartition("/")[2]: value for path, value in found.items()}


async def _offer(pass_: DataflowPass) -> Offer:
    platform = pass_.connection.spec.platform
    return await pass_.services.offers.get(pass_.platform, platform.organization, platform.sandbox)
