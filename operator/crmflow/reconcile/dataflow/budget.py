"""What a flow takes of what others need as well: batches for Profile (platform.md 15), and credits of Zoho
CRM where we read it (zoho.md 5). How often Platform's own source asks Zoho CRM is not known.
"""

from __future__ import annotations

import math

from crmflow.api.base import Transport
from crmflow.api.crmdataflow import CRMDataflowSpec, PlanBudget
from crmflow.reconcile.dataflow.schedule import period_seconds
from crmflow.reconcile.extraction import credits
from crmflow.settings import parse_duration
from crmflow.transfer.declaration import Way

_DAY_SECONDS = 86400.0
_COUNT = 1
"""A window is counted before anything of it is read."""


def budget_of(
    spec: CRMDataflowSpec,
    transport: Transport,
    *,
    columns: int,
    feeds_profile: bool,
    first: int | None,
    rows_of_bulk: int = credits.ROWS_OF_BULK,
) -> PlanBudget | None:
    """The budget of a flow with so many ``columns``, which at first reads that many records; None for those
    if nobody has counted them. None if nothing is known to be taken.
    """
    period = period_seconds(spec.schedule) if spec.ingestion.enabled else None
    runs = _DAY_SECONDS / period if period else None
    budget = PlanBudget(profile_batches_per_day=round(runs, 2) if runs and feeds_profile else None)
    if transport is Transport.LANDING_ZONE:
        budget = budget.model_copy(
            update={
                "zoho_credits": None if first is None else _of_window(first, columns, rows_of_bulk),
                "zoho_credits_per_day": _of_a_day(spec, runs, columns, first, rows_of_bulk),
            }
        )
    return budget if budget != PlanBudget() else None


def _of_a_day(
    spec: CRMDataflowSpec, runs: float | None, columns: int, first: int | None, rows_of_bulk: int
) -> int | None:
    if runs is None:
        return None
    total = runs * _of_window(1, columns, rows_of_bulk)
    every = spec.extract.full_read_every if spec.extract else None
    if every is not None and first is not None:
        total += _DAY_SECONDS / parse_duration(every) * _of_window(first, columns, rows_of_bulk)
    return math.ceil(total)


def _of_window(rows: int, columns: int, rows_of_bulk: int) -> int:
    """An empty one makes no Job."""
    if not rows:
        return _COUNT
    way: Way = credits.choose(rows, columns, rows_of_bulk)
    return _COUNT + credits.cost(way, rows, columns)
