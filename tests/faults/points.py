"""The calls at which a fault could matter, found by watching a run without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.calls import PLATFORM, Call


class Fault(StrEnum):
    """What happens at a call."""

    KILLED_BEFORE = "before"
    """The caller dies, and the call is on its way out: nobody has seen it."""
    KILLED_AFTER = "committed, unanswered"
    """The caller dies, and the service has acted."""
    UNAVAILABLE = "answered 503"
    """The service does nothing."""
    REFUSED = "answered 400"
    """Nor does it here, and says that it never will."""
    LOST = "answer lost"
    """The service has acted; its answer does not arrive."""


CRASHES = frozenset({Fault.KILLED_BEFORE, Fault.KILLED_AFTER})
FAILURES = frozenset(Fault) - CRASHES
_STATUS = {Fault.UNAVAILABLE: 503, Fault.REFUSED: 400}


@dataclass(frozen=True)
class FaultPoint:
    """The ``occurrence``-th call of its kind, counted from one.

    Not the n-th of all calls: those run side by side, and in another order each time.
    """

    call: Call
    occurrence: int
    fault: Fault

    @property
    def status(self) -> int | None:
        """What is answered; None if nothing is."""
        return _STATUS.get(self.fault)

    def __str__(self) -> str:
        return f"{self.fault} {self.call} #{self.occurrence}"


def points_of(calls: Iterable[Call], faults: frozenset[Fault] = CRASHES) -> list[FaultPoint]:
    """Every point of a run that made ``calls`` at which one of ``faults`` could matter, in their order."""
    occurrences: Counter[Call] = Counter()
    points = []
    for call in calls:
        occurrences[call] += 1
        points += [FaultPoint(call, occurrences[call], fault) for fault in _at(call) if fault in faults]
    return points


def _at(call: Call) -> tuple[Fault, ...]:
    """A read commits nothing: losing its answer is the same as dying before the next call. An accepted
    Kubernetes write is followed by a remote call or another write, whose own point covers the rest.
    """
    if call.is_kubernetes:
        return (Fault.KILLED_BEFORE,)
    if call.is_read:
        return (Fault.KILLED_BEFORE, Fault.UNAVAILABLE)
    lasting = (Fault.REFUSED,) if call.service == PLATFORM else ()
    return (Fault.KILLED_BEFORE, Fault.KILLED_AFTER, Fault.UNAVAILABLE, *lasting, Fault.LOST)
