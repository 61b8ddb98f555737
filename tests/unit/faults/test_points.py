"""Which moments of a run are crash points."""

from __future__ import annotations

from tests.faults.calls import KUBERNETES, Call
from tests.faults.points import CrashPoint, Moment, points_of

READ = Call("platform", "GET", "/flows/{id}")
CREATE = Call("platform", "POST", "/flows")
WRITE = Call(KUBERNETES, "PATCH", "/status")


def test_a_remote_write_has_two_and_everything_else_one() -> None:
    assert points_of([READ, CREATE, WRITE]) == [
        CrashPoint(READ, 1, Moment.BEFORE),
        CrashPoint(CREATE, 1, Moment.BEFORE),
        CrashPoint(CREATE, 1, Moment.COMMITTED),
        CrashPoint(WRITE, 1, Moment.BEFORE),
    ]


def test_calls_of_a_kind_are_counted_among_themselves() -> None:
    points = points_of([WRITE, READ, WRITE, READ])
    assert [(point.call, point.occurrence) for point in points] == [
        (WRITE, 1),
        (READ, 1),
        (WRITE, 2),
        (READ, 2),
    ]
