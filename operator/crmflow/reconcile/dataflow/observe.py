"""The remote objects of a CRMDataflow as they are, and what is known by that: parts that somebody deleted
take the rest with them, so that all is made anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from crmflow.aep.models import Column, Flow, SourceConnection
from crmflow.api.base import LastDrift, Transport
from crmflow.api.crmdataflow import (
    DatasetStatus,
    Frequency,
    Gap,
    LandingZoneFolder,
    ScheduleStatus,
    SchemaStatus,
)
from crmflow.observability.events import REPAIR, EventType
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.act import carry_out
from crmflow.reconcile.core.adoption import vanished
from crmflow.reconcile.core.engine import step, together
from crmflow.reconcile.core.outcome import PassEndedError, StalledError
from crmflow.reconcile.core.ownership import Verdict, judge, key_in
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.dataflow import dataset, schema
from crmflow.reconcile.dataflow.adopt import ADOPTION
from crmflow.reconcile.dataflow.conditions import SYNCED
from crmflow.reconcile.dataflow.creation_plan import Begun, plan_removal
from crmflow.reconcile.dataflow.extraction_due import may_be_taken
from crmflow.reconcile.dataflow.extraction_status import begin_anew, write_anew
from crmflow.reconcile.dataflow.flow_state import check_settled, flow_gone
from crmflow.reconcile.dataflow.mapping_sets import doubt_mapping_set, recognize_mapping_set
from crmflow.reconcile.dataflow.plan import Declared, Existing, has_begun, takes_over_reading, unpatchable
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.dataflow.transport import wanted_transport
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.external.remote_object import Remote, RemoteObject
from crmflow.reconcile.external.schema import plain_content_type
from crmflow.reconcile.ports import Absence
from crmflow.sentences import every


@dataclass(frozen=True)
class Lost:
    """A flow of which part is gone, provably."""

    kinds: tuple[RemoteObject[Any], ...]
    """What is gone, or of no use any more."""
    remains: Mapping[RemoteObject[Any], Any]
    was_reset: bool
    """True if the whole sandbox was."""

    def __str__(self) -> str:
        return " and ".join(kind.slot.name for kind in self.kinds)


@step(SYNCED)
async def observe(pass_: DataflowPass, upstream: Upstream) -> Existing | Lost | None:
    """What there is of the flow; None while it is still to be made."""
    if pass_.recorded_id is None:
        return None
    sandbox, kinds = upstream.sandbox, pass_.objects
    ids: Mapping[RemoteObject[Any], str] = {kind: kind.id_in(pass_.status) or "" for kind in kinds}
    flow, source, target = await together(*(sandbox.read(kind, ids[kind] or None) for kind in kinds))
    remotes: Mapping[RemoteObject[Any], Any] = dict(zip(kinds, (flow, source, target), strict=True))
    gone = [kind for kind, remote in remotes.items() if remote is None]
    absences = [await sandbox.absence(kind, ids[kind], f"{kind.slot.name} {ids[kind]}") for kind in gone]
    if not gone and not pass_.adopts and await _is_cut_off(upstream, source):
        gone = [kinds.source]
    if not gone:
        return Existing(source, target, flow, kinds)
    if pass_.adopts:
        raise vanished(ADOPTION, gone[0], ids[gone[0]])
    remains = {kind: remote for kind, remote in remotes.items() if remote is not None}
    return Lost(tuple(gone), remains, Absence.RESET in absences)


@step(SYNCED)
async def give_up(pass_: DataflowPass, upstream: Upstream, lost: Lost) -> None:
    """Part of the flow was deleted from outside: what is left of it goes too, and it is made anew.

    A new flow begins with the next tick, since reading everything again is for a person to ask for; only
    after a reset of the whole sandbox, where the data is gone as well, it does what ``schedule.backfill``
    says.
    """
    was_reset = lost.was_reset
    if pass_.spec.schedule.frequency is Frequency.ONCE and pass_.status.last_run and not was_reset:
        raise StalledError(
            "ReplacementRequired",
            f"The {lost} of this one-time dataflow was deleted from outside after it had run. "
            "It is not run again by itself: delete the resource and create it anew to do so.",
        )
    if pass_.status.source is not None and pass_.status.source.table != pass_.spec.source.table:
        pass_.record(columns=())  # else the successor reads what the lost flow read
    if was_reset:
        doubt_mapping_set(pass_, upstream)
    is_doubled = upstream.transport is Transport.LANDING_ZONE and not was_reset and may_be_taken(pass_)
    for kind in set(lost.kinds) - lost.remains.keys():
        pass_.record(**kind.record(None))
    # Known before the rest is deleted: that may take several passes, and only this one sees what was lost.
    pass_.record(
        source=None,
        mapping_set=None,
        schedule=None,
        last_run=None,
        recent_runs=None,
        run_retries=None,
        gap=_gap(pass_, was_reset=was_reset),
        last_drift=LastDrift(time=pass_.utcnow, fields=tuple(kind.slot.name for kind in lost.kinds)),
    )
    if upstream.transport is Transport.LANDING_ZONE:
        begin_anew(pass_) if was_reset else write_anew(pass_)
    why = "the sandbox was reset" if was_reset else f"its {lost} was deleted from outside"
    doubled = " Records may be ingested twice by that." if is_doubled else ""
    pass_.record_event("Vanished", REPAIR, f"The dataflow is made anew: {why}.{doubled}", EventType.WARNING)
    await carry_out(pass_, upstream.sandbox, plan_removal(lost.remains))


@step(SYNCED)
async def recognize(
    pass_: DataflowPass, upstream: Upstream, existing: Existing
) -> tuple[Declared, tuple[str, ...]]:
    """What is declared of a flow that exists, once status knows all about it, and the fields of the spec that
    only another flow can have. Without any, nothing but a patch is needed, and the flow can be changed.
    """
    flow, sandbox = existing.flow, upstream.sandbox
    if pass_.status.source is None:
        columns = await upstream.connector.found_columns(sandbox.platform, existing.source)
        _complete_source(pass_, upstream, existing, tuple(columns))
    _complete_schedule(pass_, upstream, flow)
    await recognize_mapping_set(pass_, upstream, flow)
    declared = replace(
        declare(pass_, upstream),
        schema_id=await schema.resolve(pass_, upstream),
        dataset_id=await dataset.resolve(pass_, upstream),
    )
    too_late = unpatchable(declared, pass_.status, flow)
    if too_late and not pass_.observes:
        return declared, too_late
    if not too_late:
        _note_names(pass_)
    if not pass_.adopts:
        for kind, remote in existing.objects().items():
            await creation.remove_duplicates(pass_, sandbox, kind, remote.id)
    check_settled(pass_, flow)
    return declared, too_late


async def read_again(sandbox: SandboxClient, existing: Existing) -> Existing:
    """What existed a moment ago, as it is now. Raises RemoteError and PassEndedError."""
    flow, source, target = await together(
        *(sandbox.read(kind, remote.id) for kind, remote in existing.objects().items())
    )
    if source is None or target is None or flow is None:
        raise flow_gone(existing.flow.id)
    return Existing(source, target, flow, existing.kinds)


async def observe_begun(pass_: DataflowPass, sandbox: SandboxClient) -> Begun:
    """Source and target connection that were made before there was a flow, as status is to record them. What
    has been let go since a listing showed it is not ours.
    """
    source, target = await together(
        sandbox.read(pass_.objects.source, pass_.status.source_connection_id),
        sandbox.read(pass_.objects.target, pass_.status.target_connection_id),
    )
    source = source if _is_ours(pass_, pass_.objects.source, source) else None
    target = target if _is_ours(pass_, pass_.objects.target, target) else None
    pass_.record(
        source_connection_id=source.id if source else None,
        target_connection_id=target.id if target else None,
    )
    used = (remote.id for remote in (source, target) if remote and sandbox.inventory.is_built_on(remote.id))
    return Begun(source, target, frozenset(used))


def declare(pass_: DataflowPass, upstream: Upstream, columns: tuple[Column, ...] = ()) -> Declared:
    """What the spec says at this moment; ``columns`` are those that the flow reads, as explore gives them."""
    return Declared(
        spec=pass_.spec,
        connector=upstream.connector,
        identity=pass_.identity,
        transport=upstream.transport,
        origin=upstream.origin(pass_),
        sandbox=upstream.key(),
        now=pass_.now,
        objects=pass_.objects,
        adopts=pass_.adopts,
        observes=pass_.observes,
        wanted_transport=wanted_transport(pass_.spec, upstream.spec),
        columns=columns,
    )


def replacement_required(fields: Sequence[str]) -> PassEndedError:
    """Only another flow can have what the spec says."""
    return StalledError(
        "ReplacementRequired",
        f"{every(fields)} can't be changed on a flow that exists, which goes on as it is. Set it back, "
        "or delete the resource and create it anew.",
    )


async def _is_cut_off(upstream: Upstream, source: SourceConnection) -> bool:
    """The source connection hangs on a base connection that is gone, provably: the flow reads no more."""
    used, sandbox = source.base_connection_id, upstream.sandbox
    if upstream.base_connection_id is None:
        return False
    if used == upstream.base_connection_id or await sandbox.read(BASE_CONNECTION, used) is not None:
        return False
    absence = await sandbox.inventory.absence(BASE_CONNECTION.collection, used)
    return absence in (Absence.GONE, Absence.RESET)


def _is_ours(pass_: DataflowPass, kind: RemoteObject[Any], remote: Remote | None) -> bool:
    """False for what bears neither our key nor our line."""
    if remote is None:
        return False
    has_key = key_in(remote.name) == pass_.identity.key(kind.slot)
    return has_key or judge(pass_.identity, remote.description) is not Verdict.FOREIGN


def _complete_source(
    pass_: DataflowPass, upstream: Upstream, existing: Existing, columns: tuple[str, ...]
) -> None:
    """What status lacks of what a flow reads and writes into that was found instead of created."""
    source, target, known = existing.source, existing.target, pass_.status.dataset
    if source.files is not None and pass_.status.landing_zone is None:
        pass_.record(landing_zone=LandingZoneFolder(path=source.files.path.strip("/")))
    profile_enabled = known.profile_enabled if known and known.id == target.dataset_id else None
    pass_.record(
        source=upstream.connector.found_status(pass_.spec, upstream.origin(pass_), source),
        columns=columns or pass_.spec.source.columns or pass_.status.columns,
        schema_=SchemaStatus(id=target.schema_id, version=plain_content_type(target.schema_version)),
        dataset=DatasetStatus(id=target.dataset_id, profile_enabled=profile_enabled),
    )


def _complete_schedule(pass_: DataflowPass, upstream: Upstream, flow: Flow) -> None:
    """What status lacks of the beginning of a flow that was found, and where a gap ends."""
    wished, gap, begun = pass_.spec.schedule, pass_.status.gap, pass_.status.schedule
    start = datetime.fromtimestamp(flow.schedule.start_time, UTC) if flow.schedule.start_time else None
    if begun is None:
        pass_.record(
            schedule=ScheduleStatus(
                start_time=wished.start_time,
                backfill=wished.backfill,
                effective_start_time=start,
                reads_on=takes_over_reading(pass_.status) or None,
            )
        )
    elif begun.effective_start_time != start and has_begun(declare(pass_, upstream), flow):
        pass_.record(schedule=begun.model_copy(update={"effective_start_time": start}))
    if gap is not None and gap.until is None:
        pass_.record(gap=gap.model_copy(update={"until": start}))


def _gap(pass_: DataflowPass, *, was_reset: bool) -> Gap | None:
    """What the lost flow left unread. Where we read Zoho ourselves there is none: windows go on."""
    if was_reset or pass_.status.transport is Transport.LANDING_ZONE:
        return None
    return Gap(noticed_time=pass_.utcnow, since=_last_read(pass_))


def _last_read(pass_: DataflowPass) -> datetime | None:
    """When the lost flow last read; if it had no time to, its predecessor."""
    run, gap = pass_.status.last_run, pass_.status.gap
    if run is None:
        return gap.since if gap else None
    return run.start_time or run.completion_time


def _note_names(pass_: DataflowPass) -> None:
    """Title and name of the spec are known to mean what the flow uses: they need not be looked up again."""
    spec, status = pass_.spec.target, pass_.status
    if status.schema_ is not None and status.dataset is not None:
        pass_.record(
            schema_=status.schema_.model_copy(update={"title": spec.schema_.title}),
            dataset=status.dataset.model_copy(update={"name": spec.dataset.name}),
        )
