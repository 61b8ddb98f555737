"""What an extraction costs in Zoho's credits, and how many of them are ours to spend.

Zoho counts the credits of an organization over the last 24 hours (zoho.md 5) and refuses calls once they are
spent, those of other programs too. We spend no more than a share of what every organization of the edition
has; how many users add to it is not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from crmflow.transfer.declaration import Way
from crmflow.zoho import bulk_read, coql

DAY = timedelta(hours=24)
FREE_FLOOR, FLOOR = 5_000, 50_000
"""Credits of a day without those that users and add-ons bring."""
SHARE_OF_OTHERS = 0.2

ROWS_OF_A_JOB = 200_000
LOOKS_AT_A_JOB = 10
"""At its state and its file, one credit each (landing-zone.md H)."""
_PAGE_ROWS, _PAGE_CREDITS = coql.ROWS[-1], len(coql.ROWS)
_COUNTS = 2
"""Before and after the extraction."""
_SPAN = timedelta(minutes=15)


def choose(rows: int, columns: int, rows_of_bulk: int) -> Way:
    """Bulk Read from ``rows_of_bulk`` rows on. Below, COQL is faster as well, since it has no queue
    (landing-zone.md H). COQL alone reads more than 200 columns.
    """
    if columns > bulk_read.MOST_FIELDS or rows < rows_of_bulk:
        return Way.COQL
    return Way.BULK


def cost(way: Way, rows: int, columns: int) -> int:
    """Credits that the extraction of ``rows`` is expected to take."""
    if way is Way.BULK:
        return _COUNTS + _parts(rows, ROWS_OF_A_JOB) * _JOB_CREDITS
    return _COUNTS + _parts(rows, _PAGE_ROWS) * _parts(columns, coql.COLUMNS[0]) * _PAGE_CREDITS


def _parts(amount: int, size: int) -> int:
    return max(1, -(-amount // size))


_JOB_CREDITS = bulk_read.CREDITS + LOOKS_AT_A_JOB
ROWS_OF_BULK = _JOB_CREDITS // _PAGE_CREDITS * _PAGE_ROWS
"""From so many on Bulk Read costs less than COQL."""


def allowance(edition: str, share_of_others: float = SHARE_OF_OTHERS) -> int:
    """Credits that may be spent in 24 hours; an edition that Zoho doesn't tell counts as the free one.
    ``edition`` is in lower case, as ``/org`` gives it.
    """
    floor = FREE_FLOOR if edition in ("", "free") else FLOOR
    return round(floor * (1 - share_of_others))


@dataclass(frozen=True, slots=True)
class Spent:
    """Credits that were spent at an instant."""

    at: datetime
    credits: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The credits of one organization that were spent in the last 24 hours. ``entries`` are few: what is
    spent within a quarter of an hour counts as spent at its end, which is never too early.
    """

    entries: tuple[Spent, ...] = ()

    def with_spent(self, credits: int, now: datetime) -> Ledger:
        """The ledger with ``credits`` more, and without what no longer counts."""
        at = _end_of_span(now)
        entries = {entry.at: entry.credits for entry in self._of_the_day(now)}
        if credits:
            entries[at] = entries.get(at, 0) + credits
        return Ledger(tuple(Spent(at, entries[at]) for at in sorted(entries)))

    def spent(self, now: datetime) -> int:
        """Credits of the last 24 hours."""
        return sum(entry.credits for entry in self._of_the_day(now))

    def affordable_at(self, credits: int, allowed: int, now: datetime, reserved: int = 0) -> datetime | None:
        """When ``credits`` can be spent: ``now`` if that may be done at once. ``reserved`` is what those will
        cost that are under way; None if they take so much that nobody can tell yet.

        What costs more than a whole day allows may begin once nothing else was spent.
        """
        excess = self.spent(now) + reserved + min(credits, allowed) - allowed
        if excess <= 0:
            return now
        for entry in sorted(self._of_the_day(now), key=lambda entry: entry.at):
            excess -= entry.credits
            if excess <= 0:
                return entry.at + DAY
        return None

    def _of_the_day(self, now: datetime) -> Iterable[Spent]:
        return (entry for entry in self.entries if entry.at + DAY > now)


def _end_of_span(now: datetime) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + -((epoch - now) // _SPAN) * _SPAN
