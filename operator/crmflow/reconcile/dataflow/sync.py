"""The remote objects of a CRMDataflow: compared with the spec, changed where that is possible, created where
they are missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from crmflow.aep.models import (
    Created,
    Flow,
    MappingSetRef,
    PatchOperation,
    SourceConnection,
    TargetConnection,
)
from crmflow.api.crmdataflow import FlowStatus, Frequency, MappingSetStatus, ScheduleStatus
from crmflow.reconcile import creation
from crmflow.reconcile.dataflow import state
from crmflow.reconcile.dataflow.mapping import content_hash, content_type, entries
from crmflow.reconcile.dataflow.schedule import effective_start, schedule_params
from crmflow.reconcile.dataflow.state import DataflowPass, Named
from crmflow.reconcile.engine import together
from crmflow.reconcile.identity import Slot, mapping_set_name
from crmflow.reconcile.offer import ZOHO_CONNECTION_SPEC_ID, Offer
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.transport.errors import ErrorClass, RemoteError

SPEC_VERSION = "1.0"
"""Version of Zoho's connection specification, should it not say (platform.md 0)."""


async def compare(pass_: DataflowPass) -> Outcome:
    """What exists is what the spec says: names and descriptions are patched, other differences are named and
    left alone.
    """
    source, target, flow = await together(
        _read(pass_.platform.source_connection, pass_.status.source_connection_id),
        _read(pass_.platform.target_connection, pass_.status.target_connection_id),
        _read(pass_.platform.flow, pass_.flow_id),
    )
    if pass_.creates:
        return await _discard_outdated(pass_, source, target)
    missing = [
        name
        for name, remote in (("flow", flow), ("source connection", source), ("target connection", target))
        if not remote
    ]
    if missing:
        return stalled(
            "RemoteObjectMissing",
            f"The {' and '.join(missing)} of this dataflow is not there any more, or an access label hides "
            "it from the credential. "
            "This version does not make it again: delete the resource and create it anew.",
        )
    differing = [
        *state.differing(state.source_fields(pass_), state.observed_source_fields(source)),
        *state.differing(state.target_fields(pass_), state.observed_target_fields(target)),
        *state.differing(state.flow_fields(pass_), state.observed_flow_fields(pass_, flow)),
    ]
    if differing:
        return stalled(
            "UpdateNotSupported",
            f"Platform's objects differ from the spec in {', '.join(differing)}. This version can't change "
            "that on a dataflow that "
            "exists; the flow goes on as it is. Set it back, or delete the resource and create it anew.",
        )
    await _rename(pass_, source, target, flow)
    return DONE


async def create(pass_: DataflowPass) -> Outcome:
    """Mapping set, source and target connection side by side, then the flow."""
    pass_.checked = not pass_.creates
    if not pass_.creates:
        return DONE
    offer = await _offer(pass_)
    if offer.withdrawn:
        reason, message = offer.withdrawn
        return stalled(reason, f"{message} So no dataflow is created.")
    slots = [slot for slot in state.SLOTS if _recorded(pass_, slot) is None]
    fresh = await creation.announce(pass_, {slot: Named.desired(pass_, slot).name for slot in slots})
    try:
        mapping_set = await _prerequisites(pass_, offer, fresh)
        await _ensure(pass_, Slot.FLOW, fresh, lambda: _post_flow(pass_, offer, mapping_set))
    except creation.StillPendingError as pending:
        return pending.outcome
    pass_.checked = True
    pass_.tell("Created", "Create", f"Created flow {pass_.flow_id} with its source and target connection.")
    return DONE


async def _discard_outdated(
    pass_: DataflowPass, source: SourceConnection | None, target: TargetConnection | None
) -> Outcome:
    """Before there is a flow, source and target connection that no longer fit are simply made again."""
    if source and state.differing(state.source_fields(pass_), state.observed_source_fields(source)):
        await _delete(pass_.platform.delete_source_connection, source.id)
        source = None
    if target and state.differing(state.target_fields(pass_), state.observed_target_fields(target)):
        await _delete(pass_.platform.delete_target_connection, target.id)
        target = None
    pass_.record(
        source_connection_id=source.id if source else None, target_connection_id=target.id if target else None
    )
    return DONE


async def _rename(
    pass_: DataflowPass, source: SourceConnection, target: TargetConnection, flow: Flow
) -> None:
    patches: list[Awaitable[Created]] = []
    for slot, remote, patch in (
        (Slot.SOURCE, source, pass_.platform.patch_source_connection),
        (Slot.TARGET, target, pass_.platform.patch_target_connection),
        (Slot.FLOW, flow, pass_.platform.patch_flow),
    ):
        operations: list[PatchOperation] = Named.desired(pass_, slot).changes_from(
            remote.name, remote.description
        )
        if operations:
            patches.append(patch(remote.id, remote.etag, operations))
            changed = ", ".join(operation.path for operation in operations)
            pass_.tell("Updated", "Update", f"Updated the {slot} {remote.id}: {changed}.")
    if patches:
        await together(*patches)
    else:
        pass_.flow = flow


async def _prerequisites(pass_: DataflowPass, offer: Offer, fresh: set[str]) -> MappingSetRef:
    """What the flow refers to. Without it the flow is not posted, so its new intent has nothing to stand
    for.
    """
    try:
        mapping_set, *_ = await together(
            _mapping_set(pass_),
            _ensure(pass_, Slot.SOURCE, fresh, lambda: _post_source(pass_, offer)),
            _ensure(pass_, Slot.TARGET, fresh, lambda: _post_target(pass_)),
        )
    except Exception:
        if Slot.FLOW in fresh:
            creation.forget(pass_, Slot.FLOW)
        raise
    return cast(MappingSetRef, mapping_set)


async def _mapping_set(pass_: DataflowPass) -> MappingSetRef:
    schema_id, schema_type = _schema(pass_)
    mappings = entries(pass_.spec.mapping)
    wanted = content_hash(schema_id, schema_type, mappings)
    known = pass_.status.mapping_set
    if known is not None and known.content_hash == wanted:
        return MappingSetRef(known.id, known.version)
    name = mapping_set_name(pass_.identity.instance, wanted)
    created = await pass_.platform.create_mapping_set(name, schema_id, schema_type, mappings)
    pass_.record(mapping_set=MappingSetStatus(id=created.id, version=created.version, content_hash=wanted))
    return created


async def _ensure(
    pass_: DataflowPass, slot: str, fresh: set[str], post: Callable[[], Awaitable[Created]]
) -> None:
    if _recorded(pass_, slot) is not None:
        return
    name = Named.desired(pass_, slot).name
    remote_id = await creation.create_once(pass_, slot, name, state.SLOTS[slot], slot in fresh, post)
    _remember(pass_, slot, remote_id)


async def _post_source(pass_: DataflowPass, offer: Offer) -> Created:
    named = Named.desired(pass_, Slot.SOURCE)
    base_connection = pass_.connection.status.base_connection
    if base_connection is None:
        raise RuntimeError("a Ready connection has a base connection")
    pass_.record(columns=tuple(column.name for column in pass_.columns))
    return await pass_.platform.create_source_connection(
        named.name,
        named.description,
        base_connection.id,
        pass_.spec.source.table,
        [column.raw for column in pass_.columns],
        ZOHO_CONNECTION_SPEC_ID,
        offer.connection_spec.version if offer.connection_spec else SPEC_VERSION,
    )


async def _post_target(pass_: DataflowPass) -> Created:
    named = Named.desired(pass_, Slot.TARGET)
    schema_id, schema_type = _schema(pass_)
    return await pass_.platform.create_target_connection(
        named.name, named.description, schema_id, schema_type, pass_.spec.target.dataset.id
    )


async def _post_flow(pass_: DataflowPass, offer: Offer, mapping_set: MappingSetRef) -> Created:
    spec, named, flow_spec = pass_.spec, Named.desired(pass_, Slot.FLOW), offer.flow_spec
    source_id, target_id = pass_.status.source_connection_id, pass_.status.target_connection_id
    if flow_spec is None or source_id is None or target_id is None:
        raise RuntimeError("offer, source and target connection come first")
    start = effective_start(spec.schedule, pass_.now)
    pass_.record(
        schedule=ScheduleStatus(
            start_time=spec.schedule.start_time, backfill=spec.schedule.backfill, effective_start_time=start
        )
    )
    return await pass_.platform.create_flow(
        named.name,
        named.description,
        flow_spec.id,
        flow_spec.version,
        source_id,
        target_id,
        _transformations(pass_, mapping_set),
        _options(pass_),
        schedule_params(spec.schedule, start),
    )


def _transformations(pass_: DataflowPass, mapping_set: MappingSetRef) -> list[dict[str, Any]]:
    """``Copy`` names a recurring flow's delta column; ``once`` must not have it (platform.md 6.1)."""
    mapping = {
        "name": "Mapping",
        "params": {"mappingId": mapping_set.id, "mappingVersion": mapping_set.version},
    }
    delta = pass_.spec.delta_column
    if delta is None or pass_.spec.schedule.frequency is Frequency.ONCE:
        return [mapping]
    return [{"name": "Copy", "params": {"deltaColumn": {"name": delta.name}}}, mapping]


def _options(pass_: DataflowPass) -> dict[str, Any]:
    ingestion = pass_.spec.ingestion
    options: dict[str, Any] = {}
    if ingestion.error_diagnostics is not None:
        options["errorDiagnosticsEnabled"] = ingestion.error_diagnostics
    if ingestion.partial_ingestion_percent is not None:
        options["partialIngestionPercent"] = ingestion.partial_ingestion_percent
    return options


async def _offer(pass_: DataflowPass) -> Offer:
    platform = pass_.connection.spec.platform
    return await pass_.services.offers.get(pass_.platform, platform.organization, platform.sandbox)


def _schema(pass_: DataflowPass) -> tuple[str, str]:
    if pass_.schema is None:
        raise RuntimeError("the schema is looked up first")
    return pass_.schema.id, content_type(pass_.schema)


def _recorded(pass_: DataflowPass, slot: str) -> str | None:
    return {
        Slot.SOURCE: pass_.status.source_connection_id,
        Slot.TARGET: pass_.status.target_connection_id,
        Slot.FLOW: pass_.flow_id,
    }[slot]


def _remember(pass_: DataflowPass, slot: str, remote_id: str) -> None:
    match slot:
        case Slot.SOURCE:
            pass_.record(source_connection_id=remote_id)
        case Slot.TARGET:
            pass_.record(target_connection_id=remote_id)
        case Slot.FLOW:
            pass_.record(flow=FlowStatus(id=remote_id))


async def _read(get: Callable[[str], Awaitable[Any]], remote_id: str | None) -> Any:
    """The remote object, None if there is no id or nothing behind it."""
    if remote_id is None:
        return None
    try:
        return await get(remote_id)
    except RemoteError as error:
        if error.error_class is ErrorClass.NOT_FOUND:
            return None
        raise


async def _delete(delete: Callable[[str], Awaitable[None]], remote_id: str) -> None:
    try:
        await delete(remote_id)
    except RemoteError as error:
        if error.error_class is not ErrorClass.NOT_FOUND:
            raise
