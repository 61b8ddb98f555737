"""Which window a dataflow extracts next, and when (design.md 11; landing-zone.md E.3).

Platform picks files up at its ticks: the flow's start time and every period after it. The window for a tick
ends some minutes before it (the *lead*), so that its file is there in time, and is read a little after its
end (the *lag*), once Zoho shows what was changed in it. Windows follow each other without gap or overlap: a
tick that was missed only makes the next window longer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from crmflow.transfer.declaration import Window

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every record of Zoho CRM."""
LAG = timedelta(minutes=2)
LEAST_LEAD, MOST_LEAD = timedelta(minutes=5), timedelta(minutes=15)
LEAST_FULL_READ_EVERY = timedelta(hours=24)
SHOWN_WITHIN = timedelta(hours=1)
"""How long after a change Zoho CRM may still come to show it, at the most (landing-zone.md F.2: unknown)."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When Platform picks files up, in whole seconds, as Flow Service counts (platform.md 6.1)."""

    start: datetime
    """The flow's start time: the first tick."""
    period: timedelta | None
    """Between two ticks; None if there is only one."""
    lead: timedelta
    lag: timedelta = LAG

    def __post_init__(self) -> None:
        if self.lead <= self.lag:
            raise ValueError(
                "the lead must be longer than the lag, or windows would be read after their tick"
            )
        if self.lead.microseconds:
            raise ValueError("the lead must be in whole seconds")

    def next_tick(self, after: datetime) -> datetime | None:
        """The first tick later than ``after``."""
        if after < self.start:
            return self.start
        if self.period is None:
            return None
        return self.start + ((after - self.start) // self.period + 1) * self.period

    def ticks(self, after: datetime, until: datetime) -> int:
        """How many ticks lie in (after, until]."""
        return max(0, self._ticks_until(until) - self._ticks_until(after))

    def _ticks_until(self, until: datetime) -> int:
        if until < self.start:
            return 0
        return 1 if self.period is None else (until - self.start) // self.period + 1


def default_lead(period: timedelta) -> timedelta:
    """A third of the period, from 5 to 15 minutes."""
    return min(MOST_LEAD, max(LEAST_LEAD, period / 3))


@dataclass(frozen=True, slots=True)
class First:
    """How the extraction begins, before there is a flow."""

    window: Window | None
    """What is extracted at once; None without backfill."""
    cursor: datetime
    """Where the window after it begins."""


def first_window(*, backfill: bool, now: datetime, lag: timedelta = LAG) -> First:
    """Everything until now with backfill, as also for a flow that runs once; without, what changes from now
    on. ``now`` is the first pass of the dataflow: what comes of this is recorded and not asked for again.
    """
    if not backfill:
        return First(None, to_the_second(now))
    end = to_the_second(now - lag)
    return First(Window(begin=BEGINNING, end=end), end)


@dataclass(frozen=True, slots=True)
class FullReads:
    """``extract.fullReadEvery``: formula fields do not move ``Modified_Time`` (landing-zone.md F.2)."""

    every: timedelta
    last: datetime
    """Until when the last one read; the dataflow's first pass if there was none."""


@dataclass(frozen=True, slots=True)
class Due:
    """A window to be extracted now, for Platform to take at ``tick``."""

    window: Window
    tick: datetime | None
    """None while there is no flow that has any."""
    is_full: bool = False
    """Reads the whole table in place of what changed."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """Nothing is due before ``at``; None: nothing ever will be."""

    at: datetime | None


def next_window(
    rhythm: Rhythm, cursor: datetime, now: datetime, full_reads: FullReads | None = None
) -> Due | NotYet:
    """The window from ``cursor`` until the lead before the coming tick, however long it is.

    One that is due shortly before its tick may come too late for it; the next tick takes its file.
    """
    tick = rhythm.next_tick(max(now, cursor + rhythm.lead))
    if tick is None or rhythm.period is None:
        return NotYet(None)
    end = tick - rhythm.lead
    if now < end + rhythm.lag:
        return NotYet(end + rhythm.lag)
    if full_reads is not None and end - full_reads.last >= full_reads.every:
        return Due(Window(begin=BEGINNING, end=end), tick, is_full=True)
    return Due(Window(begin=cursor, end=end), tick)


def with_empty_window(due: Due, rhythm: Rhythm, empty: Window) -> Due:
    """``due``, begun earlier: the window before it was ``empty``. What Zoho CRM has come to show of that only
    by now is in no file, so that it can be read without being read twice.
    """
    if due.is_full or empty.end != due.window.begin:
        return due
    back = min(SHOWN_WITHIN, rhythm.period or SHOWN_WITHIN)
    begin = max(empty.begin, empty.end - back)
    return replace(due, window=Window(begin=begin, end=due.window.end))


def is_late(tick: datetime, committed: datetime) -> bool:
    """True for a file that was committed after the tick it was for: the next one takes it (``Late``)."""
    return committed > tick


def to_the_second(time: datetime) -> datetime:
    """Without the fraction of its last second, in UTC: what Zoho and Flow Service count in."""
    return time.astimezone(UTC).replace(microsecond=0)
