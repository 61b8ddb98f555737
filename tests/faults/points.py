"""The moments at which a crash could matter, found by watching a run without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.calls import Call


class Moment(StrEnum):
    """When the caller dies, seen from one of its calls."""

    BEFORE = "before"
    """The call is on its way out; nobody has seen it."""
    COMMITTED = "committed, unanswered"
    """The service has acted; its answer reaches nobody."""


@dataclass(frozen=True)
class CrashPoint:
    """The ``occurrence``-th call of its kind, counted from one.

    Not the n-th of all calls: those run side by side, and in another order each time.
    """

    call: Call
    occurrence: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} {self.call} #{self.occurrence}"


def points_of(calls: Iterable[Call]) -> list[CrashPoint]:
    """Every crash point of a run that made ``calls``, in their order.

    A read commits nothing: losing its answer is the same as dying before the next call. An accepted
    Kubernetes write is followed by a remote call or another write, whose own point covers the rest.
    """
    occurrences: Counter[Call] = Counter()
    points = []
    for call in calls:
        occurrences[call] += 1
        for moment in _moments(call):
            points.append(CrashPoint(call, occurrences[call], moment))
    return points


def _moments(call: Call) -> tuple[Moment, ...]:
    if call.is_kubernetes or call.is_read:
        return (Moment.BEFORE,)
    return (Moment.BEFORE, Moment.COMMITTED)
