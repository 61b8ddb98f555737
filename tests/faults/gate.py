"""The one place that every remote call and every Kubernetes write of the operator passes, and every call of
its Jobs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.calls import Call, Caller
from tests.faults.points import CRASHES, Fault, FaultPoint


class FaultError(Exception):
    """This call does not end as it should. ``status`` is answered; None: nothing of it may reach anybody."""

    def __init__(self, point: FaultPoint) -> None:
        super().__init__(str(point))
        self.status = point.status


@dataclass
class _Round:
    """What has passed since the counting began."""

    target: FaultPoint | None
    calls: list[Call] = field(default_factory=list)
    reads: Counter[Call] = field(default_factory=Counter)
    occurrences: Counter[Call] = field(default_factory=Counter)
    struck: bool = False


class Gate:
    """Counts what passes, and has a fault happen where it is told to.

    The proxies call it in their thread; the rest may be used from another one.
    """

    def __init__(self, kill: Callable[[Caller], None]) -> None:
        """``kill`` returns once the caller is dead."""
        self._kill = kill
        self._round = _Round(None)
        self._under_way = 0
        self._last = time.monotonic()

    def begin(self, target: FaultPoint | None = None) -> None:
        """Count anew, and have ``target`` happen."""
        self._round = _Round(target)

    @property
    def calls(self) -> list[Call]:
        """What has passed since :meth:`begin`, in order of arrival."""
        return list(self._round.calls)

    @property
    def reads(self) -> Counter[Call]:
        """How often Kubernetes was asked for each kind of object, watches apart, since :meth:`begin`."""
        return Counter(self._round.reads)

    @property
    def struck(self) -> bool:
        """True once the target has happened."""
        return self._round.struck

    def quiet_for(self, seconds: float) -> bool:
        """Whether nothing has passed for so long, and nothing is under way."""
        return not self._under_way and time.monotonic() - self._last >= seconds

    def note_read(self, call: Call) -> None:
        """Kubernetes is asked for something: no death can matter there, and no quiet is disturbed."""
        self._round.reads[call] += 1

    def enter(self, call: Call) -> int:
        """A call arrives; which of its kind it is. Raises FaultError."""
        self._under_way += 1
        round_ = self._round
        round_.calls.append(call)
        round_.occurrences[call] += 1
        occurrence = round_.occurrences[call]
        self._pass(call, occurrence, Fault.KILLED_BEFORE, Fault.UNAVAILABLE, Fault.REFUSED)
        return occurrence

    def committed(self, call: Call, occurrence: int) -> None:
        """The service has acted on it. Raises FaultError."""
        self._pass(call, occurrence, Fault.KILLED_AFTER, Fault.LOST)

    def leave(self) -> None:
        """The call is over, one way or the other."""
        self._under_way -= 1
        self._last = time.monotonic()

    def _pass(self, call: Call, occurrence: int, *faults: Fault) -> None:
        round_ = self._round
        target = round_.target
        if target is None or round_.struck or target.fault not in faults:
            return
        if (target.call, target.occurrence) == (call, occurrence):
            if target.fault in CRASHES:
                self._kill(call.caller)
            round_.struck = True
            raise FaultError(target)
