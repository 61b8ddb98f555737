"""What an installation sets of how windows are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from crmflow.reconcile.extraction.credits import ROWS_OF_BULK, SHARE_OF_OTHERS
from crmflow.reconcile.extraction.rhythm import LAG, MOST_LEAD, Rhythm, default_lead


@dataclass(frozen=True, slots=True)
class ExtractionSettings:
    """The same for all dataflows."""

    lag: timedelta = LAG
    lead: timedelta | None = None
    """None: as :func:`~crmflow.reconcile.extraction.rhythm.default_lead` says."""
    credit_reserve: float = SHARE_OF_OTHERS
    """The share of an organization's credits that is left to others."""
    rows_of_bulk: int = ROWS_OF_BULK
    """From so many rows on a window is read by Bulk Read."""

    def rhythm(self, start: datetime, period: timedelta | None) -> Rhythm:
        """When a flow of that schedule picks files up, and when windows are read for it."""
        lead = self.lead or default_lead(period or MOST_LEAD * 3)
        return Rhythm(start, period, lead, self.lag)
