"""How a flow is replaced by one that has what the spec says: what is done, and what the new flow reads,
worked out before anything is done (design.md 5, "What a new flow reads").

A plan is told from others by a hash of what the new flow is and reads. Neither the time nor what can be
changed on a flow that exists is part of it: who approves it approves what other people can know as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from crmflow.api.base import Transport
from crmflow.api.crmdataflow import (
    CRMDataflowSpec,
    DeletedRecords,
    Frequency,
    PlannedAction,
    PlannedEffect,
    Reads,
    ReadsFrom,
)
from crmflow.reconcile.core.plan import Action, Effect, Plan
from crmflow.reconcile.dataflow.plan import BACKFILL, COLUMNS, DATASET, SCHEMA, TABLE, Existing
from crmflow.reconcile.external.mapping_set import content_hash, entries

_OTHER_RECORDS = frozenset({TABLE, COLUMNS, SCHEMA, DATASET})
"""What was read before is of no use for a flow that differs in one of these fields."""
_HASH_LENGTH = 12
_SHOWN = {Effect.CREATE: PlannedEffect.CREATE, Effect.SHARE: PlannedEffect.SHARE}


@dataclass(frozen=True)
class Progress:
    """How far a flow has come that is to be replaced."""

    transport: Transport
    has_read: bool
    """Whether a run of it has succeeded."""
    until: datetime | None = None
    """Until when it has read what changed; None if nothing tells."""
    is_exact: bool = True
    """False where that time is rather too early."""


def reads_of(
    spec: CRMDataflowSpec, transport: Transport, fields: Collection[str], progress: Progress
) -> Reads:
    """What a flow reads that takes the place of another one, for which ``fields`` differ."""
    is_once, wants_all = spec.schedule.frequency is Frequency.ONCE, spec.schedule.backfill is not False
    is_asked = BACKFILL in fields or not _OTHER_RECORDS.isdisjoint(fields)
    begins_anew = not progress.has_read or is_asked
    if is_once or (wants_all and begins_anew):
        return _all(progress)
    if transport is Transport.LANDING_ZONE:
        if progress.until is None:
            return _all(progress) if wants_all else Reads(begin=ReadsFrom.NEXT_RUN, lost=_LOST)
        twice = None if progress.is_exact else "what changed in the period before that time"
        return Reads(begin=ReadsFrom.PREDECESSOR, since=progress.until, twice=twice)
    if progress.transport is Transport.LANDING_ZONE:
        # Platform's own source can't be told where files have ended.
        return _all(progress) if wants_all else Reads(begin=ReadsFrom.NEXT_RUN, lost=_LOST)
    if not spec.ingestion.enabled:
        return Reads(begin=ReadsFrom.NEXT_RUN, lost=_LOST)
    return Reads(begin=ReadsFrom.NEXT_RUN, twice="what changes in the period before the run that hands over")


_LOST = "what changes until the first run of the new flow"


def _all(progress: Progress) -> Reads:
    twice = "every record that it has already" if progress.has_read else None
    return Reads(begin=ReadsFrom.BEGINNING, twice=twice)


def digest(spec: CRMDataflowSpec, transport: Transport, columns: Iterable[str], begin: ReadsFrom) -> str:
    """What tells a plan from others: the new flow, and what it reads."""
    mapping = spec.mapping_set_ref or content_hash("", "", entries(spec.mapping or ()))
    extract = spec.extract if transport is Transport.LANDING_ZONE else None
    made_of = {
        "transport": transport,
        "connection": spec.connection_ref.name,
        "table": spec.source.table,
        "columns": sorted(columns),
        "deltaColumn": spec.delta_column.name if spec.delta_column else None,
        "deletedRecords": extract.deleted_records if extract else DeletedRecords.IGNORE,
        "target": spec.target.model_dump(mode="json", exclude_none=True),
        "mapping": mapping if isinstance(mapping, str) else mapping.model_dump(),
        "once": spec.schedule.frequency is Frequency.ONCE,
        "reads": begin,
    }
    text = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def actions_of(creations: Plan, existing: Existing, creates: Sequence[str]) -> tuple[PlannedAction, ...]:
    """What is done, in its order. ``creates`` are schema and dataset, as far as they are made as well."""
    ordered = (*creations.of(Effect.SHARE), *_source_first(creations.of(Effect.CREATE)))
    return (
        *(PlannedAction(action=PlannedEffect.CREATE, object=noun) for noun in creates),
        *(PlannedAction(action=_SHOWN[one.effect], object=one.kind.noun) for one in ordered),
        PlannedAction(action=PlannedEffect.DISABLE, object=existing.kinds.flow.noun, id=existing.flow.id),
        *(
            PlannedAction(action=PlannedEffect.DELETE, object=kind.noun, id=remote.id)
            for kind, remote in existing.objects().items()
        ),
    )


def _source_first(creations: Iterable[Action]) -> list[Action]:
    """The flow after what it is built on."""
    return sorted(creations, key=lambda action: len(action.kind.built_on))
