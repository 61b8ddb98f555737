"""The one place that every remote call and every Kubernetes write of the operator passes, and every call of
its Jobs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.calls import Call, Caller
from tests.faults.points import CrashPoint, Moment


class CallerKilledError(Exception):
    """Who made this call died at it: nothing more of it may reach anybody."""


@dataclass
class _Round:
    """What has passed since the counting began."""

    target: CrashPoint | None
    calls: list[Call] = field(default_factory=list)
    reads: Counter[Call] = field(default_factory=Counter)
    occurrences: Counter[Call] = field(default_factory=Counter)
    struck: bool = False


class Gate:
    """Counts what passes, and kills a caller where it is told to.

    The proxies call it in their thread; the rest may be used from another one.
    """

    def __init__(self, kill: Callable[[Caller], None]) -> None:
        """``kill`` returns once the caller is dead."""
        self._kill = kill
        self._round = _Round(None)
        self._under_way = 0
        self._last = time.monotonic()

    def begin(self, target: CrashPoint | None = None) -> None:
        """Count anew, and kill at ``target``."""
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
        """True once the caller has died at the target."""
        return self._round.struck

    def quiet_for(self, seconds: float) -> bool:
        """Whether nothing has passed for so long, and nothing is under way."""
        return not self._under_way and time.monotonic() - self._last >= seconds

    def note_read(self, call: Call) -> None:
        """Kubernetes is asked for something: no death can matter there, and no quiet is disturbed."""
        self._round.reads[call] += 1

    def enter(self, call: Call) -> int:
        """A call arrives; which of its kind it is. Raises CallerKilledError."""
        self._under_way += 1
        round_ = self._round
        round_.calls.append(call)
        round_.occurrences[call] += 1
        occurrence = round_.occurrences[call]
        self._pass(CrashPoint(call, occurrence, Moment.BEFORE))
        return occurrence

    def committed(self, call: Call, occurrence: int) -> None:
        """The service has acted on it. Raises CallerKilledError."""
        self._pass(CrashPoint(call, occurrence, Moment.COMMITTED))

    def leave(self) -> None:
        """The call is over, one way or the other."""
        self._under_way -= 1
        self._last = time.monotonic()

    def _pass(self, point: CrashPoint) -> None:
        round_ = self._round
        if round_.target == point and not round_.struck:
            self._kill(point.call.caller)
            round_.struck = True
            raise CallerKilledError(str(point))
